# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs inside the outer VM: carries out the storms, each on an emulator of its own.

    inside.py WORK

Writes a Result as a line of JSON for each storm to WORK/results.jsonl, which the host follows.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from drivers.request import DeviceNeedsReset, wait_until
from machines.qtest_client import EmulatorError
from storm import scenarios
from storm.assigned import IVSHMEM, NVME, HostDevice, Kind, Machine, gpu, machine
from storm.blk_traffic import DRIVE, QUEUES, REQUESTS_PER_SECOND, BlkTraffic, ZeroesTraffic
from storm.bulk_traffic import BulkTraffic
from storm.net_traffic import NetTraffic, Network
from storm.revocations import (
    BusReset,
    Enumeration,
    FunctionLevelReset,
    MemoryEnable,
    Outside,
    PowerDown,
    Unplug,
    Way,
)
from storm.scenarios import BULK, HEADERS, NET, NEVER_REVIVING, NVGRACE, OUTSIDE, ZEROES, Result, Storm
from storm.traffic import Counts, Traffic

SLOT = 8
RAW_DISK, QCOW2_DISK = Path("/dev/vda"), Path("/dev/vdb")
ANSWER_SECONDS = 300.0
LONGEST_PAUSE = 0.002
QUIET_BATCHES = 2
# How many batches at most may miss a mapping that is to be made anew.
MISSING_BATCHES = 10
GUESTS_WAYS: dict[str, Callable[[Machine], Way]] = {
    scenarios.MEMORY_ENABLE: MemoryEnable,
    scenarios.BUS_RESET: BusReset,
    scenarios.FUNCTION_RESET: FunctionLevelReset,
    scenarios.POWER_DOWN: PowerDown,
    scenarios.ENUMERATION: Enumeration,
    scenarios.UNPLUG: Unplug,
}


def blk_options(storm: Storm) -> list[str]:
    file, format = (QCOW2_DISK, "qcow2") if storm.traffic == ZEROES else (RAW_DISK, "raw")
    drive = f"if=none,id={DRIVE},file={file},format={format},throttling.iops-total={REQUESTS_PER_SECOND},{storm.drive}"
    thread = ",iothread=thread" if storm.iothread else ""
    device = f"virtio-blk-pci,drive={DRIVE},num-queues={QUEUES},addr={SLOT:x}.0{thread}"
    return ["-object", "iothread,id=thread", "-drive", drive, "-device", device]


def options(storm: Storm, network: Network) -> list[str]:
    """The emulator's arguments for the storm's traffic."""
    if storm.traffic == BULK:
        return []
    return network.options(SLOT) if storm.traffic == NET else blk_options(storm)


def traffic_of(storm: Storm, running: Machine, network: Network) -> Traffic:
    if storm.traffic == BULK:
        return BulkTraffic(running)
    if storm.traffic == NET:
        return NetTraffic(running, SLOT, network)
    if storm.traffic == ZEROES:
        return ZeroesTraffic(running, SLOT, RAW_DISK)
    return BlkTraffic(running, SLOT, RAW_DISK, headers_in_bar=storm.traffic == HEADERS)


class Carried:
    """A storm that is carried out."""

    def __init__(self, storm: Storm, running: Machine, traffic: Traffic) -> None:
        self.revocations = 0
        self._storm = storm
        self._machine = running
        self._traffic = traffic
        self._random = random.Random(storm.sentence())

    def from_outside(self) -> None:
        with Outside(self._machine, self._storm.sentence()) as outside:
            with outside.quiet():
                self._begin(outside)
            while outside.revocations < self._storm.revocations:
                with outside.quiet():
                    self._submit()
                self._wait()
                with outside.quiet():
                    self._collect()
                self.revocations = outside.revocations

    def by_the_guest(self) -> None:
        way = GUESTS_WAYS[self._storm.way](self._machine)
        self._begin(way)
        while self.revocations < self._storm.revocations:
            self._submit()
            wait_until(self._traffic.is_taken, "the device", ANSWER_SECONDS)
            answered = False
            while not answered:
                way.revoke()
                self.revocations += 1
                time.sleep(self._random.random() * LONGEST_PAUSE)
                way.restore()
                answered = self._answered()
            self._collect()

    def _begin(self, way: Way) -> None:
        """A batch that is in flight when the BAR goes, and is answered before it is back."""
        if not self._storm.begins_in_flight:
            return
        self._traffic.hold()
        self._submit()
        wait_until(self._traffic.is_taken, "the device", ANSWER_SECONDS)
        way.revoke()
        self._traffic.let_go()
        self._wait()
        way.restore()
        self.revocations += 1
        self._collect()

    def quiet_batches(self) -> bool:
        """Whether all is well when the BAR stays.

        What goes past the emulator tells it nothing: a mapping that doesn't revive is missed by the first accesses.
        """
        if self._storm.driver in NEVER_REVIVING and self._storm.way == OUTSIDE:
            any(self._quiet_batch() for _ in range(MISSING_BATCHES))
        return all(self._quiet_batch() for _ in range(QUIET_BATCHES))

    def _quiet_batch(self) -> bool:
        before = self._traffic.counts.trouble()
        self._submit()
        self._wait()
        self._collect()
        return before == self._traffic.counts.trouble()

    def _submit(self) -> None:
        self._machine.memory.map_anew()
        self._traffic.submit()

    def _collect(self) -> None:
        self._machine.memory.map_anew()
        self._traffic.collect()

    def _wait(self) -> None:
        wait_until(self._answered, "the device", ANSWER_SECONDS)

    def _answered(self) -> bool:
        try:
            return self._traffic.is_answered()
        except DeviceNeedsReset:
            self._traffic.counts.given_up += 1
            self._traffic.start_anew()
            return True


def carry_out(storm: Storm, host: HostDevice, messages: Path) -> Result:
    """Carry the storm out, come what may."""
    begun, signal, message, works, mapped, stormy = time.monotonic(), None, "", False, 0, Counts()
    network = Network()
    arguments = options(storm, network)
    descriptors = [network.its.fileno()]
    with machine(storm.emulator, host, arguments, messages, descriptors, storm.direct) as running:
        before = running.mappings()
        traffic = traffic_of(storm, running, network)
        carried = Carried(storm, running, traffic)
        try:
            if storm.way == OUTSIDE:
                carried.from_outside()
            else:
                carried.by_the_guest()
            stormy = replace(traffic.counts)
            works = carried.quiet_batches()
            mapped = running.mappings()
        except EmulatorError as error:
            signal, message = running.emulator.ended_by_signal(), str(error)
        network.close()
        counts = traffic.counts
        return Result(
            storm, carried.revocations, stormy.ok, stormy.error, counts.given_up, stormy.lost, tuple(counts.wrong),
            signal, works, (before, mapped),
            time.monotonic() - begun, "\n".join(filter(None, [message, running.emulator.messages().strip()])),
        )  # fmt: skip


def kind_for(storm: Storm) -> Kind:
    """The device that has what the storm needs."""
    if storm.driver == NVGRACE:
        return gpu()
    return NVME if storm.way in (scenarios.FUNCTION_RESET, scenarios.POWER_DOWN) else IVSHMEM


def main() -> None:
    work = Path(sys.argv[1])
    with (work / scenarios.RESULTS_FILE).open("a", buffering=1) as results:
        for storm in scenarios.read(work):
            host = HostDevice(kind_for(storm), storm.driver)
            made = carry_out(storm, host, work / f"{storm.variant}.messages")
            results.write(json.dumps(asdict(made)) + "\n")


if __name__ == "__main__":
    main()
