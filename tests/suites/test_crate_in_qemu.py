# SPDX-License-Identifier: GPL-2.0-or-later
"""The crate as QEMU's build makes it: its tests pass there, and its code in the linked emulator calls nothing else."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

import pytest

from suites.emulators import emulator

EXPORTED = {
    f"ram_device_{name}"
    for name in ("gives_pointer", "load", "store", "read", "write", "fixup", "budget_ask", "pages_take", "pages_give")
}


CRATE = Path(__file__).resolve().parents[2] / "rust" / "ram-device" / "src"
TESTS = 39


def test_the_crates_own_tests_pass_in_qemus_build_and_none_is_left_out() -> None:
    written = sum(source.read_text().count("#[test]") for source in CRATE.rglob("*.rs"))
    emulator("patched")
    build = Path(os.environ["RAM_DEVICE_BUILD_PATCHED"])
    program = "rust/ram-device/rust-ram-device-tests"
    subprocess.run(["ninja", "-C", str(build), program], check=True, capture_output=True)
    done = subprocess.run([str(build / program)], text=True, capture_output=True, check=False)
    passed = re.search(r"test result: ok\. (\d+) passed; 0 failed", done.stdout)
    assert passed, done.stdout
    assert int(passed.group(1)) == written == TESTS, done.stdout


@pytest.mark.parametrize(("variant", "says"), [("patched", True), ("stock", False)])
def test_the_version_tells_whether_the_series_is_in(variant: str, says: bool) -> None:
    printed = subprocess.run([emulator(variant), "--version"], text=True, capture_output=True, check=True).stdout
    assert ("(RAM device series, version 2)" in printed.splitlines()[0]) == says, printed


def functions(program: Path) -> dict[str, tuple[int, int]]:
    """The crate's functions in a program: name, address and size."""
    listed = subprocess.run(["nm", "--print-size", str(program)], text=True, capture_output=True, check=True).stdout
    return {
        name: (int(address, 16), int(size, 16))
        for address, size, name in re.findall(r"^([0-9a-f]+) ([0-9a-f]+) [Tt] (\S+)$", listed, re.MULTILINE)
        if name in EXPORTED or re.match(r"_(ZN10|RN\w*_10)ram_device\d", name)
    }


def test_the_crates_code_in_the_linked_emulator_calls_only_itself() -> None:
    if platform.machine() != "x86_64":
        pytest.skip(f"reads x86-64 instructions, not those of {platform.machine()}")
    program = emulator("patched")
    found = functions(program)
    assert set(found) >= EXPORTED, found
    calls = []
    for name, (start, size) in found.items():
        code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", f"--start-address={start}",
                               f"--stop-address={start + size}", str(program)],
                              text=True, capture_output=True, check=True).stdout
        assert "ret" in code, name
        calls += [(name, target) for target in re.findall(r"\bcall\s+(.*)$", code, re.MULTILINE)]
    outside = [(name, target) for name, target in calls if not any(f"<{own}" in target for own in found)]
    assert not outside, f"{len(calls)} calls in {len(found)} functions, of which these leave the crate: {outside}"
