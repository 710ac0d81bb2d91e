# SPDX-License-Identifier: GPL-2.0-or-later
"""An emulator under QEMU's qtest protocol: guest-physical memory as bytes, and the monitor."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

REPLY_SECONDS = 60.0
ENDING_SECONDS = 2.0


class EmulatorError(Exception):
    """The emulator refused a command, or is gone."""


class QTest:
    """The qtest protocol: one line asked, one line answered."""

    def __init__(self, channel: socket.socket) -> None:
        self._stream = channel.makefile("rwb")

    def command(self, line: str) -> str:
        """Send one command; give what follows its OK."""
        return self.commands([line])[0]

    def commands(self, lines: Sequence[str]) -> list[str]:
        """Send some commands at once, and give what follows each one's OK.

        Lines and replies must fit into the socket's buffers: the emulator reads no more while it can't reply.
        """
        try:
            self._stream.write("".join(f"{line}\n" for line in lines).encode())
            self._stream.flush()
        except BrokenPipeError:
            raise EmulatorError(f"the emulator had ended before it was asked: {lines[0][:80]}") from None
        return [self._reply(line) for line in lines]

    def _reply(self, line: str) -> str:
        """What follows the OK that this command is answered with."""
        while True:
            try:
                reply = self._stream.readline().decode()
            except (TimeoutError, ConnectionResetError) as error:
                raise EmulatorError(f"{error} in qtest's answer to: {line[:80]}") from None
            if not reply.endswith("\n"):
                raise EmulatorError(f"the emulator ended while it was asked: {line[:80]}")
            verdict, _, rest = reply.strip().partition(" ")
            if verdict == "OK":
                return rest
            if verdict != "IRQ":
                raise EmulatorError(f"qtest answered {reply.strip()!r} to {line[:80]!r}")

    def read(self, address: int, size: int) -> bytes:
        """Guest-physical memory as the CPU's address space has it."""
        return base64.b64decode(self.command(f"b64read {address:#x} {size:#x}"))

    def write(self, address: int, data: bytes) -> None:
        self.command(f"b64write {address:#x} {len(data):#x} {base64.b64encode(data).decode()}")

    def read32(self, address: int) -> int:
        """One 32-bit access, as a register wants it."""
        return int(self.command(f"readl {address:#x}"), 0)

    def write32(self, address: int, value: int) -> None:
        self.command(f"writel {address:#x} {value:#x}")

    def read64(self, address: int) -> int:
        return int(self.command(f"readq {address:#x}"), 0)

    def write64(self, address: int, value: int) -> None:
        self.command(f"writeq {address:#x} {value:#x}")

    def read16(self, address: int) -> int:
        return int(self.command(f"readw {address:#x}"), 0)

    def write16(self, address: int, value: int) -> None:
        self.command(f"writew {address:#x} {value:#x}")

    def read8(self, address: int) -> int:
        return int(self.command(f"readb {address:#x}"), 0)

    def write8(self, address: int, value: int) -> None:
        self.command(f"writeb {address:#x} {value:#x}")


class Emulator:
    """A running emulator; its messages are added to the file `messages`."""

    def __init__(self, command: Sequence[str], messages: Path, pass_fds: Sequence[int] = ()) -> None:
        self._messages = messages
        qtest, its_qtest = socket.socketpair()
        monitor, its_monitor = socket.socketpair()
        with messages.open("ab") as log, its_qtest, its_monitor:
            self._begun_at = log.tell()
            handed_over = (its_qtest.fileno(), its_monitor.fileno(), *pass_fds)
            arguments = [
                *command,
                "-chardev", f"socket,id=qtest,fd={handed_over[0]}", "-qtest", "chardev:qtest", "-qtest-log", "none",
                "-chardev", f"socket,id=monitor,fd={handed_over[1]}", "-mon", "chardev=monitor,mode=control",
            ]  # fmt: skip
            self._process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stderr=log, pass_fds=handed_over)
        for channel in (qtest, monitor):
            channel.settimeout(REPLY_SECONDS)
        self.qtest = QTest(qtest)
        self._monitor = monitor.makefile("rwb")
        self._greeted = False

    def __enter__(self) -> Emulator:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()

    def quit(self) -> None:
        """End the emulator as its user would: it closes its disks."""
        self._greet()
        self._execute("quit", {})
        self._process.wait(timeout=REPLY_SECONDS)

    def messages(self) -> str:
        """What this emulator has written to its standard error so far."""
        return self._messages.read_bytes()[self._begun_at :].decode(errors="replace")

    @property
    def pid(self) -> int:
        return self._process.pid

    def ended_by_signal(self) -> int | None:
        """The number of the signal that ended it, if one did; it is given a moment to end."""
        try:
            status = self._process.wait(timeout=ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        return -status if status < 0 else None

    def state(self) -> str:
        """Whether it runs, or how it ended; it is given a moment to end."""
        try:
            return f"the emulator's exit status is {self._process.wait(timeout=ENDING_SECONDS)}"
        except subprocess.TimeoutExpired:
            return "the emulator is still running"

    def monitor(self, command: str) -> str:
        """The answer to a command of the human monitor."""
        self._greet()
        return str(self._execute("human-monitor-command", {"command-line": command}))

    def _greet(self) -> None:
        if not self._greeted:
            self._monitor.readline()
            self._execute("qmp_capabilities", {})
            self._greeted = True

    def _execute(self, name: str, arguments: dict[str, str]) -> object:
        self._monitor.write(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        self._monitor.flush()
        while line := self._monitor.readline():
            reply = json.loads(line)
            if "return" in reply:
                return reply["return"]
            if "error" in reply:
                raise EmulatorError(f"the monitor refused {name}: {reply['error']['desc']}")
        raise EmulatorError(f"the emulator ended while its monitor was asked: {name}")
