# SPDX-License-Identifier: GPL-2.0-or-later
"""C7 where requests in flight at once share a page of the BAR: one writes its answer there, the next takes its data."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from drivers.request import ANSWER_SECONDS, Segment, wait_until
from drivers.virtio import DeepQueue, VirtioPci
from drivers.virtio_blk import HEADER_SIZE, NO_STATUS_YET, REQUEST_IN, REQUEST_OUT
from machines import emulators
from machines.bar_of_file import FIRST_FREE_SLOT
from revoked import graphs
from revoked.graphs import Graph
from revoked.models import VIRTIO_BLK
from revoked.scene import AT, BLOCK, PAGE, scene

ROUNDS = 20
OK, IO_ERROR = 0, 1
PAIRS = DeepQueue.BATCH // 2
STATUS_AT, DATA_AT = 16, BLOCK
EVERY_GRAPH = pytest.mark.parametrize(
    "graph", [graphs.RAW, *graphs.O_DIRECT, graphs.QCOW2], ids=lambda graph: graph.name
)


@EVERY_GRAPH
def test_c7_a_write_fails_though_the_answer_to_a_read_goes_to_the_same_page(tmp_path: Path, graph: Graph) -> None:
    graphs.want(graph, tmp_path)
    with scene(emulators.wanted("patched"), tmp_path, VIRTIO_BLK, graph) as set_up:
        running = set_up.machine
        qtest = running.emulator.qtest
        transport = VirtioPci(running.function(FIRST_FREE_SLOT), running.window)
        queue = DeepQueue(transport.set_up(0, 1, running.pages)[0])
        headers, statuses, read = running.pages.take(), running.pages.take(), running.pages.take(PAIRS * BLOCK)
        chains = []
        for pair in range(PAIRS):
            page = running.address + AT + PAGE * pair
            for number, kind in enumerate((REQUEST_IN, REQUEST_OUT)):
                header = headers + 2 * HEADER_SIZE * pair + HEADER_SIZE * number
                qtest.write(header, struct.pack("<IIQ", kind, 0, 2 * pair + number))
                head = Segment(header, HEADER_SIZE)
                if kind == REQUEST_IN:
                    chains.append(([head], [Segment(read + BLOCK * pair, BLOCK), Segment(page + STATUS_AT, 1)]))
                else:
                    chains.append(([head, Segment(page + DATA_AT, BLOCK)], [Segment(statuses + pair, 1)]))
        table = DeepQueue.table(chains)
        before = set_up.unchanged()
        for _ in range(ROUNDS):
            qtest.write(statuses, bytes([NO_STATUS_YET]) * PAIRS)
            running.cut_bar()
            queue.submit(table)
            wait_until(queue.is_answered, "the batch", ANSWER_SECONDS)
            assert qtest.read(statuses, PAIRS) == bytes([IO_ERROR]) * PAIRS
            assert set_up.unchanged() == before
            running.bring_bar_back()
        for pair in range(PAIRS):
            first = 2 * pair * BLOCK
            assert qtest.read(read + BLOCK * pair, BLOCK) == bytes(set_up.contents[first : first + BLOCK])
            block = bytes([pair]) * BLOCK
            running.fill_bar(AT + PAGE * pair + DATA_AT, block)
            set_up.contents[first + BLOCK : first + 2 * BLOCK] = block
        queue.submit(table)
        wait_until(queue.is_answered, "the batch", ANSWER_SECONDS)
        assert qtest.read(statuses, PAIRS) == bytes([OK]) * PAIRS
