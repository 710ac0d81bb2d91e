# SPDX-License-Identifier: GPL-2.0-or-later
"""The end of a program that may be a wrapper: what it has started ends with it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import Any


def end(process: subprocess.Popen[Any], how: signal.Signals = signal.SIGKILL) -> None:
    """Send the signal to a process that was started with process_group=0, and to all that is in its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, how)
