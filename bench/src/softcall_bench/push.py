"""`softcall push`, as a user types it."""

import re
import subprocess
import sys
from pathlib import Path


def push(*arguments: str) -> str | None:
    """Run it with these arguments; what it says where it fails, None where it does not."""
    command = [str(Path(sys.executable).with_name("softcall")), "push", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    said = re.findall(r"[^─-╿\s]+", done.stderr or done.stdout)  # without typer's frame
    return " ".join(said) or f"status {done.returncode}"
