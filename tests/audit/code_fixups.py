# SPDX-License-Identifier: GPL-2.0-or-later
"""What the code may do that is executed in place of an access to the device that faults.

A load gives all ones, whatever it is a note of 1 is made, and execution goes on right after the access; or after those
that follow it, which are then left out: a device that has gone isn't asked again.
"""

from __future__ import annotations

from collections.abc import Iterator

from audit.code_instruction import Access
from audit.code_paths import Paths


def faults_of_fixup(paths: Paths, accesses: dict[int, Access], address: int) -> Iterator[str]:
    """What is wrong with the fix-up of the access at this address."""
    *moves, end = paths.fixups[paths.fixup_of[address]] or [None]
    if end is None:
        yield "fix-up that isn't there"
        return
    access = accesses[address]
    missed = [access]
    if end.mnemonic not in ("jmp", "b") or not _leave_out(paths, accesses, address, end.operands[0].imm, missed):
        yield "fix-up that doesn't go on right after its access"
    values = dict(move for instruction in moves if (move := paths.architecture.set_by_move(instruction)))
    ones = (1 << 8 * access.width) - 1
    registers = {each.register for each in missed} if access.is_load else set()
    if any(values.pop(register, 0) & ones != ones for register in registers):
        yield "fix-up that doesn't give all ones"
    if list(values.values()) != [1] or len(moves) != len(values) + len(registers):
        yield "fix-up that does something else than to note the fault"


def _leave_out(paths: Paths, accesses: dict[int, Access], address: int, target: int, missed: list[Access]) -> bool:
    """Add the accesses that are left out by going on at the target; whether that is all that is left out.

    They must be like the one that faults, and between them there may only be steps of their address.
    """
    like = missed[0]
    address += paths.code[address].size
    while address < target and address in paths.code:
        if address in paths.fixup_of and address in accesses:
            missed.append(accesses[address])
        elif paths.architecture.stepped(paths.code[address]) != like.base:
            break
        address += paths.code[address].size
    same = {(each.is_load, each.width, each.base) for each in missed}
    return address == target and len(same) == 1
