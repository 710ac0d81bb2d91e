# SPDX-License-Identifier: GPL-2.0-or-later
"""The storms of tests/storm, on nvgrace-gpu: requests are in flight while its BARs are taken away and come back."""

from __future__ import annotations

from dataclasses import replace

import scenarios
from scenarios import BLK, NVGRACE, Storm

FEW = 3


def all_storms(emulator: str) -> list[Storm]:
    """All that the emulator must survive where the kernel's mappings never revive."""
    return scenarios.survived_eager(emulator, NVGRACE)


def for_check(emulator: str) -> list[Storm]:
    """Each way of taking a BAR away from virtio-blk's requests, a few times."""
    chosen = [storm for storm in all_storms(emulator) if storm.traffic == BLK]
    return [replace(storm, revocations=min(storm.revocations, FEW)) for storm in chosen]
