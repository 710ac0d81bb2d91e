# SPDX-License-Identifier: GPL-2.0-or-later
"""The peer as a program: its arguments, and how it ends. What it does for clients is tested in the crate."""

from __future__ import annotations

import signal
import socket
import subprocess
from pathlib import Path

import pytest

from checker import peer

SECONDS = 120


def refused(peer_program: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run([peer_program, *arguments], text=True, capture_output=True, timeout=SECONDS, check=False)
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize(("arguments", "named"), [
    ([], "--socket is missing"),
    (["--socket"], "--socket wants a value"),
    (["--memory", "1M"], '"--memory"'),
    (["--socket", "s", "--memory-size", "3M"], "power of two"),
    (["--socket", "s", "--sparse", "some"], "whole or holes"),
    (["--socket", "s", "--pinnable", "perhaps"], "yes or no"),
])  # fmt: skip
def test_bad_arguments_are_named_and_the_status_is_2(peer_program: Path, arguments: list[str], named: str) -> None:
    status, said = refused(peer_program, *arguments)
    assert status == 2 and named in said and len(said.splitlines()) == 1


def test_what_is_at_the_sockets_path_is_left_alone(peer_program: Path, tmp_path: Path) -> None:
    path = tmp_path / "here"
    path.write_text("mine")
    status, said = refused(peer_program, "--socket", str(path))
    assert status == 1 and f"{path} exists" in said and path.read_text() == "mine"


def test_a_folder_that_is_not_there_is_named(peer_program: Path, tmp_path: Path) -> None:
    status, said = refused(peer_program, "--socket", str(tmp_path / "none/socket"))
    assert status == 1 and "none/socket: No such file" in said
    status, said = refused(peer_program, "--socket", str(tmp_path / "s"), "--accesses", str(tmp_path / "none/log"))
    assert status == 1 and "none/log: No such file" in said and not (tmp_path / "s").exists()


@pytest.mark.parametrize("wish", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("has_client", [False, True])
def test_a_signal_ends_it_and_its_socket(peer_program: Path, tmp_path: Path, wish: int, has_client: bool) -> None:
    path = tmp_path / "socket"
    process = subprocess.Popen(
        [peer_program, "--socket", path], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process, socket.socket(socket.AF_UNIX) as client:
        assert process.stdout and process.stdout.readline().startswith("{")
        if has_client:
            client.connect(str(path))
            assert process.stderr and "client 1 is here" in process.stderr.readline()
        process.send_signal(wish)
        assert process.wait(timeout=SECONDS) == 0
    assert not path.exists()


def test_help_is_printed(peer_program: Path) -> None:
    done = subprocess.run([peer_program, "--help"], text=True, capture_output=True, check=True)
    assert "usage: vfio-user-gpu --socket PATH" in done.stdout


def test_the_memory_of_bar_4_goes_away_and_comes_back_as_zeroes(peer_program: Path, tmp_path: Path) -> None:
    with peer.running(peer_program, tmp_path) as running:
        size = len(running.memory)
        running.memory[:4] = b"here"
        with running.memory_gone():
            assert running.memory.size() == 0
        assert running.memory.size() == size and running.memory[:4] == bytes(4)
