# SPDX-License-Identifier: GPL-2.0-or-later
"""C9: a request that is cancelled while it waits for buffers ends; what has them goes on."""

from __future__ import annotations

import errno
import random
from pathlib import Path

import pytest

from drivers import pci
from drivers.ahci import Ahci, Protocol
from drivers.nvme import Nvme
from drivers.request import RequestFailed, Segment, wait_until
from machines import emulators
from pool.machine import EVERY_ANSWER_SECONDS, FIRST_DISK_SLOT, MIB, machine
from pool.test_parts import WAITS_FOR_MEMORY
from pool.test_shared import BEGINS, BLOCK, PAGE, debug, nvme_options

BUDGET = 2 * MIB


def test_c9_a_request_that_waits_is_cancelled_with_its_queue(tmp_path: Path) -> None:
    image, data = tmp_path / "image", random.Random(0).randbytes(BUDGET + PAGE)
    image.write_bytes(data)
    options = [*nvme_options(0, image), "-trace", BEGINS, "-trace", WAITS_FOR_MEMORY]
    with machine(emulators.wanted("patched"), tmp_path, 2 * BUDGET, options, BUDGET) as running:
        disk = Nvme(pci.Function(running.emulator.qtest, FIRST_DISK_SLOT), running.window, running.pages)
        debug(running, 0, "break read_aio held")
        holds_all = disk.begin_transfer(True, 0, Segment(running.address, BUDGET))
        running.wait_for_trace(BEGINS)
        waits = Segment(running.address + BUDGET, PAGE)
        disk.begin_transfer_on_another_queue(True, BUDGET // BLOCK, waits, running.pages)
        running.wait_for_trace(WAITS_FOR_MEMORY)
        disk.delete_another_queue()
        debug(running, 0, "resume held")
        wait_until(holds_all, "the request with the buffers", EVERY_ANSWER_SECONDS)
        assert running.bar(0, BUDGET) == data[:BUDGET]
        # The other one's place is as it was, also when there is memory again, which another request finds.
        disk.transfer(True, BUDGET // BLOCK, [Segment(running.address + BUDGET + PAGE, PAGE)], by_sgl=True)
        assert running.bar(BUDGET, 2 * PAGE) == bytes(PAGE) + data[BUDGET:]


@pytest.mark.parametrize("protocol", [Protocol.DMA, Protocol.QUEUED])
def test_a_disk_that_calls_its_error_a_cancellation_has_failed(protocol: Protocol, tmp_path: Path) -> None:
    image, data = tmp_path / "image", random.Random(1).randbytes(PAGE)
    image.write_bytes(data)
    # Not the first one, which QEMU reads to guess the disk's geometry.
    block = PAGE // BLOCK - 1
    rule = {"event": "read_aio", "errno": errno.ECANCELED, "sector": block, "once": "on"}
    error = ",".join(f"inject-error.0.{name}={value}" for name, value in rule.items())
    options = ["-blockdev", f"driver=file,node-name=file,filename={image}",
               "-blockdev", f"driver=blkdebug,node-name=debug,image=file,{error}",
               "-blockdev", "driver=raw,node-name=disk,file=debug",
               "-device", f"ahci,id=ahci,addr={FIRST_DISK_SLOT:x}.0",
               "-device", "ide-hd,bus=ahci.0,drive=disk"]  # fmt: skip
    with machine(emulators.wanted("patched"), tmp_path, MIB, options) as running:
        disk = Ahci(running.function(FIRST_DISK_SLOT), running.window, running.pages, protocol)
        with pytest.raises(RequestFailed):
            disk.transfer(True, block, [Segment(running.address, BLOCK)])
        disk.transfer(True, block, [Segment(running.address, BLOCK)])
        assert running.bar(0, BLOCK) == data[-BLOCK:]
