#!/usr/bin/env -S python3 -P -S
# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks that our packages of QEMU can take the place of Debian's, and give it back: in a Debian 13, with libvirt.

    run_packages.py --packages FOLDER --work FOLDER

The folder of packages is what `make deb` leaves for this machine's architecture. It needs root, mmdebstrap, and 4 GB of
disk. WORK/debian.tar, a Debian 13 with libvirt and Debian's own QEMU, is made where it is missing; remove it to get
Debian's newest. One run at a time: domains serve at ports 5910 to 5912. Exit status: 0 if all is as it must be.
"""

from __future__ import annotations

import argparse
import json
import platform
import signal
import sys
import time
from pathlib import Path

# All that it imports is below tests/ or in scripts/.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from debian_packages import ARCHITECTURES
from machines.error import MachineError, NotAvailable
from packages import chroot, gpu_memory, guests, results
from packages.results import Result

REPOSITORY = Path(__file__).resolve().parents[2]
QEMU = ("qemu-system-arm", "qemu-system-x86", "qemu-utils", "qemu-block-extra", "qemu-system-gui", "qemu-guest-agent",
        "qemu-system-modules-spice", "qemu-system-modules-opengl")  # fmt: skip
LIBVIRT = ("libvirt-daemon", "libvirt-daemon-driver-qemu", "libvirt-clients", "swtpm", "swtpm-tools")
FOR_THE_CHECKS = ("python3", "procps", "openssl", "ca-certificates", "e2fsprogs")
NOT_RUN = {
    "AppArmor's profile of each domain": "a folder has no kernel of its own, and this machine's need not have AppArmor",
    "KVM": "/dev/kvm isn't in the folder: domains are emulated, so that every machine finds the same",
    "systemd's units of libvirt": "no systemd runs in the folder: libvirtd is started by hand, as the system's daemon",
    "vfio-pci with a device": "no device is passed through; tests/vfio and tests/arm64_host do that, without packages",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, required=True, help="what `make deb` has made")
    parser.add_argument("--work", type=Path, required=True, help="folder for the Debian, the guests and the log")
    chosen = parser.parse_args()
    architecture = ARCHITECTURES.get(platform.machine(), platform.machine())
    if not [*chosen.packages.glob(f"*_{architecture}.deb")] or not (chosen.packages / "Packages").is_file():
        parser.error(f"{chosen.packages} is no repository of packages for {architecture}: run make deb")
    begun = time.monotonic()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))  # ends what runs in the folder, and removes it

    def say(text: str) -> None:
        print(f"[{time.monotonic() - begun:6.1f} s] {text}", flush=True)

    try:
        found, status = checked(chosen.packages.resolve(), chosen.work.resolve(), say)
    except NotAvailable as reason:
        parser.exit(1, f"the packages can't be checked here: {reason}\n")
    except MachineError as error:
        parser.exit(1, f"{error}\n")
    wrong = [result for result in found if result.is_wrong]
    print(f"\n{results.tables(found)}\n\nNot run:\n")
    print("\n".join(f"* {what}: {why}" for what, why in NOT_RUN.items()))
    print(f"\n{len(found)} results, {len(wrong)} wrong, {time.monotonic() - begun:.0f} s")
    return 1 if wrong or status or not found else 0


def checked(packages: Path, work: Path, say: results.Say) -> tuple[list[Result], int]:
    """All results, and the exit status of what has found them."""
    chroot.require_means()
    archive, guest_files = work / "debian.tar", work / "guests"
    guests.make(guest_files)
    try:
        gpu_memory.make(guest_files / gpu_memory.NAME)
    except NotAvailable as reason:
        say(f"no guest with GPU memory: {reason}")
    if not archive.exists():
        say("making a Debian with libvirt and Debian's QEMU")
        chroot.make_archive(archive, (*QEMU, *LIBVIRT, *FOR_THE_CHECKS))
    shared = {REPOSITORY: "/repository", packages: "/packages", guest_files: "/guests"}
    found: list[Result] = []

    def take(line: str) -> None:
        told = json.loads(line)
        if "progress" in told:
            say(told["progress"])
            return
        result = Result(**told["result"])
        found.append(result)
        if result.is_wrong:
            say(f"{result.table}: {result.what}, {result.who}: {result.said}")

    command = ["env", "PYTHONPATH=/repository/tests:/repository/scripts", "python3", "-B", "-P", "-S",
               "/repository/tests/packages/inside.py", "/packages", "/guests"]  # fmt: skip
    with chroot.unpacked(archive, work / "debian", shared) as debian, (work / "log").open("w") as log:
        status = debian.run(command, log, take)
    return found, status


if __name__ == "__main__":
    sys.exit(main())
