# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways to take the BAR's memory away and to give it back.

The guest's ways are accesses to its configuration space; the emulator makes them under its big lock. From outside,
somebody else does to the device's config region in the kernel what the emulator would do, and asks nobody: here it
is the script, which takes the file descriptor out of the emulator. Kernel and hardware do it when a device fails.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from drivers import pci
from machines.qtest_client import EmulatorError
from storm.assigned import BRIDGE_CONTROL, CONFIG_REGION, Machine, region

DEVICE_CONTROL, FUNCTION_LEVEL_RESET = 8, 0x8000
POWER_CAPABILITY, POWER_CONTROL, D0, D3HOT = 0x01, 4, 0, 3
SECONDARY_BUS_RESET = 0x40
BARS = 6
LONGEST_PAUSE = 0.004


class Way(Protocol):
    """What takes the BAR's memory away, and gives it back."""

    def revoke(self) -> None: ...

    def restore(self) -> None: ...


class MemoryEnable:
    """The command register's bit."""

    def __init__(self, machine: Machine) -> None:
        self._device = machine.device

    def revoke(self) -> None:
        self._device.set_config16(pci.COMMAND, pci.COMMAND_MASTER)

    def restore(self) -> None:
        self._device.set_config16(pci.COMMAND, pci.COMMAND_MEMORY | pci.COMMAND_MASTER)


class BusReset:
    """A reset of the bus behind the root port; the device's BARs are to be placed anew."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def revoke(self) -> None:
        self._machine.port.set_config16(BRIDGE_CONTROL, SECONDARY_BUS_RESET)

    def restore(self) -> None:
        self._machine.port.set_config16(BRIDGE_CONTROL, 0)
        self._machine.place_device()


class FunctionLevelReset:
    """The function's own reset."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._control = _capability(machine.device, pci.EXPRESS_CAPABILITY) + DEVICE_CONTROL

    def revoke(self) -> None:
        device = self._machine.device
        device.set_config16(self._control, device.config16(self._control) | FUNCTION_LEVEL_RESET)

    def restore(self) -> None:
        self._machine.place_device()


class PowerDown:
    """The power state D3hot."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._control = _capability(machine.device, POWER_CAPABILITY) + POWER_CONTROL

    def revoke(self) -> None:
        self._machine.device.set_config16(self._control, D3HOT)

    def restore(self) -> None:
        self._machine.device.set_config16(self._control, D0)
        self._machine.place_device()


class Enumeration:
    """What a guest does that looks for its devices: it sizes all BARs while there is no memory, and places them."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def revoke(self) -> None:
        device = self._machine.device
        device.set_config16(pci.COMMAND, 0)
        for register in range(pci.FIRST_BAR, pci.FIRST_BAR + 4 * BARS, 4):
            device.set_config32(register, 0xFFFF_FFFF)
            device.config32(register)

    def restore(self) -> None:
        self._machine.place_device()


class Unplug:
    """The guest switches the device's slot off; then the device is plugged in again."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def revoke(self) -> None:
        self._machine.unplug()

    def restore(self) -> None:
        self._machine.plug()


def _capability(function: pci.Function, kind: int) -> int:
    """The first capability of this kind."""
    for offset in function.capabilities(kind):
        return offset
    raise EmulatorError(f"the assigned device has no capability {kind:#x}")


class Outside:
    """Revokes and restores from a thread of the script, at random times, while it is let."""

    def __init__(self, machine: Machine, seed: str) -> None:
        self.revocations = 0
        self._device = machine.vfio_file
        self._random = random.Random(seed)
        self._may_revoke = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._storm)

    def __enter__(self) -> Outside:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """The BAR is there, and stays."""
        with self._may_revoke:
            yield

    def revoke(self) -> None:
        self._command(pci.COMMAND_MASTER)
        self.revocations += 1

    def restore(self) -> None:
        self._command(pci.COMMAND_MASTER | pci.COMMAND_MEMORY)

    def _command(self, value: int) -> None:
        os.pwrite(self._device, value.to_bytes(2, "little"), region(CONFIG_REGION) + pci.COMMAND)

    def _storm(self) -> None:
        while not self._stop.is_set():
            with self._may_revoke:
                self.revoke()
                self._pause()
                self.restore()
            self._pause()

    def _pause(self) -> None:
        time.sleep(self._random.random() * LONGEST_PAUSE)
