# SPDX-License-Identifier: GPL-2.0-or-later
"""C7: a memory error of the host's that an access to a BAR meets is survived, and called what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from machines import emulators, preloaded
from machines.bar_of_file import machine
from revoked.engine import Engine, Operation
from revoked.scene import BAR_SIZE

OK, LENGTH = 0, 96
MESSAGE = "the host has found a memory error at 0x40 to 0x9f; the access failed"


@pytest.mark.parametrize("is_memory_error", [True, False])
@pytest.mark.parametrize("operation", [Operation.READ, Operation.MAP_READ], ids=["read", "map"])
def test_c7_a_memory_error_is_reported_once_as_one_and_a_device_that_is_gone_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: Operation, is_memory_error: bool
) -> None:
    if is_memory_error:
        shared_object = preloaded.build(tmp_path, Path(__file__).with_name("other_sigbus.c"), "-DMEMORY_ERROR")
        monkeypatch.setenv("LD_PRELOAD", str(shared_object))
    with machine(emulators.wanted("patched"), tmp_path, BAR_SIZE) as running:
        engine = Engine(running)
        running.cut_bar()
        for _ in range(2):
            assert engine.carry_out(operation, running.address + 0x40, LENGTH) != OK
        running.bring_bar_back()
        assert engine.carry_out(operation, running.address + 0x40, LENGTH) == OK
        assert running.emulator.messages().count(MESSAGE) == int(is_memory_error)
