# SPDX-License-Identifier: GPL-2.0-or-later
"""Work for a runner, and what became of it, as lines of JSON between the host and the outer VM."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from matrix.dimensions import Case, Disk
from matrix.machine import Variant

JOBS_FILE, RESULTS_FILE = "jobs.json", "results.jsonl"


@dataclass(frozen=True)
class Job:
    """Cases that have an emulator and its disks in common; `disk` is None for devices that aren't storage."""

    variant: Variant
    disk: Disk | None
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of one case."""

    variant: str
    case: Case
    verdict: str
    message: str


def write(work: Path, jobs: Sequence[Job]) -> None:
    (work / JOBS_FILE).write_text(json.dumps([asdict(job) for job in jobs]))


def read(work: Path) -> list[Job]:
    """The jobs that write() wrote."""
    return [
        Job(Variant(**job["variant"]), _disk(job["disk"]), tuple(_case(case) for case in job["cases"]))
        for job in json.loads((work / JOBS_FILE).read_text())
    ]


def outcome(line: dict[str, Any]) -> Outcome:
    """An outcome from what asdict() made of it."""
    return Outcome(**{**line, "case": _case(line["case"])})


def _case(fields: dict[str, Any]) -> Case:
    return Case(**{**fields, "disk": _disk(fields["disk"])})


def _disk(fields: dict[str, str] | None) -> Disk | None:
    return Disk(**fields) if fields else None
