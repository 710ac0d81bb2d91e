# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the test program has the two sides of a transfer.  Python says so once; transfers.c gets it from the compiler's
command line."""

from __future__ import annotations

LENGTH = 0x11000  # of the device window, and of the RAM window
DEVICE = 0x5D00000000
RAM = 0x5A00000000
# One byte for each case, stored just before the case begins: it tells the instruments whose accesses follow.
MARKERS = 0x5E00000000
MARKERS_LENGTH = 0x1000000
