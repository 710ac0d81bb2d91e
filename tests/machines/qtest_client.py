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

from machines import process_group

REPLY_SECONDS = 300.0
# From its end on it may have to write a core.
QUIT_SECONDS, ENDING_SECONDS = 300.0, 300.0
SIGNALLED, SIGNALS = 128, range(1, 32)


class EmulatorError(Exception):
    """The emulator refused a command, answered nonsense or nothing, or is gone."""


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
        except OSError as error:
            raise EmulatorError(f"{error} when qtest was asked: {lines[0][:80]}") from None
        return [self._reply(line) for line in lines]

    def _reply(self, line: str) -> str:
        """What follows the OK that this command is answered with."""
        while True:
            try:
                reply = self._stream.readline().decode()
            except (OSError, UnicodeDecodeError) as error:
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
        line = f"b64read {address:#x} {size:#x}"
        reply = self.command(line)
        try:
            data = base64.b64decode(reply, validate=True)
        except ValueError:
            data = b""
        if len(data) != size:
            raise EmulatorError(f"qtest answered {reply[:80]!r} to {line!r}, which isn't {size} bytes in base64")
        return data

    def write(self, address: int, data: bytes) -> None:
        self.command(f"b64write {address:#x} {len(data):#x} {base64.b64encode(data).decode()}")

    def _number(self, line: str) -> int:
        """The number that this command is answered with."""
        reply = self.command(line)
        try:
            return int(reply, 0)
        except ValueError:
            raise EmulatorError(f"qtest answered {reply[:80]!r} to {line!r}, which is no number") from None

    def read32(self, address: int) -> int:
        """One 32-bit access, as a register wants it."""
        return self._number(f"readl {address:#x}")

    def write32(self, address: int, value: int) -> None:
        self.command(f"writel {address:#x} {value:#x}")

    def read64(self, address: int) -> int:
        return self._number(f"readq {address:#x}")

    def write64(self, address: int, value: int) -> None:
        self.command(f"writeq {address:#x} {value:#x}")

    def read16(self, address: int) -> int:
        return self._number(f"readw {address:#x}")

    def write16(self, address: int, value: int) -> None:
        self.command(f"writew {address:#x} {value:#x}")

    def read8(self, address: int) -> int:
        return self._number(f"readb {address:#x}")

    def write8(self, address: int, value: int) -> None:
        self.command(f"writeb {address:#x} {value:#x}")


class Emulator:
    """A running emulator; all that it writes is added to the file `messages`.

    With `own_group` it has a process group of its own, so that a wrapper's emulator ends with the wrapper; but then it
    doesn't end with a group that is killed as a whole, this program's.
    """

    def __init__(
        self, command: Sequence[str], messages: Path, pass_fds: Sequence[int] = (), own_group: bool = False
    ) -> None:
        self._messages = messages
        self._own_group = own_group
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
            try:
                self._process = subprocess.Popen(
                    arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=handed_over,
                    process_group=0 if own_group else None,
                )  # fmt: skip
            except OSError as error:
                raise EmulatorError(f"{command[0]} doesn't start: {error.strerror}") from None
        for channel in (qtest, monitor):
            channel.settimeout(REPLY_SECONDS)
        self.qtest = QTest(qtest)
        self._monitor = monitor.makefile("rwb")
        self._greeted = False

    def __enter__(self) -> Emulator:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._own_group:
            process_group.end(self._process)
        else:
            self._process.kill()
        self._process.wait()

    def quit(self) -> None:
        """End the emulator as its user would: it closes its disks."""
        self.execute("quit", {})
        try:
            self._process.wait(timeout=QUIT_SECONDS)
        except subprocess.TimeoutExpired:
            raise EmulatorError(f"the emulator hasn't ended in {QUIT_SECONDS:.0f} s after its quit") from None

    def messages(self) -> str:
        """What this emulator has written so far, to its standard output and error."""
        return self._messages.read_bytes()[self._begun_at :].decode(errors="replace")

    @property
    def pid(self) -> int:
        return self._process.pid

    def ended_by_signal(self) -> int | None:
        """The number of the signal that ended it, if one did; it is given a moment to end.

        A wrapper that is a shell tells of its emulator's by a status above 128.
        """
        try:
            status = self._process.wait(timeout=ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        number = -status if status < 0 else status - SIGNALLED
        return number if number in SIGNALS else None

    def state(self) -> str:
        """Whether it runs, or how it ended; it is given a moment to end."""
        try:
            return f"the emulator's exit status is {self._process.wait(timeout=ENDING_SECONDS)}"
        except subprocess.TimeoutExpired:
            return "the emulator is still running"

    def monitor(self, command: str) -> str:
        """The answer to a command of the human monitor."""
        return str(self.execute("human-monitor-command", {"command-line": command}))

    def execute(self, name: str, arguments: dict[str, object]) -> object:
        """What a command of the machine monitor returns."""
        try:
            if not self._greeted:
                self._monitor.readline()
                self._ask("qmp_capabilities", {})
                self._greeted = True
            return self._ask(name, arguments)
        except (OSError, ValueError) as error:
            raise EmulatorError(f"{error} when the monitor was asked: {name}") from None

    def _ask(self, name: str, arguments: dict[str, object]) -> object:
        self._monitor.write(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        self._monitor.flush()
        while line := self._monitor.readline():
            reply = json.loads(line)
            if not isinstance(reply, dict):
                raise EmulatorError(f"the monitor answered {reply!r} to {name}")
            if "return" in reply:
                return reply["return"]
            if "error" in reply:
                raise EmulatorError(f"the monitor refused {name}: {reply['error']}")
        raise EmulatorError(f"the emulator ended while its monitor was asked: {name}")
