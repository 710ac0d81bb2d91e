# SPDX-License-Identifier: GPL-2.0-or-later
"""What a failed request was the end of isn't used again, whoever made it. The emulator and its device are played."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from checker import speed, storage
from checker.boards import VIRT
from checker.findings import BLK, OK, TO_BAR, Request
from checker.storage import Disk, Storage
from checker.subject import Subject
from drivers.request import DeviceNeedsReset, NoAnswer, Segment

pytestmark = pytest.mark.quick

SEGMENT = Segment(0, 512)


class Played:
    """Counts the emulators and the drivers; a transfer raises what comes next in `failures`."""

    def __init__(self, failures: list[Exception | None]) -> None:
        self.failures = failures
        self.emulators = self.drivers = 0

    @contextmanager
    def started(self, *_: object) -> Iterator[object]:
        self.emulators += 1
        yield SimpleNamespace(pages=SimpleNamespace(take=lambda _: 0), memory=0, peer=SimpleNamespace(memory=b""))

    def new_driver(self, *_: object) -> Played:
        self.drivers += 1
        return self

    def transfer(self, *_: object) -> None:
        if failure := self.failures.pop(0) if self.failures else None:
            raise failure


def played(monkeypatch: pytest.MonkeyPatch, folder: Path, *failures: Exception | None) -> tuple[Played, Storage]:
    play, nobody = Played(list(failures)), cast(Any, None)
    monkeypatch.setattr(storage, "started", play.started)
    monkeypatch.setattr(Storage, "_new_driver", play.new_driver)
    return play, Storage(Subject(folder, "", VIRT), nobody, Disk(BLK), folder)


def test_the_driver_of_a_lost_device_is_made_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    play, disk = played(monkeypatch, tmp_path, None, DeviceNeedsReset())
    with disk:
        disk.transfer(True, SEGMENT)
        with pytest.raises(DeviceNeedsReset):
            disk.transfer(True, SEGMENT)
        disk.transfer(True, SEGMENT)
    assert (play.emulators, play.drivers) == (1, 2)


def test_an_emulator_that_has_not_answered_is_made_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    play, disk = played(monkeypatch, tmp_path, None, NoAnswer())
    with disk:
        disk.transfer(True, SEGMENT)
        with pytest.raises(NoAnswer):
            disk.transfer(True, SEGMENT)
        disk.transfer(True, SEGMENT)
    assert (play.emulators, play.drivers) == (2, 2)


@pytest.mark.parametrize("failure", [DeviceNeedsReset(), NoAnswer()])
def test_no_speed_is_told_where_a_request_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failure: Exception
) -> None:
    made = [Request(BLK, TO_BAR, size, OK) for size in storage.SIZES]
    _, disk = played(monkeypatch, tmp_path, None, failure)
    with disk:
        assert speed.measure(disk, made) is None
    monkeypatch.setattr(speed, "ROUND_SECONDS", 0.001)
    _, disk = played(monkeypatch, tmp_path)
    with disk:
        assert speed.measure(disk, made)
