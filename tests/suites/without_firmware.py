# SPDX-License-Identifier: GPL-2.0-or-later
"""What of QEMU's qtests can't run: it needs firmware that QEMU's source doesn't contain as Debian has it.

Debian 12 has no package of it either.
"""

from __future__ import annotations

# A program and what it needs.
PROGRAMS = {"bios-tables-test": "edk2, built for this test"}
# A program, its case, and what that needs.
CASES = {
    "qom-test": ("/aarch64/qom/npcm845-evb", "npcm8xx_bootrom.bin"),
    "test-hmp": ("/aarch64/hmp/npcm845-evb", "npcm8xx_bootrom.bin"),
}
