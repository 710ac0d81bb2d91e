# SPDX-License-Identifier: GPL-2.0-or-later
"""A script for gdb: has a running emulator access ordinary RAM, and lists each instruction that it executes for it.

    gdb --batch -x step.py --args qemu-system-aarch64 -M virt -accel qtest -S ...

Prints one line for each access: "path ACCESS INSTRUCTION;INSTRUCTION;...", where an instruction is its mnemonic, and
for a call the name of the function.
"""

import re

import gdb

RAM = 0x40000000  # of -M virt
LENGTH = 64
LIMIT = 20000

ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "r8")
NO_ATTRIBUTES, WRITE = 0, 1
# A function, and its arguments as gdb evaluates them. What they point to lies in unused stack.
ACCESSES = {
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


def executed(*call: int | str) -> list[str]:
    """The instructions of the call of a function with arguments, from the function's first to its last.

    gdb's own `call` writes all registers, which it can't where it doesn't know the processor's extended state.
    """
    function, *arguments = call
    for register, argument in zip(ARGUMENTS, arguments, strict=False):
        gdb.execute(f"set ${register} = (unsigned long)({argument})")
    gdb.execute("set $rsp = $stack")
    gdb.execute("set *(unsigned long *)$rsp = $return")
    gdb.execute(f"set $rip = (unsigned long)&{function}")
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


# Whatever a library is written in, expressions are C.
gdb.execute("set language c")
gdb.execute("set confirm off")
gdb.execute("set pagination off")
gdb.execute("set breakpoint pending on")
gdb.execute("handle SIGUSR1 SIGUSR2 SIGPIPE nostop noprint pass")
gdb.execute("tbreak main_loop_wait")
gdb.execute("run")
gdb.execute("set scheduler-locking on")
gdb.execute("set $as = &address_space_memory")
gdb.execute("set $return = (unsigned long)$pc")
gdb.execute("set $buffer = ((unsigned long)$rsp - 0x10000) & ~0xfffUL")
gdb.execute("set $length = $buffer + 0x1000")
gdb.execute(f"set *(unsigned long *)$length = {LENGTH}")
gdb.execute("set $cache = $buffer + 0x2000")
# At a function's first instruction the stack is 8 bytes off a multiple of 16.
gdb.execute("set $stack = $buffer - 8")
for name, access in ACCESSES.items():
    print(f"path {name}: {';'.join(executed(*access))}")
gdb.execute("kill")
