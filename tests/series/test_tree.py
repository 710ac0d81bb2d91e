# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/tree.py: the tree is the series, and what is in it is neither lost nor trusted half done."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from series.conftest import Bench, git


def test_the_tree_has_one_commit_for_each_line_with_its_new_files(bench: Bench) -> None:
    bench.prepare()
    shown = git("log", "--reverse", "--format=%an|%s", "--name-only", "base..", cwd=bench.tree).split("\n")
    assert [line for line in shown if line] == [
        "tester@invalid|memory: hook", "include/new.h", "system/memory.c",
        "tester@invalid|physmem: hook", "system/physmem.c"]


def test_preparing_anew_gives_the_same_commits(bench: Bench) -> None:
    bench.prepare()
    first = git("rev-parse", "HEAD", cwd=bench.tree)
    (bench.work / "tree.stamp").unlink()
    bench.prepare()
    assert git("rev-parse", "HEAD", cwd=bench.tree) == first


def test_a_base_that_has_no_patches_yet_gets_the_pristine_source(bench: Bench) -> None:
    shutil.rmtree(bench.patches)
    bench.prepare()
    assert git("rev-parse", "HEAD", cwd=bench.tree) == git("rev-parse", "base", cwd=bench.tree)
    assert bench.prepare() == ""


def test_nothing_is_written_when_nothing_has_changed(bench: Bench) -> None:
    bench.prepare()
    assert bench.prepare() == ""


def test_only_files_that_differ_get_a_new_time_stamp(bench: Bench) -> None:
    bench.prepare()
    before = {path: path.stat().st_mtime_ns for path in bench.tree.rglob("*.[ch]")}
    (bench.checkout / "qemu" / "include" / "new.h").write_text("int newer;\n")
    bench.prepare()
    assert [path.name for path, time in before.items() if path.stat().st_mtime_ns != time] == ["new.h"]


def test_a_file_that_the_checkout_ignores_does_not_come_along(bench: Bench) -> None:
    (bench.checkout / ".gitignore").write_text("/qemu/include/target/\n")
    (bench.checkout / "qemu" / "include" / "target").mkdir()
    (bench.checkout / "qemu" / "include" / "target" / "made").write_text("")
    bench.series.write_text(bench.series.read_text().replace("include/new.h", "include"))
    bench.prepare()
    assert [path.name for path in (bench.tree / "include").iterdir()] == ["new.h"]


def test_a_file_belongs_to_the_line_that_names_it_most_closely(bench: Bench) -> None:
    (bench.checkout / "qemu" / "include" / "late.h").write_text("int late;\n")
    bench.series.write_text(bench.series.read_text().replace("include/new.h", "include").rstrip() + " include/late.h\n")
    bench.prepare()
    assert git("show", "--format=", "--name-only", "HEAD", cwd=bench.tree).split() == [
        "include/late.h", "system/physmem.c"]


def test_a_patch_that_does_not_apply_is_named_and_the_tree_stays(bench: Bench) -> None:
    bench.prepare()
    before = git("rev-parse", "HEAD", cwd=bench.tree)
    patch = bench.patches / "0002-physmem-hook.patch"
    patch.write_text(patch.read_text().replace("-int physmem;", "-int other;"))
    said = bench.refuses("tree", "--checkout", bench.checkout)
    assert "0002-physmem-hook.patch doesn't apply to QEMU 10.0.9" in said
    assert "patch does not apply" in said  # git's own words
    assert git("rev-parse", "HEAD", cwd=bench.tree) == before
    assert git("status", "--porcelain", cwd=bench.tree) == ""


def test_a_patch_whose_context_has_moved_a_little_is_refused_where_fuzz_would_take_it(bench: Bench) -> None:
    patch = bench.patches / "0001-memory-hook.patch"
    patch.write_text(patch.read_text().replace(" int line2;", " int line2; /* was different */"))
    assert "0001-memory-hook.patch doesn't apply" in bench.refuses("tree", "--checkout", bench.checkout)


def test_a_patch_that_adds_a_file_is_refused(bench: Bench) -> None:
    patch = bench.patches / "0002-physmem-hook.patch"
    patch.write_text(patch.read_text() + "diff --git a/added.c b/added.c\nnew file mode 100644\n--- /dev/null\n"
                     "+++ b/added.c\n@@ -0,0 +1 @@\n+int added;\n")
    assert "0002-physmem-hook.patch adds added.c" in bench.refuses("tree", "--checkout", bench.checkout)


def test_a_line_that_names_what_is_not_there_is_refused(bench: Bench) -> None:
    bench.series.write_text(bench.series.read_text().rstrip() + " include/absent.h\n")
    assert "names include/absent.h" in bench.refuses("tree", "--checkout", bench.checkout)


def test_a_tree_with_edits_is_refused_and_they_stay(bench: Bench) -> None:
    bench.prepare()
    (bench.tree / "system" / "physmem.c").write_text("int mine;\n")
    said = bench.refuses("tree", "--checkout", bench.checkout)
    assert "system/physmem.c" in said and "make export" in said and "stash" in said
    assert (bench.tree / "system" / "physmem.c").read_text() == "int mine;\n"


def test_a_tree_with_commits_that_were_not_exported_is_refused_and_they_stay(bench: Bench) -> None:
    bench.prepare()
    bench.commit("mine", {"system/physmem.c": "int mine;\n"})
    assert "make export" in bench.refuses("tree", "--checkout", bench.checkout)
    assert git("log", "-1", "--format=%s", cwd=bench.tree) == "mine"


def test_a_tree_in_the_middle_of_a_rebase_is_refused(bench: Bench) -> None:
    bench.prepare()
    git("checkout", "--quiet", "HEAD^", cwd=bench.tree)
    assert "isn't on ram-device" in bench.refuses("tree", "--checkout", bench.checkout)


def test_a_checkout_that_was_interrupted_loses_nothing_and_the_way_on_is_told(bench: Bench) -> None:
    bench.prepare()
    head = git("rev-parse", "HEAD", cwd=bench.tree)
    (bench.checkout / "qemu" / "include" / "new.h").write_text("int newer;\n")
    (bench.tree / "include" / "new.h").write_text("int newer;\n")  # as git writes it before it moves HEAD
    (bench.tree / "half.c").write_text("")
    Path(git("rev-parse", "--absolute-git-dir", cwd=bench.tree), "index.lock").write_text("")
    said = bench.refuses("tree", "--checkout", bench.checkout)
    assert f"if they are what an interrupted run left: rm -r {bench.tree}\n" in said
    assert git("rev-parse", "ram-device", cwd=bench.tree) == head
    shutil.rmtree(bench.tree)
    bench.prepare()
    assert git("status", "--porcelain", cwd=bench.tree) == ""
    assert git("show", "HEAD:include/new.h", cwd=bench.tree) == "int newer;"
    assert git("branch", "--show-current", cwd=bench.tree) == "ram-device"


def test_what_an_interrupted_run_did_not_supply_is_supplied_by_the_next_run(bench: Bench) -> None:
    (bench.qemu / "pc-bios").mkdir()
    (bench.qemu / "pc-bios" / "meson.build").write_text("'edk2-code.fd'\n")
    bench.source()
    bench.prepare()
    supplied = [tree / "pc-bios" / "edk2-code.fd.bz2" for tree in (bench.tree, bench.work / "stock-tree")]
    for archive in supplied:
        archive.unlink()
    assert bench.prepare() == ""
    assert all(archive.exists() for archive in supplied)


def test_what_an_interrupted_run_left_is_thrown_away(bench: Bench) -> None:
    for name in ("tree", "apply", "series"):
        (bench.work / f"{name}.partial").mkdir()
        (bench.work / f"{name}.partial" / "junk").write_text("")
    bench.prepare()
    assert not list(bench.work.glob("*.partial"))
    assert not (bench.tree / "junk").exists()


def test_what_is_nowhere_else_is_not_removed(bench: Bench) -> None:
    assert bench.succeeds("all_saved") == ""  # nothing is prepared yet
    bench.prepare()
    assert bench.succeeds("all_saved") == ""
    (bench.tree / "VERSION").write_text("edited\n")
    assert "has edits that are not in the series" in bench.refuses("all_saved")
    bench.commit("another hook", {"VERSION": "committed\n"})
    assert "has commits that are not in patches/" in bench.refuses("all_saved")


def test_a_workplace_that_was_copied_is_refused_and_the_first_one_stays(
    bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bench.prepare()
    copied = dataclasses.replace(bench, folder=tmp_path_factory.mktemp("copies") / "copy")
    shutil.copytree(bench.folder, copied.folder, symlinks=True)
    assert "was this checkout moved or copied?" in copied.refuses("tree", "--checkout", copied.checkout)
    assert git("status", "--porcelain", cwd=bench.tree) == ""
