# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulators under test as the matrix knows them."""

from __future__ import annotations

import shutil

import pytest
from machine import Variant
from machines import emulators
from run_matrix import DIRECT, PATCHED, STOCK


@pytest.fixture(scope="session")
def patched() -> Variant:
    if shutil.which("qemu-img") is None:
        pytest.skip("the matrix looks into qcow2 images with qemu-img: install qemu-utils")
    return Variant(PATCHED, str(emulators.wanted("patched")), "auto")


@pytest.fixture(scope="session")
def others() -> list[Variant]:
    """What the patched emulator is compared with, as far as it is there."""
    stock, direct = emulators.given("stock"), emulators.given("direct")
    found = [Variant(STOCK, str(stock), "")] if stock else []
    return [*found, Variant(DIRECT, str(direct), "on")] if direct else found


@pytest.fixture(scope="session")
def outer_vm_is_possible() -> None:
    emulators.want_outer_vm()
