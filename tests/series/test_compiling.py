# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/compiling.py: where ccache keeps objects."""

from __future__ import annotations

from pathlib import Path

import pytest

import compiling
from series.conftest import REPOSITORY

pytestmark = pytest.mark.quick


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home of one's own, without a choice of folders."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CCACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize("cache", [None, ""])
def test_objects_are_kept_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, home: Path, cache: str | None) -> None:
    if cache is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", cache)
    assert compiling.ccache_folder() == home / ".cache" / "ccache"


def test_the_users_choice_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert compiling.ccache_folder() == tmp_path / "cache" / "ccache"
    monkeypatch.setenv("CCACHE_DIR", str(tmp_path / "chosen"))
    assert compiling.ccache_folder() == tmp_path / "chosen"


def test_where_the_cache_cannot_be_written_build_has_the_objects(home: Path) -> None:
    (home / ".cache").write_text("a file, so that not even root can make a folder in it")
    assert compiling.ccache_folder() == REPOSITORY / "build" / "ccache"
