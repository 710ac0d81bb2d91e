# SPDX-License-Identifier: GPL-2.0-or-later
"""A package that can't be had is not available; one that was had and doesn't unpack is broken, and skips no test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import debian_packages
import debian_qemu
from machines.error import MachineError, NotAvailable

DOWNLOADS = "touch package_1_all.deb"  # into the folder that it is run in
UNPACKERS = {"unpack": DOWNLOADS, "unpack_with_dependencies": 'for word; do case "$word" in Dir::Cache::Archives=*)\n'
             "cd ${word#*=}; touch package_1_all.deb;; esac; done"}  # fmt: skip
Play = Callable[..., None]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Puts programs of these names, and with these lines, in front of the machine's own."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    (tmp_path / "bin").mkdir()

    def program(name: str, line: str) -> None:
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    return program


def unpacked(way: str, folder: Path) -> Path:
    return debian_packages.filled(folder, lambda unfinished: getattr(debian_packages.Apt(), way)("package", unfinished))


@pytest.mark.parametrize("way", UNPACKERS)
def test_a_package_that_cannot_be_downloaded_is_not_available(way: str, tmp_path: Path, play: Play) -> None:
    play("apt-get", "echo Could not resolve the mirror >&2; exit 100")
    play("dpkg", "exit 0")
    with pytest.raises(NotAvailable, match="failed with status 100:\nCould not resolve the mirror"):
        unpacked(way, tmp_path / "folder")


@pytest.mark.parametrize("way", UNPACKERS)
def test_a_package_that_does_not_unpack_is_broken_and_leaves_no_folder(way: str, tmp_path: Path, play: Play) -> None:
    play("apt-get", UNPACKERS[way])
    play("dpkg", "echo unexpected end of file in archive >&2; exit 2")
    with pytest.raises(MachineError, match=r"dpkg -x .*failed:\n  unexpected end of file in archive") as broken:
        unpacked(way, tmp_path / "folder")
    assert not isinstance(broken.value, NotAvailable)
    assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize("way", UNPACKERS)
def test_a_package_that_can_be_had_is_unpacked(way: str, tmp_path: Path, play: Play) -> None:
    play("apt-get", UNPACKERS[way])
    play("dpkg", 'echo "$1" >"$3/unpacked"')
    assert (unpacked(way, tmp_path / "folder") / "unpacked").read_text() == "-x\n"


def test_an_emulator_of_another_version_than_asked_for_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(package: str, suite: str | None, folder: Path) -> None:
        loader = folder / "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
        loader.parent.mkdir(parents=True)
        loader.write_text(f"#!/bin/sh\necho QEMU emulator version 11.1.3 of {package}, {suite}\n")
        loader.chmod(0o755)

    monkeypatch.setattr(debian_qemu, "_download", download)
    monkeypatch.setattr(debian_packages, "cache_folder", lambda: tmp_path)
    with pytest.raises(NotAvailable, match=r"^Debian sid's qemu-system-arm is 11\.1\.3, not 10\.2\.2$"):
        debian_qemu.release("10.2.2", "sid")
    assert not [*tmp_path.iterdir()]
    assert debian_qemu.release("11.1.3", "sid").version == "11.1.3"
