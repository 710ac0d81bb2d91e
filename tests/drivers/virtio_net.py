# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's virtio-net driver, spoken through qtest: one packet at a time in each direction, no offloads.

Names and numbers are those of the virtio 1.2 specification.
"""

from __future__ import annotations

from collections.abc import Sequence

from drivers.pages import Pages
from drivers.request import ANSWER_SECONDS, Segment
from drivers.virtio import Transport

RECEIVE, TRANSMIT = 0, 1
HEADER_SIZE = 12


class VirtioNet:
    """A virtio-net, reset and ready; the headers that go before packets lie in ordinary RAM."""

    def __init__(self, transport: Transport, pages: Pages) -> None:
        self._header = Segment(pages.take(), HEADER_SIZE)
        self._received_header = Segment(pages.take(), HEADER_SIZE)
        self._receive, self._transmit = transport.set_up(0, 2, pages)

    def send(self, data: Sequence[Segment], timeout: float = ANSWER_SECONDS) -> None:
        """Send one packet, and wait until the device doesn't need it any more."""
        self._transmit.submit([self._header, *data], [])
        self._transmit.wait(timeout)

    def offer(self, data: Sequence[Segment]) -> None:
        """Let the next packet be received there."""
        self._receive.submit([], [self._received_header, *data])

    def received(self, timeout: float = ANSWER_SECONDS) -> int:
        """Wait for a packet; its size."""
        return self._receive.wait(timeout) - HEADER_SIZE
