# SPDX-License-Identifier: GPL-2.0-or-later
"""C1, C2, C3, C5, C7: every transfer of up to 4096 bytes, at every address of both sides modulo 64, is the model's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from crate_builds.library import RUST

pytestmark = pytest.mark.exhaustive

# The tests that cargo leaves out unless they are asked for, and what each one prints: how often it has counted how many
# cases, and the accesses that it has looked at.
COUNTED = {
    "c1_c2_c3_every_plan_is_the_models":
        ("plans", 262208, [67681840, 67682088]),
    "c1_c2_c3_c5_every_transfer_is_the_models_if_one_may_be_misaligned":
        ("devices and lengths", 262208, [8663275520]),
    "c1_c2_c3_c5_every_transfer_is_the_models_if_none_may_be":
        ("devices and lengths", 262208, [8663307264]),
    "c7_whichever_access_is_the_last_what_follows_is_ones_or_nothing":
        ("devices and lengths", 12800, [63152256]),
}  # fmt: skip

# An edit of the crate that no shorter transfer shows, and the test that finds it.
BREAKS = {
    "the plan of one length": (
        "plan.rs", "if addr.is_aligned_to(8) && len >= 8 {", "if addr.is_aligned_to(8) && len >= 8 && len != 4095 {",
        "c1_c2_c3_every_plan_is_the_models"),
    "where a turn of the loop begins": (
        "copy.rs", "at = at.at(64);", "at = at.at(if left == 500 { 72 } else { 64 });",
        "c1_c2_c3_c5_every_transfer_is_the_models_if_none_may_be"),
    "what a read has not got": (
        "copy.rs", "if !IS_WRITE {\n            let rest", "if !IS_WRITE && len != 193 {\n            let rest",
        "c7_whichever_access_is_the_last_what_follows_is_ones_or_nothing"),
}  # fmt: skip


def run_ignored(workspace: Path, *arguments: str) -> tuple[bool, str]:
    """Run tests that cargo leaves out, as an optimized program; have they passed, and what have they said?"""
    done = subprocess.run(
        ["cargo", "test", "--quiet", "--release", "--package", "ram_device_model", "--lib", "--", "--ignored",
         *arguments], cwd=workspace, text=True, capture_output=True, check=False,
        env={**os.environ, "CARGO_TARGET_DIR": str(RUST / "target/exhaustive")})  # fmt: skip
    return done.returncode == 0, done.stdout + done.stderr


def test_every_ignored_test_is_run() -> None:
    is_right, said = run_ignored(RUST, "--list")
    assert is_right, said
    assert set(re.findall(r"^exhaustive::(\w+): test$", said, re.MULTILINE)) == set(COUNTED)
    assert said.count(": test") == len(COUNTED), said


@pytest.mark.parametrize("name", COUNTED)
def test_all_within_the_bounds(name: str) -> None:
    is_right, said = run_ignored(RUST, "--exact", f"exhaustive::{name}", "--nocapture")
    assert is_right, said
    print(said)
    what, cases, accesses = COUNTED[name]
    assert re.findall(r"exhaustive: (.*)\n", said) == [f"{cases} {what}, {number} accesses" for number in accesses]


@pytest.mark.parametrize("broken", BREAKS)
def test_what_is_wrong_for_one_length_alone_is_found(broken: str, tmp_path: Path) -> None:
    file, was, becomes, name = BREAKS[broken]
    shutil.copytree(RUST.parent / "qemu/include", tmp_path / "qemu/include")
    shutil.copytree(RUST, tmp_path / "rust", ignore=shutil.ignore_patterns("target"))
    source = tmp_path / "rust/ram-device/src" / file
    text = source.read_text()
    assert text.count(was) == 1
    source.write_text(text.replace(was, becomes))
    is_right, said = run_ignored(tmp_path / "rust", "--exact", f"exhaustive::{name}")
    assert not is_right and f"exhaustive::{name}" in said and "panicked" in said, said
