# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a guest is waited for: as long as it gets on, however slow the machine is."""

from __future__ import annotations

import io
import time

import pytest

from guest.machine import Guest, Run, Watch

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("lines", "got_on"),
    [
        (["guest: begin 50 8 0"], 1),
        (["guest: beat 50 8 0", "guest: beat 66 120 5"], 2),
        (["guest: beat 66 120 5", "guest: beat 66 120 5", "guest: beat 66 120 4"], 1),
        (["guest: beat 66 120 5", "guest: beat 66 120 5", "guest: same process 0 round 0 raw piece 1"], 3),
        (["guest: beat 66 120 5", "[   12.3] a line of the kernel"], 1),
    ],
)
def test_a_beat_counts_only_if_the_disk_has_completed_requests(
    lines: list[str], got_on: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    minutes = [0]
    monkeypatch.setattr(time, "monotonic", lambda: minutes[-1])
    watch = Watch(Guest("", "", "", "", 0, {}), io.StringIO(), Run(), lambda _: None)
    for line in lines:
        minutes.append(len(minutes))
        watch.console(line)
    assert watch.got_on == got_on
