# SPDX-License-Identifier: GPL-2.0-or-later
"""Which of these files are collected when only quick tests are wanted."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Not test_crate.py then: it asks cargo which tests there are, and cargo builds the crates to say so."""
    return True if collection_path.name == "test_crate.py" and config.getoption("markexpr") == "quick" else None
