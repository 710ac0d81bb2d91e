# SPDX-License-Identifier: GPL-2.0-or-later
"""How a program was linked and compiled, as far as its file says so: Debian's hardening, and the libraries it needs."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ELF64_LITTLE_ENDIAN = b"\x7fELF\2\1"
SHARED_OBJECT = 3  # the type of a position-independent executable, too
LOAD, DYNAMIC, PROPERTY, STACK, RELRO = 1, 2, 0x6474E553, 0x6474E551, 0x6474E552
NEEDED, STRINGS, STRINGS_SIZE, FLAGS, FLAGS_1 = 1, 5, 10, 24, 0x6FFFFFFB
BIND_NOW, NOW = 8, 1
EXECUTABLE = 1


@dataclass(frozen=True)
class Segment:
    """A program header."""

    kind: int
    flags: int
    offset: int
    address: int
    size: int


def of(path: Path) -> set[str]:
    """Words for what the program has; none if it is no ELF program of 64 bits."""
    data = path.read_bytes()
    if not data.startswith(ELF64_LITTLE_ENDIAN):
        return set()
    segments = [*_segments(data)]
    found = {"position-independent"} if struct.unpack_from("<H", data, 16) == (SHARED_OBJECT,) else set()
    dynamic = [*_dynamic(data, segments)]
    flags = {tag: value for tag, value in dynamic if tag in (FLAGS, FLAGS_1)}
    if any(segment.kind == RELRO for segment in segments):
        found.add("read-only relocations")
    if flags.get(FLAGS, 0) & BIND_NOW or flags.get(FLAGS_1, 0) & NOW:
        found.add("bound at start")
    if all(not segment.flags & EXECUTABLE for segment in segments if segment.kind == STACK):
        found.add("no executable stack")
    found |= {f"property {data[segment.offset : segment.offset + segment.size].hex()}"
              for segment in segments if segment.kind == PROPERTY}  # fmt: skip
    names = _names(data, segments, dict(dynamic))
    functions = {*names.split(b"\0")}
    if b"__stack_chk_fail" in functions:
        found.add("stack protector")
    if any(name.startswith(b"__") and name.endswith(b"_chk") for name in functions):
        found.add("fortified")
    return found | {f"needs {_name(names, value)}" for tag, value in dynamic if tag == NEEDED}


def _segments(data: bytes) -> Iterator[Segment]:
    (start,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for number in range(count):
        kind, flags, offset, address, _, in_file = struct.unpack_from("<IIQQQQ", data, start + number * size)
        yield Segment(kind, flags, offset, address, in_file)


def _dynamic(data: bytes, segments: list[Segment]) -> Iterator[tuple[int, int]]:
    for segment in segments:
        if segment.kind == DYNAMIC:
            yield from struct.iter_unpack("<QQ", data[segment.offset : segment.offset + segment.size])


def _names(data: bytes, segments: list[Segment], dynamic: dict[int, int]) -> bytes:
    """The names of libraries and of their functions."""
    if STRINGS not in dynamic:
        return b""
    (load,) = (segment for segment in segments
               if segment.kind == LOAD and 0 <= dynamic[STRINGS] - segment.address < segment.size)  # fmt: skip
    start = dynamic[STRINGS] - load.address + load.offset
    return data[start : start + dynamic[STRINGS_SIZE]]


def _name(names: bytes, at: int) -> str:
    return names[at : names.index(b"\0", at)].decode()
