# SPDX-License-Identifier: GPL-2.0-or-later
"""A BAR that the kernel refuses to pin, and hosts that have none: what is said there, and what would do."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from checker import peer
from checker.conftest import command_of_checker, given, run
from checker.findings import FINE
from checker.unpinnable import MEMORY_SIZE, MOST_MAPPED
from machines.confined import with_locked_memory, without_call
from machines.error import NotAvailable
from machines.o_direct import want_refusal
from machines.secret_memory import MEMFD_SECRET

SECONDS = 120


def said_by_peer(command: Sequence[str | Path]) -> str:
    done = subprocess.run(command, text=True, capture_output=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert done.stderr.startswith("vfio-user-gpu: no memory for BAR 4: ") and len(done.stderr.splitlines()) == 1
    return done.stderr


@pytest.mark.usefixtures("unpinnable")
def test_a_peer_that_has_no_such_memory_says_what_would_do(peer_program: Path, tmp_path: Path) -> None:
    command: list[str | Path] = [
        peer_program, "--socket", tmp_path / "socket", "--memory-size", str(MEMORY_SIZE), "--pinnable", "no",
    ]  # fmt: skip
    said = said_by_peer(without_call(MEMFD_SECRET, command))
    assert "memfd_secret(2)" in said and "5.14" in said and "secretmem.enable=1" in said
    said = said_by_peer(with_locked_memory(MEMORY_SIZE - 1, command))
    assert "RLIMIT_MEMLOCK" in said and "--memory-size" in said and str(MEMORY_SIZE) in said


@pytest.mark.usefixtures("unpinnable")
def test_where_the_kernel_has_no_such_memory_cache_none_is_not_checked_and_all_else_is(peer_program: Path) -> None:
    patched = command_of_checker(given("patched"), "--peer", peer_program, "--json")
    for command, why in ((without_call(MEMFD_SECRET, patched), "secretmem.enable=1"),
                         (with_locked_memory(MOST_MAPPED - 1, patched), "RLIMIT_MEMLOCK")):  # fmt: skip
        found = run(command)
        assert found.status == FINE, found.errors
        assert found.json()["not_checked"] == ["cache=none"] and why in found.json()["o_direct_not_checked"]
        assert found.json()["requests"] and found.json()["o_direct"] == []


@pytest.mark.usefixtures("unpinnable")
def test_as_much_locked_memory_as_is_asked_for_suffices_for_the_emulator(peer_program: Path) -> None:
    patched = command_of_checker(given("patched"), "--peer", peer_program, "--json")
    found = run(with_locked_memory(MOST_MAPPED, patched))
    assert found.status == FINE and found.json()["not_checked"] == [], found.printed


@pytest.mark.usefixtures("unpinnable")
def test_a_file_system_that_has_nothing_but_the_page_cache_does_not_count() -> None:
    """Of tmpfs, which takes O_DIRECT since Linux 6.6."""
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as folder,
        pytest.raises(NotAvailable, match=r"O_DIRECT.*set TMPDIR to another file system"),
    ):
        want_refusal(Path(folder), MOST_MAPPED)


@pytest.mark.usefixtures("unpinnable")
def test_the_memory_of_such_a_peer_is_seen_as_the_device_sees_it(peer_program: Path, tmp_path: Path) -> None:
    memory = peer.Memory(MEMORY_SIZE, has_holes=False, is_pinnable=False)
    with peer.running(peer_program, tmp_path, memory) as running:
        assert running.mappable == [[0, MEMORY_SIZE]]
        assert len(running.memory) == MEMORY_SIZE and running.memory[:4] == bytes(4)
