# SPDX-License-Identifier: GPL-2.0-or-later
"""The storms of tests/storm, on nvgrace-gpu: requests are in flight while its BARs are taken away and come back."""

from __future__ import annotations

from dataclasses import replace

import scenarios
from scenarios import BLK, FUNCTION_RESET, NVGRACE, POWER_DOWN, Storm

FEW = 3


def all_storms(emulator: str, has_power: bool) -> list[Storm]:
    """All that the emulator must survive where mappings never revive; some are for a device that has power states."""
    storms = scenarios.survived_eager(emulator, NVGRACE)
    return [storm for storm in storms if has_power or storm.way not in (FUNCTION_RESET, POWER_DOWN)]


def for_check(emulator: str) -> list[Storm]:
    """Each way of taking a BAR away from virtio-blk's requests, a few times."""
    chosen = [storm for storm in all_storms(emulator, True) if storm.traffic == BLK]
    return [replace(storm, revocations=min(storm.revocations, FEW)) for storm in chosen]
