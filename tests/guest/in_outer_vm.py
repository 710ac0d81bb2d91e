# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs inside the outer VM: gives devices to vfio-pci and runs the guests that a plan names, each with its own.

    in_outer_vm.py WORK

WORK/plan.json is a list of objects: the guest, the PCI address of its device and that one's driver, and how long the
guest may take. Writes one JSON
object a line to WORK/results.jsonl, which the host follows: {"progress": TEXT}, and {"run": {...}} for each guest.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import IO

from guest import machine
from machines.assigned import give_to_vfio

PLAN_FILE, RESULTS_FILE = "plan.json", "results.jsonl"


def report(results: IO[str], kind: str, value: object) -> None:
    """Tell the host."""
    results.write(json.dumps({kind: value}) + "\n")
    results.flush()


def main() -> None:
    work = Path(sys.argv[1])
    with (work / RESULTS_FILE).open("a") as results:
        for planned in json.loads((work / PLAN_FILE).read_text()):
            give_to_vfio(planned["address"], planned["driver"])
            guest = machine.Guest(**planned["guest"])
            done = machine.run(guest, planned["timeout"], lambda text: report(results, "progress", text))
            report(results, "run", asdict(done))


if __name__ == "__main__":
    main()
