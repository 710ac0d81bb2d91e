# SPDX-License-Identifier: GPL-2.0-or-later
"""What is to be said of finished mails: checkpatch.pl, rustfmt and clippy with QEMU's settings, and the way back to
patches/. Only clippy wants something built: the crate's types are those of QEMU's bindings."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

from workplace import Refused, Workplace, run

# What checkpatch.pl says rightly, and why the series does it all the same: the file, the words, the reason.
ANSWERED = {
    ("system/cpus.c", "architecture specific defines should be avoided"):
        "where a signal's context has the program counter depends on the architecture, and ram_device_fixup() wants it",
}
FINDING = re.compile(r"^(?:ERROR|WARNING): (?P<words>.*)\n(?:#\d+: FILE: (?P<file>\S+?):\d+:\n)?"
                     r"(?:\n(?P<new>(?:  \S+\n)+)\nDoes MAINTAINERS need updating)?", re.MULTILINE)


def checkpatch(tree: Path, mail: Path) -> list[str]:
    """Refuse a mail that checkpatch.pl complains of; the complaints that have an answer, with it."""
    command = ["perl", "scripts/checkpatch.pl", "--no-signoff", str(mail.absolute())]
    done = subprocess.run(command, cwd=tree, text=True, errors="replace", capture_output=True, check=False)
    answers, left = [], []
    for found in FINDING.finditer(done.stdout):
        where, words = found["file"] or mail.name, found["words"]
        if found["new"]:  # of QEMU 10.2 on checkpatch.pl asks it of each mail, not of the series
            unknown = unmaintained(tree, found["new"].split())
            words, reason = f"{words} {', '.join(unknown)}", "" if unknown else "in the end MAINTAINERS has them all"
        else:
            reason = ANSWERED.get((where, words), "")
        if reason:
            answers.append(f"{where}: {words.rstrip(': ')}: {reason}")
        else:
            left.append(f"{where}: {words}")
    if left or not re.search(r"^total: \d+ errors, \d+ warnings, [1-9]\d* lines checked$", done.stdout, re.MULTILINE):
        raise Refused(f"checkpatch.pl says of {mail.name}:\n  " + "\n  ".join(left or [done.stdout + done.stderr])
                      + f"\n  Repeat: cd {tree} && {' '.join(command)}")
    return answers


def unmaintained(tree: Path, files: list[str]) -> list[str]:
    """Those of the files that no pattern in the finished tree's MAINTAINERS covers."""
    patterns = re.findall(r"^F: +(\S+)$", (tree / "MAINTAINERS").read_text(encoding="utf-8"), re.MULTILINE)
    return [file for file in files
            if not any(file.startswith(pattern) if pattern.endswith("/") else
                       PurePosixPath("/", file).match(f"/{pattern}") for pattern in patterns)]


def rustfmt(tree: Path) -> None:
    """Refuse a crate that rustfmt, with the settings in the tree's rust/, would write differently."""
    run(["cargo", "fmt", "--package", "ram_device", "--check"], cwd=tree / "rust")


def clippy(tree: Path, build: Path) -> None:
    """Refuse a crate in which clippy, with the settings in the tree's rust/, finds something; bindings are built."""
    run(["cargo", "clippy", "--locked", "--quiet", "--no-deps", "--package", "ram_device", "--tests", "--", "--deny",
         "warnings"], cwd=tree / "rust",
        env=os.environ | {"CARGO_TARGET_DIR": str(build.parent / "clippy"), "MESON_BUILD_ROOT": str(build)})


def check_export(place: Workplace, tree: Path, checkout: Path) -> None:
    """Refuse a series that an export of the tree which its mails make would write differently."""
    patches, exported = checkout / "patches", place.scratch("exported")
    shutil.copytree(patches, exported)
    run([sys.executable, "-B", str(Path(__file__).with_name("export.py")), "--base", place.base, "--work",
         str(place.scratch("export-work")), "--tree", str(tree), "--checkout", str(checkout), "--patches",
         str(exported)])
    before, after = ({str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}
                     for top in (patches, exported))
    left = sorted({name for name, _ in before.items() ^ after.items()})
    if left:
        raise Refused(f"an export of {tree} differs from {patches} in {', '.join(left)}; see {exported}")
    shutil.rmtree(exported)
    shutil.rmtree(place.scratch("export-work"), ignore_errors=True)
