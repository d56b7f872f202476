"""What lies in the place of a file that is not there."""

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d" * 32 + b"\nsize 12345\n"
"""What Git leaves of a large file whose content was not fetched."""
