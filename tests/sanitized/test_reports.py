# SPDX-License-Identifier: GPL-2.0-or-later
"""What counts as a report of a sanitizer, and what as a finding of the fuzzer. No emulator is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from sanitized import fuzzer, reports
from sanitized.fuzzer import FuzzingFailed

pytestmark = pytest.mark.quick

SAID = "ram-device-fuzz: 7 inputs, 90 descriptors, 8 requests (7 answered as done, 0 disturbed, 7 compared)"


def played(folder: Path, text: str, status: int) -> Path:
    """A fuzzer that says this and ends so."""
    program = folder / "qemu-fuzz-aarch64"
    program.write_text(f"#!/bin/sh\necho '{text}' >&2\nexit {status}\n")
    program.chmod(0o755)
    return program


def test_each_report_is_counted_once_with_how_often_it_came(tmp_path: Path) -> None:
    asan = "==12==ERROR: AddressSanitizer: heap-use-after-free on address 0x60\n    #0 0x1 in f\n"
    for number, text in enumerate((asan, "a.c:3:5: runtime error: shift exponent 64\n    #0 0x2 in g\n" * 2, asan)):
        (tmp_path / f"report.{number}").write_text(text)
    assert reports.found(tmp_path) == [
        "2 times: AddressSanitizer: heap-use-after-free on address 0x60",
        "2 times: a.c:3:5: runtime error: shift exponent 64",
    ]


def test_no_report_is_none(tmp_path: Path) -> None:
    assert reports.found(tmp_path) == []


def test_the_programs_own_counts_are_handed_on(tmp_path: Path) -> None:
    counts = fuzzer.run(played(tmp_path, SAID, 0), tmp_path, 1)
    assert (counts["inputs"], counts["descriptors"], counts["compared"]) == (7, 90, 7)
    assert {path.read_bytes() for path in (tmp_path / "inputs").iterdir()} == set(fuzzer.corpus())


@pytest.mark.parametrize(("text", "status", "named"), [
    (SAID, 77, "status 77"),
    ("ram-device-fuzz: area 1: 0xff at 0x8000, where 0x12 was", 134, "0xff at 0x8000"),
    ("==9==ERROR: libFuzzer: timeout after 120 seconds", 70, "timeout"),
    ("x.c:1:2: runtime error: index 3 out of bounds", 134, "index 3"),
    ("nothing", 0, "status 0"),
])  # fmt: skip
def test_whatever_ends_it_is_named(text: str, status: int, named: str, tmp_path: Path) -> None:
    with pytest.raises(FuzzingFailed, match=named):
        fuzzer.run(played(tmp_path, text, status), tmp_path, 1)
