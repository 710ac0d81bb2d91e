# SPDX-License-Identifier: GPL-2.0-or-later
"""For scripts of gdb: an emulator that is stopped in its main loop, and has functions called by hand.

gdb's own `call` writes all registers, which it can't where it doesn't know the processor's extended state. What
arguments point to lies in unused stack: $buffer, a page, and $length behind it.
"""

from pathlib import Path

import gdb

ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")


def start() -> None:
    """Run the emulator to its main loop. $as is the memory that its CPU sees."""
    gdb.execute("set language c")  # whatever a library is written in
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
    # At a function's first instruction the stack is 8 bytes off a multiple of 16.
    gdb.execute("set $stack = $buffer - 8")


def enter(function: str, *arguments: int | str) -> None:
    """Be at the function's first instruction; it returns to $return. gdb evaluates the arguments."""
    for register, argument in zip(ARGUMENTS, arguments, strict=False):
        gdb.execute(f"set ${register} = (unsigned long)({argument})")
    gdb.execute("set $rsp = $stack")
    gdb.execute("set *(unsigned long *)$rsp = $return")
    gdb.execute(f"set $rip = (unsigned long)&{function}")


def vdso() -> range:
    """The addresses of Linux's functions in the process, those that read clocks; none if it has none."""
    maps = Path(f"/proc/{gdb.selected_inferior().pid}/maps").read_text()
    places = [line.split()[0].split("-") for line in maps.splitlines() if line.endswith("[vdso]")]
    return range(*(int(end, 16) for end in places[0])) if places else range(0)


def program_counter() -> int:
    """The address of the next instruction."""
    return int(gdb.parse_and_eval("(unsigned long)$pc"))


def step(whole: range) -> None:
    """Execute an instruction; if that calls a function at an address among `whole`, the function.

    One that reads a clock begins again when Linux has changed the clock in between, as it does each few milliseconds:
    stepping through it may never end.
    """
    gdb.execute("stepi", to_string=True)
    if program_counter() in whole:
        gdb.execute("tbreak **(unsigned long *)$rsp", to_string=True)
        while program_counter() in whole:
            gdb.execute("continue", to_string=True)
