# SPDX-License-Identifier: GPL-2.0-or-later
"""The workplace: where a base's source, trees and builds lie, and how the scripts run commands, speak and fail."""

from __future__ import annotations

import argparse
import errno
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
IDENTITY = {
    "GIT_AUTHOR_NAME": "QEMU base",
    "GIT_AUTHOR_EMAIL": "base@invalid",
    "GIT_AUTHOR_DATE": "2025-01-01T00:00:00+0000",
    "GIT_COMMITTER_NAME": "RAM device series",
    "GIT_COMMITTER_EMAIL": "series@invalid",
    "GIT_COMMITTER_DATE": "2025-01-01T00:00:00+0000",
}
DISK_FULL = ("the disk that holds {root} is full. Free some space (a complete build takes about 8 GiB) "
             "and run the same command again: what was finished is kept, the rest starts anew.")


class Refused(Exception):
    """An expected failure: what was asked, what was found, what to do next."""


class NotAvailable(Refused):
    """Something isn't here and can't be had: a program, a package, a network. A test that needs it is skipped.

    Whatever is there and doesn't work is no such error, and fails the test.
    """


@dataclass(frozen=True)
class Workplace:
    """The folder that holds all that is made for one base (``10.0``) of QEMU."""

    base: str
    root: Path

    @property
    def repository(self) -> Path:
        """The bare git repository with the imported source (tag ``base``) and the branch ``ram-device``."""
        return self.root / "source.git"

    @property
    def tree(self) -> Path:
        """The worktree with the series applied."""
        return self.root / "tree"

    @property
    def stock_tree(self) -> Path:
        """The worktree at ``base``."""
        return self.root / "stock-tree"

    @property
    def series(self) -> Path:
        """The mail-ready patches."""
        return self.root / "series"

    def scratch(self, name: str) -> Path:
        """An unfinished thing's place: whatever an interrupted run left there is thrown away."""
        path = self.root / f"{name}.partial"
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True)
        return path

    def write(self, file: Path, text: str) -> None:
        """Write one of the workplace's small files: the whole text is there, or what was there before."""
        partial = self.scratch(file.name)
        partial.write_text(text)
        partial.rename(file)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second run out of the workplace."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("w", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"waiting for another run that works in {self.root}")
                fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield
            except (Refused, OSError) as failure:
                if self.is_full() or os.strerror(errno.ENOSPC) in str(failure):
                    raise Refused(DISK_FULL.format(root=self.root)) from failure
                raise

    def is_full(self) -> bool:
        """Whether the workplace's disk has no space left: then a command's failure needs no other reason."""
        return shutil.disk_usage(self.root).free < 1 << 20


def arguments(purpose: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every script has."""
    parser = argparse.ArgumentParser(description=purpose)
    parser.add_argument("--base", default="10.0", help="QEMU's major.minor version (default: %(default)s)")
    parser.add_argument("--work", type=Path, help="the workplace (default: build/qemu/BASE)")
    return parser


def workplace(options: argparse.Namespace) -> Workplace:
    """The workplace that the command line asks for."""
    root = options.work or REPOSITORY / "build" / "qemu" / options.base
    return Workplace(options.base, root.resolve())


def cached(name: str) -> Path:
    """The folder of that name in the user's cache, or in build/ if that can't be written."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / name
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except (OSError, RuntimeError):  # the latter where nobody knows of a home
        pass
    return REPOSITORY / "build" / name


def say(text: str) -> None:
    """One line of progress."""
    print(f"-- {text}", flush=True)


def run(command: list[str], cwd: Path | None = None, env: Mapping[str, str] | None = None,
        stdin: int | None = subprocess.DEVNULL) -> str:
    """Run a command quietly; its standard output, or Refused with its own last words."""
    if not shutil.which(command[0]):
        raise Refused(f"{command[0]} isn't installed, or not where PATH leads: run scripts/needs")
    done = subprocess.run(command, cwd=cwd, env=env, stdin=stdin, text=True, errors="replace", check=False,
                          capture_output=True)
    if done.returncode:
        words = done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}"
        raise Refused(f"{' '.join(command[:3])} … failed:\n  " + "\n  ".join(words.splitlines()[-12:]))
    return done.stdout


def git(*words: str | Path, cwd: Path | None = None, **env: str | Path) -> str:
    """Run git with a fixed identity and without the user's configuration, so that all see the same result."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    fixed = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    options = ["core.excludesFile=/dev/null", "core.attributesFile=/dev/null", "core.hooksPath=/dev/null",
               "safe.directory=*", "gc.auto=0", "advice.detachedHead=false"]
    command = ["git", *(word for option in options for word in ("-c", option)), *map(str, words)]
    try:
        return run(command, cwd, inherited | fixed | IDENTITY | {name: str(value) for name, value in env.items()})
    except Refused as failure:
        said = str(failure).partition("\n")[2]
        raise Refused(f"git {' '.join(map(str, words[:4]))} … failed:\n{said}") from failure


def run_script(main: Callable[[], None]) -> None:
    """Call main; expected failures become one message and exit status 1."""
    name = Path(sys.argv[0]).name
    try:
        main()
    except Refused as refusal:
        sys.exit(f"{name}: {refusal}")
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as failure:
        sys.exit(f"{name}: {failure}")
