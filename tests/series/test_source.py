# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/source.py: what may stand for QEMU's source, and what is said when it may not or cannot be had."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from series.conftest import Bench, git

NOWHERE = "http://127.0.0.1:9"


def base(bench: Bench) -> str:
    """The imported tree's id."""
    return git("rev-parse", "base^{tree}", cwd=bench.work / "source.git")


def test_a_folder_a_tarball_and_a_git_checkout_of_the_same_files_give_the_same_base(bench: Bench) -> None:
    seen = {base(bench)}
    with tarfile.open(bench.folder / "qemu.tar.xz", "w:xz") as tarball:
        tarball.add(bench.qemu, "qemu-10.0.9")
    bench.succeeds("source", "--qemu-src", bench.folder / "qemu.tar.xz")
    seen.add(base(bench))
    git("init", "--quiet", cwd=bench.qemu)
    git("add", "--all", cwd=bench.qemu)
    git("commit", "--quiet", "-m", "theirs", cwd=bench.qemu)
    bench.source()
    assert seen | {base(bench)} == {base(bench)}


def test_a_file_that_the_source_itself_ignores_is_imported(bench: Bench) -> None:
    (bench.qemu / ".gitignore").write_text("ignored.c\n")
    (bench.qemu / "ignored.c").write_text("")
    bench.source()
    assert "ignored.c" in git("ls-tree", "--name-only", "base", cwd=bench.work / "source.git").split()


def test_the_same_source_is_imported_once_and_a_changed_one_again(bench: Bench) -> None:
    assert bench.source() == ""
    (bench.qemu / "system" / "physmem.c").write_text("int changed;\n")
    assert "importing QEMU 10.0.9" in bench.source()


def test_a_version_that_is_not_the_one_the_series_was_checked_on_is_told(bench: Bench) -> None:
    (bench.qemu / "VERSION").write_text("10.0.14\n")
    assert "QEMU 10.0.14; the series was last checked on 10.0." in bench.source()


@pytest.mark.parametrize("version", ["9.2.4", "10.1.0", "10.0.50", "100.0.1", "10.0"])
def test_another_version_is_refused(bench: Bench, version: str) -> None:
    (bench.qemu / "VERSION").write_text(f"{version}\n")
    said = bench.refuses("source", "--qemu-src", bench.qemu)
    assert f"asked for QEMU 10.0.x, found {version}" in said and "an empty QEMU_SRC= gets Debian's" in said


def test_a_folder_that_is_no_qemu_is_refused(bench: Bench) -> None:
    (bench.qemu / "VERSION").unlink()
    assert "found no VERSION file" in bench.refuses("source", "--qemu-src", bench.qemu)


def test_a_path_that_is_not_there_is_refused(bench: Bench) -> None:
    assert "no such file or folder" in (said := bench.refuses("source", "--qemu-src", bench.folder / "absent"))
    assert "an empty QEMU_SRC= gets Debian's" in said


def test_a_base_without_a_series_is_refused(bench: Bench) -> None:
    assert "BASE=8.2" in bench.refuses("source", "--base", "8.2")


def test_a_git_checkout_with_local_changes_is_refused(bench: Bench) -> None:
    git("init", "--quiet", cwd=bench.qemu)
    git("add", "--all", cwd=bench.qemu)
    git("commit", "--quiet", "-m", "theirs", cwd=bench.qemu)
    (bench.qemu / "system" / "physmem.c").write_text("int mine;\n")
    said = bench.refuses("source", "--qemu-src", bench.qemu)
    assert "local changes" in said and "system/physmem.c" in said and "stash" in said


def test_without_a_network_one_message_names_the_other_way(bench: Bench) -> None:
    said = bench.refuses("source", http_proxy=NOWHERE, https_proxy=NOWHERE)
    assert "make QEMU_SRC=PATH" in said
    assert base(bench)  # what was there stays


def test_without_a_network_missing_crates_are_told_in_one_message(bench: Bench) -> None:
    wrap = bench.qemu / "subprojects" / "absent-1-rs.wrap"
    wrap.parent.mkdir()
    wrap.write_text("[wrap-file]\ndirectory = absent-1.0.0\n"
                    f"source_url = {NOWHERE}/absent\nsource_hash = 00\npatch_directory = absent-1-rs\n")
    (bench.qemu / "rust" / "src").mkdir(parents=True)
    (bench.qemu / "rust" / "src" / "lib.rs").write_text("")
    (bench.qemu / "rust" / "Cargo.toml").write_text(
        '[package]\nname = "user"\nversion = "0.1.0"\n[dependencies]\nabsent = "1"\n')
    bench.source()
    said = bench.refuses("tree", "--checkout", bench.checkout, CARGO_HTTP_PROXY=NOWHERE, CARGO_NET_RETRY="0")
    assert "crates that QEMU's Rust needs can't be had" in said and "make QEMU_SRC=PATH" in said


@pytest.fixture
def small_disk(bench: Bench) -> Iterator[Path]:
    """A disk of 1 MiB that becomes the bench's workplace."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    disk = bench.folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk_leaves_nothing_that_is_trusted(bench: Bench, small_disk: Path) -> None:
    (bench.qemu / "large").write_bytes(os.urandom(600_000))
    said = bench.refuses("source", "--qemu-src", bench.qemu, "--work", small_disk / "work")
    assert f"the disk that holds {small_disk}/work is full" in said
    assert not (small_disk / "work" / "source.stamp").exists()
    subprocess.run(["mount", "-o", "remount,size=16m", small_disk], check=True)
    bench.succeeds("source", "--qemu-src", bench.qemu, "--work", small_disk / "work")
    bench.succeeds("tree", "--checkout", bench.checkout, "--work", small_disk / "work")
    assert (small_disk / "work" / "tree" / "large").stat().st_size == 600_000


def test_a_disk_that_fills_while_the_tree_is_made_leaves_no_tree(bench: Bench, small_disk: Path) -> None:
    (bench.qemu / "large").write_bytes(bytes(6_000_000))
    work = small_disk / "work"
    subprocess.run(["mount", "-o", "remount,size=16m", small_disk], check=True)
    bench.succeeds("source", "--qemu-src", bench.qemu, "--work", work)
    subprocess.run(["mount", "-o", "remount,size=4m", small_disk], check=True)
    assert f"{work} is full" in bench.refuses("tree", "--checkout", bench.checkout, "--work", work)
    assert not (work / "tree").exists() and not (work / "tree.stamp").exists()
    subprocess.run(["mount", "-o", "remount,size=32m", small_disk], check=True)
    bench.succeeds("tree", "--checkout", bench.checkout, "--work", work)
    assert (work / "tree" / "large").stat().st_size == 6_000_000
