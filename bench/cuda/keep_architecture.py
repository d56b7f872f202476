"""Zero the code of all GPU architectures but one inside a CUDA library, so that it compresses to little.

usage: keep_architecture.py IN.so OUT.so 90

Offsets and sizes stay, so the file loads as before. A fat binary is a header {u32 0xBA55ED50, u16 version,
u16 header size, u64 size} and entries {u16 kind (1 PTX, 2 ELF), u16, u32 header size, u64 payload size, ...,
u32 architecture at +28}. Bare cubins (ELF of machine 190), which some libraries keep as data, are zeroed too.
"""

import struct
import sys
from collections.abc import Iterator
from pathlib import Path

MAGIC = b"\x50\xed\x55\xba"
CUBIN = b"\x7fELF\x02\x01\x01"
ELF_KIND, CUDA_MACHINE = 2, 190


def entries(data: bytearray) -> Iterator[tuple[int, int, int, int]]:
    """Yield (kind, architecture, start, size) of each payload in the fat binaries."""
    at = 0
    while (at := data.find(MAGIC, at)) >= 0:
        _, version, header, size = struct.unpack_from("<IHHQ", data, at)
        if version != 1 or header != 16 or at % 8 or size == 0 or at + header + size > len(data):
            at += 4
            continue
        entry, end = at + header, at + header + size
        while entry + 64 <= end:
            kind, _, own, payload = struct.unpack_from("<HHIQ", data, entry)
            (architecture,) = struct.unpack_from("<I", data, entry + 28)
            if kind == 0 or own < 48 or entry + own + payload > end:
                break
            yield kind, architecture, entry + own, payload
            entry += own + payload
        at = end


def cubins(data: bytearray, inside: list[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """Yield (architecture, start, size) of cubins outside the spans `inside`, which are sorted."""
    at, span = 0, 0
    while (at := data.find(CUBIN, at)) >= 0:
        while span < len(inside) and inside[span][1] <= at:
            span += 1
        if span < len(inside) and inside[span][0] <= at:
            at = inside[span][1]
            continue
        (machine,) = struct.unpack_from("<H", data, at + 18)
        if machine == CUDA_MACHINE:
            programs, sections = struct.unpack_from("<QQ", data, at + 32)
            flags, _, program, n_programs, section, n_sections = struct.unpack_from("<IHHHHH", data, at + 48)
            size = max(sections + section * n_sections, programs + program * n_programs)
            if at + size <= len(data):
                yield flags & 0xFF, at, size
        at += len(CUBIN)


def main(source: str, target: str, kept: int) -> None:
    """Write `target`."""
    data = bytearray(Path(source).read_bytes())
    spans, zeroed = [], 0
    for kind, architecture, start, size in list(entries(data)):
        spans.append((start, start + size))
        if kind != ELF_KIND or architecture != kept:
            data[start : start + size] = bytes(size)
            zeroed += size
    for architecture, start, size in list(cubins(data, sorted(spans))):
        if architecture != kept:
            data[start : start + size] = bytes(size)
            zeroed += size
    print(f"kept sm_{kept}: {zeroed:,} of {len(data):,} bytes zeroed", file=sys.stderr)
    Path(target).write_bytes(data)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
