# SPDX-License-Identifier: GPL-2.0-or-later
"""The series as quilt patches: one file for each commit, new files and all, with the header that Debian's DEP-3 names.

They apply with `patch -p1`, as dpkg-source and quilt do it, which know neither renames nor binary differences.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from commits import BRANCH
from mails import check_unsigned
from workplace import Workplace, arguments, git, run_script, say, workplace

FOLDER = "ram-device"  # within a source package's debian/patches
HEADER = "Origin: vendor\nForwarded: no\nLast-Update: {date}\n"


def main() -> None:
    """Write them to ``quilt`` in the workplace, with a file ``series``."""
    place = workplace(arguments(__doc__).parse_args())
    with place.locked():
        folder = place.root / "quilt"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        names = write(place, folder / FOLDER)
        place.write(folder / "series", "".join(f"{name}\n" for name in names))
        say(f"{len(names)} patches are in {folder}: add its files to debian/patches, and its series to the one there")


def write(place: Workplace, folder: Path) -> list[str]:
    """Write the patches to a new folder; their names, in order, as debian/patches/series has them."""
    git("format-patch", "--quiet", "--zero-commit", "--no-signature", "--keep-subject", "--no-renames",
        "--abbrev=12", f"--output-directory={folder}", f"base..{BRANCH}", GIT_DIR=place.repository)
    check_unsigned(folder)
    dates = git("log", "--reverse", "--format=%as", f"base..{BRANCH}", GIT_DIR=place.repository).split()
    patches = sorted(folder.glob("*.patch"))
    for patch, date in zip(patches, dates, strict=True):
        mail = patch.read_text(encoding="utf-8")
        headers, text = mail.partition("\n")[2].split("\n\n", 1)
        patch.write_text(f"{headers}\n{HEADER.format(date=date)}\n{text}", encoding="utf-8")
    return [f"{FOLDER}/{patch.name}" for patch in patches]


if __name__ == "__main__":
    run_script(main)
