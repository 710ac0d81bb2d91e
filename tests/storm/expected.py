# SPDX-License-Identifier: GPL-2.0-or-later
"""What every storm must end with that the emulator is to survive."""

from __future__ import annotations

from storm.blk_traffic import SLOTS
from storm.scenarios import Result


def lives_and_works(made: Result) -> None:
    """The emulator has survived all of it, nothing was wrong, and requests are made again."""
    assert made.signal is None, made.message
    assert made.wrong == ()
    assert made.revocations >= made.storm.revocations
    assert made.works, made.message


def every_request_was_answered(made: Result) -> None:
    """No batch of virtio-blk's requests was given up, and each was counted."""
    assert made.given_up == 0
    assert made.ok + made.error > 0
    assert (made.ok + made.error) % SLOTS == 0


def as_many_mappings_as_before(made: Result) -> None:
    """Mapping a BAR anew leaves nothing behind."""
    before, after = made.mappings
    assert after == before > 0
