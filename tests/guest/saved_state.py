# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that has booted, saved to a file: where emulation is slow, it is continued from there and needn't boot."""

from __future__ import annotations

import time
from pathlib import Path

from guest.machine import READY, Guest
from machines.error import MachineError
from machines.qtest_client import Emulator

TIMEOUT = 600.0
POLL_SECONDS = 0.2


def save(guest: Guest, target: Path, scratch: Path) -> None:
    """Boot the guest until it is ready for its instructions, and save it."""
    console = scratch / "saved-guest.console"
    console.write_text("")
    deadline = time.monotonic() + TIMEOUT
    with Emulator([*guest.command(), "-serial", f"file:{console}"], scratch / "saved-guest.messages") as emulator:

        def wait_for(what: str, answer: str) -> bool:
            if time.monotonic() > deadline:
                raise MachineError(f"no {what!r} from the guest to be saved after {TIMEOUT:.0f} s: {emulator.state()}; "
                                   f"{console} has what it said\n{emulator.messages()}")  # fmt: skip
            time.sleep(POLL_SECONDS)
            return what in answer

        while not wait_for(f"guest: {READY}", console.read_text(errors="replace")):
            pass
        emulator.monitor(f"migrate -d file:{target}")
        while not wait_for("completed", emulator.monitor("info migrate")):
            pass
