# SPDX-License-Identifier: GPL-2.0-or-later
"""What a storm on virtio-net takes for wrong contents, and what for packets that were lost."""

from __future__ import annotations

import pytest

from storm.net_traffic import is_neither, made_up

PACKETS = (b"first packet", b"other packet")
BEFORE = b"as the place was"
WHOLE = b"first packet was"
ONES = b"\xff" * len(BEFORE)


@pytest.mark.parametrize("found", [BEFORE, WHOLE, b"other packet was", WHOLE[:6] + BEFORE[6:],
                                   BEFORE[:6] + WHOLE[6:]])  # fmt: skip
def test_a_packet_that_came_wholly_in_part_or_not_at_all_is_not_wrong(found: bytes) -> None:
    assert not is_neither(found, BEFORE, PACKETS)


@pytest.mark.parametrize("found", [ONES, bytes(len(BEFORE)), WHOLE[:6] + ONES[6:], WHOLE[:12] + ONES[12:],
                                   b"first packet WAS", b"firstrpacket was"])  # fmt: skip
def test_a_byte_that_is_neither_is_wrong(found: bytes) -> None:
    assert is_neither(found, BEFORE, PACKETS)


def test_a_packet_that_was_not_sent_or_was_sent_once_is_told_from_those_that_were() -> None:
    assert made_up(reversed(PACKETS), PACKETS) == made_up(PACKETS[1:], PACKETS) == []
    assert made_up([PACKETS[0], PACKETS[0]], PACKETS) == ["a packet of 12 bytes was sent for the second time"]
    (told,) = made_up([PACKETS[0][:6] + ONES[6:12]], PACKETS)
    assert told == "a packet of 12 bytes was sent that the guest did not make"
