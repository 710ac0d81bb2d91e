# SPDX-License-Identifier: GPL-2.0-or-later
"""pyproject.toml: ruff and mypy find nothing, and who has just cloned this can run the quick tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """That module of this environment, started at the top without any variable."""
    command = [sys.executable, "-B", "-P", "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, env={}, text=True, capture_output=True, check=False)


def test_ruff_finds_nothing() -> None:
    done = run("ruff", "check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy_finds_nothing() -> None:
    done = run("mypy")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_file_of_quick_tests_is_collected_from_the_top_without_variables() -> None:
    marked = {
        str(file.relative_to(ROOT))
        for file in ROOT.glob("tests/*/test_*.py")
        if "\npytestmark = pytest.mark.quick\n" in file.read_text()
    }
    done = run("pytest", "tests", "-m", "quick", "--collect-only", "-q")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line} == marked != set()
