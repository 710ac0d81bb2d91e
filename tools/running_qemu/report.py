# SPDX-License-Identifier: GPL-2.0-or-later
"""What was found, as lines for people."""

from __future__ import annotations

from running_qemu.machine import BOUNCE_BUFFER, PLATFORM_IOMMU, Bar, Emulated, Found, Part
from running_qemu.verdict import Finding, shown


def text(found: Found, findings: list[Finding]) -> str:
    """All of it; the verdict comes last."""
    version = ".".join(map(str, found.version))
    lines = [f"QEMU {version}{f' ({found.package})' if found.package else ''}"]
    for device in found.passed_through:
        lines.append(f"{device.path}: {device.type}, passed through")
        lines += [line for bar in device.bars for line in _bar(bar)]
    lines += [_emulated(device) for device in found.emulated]
    for finding in findings:
        lines += ["", finding.verdict, *([f"Remedy: {finding.remedy}"] if finding.remedy else [])]
    return "\n".join(lines)


def _bar(bar: Bar) -> list[str]:
    name = f"  BAR {bar.number}, {shown(bar.size)}"
    if not bar.parts:
        return [f"{name}: not mapped{f': {bar.not_mapped}' if bar.not_mapped else ''}"]
    why = [f"{name}: not all is mapped: {bar.not_mapped}"] if bar.not_mapped else []
    return [*why, *(f"{name}: {_part(part)}" for part in bar.parts)]


def _part(part: Part) -> str:
    told = [f"{shown(part.size)} at {part.offset:#x} mapped"]
    if part.is_read_only:
        told.append("can't be written")
    if part.is_bounced is not None:
        told.append("DMA by buffers" if part.is_bounced else "DMA by pointers")
    told += [f"{name} {count}" for name, count in part.counters.items() if count]
    return ", ".join(told)


def _emulated(device: Emulated) -> str:
    told = [device.type]
    if device.bounce_buffer is not None:
        told.append(f"{BOUNCE_BUFFER}={device.bounce_buffer}")
    if device.has_platform_iommu:
        told.append(f"{PLATFORM_IOMMU}=on")
    return f"{device.path}: {', '.join(told)}"
