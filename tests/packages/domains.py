# SPDX-License-Identifier: GPL-2.0-or-later
"""Domains as people have them, in libvirt's XML, but for a kernel that is booted directly, and no KVM."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from packages.guests import Guest

IMAGES = Path("/var/lib/libvirt/images")
CELL_MIB = 128
ENGINES = ("native", "io_uring", "threads")
QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"
OF_ARCHITECTURE = {
    "x86_64": ("q35", "<acpi/>", "<cpu mode='custom' match='exact' check='none'><model>qemu64</model>{numa}</cpu>"),
    "aarch64": ("virt", "<gic version='3'/>", "<cpu mode='custom' match='exact'><model>cortex-a57</model>{numa}</cpu>"),
}
# As where a GPU's memory is a node, the second one has no CPU. Besides, with two CPUs Debian's kernel for x86 was seen
# to stall under TCG on busy hosts.
NUMA = f"<cell id='0' cpus='0' memory='{CELL_MIB}' unit='MiB'/><cell id='1' memory='{CELL_MIB}' unit='MiB'/>"
NUMATUNE = """
<numatune>
  <memory mode='strict' nodeset='0'/>
  <memnode cellid='0' mode='strict' nodeset='0'/>
  <memnode cellid='1' mode='strict' nodeset='0'/>
</numatune>"""
VNC_PASSWORD, SPICE_PASSWORD = "nebulous", "spicy"
VNC = f"""
<graphics type='vnc' port='5910' autoport='no' passwd='{VNC_PASSWORD}'>
  <listen type='address' address='127.0.0.1'/>
</graphics>
<video><model type='virtio'/></video>"""
SPICE = f"""
<graphics type='spice' port='5911' autoport='no' passwd='{SPICE_PASSWORD}'>
  <listen type='address' address='127.0.0.1'/>
</graphics>
<video><model type='qxl'/></video>
<channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>
<sound model='ich9'/>
<redirdev bus='usb' type='spicevmc'/>"""
USB_REDIRECTION_PORT = 5912
USB_REDIRECTION = f"""
<controller type='usb' model='qemu-xhci'/>
<redirdev bus='usb' type='tcp'>
  <source mode='bind' host='127.0.0.1' service='{USB_REDIRECTION_PORT}'/><protocol type='raw'/>
</redirdev>"""
TPM = "<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>"
NETWORK = "<interface type='user'><model type='virtio'/></interface>"
RANDOM = "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"
# The test device is nothing that libvirt knows; it gets an address that libvirt leaves free.
TEST_DEVICE = """
<qemu:commandline>
  <qemu:arg value='-device'/>
  <qemu:arg value='ram-device-testdev,id=test-device,bus=pcie.0,addr=0x1e'/>
</qemu:commandline>"""
# A passed-through GPU, whose BARs others shall have pointers into. No such device is here.
GPU = """
<hostdev mode='subsystem' type='pci' managed='no'>
  <source><address domain='0x0009' bus='0x01' slot='0x00' function='0x0'/></source>
  <alias name='ua-gpu'/>
</hostdev>"""
GPU_OVERRIDE = """
<qemu:override>
  <qemu:device alias='ua-gpu'>
    <qemu:frontend><qemu:property name='x-ram-device-direct' type='bool' value='true'/></qemu:frontend>
  </qemu:device>
</qemu:override>"""


@dataclass(frozen=True)
class Wanted:
    """A domain. `devices` and `qemu` are further XML, the latter at the end."""

    name: str
    guest: Guest
    engines: tuple[str, ...] = ("threads",)
    is_numa: bool = False
    devices: str = ""
    qemu: str = ""
    machine: str = ""

    @property
    def disks(self) -> list[Path]:
        """One for each engine; the first is disk 0."""
        return [IMAGES / f"{self.name}-{number}.img" for number in range(len(self.engines))]

    @property
    def console(self) -> Path:
        """What the guest says."""
        return IMAGES / f"{self.name}.console"

    @property
    def xml(self) -> str:
        """All of it."""
        machine, features, cpu = OF_ARCHITECTURE[self.guest.architecture]
        numa = f"<numa>{NUMA}</numa>" if self.is_numa else ""
        disks = "".join(
            f"<disk type='file' device='disk'><driver name='qemu' type='raw' cache='none' io='{engine}'/>"
            f"<source file='{disk}'/><target dev='vd{'abcdef'[number]}' bus='virtio'/></disk>\n"
            for number, (engine, disk) in enumerate(zip(self.engines, self.disks, strict=True))
        )
        return f"""
<domain type='qemu' xmlns:qemu='{QEMU}'>
  <name>{self.name}</name>
  <memory unit='MiB'>{2 * CELL_MIB}</memory>
  <vcpu>1</vcpu>{NUMATUNE if self.is_numa else ""}
  <os>
    <type arch='{self.guest.architecture}' machine='{self.machine or machine}'>hvm</type>
    <kernel>{self.guest.kernel}</kernel>
    <initrd>{self.guest.initramfs}</initrd>
    <cmdline>{self.guest.command_line}</cmdline>
  </os>
  <features>{features}</features>
  {cpu.format(numa=numa)}
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-{self.guest.architecture}</emulator>
    {disks}
    <serial type='file'><source path='{self.console}' append='on'/></serial>
    {self.devices}
  </devices>{self.qemu}
</domain>
"""
