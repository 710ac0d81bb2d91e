# SPDX-License-Identifier: GPL-2.0-or-later
"""The mail-ready series: a cover letter, and one mail for each commit, with its new files.

The letter's text is patches/cover-letter.txt, one for all bases. git adds the list of commits and the diffstat.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from string import Template

from workplace import Refused, Workplace, git

COVER = "0000-cover-letter.patch"


def letter(checkout: Path) -> Path:
    """Where a checkout has the text of the cover letter."""
    return checkout / "patches" / "cover-letter.txt"


def write(place: Workplace, checkout: Path, branch: str) -> None:
    """Write the mails of the branch's commits; what was written before goes."""
    partial = place.scratch("series")
    author, mail, date = git("log", "-1", "--format=%an%x00%ae%x00%aI", branch,
                             GIT_DIR=place.repository).strip().split("\0")
    git("-c", f"branch.{branch}.description={filled_in(place, checkout, branch)}", "format-patch", "--quiet",
        "--zero-commit", "--no-signature", "--numbered", "--abbrev=12", "--cover-letter",
        "--cover-from-description=subject", f"--output-directory={partial}", f"base..{branch}",
        GIT_DIR=place.repository, GIT_COMMITTER_NAME=author, GIT_COMMITTER_EMAIL=mail, GIT_COMMITTER_DATE=date)
    shutil.rmtree(place.series, ignore_errors=True)
    partial.rename(place.series)


def filled_in(place: Workplace, checkout: Path, branch: str) -> str:
    """The cover letter's text for this base, without the comment at its top."""
    file = letter(checkout)
    if not file.is_file():
        raise Refused(f"there is no {file}: write the series' cover letter there: its subject, an empty line, its text")
    text = re.sub(r"\A(#[^\n]*\n)*", "", file.read_text(encoding="utf-8"))
    facts = {
        "base": place.base,
        "version": git("show", "base:VERSION", GIT_DIR=place.repository).strip(),
        "commits": git("rev-list", "--count", f"base..{branch}", GIT_DIR=place.repository).strip(),
    }
    try:
        return Template(text).substitute(facts)
    except (KeyError, ValueError) as failure:
        raise Refused(f"{file} has a placeholder that nobody fills in: {failure}.\n  Those that are known: "
                      f"{', '.join(f'${name}' for name in facts)}; a dollar sign itself is $$") from failure


def mails(folder: Path) -> list[Path]:
    """The mails of a series that carry a commit, in order."""
    found = sorted(path for path in folder.glob("*.patch") if path.name != COVER)
    if not found:
        raise Refused(f"there is no mail in {folder}: run `make series` first")
    return found


def check_unsigned(folder: Path) -> None:
    """Refuse a series that certifies something for somebody: a sign-off is the sender's own."""
    for mail in sorted(folder.glob("*.patch")):
        for number, line in enumerate(mail.read_text(encoding="utf-8").splitlines(), 1):
            if line.lower().startswith("signed-off-by:"):
                raise Refused(f"{mail}:{number} has a sign-off: {line}\n  Nobody can certify the origin of a patch for "
                              "somebody else: take it out of the commit's message, and run `make export`")
