# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulators under test as the matrix knows them."""

from __future__ import annotations

import shutil

import pytest

from machines import emulators
from matrix.machine import DIRECT, PATCHED, STOCK, Variant


@pytest.fixture(scope="session")
def patched() -> Variant:
    if shutil.which("qemu-img") is None:
        pytest.skip("the matrix looks into qcow2 images with qemu-img: install qemu-utils")
    return Variant(PATCHED, str(emulators.wanted("patched")))


@pytest.fixture(scope="session")
def direct(patched: Variant) -> Variant:
    """The same emulator, where it hands out pointers into the BARs."""
    return Variant(DIRECT, patched.emulator)


@pytest.fixture(scope="session")
def stock() -> list[Variant]:
    """The emulator without the series, if it is there."""
    emulator = emulators.given("stock")
    return [Variant(STOCK, str(emulator))] if emulator else []
