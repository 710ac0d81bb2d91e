# SPDX-License-Identifier: GPL-2.0-or-later
"""A vhost-user back end that does nothing but hand out doorbells, which QEMU makes RAM device regions of.

Names and numbers are those of QEMU's docs/interop/vhost-user.rst.
"""

from __future__ import annotations

import mmap
import os
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from drivers.request import ANSWER_SECONDS
from drivers.virtio import VERSION_1

HEADER = struct.Struct("<III")
NUMBER = struct.Struct("<Q")
VERSION, REPLY, NEED_REPLY = 1, 4, 8
GET_FEATURES, GET_VRING_BASE, GET_PROTOCOL_FEATURES, SET_VRING_ENABLE, SET_BACKEND_REQ_FD = 1, 11, 15, 18, 21
BACKEND_VRING_HOST_NOTIFIER = 3
PROTOCOL_FEATURES, BACKEND_REQUESTS, HOST_NOTIFIERS = 1 << 30, 1 << 5, 1 << 11
NO_DESCRIPTOR = 1 << 8
MOST_DESCRIPTORS = 8


def _message(kind: int, flags: int, payload: bytes) -> bytes:
    return HEADER.pack(kind, VERSION | flags, len(payload)) + payload


@dataclass
class BackEnd:
    """What QEMU's front end has connected to."""

    path: Path
    _requests: socket.socket | None = None
    _enabled: threading.Event = field(default_factory=threading.Event)

    def options(self, slot: int) -> list[str]:
        """The emulator's arguments for a device whose back end this is, with a page for each queue's doorbell."""
        return [
            "-object", "memory-backend-memfd,id=ram,size=16M,share=on", "-machine", "memory-backend=ram",
            "-chardev", f"socket,id=backend,path={self.path}",
            "-device", f"vhost-user-rng-pci,chardev=backend,addr={slot:x}.0,page-per-vq=on",
        ]  # fmt: skip

    def give_doorbell(self, memory: int) -> None:
        """From now on the first queue's doorbell is the page that the descriptor begins with."""
        self._ask(NUMBER.pack(0), [memory])

    def withdraw_doorbell(self) -> None:
        """From now on the first queue's doorbell is QEMU's again."""
        self._ask(NUMBER.pack(NO_DESCRIPTOR), [])

    def close(self) -> None:
        if self._requests:
            self._requests.close()

    def _ask(self, queue: bytes, descriptors: list[int]) -> None:
        assert self._enabled.wait(ANSWER_SECONDS), "QEMU hasn't started the back end"
        assert self._requests
        area = queue + NUMBER.pack(mmap.PAGESIZE) + NUMBER.pack(0)
        message = _message(BACKEND_VRING_HOST_NOTIFIER, NEED_REPLY, area)
        socket.send_fds(self._requests, [message], descriptors)
        self._requests.settimeout(ANSWER_SECONDS)
        answer = self._requests.recv(HEADER.size + NUMBER.size, socket.MSG_WAITALL)
        (refused,) = NUMBER.unpack(answer[HEADER.size :])
        assert refused == 0, "QEMU has refused a doorbell"

    def serve(self, connection: socket.socket) -> None:
        """Answer the front end's questions until it hangs up."""
        while header := connection.recv(HEADER.size, socket.MSG_WAITALL | socket.MSG_PEEK):
            kind, _, size = HEADER.unpack(header)
            message, descriptors, _, _ = socket.recv_fds(connection, HEADER.size + size, MOST_DESCRIPTORS)
            payload = message[HEADER.size :]
            if kind == SET_BACKEND_REQ_FD:
                self._requests = socket.socket(fileno=descriptors.pop())
            for descriptor in descriptors:
                os.close(descriptor)
            answers = {
                GET_FEATURES: NUMBER.pack(VERSION_1 | PROTOCOL_FEATURES),
                GET_PROTOCOL_FEATURES: NUMBER.pack(BACKEND_REQUESTS | HOST_NOTIFIERS),
                GET_VRING_BASE: payload,
            }
            if kind in answers:
                connection.sendall(_message(kind, REPLY, answers[kind]))
            if kind == SET_VRING_ENABLE:
                self._enabled.set()


@contextmanager
def back_end(folder: Path) -> Iterator[BackEnd]:
    """A back end that waits for a front end, and serves it as long as that lives."""
    made = BackEnd(folder / "vhost-user")
    with socket.socket(socket.AF_UNIX) as listener, ThreadPoolExecutor(1) as server:
        listener.bind(str(made.path))
        listener.listen()

        def accept() -> None:
            with listener.accept()[0] as connection, suppress(ConnectionResetError):
                made.serve(connection)

        served = server.submit(accept)
        try:
            yield made
            served.result(ANSWER_SECONDS)
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            made.close()
