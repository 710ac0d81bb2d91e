# SPDX-License-Identifier: GPL-2.0-or-later
"""What is built before each ring of tests."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def built_before(ring: str, build: Path, *options: str) -> set[str]:
    """Configure the project in that folder; the targets that are built for the ring."""
    setup = [sys.executable, "-m", "mesonbuild.mesonmain", "setup", *options, str(build), str(ROOT)]
    subprocess.run(setup, check=True, capture_output=True)
    query = ["ninja", "-C", str(build), "-t", "query", f"for-{ring}"]
    lines = subprocess.run(query, check=True, capture_output=True, text=True).stdout.splitlines()
    return {line.strip(" |") for line in lines[lines.index("  input: phony") + 1 : lines.index("  outputs:")]}


def test_make_check_builds_one_emulator(tmp_path: Path) -> None:
    assert built_before("check", tmp_path) == {"patched", "python-env", "series-qtests", "stock-to-compare"}


def test_make_check_all_builds_what_is_compared_as_well(tmp_path: Path) -> None:
    assert {"patched", "stock", "norust", "qtests"} <= built_before("exhaustive", tmp_path)


def test_the_emulator_for_arm64_hosts_is_built_only_where_it_was_built_before(tmp_path: Path) -> None:
    if platform.machine() == "aarch64":
        pytest.skip("on an arm64 host it is the patched one")
    for ring in ("check", "exhaustive"):
        usual = built_before(ring, tmp_path / ring)
        assert not [target for target in usual if target.startswith("arm64")]
        (tmp_path / ring / "qemu" / "10.0" / "build-arm64").mkdir(parents=True)
        assert built_before(ring, tmp_path / ring, "--reconfigure", "-Dbase=10.0") == usual | {"arm64-if-available"}
