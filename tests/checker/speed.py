# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast virtio-blk reads are, into BAR 4 and into ordinary RAM. For information: nothing is judged by it."""

from __future__ import annotations

import time

from checker.findings import OK, Request, Speed
from checker.places import InBar
from checker.storage import SIZES, Storage
from drivers.request import DeviceNeedsReset, RequestFailed, Segment
from machines.qtest_client import EmulatorError

ROUNDS, ROUND_SECONDS = 3, 0.15


def measure(storage: Storage, made: list[Request]) -> Speed | None:
    """The best of some rounds, RAM and BAR in turns; None if no request works, or one fails that has worked before."""
    failed = {request.size for request in made if request.verdict != OK}
    working = [size for size in SIZES if size < min(failed, default=1 << 62)]
    if not working:
        return None
    machine = storage.machine
    places = {
        "ram": Segment(machine.pages.take(max(SIZES)), max(SIZES)),
        "bar": Segment(InBar(machine).address, max(working)),
    }
    best = dict.fromkeys(places, 0.0)
    try:
        for _ in range(ROUNDS):
            for name, segment in places.items():
                best[name] = max(best[name], _megabytes_per_second(storage, segment))
    except (EmulatorError, DeviceNeedsReset, RequestFailed):
        return None
    return Speed(places["ram"].size, best["ram"], places["bar"].size, best["bar"])


def _megabytes_per_second(storage: Storage, segment: Segment) -> float:
    begun, count = time.monotonic(), 0
    while (taken := time.monotonic() - begun) < ROUND_SECONDS or not count:
        storage.transfer(True, segment)
        count += 1
    return count * segment.size / taken / 1e6
