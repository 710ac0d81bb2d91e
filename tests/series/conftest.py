# SPDX-License-Identifier: GPL-2.0-or-later
"""A bench for the scripts: a QEMU of three files, a checkout with a series for it, and a workplace of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PATCHES = REPOSITORY / "patches"
FILES = {
    "VERSION": "10.0.9\n",
    "system/memory.c": "".join(f"int line{number};\n" for number in range(40)),
    "system/physmem.c": "int physmem;\n",
}
LETTER = """# A comment.
Hooks for QEMU $base

The hooks are tried on $version, by $commits commits.
"""


def git(*words: str | Path, cwd: Path) -> str:
    """Run git as a person with a name and no configuration; its output."""
    name = {f"GIT_{role}_{what}": "tester@invalid" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    bare = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return subprocess.run(["git", *map(str, words)], cwd=cwd, env=inherited | name | bare, text=True,
                          check=True, capture_output=True).stdout.strip()


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder, by their paths in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@dataclass
class Bench:
    """What a test of the scripts works with."""

    folder: Path

    @property
    def qemu(self) -> Path:
        """The source that stands for QEMU's."""
        return self.folder / "qemu"

    @property
    def checkout(self) -> Path:
        """What stands for this repository."""
        return self.folder / "checkout"

    @property
    def series(self) -> Path:
        """The checkout's file `series`."""
        return self.checkout / "patches" / "series"

    @property
    def patches(self) -> Path:
        """The base's patches."""
        return self.checkout / "patches" / "10.0"

    @property
    def letter(self) -> Path:
        """The text of the cover letter."""
        return self.checkout / "patches" / "cover-letter.txt"

    @property
    def work(self) -> Path:
        """The scripts' workplace."""
        return self.folder / "work"

    @property
    def tree(self) -> Path:
        """The prepared tree."""
        return self.work / "tree"

    def script(self, name: str, *words: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        """Run one of the scripts; nothing that is expected may end in a traceback."""
        command = [sys.executable, "-B", REPOSITORY / "scripts" / f"{name}.py", "--work", self.work, *words]
        done = subprocess.run(list(map(str, command)), text=True, capture_output=True, check=False,
                              env=os.environ | env)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def succeeds(self, name: str, *words: str | Path) -> str:
        """Run a script that has to succeed; what it said."""
        done = self.script(name, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refuses(self, name: str, *words: str | Path, **env: str) -> str:
        """Run a script that has to refuse; what it said."""
        done = self.script(name, *words, **env)
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr

    def source(self) -> str:
        """Import the source."""
        return self.succeeds("source", "--qemu-src", self.qemu)

    def prepare(self) -> str:
        """Prepare the tree."""
        return self.succeeds("tree", "--checkout", self.checkout)

    def commit(self, message: str, files: dict[str, str]) -> None:
        """Write files and commit them in the prepared tree."""
        for name, text in files.items():
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / name).write_text(text)
        git("add", "--all", cwd=self.tree)
        git("commit", "--quiet", "-m", message, cwd=self.tree)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A bench whose series has two commits: a hook with a new file, then another hook."""
    made = Bench(tmp_path)
    for name, text in FILES.items():
        (made.qemu / name).parent.mkdir(parents=True, exist_ok=True)
        (made.qemu / name).write_text(text)
    made.source()
    developed = tmp_path / "developed"
    git("clone", "--quiet", made.work / "source.git", developed, "--branch", "base", cwd=tmp_path)
    (developed / "include").mkdir()
    (developed / "include" / "new.h").write_text("int new;\n")
    (developed / "system" / "memory.c").write_text("int hook;\n" + FILES["system/memory.c"])
    git("add", "--all", cwd=developed)
    git("commit", "--quiet", "-m", "memory: hook\n\nA reason.", cwd=developed)
    (developed / "system" / "physmem.c").write_text("int physmem, hook;\n")
    git("commit", "--quiet", "--all", "-m", "physmem: hook", cwd=developed)
    made.succeeds("export", "--tree", developed, "--checkout", made.checkout)
    made.letter.write_text(LETTER)
    return made
