# SPDX-License-Identifier: GPL-2.0-or-later
"""Miri finds no undefined behaviour in what is Rust alone: all of the crate on a host without assembly.

Miri interprets such a host's code anywhere: a big-endian one, where `arch/volatile.rs` takes the place of assembly.
"""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from crate_builds.library import RUST

pytestmark = pytest.mark.exhaustive

CARGO = ("cargo", "+nightly", "miri")
HOST = "s390x-unknown-linux-gnu"
# Addresses of devices are numbers until they are accessed; proptest asks for the folder that it is in.
OPTIONS = "-Zmiri-permissive-provenance -Zmiri-disable-isolation"


def passed(*arguments: str) -> int:
    """Run tests of a crate; how many have passed, which is all of them."""
    try:
        is_there = subprocess.run([*CARGO, "--version"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        is_there = False
    if not is_there:
        pytest.skip("no Miri here: rustup +nightly component add miri rust-src")
    done = subprocess.run(
        [*CARGO, "test", "--target", HOST, "--lib", *arguments], cwd=RUST, text=True, capture_output=True, check=False,
        env={**os.environ, "MIRIFLAGS": OPTIONS, "CARGO_TARGET_DIR": str(RUST / "target/miri")})  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return sum(map(int, re.findall(r"(\d+) passed", done.stdout)))


def test_the_model_and_the_crate_beside_it() -> None:
    assert passed("--package", "ram_device_model") == 16


def test_what_deals_out_the_buffers() -> None:
    assert passed("--package", "ram_device", "--", "budget::", "pages::", "policy::") >= 10
