# SPDX-License-Identifier: GPL-2.0-or-later
"""Emulators and peers that go wrong in the middle of a check: status 2, a sentence, and nobody left behind."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from checker import peer, run_checker
from checker.conftest import CHECKER
from checker.findings import NOT_CHECKED
from checker.subject import CannotCheck
from checker.test_bad_input import MACHINES, VERSION, VFIO_USER, emulator, is_refused, program
from drivers.request import wait_until
from machines import qtest_client
from machines.qtest_client import Emulator, EmulatorError

SECONDS = 120.0
ENDING = (signal.SIGTERM, signal.SIGHUP)
SLEEP = "import time; time.sleep(600)"
# What a program finds when it is started as an emulator: the sockets of its qtest and of its monitor.
SOCKETS = """import os, re, sys
qtest, monitor = (int(re.search(rf"id={name},fd=(\\d+)", " ".join(sys.argv))[1]) for name in ("qtest", "monitor"))
"""
GREETING = b'{"QMP": {}}\n{"return": {}}\n'


def saying(qtest: bytes = b"", monitor: bytes = b"") -> str:
    """The command of a program that says this there, whatever it is asked, and stays."""
    script = f"{SOCKETS}os.write(qtest, {qtest!r}); os.write(monitor, {monitor!r}); {SLEEP}"
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(script)}"


@pytest.fixture
def recorded_peer(tmp_path: Path, peer_program: Path) -> Iterator[Path]:
    """The peer; at the end it must be gone."""
    its_pid = tmp_path / "pid"
    yield program(tmp_path / "peer", f'echo $$ >{its_pid}; exec {shlex.quote(str(peer_program))} "$@"')
    assert not is_running(its_pid)


def is_running(pid_file: Path) -> bool:
    return Path(f"/proc/{int(pid_file.read_text())}").exists()


@pytest.mark.parametrize(
    "nonsense",
    [b"OK nonsense\n" * 99, b"\xff\xfe\n", b"nonsense\n", b"OK\n" * 99],
    ids=["no numbers", "no text", "no verdict", "no values"],
)
def test_an_emulator_that_answers_nonsense_by_qtest(tmp_path: Path, recorded_peer: Path, nonsense: bytes) -> None:
    # A wrapper without exec, too: its emulator would stay, and with it the connection to the peer.
    wrapped = emulator(tmp_path, VERSION + MACHINES + VFIO_USER + f'*-qtest-log*) {saying(nonsense)} "$@" ;;\n')
    is_refused(wrapped, "doesn't take the peer's device: ", "qtest", other_peer=recorded_peer)


def run_here(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    """The checker in this process; its status."""
    monkeypatch.setattr(sys, "argv", ["run_checker.py", *map(str, arguments)])
    before = {number: signal.getsignal(number) for number in ENDING}
    try:
        return run_checker.main()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_an_emulator_that_hangs(
    tmp_path: Path, recorded_peer: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hung = emulator(tmp_path, VERSION + MACHINES + VFIO_USER + f'*-qtest-log*) {saying()} "$@" ;;\n')
    monkeypatch.setattr(qtest_client, "REPLY_SECONDS", 1.0)
    assert run_here(monkeypatch, hung, "--peer", recorded_peer) == NOT_CHECKED
    assert "doesn't take the peer's device: timed out" in capsys.readouterr().err


@pytest.mark.parametrize("number", ENDING)
def test_a_checker_that_is_ended_leaves_nobody_behind(
    tmp_path: Path, recorded_peer: Path, number: signal.Signals
) -> None:
    its_pid = tmp_path / "emulator.pid"
    asked = f"{SOCKETS}os.read(qtest, 1); print(os.getpid(), file=open('{its_pid}', 'w'), flush=True); {SLEEP}"
    hangs = f'*-qtest-log*) {shlex.quote(sys.executable)} -c {shlex.quote(asked)} "$@" ;;\n'
    hung = emulator(tmp_path, VERSION + MACHINES + VFIO_USER + hangs)
    command: list[str | Path] = [sys.executable, "-B", "-P", CHECKER, hung, "--peer", recorded_peer]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as checker:
        wait_until(lambda: its_pid.exists() and its_pid.read_text().endswith("\n"), "the checker", SECONDS)
        checker.send_signal(number)
        assert checker.wait(timeout=SECONDS) == NOT_CHECKED
    wait_until(lambda: is_gone(its_pid), "the emulator", SECONDS)


def test_what_nobody_has_thought_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(run_checker, "probe", lambda _: [].pop())
    assert run_here(monkeypatch, "/emulator") == NOT_CHECKED
    said = capsys.readouterr().err
    assert said.startswith("checker: something unexpected, which says nothing of /emulator: IndexError")
    assert "test_trouble.py" in said and len(said.splitlines()) == 1


def test_a_monitor_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qtest_client, "REPLY_SECONDS", 1.0)
    with (
        Emulator(shlex.split(saying()), tmp_path / "messages") as running,
        pytest.raises(EmulatorError, match="timed out when the monitor was asked"),
    ):
        running.quit()


def test_an_emulator_that_does_not_quit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qtest_client, "QUIT_SECONDS", 1.0)
    stays = shlex.split(saying(monitor=GREETING + b'{"return": {}}\n'))
    with (
        Emulator(stays, tmp_path / "messages") as running,
        pytest.raises(EmulatorError, match="hasn't ended in 1 s after its quit"),
    ):
        running.quit()


@pytest.mark.parametrize(("monitor", "what"), [
    (b'{"QMP": {}}\nnonsense\n', "when the monitor was asked"),
    (GREETING + b"[5]\n", r"the monitor answered \[5\]"),
    (GREETING + b'{"error": {"desc": "no"}}\n', "the monitor refused"),
], ids=["no JSON", "no object", "an error"])  # fmt: skip
def test_a_monitor_that_answers_nonsense(tmp_path: Path, monitor: bytes, what: str) -> None:
    command = shlex.split(saying(monitor=monitor))
    with Emulator(command, tmp_path / "messages") as running, pytest.raises(EmulatorError, match=what):
        running.quit()


def test_a_socket_that_is_closed(tmp_path: Path) -> None:
    with Emulator([sys.executable, "-c", SOCKETS], tmp_path / "messages") as running:
        running.state()
        with pytest.raises(EmulatorError):
            running.monitor("info mtree")
        with pytest.raises(EmulatorError):
            running.qtest.read32(0)
    with pytest.raises(EmulatorError, match="/nonexistent doesn't start"):
        Emulator(["/nonexistent"], tmp_path / "messages")


def test_a_wrappers_emulator_ends_with_it(tmp_path: Path) -> None:
    its_pid = tmp_path / "pid"
    script = f"echo ready; {shlex.quote(sys.executable)} -c '{SLEEP}' & echo $! >{its_pid}; wait"
    with Emulator([str(program(tmp_path / "wrapper", script))], tmp_path / "messages", own_group=True) as running:
        wait_until(lambda: its_pid.exists() and its_pid.read_text().endswith("\n"), "the wrapper", SECONDS)
        assert is_running(its_pid) and "ready" in running.messages()
    wait_until(lambda: is_gone(its_pid), "the wrapper's emulator", SECONDS)


def is_gone(pid_file: Path) -> bool:
    """Whether it has ended; init may not have reaped it yet."""
    try:
        return "State:\tZ" in Path(f"/proc/{int(pid_file.read_text())}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def staying(path: Path, its_pid: Path, said: str) -> Path:
    """A program that says this, and isn't ended by being asked to."""
    return program(path, f"trap '' TERM; echo $$ >{its_pid}; printf '{said}'; while :; do sleep 0.1; done")


@pytest.mark.parametrize("said", ["", "{"], ids=["nothing", "half a line"])
def test_a_peer_that_does_not_get_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setattr(peer, "READY_SECONDS", 2.0)
    monkeypatch.setattr(peer, "ENDING_SECONDS", 1.0)
    its_pid = tmp_path / "pid"
    silent = staying(tmp_path / "silent", its_pid, said)
    with pytest.raises(CannotCheck, match="isn't ready"), peer.running(silent, tmp_path):
        pass
    assert not its_pid.exists() or not is_running(its_pid)


def test_a_peer_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "ENDING_SECONDS", 1.0)
    its_pid, memory = tmp_path / "pid", tmp_path / "memory"
    memory.write_bytes(bytes(os.sysconf("SC_PAGESIZE")))
    ready = f'{{"memory": "{memory}", "memory_size": {memory.stat().st_size}, "mappable": []}}'
    stubborn = staying(tmp_path / "stubborn", its_pid, f"{ready}\\n")
    with pytest.raises(CannotCheck, match="didn't end when it was asked to"), peer.running(stubborn, tmp_path):
        pass
    assert not is_running(its_pid)
