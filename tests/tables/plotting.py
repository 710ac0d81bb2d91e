# SPDX-License-Identifier: GPL-2.0-or-later
"""Modules that draw, which not every Python can import."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from machines.error import MachineError

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def module(name: str) -> ModuleType:
    """The module of that name; what to install, if it lacks matplotlib."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        install = f"{sys.executable} -m pip install --require-hashes --requirement {REQUIREMENTS}"
        raise MachineError(f"--plots wants matplotlib, but there is no {error.name} here: {install}") from None
