# SPDX-License-Identifier: GPL-2.0-or-later
"""Which of these files are collected when only quick tests, or only exhaustive ones, are wanted."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Not test_crate.py then: it asks cargo which tests there are, and cargo builds the crates to say so."""
    has_none = config.getoption("markexpr") in ("quick", "exhaustive")
    return True if collection_path.name == "test_crate.py" and has_none else None
