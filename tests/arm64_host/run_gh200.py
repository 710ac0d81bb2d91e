#!/usr/bin/env -S python3 -P -S
# SPDX-License-Identifier: GPL-2.0-or-later
"""The reported scenario, on an arm64 host with NVIDIA's driver: a guest uses the GPU's memory as system RAM.

    run_gh200.py --patched EMULATOR --arm64 EMULATOR --work FOLDER [--host NAME ...]

The guest boots here, and is continued on each host by two emulators for arm64 hosts: ours and Debian's. It hot-adds
BAR 4 of nvgrace-gpu, and lets many processes read and write its disk. With ours it must come through, with Debian's it
must not.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from arm64_host.places import HOSTS, LINUX_6_12, LINUX_7, Host
from arm64_host.run_arm64_host import emptied
from guest.machine import DONE
from guest.scenario import Assigned, Nested, Outcome, run_in
from machines import arm64_host, nvgrace
from machines.error import MachineError, NotAvailable

OURS, STOCK = "ours", "Debian's"
Say = Callable[[str], None]


def outcome(host: Host, who: str, emulator: Path, saved_by: Path, work: Path, say: Say) -> Outcome:
    """What becomes of the guest with that emulator; each has a host of its own, whose memory nobody has used yet."""
    vm = host.outer_vm(emptied(work))
    given = Assigned(nvgrace.ADDRESS, work / nvgrace.MEMORY_FILE, driver=nvgrace.DRIVER)
    nested = Nested(who, emulator, "writeback", "threads", traced=who == OURS)
    return run_in(vm, work, saved_by, [nested], [given], say)[who]


def problems(who: str, seen: Outcome) -> list[str]:
    """What isn't as it must be."""
    if who == STOCK:
        return [f"{STOCK} came through, which it must not"] if seen.run.ending == DONE else []
    found = [*seen.run.compared("different"), *seen.differences]
    if seen.run.ending != DONE:
        found.append(f"the guest didn't come through: {seen.run.ending}; {seen.run.messages[-3:]}")
    elif len(seen.run.compared("same")) != seen.size.comparisons:
        found.append(f"{len(seen.run.compared('same'))} comparisons of {seen.size.comparisons}")
    elif seen.blocks_in_bar < seen.size.blocks // 2:
        found.append(f"only {seen.blocks_in_bar} pages of the GPU's memory hold blocks of the disk")
    return found


def ending(who: str, seen: Outcome) -> str:
    """One line."""
    run = seen.run
    told = "; ".join(dict.fromkeys(run.messages[-2:]))
    how = f" by {signal.Signals(-run.status).name}" if run.status and run.status < 0 else ""
    text = f"{who}: {run.ending}{how}, {len(run.compared('same'))} of {seen.size.comparisons} comparisons right"
    if run.ending == DONE:
        text += f", {run.work_seconds:.0f} s, {seen.blocks_in_bar} pages of the GPU's memory hold blocks of the disk"
    return text + (f"; it said: {told}" if told else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patched", type=Path, required=True, help="qemu-system-aarch64 with the series")
    parser.add_argument("--arm64", type=Path, required=True, help="the same, for arm64 hosts")
    parser.add_argument("--work", type=Path, required=True, help="folder for the memory, the disks and the logs")
    names = [host.name for host in HOSTS]
    parser.add_argument("--host", action="append", choices=names, help="only this one (can be given again)")
    chosen = parser.parse_args()
    if missing := [str(path) for path in (chosen.patched, chosen.arm64) if not os.access(path, os.X_OK)]:
        parser.error(f"{' and '.join(missing)}: no program")
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - begun:6.1f} s] {text}", flush=True)

    emulators = {OURS: chosen.arm64.resolve(), STOCK: Path(arm64_host.DEBIANS_EMULATOR)}
    summary: list[str] = []
    wrong: list[str] = []
    for host in HOSTS:
        if host.name not in (chosen.host or (LINUX_7.name, LINUX_6_12.name)):
            continue
        for who, emulator in emulators.items():
            say(f"{host.name}, {who}")
            try:
                seen = outcome(host, who, emulator, chosen.patched.resolve(), chosen.work.resolve(), say)
            except NotAvailable as reason:
                parser.exit(1, f"{host.name} isn't to be had: {reason}\n")
            except MachineError as error:
                parser.exit(1, f"{error}\n")
            summary.append(f"{host.name}, {ending(who, seen)}")
            wrong += [f"{host.name}, {who}: {problem}" for problem in problems(who, seen)]
    print("\n".join(["", *summary, *wrong]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
