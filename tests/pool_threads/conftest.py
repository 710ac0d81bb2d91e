# SPDX-License-Identifier: GPL-2.0-or-later
"""What is compiled once for all tests."""

from __future__ import annotations

import pytest

from pool_threads import programs


@pytest.fixture(scope="session")
def stress(tmp_path_factory: pytest.TempPathFactory) -> programs.Program:
    return programs.stress(tmp_path_factory.mktemp("stress"))


@pytest.fixture(scope="session")
def interleavings(tmp_path_factory: pytest.TempPathFactory) -> programs.Program:
    return programs.interleavings(tmp_path_factory.mktemp("interleavings"))
