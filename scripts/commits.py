# SPDX-License-Identifier: GPL-2.0-or-later
"""The series' commits: for each of its lines a strict `git am` of the patch, plus the new files. What names them."""

from __future__ import annotations

import shutil
from pathlib import Path

import series_file
import worktrees
from workplace import Refused, Workplace, git

BRANCH = "ram-device"
APPLIED = "refs/ram-device/applied"  # the series' last commit, where that is all that was asked for
KNOWN = "refs/ram-device/known"  # the last commit of the branch whose content is in patches/ too


def reference(place: Workplace, name: str) -> str:
    """The commit that a reference names, or nothing."""
    return git("for-each-ref", "--format=%(objectname)", name, GIT_DIR=place.repository).strip()


def make(place: Workplace, base: str, checkout: Path, entries: list[series_file.Entry]) -> str:
    """Make the series' commits on base in a scratch worktree; the last one's id, the same on every machine."""
    scratch = worktrees.worktree(place, "apply", base, "--no-checkout")  # git am takes what it needs out of the index
    git("read-tree", "HEAD", cwd=scratch)
    for entry in entries:
        try:
            git("am", "--quiet", "--no-3way", "--empty=keep", "--committer-date-is-author-date", entry.patch,
                cwd=scratch)
        except Refused as failure:
            version = git("show", "base:VERSION", GIT_DIR=place.repository).strip()
            words = "\n".join(line for line in str(failure).splitlines()[1:] if "hint:" not in line)
            raise Refused(f"{entry.patch.name} doesn't apply to QEMU {version} with what comes before it in the "
                          f"series:\n{words}\n  Correct {entry.patch}, or take a source that the series was checked "
                          "on (scripts/bases.toml). The previous tree is as it was.") from failure
        check_patch(entry, scratch)
        for file in entry.files:
            (scratch / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(series_file.lies_at(checkout, file), scratch / file)
        if entry.files:
            git("--literal-pathspecs", "add", "--force", "--", *entry.files, cwd=scratch)
            date = git("log", "-1", "--format=%aI", cwd=scratch).strip()
            git("commit", "--quiet", "--amend", "--no-edit", "--allow-empty", cwd=scratch, GIT_COMMITTER_DATE=date)
    commit = git("rev-parse", "HEAD", cwd=scratch).strip()
    git("worktree", "remove", "--force", scratch, GIT_DIR=place.repository)
    return commit


def check_patch(entry: series_file.Entry, scratch: Path) -> None:
    """A patch edits files of QEMU, a line brings files that QEMU doesn't have: neither does the other's work."""
    added = git("diff", "--name-only", "--no-renames", "--diff-filter=A", "HEAD^", "HEAD", cwd=scratch).splitlines()
    if added:
        here = series_file.lies_at(Path(), added[0])
        raise Refused(f"{entry.patch.name} adds {added[0]}, but patches only edit what QEMU has: put the file at "
                      f"{here} in this repository and its name in QEMU's tree on the patch's line in the file series")
    listed = git("--literal-pathspecs", "ls-files", "--", *entry.files, cwd=scratch) if entry.files else ""
    if had := listed.splitlines():
        raise Refused(f"the series' line {entry.patch.name} brings {had[0]}, which QEMU has already: "
                      "make the edit in the tree, commit it there, and run `make export`")
