# SPDX-License-Identifier: GPL-2.0-or-later
"""What a running QEMU has: its version, passed-through devices with their BARs, and emulated devices that do DMA."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from running_qemu.monitor import Monitor, Refused, expected

SERIES = re.compile(r"RAM device series|\+ramdev\d")  # what a QEMU with the series has in its package string
# Where QEMU has its devices: with an id, without one, and made by the machine or by -nic.
FOLDERS = ("/machine/peripheral", "/machine/peripheral-anon", "/machine/unattached")
PASSED_THROUGH = ("vfio-pci", "vfio-pci-nohotplug", "vfio-user-pci")
BAR, BARS = "bar", "bars"
BOUNCE_BUFFER, PLATFORM_IOMMU = "x-max-bounce-buffer-size", "iommu_platform"
BUFFERS = "x-ram-device-buffer-size"
COUNTERS = ("bytes-read", "bytes-written", "waits", "refusals", "faults", "memory-errors", "read-only-writes")
# A region's name as QOM has it, where brackets are escaped.
REGION = re.compile(r"BAR (?P<bar>\d+)(?: mmaps\\x5b(?P<part>\d+)\\x5d)?\[0\]$")
# Their requests' data is mapped as a whole, or not at all.
VIRTIO = re.compile(r"virtio-(?P<kind>.+?)(?:-(?:pci|ccw|device))(?:-(?:non-)?transitional)?$|virtio-(?P<vga>vga.*)$")
# Another process, or the host's kernel, does their DMA.
VHOST = re.compile(r"vhost-(?P<kind>.+?)-(?:pci|ccw|device)(?:-(?:non-)?transitional)?$")
# They do DMA piece by piece.
OTHERS = re.compile(
    r"nvme|.*-?ahci|piix\d-ide|.*-?uhci.*|.*-?ehci.*|.*-?ohci.*|.*-?xhci.*|e1000.*|igb|igbvf|rtl8139|vmxnet3|ne2k_pci"
    r"|pcnet|tulip|i8255\w*|i8280\w|lsi53c\w+|megasas.*|mptsas.*|pvscsi|am53c974|dc390|.*sdhci.*|ufs"
    r"|.*intel-hda|AC97|ES1370|edu"
)


@dataclass
class Part:
    """A part of a BAR that is mapped. Without the series nobody counts."""

    offset: int
    size: int
    is_bounced: bool | None = None
    is_read_only: bool | None = None
    counters: dict[str, int] = field(default_factory=dict)


@dataclass
class Bar:
    """A BAR, and why it isn't mapped, if that is known."""

    number: int
    size: int
    parts: list[Part] = field(default_factory=list)
    not_mapped: str = ""


@dataclass
class PassedThrough:
    """A device that is passed through. `has_series`: its QEMU told of its BARs, so it has the series, with Rust."""

    path: str
    type: str
    has_series: bool
    bars: list[Bar] = field(default_factory=list)


@dataclass
class Emulated:
    """An emulated device that does DMA."""

    path: str
    type: str
    kind: str
    bounce_buffer: int | None = None
    has_platform_iommu: bool | None = None

    @property
    def is_virtio(self) -> bool:
        return self.kind.startswith("virtio-")

    @property
    def is_vhost(self) -> bool:
        return self.kind.startswith("vhost-")


@dataclass
class Found:
    """All of it. `buffers`: what each device may have of buffers, with the series."""

    version: tuple[int, int, int]
    package: str
    buffers: int | None = None
    passed_through: list[PassedThrough] = field(default_factory=list)
    emulated: list[Emulated] = field(default_factory=list)


def look(monitor: Monitor) -> Found:
    """Everything that is asked."""
    told = monitor.version()
    numbers = expected(dict, told.get("qemu"), "query-version")
    major, minor, micro = (expected(int, numbers.get(name), "query-version") for name in ("major", "minor", "micro"))
    found = Found((major, minor, micro), expected(str, told.get("package"), "query-version").strip(" ()"))
    found.buffers = _number(monitor, "/machine", BUFFERS)
    for path, kind in _devices(monitor):
        if kind in PASSED_THROUGH:
            found.passed_through += _passed_through(monitor, path, kind)
        elif emulated := _emulated(monitor, path, kind):
            found.emulated.append(emulated)
    return found


def _devices(monitor: Monitor) -> list[tuple[str, str]]:
    """The path and type of each."""
    found = []
    for folder in FOLDERS:
        try:
            listed = monitor.children_and_properties(folder)
        except Refused:
            continue
        found += [(f"{folder}/{name}", kind) for name, kind in _children(listed)]
    return found


def _children(listed: dict[str, str]) -> list[tuple[str, str]]:
    """The names and types of those that are objects, in one order whatever QEMU's hash tables do."""
    children = [(name, kind[len("child<") : -1]) for name, kind in listed.items() if kind.startswith("child<")]
    return sorted(children, key=lambda child: [int(part) if part.isdigit() else part
                                               for part in re.split(r"(\d+)", child[0])])  # fmt: skip


def _number(monitor: Monitor, path: str, name: str) -> int | None:
    try:
        return int(expected(int, monitor.value(path, name), "qom-get"))
    except Refused:
        return None


def _emulated(monitor: Monitor, path: str, kind: str) -> Emulated | None:
    """The device, if it is one that does DMA."""
    if virtio := VIRTIO.match(kind):
        short = f"virtio-{virtio['kind'] or virtio['vga']}"
    elif vhost := VHOST.match(kind):
        short = f"vhost-{vhost['kind']}"
    elif OTHERS.fullmatch(kind):
        short = kind
    else:
        return None
    try:
        platform: bool | None = expected(bool, monitor.value(path, PLATFORM_IOMMU), "qom-get")
    except Refused:
        platform = None
    return Emulated(path, kind, short, _number(monitor, path, BOUNCE_BUFFER), platform)


def _passed_through(monitor: Monitor, path: str, kind: str) -> list[PassedThrough]:
    """The device; none if it has been unplugged since it was listed."""
    try:
        listed = monitor.children_and_properties(path)
        if BARS not in listed:
            return [PassedThrough(path, kind, False, _seen(monitor, path, _children(listed)))]
        told = expected(list, monitor.value(path, BARS), "qom-get")
        return [PassedThrough(path, kind, True, [_told(expected(dict, bar, "qom-get")) for bar in told])]
    except Refused:
        return []


def _told(bar: dict[str, Any]) -> Bar:
    """A BAR, from the property that the series adds."""
    number, size = (expected(int, bar.get(name), "qom-get") for name in (BAR, "size"))
    why = expected(str, bar.get("not-mapped", ""), "qom-get")
    parts = []
    for part in expected(list, bar.get("mapped"), "qom-get"):
        told = expected(dict, part, "qom-get")
        offset, length = (expected(int, told.get(name), "qom-get") for name in ("offset", "size"))
        is_bounced, is_read_only = (expected(bool, told.get(name), "qom-get") for name in ("bounced", "read-only"))
        counters = {name: expected(int, told.get(name, 0), "qom-get") for name in COUNTERS}
        parts.append(Part(offset, length, is_bounced, is_read_only, counters))
    return Bar(number, size, parts, why)


def _seen(monitor: Monitor, path: str, children: list[tuple[str, str]]) -> list[Bar]:
    """The BARs, from the regions that QEMU has made for them: one for each BAR, and for each part that is mapped."""
    bars: dict[int, Bar] = {}
    parts: list[tuple[int, Part]] = []
    for name, kind in children:
        region = REGION.search(name) if kind == "memory-region" else None
        if not region or f"base {region[0]}" in name:
            continue
        offset, size = (_number(monitor, f"{path}/{name}", what) or 0 for what in ("addr", "size"))
        if region["part"]:
            parts.append((int(region["bar"]), Part(offset, size)))
        else:
            bars[int(region["bar"])] = Bar(int(region["bar"]), size)
    for number, part in parts:
        bars.setdefault(number, Bar(number, part.size)).parts.append(part)
    return [bars[number] for number in sorted(bars)]
