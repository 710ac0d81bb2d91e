# SPDX-License-Identifier: GPL-2.0-or-later
"""What docs/performance.md says of accesses, by the instructions that they take: the load of the machine has no part.

gdb steps through each access in both emulators (instructions.py).
"""

from __future__ import annotations

import platform
import re
import shutil
from pathlib import Path

import pytest

from bench.timed_emulator import MACHINE
from machines import emulators, gdb_script

pytestmark = pytest.mark.exhaustive

SCRIPT = Path(__file__).with_name("instructions.py")
WORD, SHORT, LONG = 8, 128, 256
LARGEST = 1 << 20
READ_AND_WRITE = {(name, size) for name in ("read", "write") for size in (WORD, SHORT, LONG)}
MAP_AND_UNMAP = {(name, size) for name in ("map", "unmap") for size in (WORD, SHORT, LONG)}

Counts = dict[tuple[str, int], int]


def counts(variant: str) -> Counts:
    """The instructions of each access and size."""
    emulator = emulators.wanted(variant)
    if platform.machine() != "x86_64":
        pytest.skip(f"instructions.py knows how x86-64 passes arguments, not how {platform.machine()} does")
    if not shutil.which("gdb"):
        pytest.skip("no gdb here")
    done = gdb_script.run(SCRIPT, emulator, MACHINE)
    lines = re.findall(r"^count (\w+) (\d+) (\d+)$", done.stdout, re.MULTILINE)
    found = {(name, int(size)): int(count) for name, size, count in lines}
    wanted = READ_AND_WRITE | MAP_AND_UNMAP if variant == "patched" else READ_AND_WRITE
    assert set(found) == wanted, done.stdout[-2000:] + done.stderr[-2000:]
    print(variant, found)
    return found


@pytest.fixture(scope="module")
def stock() -> Counts:
    return counts("built_stock")


@pytest.fixture(scope="module")
def patched() -> Counts:
    return counts("patched")


def per_word(found: Counts, name: str) -> float:
    """What each further word of a bulk access takes."""
    return (found[name, LONG] - found[name, SHORT]) / ((LONG - SHORT) // WORD)


@pytest.mark.parametrize("name", ["read", "write"])
def test_a_word_of_a_bulk_access_takes_stock_more_than_50_times_the_instructions(
    stock: Counts, patched: Counts, name: str
) -> None:
    assert per_word(stock, name) > 50 * per_word(patched, name) > 0


@pytest.mark.parametrize("name", ["read", "write"])
def test_an_access_of_a_word_as_a_whole_takes_about_as_many_instructions_as_stock(
    stock: Counts, patched: Counts, name: str
) -> None:
    """It is faster, as stock's lock and unlock, which are among the instructions, take longer than others."""
    assert 100 < patched[name, WORD] < 1.05 * stock[name, WORD]


def test_to_map_a_buffer_takes_about_the_same_for_every_size(patched: Counts) -> None:
    """The heap's own paths differ a little."""
    taken = [patched["map", size] for size in (WORD, SHORT, LONG)]
    assert max(taken) < 1.25 * min(taken)


def test_the_pools_own_part_of_1_mib_is_less_than_a_hundredth_of_its_copys(patched: Counts) -> None:
    copied = per_word(patched, "unmap")
    own = patched["map", SHORT] + patched["unmap", SHORT] - copied * (SHORT // WORD)
    assert 0 < own < copied * (LARGEST // WORD) / 100
