# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/range_diff.py: in what a series differs from itself elsewhere or earlier; what is missing is named."""

from __future__ import annotations

import shutil

from series.conftest import Bench, git


def compare(bench: Bench, *words: str) -> str:
    """What the script prints."""
    return bench.succeeds("range_diff", "--checkout", bench.checkout, *words)


def test_what_has_changed_since_a_revision_is_shown(bench: Bench) -> None:
    git("init", "--quiet", cwd=bench.checkout)
    git("add", "--all", cwd=bench.checkout)
    git("commit", "--quiet", "-m", "first", cwd=bench.checkout)
    (bench.checkout / "qemu" / "include" / "new.h").write_text("int newer;\n")
    bench.prepare()
    shown = compare(bench, "--old", "HEAD")
    assert "-+int new;" in shown and "++int newer;" in shown
    assert "2:" in shown and "physmem: hook" in shown


def test_a_revision_that_had_the_new_files_at_the_top_is_shown_as_well(bench: Bench) -> None:
    here, at_the_top = bench.checkout / "qemu" / "include", bench.checkout / "include"
    here.rename(at_the_top)
    here.parent.rmdir()
    git("init", "--quiet", cwd=bench.checkout)
    git("add", "--all", cwd=bench.checkout)
    git("commit", "--quiet", "-m", "first", cwd=bench.checkout)
    here.parent.mkdir()
    at_the_top.rename(here)
    bench.prepare()
    shown = compare(bench, "--old", "HEAD").replace("  ", " ")
    assert "= 1:" in shown and "= 2:" in shown


def test_two_bases_are_compared(bench: Bench) -> None:
    bench.prepare()
    shutil.copytree(bench.patches, bench.patches.with_name("10.2"))
    shutil.copytree(bench.work, bench.work.with_name("10.2"))
    shown = compare(bench, "--against", "10.2")
    assert "= 1:" in shown.replace("  ", " ") and "= 2:" in shown.replace("  ", " ")


def test_a_base_without_a_series_is_named(bench: Bench) -> None:
    bench.prepare()
    said = bench.refuses("range_diff", "--checkout", bench.checkout, "--against", "10.2")
    assert "has no patches/10.2/series" in said


def test_a_base_that_is_not_prepared_is_named(bench: Bench) -> None:
    bench.prepare()
    shutil.copytree(bench.patches, bench.patches.with_name("10.2"))
    said = bench.refuses("range_diff", "--checkout", bench.checkout, "--against", "10.2")
    assert f"{bench.work.with_name('10.2')} has no prepared tree" in said and "make series BASE=10.2" in said


def test_a_revision_without_the_series_is_named(bench: Bench) -> None:
    git("init", "--quiet", cwd=bench.checkout)
    git("commit", "--quiet", "--allow-empty", "-m", "nothing", cwd=bench.checkout)
    bench.prepare()
    said = bench.refuses("range_diff", "--checkout", bench.checkout, "--old", "HEAD")
    assert "asked to compare with HEAD, which has no patches/10.0/series" in said
