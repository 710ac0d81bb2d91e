# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's accesses to a RAM device: stock beside patched, both running, timed in turns of about a millisecond."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from bench.ratio import KIB, Comparison, size
from bench.timed_emulator import Call, TimedEmulator

WIDTHS = (1, 2, 4, 8)
BULK = tuple(kib * KIB for kib in (4, 16, 64, 256, 1024))
AGAINST_MEMMOVE = tuple(kib * KIB for kib in (4, 16, 64, 1024, 64 * 1024))
# Stock's bounce buffer.
BOUNCE = 4096


@dataclass(frozen=True)
class Pair:
    """Two calls that do the same, and the emulators that they are made in."""

    what: str
    other: Call
    ours: Call
    is_other_stock: bool = True


def both_ways(call: Call) -> Iterator[Call]:
    """A read and a write."""
    return (replace(call, is_write=is_write) for is_write in (False, True))


def direction(call: Call) -> str:
    """In words."""
    return "write" if call.is_write else "read"


def accesses(has_bql: bool) -> list[Pair]:
    """address_space_rw() of few bytes: all that a device model's access takes."""
    calls = [call for width in WIDTHS for call in both_ways(Call("address_space_rw", width, False, has_bql))]
    return [Pair(f"{direction(call)} {size(call.size)}", call, call) for call in calls]


def dispatches() -> list[Pair]:
    """The region's accessor as MemoryRegionOps have it."""
    calls = [call for width in WIDTHS for call in both_ways(Call("memory_region_dispatch", width, False))]
    return [Pair(f"{direction(call)} {size(call.size)}", call, call) for call in calls]


def accessors() -> list[Pair]:
    """The crate's accessor, beside what leads to stock's."""
    return [Pair(pair.what, pair.other, replace(pair.ours, function="ram_device_load_store")) for pair in dispatches()]


def bulk(has_bql: bool) -> list[Pair]:
    """address_space_rw() of many bytes: stock dispatches them by eights."""
    calls = [call for length in BULK for call in both_ways(Call("address_space_rw", length, False, has_bql))]
    return [Pair(f"{direction(call)} {size(call.size)}", call, call) for call in calls]


def maps() -> list[Pair]:
    """What a device model's DMA takes: map, memcpy, unmap."""
    return [
        Pair(f"{direction(call)} {size(BOUNCE)}{', direct' if is_direct else ''}", call, call)
        for is_direct in (False, True)
        for call in both_ways(Call("address_space_map", BOUNCE, False, is_direct=is_direct))
    ]


def buffers() -> list[Pair]:
    """The same by a pointer, and by a buffer."""
    calls = [call for length in BULK for call in both_ways(Call("address_space_map", length, False))]
    return [Pair(f"{direction(call)} {size(call.size)}", replace(call, is_direct=True), call, False) for call in calls]


def copies() -> list[Pair]:
    """The routines as they are in the patched emulator, beside libc's memmove() in the same process."""
    calls = [call for length in AGAINST_MEMMOVE for call in both_ways(Call("memmove", length, False))]
    return [
        Pair(f"{direction(call)} {size(call.size)}", call, replace(call, function="ram_device_read_write"), False)
        for call in calls
    ]


SECTIONS: dict[str, Callable[[], list[Pair]]] = {
    "address_space_rw(), with the BQL held: stock / patched": lambda: accesses(True),
    "address_space_rw(), without the BQL, which stock takes: stock / patched": lambda: accesses(False),
    "memory_region_dispatch_read/write(): stock / patched": dispatches,
    "the accessor: stock's memory_region_dispatch_read/write() / ram_device_load/store()": accessors,
    "bulk address_space_rw(), with the BQL held; stock dispatches 8 bytes at a time: stock / patched":
        lambda: bulk(True),
    "bulk address_space_rw(), without the BQL: stock / patched": lambda: bulk(False),
    "address_space_map(), memcpy(), address_space_unmap(): stock / patched": maps,
    "the same inside the patched emulator: a pointer (direct) / a buffer": buffers,
    "inside the patched emulator: memmove() / ram_device_read/write()": copies,
}  # fmt: skip


def compare(pairs: list[Pair], stock: TimedEmulator, patched: TimedEmulator, rounds: int) -> list[Comparison]:
    """Time each pair in turns."""
    comparisons = []
    for pair in pairs:
        other_emulator = stock if pair.is_other_stock else patched
        other: list[float] = []
        ours: list[float] = []
        for _ in range(rounds):
            other.append(other_emulator.time(pair.other))
            ours.append(patched.time(pair.ours))
        comparisons.append(Comparison(pair.what, other, ours))
    return comparisons
