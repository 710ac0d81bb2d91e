# SPDX-License-Identifier: GPL-2.0-or-later
"""C1 and C2 of docs/devel/ram-device.rst written a second time, slow and obvious on purpose.

It shares no line with the crate. What is seen of the compiled code, and what a device sees, is compared with it.
"""

from __future__ import annotations

import functools

WIDTHS = (8, 4, 2, 1)


@functools.cache
def pieces(alignment: int, length: int, misaligned_is_allowed: bool) -> list[tuple[int, int]]:
    """The accesses of a transfer: offsets from its start, and widths."""
    if length in WIDTHS and (alignment % length == 0 or misaligned_is_allowed):
        return [(0, length)]
    found = []
    at = 0
    while at < length:
        for width in WIDTHS:
            if (alignment + at) % width == 0 and at + width <= length:
                found.append((at, width))
                at += width
                break
    return found
