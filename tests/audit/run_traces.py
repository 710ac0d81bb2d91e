# SPDX-License-Identifier: GPL-2.0-or-later
"""The traces of all cases, and what other copies do: prints counts and tables for people.

The exit status is 1 if the crate's routines violate the contract, if the check finds nothing wrong with the others, or
if there was nothing to trace.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from audit import control_table
from audit.cases import CONTROLS
from audit.programs import Program, programs
from audit.trace_run import INSTRUMENTS, control, crate, libc, moved_words, processor
from audit.traces import Instrument
from audit.violations import Findings
from audit.word_stores import ROUTINES, Stores, table, word_stores
from machines.error import MachineError, NotAvailable


def main() -> int:
    """Trace every program with every instrument that there is for it."""
    right = True
    traced: dict[str, tuple[Program, Instrument]] = {}
    with tempfile.TemporaryDirectory(prefix="audit-") as folder:
        found, reasons = programs(Path(folder))
        for wanted, reason in reasons.items():
            print(f"-- not traced: {wanted}: {reason}")
        print("-- accesses of the compiled routines to a device, each held against the contract", flush=True)
        for program in found:
            for name, find in INSTRUMENTS.items():
                try:
                    instrument = find(program.architecture)
                except NotAvailable as reason:
                    print(f"   {program}, not under {name}: {reason}")
                    continue
                total = summed(crate(program, instrument, thorough=True).values())
                print(f"   {program}, under {instrument.name}: {total.traces} traces, {total.accesses} accesses, "
                      f"{total.violating} violations", flush=True)
                if total.violating:
                    print(total.report)
                right &= total.accesses > 0 and not total.violating
                words = summed(moved_words(program, instrument).values())
                print(f"     words moved from RAM to RAM: {words.traces} traces, {words.accesses} accesses, "
                      f"{words.violating} violations", flush=True)
                if words.violating:
                    print(words.report)
                right &= words.accesses > 0 and not words.violating
                traced.setdefault(program.architecture, (program, instrument))
        libcs = ", ".join(f"{libc(architecture)} on {architecture}" for architecture in traced)
        print(f"-- stores to RAM of one word, WIDTH@OFFSET ({libcs})\n{table(stores(traced))}", flush=True)
        for architecture, (program, instrument) in traced.items():
            for name in CONTROLS:
                lengths = control(program, instrument, name, thorough=True)
                total = summed(lengths.values())
                print(f"-- the same for {name} ({libc(architecture)}, {architecture}, under {instrument.name}, on "
                      f"{processor()}): {total.violating} of {total.traces} violate\n{control_table.table(lengths)}",
                      flush=True)
                right &= total.violating > 0
    return 0 if right and traced else 1


def stores(traced: dict[str, tuple[Program, Instrument]]) -> dict[str, Stores]:
    """The stores to RAM of each routine on each architecture."""
    return {f"`{name}`, {architecture}": word_stores(program, instrument, routine)
            for architecture, (program, instrument) in traced.items() for name, routine in ROUTINES.items()}


def summed(parts: Iterable[Findings]) -> Findings:
    """All of them together."""
    total = Findings()
    for part in parts:
        total.traces += part.traces
        total.accesses += part.accesses
        total.violating += part.violating
        total.by_class += part.by_class
        total.first = total.first or part.first
    return total


if __name__ == "__main__":
    try:
        sys.exit(main())
    except MachineError as failure:
        sys.exit(f"run_traces.py: {failure}")
