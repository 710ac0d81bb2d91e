# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/source_package.py and binary_packages.py: what they refuse, and what is added to Debian's package.

That the packages can be built, and are what they must be, `make deb` and `make packages-check` show.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import binary_packages
import source_package
from series.conftest import Bench, git
from source_package import Sources
from workplace import Refused, Workplace

SOURCES = Sources(Path("qemu_10.0.9+ds-0+deb13u1.dsc"), "1:10.0.9+ds-0+deb13u1")


def test_another_base_is_refused_before_anything_is_downloaded(bench: Bench) -> None:
    said = bench.refuses("source_package", "--base", "10.2")
    assert "there are such of BASE=10.0 alone" in said


def test_who_is_not_root_is_told_of_the_source_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["binary_packages.py", "--architecture=amd64"])
    with pytest.raises(Refused, match="`make deb-source` needs no root"):
        binary_packages.main()


def test_upstreams_version_is_what_the_tarball_is_named_by() -> None:
    assert SOURCES.upstream == "10.0.9+ds"


def test_a_package_that_has_changed_is_refused_with_the_name_of_what_no_longer_fits(tmp_path: Path) -> None:
    (tmp_path / "debian").mkdir()
    (tmp_path / "debian/control-in").write_text("Source: qemu\n")
    (tmp_path / "debian/rules").write_text("include debian/control.mk\n")
    with pytest.raises(Refused, match=r"Debian's package has changed .*packages/debian/hooks-10\.0\.patch"):
        source_package.change_debian(Workplace("10.0", tmp_path / "work"), SOURCES, tmp_path)
    assert (tmp_path / "debian/rules").read_text() == "include debian/control.mk\n"


def test_the_entry_in_the_changelog_sorts_between_debians_versions_and_is_dated_by_the_series(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.prepare()
    changelog = bench.folder / "changelog"
    changelog.write_text("qemu (1:10.0.9+ds-0+deb13u1) trixie; urgency=medium\n")
    monkeypatch.setenv("DEBFULLNAME", "A Builder")
    monkeypatch.setenv("DEBEMAIL", "builder@invalid")
    source_package.record(Workplace("10.0", bench.work), SOURCES, changelog, 27)
    first, *_, signed, _, old = changelog.read_text().splitlines()
    assert max(map(len, changelog.read_text().splitlines())) <= 80  # else lintian complains
    version = "1:10.0.9+ds-0+deb13u1+ramdev2"
    assert first == f"qemu ({version}) trixie; urgency=medium" and old.startswith("qemu (1:10.0.9+ds-0+deb13u1)")
    assert signed == f" -- A Builder <builder@invalid>  {git('log', '-1', '--format=%aD', cwd=bench.tree)}"
    for relation, other in (("gt", SOURCES.version), ("lt", "1:10.0.9+ds-0+deb13u2"), ("lt", "1:10.0.10+ds-0+deb13u1")):
        subprocess.run(["dpkg", "--compare-versions", version, relation, other], check=True)
