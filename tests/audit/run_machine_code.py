# SPDX-License-Identifier: GPL-2.0-or-later
"""The audit of the machine code of all programs that can be had here: prints the counts for people.

The exit status is 1 if something forbidden was found, or if there was nothing to audit.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from audit.code_image import Refused
from audit.machine_code import Audit, audit
from audit.programs import C_COMPILERS, emulator, programs
from audit.whole_crate import whole_crate
from machines.error import MachineError, NotAvailable


def main() -> int:
    """Audit the emulators, and the crate as each compiler makes it."""
    right = True
    print("-- instructions of the crate, each held against what is allowed (docs/audit.md)", flush=True)
    with tempfile.TemporaryDirectory(prefix="audit-") as folder:
        try:
            found, reasons = programs(Path(folder))
            for wanted, reason in reasons.items():
                print(f"-- not audited: {wanted}: {reason}")
            audits = emulators()
            audits += [audit(whole_crate(program.library, program.architecture, program.path.parent),
                             f"whole crate, {program}") for program in found]
        except (MachineError, Refused) as failure:
            print(f"run_machine_code.py: {failure}", file=sys.stderr)
            return 1
        for audited in audits:
            print(audited)
            right &= not audited.findings
    return 0 if right and found else 1


def emulators() -> list[Audit]:
    """The audits of the patched emulators for each kind of host."""
    audits = []
    for architecture in C_COMPILERS:
        try:
            audits.append(audit(emulator(architecture), f"patched emulator for {architecture} hosts"))
        except NotAvailable as reason:
            print(f"-- not audited: {reason}")
    return audits


if __name__ == "__main__":
    sys.exit(main())
