# SPDX-License-Identifier: GPL-2.0-or-later
"""tools/doctor.py, run as an operator runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCTOR = Path(__file__).resolve().parents[2] / "tools/doctor.py"
IMPATIENT = Path(__file__).with_name("impatient.py")
FINE, CONCERNED, NOT_ASKED = 0, 1, 2


@dataclass(frozen=True)
class Run:
    """What the doctor has answered."""

    status: int
    printed: str
    errors: str

    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.printed)
        return parsed

    def is_refused(self, *why: str) -> None:
        """It couldn't ask, and the one line that it says has these texts."""
        assert self.status == NOT_ASKED, self.printed + self.errors
        assert self.printed == ""
        assert self.errors.startswith("doctor: ")
        assert self.errors.count("\n") == 1, self.errors
        for text in why:
            assert text in self.errors


def doctor(*arguments: str | Path, python: str = sys.executable, environment: Mapping[str, str] | None = None) -> Run:
    return _run([python, "-B", "-S", str(DOCTOR), *map(str, arguments)], environment or {})


def impatient_doctor(*arguments: str | Path) -> Run:
    """The doctor, who waits for the greeting as usual, and for answers half a second."""
    return _run([sys.executable, "-B", "-S", str(IMPATIENT), *map(str, arguments)], {})


def _run(command: Sequence[str], environment: Mapping[str, str]) -> Run:
    variables = {**os.environ, **environment}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    assert "Traceback" not in done.stderr, done.stderr
    return Run(done.returncode, done.stdout, done.stderr)
