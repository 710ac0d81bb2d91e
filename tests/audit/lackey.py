# SPDX-License-Identifier: GPL-2.0-or-later
"""valgrind's lackey: runs a program of this machine's own architecture and prints each instruction and access."""

from __future__ import annotations

import platform
import re
import shutil
from collections.abc import Iterator
from typing import BinaryIO

from audit import windows
from audit.traces import Access, Instrument
from machines.error import NotAvailable

CHUNK = 1 << 20
INSTRUCTION = b"I  "
# An access to the device window or to the markers; both have addresses of ten digits.  M is a load and a store.
ACCESS = re.compile(rb"^ ([LSM]) +(%x|%x)([0-9a-f]{8}),(\d+)\n" % (windows.DEVICE >> 32, windows.MARKERS >> 32),
                    re.MULTILINE)


def lackey(architecture: str) -> Instrument:
    """The instrument, where it is to be had."""
    if architecture != platform.machine():
        raise NotAvailable(f"valgrind runs programs for {platform.machine()}, not for {architecture}")
    if not shutil.which("valgrind"):
        raise NotAvailable("no valgrind here: scripts/needs says which packages the tests want")

    def command(file: str) -> list[str]:
        # Its optimiser would drop loads whose value nobody uses.
        return ["valgrind", "--tool=lackey", "--trace-mem=yes", "--vex-iropt-level=0",
                f"--log-fd={file.rpartition('/')[2]}"]

    return Instrument("valgrind's lackey", command, accesses)


def accesses(trace: BinaryIO) -> Iterator[Access]:
    """The accesses that matter; nearly all others are looked at by nothing but a regular expression."""
    kept = b""
    while True:
        chunk = trace.read(CHUNK)
        kept += chunk
        end = kept.rfind(b"\n" + INSTRUCTION) + 1 if chunk else len(kept)
        for found in ACCESS.finditer(kept, 0, end):
            # The line of the instruction comes before those of its accesses.
            at = kept.rfind(INSTRUCTION, 0, found.start()) + len(INSTRUCTION)
            pc = int(kept[at:kept.index(b",", at)], 16)
            address, width = int(found[2] + found[3], 16), int(found[4])
            for direction in "LS" if found[1] == b"M" else found[1].decode():
                yield address, width, direction, pc
        kept = kept[end:]
        if not chunk:
            return
