# SPDX-License-Identifier: GPL-2.0-or-later
"""Audit the crate's machine code in linked programs (C4); docs/audit.md has the rules and their reasons.

    machine_code.py PROGRAM...

The exit status is 1 if something forbidden was found, 2 if a program has nothing to audit.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.code_aarch64 import AArch64
from audit.code_fixups import faults_of_fixup
from audit.code_image import Image, Refused
from audit.code_instruction import Access, Architecture
from audit.code_paths import Finding, Paths
from audit.code_x86_64 import X8664

ARCHITECTURES: dict[str, type[Architecture]] = {"x86_64": X8664, "aarch64": AArch64}
WIDTHS = (1, 2, 4, 8)
STRUCT_SIZE = 24
DEVICE, RAM, STACK, STRUCT = "device", "RAM side", "stack", "struct RamDevice"
STATIC, OTHER_STRUCT = "static data", "other structs"
# Both sides of a move from RAM to RAM.
SOURCE, DESTINATION = "RAM moved from", "RAM moved to"
# One instruction may access the RAM side when one caller calls, and that caller's stack when another one does.
OTHERS = (RAM, STACK, STRUCT, STATIC, OTHER_STRUCT)
# Functions that get neither a RAM device nor a word to move keep tables of C's: that may be done in any way.
ANY_WAY = {"vector or floating-point register", "pair of registers", "writeback"}


@dataclass
class Audit:
    """What was found in one program."""

    title: str
    image: Image
    functions: list[str]
    # Mangled functions of the crate that no exported one reaches.
    unreached: list[str]
    instructions: int
    fixups: int
    # Instructions that access the device, by direction and width.
    device: Counter[tuple[str, int]]
    # Instructions that move a word from RAM to RAM: loads from the one, and stores to the other, by width.
    moves: Counter[tuple[str, int]]
    # Instructions that access something else, by what.
    others: Counter[str]
    findings: list[Finding]

    def __str__(self) -> str:
        counts, moves = [{direction: ", ".join(f"{found[direction, width]} of {width}" for width in WIDTHS)
                          for direction in ("load", "store")} for found in (self.device, self.moves)]
        size = f"{len(self.functions)} functions, {self.instructions} instructions, {len(self.findings)} forbidden"
        others = ", ".join(f"{kind} {self.others[kind]}" for kind in OTHERS)
        lines = [f"{self.title} ({self.image.architecture}): {size}",
                 f"  loads from the device, in bytes: {counts['load']}; stores: {counts['store']}",
                 f"  loads of words of RAM that are moved: {moves['load']}; stores: {moves['store']}",
                 f"  fix-ups {self.fixups}; instructions that access something else: {others}"]
        if self.unreached:
            lines.append(f"  no exported function reaches, and no device access is in: {', '.join(self.unreached)}")
        return "\n".join(lines + [f"  FORBIDDEN {finding.kind}: {finding.address:#x}: {finding.text}"
                                  for finding in self.findings])


def finding(kind: str, instruction: Any) -> Finding:
    """Say that this instruction isn't allowed."""
    return Finding(kind, instruction.address, f"{instruction.mnemonic} {instruction.op_str}".strip())


def place(access: Access) -> str | None:
    """What an access is made to, by where its address comes from; None: that can't be told."""
    names = {"device": DEVICE, "buffer": RAM, "source": SOURCE, "destination": DESTINATION, "stack": STACK,
             "struct": STRUCT, "image": STATIC, "other struct": OTHER_STRUCT}
    return next((name for origin, name in names.items() if access.address.comes_from(origin)), None)


def faults_of_access(access: Access, is_in_table: bool, image: Image) -> Iterator[str]:
    """What is wrong with one access."""
    where, exact = place(access), access.address.exact
    if where is None:
        yield "address of unknown origin"
    if is_in_table and where != DEVICE:
        yield "entry of the table that is no access to the device"
    if where == DEVICE and not is_in_table:
        yield "access to the device that isn't in the table"
    if access.is_pair and where not in (STACK, STRUCT, OTHER_STRUCT):
        yield "pair of registers"
    if access.has_writeback and where not in (STACK, OTHER_STRUCT):
        yield "writeback"
    if where in (DEVICE, RAM, SOURCE, DESTINATION) and not (access.is_pair or access.has_writeback):
        if not access.is_plain:
            yield "address that isn't a base register alone"
        if not access.is_move or access.is_load == access.is_store or access.width not in WIDTHS:
            yield "access that is no plain load or store of a general register"
    if where in (STRUCT, STATIC, SOURCE) and access.is_store:
        yield f"store to {where}"
    if where == DESTINATION and access.is_load:
        yield f"load from {where}"
    if where in (SOURCE, DESTINATION) and exact != 0:
        yield "access beside the word that is moved"
    if where == STRUCT and not (exact is not None and 0 <= exact <= STRUCT_SIZE - access.width):
        yield "access beside struct RamDevice"
    if where == STATIC and exact is not None and not image.is_constant(exact):
        yield "load of something that may change"


def audit(program: Path, title: str = "") -> Audit:
    """Audit the crate in one linked program, whose name in the report is the title."""
    image = Image(program)
    architecture = ARCHITECTURES[image.architecture]()
    paths = Paths(image, architecture)
    followed = paths.all()
    reached = {address: instruction for path in followed for address, instruction in path.reached.items()}
    functions = sorted({path.function.name for path in followed})
    found = {finding("code that no path reaches", instruction)
             for name in functions for instruction in paths.linear(image.functions[name])
             if instruction.address not in reached and not architecture.is_padding(instruction)}

    table = paths.fixup_of
    device: dict[int, tuple[str, int]] = {}
    moves: dict[int, tuple[str, int]] = {}
    others: dict[int, set[str]] = {}
    for path in followed:
        problems = set(path.findings)
        problems |= {finding(kind, instruction) for instruction in path.reached.values()
                     if (kind := architecture.forbidden(instruction))}
        for address, access in path.accesses:
            instruction = reached[address]
            kinds = set(faults_of_access(access, address in table, image))
            if address in table:
                kinds |= set(faults_of_fixup(paths, dict(path.accesses), address))
            problems |= {finding(kind, instruction) for kind in kinds}
            where = place(access)
            move = ("load" if access.is_load else "store", access.width)
            if where == DEVICE:
                device[address] = move
            elif where in (SOURCE, DESTINATION):
                moves[address] = move
            elif where:
                others.setdefault(address, set()).add(where)
        found |= {problem for problem in problems if path.is_strict or problem.kind not in ANY_WAY}
    for address in set(table) - set(device):
        found.add(Finding("entry of the table that no access to the device is at", address, ""))
    if not device:
        raise Refused(f"{program} has no access to the device that could be audited")
    return Audit(
        title or program.name, image, functions,
        unreached=sorted(set(image.functions) - set(functions)),
        instructions=len(reached),
        fixups=len(paths.fixups),
        device=Counter(device.values()),
        moves=Counter(moves.values()),
        others=Counter(next(kind for kind in OTHERS if kind in kinds) for kinds in others.values()),
        findings=sorted(found, key=lambda problem: problem.address))


def main(programs: list[str]) -> int:
    """Print the report of each program; the exit status."""
    status = 0
    for program in programs:
        try:
            audited = audit(Path(program))
        except Refused as refused:
            print(f"machine_code.py: {refused}", file=sys.stderr)
            return 2
        print(audited)
        status |= bool(audited.findings)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
