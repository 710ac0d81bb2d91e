# SPDX-License-Identifier: GPL-2.0-or-later
"""Sum up runs of `meson test` over single test cases; a failure, a program that broke off, or no test at all fails.

With a list of allowed skips, so does another skip: a regular expression a line for the name and reason of each, and
comments that say when it comes.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

LINE = re.compile(r"(?i)(?P<bad>not )?ok\b[ \d]*(?:- )?(?P<name>.*?)(?: # (?P<word>SKIP|TODO)\S*\s*(?P<reason>.*))?$")
CASES = re.compile(r"^(?=(?:not )?ok\b)", re.MULTILINE)
# What pytest marks as the error among all that it prints of a failed case.
ERROR = re.compile(r"^# E {3}(.*)", re.MULTILINE)
REASONS, REASON_LINES = 3, 12


@dataclass
class Tally:
    """What became of the test cases, and how often failed ones gave which reason."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    left_out: Collection[str] = ()
    allowed: re.Pattern[str] | None = None

    def program(self, run: dict[str, str | int]) -> None:
        """Count one test program: its cases, and itself if it ended badly without a case to blame."""
        name, result = str(run["name"]), str(run["result"])
        before = self.passed, len(self.failed), len(self.skipped)
        output = str(run.get("stdout", ""))
        self.reasons.update("\n".join(ERROR.findall(part)) for part in CASES.split(output) if part.startswith("not"))
        for line in output.splitlines():
            if case := LINE.match(line):
                self.case(f"{name}: {case['name']}", case)
        if name in self.left_out:
            return
        if result in ("FAIL", "ERROR", "TIMEOUT", "INTERRUPT", "UNEXPECTEDPASS") and len(self.failed) == before[1]:
            self.failed.append(f"{name}: the program ended with {result}")
        elif before == (self.passed, len(self.failed), len(self.skipped)):
            self.failed.append(f"{name}: no test case at all")

    def case(self, name: str, case: re.Match[str]) -> None:
        """Count one test case; a TODO that fails is expected to."""
        word = (case["word"] or "").upper()
        if word == "SKIP":
            skip = f"{name}: {case['reason'] or 'no reason given'}"
            if self.allowed and not self.allowed.search(skip):
                self.failed.append(f"{skip} (a skip that isn't allowed)")
            else:
                self.skipped.append(skip)
        elif word == "TODO" and case["bad"]:
            self.skipped.append(f"{name}: expected to fail: {case['reason']}")
        elif case["bad"] or word == "TODO":
            self.failed.append(name)
        else:
            self.passed += 1


def allowed(file: Path) -> re.Pattern[str]:
    """What a skip must contain to be one that the file lists."""
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    return re.compile("|".join(f"(?:{line})" for line in lines if line and not line.startswith("#")) or r"\Z.")


def main() -> None:
    """Print the sum; the last line is for people and machines alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path, help="Meson's build folder")
    parser.add_argument("--allowed-skips", type=Path, help="fail for a skip that this file doesn't list")
    parser.add_argument("--left-out", nargs="*", default=[], metavar="NAME",
                        help="a program that there was no time for, or not to its end: it counts as skipped")
    given = parser.parse_args()
    logs = given.build / "meson-logs"
    tally = Tally(left_out=given.left_out, allowed=allowed(given.allowed_skips) if given.allowed_skips else None)
    for log in sorted(logs.glob("*.json")):
        base = f"{log.stem}: " if log.stem.startswith("base-") else ""
        for line in log.read_text(encoding="utf-8").splitlines():
            run = json.loads(line)
            tally.program({**run, "name": base + run["name"]})
    if not tally.passed and not tally.failed:
        tally.failed.append(f"{logs} tells of no test case that passed")
    tally.skipped += [f"{name}: left out, as the time was used up" for name in given.left_out]
    for heading, names in (("skipped", tally.skipped), ("failed", tally.failed)):
        for name in names:
            print(f"-- {heading}: {name}")
    for reason, times in tally.reasons.most_common(REASONS):
        if reason:
            print(f"-- the reason of {times}:", *reason.splitlines()[-REASON_LINES:], sep="\n   ")
    print(f"{tally.passed} passed, {len(tally.failed)} failed, {len(tally.skipped)} skipped")
    sys.exit(bool(tally.failed))


if __name__ == "__main__":
    main()
