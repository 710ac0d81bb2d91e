# SPDX-License-Identifier: GPL-2.0-or-later
"""virtio-blk requests whose queue lies in the BAR, all else of them in RAM."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from device_side.accesses import RING_AREA
from drivers.pages import PAGE, Pages
from drivers.request import ANSWER_SECONDS, Segment, wait_until
from drivers.virtio import BLOCK_DEVICE, VirtioMmio
from drivers.virtio_blk import HEADER_SIZE, REQUEST_IN, SECTOR
from machines.qtest_client import QTest

INTERRUPT_STATUS, INTERRUPT_ACK, USED_A_CHAIN = 0x060, 0x064, 1


class _SayingWhen(VirtioMmio):
    """Says when the device is about to be notified: what was written before is the driver's."""

    def __init__(self, qtest: QTest, about_to_notify: Callable[[], object]) -> None:
        super().__init__(qtest, BLOCK_DEVICE)
        self._about_to_notify = about_to_notify

    def notify(self, queue: int) -> None:
        self._about_to_notify()
        super().notify(queue)

    def interrupt(self) -> bool:
        """Whether the device has interrupted, which is the last that it does; the BAR isn't touched to know it."""
        return bool(self._get(INTERRUPT_STATUS) & USED_A_CHAIN)

    def acknowledge(self) -> None:
        self._set(INTERRUPT_ACK, USED_A_CHAIN)


def make_requests(qtest: QTest, bar: int, before: Sequence[Callable[[], object]], after: Callable[[], object]) -> None:
    """Read sectors, one request for each function in `before`, which is called when the device is about to begin."""
    turn = iter(before)
    transport = _SayingWhen(qtest, lambda: next(turn)())  # noqa: PLW0108 - each call takes the next one
    (queue,) = transport.set_up(0, 1, Pages(qtest, bar + RING_AREA, bar + RING_AREA + PAGE))
    header = Pages(qtest).take()
    data = header + SECTOR
    qtest.write(header, struct.pack("<IIQ", REQUEST_IN, 0, 0))
    for _ in before:
        queue.submit([Segment(header, HEADER_SIZE)], [Segment(data, SECTOR), Segment(header + HEADER_SIZE, 1)])
        wait_until(transport.interrupt, "the virtio-blk whose queue is in the BAR", ANSWER_SECONDS)
        after()
        transport.acknowledge()
