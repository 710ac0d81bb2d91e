# SPDX-License-Identifier: GPL-2.0-or-later
"""What all drivers have in common: a part of a request's data, and the ways in which a request can fail."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from machines.qtest_client import EmulatorError

ANSWER_SECONDS = 300.0


@dataclass(frozen=True)
class Segment:
    """A part of a request's data, contiguous in guest-physical memory."""

    address: int
    size: int


class RequestFailed(Exception):
    """The device has answered the request with a status that isn't success."""


class DeviceNeedsReset(Exception):
    """The device has given up the request, and itself with it."""


class NoAnswer(EmulatorError):
    """The device has neither answered the request nor given it up; it may still access the request's memory."""


def total(data: Sequence[Segment]) -> int:
    """The size of all segments together."""
    return sum(segment.size for segment in data)


def wait_until(done: Callable[[], bool], what: str, timeout: float) -> None:
    """Poll until it is done; NoAnswer, with `what` as its subject, after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not done():
        if time.monotonic() > deadline:
            raise NoAnswer(f"{what} hasn't answered in {timeout:.0f} s")
        time.sleep(0.0005)
