# SPDX-License-Identifier: GPL-2.0-or-later
"""Each guest runs once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from guest import contents
from guest.scenario import Nested, Outcome, run_directly, run_nested
from machines import debian_arm64, emulators

PATCHED, PATCHED_O_DIRECT, STOCK = "patched", "patched, cache=none aio=native", "stock"


@pytest.fixture(scope="session")
def patched() -> Path:
    """The emulator with the series, on a machine that has what the guest is made with."""
    if missing := contents.missing_programs():
        pytest.skip(f"the guest's disk needs {' and '.join(missing)}: install e2fsprogs")
    if missing := debian_arm64.debian_arm64().module_builder.missing_programs():
        pytest.skip(f"the guest's kernel module needs {' and '.join(missing)}: run scripts/needs")
    return emulators.wanted("patched")


@pytest.fixture(scope="session")
def on_test_device(patched: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The guest with ram-device-testdev's BAR."""
    return run_directly(tmp_path_factory.mktemp("bar"), patched, bar=True, progress=print)


@pytest.fixture(scope="session")
def in_ordinary_ram(patched: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The guest with ordinary RAM only, as much in all."""
    return run_directly(tmp_path_factory.mktemp("ram"), patched, bar=False, progress=print)


@pytest.fixture(scope="session")
def nested(patched: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """The guests on the kernel's vfio-pci."""
    emulators.want_outer_vm()
    wanted = [Nested(PATCHED, patched, "writeback", "threads", traced=True),
              Nested(PATCHED_O_DIRECT, patched, "none", "native", traced=True)]  # fmt: skip
    if stock := emulators.given("stock"):
        wanted.append(Nested(STOCK, stock, "writeback", "threads", traced=False))
    return run_nested(tmp_path_factory.mktemp("vfio"), patched, wanted, print)
