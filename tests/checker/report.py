# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings as a table, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from checker.findings import BAR_GONE, DIRECTIONS, FINE, OK, READ_ONLY, Denied, Findings, Request, of_device, shown
from checker.in_flight import COUNT
from tables.columns import aligned

MARKS = {True: "", False: "FAILED: ", None: "not checked: "}


def table(findings: Findings) -> str:
    """A line for each thing that was looked at; the verdict and the remedy come last."""
    rows = [["", "to BAR", "from BAR"]]
    for device in dict.fromkeys(request.device for request in findings.requests):
        rows += _request_rows(device, of_device(findings.requests, device))
    for device in dict.fromkeys(batch.device for batch in findings.in_flight):
        rows += _request_rows(f"  {device}, {COUNT} in flight", of_device(findings.in_flight, device))
    rows += _request_rows("  virtio-blk, cache=none", findings.o_direct)
    for device in dict.fromkeys(request.device for request in findings.raised_bounce_buffer):
        rows += _request_rows(f"  {device}, raised bounce buffer", of_device(findings.raised_bounce_buffer, device))
    facts = [["BAR 4 in info mtree", "; ".join(findings.region) or "no part of it is mapped"]]
    if findings.limit:
        limit = findings.limit
        facts.append(["limit", f"{limit.works} bytes work, {limit.fails} do not: {limit.verdict}"])
        facts.append(["message", limit.message.partition("\n")[0] or "none"])
    else:
        facts.append(["limit", "none met"])
    if findings.o_direct_not_checked:
        facts.append(["cache=none", f"not checked: {findings.o_direct_not_checked}"])
    elif findings.o_direct:
        facts.append(["cache=none", "into memory that the kernel refuses to pin, as it does a real BAR's"])
    facts += _denied_rows(BAR_GONE, findings.bar_gone) + _denied_rows(READ_ONLY, findings.read_only)
    facts += [[check.name, MARKS[check.is_ok] + check.found] for check in findings.checks]
    if speed := findings.speed:
        both = f"{shown(speed.bar_size)} requests {speed.bar:.0f} MB/s, {shown(speed.ram_size)} {speed.ram:.0f} MB/s"
        facts.append(["virtio-blk reads, BAR : RAM", f"{speed.ratio:.3f} ({both})"])
    title = f"QEMU {findings.version}, {findings.architecture} ({findings.machine}): {findings.program}"
    return "\n\n".join(filter(None, [title, aligned(rows), aligned(facts), findings.verdict, findings.remedy]))


def _request_rows(name: str, made: Sequence[Request]) -> list[list[str]]:
    """Neighbouring sizes with the same outcome share a row."""
    rows: list[tuple[int, int, list[str]]] = []
    for size in dict.fromkeys(request.size for request in made):
        verdicts = {request.direction: request.verdict for request in made if request.size == size}
        cells = [verdicts.get(direction, "-") for direction in DIRECTIONS]
        if rows and rows[-1][2] == cells:
            rows[-1] = (rows[-1][0], size, cells)
        else:
            rows.append((size, size, cells))
    spans = [shown(first) if first == last else f"{shown(first)} to {shown(last)}" for first, last, _ in rows]
    return [[f"{name}, {span}", *cells] for span, (_, _, cells) in zip(spans, rows, strict=True)]


def _denied_rows(situation: str, made: Sequence[Denied]) -> list[list[str]]:
    return [
        [f"{situation}, {denied.device}, {shown(denied.size)}", MARKS[denied.is_fine] + denied.found] for denied in made
    ]


def as_json(findings: Findings) -> str:
    """All of it; `fine` and `verdict` for those who want no more."""
    more = {"fine": findings.status == FINE, "verdict": findings.verdict, "remedy": findings.remedy,
            "failed": sum(request.verdict != OK for request in findings.requests),
            "not_checked": findings.not_checked()}  # fmt: skip
    judged = {name: [{**asdict(denied), "is_fine": denied.is_fine} for denied in made]
              for name, made in (("bar_gone", findings.bar_gone), ("read_only", findings.read_only))}  # fmt: skip
    if findings.speed:
        more["ratio"] = round(findings.speed.ratio, 3)
    return json.dumps({**more, **asdict(findings), **judged}, indent=2)
