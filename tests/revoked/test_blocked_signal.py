# SPDX-License-Identifier: GPL-2.0-or-later
"""C7 for an emulator whose parent had blocked SIGBUS, as a child inherits it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from machines import emulators
from machines.bar_of_file import machine
from revoked.engine import Engine, Operation
from revoked.scene import BAR_SIZE

OK = 0


@pytest.fixture
def sigbus_blocked() -> Iterator[None]:
    """SIGBUS is blocked here, and in whatever is started from here."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGBUS})
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.mark.usefixtures("sigbus_blocked")
def test_c7_holds_if_the_parent_process_has_blocked_sigbus(tmp_path: Path) -> None:
    with machine(emulators.wanted("patched"), tmp_path, BAR_SIZE) as running:
        engine = Engine(running)
        running.cut_bar()
        for operation, length in ((Operation.LOAD, 8), (Operation.READ, 96), (Operation.MAP_READ, 96)):
            assert engine.carry_out(operation, running.address, length) != OK
        running.bring_bar_back()
        assert engine.carry_out(Operation.READ, running.address, 96) == OK
