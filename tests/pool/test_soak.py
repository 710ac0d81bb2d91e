# SPDX-License-Identifier: GPL-2.0-or-later
"""C7, C9: a short soak; `make soak` does it as long as one likes."""

from __future__ import annotations

from pathlib import Path

import pytest

from machines import emulators
from pool.soak import soak


@pytest.mark.parametrize("seed", [1, 2])
def test_c7_c9_disks_move_what_they_should_whatever_happens(seed: int, tmp_path: Path) -> None:
    counts = soak(emulators.wanted("patched"), tmp_path, seed, steps=100)
    print(counts)
    # How many requests a reset or a revocation meets depends on the machine.
    assert min(counts.batches, counts.resets, counts.revocations, counts.stops, counts.waits) > 0
