# SPDX-License-Identifier: GPL-2.0-or-later
"""The arm64 guest as a machine: how it is put together, and what becomes of it."""

from __future__ import annotations

import queue
import re
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO

KNOWN_MESSAGE = "virtio: bogus descriptor or out of resources"
COPY_EVENT = "memory_region_ram_device_copy"
COPIED = re.compile(rf"{COPY_EVENT} name .* len (?P<size>0x[0-9a-f]+) write (?P<write>[01])$")
# Not the newest CPU that there is: emulating this one takes less work.
MACHINE = (
    "-M", "virt,gic-version=3", "-cpu", "cortex-a57", "-accel", "tcg", "-smp", "4",
    "-nodefaults", "-display", "none", "-no-reboot",
)  # fmt: skip
KERNEL_COMMAND_LINE = "console=ttyAMA0 quiet panic=-1"

# A line and who takes it; None when there is nothing more to come from one of the two streams.
_Lines = queue.SimpleQueue[tuple[Callable[[str], None], str] | None]

READY = "ready"
DONE, STUCK, ENDED, UNFINISHED = "done", "stuck", "ended", "unfinished"
# So many beats of the guest's in which its disk does nothing are no coincidence.
BEATS_OF_A_STUCK_DISK = 5
# From the end of its output to the emulator's own; a core may have to be written.
TIME_TO_END = 120.0


@dataclass(frozen=True)
class Guest:
    """An emulator and what it is to be given."""

    emulator: str
    kernel: str
    initramfs: str
    disk: str
    memory_mib: int
    settings: dict[str, int]
    bar_device: str = ""
    cache: str = "writeback"
    aio: str = "threads"
    traced: bool = False
    saved_state: str = ""

    def command(self) -> list[str]:
        """How to start it."""
        return [
            self.emulator, *MACHINE, "-m", str(self.memory_mib),
            "-kernel", self.kernel, "-initrd", self.initramfs, "-append", KERNEL_COMMAND_LINE,
            "-drive", f"if=none,id=disk,format=raw,file={self.disk},cache={self.cache},aio={self.aio}",
            "-device", "virtio-blk-pci,drive=disk,num-queues=4",
            *(("-device", self.bar_device) if self.bar_device else ()),
            *(("-trace", COPY_EVENT) if self.traced else ()),
            *(("-incoming", f"file:{self.saved_state}") if self.saved_state else ()),
        ]  # fmt: skip

    def instructions(self) -> str:
        """What to tell the guest when it is ready."""
        settings = {"BAR": int(bool(self.bar_device)), **self.settings}
        return " ".join(f"{name}={value}" for name, value in settings.items())


@dataclass
class Run:
    """What became of a guest: DONE its work, STUCK disk, emulator ENDED, or UNFINISHED when nothing got on.

    `copied` counts the bytes that the emulator copied into the BAR and out of it. `status` is that of an emulator that
    ended, negative if a signal did it.
    """

    ending: str = UNFINISHED
    status: int | None = None
    said: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    copied: dict[str, int] = field(default_factory=dict)
    boot_seconds: float = 0.0
    work_seconds: float = 0.0
    idle_beats: int = 0

    @property
    def is_done(self) -> bool:
        """Whether the guest has done all its work, whatever came of it."""
        return self.ending == DONE

    @property
    def sectors_read(self) -> int:
        """What the guest has read from its disk while it worked."""
        begin, end = (next(line.split() for line in self.said if line.startswith(word)) for word in ("begin", "end"))
        return int(end[1]) - int(begin[1])

    def compared(self, word: str) -> list[str]:
        """The comparisons in the guest that found what they read to be the `same` or `different`."""
        return [line for line in self.said if line.startswith(word)]


def run(guest: Guest, timeout: float, progress: Callable[[str], None]) -> Run:
    """Run the guest until it is done, or stuck, or the emulator ends, or nothing has got on for that time."""
    seen = Run()
    process = subprocess.Popen([*guest.command(), "-serial", "stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, errors="replace")  # fmt: skip
    assert process.stdin is not None
    lines: _Lines = queue.SimpleQueue()
    watch = Watch(guest, process.stdin, seen, progress)
    for stream, take in ((process.stdout, watch.console), (process.stderr, watch.emulator)):
        assert stream is not None
        threading.Thread(target=_hand_on, args=(stream, take, lines), daemon=True).start()
    open_streams = 2
    try:
        while open_streams and seen.ending != STUCK:
            left = watch.got_on + timeout - time.monotonic()
            try:
                item = lines.get(timeout=max(left, 0))
            except queue.Empty:
                return seen
            if item is None:
                open_streams -= 1
            else:
                hand_over, line = item
                hand_over(line)
        if seen.ending == UNFINISHED:
            seen.ending, seen.status = ENDED, process.wait(TIME_TO_END)
    finally:
        process.kill()
        process.wait()
    return seen


def _hand_on(stream: IO[str], take: Callable[[str], None], lines: _Lines) -> None:
    for line in stream:
        lines.put((take, line.rstrip()))
    lines.put(None)


class Watch:
    """Makes a Run of the lines that console and emulator write.

    `got_on` is when the guest last said something new. That it is alive is nothing new, but by requests of its disk
    that were completed meanwhile.
    """

    def __init__(self, guest: Guest, keyboard: IO[str], seen: Run, progress: Callable[[str], None]) -> None:
        self._guest, self._keyboard, self._seen, self._progress = guest, keyboard, seen, progress
        self._begun = self.got_on = time.monotonic()
        self._completed, self._told = "", False

    def console(self, line: str) -> None:
        self._seen.console.append(line)
        _, ours, text = line.partition("guest: ")
        if not ours:
            return
        elapsed = time.monotonic() - self._begun
        self._seen.said.append(text)
        self._progress(f"[{elapsed:6.1f} s] {text}")
        word = text.partition(" ")[0]
        if word != "beat":
            self.got_on = time.monotonic()
        if text == READY and not self._told:
            self._told = True
            self._keyboard.write(f"{self._guest.instructions()}\n")
            self._keyboard.flush()
        elif word == "begin":
            self._seen.boot_seconds = elapsed
        elif word == "end":
            self._seen.work_seconds = elapsed - self._seen.boot_seconds
        elif word == "done":
            self._seen.ending = DONE
        elif word == "beat":
            self._heartbeat(text)

    def _heartbeat(self, beat: str) -> None:
        completed, _, in_flight = beat.rpartition(" ")
        if completed != self._completed:
            self.got_on = time.monotonic()
        self._seen.idle_beats = self._seen.idle_beats + 1 if completed == self._completed and in_flight != "0" else 0
        self._completed = completed
        told = any(KNOWN_MESSAGE in message for message in self._seen.messages)
        if told and self._seen.idle_beats >= BEATS_OF_A_STUCK_DISK:
            self._seen.ending = STUCK

    def emulator(self, line: str) -> None:
        if copied := COPIED.search(line):
            direction = "into the BAR" if copied["write"] == "1" else "out of the BAR"
            self._seen.copied[direction] = self._seen.copied.get(direction, 0) + int(copied["size"], 0)
        else:
            self._seen.messages.append(line)
            self._progress(line)
