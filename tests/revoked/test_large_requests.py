# SPDX-License-Identifier: GPL-2.0-or-later
"""C7 for requests larger than what is mapped at once: the disk may have got their beginning, and nothing else."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from drivers.request import RequestFailed
from machines import emulators
from revoked import models
from revoked.models import Model
from revoked.scene import AT, BLOCK, FIRST, KIB, MIB, Cut, digest, scene

# A mapping is of 2 MiB at most.
CUT = Cut(3 * MIB, 2 * MIB + 512 * KIB)
# A virtqueue's elements are mapped as a whole before anything is done with them.
WHOLE = (models.VIRTIO_BLK, models.VIRTIO_BLK_IOTHREAD, models.VIRTIO_SCSI)
# A command of this NVMe controller moves 512 KiB at most.
LARGE = [model for model in models.ALL if model is not models.NVME]


def common_beginning(one: bytes, other: bytes) -> int:
    """How many blocks at the beginning are the same."""
    pairs = (one[at : at + BLOCK] == other[at : at + BLOCK] for at in range(0, len(one), BLOCK))
    return next((count for count, same in enumerate(pairs) if not same), len(one) // BLOCK)


@pytest.mark.parametrize("model", LARGE, ids=lambda model: model.name)
def test_c7_a_large_write_whose_end_is_gone_fails_and_makes_nothing_up(tmp_path: Path, model: Model) -> None:
    with scene(emulators.wanted("patched"), tmp_path, model) as set_up:
        (image,) = set_up.files
        data = random.Random(CUT.size).randbytes(CUT.size)
        set_up.machine.fill_bar(AT, data)
        set_up.cut(CUT)
        with pytest.raises(RequestFailed):
            set_up.write(CUT.size)
        begin = FIRST * BLOCK
        written = BLOCK * common_beginning(image.read_bytes()[begin : begin + CUT.size], data)
        assert written <= (0 if model in WHOLE else CUT.left)
        set_up.contents[begin : begin + written] = data[:written]
        assert digest(image.read_bytes()) == digest(bytes(set_up.contents))
        set_up.works(CUT.size)
