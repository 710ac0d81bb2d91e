# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/doctor.py, which waits for no answer for longer than half a second, but for the greeting as usual."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from running_qemu import monitor


class Impatient(monitor.QmpSocket):
    def exchanged(self, asked: str, command: str) -> dict[str, Any]:
        self._seconds = 0.5
        return super().exchanged(asked, command)


monitor.QmpSocket = Impatient  # type: ignore[misc]
runpy.run_path(f"{sys.path[0]}/doctor.py", run_name="__main__")
