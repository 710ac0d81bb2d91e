# SPDX-License-Identifier: GPL-2.0-or-later
"""The series itself: what is built is, byte for byte, what `git am` makes of the mails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import series_file
from series.conftest import PATCHES, REPOSITORY, contents, git


@pytest.fixture
def tree() -> Path:
    """The tree that is built."""
    if "RAM_DEVICE_TREE" not in os.environ:
        pytest.skip("RAM_DEVICE_TREE isn't set; `meson test` sets it")
    return Path(os.environ["RAM_DEVICE_TREE"])


def test_a_strict_git_am_of_the_mail_ready_series_gives_the_tree_that_is_built(tree: Path, tmp_path: Path) -> None:
    mails = sorted(Path(os.environ["RAM_DEVICE_SERIES"]).glob("*.patch"))[1:]  # the first one is the cover letter
    fresh = tmp_path / "fresh"
    git("clone", "--quiet", "--shared", "--branch", "base", tree, fresh, cwd=tmp_path)
    git("am", "--quiet", "--no-3way", *mails, cwd=fresh)
    assert len(mails) == int(git("rev-list", "--count", "base..HEAD", cwd=tree)) > 0
    assert git("status", "--porcelain", "--untracked-files=no", cwd=tree) == ""
    assert git("diff", "--stat", "base", git("rev-parse", "HEAD", cwd=tree), cwd=fresh) != ""
    assert git("diff", git("rev-parse", "HEAD", cwd=tree), cwd=fresh) == ""
    assert git("rev-parse", "HEAD^{tree}", cwd=fresh) == git("rev-parse", "HEAD^{tree}", cwd=tree)


def test_the_cover_letter_counts_the_mails_and_nothing_is_signed_off(tree: Path) -> None:
    cover, *mails = sorted(Path(os.environ["RAM_DEVICE_SERIES"]).glob("*.patch"))
    text = cover.read_text()
    assert cover.name == "0000-cover-letter.patch"
    assert f"[PATCH 00/{len(mails)}] RAM device regions" in text
    assert f"These {len(mails)} patches apply to QEMU {os.environ['RAM_DEVICE_BASE']} " in text
    assert "***" not in text and "$" not in text  # git's placeholders, ours
    assert f" {len(git('diff', '--name-only', 'base', 'HEAD', cwd=tree).split())} files changed" in text
    assert not [mail.name for mail in (cover, *mails) if "\nSigned-off-by:" in mail.read_text()]


def test_the_cover_letter_says_of_each_patch_once_what_it_is_for(tree: Path) -> None:
    letter = (PATCHES / "cover-letter.txt").read_text()
    order = re.findall(r"^ (\d+)(?:-(\d+))? {2,}\S", letter, re.MULTILINE)
    named = [patch for first, last in order for patch in range(int(first), int(last or first) + 1)]
    assert named == list(range(1, 1 + int(git("rev-list", "--count", "base..HEAD", cwd=tree))))


def test_an_export_of_the_tree_that_is_built_gives_the_patches_that_are_here(tree: Path, tmp_path: Path) -> None:
    base, there = os.environ["RAM_DEVICE_BASE"], tmp_path / "patches"
    shutil.copytree(PATCHES, there)
    subprocess.run([sys.executable, "-B", REPOSITORY / "scripts" / "export.py", "--base", base, "--work",
                    tmp_path / "work", "--tree", tree, "--checkout", REPOSITORY, "--patches", there], check=True)
    assert contents(there) == contents(PATCHES)


@pytest.mark.parametrize("base", tomllib.loads((REPOSITORY / "scripts" / "bases.toml").read_text()))
def test_each_base_has_the_patches_that_the_file_series_names(base: str) -> None:
    assert series_file.unlike(PATCHES, base) == []
    assert series_file.read(PATCHES, base) != []
