# SPDX-License-Identifier: GPL-2.0-or-later
"""make bench measures what it says: each timed call or request moves its bytes. No time is asserted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import in_process
from bench.ratio import Comparison, table
from bench.timed_emulator import Call, TimedEmulator, build, symbols
from machines.error import MachineError

pytestmark = pytest.mark.exhaustive

# The whole memory of a device, which takes a while; the shorter ones do here.
LONGEST = 1 << 20


def emulator(variant: str) -> Path:
    """One of those under test."""
    name = f"RAM_DEVICE_{variant.upper()}"
    if not os.environ.get(name):
        pytest.skip(f"{name} must name an emulator")
    return Path(os.environ[name])


@pytest.fixture(scope="module")
def dispatch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared object that goes into them."""
    return build(tmp_path_factory.mktemp("dispatch"))


@pytest.fixture
def stock(dispatch: Path) -> Iterator[TimedEmulator]:
    """A running stock emulator."""
    with TimedEmulator(emulator("built_stock"), dispatch) as running:
        yield running


@pytest.fixture
def patched(dispatch: Path) -> Iterator[TimedEmulator]:
    """A running patched emulator."""
    with TimedEmulator(emulator("patched"), dispatch) as running:
        yield running


# The comparisons of each section.
COUNTS = dict(zip(in_process.SECTIONS, (8, 8, 8, 8, 10, 10, 4, 10, 10), strict=True))


@pytest.mark.parametrize("heading", in_process.SECTIONS)
def test_every_call_that_is_timed_moves_its_bytes(heading: str, stock: TimedEmulator, patched: TimedEmulator) -> None:
    """dispatch.c compares them, and ends the emulator if they differ."""
    pairs = in_process.SECTIONS[heading]()
    assert len(pairs) == COUNTS[heading]
    short = [pair for pair in pairs if pair.ours.size <= LONGEST]
    compared = in_process.compare(short, stock, patched, rounds=1)
    assert len(compared) == len(short) >= len(pairs) - 2
    assert all(ratio > 0 for comparison in compared for ratio in comparison.ratios())


@pytest.mark.parametrize(("call", "complaint"), [
    (Call("memory_region_dispatch", 16, False), "memory_region_dispatch moves 8 bytes"),
    (Call("address_space_rw", 1 << 30, False), "a length that the device hasn't"),
    (Call("no_function", 8, False), "a function that isn't known"),
    # Stock's bounce buffer gives 4096 bytes of it.
    (Call("address_space_map", 8192, True), "address_space_map, write of 8192 bytes: they didn't arrive"),
])  # fmt: skip
def test_what_cannot_be_measured_is_an_error(call: Call, complaint: str, stock: TimedEmulator) -> None:
    with pytest.raises(MachineError, match=complaint):
        stock.time(call)


def test_stock_has_no_routine_of_the_crate_to_be_timed(stock: TimedEmulator) -> None:
    with pytest.raises(MachineError, match="the emulator isn't a patched one"):
        stock.time(Call("ram_device_load_store", 4, False))


def test_an_emulator_without_symbols_is_told_from_one_with() -> None:
    assert "address_space_rw=" in symbols(emulator("built_stock"))
    with pytest.raises(MachineError, match="has no symbol table"):
        symbols(Path("/bin/sh"))


def test_the_table_gives_the_ratios_of_times_that_belong_together() -> None:
    """The machine was slow in the second round: a ratio of the two medians would be another one."""
    lines = table([("section", [Comparison("read 4 KiB", [30.0, 300.0, 20.0], [10.0, 200.0, 2.0])])]).splitlines()
    assert lines[-2] == "section"
    assert lines[-1].split() == ["read", "4", "KiB", "30.0", "10.0", "1.50", "3.00", "10.00"]
    with pytest.raises(ValueError):
        Comparison("a round is missing", [1.0], []).ratios()
