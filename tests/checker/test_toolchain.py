# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's backport of Rust does what the peer wants of it, wherever cargo and rustc in PATH don't."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from checker import toolchain
from checker.subject import CannotCheck
from machines.error import MachineError, NotAvailable


def said_by(*command: str | Path, environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=os.environ | environment, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_backport_builds_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    try:
        tools = toolchain.find("1.77", "", print)
    except toolchain.NoCompiler as why:
        pytest.skip(str(why))
    assert said_by(tools.cargo, "--version", environment=tools.environment).startswith("cargo 1.")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.rs").write_text('fn main() { println!("built"); }\n')
    (tmp_path / "Cargo.toml").write_text('[package]\nname = "built"\nversion = "0.0.0"\nedition = "2021"\n')
    run = ("run", "--quiet", "--offline", "--manifest-path", tmp_path / "Cargo.toml")
    assert said_by(tools.cargo, *run, environment=tools.environment) == "built\n"


@pytest.mark.parametrize("why", [NotAvailable("no network"), MachineError("dpkg -x failed")], ids=str)
def test_a_backport_that_is_broken_is_not_one_that_cannot_be_had(
    why: MachineError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def debians() -> toolchain.Toolchain:
        raise why

    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(toolchain, "_debians", debians)
    with pytest.raises(CannotCheck, match=f"no cargo, .*{why}") as refused:
        toolchain.find("1.77", "", print)
    assert isinstance(refused.value, toolchain.NoCompiler) == isinstance(why, NotAvailable)
