# SPDX-License-Identifier: GPL-2.0-or-later
"""Make the Python environment that scripts/requirements.txt pins; nothing is done when it is there already."""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import sys
from pathlib import Path

from workplace import Refused, run, run_script, say

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def main() -> None:
    """Make or renew the environment in the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        make(folder)


def make(folder: Path) -> None:
    """Make or renew it. Its programs name the folder, so it is made anew where that was moved to."""
    stamp = folder / "requirements"
    wanted = f"{sys.version}\n{folder}\n{REQUIREMENTS.read_text()}"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    say(f"making the Python environment {folder}")
    shutil.rmtree(folder, ignore_errors=True)
    wheels = folder / "wheels"
    run([sys.executable, "-I", "-m", "venv", str(folder)])
    pip = [str(folder / "bin" / "python"), "-I", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    pinned = ["--require-hashes", "--only-binary=:all:", "--requirement", str(REQUIREMENTS)]
    try:
        run([*pip, "download", f"--dest={wheels}", *pinned], env=os.environ)
    except Refused as failure:
        raise Refused(f"pip could not fetch what {REQUIREMENTS} names. Run again with a network, or tell pip of a "
                      f"mirror (PIP_INDEX_URL) or a folder (PIP_FIND_LINKS) that has it.\n  {failure}") from failure
    run([*pip, "install", "--no-index", f"--find-links={wheels}", *pinned])
    shutil.rmtree(wheels)
    stamp.write_text(wanted)


if __name__ == "__main__":
    run_script(main)
