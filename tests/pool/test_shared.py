# SPDX-License-Identifier: GPL-2.0-or-later
"""C9: of two disks that write the same memory, as those of a mirror do, neither waits for what the other one holds."""

from __future__ import annotations

import random
from pathlib import Path

from drivers import pci
from drivers.nvme import Nvme
from drivers.request import Segment, wait_until
from machines import emulators
from pool.machine import EVERY_ANSWER_SECONDS, FIRST_DISK_SLOT, MIB, Machine, machine

BUDGET = 2 * MIB
PAGE = 4096
BLOCK = 512
# What the emulator tells when a disk begins with a transfer.
BEGINS = "dma_blk_io"


def nvme_options(number: int, image: Path) -> list[str]:
    """The emulator's arguments for a controller whose writes blkdebug can hold."""
    return [
        "-blockdev", f"driver=file,node-name=file{number},filename={image}",
        "-blockdev", f"driver=blkdebug,node-name=debug{number},image=file{number}",
        "-blockdev", f"driver=raw,node-name=raw{number},file=debug{number}",
        "-device", f"nvme,id=disk{number},serial={number},addr={FIRST_DISK_SLOT + number:x}.0,drive=raw{number},mdts=9",
    ]  # fmt: skip


def debug(running: Machine, number: int, command: str) -> None:
    """Have blkdebug do it."""
    running.emulator.monitor(f'qemu-io -d /machine/peripheral/disk{number} "{command}"')


def test_c9_a_disk_goes_on_while_the_other_one_holds_the_same_memory(tmp_path: Path) -> None:
    images = [tmp_path / f"disk{number}" for number in range(2)]
    for image in images:
        image.write_bytes(bytes(2 * BUDGET))
    data = random.Random(0).randbytes(BUDGET + PAGE)
    options = [*nvme_options(0, images[0]), *nvme_options(1, images[1]), "-trace", BEGINS]
    with machine(emulators.wanted("patched"), tmp_path, 2 * BUDGET, options, BUDGET) as running:
        running.fill_bar(0, data)
        first, second = (Nvme(pci.Function(running.emulator.qtest, FIRST_DISK_SLOT + number), running.window,
                              running.pages) for number in range(2))  # fmt: skip
        for number in range(2):
            debug(running, number, "break write_aio held")
        # Each disk has its whole budget in use.
        one = first.begin_transfer(False, 0, Segment(running.address, BUDGET))
        running.wait_for_trace(BEGINS)
        other = second.begin_transfer(False, 0, Segment(running.address, BUDGET))
        running.wait_for_trace(BEGINS, 2)
        debug(running, 0, "resume held")
        wait_until(one, "the first disk", EVERY_ANSWER_SECONDS)
        more = first.begin_transfer(False, BUDGET // BLOCK, Segment(running.address + BUDGET, PAGE))
        wait_until(more, "the first disk, whose budget is free", EVERY_ANSWER_SECONDS)
        assert not other()
        debug(running, 1, "resume held")
        wait_until(other, "the second disk", EVERY_ANSWER_SECONDS)
    assert images[0].read_bytes()[:BUDGET + PAGE] == data
    assert images[1].read_bytes()[:BUDGET] == data[:BUDGET]
