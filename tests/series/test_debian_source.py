# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/debian_source.py: which of a suite's versions is taken, and what is said of a base that can't be had."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

import debian_source
from series.conftest import Bench, git

pytestmark = pytest.mark.quick

APT_GET = """#!/bin/sh
for word; do
    case $word in
    qemu=*) echo "$word" >{folder}/asked; cp {folder}/qemu_0+ds.orig.tar.xz . 2>/dev/null || {{
        echo "E: Failed to fetch $word  404  Not Found" >&2; exit 100; }} ;;
    esac
done
"""


@pytest.fixture
def suite(bench: Bench) -> Path:
    """A folder with an apt whose suites have the versions in its file `listed` and, for any of them, one tarball."""
    if not debian_source.debian_mirrors():
        pytest.skip("this machine has no apt source of Debian")
    folder = bench.folder / "suite"
    folder.mkdir()
    (folder / "listed").write_text("")
    (folder / "apt-get").write_text(APT_GET.format(folder=folder))
    (folder / "apt-cache").write_text(f"#!/bin/sh\nsed 's/^/Version: /' {folder}/listed\n")
    for program in ("apt-get", "apt-cache"):
        (folder / program).chmod(0o755)
    return folder


def fill(suite: Path, bench: Bench, *versions: str) -> None:
    """Let the suite's list of sources name these versions."""
    (suite / "listed").write_text("".join(f"{version}\n" for version in versions))
    with tarfile.open(suite / "qemu_0+ds.orig.tar.xz", "w:xz") as tarball:
        tarball.add(bench.qemu, "qemu")


def test_of_the_versions_that_a_suite_has_the_newest_of_the_base_is_taken(bench: Bench, suite: Path) -> None:
    fill(suite, bench, "1:10.0.9+ds-1", "1:11.1.3+ds-1", "1:10.0.14+ds-1+deb13u1", "1:10.0.15~rc1+ds-1",
         "1:10.0.2+ds-2")
    done = bench.script("source", PATH=f"{suite}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    assert (suite / "asked").read_text() == "qemu=1:10.0.14+ds-1+deb13u1\n"
    assert git("show", "base:VERSION", cwd=bench.work / "source.git") == "10.0.9"


def test_a_base_that_the_suite_has_no_longer_is_named_with_what_was_found(bench: Bench, suite: Path) -> None:
    fill(suite, bench, "1:11.1.3+ds-1", "1:10.1.2+ds-1", "1:100.0.1+ds-1")
    said = bench.refuses("source", PATH=f"{suite}:{os.environ['PATH']}")
    assert "asked for QEMU 10.0 from Debian trixie" in said
    assert "1:10.1.2+ds-1, 1:11.1.3+ds-1, 1:100.0.1+ds-1" in said
    assert "make QEMU_SRC=PATH" in said and not (suite / "asked").exists()


def test_a_base_that_is_listed_but_gone_is_named_with_what_apt_said(bench: Bench, suite: Path) -> None:
    fill(suite, bench, "1:10.0.14+ds-1")
    (suite / "qemu_0+ds.orig.tar.xz").unlink()
    said = bench.refuses("source", PATH=f"{suite}:{os.environ['PATH']}")
    assert "asked for QEMU 10.0 from Debian trixie" in said
    assert "404  Not Found" in said and "make QEMU_SRC=PATH" in said


def test_a_newer_release_is_told_with_the_command_that_takes_it_and_asked_for_once_a_day(
    bench: Bench, suite: Path
) -> None:
    path = f"{suite}:{os.environ['PATH']}"
    fill(suite, bench, "1:10.0.9+ds-1")
    assert bench.script("source", PATH=path).returncode == 0
    assert bench.script("newer_release", "make newest", PATH=path).stdout == ""
    fill(suite, bench, "1:10.0.9+ds-1", "1:10.0.14+ds-1+deb13u1")
    assert bench.script("newer_release", "make newest", PATH=path).stdout == ""
    (bench.work / "newest.stamp").unlink()
    told = "-- Debian trixie has QEMU 10.0.14, and this is 10.0.9; to take it: make newest\n"
    assert bench.script("newer_release", "make newest", PATH=path).stdout == told
    assert bench.script("newer_release", "make newest", PATH="/nowhere").stdout == told


def test_without_a_network_nothing_is_told(bench: Bench, suite: Path) -> None:
    path = f"{suite}:{os.environ['PATH']}"
    fill(suite, bench, "1:10.0.9+ds-1")
    assert bench.script("source", PATH=path).returncode == 0
    (suite / "apt-get").write_text("#!/bin/sh\nexit 100\n")
    done = bench.script("newer_release", "make newest", PATH=path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_sources_that_are_not_debians_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sources.list").write_text(
        "deb http://one.invalid/debian trixie main\n"
        "deb [signed-by=/key] https://other.invalid/apt stable main\n"
        "deb http://two.invalid/debian-security/ trixie-security main\n"
    )
    listed = ["Debian|http://one.invalid/debian/", "Other|https://other.invalid/apt/",
              "Debian|http://two.invalid/debian-security/"]  # fmt: skip
    monkeypatch.setattr(debian_source, "run", lambda _: "\n".join(listed))
    found = debian_source.mirrors(tmp_path)
    assert [mirror.suites for mirror in debian_source.of_debian(found)] == ["trixie", "trixie-security"]
    monkeypatch.setattr(debian_source, "run", lambda _: "")  # as long as apt has no lists
    assert debian_source.of_debian(found) == found
