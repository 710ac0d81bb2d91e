# SPDX-License-Identifier: GPL-2.0-or-later
"""The series of the bases that this run doesn't build: they apply strictly, and are what their commits export to.

The source comes from Debian, once, into the cache; a base whose source can't be had is skipped by name.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from machines.debian import cache_folder
from series.conftest import PATCHES, REPOSITORY, contents, git

pytestmark = pytest.mark.exhaustive

BASES = tomllib.loads((REPOSITORY / "scripts" / "bases.toml").read_text())
OTHERS = [base for base in BASES if base != os.environ.get("RAM_DEVICE_BASE")]


def script(name: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run one of the scripts."""
    command = [sys.executable, "-B", REPOSITORY / "scripts" / f"{name}.py", *words]
    return subprocess.run(list(map(str, command)), text=True, capture_output=True, check=False)


def commits(base: str) -> Path:
    """A repository with the base's source and, as refs/ram-device/applied, the commits of its series."""
    place = ("--base", base, "--work", cache_folder() / "bases" / base)
    got = script("source", *place)
    if got.returncode and f"asked for QEMU {base} from Debian {BASES[base]['suite']}" in got.stderr:
        pytest.skip(" ".join(got.stderr.split()))
    assert got.returncode == 0, got.stderr
    applied = script("tree", *place, "--apply-only")
    assert applied.returncode == 0, applied.stderr
    return place[3] / "source.git"


@pytest.mark.parametrize("base", OTHERS)
def test_the_series_applies_strictly_and_an_export_gives_the_patches_that_are_here(base: str, tmp_path: Path) -> None:
    repository = commits(base)
    fresh, there = tmp_path / "fresh", tmp_path / "patches"
    git("clone", "--quiet", "--shared", "--sparse", "--branch", "base", repository, fresh, cwd=tmp_path)
    git("fetch", "--quiet", "origin", "refs/ram-device/applied", cwd=fresh)
    (tmp_path / "mails").mkdir()
    git("format-patch", "--quiet", "-o", tmp_path / "mails", "base..FETCH_HEAD", cwd=fresh)
    git("am", "--quiet", "--no-3way", *sorted((tmp_path / "mails").iterdir()), cwd=fresh)
    assert git("rev-parse", "HEAD^{tree}", cwd=fresh) == git("rev-parse", "FETCH_HEAD^{tree}", cwd=fresh)
    shutil.copytree(PATCHES, there)
    exported = script("export", "--base", base, "--work", tmp_path / "work", "--tree", fresh, "--checkout", REPOSITORY,
                      "--patches", there)
    assert exported.returncode == 0, exported.stderr
    assert contents(there) == contents(PATCHES)
