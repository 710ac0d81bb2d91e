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

ACCESSES = {
    "read": f"address_space_read_full($as, {RAM}, *(MemTxAttrs *)$attrs, $buffer, {LENGTH})",
    "write": f"address_space_write($as, {RAM}, *(MemTxAttrs *)$attrs, $buffer, {LENGTH})",
    "load": f"address_space_ldl_le($as, {RAM}, *(MemTxAttrs *)$attrs, (void *)0)",
    "store": f"address_space_stl_le($as, {RAM}, 1, *(MemTxAttrs *)$attrs, (void *)0)",
    "write rom": f"address_space_write_rom($as, {RAM}, *(MemTxAttrs *)$attrs, $buffer, {LENGTH})",
    "map": f"address_space_map($as, {RAM}, $length, 1, *(MemTxAttrs *)$attrs)",
    "unmap": f"address_space_unmap($as, $mapped, {LENGTH}, 1, {LENGTH})",
    "cache": f"address_space_cache_init($cache, $as, {RAM}, {LENGTH}, 1)",
}


def instruction() -> str:
    """The instruction at the program counter."""
    frame = gdb.selected_frame()
    text = frame.architecture().disassemble(frame.pc())[0]["asm"]
    mnemonic, _, operands = text.partition(" ")
    if mnemonic.startswith("call"):
        target = re.search("<([^>+]+)", operands)
        return f"call {target.group(1) if target else 'through a pointer'}"
    return mnemonic


def stack_pointer() -> int:
    """The stack pointer."""
    return int(gdb.parse_and_eval("(unsigned long)$sp"))


def executed(expression: str) -> list[str]:
    """The instructions of the call, from the function's first to its last."""
    entry = gdb.Breakpoint(f"*{expression.partition('(')[0]}")
    try:
        gdb.execute(f"call (void){expression}", to_string=True)
    except gdb.error:
        pass  # gdb says that the call was interrupted by the breakpoint
    if entry.hit_count != 1:
        raise SystemExit(f"{expression} was not called")
    entry.delete()
    top = stack_pointer()
    instructions = []
    while len(instructions) < LIMIT:
        instructions.append(instruction())
        returns = instructions[-1] == "ret" and stack_pointer() == top
        if returns and "address_space_map" in expression:
            gdb.execute("set $mapped = (void *)$rax")
        gdb.execute("stepi", to_string=True)
        if returns:
            return instructions
    raise SystemExit(f"{expression} did not return within {LIMIT} instructions")


gdb.execute("set confirm off")
gdb.execute("set pagination off")
gdb.execute("set breakpoint pending on")
gdb.execute("handle SIGUSR1 SIGUSR2 SIGPIPE nostop noprint pass")
gdb.execute("tbreak main_loop_wait")
gdb.execute("run")
gdb.execute("set scheduler-locking on")
gdb.execute("set $as = &address_space_memory")
gdb.execute("set $buffer = (unsigned char *)g_malloc0(4096)")
gdb.execute("set $attrs = (unsigned long *)g_malloc0(64)")
gdb.execute("set $length = (unsigned long *)g_malloc0(8)")
gdb.execute(f"set *$length = {LENGTH}")
gdb.execute("set $cache = (MemoryRegionCache *)g_malloc0(sizeof(MemoryRegionCache))")
for name, access in ACCESSES.items():
    print(f"path {name}: {';'.join(executed(access))}")
gdb.execute("kill")
