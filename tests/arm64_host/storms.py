# SPDX-License-Identifier: GPL-2.0-or-later
"""The storms of tests/storm, on nvgrace-gpu: requests are in flight while its BARs are taken away and come back."""

from __future__ import annotations

from dataclasses import replace

from storm import scenarios
from storm.scenarios import BLK, FUNCTION_RESET, MEMORY_ENABLE, NVGRACE, OUTSIDE, POWER_DOWN, UNPLUG, Storm

# What one may take on a busy machine: the host is emulated, and its mappings are of many pages.
SECONDS = 1800.0
FEW = 2
# The ways that `make check` has time for, of one kind each: a register, nobody's knowledge, a reset, a new device.
CHECKED = (MEMORY_ENABLE, OUTSIDE, FUNCTION_RESET, UNPLUG)


def all_storms(emulator: str, has_power: bool) -> list[Storm]:
    """All that the emulator must survive where mappings never revive; some are for a device that has power states."""
    storms = scenarios.survived_eager(emulator, NVGRACE)
    return [storm for storm in storms if has_power or storm.way not in (FUNCTION_RESET, POWER_DOWN)]


def for_check(emulator: str) -> list[Storm]:
    """Some ways of taking a BAR away from requests of a virtio-blk with an iothread, each of them FEW times."""
    chosen = [storm for storm in all_storms(emulator, True) if storm.traffic == BLK and storm.iothread]
    return [replace(storm, revocations=FEW) for storm in chosen if storm.way in CHECKED]
