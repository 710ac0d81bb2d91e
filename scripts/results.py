# SPDX-License-Identifier: GPL-2.0-or-later
"""Sum up a run of `meson test` over single test cases; a failure, a program that broke off, or no test at all fails."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

LINE = re.compile(r"(?P<bad>not )?ok\b[ \d]*(?:- )?(?P<name>.*?)(?: # (?P<word>SKIP|TODO)\S*\s*(?P<reason>.*))?$", re.I)
CASES = re.compile(r"^(?=(?:not )?ok\b)", re.M)
# What pytest marks as the error among all that it prints of a failed case.
ERROR = re.compile(r"^# E {3}(.*)", re.M)
REASONS, REASON_LINES = 3, 12


@dataclass
class Tally:
    """What became of the test cases, and how often failed ones gave which reason."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def program(self, run: dict[str, str | int]) -> None:
        """Count one test program: its cases, and itself if it ended badly without a case to blame."""
        name, result = str(run["name"]), str(run["result"])
        before = self.passed, len(self.failed), len(self.skipped)
        output = str(run.get("stdout", ""))
        self.reasons.update("\n".join(ERROR.findall(part)) for part in CASES.split(output) if part.startswith("not"))
        for line in output.splitlines():
            if case := LINE.match(line):
                self.case(f"{name}: {case['name']}", case)
        if result in ("FAIL", "ERROR", "TIMEOUT", "INTERRUPT", "UNEXPECTEDPASS") and len(self.failed) == before[1]:
            self.failed.append(f"{name}: the program ended with {result}")
        elif before == (self.passed, len(self.failed), len(self.skipped)):
            self.failed.append(f"{name}: no test case at all")

    def case(self, name: str, case: re.Match[str]) -> None:
        """Count one test case; a TODO that fails is expected to."""
        word = (case["word"] or "").upper()
        if word == "SKIP":
            self.skipped.append(f"{name}: {case['reason'] or 'no reason given'}")
        elif word == "TODO" and case["bad"]:
            self.skipped.append(f"{name}: expected to fail: {case['reason']}")
        elif case["bad"] or word == "TODO":
            self.failed.append(name)
        else:
            self.passed += 1


def main() -> None:
    """Print the sum; the last line is for people and machines alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path, help="Meson's build folder")
    log = parser.parse_args().build / "meson-logs" / "testlog.json"
    tally = Tally()
    for line in log.read_text(encoding="utf-8").splitlines() if log.is_file() else []:
        tally.program(json.loads(line))
    if not tally.passed and not tally.failed:
        tally.failed.append(f"{log} tells of no test case that passed")
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
