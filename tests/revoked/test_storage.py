# SPDX-License-Identifier: GPL-2.0-or-later
"""C7 for every storage device: a request whose data is in a BAR that is gone fails, alone, and makes nothing up."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.request import RequestFailed
from machines import emulators
from revoked import models
from revoked.models import Model
from revoked.scene import BAR_SIZE, CUTS, Cut, scene

EVERY_MODEL = pytest.mark.parametrize("model", models.ALL, ids=lambda model: model.name)
EVERY_CUT = pytest.mark.parametrize("cut", CUTS, ids=str)


@EVERY_CUT
@EVERY_MODEL
def test_c7_a_write_whose_data_is_gone_fails_and_changes_no_byte(tmp_path: Path, model: Model, cut: Cut) -> None:
    with scene(emulators.wanted("patched"), tmp_path, model) as set_up:
        expected = set_up.unchanged()
        set_up.cut(cut)
        with pytest.raises(RequestFailed):
            set_up.write(cut.size)
        if model.takes_sectors:
            expected = set_up.take_over(cut.left)
        assert set_up.unchanged() == expected
        set_up.works(cut.size)


@EVERY_CUT
@EVERY_MODEL
def test_c7_a_read_into_a_bar_that_is_gone_is_dropped_and_changes_no_byte(
    tmp_path: Path, model: Model, cut: Cut
) -> None:
    with scene(emulators.wanted("patched"), tmp_path, model) as set_up:
        set_up.machine.fill_bar(0, bytes(BAR_SIZE))
        before = set_up.unchanged()
        set_up.cut(cut)
        set_up.answered(cut.size)
        assert set_up.unchanged() == before
        set_up.works(cut.size)
