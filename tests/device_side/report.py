# SPDX-License-Identifier: GPL-2.0-or-later
"""What one run has shown, and how it compares with a model of the accesses that an emulator should make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from device_side.accesses import REQUEST, SECTOR, Action
from device_side.outer_trace import Access, Seen
from device_side.planned import INSTRUCTIONS_AT, STARTED, first_sector

Model = Callable[[int, int, bool], list[Access]]


@dataclass(frozen=True)
class Observed:
    """What one inner emulator said, and what the device saw of each of its actions."""

    place: int  # among the emulators
    bar_lines: list[str]
    wrong_reads: list[int]
    seen: dict[int, list[Seen]]

    def accesses(self, action: Action) -> list[Access]:
        return [one.access for one in self.seen[action.number]]

    def while_starting(self) -> list[Seen]:
        """What the device saw before the guest made an access: at realize, hot-plug, reset, and when it was placed."""
        return self.seen[STARTED]


@dataclass(frozen=True)
class Report:
    """All that one run of the outer VM has shown."""

    observed: dict[str, Observed]
    # What the device saw of single instructions.
    instructions: dict[Access, list[Access]]
    disk_before: bytes
    disk_after: bytes

    def through_the_outer_cpu(self, access: Access) -> list[Access]:
        """What the device sees of an instruction that makes this access."""
        moved = access.offset - access.offset % 8 - INSTRUCTIONS_AT
        shape = self.instructions[Access(access.offset - moved, access.width, access.store)]
        return [Access(offset + moved, width, store) for offset, width, store in shape]

    def expected(self, action: Action, model: Model) -> list[Access]:
        """What the device sees of an action if the emulator makes the accesses that the model says."""
        made = [access for piece in action.pieces for access in model(piece.offset, piece.length, action.store)]
        return [seen for access in made for seen in self.through_the_outer_cpu(access)]

    def complaint(self, name: str, action: Action, model: Model) -> str:
        """How what was seen differs from the model, or nothing; a store must also have moved the right bytes."""
        seen, expected = self.observed[name].accesses(action), self.expected(action, model)
        said = f"{name}: {action}"
        if seen != expected:
            at = next((i for i, (a, b) in enumerate(zip(seen, expected, strict=False)) if a != b), -1)
            at = at if at >= 0 else min(len(seen), len(expected))
            return f"{said}: access {at} of {len(seen)} is {seen[at : at + 1]}, the model's is {expected[at : at + 1]}"
        stored = b"".join(one.data for one in self.observed[name].seen[action.number])
        if action.store and stored != self.data(name, action):
            return f"{said}: the bytes stored aren't those of the action"
        return ""

    def data(self, name: str, action: Action) -> bytes:
        """What the action moves."""
        if action.store and action.means == REQUEST:
            return self.on_disk(name, action, self.disk_before)
        return action.data()

    def on_disk(self, name: str, request: Action, disk: bytes) -> bytes:
        """The request's place on the disk."""
        begin = first_sector(self.observed[name].place, request) * SECTOR
        return disk[begin : begin + request.length]
