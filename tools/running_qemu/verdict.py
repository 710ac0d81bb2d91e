# SPDX-License-Identifier: GPL-2.0-or-later
"""What that means for the VM: a sentence and a remedy for each thing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from running_qemu.machine import BOUNCE_BUFFER, BUFFERS, PLATFORM_IOMMU, SERIES, Bar, Emulated, Found, PassedThrough

KIB = 1024
STOCK_BOUNCE_BUFFER = 4 * KIB
# The first version that has upstream's fix; what leads to it is counted from 50 on.
FIXED_FROM = (11, 1, 50)
# What the checker can test.
CHECKED_FROM = (10, 1)
# The least that Linux takes as memory; smaller BARs have registers, and are often not mapped.
MEMORY_BAR = 2 * KIB * KIB
USE_SERIES = "Start the VM with a QEMU that has this repository's series"
SCSI = "virtio-scsi"
# Guests' drivers give them a few bytes at a time, which fit into any bounce buffer.
SMALL = ("virtio-rng", "virtio-balloon", "virtio-iommu", "virtio-mem", "virtio-pmem", "virtio-keyboard", "virtio-mouse",
         "virtio-tablet", "virtio-multitouch", "virtio-input-host")  # fmt: skip
# How reasons begin, and what helps.
NOT_MAPPED = {
    "x-no-mmap=on": "Start the VM without x-no-mmap=on on that device.",
    "it could not be mapped": "Free memory, or raise vm.max_map_count, then unplug the device and plug it again; QEMU's"
                              " log has the reason from when it was added.",
    "it isn't mapped after an INTx": "Have the guest's driver use MSI or MSI-X instead of INTx.",
    "the host's driver": "None here: the host's driver, or the vfio-user server, would have to let it be mapped.",
}  # fmt: skip
# Of each counter: whether something is wrong, what has happened, and what helps.
MEANINGS = (
    ("refusals", True, (
        "DMA into {place} was refused {times}, as it could never fit into the buffers of the device that does it; each"
        " time a request failed."
    ), "To have room for it, {larger}."),
    ("faults", True, (
        "Accesses to {place} failed {times}, as it was revoked (disabled, reset or powered down): a request that writes"
        " its data to a disk failed, alone, and data that was read from a disk into it was lost."
    ), (
        "None, if the guest or the host has reset the device at that time; else the guest's log, or the host's, says"
        " why it was disabled."
    )),
    ("memory-errors", True, (
        "Accesses to {place} failed {times} by a memory error of the host."
    ), "The hardware: QEMU's log has the place of the first one, the host's kernel log all of them."),
    ("read-only-writes", True, (
        "Writes into {place} were dropped {times}, as it can't be written."
    ), "Correct the guest's driver, which has given that memory to a device to write to."),
    ("waits", False, (
        "DMA into {place} has waited {times} for buffers, as it should when more requests are in flight than"
        " there is room for; nothing was lost by it."
    ), "If it is too slow, {larger}."),
)  # fmt: skip


@dataclass
class Finding:
    """One thing that was found. `is_concerned`: something is wrong, or will go wrong."""

    is_concerned: bool
    verdict: str
    remedy: str = ""


def findings(found: Found) -> list[Finding]:
    """What there is to be said, at least one thing."""
    if not found.passed_through:
        return [Finding(False, "This VM isn't concerned: no PCI device is passed through to it.")]
    told = [finding for device in found.passed_through if device.has_series for finding in _of_series(device, found)]
    if bare := [device for device in found.passed_through if not device.has_series]:
        told += _without_series(bare, found)
    told += _vhost(found)
    if any(finding.is_concerned for finding in told) or bare:
        return told
    names = listed(name(device) for device in found.passed_through)
    well = f"All is well: this QEMU has the series, and no DMA of emulated devices into the BARs of {names} has failed."
    return [Finding(False, well), *told]


def _of_series(device: PassedThrough, found: Found) -> list[Finding]:
    told = []
    if any(part.is_bounced is False for bar in device.bars for part in bar.parts):
        told.append(Finding(
            True,
            f"{name(device)} has x-ram-device-direct=on, so DMA into its BARs is by pointers, which nothing protects:"
            " the guest can end its VM by disabling a BAR.",
            "Start the VM without x-ram-device-direct=on, unless the host maps that memory cacheable and the disks use"
            " the page cache.",
        ))  # fmt: skip
    for bar in device.bars:
        told += [*_not_mapped(bar, device), *_counted(bar, device, found)]
    return told


def _not_mapped(bar: Bar, device: PassedThrough) -> list[Finding]:
    ways = [remedy for reason, remedy in NOT_MAPPED.items() if bar.not_mapped.startswith(reason)]
    if not bar.not_mapped or bar.size < MEMORY_BAR:
        return []
    return [Finding(
        True,
        f"BAR {bar.number} of {name(device)}, {shown(bar.size)}, isn't{' all' if bar.parts else ''} mapped"
        f" ({bar.not_mapped}): virtio devices are lost to requests of more than {STOCK_BOUNCE_BUFFER} bytes there.",
        ways[0] if ways else "As the reason says.",
    )]  # fmt: skip


def _counted(bar: Bar, device: PassedThrough, found: Found) -> list[Finding]:
    """What the counters of a BAR's parts mean."""
    place = f"BAR {bar.number} of {name(device)}"
    now = f", now {shown(found.buffers)}" if found.buffers else ""
    larger = f"start the VM with more: -machine ...,{BUFFERS}=SIZE{now}"
    told = []
    for counter, is_concerned, sentence, remedy in MEANINGS:
        if count := sum(part.counters.get(counter, 0) for part in bar.parts):
            said = sentence.format(place=place, times="once" if count == 1 else f"{count} times")
            told.append(Finding(is_concerned, said, remedy.format(larger=larger)))
    return told


def _without_series(devices: list[PassedThrough], found: Found) -> list[Finding]:
    names = listed(name(device) for device in devices)
    version = ".".join(map(str, found.version))
    using = [device for device in found.emulated if not device.is_vhost and device.kind not in SMALL]
    if not using:
        no_dma = "no emulated device does DMA of more than a few bytes at a time"
        return [Finding(False, f"This VM isn't concerned: {names} is passed through, but {no_dma}.")]
    users = listed(f"{name(device)} ({device.kind})" for device in using)
    if found.version >= FIXED_FROM:
        return [Finding(
            True,
            f"QEMU {version} gives emulated devices ({users}) pointers into the BARs of {names}: requests of any size"
            " work, but nothing protects them: the VM can end if a BAR is revoked under a request, requests with"
            " O_DIRECT are I/O errors on a BAR of the kernel's vfio-pci, and on arm64 an unaligned copy into a BAR that"
            " isn't mapped cacheable ends the VM.",
            f"{USE_SERIES}; without it, use disks through the page cache (cache=writeback), and such memory only where"
            " the host maps it cacheable, as on GH200.",
        )]  # fmt: skip
    virtio = [device for device in using if device.is_virtio]
    if not virtio:
        return [Finding(
            True,
            f"QEMU {version} does DMA of {users} into the BARs of {names} piece by piece, so that no request is too"
            " large, but it ends by SIGBUS if a BAR is revoked under one.",
            f"{USE_SERIES}, if the guest gives memory of a BAR to these devices.",
        )]  # fmt: skip
    lost = [device for device in virtio if device not in _helped(virtio)]
    return [*([_stock(version, names, lost, found)] if lost else []), *_raised(virtio)]


def _stock(version: str, names: str, lost: list[Emulated], found: Found) -> Finding:
    users = listed(f"{name(device)} ({device.kind})" for device in lost)
    without = ", built without Rust," if SERIES.search(found.package) else ""
    certain = " (`make checker QEMU=...` shows whether a vendor has added upstream's fix to it)"
    return Finding(
        True,
        f"QEMU {version}{without} has bounce buffers of {STOCK_BOUNCE_BUFFER} bytes for DMA into the BARs of {names}:"
        f" {users} will be lost ('virtio: bogus descriptor or out of resources') once the guest puts memory of a BAR"
        " under a larger request, which it always does where it uses that memory as system RAM, as on GH200 and GB200.",
        f"{USE_SERIES}{', and Rust' if without else ''}{certain if found.version >= CHECKED_FROM else ''}.",
    )


def _is_raised(device: Emulated) -> bool:
    return (device.bounce_buffer or 0) > STOCK_BOUNCE_BUFFER


def _helped(virtio: list[Emulated]) -> list[Emulated]:
    """Those that larger bounce buffers help, and that have them."""
    return [device for device in virtio
            if _is_raised(device) and device.has_platform_iommu and device.kind != SCSI]  # fmt: skip


def _raised(virtio: list[Emulated]) -> list[Finding]:
    """What larger bounce buffers do, where there are any."""
    told = []
    if helped := _helped(virtio):
        sizes = listed(f"{name(device)} ({shown(device.bounce_buffer or 0)})" for device in helped)
        told.append(Finding(
            True,
            f"{BOUNCE_BUFFER} is raised for {sizes}, so that requests work while those in flight together have no more"
            " of their data in BARs; the VM still ends by SIGBUS if a BAR is revoked under a request.",
            f"{USE_SERIES}; without it, 1G is enough for what guests have in flight.",
        ))  # fmt: skip
    if scsi := [device for device in virtio if _is_raised(device) and device.kind == SCSI]:
        told.append(Finding(
            True,
            f"{BOUNCE_BUFFER} is raised for {listed(map(name, scsi))}, which doesn't help virtio-scsi: what it reads"
            " into a BAR arrives wrong.",
            f"{USE_SERIES}; without it, use virtio-blk for these disks.",
        ))  # fmt: skip
    if idle := [device for device in virtio
                if _is_raised(device) and not device.has_platform_iommu and device.kind != SCSI]:  # fmt: skip
        told.append(Finding(
            True,
            f"{BOUNCE_BUFFER} is raised for {listed(map(name, idle))} without effect, as the bounce buffer of the whole"
            " machine is used.",
            f"Add {PLATFORM_IOMMU}=on,disable-legacy=on to it.",
        ))  # fmt: skip
    return told


def _vhost(found: Found) -> list[Finding]:
    outside = [device for device in found.emulated if device.kind.startswith(("vhost-user", "vhost-vdpa"))]
    if not outside:
        return []
    users = listed(f"{name(device)} ({device.kind})" for device in outside)
    return [Finding(
        True,
        f"{users} can't reach any BAR, with whichever QEMU: another process maps the guest's memory, and a VFIO BAR has"
        " no file to map.",
        "Use a device that QEMU itself emulates, or keep the guest from using memory of a BAR as system RAM.",
    )]  # fmt: skip


def name(device: PassedThrough | Emulated) -> str:
    """A device's id; its path, if it has none."""
    folder, _, last = device.path.rpartition("/")
    return last if folder == "/machine/peripheral" else device.path


def listed(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def shown(size: int) -> str:
    """A size for people."""
    for unit, of in (("GiB", KIB**3), ("MiB", KIB**2), ("KiB", KIB)):
        if size >= of and size % of == 0:
            return f"{size // of} {unit}"
    return f"{size} B"
