# SPDX-License-Identifier: GPL-2.0-or-later
"""What domains must do, whoever has built the emulator. All of it runs in the chroot."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from machines.error import MachineError, NotAvailable
from packages import clients, domains, guests, libvirt, moves
from packages.domains import Wanted
from packages.guests import Guest
from packages.libvirt import Domain
from packages.results import require

SCRATCH = Path("/var/tmp")
REGION = re.compile(r" (ramd(?:, direct)?)\): (ram-device-testdev\.\w+)")
TPM_SAYS = re.compile(r"guest: tpm 2 [0-9A-F]{64}\s")
SPICE_AND_VNC = {"SPICE": (clients.lets_in_by_spice, 5911, domains.SPICE_PASSWORD),
                 "VNC": (clients.lets_in_by_vnc, 5910, domains.VNC_PASSWORD)}  # fmt: skip


def prepare(wanted: Wanted) -> None:
    """New disks, and an empty console."""
    for number, disk in enumerate(wanted.disks):
        guests.write_disk(disk, number)
    wanted.console.write_text("")
    wanted.console.chmod(0o666)


@contextmanager
def defined(wanted: Wanted) -> Iterator[Domain]:
    """The domain with new disks, not yet started."""
    prepare(wanted)
    with libvirt.defined(wanted.xml, SCRATCH) as domain:
        yield domain


def start(domain: Domain) -> None:
    """Start it."""
    libvirt.virsh("start", domain.name)


def wait_for_beats(domain: Domain, wanted: Wanted, count: int) -> None:
    """Wait until the guest has said so many, that is, until it has done all before them."""
    libvirt.wait(f"beat {count} of {wanted.name}", lambda: len(moves.beats(wanted.console)) >= count,
                 lambda: domain.state == "running")  # fmt: skip


def requires_right_guest(wanted: Wanted) -> str:
    """What the guest has said and left on its disks is right; it doesn't run."""
    said = wanted.console.read_text(errors="replace")
    for number in range(len(wanted.engines)):
        line = f"guest: copied /dev/vd{'abcdef'[number]} {guests.checksum(number)}"
        require(line in said, f"no {line!r}: {said[-300:]}")
    require("guest: failed" not in said, said[-300:])
    count = len(moves.beats(wanted.console))
    wrong = moves.wrong_beats(wanted.console)
    for number, disk in enumerate(wanted.disks):
        wrong += guests.wrong_on_disk(disk, number, count if number == 0 else 0)
    require(not wrong, "; ".join(wrong[:3]))
    return f"{len(wanted.engines)} x {guests.HALF_MIB} MiB copied, {count} beats"


def disks_and_memory(guest: Guest) -> str:
    """cache=none with each engine; memory bound to a node; the sandbox; the network; contents compared."""
    wanted = Wanted(f"disks-{guest.architecture}", guest, domains.ENGINES, is_numa=True,
                    devices=domains.NETWORK + domains.RANDOM)  # fmt: skip
    with defined(wanted) as domain:
        start(domain)
        wait_for_beats(domain, wanted, 2)
        line = " ".join(domain.arguments)
        for engine in domains.ENGINES:
            require(f'"aio":"{engine}"' in line, f"no aio={engine}: {line}")
        require('"cache":{"direct":true' in line, f"no cache=none: {line}")
        require("-sandbox on" in line and domain.is_confined, "no sandbox")
        bound = [backend["policy"] for backend in domain.ask("query-memdev")]
        require(bound == ["bind", "bind"], f"memory's policies are {bound}")
        maps = Path(f"/proc/{domain.pid}/numa_maps").read_text()
        require(maps.count("bind:0") >= 2, "the kernel knows of no binding")
        said = wanted.console.read_text(errors="replace")
        require("guest: nodes 0-1" in said, "the guest doesn't see two nodes")
        require("guest: network answers" in said, "the guest's network doesn't answer")
        libvirt.virsh("destroy", domain.name)
        return f"{requires_right_guest(wanted)}; bound to node 0; all threads have a seccomp filter; network"


def displays(guest: Guest) -> str:
    """VNC and SPICE, each with the right password and a wrong one; USB redirection; a TPM."""
    is_pc = guest.architecture == "x86_64"
    kinds = ("SPICE", "VNC") if is_pc else ("VNC",)
    graphics = domains.VNC + (domains.SPICE if is_pc else "")
    wanted = Wanted(f"displays-{guest.architecture}", guest,
                    devices=graphics + domains.USB_REDIRECTION + domains.TPM)  # fmt: skip
    with defined(wanted) as domain:
        start(domain)
        for kind in kinds:
            lets_in, port, password = SPICE_AND_VNC[kind]
            require(lets_in(port, password), f"{kind} refuses the right password")
            require(not lets_in(port, password[::-1]), f"{kind} takes a wrong password")
        hello = clients.usb_redirection_hello(domains.USB_REDIRECTION_PORT)
        require(hello.startswith("qemu usb-redir guest"), f"USB redirection says {hello!r}")
        (tpm,) = domain.ask("query-tpm")
        require(tpm["options"]["type"] == "emulator", f"the TPM is {tpm}")
        wait_for_beats(domain, wanted, 1)
        if is_pc:  # Debian's kernel for arm64 has no driver for it
            require(TPM_SAYS.search(wanted.console.read_text(errors="replace")), "the guest can't read its TPM")
        libvirt.virsh("destroy", domain.name)
        requires_right_guest(wanted)
        return f"{' and '.join(kinds)} with the right password only; USB redirection; TPM" + (
            ", read by the guest" if is_pc else ""
        )


def override(guest: Guest, *, must_know: bool) -> str:
    """A property of vfio-pci by <qemu:override>: libvirt hands it on, and the emulator knows it, or doesn't.

    There is no device to pass through, so libvirt only says what it would start.
    """
    if not Path("/dev/vfio/vfio").exists():
        raise NotAvailable("libvirt writes no such command line where the kernel knows of no IOMMU")
    wanted = Wanted("override", guest, devices=domains.GPU, qemu=domains.GPU_OVERRIDE)
    file = SCRATCH / "override.xml"
    file.write_text(wanted.xml)
    words = shlex.split(libvirt.virsh("domxml-to-native", "--format", "qemu-argv", "--xml", str(file)))
    (device,) = (word for word in words if '"driver":"vfio-pci"' in word)
    require(json.loads(device)["x-ram-device-direct"] is True, f"libvirt's override isn't in {device}")
    given = {**json.loads(device), "bus": "pcie.0", "addr": "0x1e"}
    machine = domains.OF_ARCHITECTURE[guest.architecture][0]
    command = [f"/usr/bin/qemu-system-{guest.architecture}", "-M", machine, "-display", "none", "-nodefaults",
               "-device", json.dumps(given)]  # fmt: skip
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
    knows = "x-ram-device-direct' not found" not in done.stderr
    require(done.returncode and (not knows or "0009:01:00.0" in done.stderr), f"it says: {done.stderr}")
    require(knows == must_know, f"it says: {done.stderr}")
    return "the property is known" if knows else "the property isn't known"


def test_device(guest: Guest, *, must_have: bool) -> str:
    """The series' test device by <qemu:commandline>: its BARs are RAM devices."""
    wanted = Wanted(f"test-device-{guest.architecture}", guest, qemu=domains.TEST_DEVICE)
    with defined(wanted) as domain:
        if not must_have:
            try:
                start(domain)
            except MachineError as refusal:
                require("'ram-device-testdev' is not a valid device model name" in str(refusal), str(refusal))
                return "no such device"
            require(False, "it has the test device")
        start(domain)
        wait_for_beats(domain, wanted, 1)
        regions = domain.monitor("info mtree")
        found = {name: kind for kind, name in REGION.findall(regions)}
        require({"ram-device-testdev.mem", "ram-device-testdev.reg"} <= {*found}, f"info mtree has {found}")
        libvirt.virsh("destroy", domain.name)
        requires_right_guest(wanted)
        return "info mtree: " + ", ".join(f"{name} is {kind}" for name, kind in sorted(found.items()))


def capabilities(architecture: str) -> set[str]:
    """What libvirt makes of the emulator."""
    machine = domains.OF_ARCHITECTURE[architecture][0]
    printed = libvirt.virsh("domcapabilities", "--virttype", "qemu", "--arch", architecture, "--machine", machine)
    return set(printed.splitlines())
