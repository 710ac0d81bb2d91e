# SPDX-License-Identifier: GPL-2.0-or-later
"""C7 while a block job mirrors the disk: what fails is in neither file, and what succeeds is in both."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.request import ANSWER_SECONDS, RequestFailed, wait_until
from machines import emulators
from machines.qtest_client import Emulator
from revoked.models import NODE, VIRTIO_BLK
from revoked.scene import CUTS, DISK_SIZE, Cut, digest, scene

JOB = "mirroring"
READY, CONCLUDED = "ready", "concluded"


def status(emulator: Emulator) -> str:
    """The job's state."""
    jobs = emulator.execute("query-jobs", {})
    assert isinstance(jobs, list) and len(jobs) == 1
    return str(jobs[0]["status"])


@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize("mode", ["background", "write-blocking"])
def test_c7_a_write_whose_data_is_gone_is_in_neither_the_disk_nor_its_mirror(
    tmp_path: Path, mode: str, cut: Cut
) -> None:
    target = tmp_path / "target"
    target.write_bytes(bytes(DISK_SIZE))
    to_node = ["-blockdev", f"driver=file,node-name=target,filename={target}"]
    with scene(emulators.wanted("patched"), tmp_path, VIRTIO_BLK, more=to_node, files=[target]) as set_up:
        emulator = set_up.machine.emulator
        emulator.execute(
            "blockdev-mirror",
            {"job-id": JOB, "device": NODE, "target": "target", "sync": "full", "copy-mode": mode,
             "auto-dismiss": False},
        )  # fmt: skip
        wait_until(lambda: status(emulator) == READY, "the mirror", ANSWER_SECONDS)
        before = set_up.unchanged()
        set_up.cut(cut)
        with pytest.raises(RequestFailed):
            set_up.write(cut.size)
        assert status(emulator) == READY
        assert set_up.unchanged() == before
        set_up.works(cut.size)
        emulator.execute("job-complete", {"id": JOB})
        wait_until(lambda: status(emulator) == CONCLUDED, "the mirror's end", ANSWER_SECONDS)
    assert digest(target.read_bytes()) == digest(bytes(set_up.contents))
