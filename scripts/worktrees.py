# SPDX-License-Identifier: GPL-2.0-or-later
"""Worktrees of a workplace's repository: made, moved to another commit, and kept from losing what somebody did there.

Only files that differ are written anew, so that a build goes on where it was.
"""

from __future__ import annotations

from pathlib import Path

from workplace import Refused, Workplace, git


def worktree(place: Workplace, name: str, commit: str, *options: str) -> Path:
    """A new worktree in a scratch place, without a branch."""
    path = place.scratch(name)
    git("worktree", "prune", GIT_DIR=place.repository)
    forced = ("--force", "--force")  # twice, for one that an interrupted run has left locked
    git("worktree", "add", "--quiet", *forced, "--detach", *options, path, commit, GIT_DIR=place.repository)
    return path


def check_repository(place: Workplace, tree: Path) -> None:
    """Refuse to work in a tree of another workplace: git would work on that one's repository."""
    belongs_to = (tree / ".git").read_text().removeprefix("gitdir:").strip() if (tree / ".git").is_file() else ""
    if not Path(belongs_to).is_relative_to(place.repository):
        raise Refused(f"{tree} belongs to a repository elsewhere ({belongs_to or 'none'}): was this checkout moved or "
                      f"copied?\n  Its builds are of no use here: rm -r {place.root}")


def check_unedited(tree: Path) -> None:
    """Refuse to go on over work that was not committed."""
    edits = git("status", "--porcelain", "--untracked-files=no", cwd=tree).rstrip()
    if edits:
        raise Refused(f"{tree} has edits that are not in the series:\n{edits}\n"
                      f"  Keep them: commit them there (git -C {tree} commit -a), then `make export`.\n"
                      f"  Or put them away: git -C {tree} stash\n"
                      f"  Or, if they are what an interrupted run left: rm -r {tree}")


def check_branch(tree: Path, branch: str) -> None:
    """Refuse to take somebody's unfinished rebase for the series."""
    if git("branch", "--show-current", cwd=tree).strip() != branch:
        raise Refused(f"{tree} isn't on {branch or 'the base'}.\n  Finish what you do there (a rebase?), then: "
                      f"git -C {tree} checkout {branch or 'base'}")


def move(place: Workplace, tree: Path, commit: str, branch: str = "") -> None:
    """Let a worktree show a commit; files that are the same in it keep their time stamps."""
    if not tree.is_dir():
        fresh = worktree(place, tree.name, commit)
        if branch:
            git("checkout", "--quiet", "-B", branch, cwd=fresh)
        git("worktree", "move", fresh, tree, GIT_DIR=place.repository)
        return
    git("checkout", "--quiet", *(["-B", branch] if branch else ["--detach"]), commit, cwd=tree)
