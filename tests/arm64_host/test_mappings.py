# SPDX-License-Identifier: GPL-2.0-or-later
"""When a mapping of a BAR can be accessed, by NVIDIA's driver in Linux 6.12: once it is taken away it never comes back.

The driver in tests/storm/eager_driver is like it, but for one thing: this one maps a BAR also while it has no memory.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from arm64_host.places import LINUX_6_12, Host
from machines.error import NotAvailable
from storm import mapping_lives
from storm.mapping_lives import Observed
from storm.scenarios import NVGRACE

VM_SECONDS = 1800.0
LIVES, ENDED = (mapping_lives.WRITTEN, None), (None, signal.SIGBUS)
EXPECTED = {
    "a mapping": LIVES,
    "memory-enable is cleared": ENDED,
    "memory-enable is set again": ENDED,
    "a new mapping is moved to the old one's place": LIVES,
    "memory-enable is cleared, for a moved mapping": ENDED,
    "memory-enable is set again, for a moved mapping": ENDED,
    "the device was reset": ENDED,
    "a mapping made while memory-enable was clear": LIVES,
    "a new mapping": LIVES,
}


def observed_on(host: Host, work: Path) -> list[Observed]:
    """What one run of that host has shown."""
    lines: list[str] = []
    vm = host.outer_vm(work)
    vm.run(
        work,
        command=vm.python(Path(mapping_lives.__file__), str(work), NVGRACE),
        devices=[],
        timeout=VM_SECONDS,
        follow=work / mapping_lives.OBSERVED_FILE,
        on_line=lines.append,
    )
    return [Observed(**json.loads(line)) for line in lines]


def test_nvgrace_gpu_of_linux_6_12_takes_a_mapping_away_for_good(tmp_path: Path) -> None:
    try:
        observed = observed_on(LINUX_6_12, tmp_path)
    except NotAvailable as reason:
        pytest.skip(f"no arm64 host: {reason}")
    assert {made.what: (made.byte, made.signal) for made in observed} == EXPECTED
