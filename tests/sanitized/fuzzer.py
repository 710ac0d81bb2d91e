# SPDX-License-Identifier: GPL-2.0-or-later
"""The fuzzer of tests/qtest/fuzz/ram_device_fuzz.c in QEMU's tree: how it is run, and with which inputs."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus.hex")
TARGET = "ram-device-fuzz"
# An input takes milliseconds. One that nobody answers would take for ever.
SECONDS_FOR_ONE = 120
LONGEST = 1024  # bytes of an input
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1:abort_on_error=1",
}


class FuzzingFailed(Exception):
    """What was wrong, and with which input."""


@dataclass(frozen=True)
class Counts:
    """What a run has met, as the program itself has printed it."""

    line: str

    def __getitem__(self, what: str) -> int:
        found = re.search(rf"(\d+) {re.escape(what)}", self.line)
        if not found:
            raise KeyError(what)
        return int(found[1])

    def __str__(self) -> str:
        return self.line


def corpus() -> list[bytes]:
    """The inputs that the repository keeps."""
    lines = CORPUS.read_text().splitlines()
    return [bytes.fromhex(line) for line in lines if line and not line.startswith("#")]


def write(inputs: Sequence[bytes], folder: Path) -> None:
    """One file for each input, named as libFuzzer names them."""
    folder.mkdir(parents=True, exist_ok=True)
    for data in inputs:
        (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


def run(program: Path, work: Path, seconds: int, further: Mapping[str, str] | None = None) -> Counts:
    """Fuzz for so many seconds; what was met. FuzzingFailed if anything is wrong."""
    inputs = work / "inputs"
    write(corpus(), inputs)
    return _run(program, work, [f"-max_total_time={seconds}", f"-max_len={LONGEST}", str(inputs)], further)


def replay(program: Path, work: Path, inputs: Sequence[bytes]) -> Counts:
    """Run these inputs once each, in one emulator."""
    folder = work / "replayed"
    write(inputs, folder)
    return _run(program, work, ["-runs=0", f"-max_len={LONGEST}", str(folder)], None)


def _run(program: Path, work: Path, options: Sequence[str], further: Mapping[str, str] | None) -> Counts:
    messages = work / "messages"
    command = [str(program.resolve()), f"--fuzz-target={TARGET}", f"-timeout={SECONDS_FOR_ONE}", "-rss_limit_mb=4096",
               "-detect_leaks=0", f"-artifact_prefix={work.resolve()}/", *options]  # fmt: skip
    with messages.open("wb") as log:
        status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, check=False,
                                env=os.environ | SANITIZERS | dict(further or {})).returncode  # fmt: skip
    said = messages.read_text(errors="replace")
    counts = re.findall(rf"^{TARGET}: (\d+ inputs, .*)$", said, re.MULTILINE)
    if status or not counts:
        wrong = rf"^{TARGET}: .*|^.*(?:ERROR: |runtime error: ).*|^.*Test unit written to .*"
        ended = f"the fuzzer ended with status {status}; its messages are in {messages}"
        raise FuzzingFailed("\n".join([ended, *re.findall(wrong, said, re.MULTILINE)]))
    return Counts(counts[-1])
