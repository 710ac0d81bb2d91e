# SPDX-License-Identifier: GPL-2.0-or-later
"""C9: a reset ends a request that is carried out in parts, and waits for it: there is no DMA afterwards."""

from __future__ import annotations

import random
from pathlib import Path

from drivers.pvscsi import PvScsi
from drivers.request import Segment
from drivers.scsi_disk import BLOCK, transfer_command
from drivers.virtio import VirtioPci
from drivers.virtio_scsi import VirtioScsi
from machines import emulators
from pool.machine import FIRST_DISK_SLOT, MIB, machine

BUDGET, PARTS = 2 * MIB, 3
SIZE, BAR_SIZE = PARTS * BUDGET, 8 * MIB
# Of `-M virt`: a hole. virtio-scsi maps its data twice, and the second time 512 bytes of bounce buffers are left.
HOLE, INTO_HOLE = 0x0F00_0000, 3584
PART_DONE, ENDED = "dma_blk_cb", "dma_complete"
# Each read of a disk that is throttled waits for the one before, but for the first; a drain lets the one go that waits.
SLOW = "driver=throttle,throttle-group=slow,file.driver=null-co,file.read-zeroes=on"
DISK = [
    "-trace", PART_DONE, "-trace", ENDED, "-object", "throttle-group,id=slow",
    "-blockdev", f"{SLOW},node-name=disk,file.size={SIZE}",
    "-device", "scsi-hd,bus=controller.0,drive=disk",
]  # fmt: skip


def test_c9_a_reset_ends_a_read_into_a_bar(tmp_path: Path) -> None:
    options = ["-device", f"pvscsi,id=controller,addr={FIRST_DISK_SLOT:x}.0", *DISK]
    with machine(emulators.wanted("patched"), tmp_path, BAR_SIZE, options, BUDGET) as running:
        disk = PvScsi(running.function(FIRST_DISK_SLOT), running.window, running.pages)
        running.emulator.monitor('qom-set -j /objects/slow limits {"bps-total":1}')
        disk.begin(transfer_command(True, 0, SIZE), True, [Segment(running.address, SIZE)])
        running.wait_for_trace(PART_DONE, 2)
        assert ENDED not in running.emulator.messages()
        disk.reset()
        assert running.emulator.messages().count(ENDED) == 1
        pattern = random.Random("after the reset").randbytes(SIZE)
        running.fill_bar(0, pattern)
        running.emulator.monitor('qom-set -j /objects/slow limits {"bps-total":0}')
        disk = PvScsi(running.function(FIRST_DISK_SLOT), running.window, running.pages)
        disk.transfer(True, 0, [Segment(running.address, BLOCK)])
        assert running.bar(0, SIZE) == bytes(BLOCK) + pattern[BLOCK:]


def test_a_reset_ends_a_read_into_a_hole(tmp_path: Path) -> None:
    options = ["-device", f"virtio-scsi-pci,id=controller,addr={FIRST_DISK_SLOT:x}.0,disable-legacy=on", *DISK]
    with machine(emulators.wanted("patched"), tmp_path, BAR_SIZE, options) as running:
        transport = VirtioPci(running.function(FIRST_DISK_SLOT), running.window)
        disk = VirtioScsi(transport, running.pages)
        running.emulator.monitor('qom-set -j /objects/slow limits {"bps-total":1}')
        disk.begin(transfer_command(True, 0, INTO_HOLE), True, [Segment(HOLE, INTO_HOLE)])
        running.wait_for_trace(PART_DONE, 2)
        assert ENDED not in running.emulator.messages()
        transport.status = 0
        assert running.emulator.messages().count(ENDED) == 1
