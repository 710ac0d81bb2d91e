# SPDX-License-Identifier: GPL-2.0-or-later
"""The peer's own DMA: its engine between BAR 4 and the guest's RAM, and its interrupt."""

from __future__ import annotations

import random
import struct
import zlib

from checker.findings import KIB, Check
from checker.machine import PEER_SLOT, Machine
from drivers.request import NoAnswer, wait_until

SIZE = 64 * KIB
# Registers in BAR 0.
SOURCE, DESTINATION, LENGTH, FILL, COMMAND, STATUS, RESULT = 0x10, 0x18, 0x20, 0x28, 0x2C, 0x30, 0x38
COPY, FILLING, CHECKSUM = 1, 2, 3
SOURCE_IN_BAR, DESTINATION_IN_BAR, INTERRUPT = 0x100, 0x200, 0x400
DONE = 1
CAPABILITY_MSI, MSI_ENABLE = 0x05, 1
MESSAGE = 0x5A17
INTERRUPT_SECONDS = 60.0
# In BAR 4, in its second part that is mapped.
BEYOND_HOLE = 1 << 20


class Engine:
    """The engine of the peer's device."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def run(self, command: int, source: int, destination: int, fill: int = 0) -> int:
        """Carry a command out; its result. EngineFailed if the device says so."""
        qtest, registers = self._machine.qtest, self._machine.registers
        for register, value in ((SOURCE, source), (DESTINATION, destination), (LENGTH, SIZE)):
            qtest.write64(registers + register, value)
        qtest.write32(registers + FILL, fill)
        qtest.write32(registers + COMMAND, command)
        status = qtest.read32(registers + STATUS)
        if status != DONE:
            raise EngineFailed(f"command {command:#x} ended with status {status}")
        return qtest.read64(registers + RESULT)


class EngineFailed(Exception):
    """The device's own DMA can't be done."""


def check_engine(machine: Machine) -> Check:
    """RAM to BAR, BAR to RAM, a fill of each, and checksums; contents compared on both sides."""
    name, engine = "the device's own DMA into the guest's RAM", Engine(machine)
    memory, offset = machine.peer.memory, machine.peer.mappable[1][0] + BEYOND_HOLE
    ram, wrong = machine.pages.take(SIZE), []
    first, second = (random.Random(seed).randbytes(SIZE) for seed in ("to BAR", "to RAM"))

    def compare(what: str, found: object, wanted: object) -> None:
        if found != wanted:
            wrong.append(what)

    try:
        machine.qtest.write(ram, first)
        engine.run(COPY | DESTINATION_IN_BAR, ram, offset)
        compare("RAM to BAR", memory[offset : offset + SIZE], first)
        compare("BAR as the CPU reads it", machine.qtest.read(machine.memory + offset, SIZE), first)
        machine.qtest.write(machine.memory + offset, second)
        engine.run(COPY | SOURCE_IN_BAR, offset, ram)
        compare("BAR to RAM", machine.qtest.read(ram, SIZE), second)
        compare("checksum of RAM", engine.run(CHECKSUM, ram, 0), zlib.crc32(second))
        engine.run(FILLING, 0, ram, 0x5A)
        compare("fill of RAM", machine.qtest.read(ram, SIZE), b"\x5a" * SIZE)
        engine.run(FILLING | DESTINATION_IN_BAR, 0, offset, 0xA5)
        checksum = engine.run(CHECKSUM | SOURCE_IN_BAR, offset, 0)
        compare("fill and checksum of the BAR", checksum, zlib.crc32(b"\xa5" * SIZE))
    except EngineFailed as failed:
        return Check(name, False, str(failed))
    found = f"{SIZE // KIB} KiB copied both ways, filled and checksummed, contents equal"
    return Check(name, not wrong, f"wrong: {', '.join(wrong)}" if wrong else found)


def check_interrupt(machine: Machine) -> Check:
    """An MSI whose address is in RAM, where it can be seen."""
    name, function = "the device's interrupt (MSI)", machine.function(PEER_SLOT)
    place = machine.pages.take()
    capability = next(function.capabilities(CAPABILITY_MSI), None)
    if capability is None:
        return Check(name, False, "the emulator doesn't show the device's MSI capability")
    function.set_config32(capability + 4, place & 0xFFFF_FFFF)
    function.set_config32(capability + 8, place >> 32)
    function.set_config16(capability + 12, MESSAGE)
    function.set_config16(capability + 2, function.config16(capability + 2) | MSI_ENABLE)
    scratch = machine.pages.take(SIZE)
    try:
        Engine(machine).run(FILLING | INTERRUPT, 0, scratch)
        wanted = struct.pack("<I", MESSAGE)
        wait_until(lambda: machine.qtest.read(place, 4) == wanted, "the interrupt", INTERRUPT_SECONDS)
    except EngineFailed as failed:
        return Check(name, False, str(failed))
    except NoAnswer:
        return Check(name, False, f"none in {INTERRUPT_SECONDS:.0f} s")
    finally:
        function.set_config16(capability + 2, function.config16(capability + 2) & ~MSI_ENABLE)
    return Check(name, True, "arrives")
