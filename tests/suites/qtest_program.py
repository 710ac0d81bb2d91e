# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's own test programs (tests/qtest in its tree), run against the emulator of one's choice."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

RESULT = re.compile(r"^(ok|not ok) \d+ (\S+)(?:\s*#\s*(SKIP|TODO)\b.*)?$", re.MULTILINE | re.IGNORECASE)
LISTED = re.compile(r"^(?:# )?(/\S+)$", re.MULTILINE)
# For the slowest program on a slow machine; a program that hangs must not hang the suite.
TIMEOUT = 1200


@dataclass(frozen=True)
class Program:
    """A test program, as the build that made it describes it."""

    name: str
    path: Path
    environment: dict[str, str]
    build: Path

    def cases(self, emulator: Path) -> list[str]:
        """The names of its test cases; none if it doesn't come to the end of its list.

        They are comments of TAP's where GLib prints that unless it is told otherwise, as Debian 13's does.
        """
        listed = self._run(["-l"], emulator, TIMEOUT)
        return [] if listed.returncode else LISTED.findall(listed.stdout)

    def results(self, emulator: Path, left_out: Sequence[str] = ()) -> dict[str, str]:
        """What became of each case that it ran ("ok", "not ok", "skip"), and of the program itself ("exit")."""
        omissions = [word for case in left_out for word in ("-s", case)]
        try:
            done = self._run(["--tap", "-k", *omissions], emulator, TIMEOUT)
        except subprocess.TimeoutExpired:
            return {"exit": f"not done after {TIMEOUT} s"}
        results = {case: "skip" if directive else verdict for verdict, case, directive in RESULT.findall(done.stdout)}
        return results | {"exit": str(done.returncode)}

    def failure(self, emulator: Path, case: str) -> str | None:
        """None if the case, run alone, is ok; else all that the program said. A case that can't run here is skipped."""
        done = self._run(["--tap", "-k", "-p", case], emulator, TIMEOUT)
        results = RESULT.findall(done.stdout)
        if done.returncode == 0 and results == [("ok", case, "SKIP")]:
            pytest.skip(done.stdout.partition("SKIP")[2].splitlines()[0].strip())
        passed = done.returncode == 0 and ("ok", case, "") in results
        return None if passed else done.stdout + done.stderr

    def _run(self, arguments: list[str], emulator: Path, timeout: int) -> subprocess.CompletedProcess[str]:
        environment = os.environ | self.environment | {"QTEST_QEMU_BINARY": str(emulator)}
        command = [str(self.path), *arguments]
        return subprocess.run(command, cwd=self.build, env=environment, text=True, errors="replace",
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout, check=False)


def programs(build: Path, target: str) -> dict[str, Program]:
    """The test programs that a QEMU build has for a target, by name."""
    tests = json.loads((build / "meson-info" / "intro-tests.json").read_text())
    found = {}
    for test in tests:
        if f"qemu:qtest-{target}" in test["suite"]:
            name = test["name"].partition("/")[2]
            found[name] = Program(name, Path(test["cmd"][0]), test["env"], build)
    return found
