# SPDX-License-Identifier: GPL-2.0-or-later
"""C7: a SIGBUS that an access to a RAM device hasn't raised isn't taken for its failure.

gdb stops the patched emulator just before such an access, and has the signal arrive there (foreign_signal.py). As on
stock, QEMU then ends by it: there is no KVM that would tell the guest of a memory error.
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from machines.emulators import wanted

SCRIPT = Path(__file__).with_name("foreign_signal.py")
MACHINE = ("-M", "virt", "-accel", "qtest", "-display", "none", "-nodefaults", "-m", "128", "-S")
ENDED = f"ended by {int(signal.SIGBUS)}"
COPIED = "copied " + "5a" * 16


def told(kind: str) -> list[str]:
    """What became of the access, and of the emulator."""
    if platform.machine() != "x86_64" or not shutil.which("gdb"):
        pytest.skip("it needs gdb on x86-64")
    done = subprocess.run(["gdb", "-nx", "--batch", "-x", SCRIPT, "--args", wanted("patched"), *MACHINE],
                          env=os.environ | {"FOREIGN_SIGNAL": kind}, text=True, capture_output=True, timeout=300,
                          stdin=subprocess.DEVNULL, check=False)
    if "Couldn't write extended state status" in done.stdout + done.stderr:
        pytest.skip("this gdb can't call functions on this processor, whose extended state it doesn't know")
    lines = [line for line in done.stdout.splitlines() if line.startswith(("copied", "ended"))]
    assert lines, done.stdout[-2000:] + done.stderr[-2000:]
    return lines


def test_a_signal_that_was_sent_is_not_taken_for_an_access() -> None:
    assert (found := told("KILL")) == [ENDED], found


def test_a_memory_error_found_elsewhere_does_not_fail_the_access_and_is_not_lost() -> None:
    assert (found := told("AO")) == [COPIED, ENDED], found
