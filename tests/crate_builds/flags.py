# SPDX-License-Identifier: GPL-2.0-or-later
"""What QEMU's build gives rustc for rust/ram-device; tests/audit compares it with the build."""

from __future__ import annotations

# QEMU's default build type: core's own checks are on, those of arithmetic are off.
QEMU_FLAGS = ("--edition=2021", "--cfg", "MESON", "-g", "-C", "opt-level=2", "-C", "debug-assertions=yes",
              "-C", "overflow-checks=no", "-C", "codegen-units=1")  # fmt: skip
