# SPDX-License-Identifier: GPL-2.0-or-later
"""What can't be checked ends with status 2 and a sentence that says why, and what would do."""

from __future__ import annotations

from pathlib import Path

import pytest

from checker import peer
from checker.conftest import run_checker
from checker.findings import NOT_CHECKED
from checker.toolchain import NoCompiler


def is_refused(emulator: str | Path, *why: str, other_peer: Path = Path("/bin/true")) -> None:
    run = run_checker(emulator, "--peer", other_peer)
    assert run.status == NOT_CHECKED, run.errors
    assert run.printed == ""
    assert "Traceback" not in run.errors
    for text in why:
        assert text in run.errors


def program(path: Path, script: str) -> Path:
    """A shell script."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def emulator(folder: Path, answers: str) -> Path:
    """A program that answers as an emulator would, by these branches of a case on all its arguments."""
    return program(folder / "qemu-system-x86_64", f'case "$*" in\n{answers}\nesac')


VERSION = "--version) echo 'QEMU emulator version 10.2.0' ;;\n"
MACHINES = "'-machine help') echo 'q35   Standard PC (Q35 + ICH9, 2009)' ;;\n"
VFIO_USER = "*vfio-user-pci,help*) echo 'vfio-user-pci options:' ;;\n"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    is_refused(tmp_path / "none", "there is no file", "10.1 or newer")
    is_refused(tmp_path, "there is no file")


def test_a_file_that_is_no_program(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("no program")
    is_refused(path, "doesn't start: Permission denied")
    path.chmod(0o755)
    is_refused(path, "doesn't start: Exec format error")


def test_a_name_means_the_file_and_not_what_path_has_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "bin"
    elsewhere.mkdir()
    emulator(elsewhere, "*) echo 'of PATH'; exit 1 ;;")
    program(elsewhere / "peer", "echo 'of PATH' >&2; exit 1")
    old = emulator(tmp_path, "*) echo 'QEMU emulator version 9.0.0' ;;")
    monkeypatch.setenv("PATH", str(elsewhere), prepend=":")
    monkeypatch.chdir(tmp_path)
    for given in (Path(old.name), f"./{old.name}"):
        is_refused(given, f"{old} is QEMU 9.0.0, which is too old")
    emulator(tmp_path, VERSION + MACHINES + VFIO_USER)
    program(tmp_path / "peer", "echo 'of the folder' >&2; exit 1")
    is_refused(old, f"{tmp_path / 'peer'} isn't ready: of the folder", other_peer=Path("peer"))


def test_a_program_that_is_no_emulator() -> None:
    is_refused(Path("/bin/echo"), "is no QEMU system emulator: --version prints 'echo (GNU coreutils)")


def test_an_emulator_that_is_too_old(too_old: Path) -> None:
    is_refused(too_old, "too old: it has no vfio-user-pci", "10.1 or newer")


def test_a_machine_that_the_checker_does_not_know(tmp_path: Path) -> None:
    answers = VERSION + "'-machine help') echo 'virt  RISC-V VirtIO board' ;;\n"
    is_refused(emulator(tmp_path, answers), "neither aarch64's machine virt nor x86_64's q35")


def test_an_emulator_without_the_qtest_accelerator(tmp_path: Path) -> None:
    answers = VERSION + MACHINES + "*'-accel qtest'*) echo 'invalid accelerator qtest' ;;\n"
    is_refused(emulator(tmp_path, answers), "no qtest accelerator", "qemu-system-common")


def test_an_emulator_without_vfio_user(tmp_path: Path) -> None:
    is_refused(emulator(tmp_path, VERSION + MACHINES), "QEMU 10.2.0 without vfio-user-pci", "CONFIG_VFIO_USER_CLIENT")


def test_an_emulator_that_does_not_take_the_device(tmp_path: Path, peer_program: Path) -> None:
    answers = VERSION + MACHINES + VFIO_USER + "*) echo 'no such thing' >&2; exit 1 ;;\n"
    refusing = emulator(tmp_path, answers)
    is_refused(refusing, "doesn't take the peer's device", "no such thing", other_peer=peer_program)


def test_a_compiler_that_is_too_old_or_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    wanted = r"no cargo, to build the peer: install Rust .* --peer\. .*(apt-cache|apt-get)"
    with pytest.raises(NoCompiler, match=wanted):
        peer.build(print)
    program(tmp_path / "cargo", "echo 'cargo 1.96.0'")
    with pytest.raises(NoCompiler, match="no rustc, to build the peer: install Rust"):
        peer.build(print)
    program(tmp_path / "rustc", "echo 'rustc 1.63.0'")
    with pytest.raises(NoCompiler, match=r"rustc is 1\.63\.0, too old .*: install Rust 1\.\d+ or newer, or .* --peer"):
        peer.build(print)


@pytest.mark.parametrize("program", ["/bin/true", "/nonexistent"])
def test_a_peer_that_is_none(program: str, tmp_path: Path) -> None:
    is_refused(emulator(tmp_path, VERSION + MACHINES + VFIO_USER), f"the peer {program}", other_peer=Path(program))
