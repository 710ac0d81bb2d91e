# SPDX-License-Identifier: GPL-2.0-or-later
"""What of QEMU's qtests can't run: it needs firmware that QEMU's source doesn't contain as Debian has it.

Debian 12 has no package of it either. What needs which differs from base to base.
"""

from __future__ import annotations

import os

EDK2 = "edk2, built for this test"
NPCM8XX = "npcm8xx_bootrom.bin"
AST27X0 = "ast27x0_bootrom.bin"

_PROGRAMS = {
    "10.0": {"bios-tables-test": EDK2},
    "10.2": {"bios-tables-test": EDK2, "npcm_gmac-test": NPCM8XX}
    | dict.fromkeys(("ast2700-gpio-test", "ast2700-hace-test", "ast2700-smc-test"), AST27X0),
}
_MACHINES = {
    "10.0": {"npcm845-evb": NPCM8XX},
    "10.2": {"npcm845-evb": NPCM8XX}
    | dict.fromkeys(("ast2700a0-evb", "ast2700a1-evb", "ast2700fc"), AST27X0),
}
_base = os.environ.get("RAM_DEVICE_BASE", "10.0")

# Each program that can't run, and what it needs.
PROGRAMS = _PROGRAMS.get(_base, {})
# Of each program that has a case for every machine, the cases that can't run, and what they need.
CASES = {
    program: {f"/aarch64/{group}/{machine}": firmware for machine, firmware in _MACHINES.get(_base, {}).items()}
    for program, group in (("qom-test", "qom"), ("test-hmp", "hmp"))
}
# All that is left out, and what it needs.
LEFT_OUT = PROGRAMS | {case: firmware for cases in CASES.values() for case, firmware in cases.items()}
