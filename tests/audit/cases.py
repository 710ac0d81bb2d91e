# SPDX-License-Identifier: GPL-2.0-or-later
"""The cases: which routine is called with what, as test program and expectation both read it."""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from audit import windows

LAYOUT = struct.Struct("<IIQQII")  # struct Case in transfers.c


class Routine(enum.IntEnum):
    """What a case calls."""

    READ = 0
    WRITE = 1
    LOAD = 2
    STORE = 3
    # Both sides are in the device window (C5).
    READ_WITHIN = 4
    WRITE_WITHIN = 5
    # Questions.
    GIVES_POINTER = 6
    FIXUP = 7
    # From RAM to RAM: the device window is one side as well.
    MOVE_WORD_FROM = 8
    MOVE_WORD_TO = 9
    # Not ours.
    MEMMOVE_FROM = 10
    MEMMOVE_TO = 11
    ONE_OR_MEMMOVE_FROM = 12
    ONE_OR_MEMMOVE_TO = 13


# Transfer nothing.
QUESTIONS = (Routine.GIVES_POINTER, Routine.FIXUP)
# Moves from RAM to RAM.
MOVES = (Routine.MOVE_WORD_FROM, Routine.MOVE_WORD_TO)
# Stores to the device window, the others load from it.
WRITES = (Routine.WRITE, Routine.STORE, Routine.WRITE_WITHIN, Routine.MOVE_WORD_TO, Routine.MEMMOVE_TO,
          Routine.ONE_OR_MEMMOVE_TO)
WIDTHS = (1, 2, 4, 8)
LENGTHS = range(258)
LARGE_LENGTHS = (511, 512, 4095, 4096, 4097)
LARGEST = 65536 + 3
DEVICE_ALIGNMENTS = range(16)
RAM_ALIGNMENTS = range(8)
# The transfers begin here, so that there is something before them that they could touch.
START = 0x800


@dataclass(frozen=True)
class Case:
    """One call of a routine; offsets are from the start of a window."""

    routine: Routine
    length: int
    device: int
    ram: int = 0
    readonly: bool = False

    @property
    def is_granted(self) -> bool:
        """Will the routine do it, or refuse?"""
        is_one = self.routine in (Routine.LOAD, Routine.STORE, *MOVES)
        return (
            self.device + self.length <= windows.LENGTH
            and not (self.readonly and self.routine in WRITES)
            and not (is_one and self.length not in WIDTHS)
        )

    def packed(self) -> bytes:
        """For the test program."""
        return LAYOUT.pack(self.routine, self.length, self.device, self.ram, self.readonly, self.is_granted)


def transfers(read: Routine, write: Routine, thorough: bool) -> Iterator[Case]:
    """Every length at every alignment of both sides; or every length at some, and every pair of alignments at some
    length."""
    for routine in (read, write):
        for length in LENGTHS:
            for device in DEVICE_ALIGNMENTS:
                if thorough:
                    for ram in RAM_ALIGNMENTS:
                        yield Case(routine, length, START + device, START + ram)
                elif (device + length) % 4 == 0:
                    ram = (device + length // 4) % len(RAM_ALIGNMENTS)
                    yield Case(routine, length, START + device, START + ram)
        for device in DEVICE_ALIGNMENTS:
            ram = (3 * device + 1) % len(RAM_ALIGNMENTS)
            if thorough or device % 5 == 1:
                for length in LARGE_LENGTHS:
                    yield Case(routine, length, START + device, START + ram)
            if thorough or device == 5:
                yield Case(routine, LARGEST, START + device, START + ram)


def single_accesses() -> Iterator[Case]:
    """Every load and store at every alignment."""
    for routine in (Routine.LOAD, Routine.STORE):
        for length in WIDTHS:
            for device in DEVICE_ALIGNMENTS:
                yield Case(routine, length, START + device)


def overlaps(thorough: bool) -> Iterator[Case]:
    """Both sides in the device window, from far below each other to far above."""
    for routine in (Routine.READ_WITHIN, Routine.WRITE_WITHIN):
        for length in range(65) if thorough else (0, 1, 2, 4, 7, 8, 33):
            for device in range(8) if thorough else (0, 1, 6):
                for distance in (-70, -33, -8, -3, -1, 0, 1, 2, 5, 8, 13, 70):
                    yield Case(routine, length, START + device, START + device + distance)


def refusals() -> Iterator[Case]:
    """What must not be done: off the end, in part and wholly; to what is read-only; by widths that there aren't."""
    for routine in (Routine.READ, Routine.WRITE):
        for length in (1, 2, 4, 8, 100):
            yield Case(routine, length, windows.LENGTH)
            yield Case(routine, length, windows.LENGTH - length + 1, START)
            yield Case(routine, length, 2**64 - length, START)
    for routine in (Routine.LOAD, Routine.STORE):
        for length in (1, 2, 4, 8):
            yield Case(routine, length, windows.LENGTH - length + 1)
            yield Case(routine, length, 2**64 - length)
        for length in (0, 3, 5, 6, 7, 9, 16):
            yield Case(routine, length, START)
    for length in (1, 2, 4, 8, 100):
        yield Case(Routine.WRITE, length, START, START, readonly=True)
    for length in (1, 2, 4, 8):
        yield Case(Routine.STORE, length, START, readonly=True)


def questions() -> Iterator[Case]:
    """The routines that transfer nothing."""
    return (Case(routine, 0, 0) for routine in QUESTIONS)


def of_the_crate(thorough: bool) -> list[Case]:
    """All cases of the routines that the contract is about."""
    return [*transfers(Routine.READ, Routine.WRITE, thorough), *single_accesses(), *overlaps(thorough), *refusals(),
            *questions()]


def words(routine: Routine) -> list[Case]:
    """Every width at every pair of alignments."""
    return [Case(routine, width, START + device, START + ram)
            for width in WIDTHS for device in DEVICE_ALIGNMENTS for ram in range(16)]


def moved_words() -> list[Case]:
    """All cases of the routine for ordinary RAM; widths that there aren't must be refused."""
    refused = (Case(routine, length, START, START) for routine in MOVES for length in (0, 3, 5, 6, 7, 9, 16))
    return [*(case for routine in MOVES for case in words(routine)), *refused]


CONTROLS = {
    "libc's memmove()": (Routine.MEMMOVE_FROM, Routine.MEMMOVE_TO),
    "one access if both sides are aligned, else memmove()": (Routine.ONE_OR_MEMMOVE_FROM, Routine.ONE_OR_MEMMOVE_TO),
}


def of_a_control(name: str, thorough: bool) -> list[Case]:
    """The same transfers by something else."""
    return list(transfers(*CONTROLS[name], thorough))


def packed(cases: Iterable[Case]) -> bytes:
    """The file that the test program reads."""
    return b"".join(case.packed() for case in cases)


def definitions() -> Iterator[str]:
    """What transfers.c must know, for the compiler's command line."""
    yield f"-DDEVICE_WINDOW={windows.DEVICE:#x}"
    yield f"-DRAM_WINDOW={windows.RAM:#x}"
    yield f"-DWINDOW_LENGTH={windows.LENGTH:#x}"
    yield f"-DMARKERS={windows.MARKERS:#x}"
    yield f"-DMARKERS_LENGTH={windows.MARKERS_LENGTH:#x}"
    for routine in Routine:
        yield f"-DROUTINE_{routine.name}={routine.value}"
