# SPDX-License-Identifier: GPL-2.0-or-later
"""The reported scenario, in a domain: an arm64 guest uses a BAR as system RAM, and works on a disk with cache=none.

The guest is that of tests/guest, and the BAR its test device's.
"""

from __future__ import annotations

import shutil
import socket
from dataclasses import replace
from pathlib import Path

from guest.contents import Contents, missing_programs
from guest.machine import KNOWN_MESSAGE, READY
from guest.scenario import BAR_MIB, DIRECT, DIRECT_MEMORY_MIB, Scenario
from machines import debian_arm64
from machines.error import NotAvailable
from packages import domains, libvirt
from packages.results import require

KERNEL, INITRAMFS, DISK, INSTRUCTIONS = "kernel", "initramfs", "disk", "instructions"
CPUS, TIMEOUT = 4, 900.0
NAME = "gpu-memory"
BAR, OWN_DISK, CONSOLE = (domains.IMAGES / f"{NAME}.{what}" for what in ("bar", "disk", "console"))


def make(folder: Path) -> None:
    """Write what the guest is booted with; this needs a compiler for arm64."""
    missing = [*missing_programs(), *debian_arm64.debian_arm64().module_builder.missing_programs()]
    if missing:
        raise NotAvailable(f"the guest is made with {' and '.join(missing)}: run scripts/needs")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "made").mkdir(parents=True)
    made = Scenario(folder / "made", DIRECT, DIRECT_MEMORY_MIB)
    made.contents.write_disk(folder / DISK)
    guest = replace(made.guest(Path(), folder / DISK), bar_device=NAME)
    shutil.copy(guest.kernel, folder / KERNEL)
    shutil.copy(guest.initramfs, folder / INITRAMFS)
    (folder / INSTRUCTIONS).write_text(guest.instructions())


def xml(folder: Path) -> str:
    """The domain."""
    return f"""
<domain type='qemu' xmlns:qemu='{domains.QEMU}'>
  <name>{NAME}</name>
  <memory unit='MiB'>{DIRECT_MEMORY_MIB}</memory>
  <vcpu>{CPUS}</vcpu>
  <os>
    <type arch='aarch64' machine='virt'>hvm</type>
    <kernel>{folder / KERNEL}</kernel>
    <initrd>{folder / INITRAMFS}</initrd>
    <cmdline>console=ttyAMA0 quiet panic=-1</cmdline>
  </os>
  <features><gic version='3'/></features>
  <cpu mode='custom' match='exact'><model>cortex-a57</model></cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-aarch64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='none' io='io_uring' queues='4'/>
      <source file='{OWN_DISK}'/><target dev='vda' bus='virtio'/>
    </disk>
    <serial type='unix'><source mode='bind' path='{CONSOLE}'/></serial>
  </devices>
  <qemu:commandline>
    <qemu:arg value='-device'/>
    <qemu:arg value='ram-device-testdev,bus=pcie.0,addr=0x1e,mem-size={BAR_MIB}M,mem-path={BAR}'/>
  </qemu:commandline>
</domain>
"""


def check(folder: Path, scratch: Path) -> str:
    """Let the guest do its work, and compare its disk."""
    if not (folder / INSTRUCTIONS).exists():
        raise NotAvailable("the guest couldn't be made on this machine")
    shutil.copy(folder / DISK, OWN_DISK)
    with BAR.open("wb") as bar:
        bar.truncate(BAR_MIB << 20)
    BAR.chmod(0o666)
    with libvirt.defined(xml(folder), scratch) as domain:
        libvirt.virsh("start", domain.name)
        said = _told(CONSOLE, (folder / INSTRUCTIONS).read_text())
        libvirt.wait("end of the guest", lambda: domain.state == "shut off")
        require(KNOWN_MESSAGE not in domain.messages, domain.messages[-300:])
    contents = Contents(DIRECT)
    different = [line for line in said if line.startswith("different")]
    require(not different, "; ".join(different[:3]))
    same = sum(line.startswith("same") for line in said)
    require(same == DIRECT.comparisons, f"{same} of {DIRECT.comparisons} comparisons: {said[-3:]}")
    require(any(line.endswith(f" and {BAR_MIB} MiB in the BAR") for line in said), f"the BAR isn't in use: {said[:5]}")
    differences = contents.differences(OWN_DISK, scratch)
    require(not differences, "; ".join(differences[:3]))
    blocks = contents.blocks_in(BAR)
    require(blocks >= DIRECT.blocks // 2, f"only {blocks} pages of the BAR hold blocks of the disk")
    return f"{same} comparisons in the guest, the host finds the disk right; {blocks} pages of the BAR hold its blocks"


def _told(console: Path, instructions: str) -> list[str]:
    """What the guest says from its being ready to its end."""
    said: list[str] = []
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT)
        connection.connect(str(console))
        with connection.makefile("rw", errors="replace") as lines:
            for line in lines:
                _, ours, text = line.rstrip().partition("guest: ")
                if ours and text == READY and READY not in said:
                    lines.write(f"{instructions}\n")
                    lines.flush()
                if ours:
                    said.append(text)
    return said
