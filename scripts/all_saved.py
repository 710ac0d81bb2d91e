# SPDX-License-Identifier: GPL-2.0-or-later
"""Refuse if a workplace, which is to be removed, has work on the series that is nowhere else."""

from __future__ import annotations

import worktrees
from commits import BRANCH, KNOWN, reference
from workplace import Refused, arguments, run_script, workplace


def main() -> None:
    """Look for edits, and for commits that weren't exported."""
    place = workplace(arguments(__doc__).parse_args())
    if not place.tree.is_dir():
        return
    worktrees.check_repository(place, place.tree)
    worktrees.check_unedited(place.tree)
    if reference(place, f"refs/heads/{BRANCH}") != reference(place, KNOWN):
        raise Refused(f"{place.tree} has commits that are not in patches/.\n  Keep them: make export\n"
                      f"  Or drop them: rm -r {place.root}")


if __name__ == "__main__":
    run_script(main)
