# SPDX-License-Identifier: GPL-2.0-or-later
"""Played QEMUs: what listens on a socket and does as told, and one that knows QMP and has objects."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

GREETING = b'{"QMP": {"version": {}, "capabilities": ["oob"]}}\n'
EVENT = b'{"event": "RTC_CHANGE", "data": {"offset": 0}, "timestamp": {"seconds": 1, "microseconds": 2}}\n'
SERIES = " (RAM device series, version 2)"
GPU = "/machine/peripheral/gpu"
ESCAPED_NAME = "0009:01:00.0 BAR {} mmaps\\x5b{}\\x5d[0]"


@contextmanager
def listening(path: Path, behaviour: Callable[[socket.socket], None], clients: int = 1) -> Iterator[None]:
    """Do that with each client; one that goes away is no matter."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve() -> None:
        with suppress(OSError):
            for _ in range(clients):
                client, _address = server.accept()
                with client:
                    behaviour(client)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def part(**told: int | bool) -> dict[str, object]:
    """A mapped part, as the property `bars` tells of it, with nothing wrong unless told otherwise."""
    names = ("bytes-read", "bytes-written", "waits", "refusals", "faults", "memory-errors", "read-only-writes")
    given = {name.replace("_", "-"): value for name, value in told.items()}
    return {"name": "0009:01:00.0 BAR 4 mmaps[0]", "offset": 0, "size": 1 << 30, "read-only": False, "bounced": True,
            **dict.fromkeys(names, 0), **given}  # fmt: skip


def bar(*parts: dict[str, object], size: int = 1 << 30, **told: str) -> dict[str, object]:
    """BAR 4."""
    given = {name.replace("_", "-"): value for name, value in told.items()}
    return {"bar": 4, "size": size, "mapped": list(parts), **given}


@dataclass
class Play:
    """A QEMU with these objects: of each path the properties, each with its type and value."""

    version: tuple[int, int, int] = (10, 2, 2)
    package: str = ""
    objects: dict[str, dict[str, tuple[str, object]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for folder in ("/machine", "/machine/peripheral", "/machine/peripheral-anon", "/machine/unattached"):
            self.objects.setdefault(folder, {"type": ("string", "container")})

    def add(self, path: str, kind: str, **properties: object) -> Play:
        """An object in a folder; its properties' names with underscores, where theirs have hyphens."""
        folder, _, name = path.rpartition("/")
        self.objects[folder][name] = (f"child<{kind}>", None)
        self.objects[path] = {each.replace("_", "-"): ("any", value) for each, value in properties.items()}
        return self

    def with_gpu(self, *bars: dict[str, object]) -> Play:
        """The series is in, and tells of these BARs."""
        self.package = SERIES
        return self.add(GPU, "vfio-pci", bars=list(bars))

    def with_stock_gpu(self, kind: str = "vfio-pci") -> Play:
        """The series isn't in; BAR 4 is mapped in two parts."""
        self.add(GPU, kind)
        for name, address, size in (
            ("0009:01:00.0 BAR 4[0]", 0, 1 << 30),
            ("0009:01:00.0 base BAR 4[0]", 0, 1 << 30),
            (ESCAPED_NAME.format(4, 0), 0, 1 << 29),
            (ESCAPED_NAME.format(4, 1), (1 << 29) + (1 << 16), (1 << 29) - (1 << 16)),
        ):
            self.add(f"{GPU}/{name}", "memory-region", addr=address, size=size)
        return self

    def with_disk(self, kind: str = "virtio-blk-pci", bounce_buffer: int = 4096, iommu: bool = False) -> Play:
        self.add("/machine/peripheral/disk", kind, x_max_bounce_buffer_size=bounce_buffer)
        self.objects["/machine/peripheral/disk"]["iommu_platform"] = ("bool", iommu)
        return self

    def answer(self, asked: dict[str, Any]) -> dict[str, object]:
        """An answer of QMP."""
        command, arguments = asked["execute"], asked.get("arguments", {})
        self.asked.append(command)
        if command == "qmp_capabilities":
            return {"return": {}}
        if command == "query-version":
            numbers = dict(zip(("major", "minor", "micro"), self.version, strict=True))
            return {"return": {"qemu": numbers, "package": self.package}}
        properties = self.objects.get(arguments["path"])
        if properties is None:
            return {"error": {"class": "DeviceNotFound", "desc": f"Device '{arguments['path']}' not found"}}
        if command == "qom-list":
            return {"return": [{"name": name, "type": kind} for name, (kind, _) in properties.items()]}
        if command == "qom-get" and arguments["property"] in properties:
            return {"return": properties[arguments["property"]][1]}
        return {"error": {"class": "GenericError", "desc": f"Property '{arguments}' not found"}}

    def serve(self, client: socket.socket) -> None:
        """QMP, with an event before each answer."""
        client.sendall(GREETING)
        with client.makefile("rb") as lines:
            for line in lines:
                client.sendall(EVENT + json.dumps(self.answer(json.loads(line))).encode() + b"\n")
