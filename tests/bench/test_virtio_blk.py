# SPDX-License-Identifier: GPL-2.0-or-later
"""The virtio-blk section of make bench measures what it says: each drive moves its bytes. No time is asserted."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import blk_speed, places_machine
from bench.blk_drives import DRIVES, NULL, Drive
from bench.blk_machine import Load, make_image, place_size
from bench.blk_speed import SIZES, USUAL_DEPTH
from bench.places import BOUNCED, DIRECT, RAM, SMALL_PAGES, UNPINNABLE, lacks_unpinnable, stocks_bar
from bench.ratio import KIB
from bench.timed_emulator import build
from bench.turns import Effort, Row, Series
from bench.turns_table import table
from machines import emulators
from machines.error import MachineError
from machines.qtest_client import Emulator

pytestmark = pytest.mark.exhaustive

ADDED_BAR = Path(__file__).with_name("added_bar.c")
SHORT = Effort(rounds=1, round_seconds=0)
USUAL = Load(USUAL_DEPTH)


def start(variant: str, folder: Path, load: Load = USUAL) -> blk_speed.Start:
    """How the emulator under test is started."""
    emulator, image = emulators.wanted(variant), make_image(folder, load.depth)
    if variant == "built_stock":
        new_layout = places_machine.stock(emulator, build(folder, ADDED_BAR))
    else:
        new_layout = places_machine.patched(emulator)
    return blk_speed.starter(new_layout, image, load)


@pytest.mark.parametrize(
    ("variant", "places"),
    [("patched", {SMALL_PAGES, BOUNCED, DIRECT}), ("built_stock", {stocks_bar(place_size(USUAL_DEPTH))})],
)
def test_every_drive_moves_its_bytes_and_has_its_rows(variant: str, places: set[str], tmp_path: Path) -> None:
    rows, skipped = blk_speed.compare(start(variant, tmp_path), tmp_path, SHORT)
    if variant == "patched" and not lacks_unpinnable(place_size(USUAL_DEPTH)):
        places = places | {UNPINNABLE}
    drives = [str(drive) for drive in (NULL, *DRIVES) if not any(text.startswith(f"{drive}:") for text in skipped)]
    assert len(drives) + len(skipped) == 1 + len(DRIVES)
    wanted = [
        (drive, place, kind, size)
        for drive in drives for place in places for kind in ("read", "write") for size in SIZES
    ]  # fmt: skip
    assert sorted((row.device, row.place, row.kind, row.size) for row in rows) == sorted(wanted)
    assert all(ratio > 0 for row in rows for ratio in (*row.speed(), *row.processor_time()))
    printed = table(rows).splitlines()
    assert len([line for line in printed if "KiB" in line or "MiB" in line]) == len(rows)
    assert {f"{place}: {drive}" for place in places for drive in drives} <= set(printed)


def turns_of_iothreads(emulator: Emulator) -> dict[int, int]:
    """How often the kernel has let each of them run."""
    told = emulator.execute("query-iothreads", {})
    assert isinstance(told, list)
    threads = [int(each["thread-id"]) for each in told]
    return {thread: int(Path(f"/proc/{thread}/schedstat").read_text().split()[2]) for thread in threads}


@pytest.mark.parametrize("load", [Load(1), Load(1, 1), Load(16, 4), Load(128), Load(128, 4)], ids=str)
@pytest.mark.parametrize("variant", ["patched", "built_stock"])
def test_there_can_be_other_numbers_of_requests_and_queues(variant: str, load: Load, tmp_path: Path) -> None:
    """128 of 1 MiB want more than the budget of the pool, and more bounce buffers of stock's than at other depths."""
    with start(variant, tmp_path, load)(tmp_path, Drive(False, "threads")) as machine:
        assert machine.driver.depth == load.depth
        for place in machine.places:
            before = turns_of_iothreads(machine.emulator)
            machine.check_contents(1024 * KIB, place, place.name)
            after = turns_of_iothreads(machine.emulator)
            assert len(after) == load.iothreads
            assert all(after[thread] > turns for thread, turns in before.items())


@pytest.mark.parametrize("place", [RAM, SMALL_PAGES, BOUNCED, UNPINNABLE, DIRECT])
def test_bytes_that_are_not_moved_are_an_error(place: str, tmp_path: Path) -> None:
    """null-co says that it has done what it hasn't."""
    if place == UNPINNABLE and (why := lacks_unpinnable(place_size(USUAL_DEPTH))):
        pytest.skip(why)
    with start("patched", tmp_path)(tmp_path, NULL) as machine:
        (chosen,) = (each for each in machine.places if each.name == place)
        with pytest.raises(MachineError, match="other bytes"):
            machine.check_contents(4 * KIB, chosen, "seed")


def test_what_an_emulator_refuses_for_another_reason_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"page cache, native: .*\n.*requires cache.direct=on"):
        blk_speed.compare(start("patched", tmp_path), tmp_path, SHORT, [Drive(False, "native")])


@pytest.mark.parametrize("complaint", [
    "aio=io_uring was specified, but is not supported in this build.",
    "Unable to use linux io_uring, falling back to thread pool: Function not implemented",
])  # fmt: skip
@pytest.mark.parametrize("ends", [True, False])
def test_a_drive_that_the_emulator_lacks_is_skipped_by_name(complaint: str, ends: bool, tmp_path: Path) -> None:
    real, wrapper = emulators.wanted("patched"), tmp_path / "emulator"
    answer = f"echo 'qemu: {complaint}' >&2{'; exit 1' if ends else ''}"
    wrapper.write_text(f'#!/bin/sh\ncase "$*" in *aio=io_uring*) {answer};; esac\nexec "{real}" "$@"\n')
    wrapper.chmod(0o755)
    begun = blk_speed.starter(places_machine.patched(wrapper), make_image(tmp_path, USUAL_DEPTH), USUAL)
    drives = [Drive(False, "threads"), Drive(False, "io_uring")]
    rows, skipped = blk_speed.compare(begun, tmp_path, SHORT, drives)
    assert {row.device for row in rows} == {str(drives[0])}
    assert skipped == [f"page cache, io_uring: qemu: {complaint}"]


def row(drive: Drive, ram: Series, other: Series) -> Row:
    return Row(str(drive), BOUNCED, "read", 64 * KIB, ram, other)


def test_the_table_has_ratios_of_rounds_and_the_share_of_null_co() -> None:
    """The machine was slow in the second round; half as fast is 0.5, twice the processor time is 2."""
    threads = Drive(False, "threads")
    real = row(threads, Series([10e3, 90e3, 20e3], [4e3, 9e3, 5e3]), Series([20e3, 100e3, 50e3], [8e3, 9e3, 20e3]))
    null = row(NULL, Series([2e3], [1e3]), Series([2e3], [1e3]))
    lines = table([null, real]).splitlines()
    assert lines[-2] == f"{BOUNCED}: {threads}"
    assert lines[-1].split() == ["read", "64", "KiB", "20.0", "5.0", "0.40", "0.50", "0.90", "1.00", "2.00", "4.00",
                                 "10", "%", "20", "%"]  # fmt: skip
