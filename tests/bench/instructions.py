# SPDX-License-Identifier: GPL-2.0-or-later
"""A script for gdb: has a running emulator access a RAM device, and counts the instructions that it executes for it.

    gdb --batch -x instructions.py --args qemu-system-aarch64 -M virt -accel qtest -S ...

Prints one line for each access: "count ACCESS BYTES INSTRUCTIONS".
"""

import gdb

from machines import stopped_emulator
from machines.stopped_emulator import enter, program_counter, step, vdso

GUEST_ADDRESS = 1 << 44
DEVICE_SIZE = 1 << 20
# sizeof(MemoryRegion) is 272; it isn't ours to know.
REGION_SIZE = 4096
LIMIT = 500_000
NO_ATTRIBUTES, READ, WRITE = 0, 0, 1
SIZES = (8, 128, 256)


def called(function: str, *arguments: int | str) -> int:
    """What the function returns."""
    enter(function, *arguments)
    gdb.execute("tbreak *$return", to_string=True)
    gdb.execute("continue", to_string=True)
    return int(gdb.parse_and_eval("(unsigned long)$rax"))


def counted(function: str, *arguments: int | str) -> int:
    """How many instructions the function executes, called functions included; one for a clock that is read."""
    enter(function, *arguments)
    back = int(gdb.parse_and_eval("$return"))
    for count in range(1, LIMIT):
        step(clocks)
        if program_counter() == back:
            return count
    raise SystemExit(f"{function}() did not return within {LIMIT} instructions")


def add_device() -> None:
    """A RAM device over ordinary memory."""
    memory, region = (called("g_malloc0", size) for size in (DEVICE_SIZE, REGION_SIZE))
    owner, name = called("object_get_root"), called("g_malloc0", 8)
    called("memory_region_init_ram_device_ptr", region, owner, name, DEVICE_SIZE, memory)
    if gdb.lookup_global_symbol("memory_region_set_ram_device_lasting"):
        called("memory_region_set_ram_device_lasting", region)
    called("memory_region_add_subregion", called("get_system_memory"), GUEST_ADDRESS, region)


def transfers(is_write: int) -> None:
    """address_space_rw(), once before it counts."""
    name = "write" if is_write else "read"
    for size in SIZES:
        access = ("address_space_rw", "$as", GUEST_ADDRESS, NO_ATTRIBUTES, "$buffer", size, is_write)
        called(*access)
        print(f"count {name} {size} {counted(*access)}")


def maps(size: int) -> None:
    """As a read of a disk does it: a buffer, and what is in it is written to the device."""
    mapping = ("address_space_map", "$as", GUEST_ADDRESS, "$length", WRITE, NO_ATTRIBUTES)
    unmapping = ("address_space_unmap", "$as", "$rax", size, WRITE, size)
    for count in (called, counted):
        gdb.execute(f"set *(unsigned long *)$length = {size}")
        taken = [count(*mapping), count(*unmapping)]
    print(f"count map {size} {taken[0]}\ncount unmap {size} {taken[1]}")


stopped_emulator.start()
clocks = vdso()
add_device()
transfers(READ)
transfers(WRITE)
if gdb.lookup_global_symbol("ram_device_unmap"):
    for size in SIZES:
        maps(size)
gdb.execute("kill")
