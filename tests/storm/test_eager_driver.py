# SPDX-License-Identifier: GPL-2.0-or-later
"""When a mapping of a BAR can be accessed: by the kernel's vfio-pci, and by the driver in eager_driver/."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from machines import emulators, outer_vm
from storm import mapping_lives, run_storm
from storm.mapping_lives import Observed
from storm.scenarios import EAGER, VFIO_PCI

VM_SECONDS = 1800.0
LIVES, ENDED = (mapping_lives.WRITTEN, None), (None, signal.SIGBUS)
# What is observed, and what it is with vfio-pci and with the other driver.
EXPECTED = {
    "a mapping": (LIVES, LIVES),
    "memory-enable is cleared": (ENDED, ENDED),
    "memory-enable is set again": (LIVES, ENDED),
    "a new mapping is moved to the old one's place": (LIVES, LIVES),
    "memory-enable is cleared, for a moved mapping": (ENDED, ENDED),
    "memory-enable is set again, for a moved mapping": (LIVES, ENDED),
    "the device was reset": (LIVES, ENDED),
    "a mapping made while memory-enable was clear": (LIVES, ENDED),
    "a new mapping": (LIVES, LIVES),
}


@pytest.fixture(scope="session")
def observed(tmp_path_factory: pytest.TempPathFactory) -> list[Observed]:
    """What one run of the outer VM has shown."""
    emulators.want_outer_vm()
    if reason := run_storm.why_no_eager_driver():
        pytest.skip(f"no {EAGER} in the outer VM: {reason}")
    work = tmp_path_factory.mktemp("mappings")
    lines: list[str] = []
    outer_vm.run(
        outer_vm.debian_kernel(),
        work,
        command=outer_vm.python(Path(mapping_lives.__file__), str(work), VFIO_PCI, EAGER),
        devices=run_storm.assignable_devices(),
        timeout=VM_SECONDS,
        follow=work / mapping_lives.OBSERVED_FILE,
        on_line=lines.append,
        own_modules=[run_storm.eager_driver(work)],
    )
    return [Observed(**json.loads(line)) for line in lines]


def test_all_that_is_expected_was_observed(observed: list[Observed]) -> None:
    expected = [(driver, what) for driver in (VFIO_PCI, EAGER) for what in EXPECTED]
    assert [(made.driver, made.what) for made in observed] == expected


@pytest.mark.parametrize("driver", [VFIO_PCI, EAGER])
@pytest.mark.parametrize("what", EXPECTED)
def test_a_mapping_is_alive_or_ends_in_a_bus_error(observed: list[Observed], what: str, driver: str) -> None:
    (made,) = [made for made in observed if (made.driver, made.what) == (driver, what)]
    assert (made.byte, made.signal) == EXPECTED[what][driver == EAGER]
