# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulators under test, named by RAM_DEVICE_PATCHED, _STOCK, _NORUST and _ARM64 in the environment.

Stock may be Debian's build of the same version; _BUILT_STOCK is one that was built as the patched one is.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from machines import outer_vm

WHY_NOT_BUILT = "not-available"  # scripts/emulator.py leaves the reason in this file, where it lacks something


def given(variant: str) -> Path | None:
    """The emulator of that variant, if the environment names one."""
    variable = f"RAM_DEVICE_{variant.upper()}"
    value = os.environ.get(variable)
    if value and (reason := Path(value).with_name(WHY_NOT_BUILT)).is_file():
        pytest.skip(f"{value} couldn't be built: {reason.read_text().strip()}")
    if value and not os.access(value, os.X_OK):
        pytest.fail(f"{variable} is {value}, which is no program")
    return Path(value) if value else None


def wanted(variant: str) -> Path:
    """The emulator of that variant; without one the test is skipped."""
    emulator = given(variant)
    if emulator is None:
        pytest.skip(f"RAM_DEVICE_{variant.upper()} names no emulator to test")
    return emulator


def wanted_on_arm64() -> Path:
    """The patched emulator for arm64 hosts, which is the native one there; without it the test is skipped."""
    return wanted("patched" if platform.machine() == "aarch64" else "arm64").resolve()


def want_outer_vm() -> None:
    """Without the programs that the outer VM is made of the test is skipped."""
    if missing := outer_vm.missing_packages():
        pytest.skip(f"the outer VM needs these Debian packages: {' '.join(missing)}")
