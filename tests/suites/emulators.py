# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulators and the test programs that the environment names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from suites.qtest_program import Program, programs

TARGET = "aarch64"
SOURCES = Path(__file__).resolve().parents[2] / "qemu/tests/qtest"
# The test programs that the series brings.
SERIES_QTESTS = sorted(path.stem for path in SOURCES.glob("ram-device-*test.c"))


def emulator(variant: str) -> Path:
    """The emulator of a variant: patched, built_stock or norust."""
    name = f"RAM_DEVICE_{variant.upper()}"
    if not os.environ.get(name):
        pytest.skip(f"{name} must name an emulator")
    return Path(os.environ[name])


def built_programs() -> dict[str, Program]:
    """The test programs of the patched build; none where the environment doesn't name it."""
    build = os.environ.get("RAM_DEVICE_BUILD_PATCHED")
    return programs(Path(build), TARGET) if build else {}
