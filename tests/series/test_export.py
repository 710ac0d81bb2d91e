# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/export.py: the way back from the tree's commits to patches/ and to the new files."""

from __future__ import annotations

import shutil

from series.conftest import Bench, contents, git


def export(bench: Bench) -> str:
    """Export the prepared tree."""
    return bench.succeeds("export", "--checkout", bench.checkout)


def test_an_export_of_a_prepared_tree_changes_nothing(bench: Bench) -> None:
    bench.prepare()
    before = contents(bench.checkout)
    assert export(bench) == ""
    assert contents(bench.checkout) == before


def test_a_first_export_lists_new_files_and_keeps_them_out_of_the_patches(bench: Bench) -> None:
    assert bench.series.read_text() == "0001-memory-hook.patch include/new.h\n0002-physmem-hook.patch\n"
    assert "new.h" not in (bench.patches / "0001-memory-hook.patch").read_text()
    assert (bench.checkout / "qemu" / "include" / "new.h").read_text() == "int new;\n"


def test_what_is_committed_in_the_tree_comes_back_and_gives_the_same_tree(bench: Bench) -> None:
    bench.prepare()
    bench.commit("third", {"system/physmem.c": "int third;\n", "include/third.h": "int third;\n",
                           "include/new.h": "int newer;\n"})
    built = git("rev-parse", "HEAD^{tree}", cwd=bench.tree)
    export(bench)
    assert (bench.checkout / "qemu" / "include" / "new.h").read_text() == "int newer;\n"
    assert bench.series.read_text().endswith("0003-third.patch include/third.h\n")
    bench.prepare()
    assert git("rev-parse", "HEAD^{tree}", cwd=bench.tree) == built


def test_the_crates_files_come_to_the_folder_of_crates(bench: Bench) -> None:
    bench.prepare()
    bench.commit("third", {"rust/new/lib.rs": "// new\n"})
    built = git("rev-parse", "HEAD^{tree}", cwd=bench.tree)
    export(bench)
    assert (bench.checkout / "rust" / "new" / "lib.rs").read_text() == "// new\n"
    bench.prepare()
    assert git("rev-parse", "HEAD^{tree}", cwd=bench.tree) == built


def test_a_commit_that_only_edits_new_files_becomes_part_of_the_one_that_brings_them(bench: Bench) -> None:
    bench.prepare()
    bench.commit("fixup", {"include/new.h": "int newer;\n"})
    assert "include/new.h" in export(bench)
    assert [path.name for path in sorted(bench.patches.glob("*.patch"))] == [
        "0001-memory-hook.patch", "0002-physmem-hook.patch"]


def test_a_commit_that_is_gone_takes_its_patch_along(bench: Bench) -> None:
    bench.prepare()
    git("reset", "--quiet", "--hard", "HEAD^", cwd=bench.tree)
    export(bench)
    assert not (bench.patches / "0002-physmem-hook.patch").exists()
    assert bench.series.read_text() == "0001-memory-hook.patch include/new.h\n"


def test_the_comment_and_the_folders_of_the_file_series_stay(bench: Bench) -> None:
    text = "# Read me.\n\n0001-memory-hook.patch include\n0002-physmem-hook.patch\n"
    bench.series.write_text(text)
    bench.prepare()
    export(bench)
    assert bench.series.read_text() == text


def test_a_base_whose_patches_are_not_those_of_the_series_any_more_is_told_and_refused(bench: Bench) -> None:
    bench.prepare()
    shutil.copytree(bench.patches, bench.patches.with_name("10.2"))
    git("reset", "--quiet", "--hard", "HEAD^", cwd=bench.tree)
    bench.commit("third", {"system/physmem.c": "int third;\n"})
    unlike = "it has no 0002-third.patch; no line names its 0002-physmem-hook.patch"
    assert f"patches/10.2 isn't what the series says now: {unlike}. It needs the same commits" in export(bench)
    said = bench.refuses("tree", "--base", "10.2", "--checkout", bench.checkout)
    assert f"patches/10.2 isn't what {bench.series} says: {unlike}.\n" in said and "`make export BASE=10.2`" in said


def test_a_new_file_that_both_sides_have_changed_is_not_overwritten(bench: Bench) -> None:
    bench.prepare()
    bench.commit("third", {"include/new.h": "int theirs;\n"})
    (bench.checkout / "qemu" / "include" / "new.h").write_text("int mine;\n")
    assert "include/new.h" in bench.refuses("export", "--checkout", bench.checkout)
    assert (bench.checkout / "qemu" / "include" / "new.h").read_text() == "int mine;\n"


def test_edits_that_are_in_no_commit_are_refused(bench: Bench) -> None:
    bench.prepare()
    (bench.tree / "system" / "physmem.c").write_text("int mine;\n")
    assert "system/physmem.c" in bench.refuses("export", "--checkout", bench.checkout)
