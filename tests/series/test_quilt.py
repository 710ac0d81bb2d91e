# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/quilt.py: the series as a distribution's package takes it, by patch(1) and with the headers of DEP-3."""

from __future__ import annotations

import email.parser
import os
import subprocess
from pathlib import Path

import pytest

import quilt
from series.conftest import Bench, git
from workplace import Workplace


def applied(names: list[str], patches: Path, tree: Path) -> None:
    """Apply patches as dpkg-source does: without fuzz."""
    for name in names:
        subprocess.run(["patch", "-p1", "-F0", "-N", "-t", "-s", "-i", patches / name], cwd=tree, check=True)


def test_patch_makes_the_tree_that_is_built_out_of_the_base(tmp_path: Path) -> None:
    if "RAM_DEVICE_TREE" not in os.environ:
        pytest.skip("RAM_DEVICE_TREE isn't set; `meson test` sets it")
    tree, fresh = Path(os.environ["RAM_DEVICE_TREE"]), tmp_path / "fresh"
    place = Workplace(os.environ["RAM_DEVICE_BASE"], tree.parent)
    names = quilt.write(place, tmp_path / "patches" / quilt.FOLDER)
    assert len(names) == int(git("rev-list", "--count", "base..HEAD", cwd=tree)) > 0
    git("clone", "--quiet", "--shared", "--branch", "base", tree, fresh, cwd=tmp_path)
    applied(names, tmp_path / "patches", fresh)
    git("add", "--all", "--force", cwd=fresh)
    assert git("write-tree", cwd=fresh) == git("rev-parse", "HEAD^{tree}", cwd=tree)


def test_a_patch_says_who_when_and_whether_it_was_sent(bench: Bench) -> None:
    bench.prepare()
    said = bench.succeeds("quilt")
    folder = bench.work / "quilt"
    names = (folder / "series").read_text().split()
    assert names == ["ram-device/0001-memory-hook.patch", "ram-device/0002-physmem-hook.patch"]
    assert f"2 patches are in {folder}" in said
    headers = email.parser.Parser().parsestr((folder / names[0]).read_text())
    assert headers["From"] == '"tester@invalid" <tester@invalid>'
    assert headers["Subject"] == "memory: hook"
    assert (headers["Origin"], headers["Forwarded"]) == ("vendor", "no")
    assert headers["Last-Update"] == git("log", "-1", "--format=%as", "ram-device~1", cwd=bench.tree)
    assert str(headers.get_payload()).startswith("A reason.\n---\n")


def test_a_file_that_is_renamed_is_removed_and_added(bench: Bench) -> None:
    bench.prepare()
    git("mv", "system/memory.c", "system/moved.c", cwd=bench.tree)
    git("commit", "--quiet", "-m", "memory: move", cwd=bench.tree)
    place = Workplace("10.0", bench.work)
    names = quilt.write(place, bench.folder / "patches" / quilt.FOLDER)
    assert "rename" not in (bench.folder / "patches" / names[2]).read_text()
    applied(names, bench.folder / "patches", bench.qemu)
    assert not (bench.qemu / "system/memory.c").exists()
    assert (bench.qemu / "system/moved.c").read_text() == (bench.tree / "system/moved.c").read_text()


def test_a_sign_off_is_refused(bench: Bench) -> None:
    bench.prepare()
    bench.commit("memory: more\n\nSigned-off-by: A <a@invalid>", {"system/memory.c": "int other;\n"})
    assert "has a sign-off: Signed-off-by: A <a@invalid>" in bench.refuses("quilt")
