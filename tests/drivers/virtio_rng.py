# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's virtio-rng driver, spoken through qtest."""

from __future__ import annotations

from collections.abc import Sequence

from drivers.pages import Pages
from drivers.request import ANSWER_SECONDS, Segment
from drivers.virtio import Transport


class VirtioRng:
    """A virtio-rng, reset and ready."""

    def __init__(self, transport: Transport, pages: Pages) -> None:
        (self._queue,) = transport.set_up(0, 1, pages)

    def fill(self, data: Sequence[Segment], timeout: float = ANSWER_SECONDS) -> int:
        """Have it filled with entropy; how many bytes there are of it."""
        self._queue.submit([], data)
        return self._queue.wait(timeout)
