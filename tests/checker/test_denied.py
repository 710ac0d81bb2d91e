# SPDX-License-Identifier: GPL-2.0-or-later
"""What the checker finds of devices that do right and wrong when a BAR has gone. Emulator and devices are played."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from checker import storage
from checker.boards import VIRT
from checker.denied import read_into_read_only, write_without_bar
from checker.findings import (
    BLK,
    CHANGED,
    DROPPED,
    FAILS,
    IO_ERROR,
    LOST_DEVICE,
    LOST_EMULATOR,
    MADE_UP,
    NO_ANSWER,
    NOTHING,
    OK,
    WRITTEN,
    WRONG,
)
from checker.storage import Disk, Storage
from checker.subject import Subject
from drivers.request import DeviceNeedsReset, NoAnswer, RequestFailed, Segment
from machines.qtest_client import EmulatorError

pytestmark = pytest.mark.quick

BAR, READ_ONLY, MEMORY_SIZE = 0x4000_0000, 0x1000_0000, 4 << 20
SIZE = 512

Behaviour = Callable[["Play", Segment], None]


class Play:
    """An emulator with a disk that works, but for what it does with a BAR that has gone or that can't be written."""

    def __init__(self, image: Path, without_bar: Behaviour, read_only: Behaviour, later: Behaviour | None) -> None:
        self.image = image
        self.memory = bytearray(MEMORY_SIZE)
        self._without_bar, self._read_only, self._later = without_bar, read_only, later
        self._is_gone = False

    @contextmanager
    def memory_gone(self) -> Iterator[None]:
        self._is_gone, self.memory[:] = True, bytes(MEMORY_SIZE)
        yield
        self._is_gone = False

    @contextmanager
    def started(self, *_: object) -> Iterator[object]:
        ended = SimpleNamespace(state=lambda: "ended", ended_by_signal=lambda: 7)
        yield SimpleNamespace(peer=self, memory=BAR, read_only=READ_ONLY, messages=lambda: "", emulator=ended)

    def transfer(self, from_disk: bool, sector: int, data: Sequence[Segment], timeout: float) -> None:
        (segment,) = data
        if self._is_gone:
            self._without_bar(self, segment)
        elif segment.address < BAR:
            self._read_only(self, segment)
        elif self._later:
            self._later(self, segment)
        else:
            begin, disk = segment.address - BAR, bytearray(self.image.read_bytes())
            if from_disk:
                self.memory[begin : begin + segment.size] = disk[: segment.size]
            else:
                disk[: segment.size] = self.memory[begin : begin + segment.size]
                self.image.write_bytes(disk)

    def write_ones(self, size: int) -> None:
        """To the disk."""
        self.image.write_bytes(b"\xff" * size + self.image.read_bytes()[size:])


def raising(error: Exception) -> Behaviour:
    def behave(*_: object) -> None:
        raise error

    return behave


def says_ok(play: Play, segment: Segment) -> None:
    pass


def makes_data_up(play: Play, segment: Segment) -> None:
    play.write_ones(segment.size)


def makes_data_up_and_fails(play: Play, segment: Segment) -> None:
    play.write_ones(segment.size)
    raise RequestFailed


def writes_all_the_same(play: Play, segment: Segment) -> None:
    begin = segment.address - READ_ONLY
    play.memory[begin : begin + segment.size] = bytes(segment.size)


FAILING = raising(RequestFailed())
ENDING = raising(EmulatorError("gone"))


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Storage]:
    """A disk whose emulator is played."""

    def disk(
        without_bar: Behaviour = FAILING, read_only: Behaviour = FAILING, later: Behaviour | None = None
    ) -> Storage:
        play = Play(tmp_path / "disk.img", without_bar, read_only, later)
        monkeypatch.setattr(storage, "started", play.started)
        monkeypatch.setattr(Storage, "_new_driver", lambda *_: play)
        return Storage(Subject(tmp_path, "", VIRT), cast(Any, None), Disk(BLK), tmp_path)

    return disk


@pytest.mark.parametrize(("behaviour", "outcome", "again"), [
    (FAILING, FAILS, OK),
    (says_ok, NOTHING, OK),
    (makes_data_up, MADE_UP, OK),
    (makes_data_up_and_fails, CHANGED, OK),
    (raising(DeviceNeedsReset()), LOST_DEVICE, OK),
    (raising(NoAnswer("none")), NO_ANSWER, ""),
    (ENDING, "the emulator ends by SIGBUS", ""),
])  # fmt: skip
def test_what_a_write_does_whose_bar_has_gone_is_found(
    played: Callable[..., Storage], behaviour: Behaviour, outcome: str, again: str
) -> None:
    with played(without_bar=behaviour) as disk:
        found = write_without_bar(disk, SIZE)
    assert (found.device, found.size, found.outcome, found.again) == (BLK, SIZE, outcome, again)
    assert found.is_fine == (behaviour is FAILING)


@pytest.mark.parametrize(("behaviour", "outcome"), [
    (FAILING, FAILS),
    (says_ok, DROPPED),
    (writes_all_the_same, WRITTEN),
    (raising(DeviceNeedsReset()), LOST_DEVICE),
    (ENDING, "the emulator ends by SIGBUS"),
])  # fmt: skip
def test_what_a_read_into_a_bar_does_that_cannot_be_written_is_found(
    played: Callable[..., Storage], behaviour: Behaviour, outcome: str
) -> None:
    with played(read_only=behaviour) as disk:
        found = read_into_read_only(disk, SIZE)
    assert found.outcome == outcome
    assert found.is_fine == (outcome in (FAILS, DROPPED))


@pytest.mark.parametrize(("behaviour", "again"), [(FAILING, IO_ERROR), (says_ok, WRONG), (ENDING, LOST_EMULATOR)])
def test_a_device_that_does_not_work_again_is_found(
    played: Callable[..., Storage], behaviour: Behaviour, again: str
) -> None:
    for attempt in (write_without_bar, read_into_read_only):
        with played(later=behaviour) as disk:
            found = attempt(disk, SIZE)
        assert (found.outcome, found.again, found.is_fine) == (FAILS, again, False)
