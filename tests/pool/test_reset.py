# SPDX-License-Identifier: GPL-2.0-or-later
"""C9: a reset drains a device, which frees memory, and carries out no request that has waited for it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from drivers import pci
from drivers.request import Segment, wait_until
from drivers.virtio import DeepQueue, VirtioPci
from drivers.virtio_scsi import CDB_SIZE, QUEUES, REQUEST_QUEUE, REQUEST_SIZE, RESPONSE_SIZE
from machines import emulators
from pool.machine import EVERY_ANSWER_SECONDS, FIRST_DISK_SLOT, MIB, machine

TAKEN, ANSWERED = "virtio_scsi_cmd_req", "virtio_scsi_cmd_resp"
READ_10, BLOCK = 0x28, 512
SIZE, IN_FLIGHT, BATCH = MIB, 4, DeepQueue.BATCH
# Each disk's first request is told of the reset before, and one more is within the limit.
ANSWERED_AT_ONCE = 3


def lun(number: int) -> bytes:
    return bytes([1, 0, 0x40, number, 0, 0, 0, 0])


@pytest.mark.parametrize("ioeventfd", ["on", "off"])
def test_c9_a_reset_carries_out_no_request_that_waits(tmp_path: Path, ioeventfd: str) -> None:
    """Two disks of a controller, which are too slow to be ever done, are drained one after the other."""
    image = tmp_path / "disk"
    image.write_bytes(b"disk" * (BATCH * SIZE // 4))
    slow = f"driver=throttle,throttle-group=slow,file.driver=file,file.read-only=on,file.filename={image}"
    controller = f"virtio-scsi-pci,id=scsi,addr={FIRST_DISK_SLOT:x}.0,disable-legacy=on,ioeventfd={ioeventfd}"
    options = ["-trace", TAKEN, "-trace", ANSWERED, "-object", "throttle-group,id=slow", "-device", controller]
    for number in (0, 1):
        options += ["-blockdev", f"{slow},node-name=disk{number},read-only=on",
                    "-device", f"scsi-hd,bus=scsi.0,lun={number},drive=disk{number}"]  # fmt: skip
    with machine(emulators.wanted("patched"), tmp_path, BATCH * SIZE, options, IN_FLIGHT * SIZE) as running:
        qtest = running.emulator.qtest
        transport = VirtioPci(pci.Function(qtest, FIRST_DISK_SLOT), running.window)
        queue = DeepQueue(transport.set_up(0, QUEUES, running.pages)[REQUEST_QUEUE])
        heads = running.pages.take(512 * BATCH)
        chains = []
        for number in range(BATCH):
            head, disk = heads + 512 * number, 1 if IN_FLIGHT // 2 <= number < IN_FLIGHT else 0
            cdb = struct.pack(">BBIBHB", READ_10, 0, number * SIZE // BLOCK, 0, SIZE // BLOCK, 0)
            qtest.write(head, lun(disk) + struct.pack("<QBBB", number, 0, 0, 0) + cdb.ljust(CDB_SIZE, b"\0"))
            data = Segment(running.address + number * SIZE, SIZE)
            chains.append(([Segment(head, REQUEST_SIZE)], [Segment(head + 256, RESPONSE_SIZE), data]))
        running.emulator.monitor('qom-set -j /objects/slow limits {"bps-total":1}')

        def counts() -> tuple[int, int]:
            lines = running.emulator.messages().splitlines()
            return sum(line.startswith(TAKEN) for line in lines), sum(line.startswith(ANSWERED) for line in lines)

        queue.submit(DeepQueue.table(chains))
        taken = ANSWERED_AT_ONCE + IN_FLIGHT
        wait_until(lambda: counts() == (taken, ANSWERED_AT_ONCE), "a full budget", EVERY_ANSWER_SECONDS)
        transport.status = 0
        assert counts() == (taken, taken)
