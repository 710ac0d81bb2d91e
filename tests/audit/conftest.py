# SPDX-License-Identifier: GPL-2.0-or-later
"""The test programs, built once for all tests of this folder."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from audit.programs import WANTED, Program, Wanted, built
from machines.error import NotAvailable

Build = Callable[[Wanted], Program]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Gives the program that is wanted."""
    folder = tmp_path_factory.mktemp("audit")

    @functools.cache
    def program_or_reason(wanted: Wanted) -> Program | str:
        try:
            return built(wanted, folder / str(wanted))
        except NotAvailable as failure:
            return str(failure)

    def program_or_skip(wanted: Wanted) -> Program:
        found = program_or_reason(wanted)
        if isinstance(found, str):
            pytest.skip(found)
        return found

    return program_or_skip


@pytest.fixture(scope="session", params=WANTED, ids=str)
def program(request: pytest.FixtureRequest, build: Build) -> Program:
    """Each of the programs."""
    wanted: Wanted = request.param
    return build(wanted)
