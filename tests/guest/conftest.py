# SPDX-License-Identifier: GPL-2.0-or-later
"""Each guest runs once for all tests. The emulators are named by RAM_DEVICE_PATCHED and RAM_DEVICE_STOCK."""

from __future__ import annotations

import os
from pathlib import Path

import contents
import debian_arm64
import pytest
from machines import outer_vm
from scenario import Nested, Outcome, run_directly, run_nested

PATCHED, PATCHED_O_DIRECT, STOCK = "patched", "patched, cache=none aio=native", "stock"


def emulator(variable: str) -> Path:
    """The emulator that the environment variable names."""
    value = os.environ.get(variable, "")
    if not value:
        pytest.skip(f"{variable} names no emulator to test")
    if not os.access(value, os.X_OK):
        pytest.fail(f"{variable} is {value}, which is no program")
    return Path(value)


@pytest.fixture(scope="session")
def patched() -> Path:
    """The emulator with the series, on a machine that has what the guest is made with."""
    if missing := contents.missing_programs():
        pytest.skip(f"the guest's disk needs {' and '.join(missing)}: install e2fsprogs")
    if missing := debian_arm64.missing_programs(debian_arm64.debian_arm64()):
        pytest.skip(f"the guest's kernel module needs {' and '.join(missing)}: run scripts/needs")
    return emulator("RAM_DEVICE_PATCHED")


@pytest.fixture(scope="session")
def on_test_device(patched: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The guest with ram-device-testdev's BAR."""
    return run_directly(tmp_path_factory.mktemp("bar"), patched, bar=True, progress=print)


@pytest.fixture(scope="session")
def in_ordinary_ram(patched: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The guest with ordinary RAM only, as much in all."""
    return run_directly(tmp_path_factory.mktemp("ram"), patched, bar=False, progress=print)


@pytest.fixture(scope="session")
def override_off(patched: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The guest with ram-device-testdev's BAR, which the operator has called register-like."""
    properties = ",x-ram-device-direct=off"
    return run_directly(tmp_path_factory.mktemp("off"), patched, bar=True, progress=print, properties=properties)


@pytest.fixture(scope="session")
def nested(patched: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """The guests on the kernel's vfio-pci."""
    if missing := outer_vm.missing_packages():
        pytest.skip(f"the outer VM needs these Debian packages: {' '.join(missing)}")
    wanted = [Nested(PATCHED, patched, "writeback", "threads", traced=True),
              Nested(PATCHED_O_DIRECT, patched, "none", "native", traced=True)]  # fmt: skip
    if stock := os.environ.get("RAM_DEVICE_STOCK"):
        wanted.append(Nested(STOCK, Path(stock), "writeback", "threads", traced=False))
    return run_nested(tmp_path_factory.mktemp("vfio"), patched, wanted, print)
