# SPDX-License-Identifier: GPL-2.0-or-later
"""DMA into a RAM device through the pool of buffers: of any size and number, in bounded memory (C9); and C10."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from drivers import pci
from drivers.request import RequestFailed, Segment, wait_until
from drivers.virtio import DeepQueue, VirtioPci
from drivers.virtio_blk import HEADER_SIZE, NO_STATUS_YET, VirtioBlk
from machines import emulators
from machines.bar_of_file import ROOT_PORT_SLOT
from machines.qtest_client import EmulatorError
from pool.machine import (
    EVERY_ANSWER_SECONDS,
    FIRST_DISK_SLOT,
    MIB,
    READ,
    WAITS,
    Batch,
    Machine,
    disk_options,
    machine,
)

BATCH = DeepQueue.BATCH
OK = 0


def images(folder: Path, count: int, size: int) -> list[Path]:
    """Disks with random contents."""
    source = random.Random(size)
    made = [folder / f"disk{number}" for number in range(count)]
    for image in made:
        image.write_bytes(source.randbytes(size))
    return made


def blk(running: Machine, number: int = 0) -> VirtioBlk:
    function = pci.Function(running.emulator.qtest, FIRST_DISK_SLOT + number)
    return VirtioBlk(running.emulator.qtest, VirtioPci(function, running.window), running.pages)


@pytest.mark.parametrize("iothread", [False, True])
def test_c9_more_requests_than_the_budget_has_room_for_wait_and_are_all_right(tmp_path: Path, iothread: bool) -> None:
    disks, queues, budget, size = 2, 4, 4 * MIB, MIB
    one_queue = BATCH * size
    one_disk = queues * one_queue
    files = images(tmp_path, disks, one_disk)
    options = [word for i, file in enumerate(files) for word in disk_options(i, file, queues, iothread)]
    with machine(emulators.wanted("patched"), tmp_path, disks * one_disk, options, budget) as running:
        batches = [[Batch(running, queue) for queue in running.disk(i, queues)] for i in range(disks)]
        before = running.private_kib()
        for from_disk in (True, False):
            if not from_disk:
                for i in range(disks):
                    running.fill_bar(i * one_disk, random.Random(i).randbytes(one_disk))
            for i, row in enumerate(batches):
                for j, batch in enumerate(row):
                    batch.submit(from_disk, j * one_queue // 512, running.address + i * one_disk + j * one_queue, size)
            for batch in (batch for row in batches for batch in row):
                wait_until(batch.is_answered, "a batch of requests", EVERY_ANSWER_SECONDS)
                assert batch.statuses() == {OK}
            for i, file in enumerate(files):
                assert running.bar(i * one_disk, one_disk) == file.read_bytes()
        # Each budget, and a chunk of the pool that is used in part.
        assert running.private_kib() - before < disks * (budget + 2 * MIB) // 1024 + 16 * 1024


def test_c9_a_request_that_could_never_fit_fails_alone(tmp_path: Path) -> None:
    (image,) = images(tmp_path, 1, MIB)
    budget, huge = 4 * MIB, (4 << 30) - 4096
    with machine(emulators.wanted("patched"), tmp_path, 8 << 30, disk_options(0, image), budget) as running:
        disk = blk(running)
        before = running.private_kib()
        for from_disk in (True, False):
            with pytest.raises(RequestFailed):
                disk.transfer(from_disk, 0, [Segment(running.address, huge)])
            with pytest.raises(RequestFailed):
                parts = [Segment(running.address, budget - MIB), Segment(running.address + huge, 2 * MIB)]
                disk.transfer(from_disk, 0, parts)
        disk.transfer(True, 0, [Segment(running.address + 3, MIB)])
        assert running.bar(3, MIB) == image.read_bytes()
        assert running.private_kib() - before < 2 * budget // 1024 + 16 * 1024


def slow_disk_options(image: Path) -> list[str]:
    """The emulator's arguments for a disk whose speed can be limited."""
    file = f"file.driver=file,file.filename={image}"
    return [
        "-object", "throttle-group,id=slow", "-blockdev", f"driver=throttle,node-name=disk,throttle-group=slow,{file}",
        "-device", f"virtio-blk-pci,drive=disk,addr={FIRST_DISK_SLOT:x}.0",
    ]  # fmt: skip


def limit_speed(running: Machine, bytes_per_second: int) -> None:
    """To so many, or not at all; a disk that is drained isn't limited."""
    running.emulator.monitor(f'qom-set -j /objects/slow limits {{"bps-total":{bytes_per_second}}}')


def hold_budget(running: Machine, batch: Batch, budget: int) -> None:
    """Have the disk hold its whole budget, and leave the rest of the batch waiting."""
    running.hold_reads(0)
    batch.submit(True, 0, running.address, budget)
    running.wait_for_trace(WAITS)


def test_c9_the_budget_stays_what_it_was_when_the_machine_was_made(tmp_path: Path) -> None:
    """Somebody who waits for more than a new one would wait for ever."""
    with machine(emulators.wanted("patched"), tmp_path, MIB, [], 4 * MIB) as running:
        budget: dict[str, object] = {"path": "/machine", "property": "x-ram-device-buffer-size"}
        with pytest.raises(EmulatorError, match="can't change"):
            running.emulator.execute("qom-set", budget | {"value": 2 * MIB})
        assert running.emulator.execute("qom-get", budget) == 4 * MIB


def test_c9_a_device_that_holds_its_budget_stops_no_other(tmp_path: Path) -> None:
    budget = 2 * MIB
    files = images(tmp_path, 2, BATCH * budget)
    options = [*disk_options(0, files[0]), *disk_options(1, files[1])]
    with machine(emulators.wanted("patched"), tmp_path, 2 * BATCH * budget, options, budget) as running:
        held, other = (Batch(running, running.disk(number)[0]) for number in range(2))
        hold_budget(running, held, budget)
        other.submit(True, 0, running.address + BATCH * budget, budget)
        wait_until(other.is_answered, "the other disk", EVERY_ANSWER_SECONDS)
        assert other.statuses() == {OK} and not held.is_answered()
        running.resume_until(0, held.is_answered, "the disk that was held")
        assert held.statuses() == {OK}
        assert running.bar(0, 2 * BATCH * budget) == b"".join(file.read_bytes() for file in files)


def test_c9_a_vm_that_is_stopped_while_a_queue_waits_goes_on_with_it(tmp_path: Path) -> None:
    budget = 2 * MIB
    (image,) = images(tmp_path, 1, BATCH * budget)
    with machine(emulators.wanted("patched"), tmp_path, BATCH * budget, slow_disk_options(image), budget) as running:
        batch = Batch(running, running.disk(0)[0])
        limit_speed(running, 1)
        batch.submit(True, 0, running.address, budget)
        running.wait_for_trace(WAITS)
        # What the disk is in is carried out, and its memory comes back.
        running.emulator.monitor("stop")
        assert not batch.is_answered()
        limit_speed(running, 0)
        running.emulator.monitor("cont")
        wait_until(batch.is_answered, "the disk", EVERY_ANSWER_SECONDS)
        assert batch.statuses() == {OK}
        assert running.bar(0, BATCH * budget) == image.read_bytes()


def test_c9_a_device_that_is_reset_while_a_queue_waits_works(tmp_path: Path) -> None:
    budget = 2 * MIB
    (image,) = images(tmp_path, 1, BATCH * budget)
    with machine(emulators.wanted("patched"), tmp_path, BATCH * budget, slow_disk_options(image), budget) as running:
        limit_speed(running, 1)
        held = Batch(running, running.disk(0)[0])
        held.submit(True, 0, running.address, budget)
        running.wait_for_trace(WAITS)
        batch = Batch(running, running.disk(0)[0])
        assert not held.is_answered()
        limit_speed(running, 0)
        batch.submit(True, 0, running.address, budget)
        wait_until(batch.is_answered, "the disk after a reset", EVERY_ANSWER_SECONDS)
        assert batch.statuses() == {OK}
        assert running.bar(0, BATCH * budget) == image.read_bytes()


@pytest.mark.parametrize("iothread", [False, True])
@pytest.mark.parametrize("size", [4096, MIB])
def test_c10_a_device_that_is_unplugged_under_a_request_goes_when_the_request_is_answered(
    tmp_path: Path, iothread: bool, size: int
) -> None:
    (image,) = images(tmp_path, 1, MIB)
    options = disk_options(0, image, 1, iothread)
    with machine(emulators.wanted("patched"), tmp_path, 4 * MIB, options, behind_port=True) as running:
        qtest, pages = running.emulator.qtest, running.pages
        head = pages.take()
        (queue,) = running.disk(0)
        qtest.write(head, struct.pack("<IIQ", 0, 0, 0) + bytes([NO_STATUS_YET]))
        running.hold_reads(0)
        queue.submit([Segment(head, HEADER_SIZE)], [Segment(running.address, size), Segment(head + HEADER_SIZE, 1)])
        running.wait_for_trace(READ)
        pci.set_slot_power(pci.Function(qtest, ROOT_PORT_SLOT), on=False)
        running.resume_until(0, lambda: qtest.read8(head + HEADER_SIZE) != NO_STATUS_YET, "the disk")
        queue.wait()
        assert qtest.read8(head + HEADER_SIZE) == OK
        wait_until(lambda: "ram-device-testdev" not in running.emulator.monitor("info qtree"), "the device",
                   EVERY_ANSWER_SECONDS)  # fmt: skip
        # The request's data has reached the device that was leaving, and whoever comes next finds the disk working.
        assert running.bar(0, size) == image.read_bytes()[:size]
        wait_until(lambda: "ram-device-testdev.mem" not in running.emulator.monitor("info ramblock"), "its memory",
                   EVERY_ANSWER_SECONDS)  # fmt: skip
        ram = pages.take(4096)
        qtest.write(head, struct.pack("<IIQ", 0, 0, 0) + bytes([NO_STATUS_YET]))
        queue.submit([Segment(head, HEADER_SIZE)], [Segment(ram, 4096), Segment(head + HEADER_SIZE, 1)])
        queue.wait()
        assert qtest.read(ram, 4096) == image.read_bytes()[:4096]
