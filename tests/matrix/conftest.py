# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulators under test, named by environment variables as for the other folders."""

from __future__ import annotations

import os
import shutil

import pytest
from machine import Variant
from machines import outer_vm
from run_matrix import DIRECT, PATCHED, STOCK


def variant(name: str, variable: str, direct: str) -> Variant | None:
    """The emulator that the environment variable names."""
    value = os.environ.get(variable)
    if value and not os.access(value, os.X_OK):
        pytest.fail(f"{variable} is {value}, which is no program")
    return Variant(name, value, direct) if value else None


@pytest.fixture(scope="session")
def patched() -> Variant:
    found = variant(PATCHED, "RAM_DEVICE_PATCHED", "auto")
    if shutil.which("qemu-img") is None:
        pytest.skip("the matrix looks into qcow2 images with qemu-img: install qemu-utils")
    if found is not None:
        return found
    pytest.skip("RAM_DEVICE_PATCHED names no emulator to test")


@pytest.fixture(scope="session")
def others() -> list[Variant]:
    """What the patched emulator is compared with, as far as it is there."""
    found = [variant(STOCK, "RAM_DEVICE_STOCK", ""), variant(DIRECT, "RAM_DEVICE_DIRECT", "on")]
    return [other for other in found if other]


@pytest.fixture(scope="session")
def outer_vm_is_possible() -> None:
    if missing := outer_vm.missing_packages():
        pytest.skip(f"the outer VM needs these Debian packages: {' '.join(missing)}")
