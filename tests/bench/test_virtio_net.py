# SPDX-License-Identifier: GPL-2.0-or-later
"""The virtio-net section of make bench measures what it says: each packet arrives. No time is asserted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench import net_machine, net_speed, places_machine
from bench.net_machine import PLACE_SIZE, SENDER, NetMachine
from bench.net_speed import DEVICE, SIZES
from bench.places import BOUNCED, DIRECT, SMALL_PAGES, UNPINNABLE, lacks_unpinnable, stocks_bar
from bench.places_machine import NewLayout
from bench.timed_emulator import build
from bench.turns import Effort
from bench.turns_table import table
from drivers.request import RequestFailed
from machines import emulators
from machines.error import MachineError

pytestmark = pytest.mark.exhaustive

ADDED_BAR = Path(__file__).with_name("added_bar.c")
SHORT = Effort(rounds=1, round_seconds=0)
SIZE = 1500


def layout(variant: str, folder: Path) -> NewLayout:
    """How the emulator under test gets its places."""
    emulator = emulators.wanted(variant)
    if variant == "built_stock":
        return places_machine.stock(emulator, build(folder, ADDED_BAR))
    return places_machine.patched(emulator)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[NetMachine]:
    """A running patched emulator."""
    with net_machine.start(layout("patched", tmp_path), tmp_path) as running:
        yield running


@pytest.mark.parametrize(
    ("variant", "places"), [("patched", {SMALL_PAGES, BOUNCED, DIRECT}), ("built_stock", {stocks_bar(PLACE_SIZE)})]
)
def test_packets_arrive_from_and_in_every_place_and_have_their_rows(
    variant: str, places: set[str], tmp_path: Path
) -> None:
    rows = net_speed.compare(layout(variant, tmp_path), tmp_path, SHORT)
    if variant == "patched" and not lacks_unpinnable(PLACE_SIZE):
        places = places | {UNPINNABLE}
    wanted = [(DEVICE, place, kind, size) for place in places for kind in ("transmit", "receive") for size in SIZES]
    assert sorted((row.device, row.place, row.kind, row.size) for row in rows) == sorted(wanted)
    assert all(ratio > 0 for row in rows for ratio in (*row.speed(), *row.processor_time()))
    printed = table(rows).splitlines()
    for what in ("transmit 1500 B", "receive 1500 B", "transmit 64 KiB", "receive 64 KiB"):
        assert len([line for line in printed if line.startswith(f"  {what} ")]) == len(places)
    assert {f"{place}: {DEVICE}" for place in places} <= set(printed)


@pytest.mark.parametrize("is_sent", [True, False])
@pytest.mark.parametrize("place", [SMALL_PAGES, BOUNCED, UNPINNABLE, DIRECT])
def test_bytes_that_are_not_moved_are_an_error(place: str, is_sent: bool, machine: NetMachine) -> None:
    """What is looked at is memory of another place than that of the packets."""
    if place == UNPINNABLE and (why := lacks_unpinnable(PLACE_SIZE)):
        pytest.skip(why)
    by_name = {each.name: each for each in machine.places}
    other = by_name[BOUNCED if place == SMALL_PAGES else SMALL_PAGES]
    machine.check_contents(is_sent, SIZE, by_name[place], "before")
    with pytest.raises(MachineError, match="have arrived as other bytes"):
        machine.check_contents(is_sent, SIZE, replace(by_name[place], memory=other.memory), "seed")


def test_packets_that_are_lost_are_an_error(machine: NetMachine) -> None:
    """Without its cable a virtio-net says of packets that they were sent."""
    machine.emulator.execute("set_link", {"name": SENDER, "up": False})
    with pytest.raises(RequestFailed, match=r"of \d+ packets that were transmitted, 0 were received"):
        machine.check_contents(True, SIZE, machine.places[0], "seed")
