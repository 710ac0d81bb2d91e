# SPDX-License-Identifier: GPL-2.0-or-later
"""A script for gdb: has a running emulator access ordinary RAM, and lists each instruction that it executes for it.

    gdb --batch -x step.py --args qemu-system-aarch64 -M virt -accel qtest -S ...

Prints one line for each access: "path ACCESS INSTRUCTION;INSTRUCTION;...", where an instruction is its mnemonic, and
for a call the name of the function.
"""

import re
from collections.abc import Iterable

import gdb

from machines import stopped_emulator

RAM = 0x40000000  # of -M virt
LENGTH = 64
LIMIT = 20000

NO_ATTRIBUTES, WRITE = 0, 1
# A function, and its arguments as gdb evaluates them.
ACCESSES: dict[str, tuple[int | str, ...]] = {
    "read": ("address_space_read_full", "$as", RAM, NO_ATTRIBUTES, "$buffer", LENGTH),
    "write": ("address_space_write", "$as", RAM, NO_ATTRIBUTES, "$buffer", LENGTH),
    **{f"write {size}": ("address_space_write", "$as", RAM, NO_ATTRIBUTES, "$buffer", size) for size in (1, 2, 4, 8)},
    "load": ("address_space_ldl_le", "$as", RAM, NO_ATTRIBUTES, 0),
    "store": ("address_space_stl_le", "$as", RAM, 1, NO_ATTRIBUTES, 0),
    "write rom": ("address_space_write_rom", "$as", RAM, NO_ATTRIBUTES, "$buffer", LENGTH),
    "map": ("address_space_map", "$as", RAM, "$length", WRITE, NO_ATTRIBUTES),
    "unmap": ("address_space_unmap", "$as", "$mapped", LENGTH, WRITE, LENGTH),
    "cache": ("address_space_cache_init", "$cache", "$as", RAM, LENGTH, WRITE),
}


def instruction() -> str:
    """The instruction at the program counter."""
    frame = gdb.selected_frame()
    text: str = frame.architecture().disassemble(frame.pc())[0]["asm"]
    mnemonic, _, operands = text.partition(" ")
    if mnemonic.startswith("call"):
        target = re.search("<([^>+]+)", operands)
        return f"call {target.group(1) if target else 'through a pointer'}"
    return mnemonic


def stack_pointer() -> int:
    """The stack pointer."""
    return int(gdb.parse_and_eval("(unsigned long)$sp"))


def executed(function: str, arguments: Iterable[int | str]) -> list[str]:
    """The instructions of the call of a function with arguments, from the function's first to its last."""
    stopped_emulator.enter(function, *arguments)
    top = stack_pointer()
    instructions: list[str] = []
    while len(instructions) < LIMIT:
        instructions.append(instruction())
        returns = instructions[-1] == "ret" and stack_pointer() == top
        if returns and function == "address_space_map":
            gdb.execute("set $mapped = $rax")
        gdb.execute("stepi", to_string=True)
        if returns:
            return instructions
    raise SystemExit(f"{function}() did not return within {LIMIT} instructions")


stopped_emulator.start()
gdb.execute(f"set *(unsigned long *)$length = {LENGTH}")
gdb.execute("set $cache = $buffer + 0x2000")
for name, (function, *arguments) in ACCESSES.items():
    print(f"path {name}: {';'.join(executed(str(function), arguments))}")
gdb.execute("kill")
