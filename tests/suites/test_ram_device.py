# SPDX-License-Identifier: GPL-2.0-or-later
"""The qtests that the series brings (qemu/tests/qtest/ram-device-*.c), each case by itself, on the patched emulator."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from suites.emulators import SERIES_QTESTS, built_programs, emulator

# The cases of each program.
COUNTS = {
    "ram-device-map-test": 35,
    "ram-device-ring-test": 87,
    "ram-device-state-test": 12,
    "ram-device-test": 49,
    "ram-device-vanish-test": 14,
    "ram-device-virtio-test": 50,
}
OURS = {name: program for name, program in built_programs().items() if name.startswith("ram-device-")}


def cases() -> list[tuple[str, str]]:
    """All cases of our programs."""
    patched = os.environ.get("RAM_DEVICE_PATCHED")
    return [(name, case) for name, program in OURS.items() for case in program.cases(Path(patched))] if patched else []


def test_the_programs_are_those_whose_cases_are_counted() -> None:
    assert sorted(COUNTS) == SERIES_QTESTS


@pytest.mark.parametrize("name", COUNTS)
def test_the_program_is_built_and_lists_all_its_cases(name: str) -> None:
    patched = emulator("patched")
    assert name in OURS, f"the patched build has of ours only {', '.join(OURS) or 'none'}"
    listed = OURS[name].cases(patched)  # none if it doesn't come to the end of its list
    assert len(set(listed)) == len(listed) == COUNTS[name], listed


@pytest.mark.parametrize(("name", "case"), cases() or [("none", "found")])
def test_case(name: str, case: str) -> None:
    patched = emulator("patched")
    assert OURS, "the patched build has no ram-device tests"
    said = OURS[name].failure(patched, case)
    assert said is None, said
