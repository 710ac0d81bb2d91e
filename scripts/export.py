# SPDX-License-Identifier: GPL-2.0-or-later
"""Write patches/BASE and the new files from a tree's commits: the reverse of tree.py.

Each commit between ``base`` and HEAD gives one patch with its edits of QEMU's own files. The files that the commits
add go back to where they live in this repository, and on the commit's line in patches/series, which is every base's:
where another base's patches are no longer what it says, that is said.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import series_file
from commits import BRANCH, KNOWN, reference
from workplace import REPOSITORY, Refused, Workplace, arguments, git, run_script, say, workplace
from worktrees import check_branch, check_unedited

Git = Callable[..., str]


@dataclass
class Change:
    """What one commit does to one path: its mode and blob afterwards (zeros: it is gone)."""

    mode: str
    blob: str
    path: str


@dataclass
class Commit:
    """A commit, parted into edits of QEMU's own files and of files that the series brings."""

    id: str
    edits: list[Change] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)


def main() -> None:
    """Export the workplace's tree, or any other git tree that has a tag ``base``."""
    parser = arguments(__doc__)
    parser.add_argument("--tree", type=Path, help="a git tree with a tag `base` (default: the workplace's)")
    parser.add_argument("--checkout", type=Path, default=REPOSITORY, help="where the new files go")
    parser.add_argument("--patches", type=Path, help="where the patches go (default: CHECKOUT/patches)")
    parser.add_argument("--overwrite", action="store_true", help="let the tree's new files replace different ones")
    options = parser.parse_args()
    place, checkout = workplace(options), options.checkout.resolve()
    patches = (options.patches or checkout / "patches").resolve()
    own = options.tree is None
    tree = place.tree if own else options.tree.resolve()
    if not (tree / ".git").exists():
        raise Refused(f"asked to export {tree}, but it is no git tree; `make` prepares one")
    with place.locked():
        check_unedited(tree)
        if own:
            check_branch(tree, BRANCH)
        here = partial(git, cwd=tree)
        commits = read_commits(here)
        copy_back(here, tree, reference(place, KNOWN) if own else "", checkout, options.overwrite)
        write_patches(here, place, commits, patches)
        if own:
            here("update-ref", KNOWN, "HEAD")


def write_patches(here: Git, place: Workplace, commits: list[Commit], patches: Path) -> None:
    """Write the base's patches and the file ``series``."""
    comment, old = series_file.parse(patches, place.base)
    paths = {entry.patch.name.partition("-")[2]: entry.paths for entry in old}
    fresh = place.scratch("patches")
    fresh.mkdir(parents=True)
    lines = comment
    for commit in commits:
        if not commit.edits and not commit.added and commit.rest:
            say(f"{commit.id[:12]} only edits what the series brings: it becomes part of the commits that bring "
                + ", ".join(commit.rest))
            continue
        name = write_patch(here, place, commit, fresh, len(list(fresh.iterdir())) + 1)
        lines.append(" ".join([name, *line_paths(commit, paths.get(name.partition("-")[2], []), here)]))
    replace(fresh, patches / place.base)
    write(patches / "series", "\n".join(lines).encode() + b"\n")
    for base in sorted(folder.name for folder in patches.iterdir() if folder.is_dir()):
        if found := series_file.unlike(patches, base):
            say(f"{patches / base} isn't what the series says now: {'; '.join(found)}. It needs the same commits, and "
                f"`make export BASE={base}`")


def read_commits(here: Git) -> list[Commit]:
    """The commits after ``base``, oldest first."""
    if here("rev-list", "--merges", "base..HEAD"):
        raise Refused("the tree has merges after base; a series is a line of commits: rebase it")
    own = set(here("ls-tree", "-r", "-z", "--name-only", "base").split("\0"))
    commits = []
    for id_ in here("rev-list", "--reverse", "base..HEAD").split():
        commit = Commit(id_)
        words = here("diff-tree", "-r", "-z", "--no-renames", "--no-commit-id", id_).split("\0")[:-1]
        for facts, path in zip(words[::2], words[1::2], strict=True):
            _, mode, _, blob, status = facts.split()
            if path in own:
                commit.edits.append(Change(mode, blob, path))
            elif status == "A":
                commit.added.append(path)
            else:
                commit.rest.append(path)
        commits.append(commit)
    if not commits:
        raise Refused("the tree has no commits after base: nothing to export")
    return commits


def copy_back(here: Git, tree: Path, known: str, checkout: Path, overwrite: bool) -> None:
    """Bring to the checkout what the tree's commits changed in new files since the tree was prepared."""
    after, before = blobs(here, "HEAD"), blobs(here, known) if known else {}
    here_at = {path: series_file.lies_at(checkout, path) for path in {*after, *before}}
    there = [path for path, file in here_at.items() if file.is_file()]
    hashes = here("hash-object", "--no-filters", "--", *(here_at[path] for path in there)).split() if there else []
    mine = dict(zip(there, hashes, strict=True))
    changed = [path for path in after if after[path] not in (before.get(path), mine.get(path))]
    unlike = [path for path in changed if path in mine and mine[path] != before.get(path)]
    if unlike and not overwrite:
        raise Refused(f"these files differ between {tree} and {checkout}, and the tree's needn't be the newer ones:\n  "
                      + "\n  ".join(unlike) + "\n  Make them equal, or give --overwrite to take the tree's.")
    for path in changed:
        say(f"{path} comes from the tree")
        here_at[path].parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tree / path, here_at[path])
    for path in sorted(before.keys() - after.keys() & mine.keys()):
        say(f"{path} goes, as in the tree")
        here_at[path].unlink()


def blobs(here: Git, commit: str) -> dict[str, str]:
    """The files that a commit has and ``base`` doesn't, with the hashes of their content."""
    words = here("diff", "--raw", "-z", "--no-abbrev", "--no-renames", "--diff-filter=A", "base", commit).split("\0")
    return {path: facts.split()[3] for facts, path in zip(words[:-1:2], words[1:-1:2], strict=True)}


def write_patch(here: Git, place: Workplace, commit: Commit, folder: Path, number: int) -> str:
    """Write the commit, cut down to its edits of QEMU's own files; the patch's name."""
    index = {"GIT_INDEX_FILE": place.scratch("index")}
    here("read-tree", f"{commit.id}^", **index)
    for edit in commit.edits:
        gone = edit.mode == "000000"
        here("update-index", *(["--force-remove", edit.path] if gone else
                               ["--cacheinfo", f"{edit.mode},{edit.blob},{edit.path}"]), **index)
    files = here("write-tree", **index).strip()
    index["GIT_INDEX_FILE"].unlink()
    name, mail, date, message = here("log", "-1", "--format=%an%x00%ae%x00%aI%x00%B", commit.id).split("\0")
    cut = here("commit-tree", files, "-p", f"{commit.id}^", "-m", message.rstrip("\n"),
               GIT_AUTHOR_NAME=name, GIT_AUTHOR_EMAIL=mail, GIT_AUTHOR_DATE=date).strip()
    written = here("format-patch", "-1", "--always", "--zero-commit", "--no-signature", "--no-numbered",
                   "--no-renames", "--abbrev=12", f"--start-number={number}", f"--output-directory={folder}", cut)
    return Path(written.strip()).name


def line_paths(commit: Commit, old: list[str], here: Git) -> list[str]:
    """A line's paths: those it had, where they still cover something, and the commit's files they don't cover."""
    there = blobs(here, "HEAD")

    def covers(path: str, file: str) -> bool:
        return file == path or file.startswith(f"{path}/")

    kept = [path for path in old if any(covers(path, file) for file in there)]
    return kept + [file for file in commit.added if file in there and not any(covers(path, file) for path in kept)]


def replace(fresh: Path, patches: Path) -> None:
    """Put the finished patches in the old ones' place."""
    patches.mkdir(parents=True, exist_ok=True)
    for old in patches.glob("[0-9]*.patch"):
        if not (fresh / old.name).is_file():
            old.unlink()
    for new in sorted(fresh.iterdir()):
        write(patches / new.name, new.read_bytes())
    shutil.rmtree(fresh)


def write(file: Path, content: bytes) -> None:
    """Write a file of patches/; one that is equal keeps its time stamp."""
    if not file.is_file() or file.read_bytes() != content:
        say(f"writing {file}")
        file.write_bytes(content)


if __name__ == "__main__":
    run_script(main)
