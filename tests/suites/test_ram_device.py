# SPDX-License-Identifier: GPL-2.0-or-later
"""The qtests that the series brings (tests/qtest/ram-device-*.c), each case by itself, on the patched emulator."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from suites.emulators import built_programs, emulator

SOURCES = Path(__file__).resolve().parents[2] / "qemu/tests/qtest"
OURS = {name: program for name, program in built_programs().items() if name.startswith("ram-device-")}


def cases() -> list[tuple[str, str]]:
    """All cases of our programs."""
    patched = os.environ.get("RAM_DEVICE_PATCHED")
    return [(name, case) for name, program in OURS.items() for case in program.cases(Path(patched))] if patched else []


@pytest.mark.parametrize("name", sorted(path.stem for path in SOURCES.glob("ram-device-*test.c")))
def test_the_program_is_built_and_lists_cases(name: str) -> None:
    patched = emulator("patched")
    assert name in OURS, f"the patched build has of ours only {', '.join(OURS) or 'none'}"
    assert OURS[name].cases(patched), "it lists no case, or doesn't come to the end of its list"


@pytest.mark.parametrize(("name", "case"), cases() or [("none", "found")])
def test_case(name: str, case: str) -> None:
    patched = emulator("patched")
    assert OURS, "the patched build has no ram-device tests"
    said = OURS[name].failure(patched, case)
    assert said is None, said
