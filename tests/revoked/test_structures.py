# SPDX-License-Identifier: GPL-2.0-or-later
"""C7 where not the data is gone but what describes it: rings, commands and scripts in the BAR read as ones."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from drivers.pages import Pages
from drivers.request import ANSWER_SECONDS, DeviceNeedsReset, NoAnswer, RequestFailed, Segment, wait_until
from machines import emulators
from machines.qtest_client import EmulatorError
from revoked import models
from revoked.models import Model
from revoked.scene import BAR_SIZE, BLOCK, FIRST, MIB, scene

# Where in the BAR the structures are, behind all data.
STRUCTURES = 3 * MIB
# What the emulator tells of an access that has failed.
FAILS = "memory_region_ram_device_failed"
# An AHCI controller holds on to its lists, and takes none that are in a RAM device; megasas maps a command for reading,
# writes its answer there all the same, and so answers none whose memory isn't mapped itself.
MODELS = [model for model in models.ALL if model not in (*models.AHCI, models.MEGASAS)]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_c7_a_device_all_of_whose_structures_are_gone_changes_no_byte_and_works_when_it_is_reset(
    tmp_path: Path, model: Model
) -> None:
    with scene(emulators.wanted("patched"), tmp_path, model, more=["-trace", FAILS]) as set_up:
        running = set_up.machine
        qtest = running.emulator.qtest
        in_bar = Pages(qtest, running.address + STRUCTURES, running.address + BAR_SIZE)
        disk = model.driver(dataclasses.replace(running, pages=in_bar))
        data = [Segment(set_up.ram.address, BLOCK)]
        disk.transfer(False, FIRST, data)
        set_up.contents[FIRST * BLOCK : (FIRST + 1) * BLOCK] = qtest.read(set_up.ram.address, BLOCK)
        before = set_up.unchanged()
        running.cut_bar()
        # Nobody can tell the driver anything: the answer is gone as well. The driver is told not to wait for it.
        try:
            disk.transfer(False, FIRST + 1, data, timeout=0)
        except (NoAnswer, RequestFailed, DeviceNeedsReset):
            pass
        except EmulatorError:
            assert "running" in running.emulator.state()
        wait_until(lambda: FAILS in running.emulator.messages(), "the device, which has not looked,", ANSWER_SECONDS)
        running.bring_bar_back()
        set_up.disk = model.driver(running)
        assert set_up.unchanged() == before
        set_up.works(BLOCK)
