# SPDX-License-Identifier: GPL-2.0-or-later
"""C7 for the NVMe commands beside plain reads and writes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from drivers.nvme import BLOCK, Nvme, block_ranges
from drivers.request import RequestFailed, Segment
from machines import emulators
from revoked import graphs
from revoked.models import NODE, NVME, SLOT, Model
from revoked.scene import AT, FIRST, MIB, PAGE, Scene, digest, scene

TIME = 0x0123_4567_89AB
# A timestamp counts milliseconds from when it was set.
HOUR = 3_600_000
TIMESTAMP_BITS = (1 << 48) - 1
SERIAL_NUMBER = slice(4, 24)
SERIAL = b"revoked".ljust(20)
PROTECTED = Model(
    "nvme-protected",
    ["-device", f"nvme,id=controller,serial=revoked,{SLOT}",
     "-device", f"nvme-ns,bus=controller,drive={NODE},ms=8,pi=1,mset=0"],
    NVME.driver,
)  # fmt: skip


def nvme(set_up: Scene) -> Nvme:
    assert isinstance(set_up.disk, Nvme)
    return set_up.disk


def bar(set_up: Scene, size: int) -> Segment:
    return Segment(set_up.machine.address + AT, size)


def test_c7_set_features_whose_timestamp_is_gone_fails_and_sets_none(tmp_path: Path) -> None:
    with scene(emulators.wanted("patched"), tmp_path, NVME) as set_up:
        running = set_up.machine
        seen = Segment(running.pages.take(), 8)

        def clock() -> int:
            nvme(set_up).get_timestamp(seen)
            return running.emulator.qtest.read64(seen.address) & TIMESTAMP_BITS

        running.fill_bar(AT, TIME.to_bytes(8, "little"))
        nvme(set_up).set_timestamp(bar(set_up, 8))
        assert 0 <= clock() - TIME < HOUR
        running.cut_bar()
        with pytest.raises(RequestFailed):
            nvme(set_up).set_timestamp(bar(set_up, 8))
        assert 0 <= clock() - TIME < HOUR
        running.bring_bar_back()
        running.fill_bar(AT, (2 * TIME).to_bytes(8, "little"))
        nvme(set_up).set_timestamp(bar(set_up, 8))
        assert 0 <= clock() - 2 * TIME < HOUR


def test_c7_deallocate_whose_second_range_is_gone_fails_and_changes_no_byte(tmp_path: Path) -> None:
    ranges = [(64, 64), (256, 64)]
    data, left = block_ranges(ranges), len(block_ranges(ranges[:1]))
    with scene(emulators.wanted("patched"), tmp_path, NVME, graphs.UNMAPPING) as set_up:
        begin = AT + PAGE - left
        described = Segment(set_up.machine.address + begin, len(data))
        set_up.machine.fill_bar(begin, data)
        before = set_up.unchanged()
        set_up.machine.cut_bar(AT + PAGE)
        with pytest.raises(RequestFailed):
            nvme(set_up).deallocate(described)
        assert set_up.unchanged() == before
        set_up.machine.bring_bar_back()
        set_up.machine.fill_bar(begin, data)
        nvme(set_up).deallocate(described)
        for block, count in ranges:
            set_up.contents[block * BLOCK : (block + count) * BLOCK] = bytes(count * BLOCK)


def test_c7_compare_finds_nothing_equal_to_data_that_is_gone(tmp_path: Path) -> None:
    with scene(emulators.wanted("patched"), tmp_path, NVME) as set_up:
        ones = b"\xff" * BLOCK
        data = bar(set_up, BLOCK)
        set_up.machine.fill_bar(AT, ones)
        nvme(set_up).transfer(False, FIRST, [data])
        set_up.contents[FIRST * BLOCK : (FIRST + 1) * BLOCK] = ones
        nvme(set_up).compare(FIRST, data)
        set_up.machine.cut_bar()
        with pytest.raises(RequestFailed):
            nvme(set_up).compare(FIRST, data)
        set_up.machine.bring_bar_back()
        with pytest.raises(RequestFailed):
            nvme(set_up).compare(FIRST, data)
        set_up.machine.fill_bar(AT, ones)
        nvme(set_up).compare(FIRST, data)


def test_c7_write_zeroes_which_has_no_data_works_while_the_bar_is_gone(tmp_path: Path) -> None:
    with scene(emulators.wanted("patched"), tmp_path, NVME) as set_up:
        set_up.machine.cut_bar()
        nvme(set_up).write_zeroes(FIRST, 8)
        set_up.contents[FIRST * BLOCK : (FIRST + 8) * BLOCK] = bytes(8 * BLOCK)


@pytest.mark.parametrize("size", [BLOCK, 64 * 1024])
def test_c7_a_write_with_protection_information_whose_data_is_gone_fails_and_changes_no_byte(
    tmp_path: Path, size: int
) -> None:
    with scene(emulators.wanted("patched"), tmp_path, PROTECTED) as set_up:
        (image,) = set_up.files
        data = bar(set_up, size)
        before = set_up.unchanged()
        set_up.machine.cut_bar()
        with pytest.raises(RequestFailed):
            nvme(set_up).transfer(False, FIRST, [data], protect=True)
        assert set_up.unchanged() == before
        set_up.machine.bring_bar_back()
        written = bytes(set_up.contents[MIB : MIB + size])
        set_up.machine.fill_bar(AT, written)
        nvme(set_up).transfer(False, FIRST, [data], protect=True)
        set_up.machine.fill_bar(AT, bytes(size))
        nvme(set_up).transfer(True, FIRST, [data], protect=True)
        assert digest(set_up.machine.bar(AT, size)) == digest(written)
        assert digest(image.read_bytes()[FIRST * BLOCK :][:size]) == digest(written)
        # Where the protection information is on the disk is the namespace's business.
        set_up.contents[:] = image.read_bytes()


@pytest.mark.parametrize(
    "ask", [Nvme.identify, Nvme.smart_log, Nvme.get_timestamp], ids=["identify", "smart-log", "get-features"]
)
def test_c7_an_answer_that_goes_into_a_bar_that_is_gone_is_dropped(
    tmp_path: Path, ask: Callable[[Nvme, Segment], None]
) -> None:
    with scene(emulators.wanted("patched"), tmp_path, NVME) as set_up:
        before = set_up.unchanged()
        set_up.machine.cut_bar()
        with suppress(RequestFailed):
            ask(nvme(set_up), bar(set_up, 512))
        assert set_up.unchanged() == before
        set_up.machine.bring_bar_back()
        nvme(set_up).identify(bar(set_up, PAGE))
        assert set_up.machine.bar(AT, PAGE)[SERIAL_NUMBER] == SERIAL
