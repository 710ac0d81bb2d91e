# SPDX-License-Identifier: GPL-2.0-or-later
"""Prepare the tree that is built: QEMU's source with the series applied, one commit for each of its lines.

The commits are made in a scratch worktree by a strict `git am` plus the new files of each line; only when all of them
are there does the tree move, so that a series that doesn't apply leaves the previous tree as it was, and only files
that differ are written anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import crates
import firmware
import mails
import series
from workplace import REPOSITORY, Refused, Workplace, arguments, git, run_script, say, workplace

BRANCH = "ram-device"
# What plain direct mapping has of QEMU's own: the block layer, which doesn't bounce, and the handling of SIGBUS.
QEMUS_OWN = ("block", "system/cpus.c", "util/main-loop.c", "util/qemu-thread-posix.c")
APPLIED = "refs/ram-device/applied"  # the series' last commit, where that is all that was asked for
KNOWN = "refs/ram-device/known"  # the last commit of the branch whose content is in patches/ too


def main() -> None:
    """Prepare ``tree``, ``stock-tree`` and ``series``; nothing is written when no input has changed."""
    parser = arguments(__doc__)
    parser.add_argument("--checkout", type=Path, default=REPOSITORY, help="where the new files are")
    parser.add_argument("--patches", type=Path, help="where the patches are (default: CHECKOUT/patches/BASE)")
    parser.add_argument("--direct", action="store_true", help="prepare direct/tree as well, to compare with")
    parser.add_argument("--apply-only", action="store_true", help=f"make the series' commits ({APPLIED}), but no tree")
    options = parser.parse_args()
    place, checkout = workplace(options), options.checkout.resolve()
    with place.locked():
        _, entries = series.read((options.patches or checkout / "patches" / place.base).resolve())
        if options.apply_only:
            series.find_files(place, checkout, entries)
            git("update-ref", APPLIED, apply(place, imported(place), checkout, entries), GIT_DIR=place.repository)
            return
        prepare(place, checkout, entries)
        if options.direct:
            prepare_direct(place)


def prepare(place: Workplace, checkout: Path, entries: list[series.Entry]) -> None:
    """Bring the workplace's trees up to date with the series and the checkout's files."""
    base = imported(place)
    recover(place)
    series.find_files(place, checkout, entries)
    stamp, wanted = place.root / "tree.stamp", fingerprint(base, checkout, entries)
    for tree, branch in ((place.tree, BRANCH), (place.stock_tree, "")):
        if tree.is_dir():
            check_unedited(tree)
            check_branch(tree, branch)
    if not (stamp.is_file() and json.loads(stamp.read_text()) == [wanted, reference(place, f"refs/heads/{BRANCH}")]
            and place.tree.is_dir() and place.series.is_dir()):
        commit = apply(place, base, checkout, entries)
        check_exported(place, commit)
        stamp.unlink(missing_ok=True)
        move(place, place.tree, commit, BRANCH)
        git("update-ref", KNOWN, commit, GIT_DIR=place.repository)
        mails.write(place, checkout, BRANCH)
        partial = place.scratch("stamp")
        partial.write_text(json.dumps([wanted, commit]))
        partial.rename(stamp)
        say(f"{place.tree} has the series' {len(entries)} commits")
    if not place.stock_tree.is_dir() or git("rev-parse", "HEAD", cwd=place.stock_tree).strip() != base:
        move(place, place.stock_tree, base)
    for tree in (place.tree, place.stock_tree):
        supply(place, tree)


def prepare_direct(place: Workplace) -> None:
    """Bring ``direct/tree`` up to date: what the series maps directly meets a QEMU that doesn't know of it."""
    tree, commit = place.direct_tree, reference(place, f"refs/heads/{BRANCH}")
    message = f"QEMU's own {', '.join(QEMUS_OWN)}"
    if tree.is_dir():
        if git("log", "-1", "--format=%P %s", cwd=tree).strip() == f"{commit} {message}":
            return
        git("reset", "--quiet", "--hard", cwd=tree)  # an interrupted run's; nobody else works there
    move(place, tree, commit)
    git("checkout", "--quiet", "base", "--", *QEMUS_OWN, cwd=tree)
    git("commit", "--quiet", f"--message={message}", cwd=tree)
    supply(place, tree)


def supply(place: Workplace, tree: Path) -> None:
    """Give a tree what its build needs and Debian's source lacks."""
    firmware.supply(place, tree)
    crates.supply(place, tree)


def imported(place: Workplace) -> str:
    """The commit that is the base."""
    base = reference(place, "refs/tags/base")
    if not base:
        raise Refused(f"{place.root} has no QEMU source yet: run scripts/source.py first")
    return base


def reference(place: Workplace, name: str) -> str:
    """The commit that a reference names, or nothing."""
    return git("for-each-ref", "--format=%(objectname)", name, GIT_DIR=place.repository).strip()


def fingerprint(base: str, checkout: Path, entries: list[series.Entry]) -> str:
    """A hash of all that the prepared tree depends on."""
    sources = (Path(__file__), Path(mails.__file__), mails.letter(checkout))
    seen = hashlib.sha256(base.encode() + b"".join(path.read_bytes() for path in sources if path.is_file()))
    for entry in entries:
        seen.update(f"\n{entry.patch.name}\n".encode() + entry.patch.read_bytes())
        for file in entry.files:
            path = checkout / file
            facts = path.stat()
            seen.update(f"\n{file} {facts.st_mode & 0o100} {facts.st_size}\n".encode() + path.read_bytes())
    return seen.hexdigest()


def apply(place: Workplace, base: str, checkout: Path, entries: list[series.Entry]) -> str:
    """Make the series' commits on base in a scratch worktree; the last one's id, the same on every machine."""
    scratch = worktree(place, "apply", base, "--no-checkout")  # git am takes what it needs out of the index
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
            shutil.copy(checkout / file, scratch / file)
        if entry.files:
            git("--literal-pathspecs", "add", "--force", "--", *entry.files, cwd=scratch)
            date = git("log", "-1", "--format=%aI", cwd=scratch).strip()
            git("commit", "--quiet", "--amend", "--no-edit", "--allow-empty", cwd=scratch, GIT_COMMITTER_DATE=date)
    commit = git("rev-parse", "HEAD", cwd=scratch).strip()
    git("worktree", "remove", "--force", scratch, GIT_DIR=place.repository)
    return commit


def check_patch(entry: series.Entry, scratch: Path) -> None:
    """A patch edits files of QEMU, a line brings files that QEMU doesn't have: neither does the other's work."""
    added = git("diff", "--name-only", "--no-renames", "--diff-filter=A", "HEAD^", "HEAD", cwd=scratch).splitlines()
    if added:
        raise Refused(f"{entry.patch.name} adds {added[0]}, but patches only edit what QEMU has: put the file at "
                      f"{added[0]} in this repository and its name on the patch's line in the file series")
    listed = git("--literal-pathspecs", "ls-files", "--", *entry.files, cwd=scratch) if entry.files else ""
    if had := listed.splitlines():
        raise Refused(f"the series' line {entry.patch.name} brings {had[0]}, which QEMU has already: "
                      "make the edit in the tree, commit it there, and run `make export`")


def worktree(place: Workplace, name: str, commit: str, *options: str) -> Path:
    """A new worktree in a scratch place, without a branch."""
    path = place.scratch(name)
    git("worktree", "prune", GIT_DIR=place.repository)
    git("worktree", "add", "--quiet", "--detach", *options, path, commit, GIT_DIR=place.repository)
    return path


def check_unedited(tree: Path) -> None:
    """Refuse to go on over work that was not committed."""
    edits = git("status", "--porcelain", "--untracked-files=no", cwd=tree).rstrip()
    if edits:
        raise Refused(f"{tree} has edits that are not in the series:\n{edits}\n"
                      f"  Keep them: commit them there (git -C {tree} commit -a), then `make export`.\n"
                      f"  Or put them away: git -C {tree} stash")


def check_branch(tree: Path, branch: str) -> None:
    """Refuse to take somebody's unfinished rebase for the series."""
    if git("branch", "--show-current", cwd=tree).strip() != branch:
        raise Refused(f"{tree} isn't on {branch or 'the base'}.\n  Finish what you do there (a rebase?), then: "
                      f"git -C {tree} checkout {branch or 'base'}")


def check_exported(place: Workplace, commit: str) -> None:
    """Refuse to move the branch away from commits that are nowhere else."""
    head, known = reference(place, f"refs/heads/{BRANCH}"), reference(place, KNOWN)
    if head and known and head != known and git("diff", "--name-only", head, commit, GIT_DIR=place.repository):
        raise Refused(f"{place.tree} has commits that are not in patches/.\n  Keep them: make export\n"
                      f"  Or drop them: git -C {place.tree} reset --keep {known}")


def move(place: Workplace, tree: Path, commit: str, branch: str = "") -> None:
    """Let a worktree show a commit; files that are the same in it keep their time stamps."""
    if not tree.is_dir():
        tree.parent.mkdir(exist_ok=True)
        fresh = worktree(place, tree.name, commit)
        if branch:
            git("checkout", "--quiet", "-B", branch, cwd=fresh)
        git("worktree", "move", fresh, tree, GIT_DIR=place.repository)
        return
    journal = place.root / "moving"
    journal.write_text(json.dumps([tree.name, commit, branch]))
    try:
        git("checkout", "--quiet", *(["-B", branch] if branch else ["--detach"]), commit, cwd=tree)
    except Refused:
        journal.unlink()  # git moved nothing: an untracked file is in its way
        raise
    journal.unlink()


def recover(place: Workplace) -> None:
    """Finish a move that was interrupted: the worktree was free of edits when it began."""
    journal = place.root / "moving"
    if not journal.is_file():
        return
    name, commit, branch = json.loads(journal.read_text())
    tree = place.root / name
    if tree.is_dir():
        say(f"finishing an interrupted checkout of {tree}")
        Path(git("rev-parse", "--absolute-git-dir", cwd=tree).strip(), "index.lock").unlink(missing_ok=True)
        git("checkout", "--quiet", "--force", *(["-B", branch] if branch else ["--detach"]), commit, cwd=tree)
    journal.unlink()


if __name__ == "__main__":
    run_script(main)
