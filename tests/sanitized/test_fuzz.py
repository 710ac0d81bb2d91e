# SPDX-License-Identifier: GPL-2.0-or-later
"""Nothing that libFuzzer makes up ends the emulator, or leaves a byte where it doesn't belong.

The program is named by the environment variable RAM_DEVICE_FUZZER; `make fuzz` builds it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sanitized import fuzzer


@pytest.fixture
def program() -> Path:
    """The fuzzer; without it the test is skipped."""
    path = Path(os.environ.get("RAM_DEVICE_FUZZER", "absent"))
    if not path.is_file():
        pytest.skip("no fuzzer here: make fuzz builds it")
    return path


def test_the_inputs_of_the_repository_do_what_the_contract_says(program: Path, tmp_path: Path) -> None:
    counts = fuzzer.replay(program, tmp_path, fuzzer.corpus())
    assert counts["inputs"] >= len(fuzzer.corpus())
    requests = ("answered as done", "disturbed", "compared", "packets compared")
    for what in ("descriptors", *requests, "devices lost", "operations"):
        assert counts[what] > 0


@pytest.mark.exhaustive
def test_a_minute_of_fuzzing_finds_nothing(program: Path, tmp_path: Path) -> None:
    counts = fuzzer.run(program, tmp_path, 60)
    assert counts["inputs"] > len(fuzzer.corpus())
