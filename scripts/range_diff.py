# SPDX-License-Identifier: GPL-2.0-or-later
"""Show by `git range-diff` in what the series differs from itself: on another base, or as it was at a revision."""

from __future__ import annotations

import shutil
from pathlib import Path

import commits
import series_file
from commits import BRANCH, reference
from workplace import REPOSITORY, Refused, Workplace, arguments, git, run, run_script, say, workplace


def main() -> None:
    """Print the differences."""
    parser = arguments(__doc__)
    parser.add_argument("--checkout", type=Path, default=REPOSITORY, help="where patches/ and the new files are")
    parser.add_argument("--against", default="", metavar="BASE", help="another base, whose tree is prepared beside")
    parser.add_argument("--old", default="", metavar="REV", help="a revision of the checkout")
    options = parser.parse_args()
    place, checkout = workplace(options), options.checkout.resolve()
    with place.locked():
        new = prepared(place, checkout)
        if options.old:
            title, old, objects = f"{options.old}, on {place.base}", at_revision(place, checkout, options.old), ""
        elif options.against:
            other = Workplace(options.against, place.root.parent / options.against)
            title, old = options.against, prepared(other, checkout)
            objects = str(other.repository / "objects")
        else:
            raise Refused("nothing to compare with: give --against BASE or --old REV")
        say(f"from {title}, to {place.base} as it is here")
        shown = git("range-diff", "--no-color", old, new, GIT_DIR=place.repository,
                    GIT_ALTERNATE_OBJECT_DIRECTORIES=objects)
    print(shown, end="")


def prepared(place: Workplace, checkout: Path) -> str:
    """The range of commits of a prepared tree."""
    if not (checkout / "patches" / place.base / "series").is_file():
        raise Refused(f"{checkout} has no patches/{place.base}/series: there is no series for QEMU {place.base} yet")
    base, branch = (reference(place, name) if place.repository.is_dir() else ""
                    for name in ("refs/tags/base", f"refs/heads/{BRANCH}"))
    if not base or not branch:
        raise Refused(f"{place.root} has no prepared tree: run `make series BASE={place.base}` first")
    return f"{base}..{branch}"


def at_revision(place: Workplace, checkout: Path, revision: str) -> str:
    """The range of commits that a revision of the checkout makes on this base."""
    base = reference(place, "refs/tags/base")
    old, packed = place.scratch("old-checkout"), place.scratch("old-archive")
    old.mkdir()
    git("archive", "--format=tar", f"--output={packed}", revision, cwd=checkout)
    run(["tar", "-x", "-C", str(old), "-f", str(packed)])
    if not (old / "patches" / place.base / "series").is_file():
        raise Refused(f"asked to compare with {revision}, which has no patches/{place.base}/series")
    if not (old / "qemu").is_dir():  # as older revisions have it: all at the top
        files = [path for path in old.iterdir() if path.name not in ("rust", "patches")]
        (old / "qemu").mkdir()
        for path in files:
            path.rename(old / "qemu" / path.name)
    _, entries = series_file.read(old / "patches" / place.base)
    series_file.find_files(place, old, entries)
    commit = commits.make(place, base, old, entries)
    packed.unlink()
    shutil.rmtree(old)
    return f"{base}..{commit}"


if __name__ == "__main__":
    run_script(main)
