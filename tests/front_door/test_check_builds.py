# SPDX-License-Identifier: GPL-2.0-or-later
"""What `make check` builds before its tests: all that any test depends on, be it run or not."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def built_before_tests(build: Path, *options: str) -> set[str]:
    """Configure the project in that folder; the targets that Meson builds before it runs tests."""
    setup = [sys.executable, "-m", "mesonbuild.mesonmain", "setup", *options, str(build), str(ROOT)]
    subprocess.run(setup, check=True, capture_output=True)
    query = ["ninja", "-C", str(build), "-t", "query", "meson-test-prereq"]
    lines = subprocess.run(query, check=True, capture_output=True, text=True).stdout.splitlines()
    return {line.strip() for line in lines[lines.index("  input: phony") + 1 : lines.index("  outputs:")]}


def test_the_emulator_for_arm64_hosts_is_built_only_where_it_was_built_before(tmp_path: Path) -> None:
    if platform.machine() == "aarch64":
        pytest.skip("on an arm64 host it is the patched one")
    usual = built_before_tests(tmp_path)
    assert {"patched", "stock", "norust"} <= usual
    assert not [target for target in usual if target.startswith("arm64")]
    (tmp_path / "qemu" / "10.0" / "build-arm64").mkdir(parents=True)
    assert built_before_tests(tmp_path, "--reconfigure", "-Dbase=10.0") == usual | {"arm64-if-available"}
