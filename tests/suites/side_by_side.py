# SPDX-License-Identifier: GPL-2.0-or-later
"""A suite of QEMU's own tests on two builds of it: what each case says, and where the two differ."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from suites.qtest_program import RESULT, TIMEOUT

# How Rust's own test programs, which don't speak TAP, say it. A doctest's name begins with the tree's folder.
RUST_RESULT = re.compile(r"^test (?:(?:\.\./)+[^/\s]+/)?(\S+(?: - [^.]*)?) \.\.\. (ok|FAILED|ignored)", re.MULTILINE)
RUST_VERDICTS = {"ok": "ok", "FAILED": "not ok", "ignored": "skip"}
# The functional tests then skip what needs the network, by name.
ENVIRONMENT = {"QEMU_TEST_NO_DOWNLOAD": "1"}
WORKERS = 2

Results = dict[str, str]


@dataclass(frozen=True)
class OwnTest:
    """A test program of a QEMU build, with its arguments, as Meson would run it."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    folder: Path
    alone: bool

    def results(self) -> Results:
        """What became of each case ("ok", "not ok", "skip"), and of the program itself ("exit")."""
        try:
            done = subprocess.run(self.command, cwd=self.folder, env=os.environ | self.environment | ENVIRONMENT,
                                  text=True, errors="replace", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                  stdin=subprocess.DEVNULL, timeout=TIMEOUT, check=False)
        except subprocess.TimeoutExpired:
            return {"exit": f"not done after {TIMEOUT} s"}
        found = {case: "skip" if directive else verdict for verdict, case, directive in RESULT.findall(done.stdout)}
        found |= {case: RUST_VERDICTS[verdict] for case, verdict in RUST_RESULT.findall(done.stdout)}
        return found | {"exit": str(done.returncode)}


def own_tests(build: Path, suite: str, left_out: dict[str, Sequence[str]]) -> dict[str, OwnTest]:
    """The suite's programs by name; of `left_out`'s programs these cases don't run, or none if it names none."""
    found = {}
    for test in json.loads((build / "meson-info" / "intro-tests.json").read_text()):
        name = test["name"].removeprefix("qtest-aarch64/")
        if f"qemu:{suite}" in test["suite"] and left_out.get(name, "some"):
            omissions = [word for case in left_out.get(name, ()) for word in ("-s", case)]
            folder = Path(test["workdir"] or build)
            found[name] = OwnTest(name, (*test["cmd"], *omissions), test["env"], folder, not test["is_parallel"])
    return found


@dataclass(frozen=True)
class Comparison:
    """What a suite's programs say on both builds. `added` are programs that only the second build has.

    `unsteady` are the differences of programs that were then run again, alone, and said the same on both.
    """

    suite: str
    first: dict[str, Results]
    second: dict[str, Results]
    added: dict[str, Results]
    unsteady: Sequence[str] = ()

    def differences(self) -> list[str]:
        """Each case, or program, that isn't on both sides what it is on one."""
        pairs = [(name, first, self.second.get(name, {})) for name, first in self.first.items()]
        return [told for pair in pairs for told in different(*pair)]

    def failures(self) -> list[str]:
        """The cases of added programs that aren't ok."""
        return [
            f"{name}: {case}: {verdict}"
            for name, results in self.added.items()
            for case, verdict in results.items()
            if verdict not in ("ok", "skip", "0")
        ]


def different(name: str, first: Results, second: Results) -> list[str]:
    """Each case of a program that isn't on both sides what it is on one."""
    return [
        f"{name}: {case}: {first.get(case, 'none')} / {second.get(case, 'none')}"
        for case in first | second
        if first.get(case) != second.get(case)
    ]


def compare(suite: str, builds: tuple[Path, Path], left_out: dict[str, Sequence[str]]) -> Comparison:
    """Run the suite on both builds; what differs is run again, once and alone: what is the same then is unsteady."""
    sides = [own_tests(build, suite, left_out) for build in builds]
    first, second = (run_all(list(side.values())) for side in sides)
    unsteady: list[str] = []
    for name, results in list(first.items()):
        if not (at_first := different(name, results, second.get(name, {}))):
            continue
        for side, its_results in zip(sides, (first, second), strict=True):
            if name in side:
                its_results[name] = side[name].results()
        unsteady += [] if first[name] != second.get(name) else at_first
    added = {name: second.pop(name) for name in list(second) if name not in first}
    return Comparison(suite, first, second, added, unsteady)


def run_all(tests: Sequence[OwnTest]) -> dict[str, Results]:
    """Run the programs, WORKERS at a time but for those that must be alone."""
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        beside = {test.name: pool.submit(test.results) for test in tests if not test.alone}
        done = {name: future.result() for name, future in beside.items()}
    return done | {test.name: test.results() for test in tests if test.alone}


def counts(side: dict[str, Results]) -> str:
    """For instance: 32 programs: 640 ok, 12 skip."""
    verdicts = Counter(verdict for results in side.values() for case, verdict in results.items() if case != "exit")
    failed = sum(results["exit"] != "0" for results in side.values())
    told = [f"{number} {verdict}" for verdict, number in sorted(verdicts.items(), key=lambda item: item[0] != "ok")]
    told += [f"{failed} programs that fail"] if failed else []
    return f"{len(side)} programs: {', '.join(told) or 'without cases'}"
