# SPDX-License-Identifier: GPL-2.0-or-later
"""Which test program is run by which instrument, and what comes of it."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from audit import cases
from audit.code_image import Image
from audit.control_table import by_length
from audit.lackey import lackey
from audit.plugin import plugin
from audit.programs import WANTED, Program, Wanted
from audit.traces import Instrument
from audit.violations import Findings, findings

INSTRUMENTS: dict[str, Callable[[str], Instrument]] = {"plugin": plugin, "lackey": lackey}


@dataclass(frozen=True)
class Run:
    """One program under one instrument."""

    wanted: Wanted
    instrument: str

    def __str__(self) -> str:
        return f"{self.wanted}-{self.instrument}"


# lackey knows this machine's own architecture only.
RUNS = [Run(wanted, instrument) for wanted in WANTED for instrument in INSTRUMENTS
        if instrument == "plugin" or wanted.architecture == platform.machine()]


def table(program: Program) -> set[int]:
    """Where the accesses are that may be made to a device (C7)."""
    return {fault.instruction for fault in Image(program.path).faults}


def crate(program: Program, instrument: Instrument, thorough: bool) -> dict[str, Findings]:
    """The crate's routines held against the contract."""
    made = cases.of_the_crate(thorough)
    return findings(made, instrument.traces(program, made), program.architecture, table(program))


def moved_words(program: Program, instrument: Instrument) -> dict[str, Findings]:
    """The crate's routine for ordinary RAM, of which both sides are looked at, one after the other: one load, and one
    store.  No access to RAM is in the table."""
    made = cases.moved_words()
    return findings(made, instrument.traces(program, made), program.architecture, None)


def control(program: Program, instrument: Instrument, name: str, thorough: bool) -> dict[str, Findings]:
    """The same for something that isn't the crate."""
    made = cases.of_a_control(name, thorough)
    return by_length(made, instrument.traces(program, made), program.architecture)


def libc(architecture: str) -> str:
    """The libc that the programs of an architecture are linked with."""
    compiler = {"x86_64": "gcc", "aarch64": "aarch64-linux-gnu-gcc"}[architecture]
    done = subprocess.run([compiler, "-E", "-P", "-include", "features.h", "-x", "c", "-"], text=True, check=True,
                          capture_output=True, input="glibc __GLIBC__ __GLIBC_MINOR__\n")
    return done.stdout.strip().splitlines()[-1].replace(" ", ".").replace("glibc.", "glibc ")


def processor() -> str:
    """This machine's CPU, as the kernel calls it."""
    with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
        return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
                    platform.machine())
