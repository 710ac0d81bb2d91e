# SPDX-License-Identifier: GPL-2.0-or-later
"""C9: a transfer of USB that is cancelled gives its buffers back."""

from __future__ import annotations

import itertools
import random
from contextlib import suppress
from pathlib import Path

import pytest

from drivers import pci
from drivers.request import NoAnswer, Segment
from drivers.usb_storage import UsbStorage
from drivers.xhci import Xhci
from machines import emulators
from pool.machine import FIRST_DISK_SLOT, MIB, Machine, machine

BUDGET, SIZE = 2 * MIB, MIB
# The machine may be too slow to cancel a transfer before it is done.
CANCELLED, IS_CANCELLED, TRIALS = 3, "usb_msd_cmd_cancel", 60
BAR = 4 * SIZE


def usb_storage(running: Machine) -> UsbStorage:
    """A driver that resets the controller, and with it whatever is under way."""
    function = pci.Function(running.emulator.qtest, FIRST_DISK_SLOT)
    return UsbStorage(Xhci(function, running.window, running.pages), running.pages)


def test_c9_a_reset_of_the_controller_gives_buffers_back(tmp_path: Path) -> None:
    image = tmp_path / "disk"
    image.write_bytes(random.Random(0).randbytes(SIZE))
    options = [
        "-trace", IS_CANCELLED, "-object", "throttle-group,id=slow",
        "-device", f"qemu-xhci,id=usb,addr={FIRST_DISK_SLOT:x}.0",
        "-blockdev", f"driver=throttle,node-name=disk,throttle-group=slow,file.driver=file,file.filename={image}",
        "-device", "usb-storage,bus=usb.0,drive=disk",
    ]  # fmt: skip
    with machine(emulators.wanted("patched"), tmp_path, BAR, options, BUDGET) as running:
        places = [Segment(running.address + begin, SIZE) for begin in range(0, BAR, SIZE)]
        # QEMU waits for a cancelled request of the disk, so it takes a second, and not for ever.
        running.emulator.monitor(f'qom-set -j /objects/slow limits {{"bps-total":{SIZE}}}')
        disk = usb_storage(running)
        for to in itertools.islice(itertools.cycle(places[:CANCELLED]), TRIALS):
            disk.transfer(True, 0, [to])
            with suppress(NoAnswer):
                disk.transfer(True, 0, [to], timeout=0)
            disk = usb_storage(running)
            if running.emulator.messages().count(IS_CANCELLED) == CANCELLED:
                break
        else:
            pytest.fail(f"not {CANCELLED} of {TRIALS} transfers were cancelled")
        disk.transfer(True, 0, [places[CANCELLED]])
        assert running.bar(CANCELLED * SIZE, SIZE) == image.read_bytes()
