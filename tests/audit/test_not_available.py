# SPDX-License-Identifier: GPL-2.0-or-later
"""A test is skipped for what can't be had here, and for nothing else."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import pytest

from audit import programs
from audit.plugin import plugin
from audit.programs import WANTED, Wanted, built
from crate_builds.library import CRATE
from machines.error import MachineError, NotAvailable


def test_a_crate_that_does_not_compile_is_broken_and_not_unavailable(tmp_path: Path) -> None:
    (wanted,) = (wanted for wanted in WANTED if wanted.crate == "distribution" and wanted.architecture == "x86_64")
    crate = tmp_path / "crate"
    shutil.copytree(CRATE, crate)
    with (crate / "src" / "copy.rs").open("a") as source:
        source.write("fn does_not_compile() -> u32 { false }\n")
    with pytest.raises(MachineError, match="mismatched types") as broken:
        built(wanted, tmp_path / "built", crate)
    assert not isinstance(broken.value, NotAvailable)


def test_a_compiler_that_is_not_here_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(NotAvailable, match=r"no .* here: scripts/needs says which packages"):
        built(WANTED[0], tmp_path / "built")


def test_an_emulator_without_plugins_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    emulator = tmp_path / "qemu-aarch64"
    emulator.write_text("#!/bin/sh\necho usage: qemu-aarch64 program\n")
    emulator.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(NotAvailable, match="qemu-aarch64 has no plugins here"):
        plugin("aarch64")


def test_of_all_programs_those_that_are_not_here_are_left_out_and_one_that_is_broken_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `make audit` is made of: it must not pass where the crate doesn't compile."""
    why: dict[str, MachineError] = {"current": NotAvailable("no rustc here")}

    def played(wanted: Wanted, _: Path) -> None:
        raise why[wanted.crate]

    monkeypatch.setattr(programs, "built", played)
    monkeypatch.setattr(programs, "WANTED", (Wanted("x86_64", "current"),))
    assert programs.programs(tmp_path) == ([], {Wanted("x86_64", "current"): "no rustc here"})
    why["current"] = MachineError("mismatched types")
    with pytest.raises(MachineError, match="mismatched types"):
        programs.programs(tmp_path)


def test_an_emulator_that_was_named_and_is_not_built_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAM_DEVICE_BUILD_PATCHED", str(tmp_path / "absent"))
    with pytest.raises(MachineError, match="build the emulator first") as broken:
        programs.emulator(platform.machine())
    assert not isinstance(broken.value, NotAvailable)
