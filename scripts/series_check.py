# SPDX-License-Identifier: GPL-2.0-or-later
"""Try the mail-ready series as its receivers will: apply it mail by mail, build and test each commit.

What is quick comes first: no sign-off, a strict `git am` on the pristine base, the tree equal to the tested one,
checkpatch.pl, rustfmt, an export without a difference. Then each commit is built with Rust, its tests are run, and it
is built without Rust; at the last one clippy looks. The first failure ends the check, with the command that repeats it.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import crates
import firmware
import mail_checks
import mails
from commit_build import CommitBuild
from commits import BRANCH
from workplace import REPOSITORY, Refused, Workplace, arguments, git, run_script, say, workplace


def main() -> None:
    """Check what `make series` wrote."""
    parser = arguments(__doc__)
    parser.add_argument("--python", type=Path, required=True, help="a Python with Meson and pycotap, for configure")
    parser.add_argument("--checkout", type=Path, default=REPOSITORY, help="where the new files are")
    parser.add_argument("--from", type=int, default=1, dest="first", metavar="N",
                        help="build from the Nth commit on, in the folders of the run before")
    options = parser.parse_args()
    place, checkout = workplace(options), options.checkout.resolve()
    room = Workplace(place.base, place.root / "series-check")
    builds = [CommitBuild(place, room.tree, variant, options.python) for variant in ("rust", "norust")]
    with room.locked():
        with place.locked():  # but not while the commits are built
            mails.check_unsigned(place.series)
            if options.first == 1:
                for path in (room.tree, *(build.folder for build in builds), *(build.log for build in builds)):
                    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            commits = apply(place, room.tree, mails.mails(place.series))
            check_finished(place, room.tree, checkout)
        build_all(room.tree, commits, options.first, builds)


def apply(place: Workplace, tree: Path, letters: list[Path]) -> list[str]:
    """Apply the mails, one by one, on the pristine base; the commits that they make."""
    if not tree.is_dir():
        git("worktree", "prune", GIT_DIR=place.repository)
        git("worktree", "add", "--quiet", "--detach", tree, "base", GIT_DIR=place.repository)
    else:
        shutil.rmtree(Path(git("rev-parse", "--absolute-git-dir", cwd=tree).strip(), "rebase-apply"),
                      ignore_errors=True)
        git("checkout", "--quiet", "--force", "--detach", "base", cwd=tree)
    commits = []
    for letter in letters:
        try:
            git("am", "--quiet", "--no-3way", letter, cwd=tree)
        except Refused as failure:
            raise Refused(f"{letter.name} doesn't apply strictly:\n{failure}\n  Repeat: git -C {tree} am --no-3way "
                          f"{letter}") from failure
        commits.append(git("rev-parse", "HEAD", cwd=tree).strip())
    say(f"{len(commits)} mails apply strictly to the pristine QEMU {git('show', 'base:VERSION', cwd=tree).strip()}")
    return commits


def check_finished(place: Workplace, tree: Path, checkout: Path) -> None:
    """Check the tree that all mails together make, and the mails."""
    if differing := git("diff", "--name-only", BRANCH, "HEAD", cwd=tree).splitlines():
        raise Refused(f"the mails' tree isn't the tested one: {', '.join(differing[:8])} differ.\n"
                      f"  Repeat: git -C {tree} diff {BRANCH} HEAD\n  `make series` writes the mails anew")
    say("the tree is the tested one")
    for letter in mails.mails(place.series):
        for answer in mail_checks.checkpatch(tree, letter):
            say(f"checkpatch.pl, answered: {answer}")
    say("checkpatch.pl has nothing else to say")
    if has_crate(tree):
        mail_checks.rustfmt(tree)
        say("rustfmt, with QEMU's settings, would change nothing")
    mail_checks.check_export(place, tree, checkout)
    say("an export gives patches/ as it is; there is no sign-off")
    firmware.supply(place, tree)
    crates.supply(place, tree)


def has_crate(tree: Path) -> bool:
    """Whether the tree shown has a workspace of Rust."""
    return (tree / "rust" / "Cargo.toml").is_file()


def build_all(tree: Path, commits: list[str], first: int, builds: list[CommitBuild]) -> None:
    """Build each commit in each way, with a line for each."""
    began = time.monotonic()
    for number, commit in enumerate(commits, 1):
        if number < first:
            continue
        git("checkout", "--quiet", "--detach", commit, cwd=tree)
        subject = git("log", "-1", "--format=%s", cwd=tree).strip()
        times = []
        try:
            for build in builds:
                took, (ended, tested) = build.build(), build.test()
                if number == len(commits) and build.variant == "rust" and not ended:
                    raise Refused("QEMU's build knows none of the series' tests: does tests/qtest/meson.build?")
                results = ", ".join(f"{count} {result}" for result, count in sorted(ended.items()))
                if number == len(commits) and build.variant == "rust" and has_crate(tree):
                    mail_checks.clippy(tree, build.folder)
                    say("clippy, with QEMU's settings, finds nothing")
                times.append(f"{build.variant} {took:.0f} s" + (f", tests {tested:.0f} s: {results}" if ended else ""))
        except Refused as failure:
            raise Refused(f"commit {number} of {len(commits)}, {commit[:12]} ({subject}), fails in the build "
                          f"{build.variant}: {failure}\n  Go on when it is mended: make series-check FROM={number}"
                          ) from failure
        say(f"{number}/{len(commits)} {subject}: {'; '.join(times)}")
    tried = len(commits) - first + 1
    say(f"{tried} commits x {len(builds)} builds, all good, in {(time.monotonic() - began) / 60:.0f} min")


if __name__ == "__main__":
    run_script(main)
