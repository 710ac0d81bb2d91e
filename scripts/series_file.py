# SPDX-License-Identifier: GPL-2.0-or-later
"""The file ``patches/series``: which commit brings which new files, on every base.

A line is ``NNNN-name.patch path path ...``. The patch, in ``patches/BASE``, holds a commit's message and its edits of
QEMU's own files; the paths are the files and folders that the commit brings, as they are called in QEMU's tree: a
checkout has the crate in rust/, as QEMU has, and all else in qemu/. A file that two lines cover belongs to the line
that names it more closely.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from workplace import Refused, Workplace, git


@dataclass
class Entry:
    """One commit of the series: its patch, the paths on its line, and the files found there."""

    patch: Path
    paths: list[str]
    files: list[str] = field(default_factory=list)


def lies_at(checkout: Path, path: str) -> Path:
    """Where a checkout has what the series brings to that path of QEMU's tree."""
    return checkout / path if path.startswith("rust/") else checkout / "qemu" / path


def parse(patches: Path, base: str) -> tuple[list[str], list[Entry]]:
    """The comment at the top of the file ``series``, and its entries, whether the base has their patches or not."""
    file = patches / "series"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    comment = []
    for line in lines:
        if line.strip() and not line.startswith("#"):
            break
        comment.append(line)
    words = [line.partition("#")[0].split() for line in lines]
    return comment, [Entry(patches / base / line[0], line[1:]) for line in words if line]


def unlike(patches: Path, base: str) -> list[str]:
    """In what a base's patches aren't those that the series names."""
    _, entries = parse(patches, base)
    named = {entry.patch.name for entry in entries}
    there = {path.name for path in (patches / base).glob("*.patch")}
    return [*(f"it has no {name}" for name in sorted(named - there)),
            *(f"no line names its {name}" for name in sorted(there - named))]


def read(patches: Path, base: str) -> list[Entry]:
    """The series of a base; none where the base has no folder of patches yet."""
    if not (patches / base).is_dir():
        return []
    if found := unlike(patches, base):
        raise Refused(f"{patches / base} isn't what {patches / 'series'} says: {'; '.join(found)}.\n  The series has "
                      f"the same commits on every base: make them in this one's tree as well, then `make export "
                      f"BASE={base}`. (`make series BASE={base}` at an earlier revision makes that tree.)")
    return parse(patches, base)[1]


def find_files(place: Workplace, checkout: Path, entries: list[Entry]) -> None:
    """Give each entry the files that it brings, as they lie in the checkout now, without what .gitignore names."""
    owner: dict[str, Entry] = {}
    for entry in entries:
        for path in entry.paths:
            if path in owner:
                raise Refused(f"the series names {path} twice: for {owner[path].patch.name} and {entry.patch.name}")
            owner[path] = entry
    bare = set(owner)
    for file in untracked(place, checkout, list(owner)):
        above = [str(path) for path in (PurePosixPath(file), *PurePosixPath(file).parents) if str(path) in owner]
        owner[above[0]].files.append(file)
        bare.difference_update(above)
    for path in sorted(bare):
        raise Refused(f"the series' line {owner[path].patch.name} names {path}, but there is no "
                      f"{lies_at(checkout, path)}")


def untracked(place: Workplace, checkout: Path, paths: list[str]) -> list[str]:
    """The files below the paths, called as in QEMU's tree, that .gitignore doesn't name; it needs no .git there."""
    if not paths:
        return []
    listed = git("--literal-pathspecs", "ls-files", "-z", "--others", "--exclude-standard", "--",
                 *(lies_at(checkout, path) for path in paths), cwd=checkout,
                 GIT_DIR=place.repository, GIT_WORK_TREE=checkout, GIT_INDEX_FILE=place.scratch("index"))
    return sorted(name.removeprefix("qemu/") for name in listed.split("\0") if name)
