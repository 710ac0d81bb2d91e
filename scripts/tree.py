# SPDX-License-Identifier: GPL-2.0-or-later
"""Prepare the tree that is built: QEMU's source with the series applied, one commit for each of its lines.

The commits are made in a scratch worktree by a strict `git am` plus the new files of each line; only when all of them
are there does the tree move, so that a series that doesn't apply leaves the previous tree as it was, and only files
that differ are written anew.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import commits
import crates
import firmware
import mails
import series_file
import worktrees
from commits import APPLIED, BRANCH, KNOWN, reference
from workplace import REPOSITORY, Refused, Workplace, arguments, git, run_script, say, workplace


def main() -> None:
    """Prepare ``tree``, ``stock-tree`` and ``series``; nothing is written when no input has changed."""
    parser = arguments(__doc__)
    parser.add_argument("--checkout", type=Path, default=REPOSITORY, help="where patches/ and the new files are")
    parser.add_argument("--apply-only", action="store_true", help=f"make the series' commits ({APPLIED}), but no tree")
    options = parser.parse_args()
    place, checkout = workplace(options), options.checkout.resolve()
    with place.locked():
        entries = series_file.read(checkout / "patches", place.base)
        if options.apply_only:
            series_file.find_files(place, checkout, entries)
            commit = commits.make(place, imported(place), checkout, entries)
            git("update-ref", APPLIED, commit, GIT_DIR=place.repository)
            return
        prepare(place, checkout, entries)


def prepare(place: Workplace, checkout: Path, entries: list[series_file.Entry]) -> None:
    """Bring the workplace's trees up to date with the series and the checkout's files."""
    base = imported(place)
    series_file.find_files(place, checkout, entries)
    stamp, wanted = place.root / "tree.stamp", fingerprint(base, checkout, entries)
    for tree, branch in ((place.tree, BRANCH), (place.stock_tree, "")):
        if tree.is_dir():
            worktrees.check_repository(place, tree)
            worktrees.check_unedited(tree)
            worktrees.check_branch(tree, branch)
    if not (stamp.is_file() and json.loads(stamp.read_text()) == [wanted, reference(place, f"refs/heads/{BRANCH}")]
            and place.tree.is_dir() and place.series.is_dir()):
        commit = commits.make(place, base, checkout, entries)
        check_exported(place, commit)
        stamp.unlink(missing_ok=True)
        worktrees.move(place, place.tree, commit, BRANCH)
        git("update-ref", KNOWN, commit, GIT_DIR=place.repository)
        mails.write(place, checkout, BRANCH)
        place.write(stamp, json.dumps([wanted, commit]))
        say(f"{place.tree} has the series' {len(entries)} commits")
    if not place.stock_tree.is_dir() or git("rev-parse", "HEAD", cwd=place.stock_tree).strip() != base:
        worktrees.move(place, place.stock_tree, base)
    for tree in (place.tree, place.stock_tree):
        firmware.supply(place, tree)
        crates.supply(place, tree)


def imported(place: Workplace) -> str:
    """The commit that is the base."""
    base = reference(place, "refs/tags/base")
    if not base:
        raise Refused(f"{place.root} has no QEMU source yet: run scripts/source.py first")
    return base


def fingerprint(base: str, checkout: Path, entries: list[series_file.Entry]) -> str:
    """A hash of all that the prepared tree depends on."""
    sources = (Path(commits.__file__), Path(mails.__file__), mails.letter(checkout))
    seen = hashlib.sha256(base.encode() + b"".join(path.read_bytes() for path in sources if path.is_file()))
    for entry in entries:
        seen.update(f"\n{entry.patch.name}\n".encode() + entry.patch.read_bytes())
        for file in entry.files:
            path = series_file.lies_at(checkout, file)
            facts = path.stat()
            seen.update(f"\n{file} {facts.st_mode & 0o100} {facts.st_size}\n".encode() + path.read_bytes())
    return seen.hexdigest()


def check_exported(place: Workplace, commit: str) -> None:
    """Refuse to move the branch away from commits that are nowhere else."""
    head, known = reference(place, f"refs/heads/{BRANCH}"), reference(place, KNOWN)
    if head and known and head != known and git("diff", "--name-only", head, commit, GIT_DIR=place.repository):
        raise Refused(f"{place.tree} has commits that are not in patches/.\n  Keep them: make export\n"
                      f"  Or drop them: git -C {place.tree} reset --keep {known}")


if __name__ == "__main__":
    run_script(main)
