# SPDX-License-Identifier: GPL-2.0-or-later
"""C9: a request that finds buffers for a part of its data moves that part, then the rest; no byte goes elsewhere."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from drivers import pci
from drivers.megasas import MegaSas
from drivers.nvme import BLOCK, Nvme
from drivers.request import ANSWER_SECONDS, Segment, wait_until
from drivers.scsi_disk import READ_16, WRITE_16
from drivers.virtio import VirtioPci
from drivers.virtio_scsi import VirtioScsi
from machines import emulators
from pool.machine import FIRST_DISK_SLOT, MIB, machine
from pool.test_shared import BEGINS, PAGE, debug, nvme_options

BUDGET, BAR_SIZE, AT = 2 * MIB, 4 * MIB, MIB
# There are buffers for the first piece but not for both, and it doesn't end with a sector of the disk.
FIRST_PIECES = (100, BLOCK + 100, 4096 + 4, 65536 + 511)
GAP, SHORT = PAGE, 100
# What the emulator tells when a request finds no memory for any of its sectors.
WAITS_FOR_MEMORY = "dma_map_wait"


@pytest.mark.parametrize("from_disk", [True, False], ids=["read", "write"])
@pytest.mark.parametrize("first", FIRST_PIECES)
def test_c9_a_request_that_is_carried_out_in_parts_is_cut_between_sectors(
    first: int, from_disk: bool, tmp_path: Path
) -> None:
    image, size = tmp_path / "image", BUDGET
    on_disk, in_bar = (random.Random(f"{first} {where}").randbytes(size) for where in ("disk", "BAR"))
    image.write_bytes(on_disk)
    options = ["-blockdev", f"driver=file,node-name=disk,filename={image}",
               "-device", f"nvme,serial=1,mdts=9,drive=disk,addr={FIRST_DISK_SLOT:x}.0"]  # fmt: skip
    with machine(emulators.wanted("patched"), tmp_path, BAR_SIZE, options, BUDGET) as running:
        disk = Nvme(pci.Function(running.emulator.qtest, FIRST_DISK_SLOT), running.window, running.pages)
        running.fill_bar(AT, in_bar[:first])
        running.fill_bar(AT + first + GAP, in_bar[first:])
        begin = running.address + AT
        data = [Segment(begin, first), Segment(begin + first + GAP, size - first)]
        disk.transfer(from_disk, 0, data, ANSWER_SECONDS, by_sgl=True)
        wanted = on_disk if from_disk else in_bar
        found = running.bar(AT, first) + running.bar(AT + first + GAP, size - first)
        assert found == wanted
        assert running.bar(AT + first, GAP) == bytes(GAP)
        # All buffers have been given back: another one of that size finds them.
        disk.transfer(from_disk, 0, data, ANSWER_SECONDS, by_sgl=True)
    assert image.read_bytes() == wanted


@pytest.mark.parametrize("from_disk", [True, False], ids=["read", "write"])
@pytest.mark.parametrize("pieces", [(BLOCK + 100, BLOCK - 100, BLOCK), (100, BLOCK - 100), (1, 2, 2 * BLOCK - 3)])
def test_c9_what_is_cut_off_is_carried_out_later(pieces: Sequence[int], from_disk: bool, tmp_path: Path) -> None:
    """All buffers but one page are in use: there is none for the second piece, which ends the first one's sector."""
    image, size = tmp_path / "image", sum(pieces)
    on_disk, in_bar = (random.Random(f"{pieces} {where}").randbytes(BUDGET + size) for where in ("disk", "BAR"))
    image.write_bytes(on_disk)
    options = [*nvme_options(0, image), "-trace", BEGINS, "-trace", WAITS_FOR_MEMORY]
    with machine(emulators.wanted("patched"), tmp_path, BAR_SIZE, options, BUDGET) as running:
        disk = Nvme(pci.Function(running.emulator.qtest, FIRST_DISK_SLOT), running.window, running.pages)
        debug(running, 0, "break read_aio held")
        held = Segment(running.address, BUDGET - PAGE)
        disk.begin_transfer_on_another_queue(True, 0, held, running.pages)
        running.wait_for_trace(BEGINS)
        offsets = [BUDGET + PAGE * number for number in range(len(pieces))]
        begins = [sum(pieces[:number]) for number in range(len(pieces))]
        for offset, begin, piece in zip(offsets, begins, pieces, strict=True):
            running.fill_bar(offset, in_bar[begin : begin + piece])
        data = [Segment(running.address + offset, piece) for offset, piece in zip(offsets, pieces, strict=True)]
        is_done = disk.begin_transfer(from_disk, BUDGET // BLOCK, *data)
        running.wait_for_trace(WAITS_FOR_MEMORY)
        debug(running, 0, "resume held")
        wait_until(is_done, "the request in pieces", ANSWER_SECONDS)
        wanted = on_disk[BUDGET:] if from_disk else in_bar[:size]
        found = b"".join(running.bar(offset, piece) for offset, piece in zip(offsets, pieces, strict=True))
        assert found == wanted
        # All buffers have been given back: this one needs them.
        disk.transfer(True, 0, [Segment(running.address, BUDGET)], ANSWER_SECONDS, by_sgl=True)
        assert running.bar(0, BUDGET) == on_disk[:BUDGET]
    assert image.read_bytes()[BUDGET:] == wanted


@pytest.mark.parametrize("from_disk", [True, False], ids=["read", "write"])
@pytest.mark.parametrize("left_over", [1, 100, BLOCK - 1])
def test_all_of_a_transfer_is_made_though_its_buffer_is_longer(left_over: int, from_disk: bool, tmp_path: Path) -> None:
    image, size = tmp_path / "image", 8 * BLOCK
    on_disk, in_bar = (random.Random(f"{left_over} {where}").randbytes(size + left_over) for where in ("disk", "BAR"))
    image.write_bytes(on_disk[:size] + bytes(size))
    options = ["-blockdev", f"driver=file,node-name=disk,filename={image}",
               "-device", f"virtio-scsi-pci,id=controller,addr={FIRST_DISK_SLOT:x}.0,disable-legacy=on",
               "-device", "scsi-hd,bus=controller.0,drive=disk"]  # fmt: skip
    with machine(emulators.wanted("patched"), tmp_path, BAR_SIZE, options) as running:
        transport = VirtioPci(running.function(FIRST_DISK_SLOT), running.window)
        disk = VirtioScsi(transport, running.pages)
        running.fill_bar(AT, in_bar)
        disk.transfer(from_disk, 0, [Segment(running.address + AT, size + left_over)], ANSWER_SECONDS)
        moved = on_disk if from_disk else in_bar
        assert running.bar(AT, size) == moved[:size]
    assert image.read_bytes() == moved[:size] + bytes(size)


@pytest.mark.parametrize("from_disk", [True, False], ids=["read", "write"])
@pytest.mark.parametrize("where", ["RAM", "BAR"])
def test_a_buffer_that_is_shorter_than_a_sector_is_used_whole(where: str, from_disk: bool, tmp_path: Path) -> None:
    """As the stock emulator does it; megasas leaves it to the driver how long its buffer is."""
    image = tmp_path / "image"
    on_disk, in_memory = (random.Random(f"{where} {side}").randbytes(BLOCK) for side in ("disk", "memory"))
    image.write_bytes(on_disk)
    options = ["-blockdev", f"driver=file,node-name=disk,filename={image}",
               "-device", f"megasas,id=controller,addr={FIRST_DISK_SLOT:x}.0",
               "-device", "scsi-hd,bus=controller.0,drive=disk"]  # fmt: skip
    with machine(emulators.wanted("patched"), tmp_path, BAR_SIZE, options) as running:
        qtest = running.emulator.qtest
        disk = MegaSas(running.function(FIRST_DISK_SLOT), running.window, running.pages)
        buffer = Segment(running.address + AT if where == "BAR" else running.pages.take(), SHORT)
        qtest.write(buffer.address, in_memory)
        operation = READ_16 if from_disk else WRITE_16
        disk.command(struct.pack(">BBQIBB", operation, 0, 0, 1, 0, 0), from_disk, [buffer])
        found = qtest.read(buffer.address, BLOCK)
    assert found == (on_disk[:SHORT] + in_memory[SHORT:] if from_disk else in_memory)
    assert image.read_bytes() == (on_disk if from_disk else in_memory[:SHORT] + on_disk[SHORT:])
