# SPDX-License-Identifier: GPL-2.0-or-later
"""What an instrument is: it runs a test program, and gives the accesses to the device window, case by case."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from audit import windows
from audit.cases import Case, packed
from audit.programs import Program
from machines.error import MachineError

TIMEOUT = 1200  # seconds, for the slowest instrument with all cases on a busy machine

Access = tuple[int, int, str, int]  # offset in the device window, width, L or S, address of the instruction


@dataclass(frozen=True)
class Instrument:
    """A program that runs another one and writes down its accesses."""

    name: str
    command: Callable[[str], list[str]]  # what to put before the test program; writes to the file of that name
    accesses: Callable[[BinaryIO], Iterator[Access]]  # reads that: device window and markers, addresses as they are

    def traces(self, program: Program, cases: Sequence[Case]) -> Iterator[list[Access]]:
        """For each case the accesses to the device window, in their order."""
        with tempfile.TemporaryDirectory(prefix="cases-") as folder:
            file = Path(folder) / "cases"
            file.write_bytes(packed(cases))
            reading, writing = os.pipe()
            command = [*self.command(f"/dev/fd/{writing}"), str(program.path), str(file)]
            with os.fdopen(reading, "rb") as trace, tempfile.TemporaryFile() as said:
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                           pass_fds=[writing])
                os.close(writing)
                timer = threading.Timer(TIMEOUT, process.kill)
                timer.start()
                try:
                    count = 0
                    for found in by_case(self.accesses(trace)):
                        count += 1
                        yield found
                    status = process.wait()
                finally:
                    timer.cancel()
                    process.kill()
                    process.wait()
                said.seek(0)
                text = said.read().decode(errors="replace").strip()
            if status or count != len(cases):
                raise MachineError(f"{self.name}: {program} ended with status {status} after {count} of {len(cases)} "
                                   f"cases:\n{text}")


def by_case(accesses: Iterator[Access]) -> Iterator[list[Access]]:
    """The accesses between one marker and the next, each relative to the device window."""
    found: list[Access] | None = None
    count = 0
    for address, width, direction, pc in accesses:
        if address < windows.MARKERS:
            if found is None:
                raise MachineError(f"an access to the device window, by the instruction at {pc:#x}, precedes all cases")
            found.append((address - windows.DEVICE, width, direction, pc))
            continue
        if found is not None:
            yield found
        if address != windows.MARKERS + count:
            raise MachineError(f"marker {address - windows.MARKERS} was stored where {count} was next")
        found = []
        count += 1
    if found is not None:
        yield found
