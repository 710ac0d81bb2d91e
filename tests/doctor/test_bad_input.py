# SPDX-License-Identifier: GPL-2.0-or-later
"""What can't be asked ends with status 2 and one sentence, that says what to do."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from doctor.asking import DOCTOR, NOT_ASKED, Run, doctor, impatient_doctor
from doctor.played import GPU, GREETING, Play, listening

pytestmark = pytest.mark.quick

VERSION = b'{"return": {"qemu": {"major": 10, "minor": 0, "micro": 0}, "package": ""}}\n'
SHORT = ("--timeout", "0.5")


def answered(folder: Path, *answers: bytes) -> Run:
    """The doctor, when a server sends the first of these at once, and each other one when it is asked something."""

    def behaviour(client: socket.socket) -> None:
        client.sendall(answers[0])
        for answer in answers[1:]:
            client.recv(1 << 16)
            client.sendall(answer)

    with listening(folder / "qmp", behaviour):
        return doctor("--qmp", folder / "qmp")


def test_nothing_is_there(tmp_path: Path) -> None:
    doctor("--qmp", tmp_path / "qmp").is_refused("there is no", "has the VM been started", "-qmp unix:")
    doctor("--qmp", tmp_path / "file" / "qmp").is_refused("there is no")


def test_what_is_there_is_no_socket(tmp_path: Path) -> None:
    doctor("--qmp", tmp_path).is_refused("is no socket")
    doctor("--qmp", "").is_refused("is no socket")
    (tmp_path / "file").touch()
    doctor("--qmp", tmp_path / "file").is_refused("is no socket")
    doctor("--qmp", tmp_path / "file" / "below").is_refused("Not a directory")


def test_a_path_that_is_too_long_for_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.chdir(folder)
    with listening(Path("qmp"), Play().serve):
        doctor("--qmp", folder / "qmp").is_refused("too long for a socket", "relative path")
        assert doctor("--qmp", "qmp").status == 0


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(tmp_path / "qmp"))
    doctor("--qmp", tmp_path / "qmp").is_refused("nobody listens", "has ended")


def test_another_client_holds_the_monitor(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "qmp"))
        server.listen(1)
        run = doctor("--qmp", tmp_path / "qmp", *SHORT)
        run.is_refused("another client holds it", "--virsh DOMAIN", "socket of its own")
        with socket.socket(socket.AF_UNIX) as waiting:
            waiting.connect(str(tmp_path / "qmp"))
            doctor("--qmp", tmp_path / "qmp", *SHORT).is_refused("held by another client", "--virsh DOMAIN")


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n", b"7\n", b"\n"])
def test_garbage_in_place_of_a_greeting(tmp_path: Path, greeting: bytes) -> None:
    answered(tmp_path, greeting).is_refused("doesn't speak QMP", "name the socket of QEMU's -qmp")


def test_json_that_is_no_greeting(tmp_path: Path) -> None:
    answered(tmp_path, b'{"jsonrpc": "2.0"}\n').is_refused("which isn't QMP")


def test_the_human_monitor(tmp_path: Path) -> None:
    said = b"QEMU 10.0.13 monitor - type 'help' for more information\r\n(qemu) "
    answered(tmp_path, said).is_refused("is QEMU's human monitor", "-qmp")


def test_a_stream_without_an_end(tmp_path: Path) -> None:
    answered(tmp_path, b"x" * (17 << 20)).is_refused("without an end")


def test_a_server_that_closes(tmp_path: Path) -> None:
    for number, answers in enumerate([[b""], [b'{"QMP"'], [GREETING, b""], [GREETING, b'{"return": {}}\n', b'{"retu']]):
        folder = tmp_path / str(number)
        folder.mkdir()
        answered(folder, *answers).is_refused("has closed", "it has ended (its log may say why), or it isn't QEMU")


def test_a_server_that_never_answers_what_it_was_asked(tmp_path: Path) -> None:
    is_over = threading.Event()

    def silent(client: socket.socket) -> None:
        client.sendall(GREETING)
        is_over.wait()

    with listening(tmp_path / "qmp", silent):
        try:
            impatient_doctor("--qmp", tmp_path / "qmp").is_refused("takes longer than 0.5 s", "hangs", "--timeout")
        finally:
            is_over.set()


def test_a_server_that_sends_events_for_ever(tmp_path: Path) -> None:
    def busy(client: socket.socket) -> None:
        client.sendall(GREETING)
        while True:
            client.sendall(b'{"event": "NICE"}\n' * 1000)

    with listening(tmp_path / "qmp", busy):
        impatient_doctor("--qmp", tmp_path / "qmp").is_refused("takes longer than 0.5 s")


def test_a_server_that_refuses_to_negotiate(tmp_path: Path) -> None:
    answered(tmp_path, GREETING, b'{"error": {"desc": "no"}}\n').is_refused("refuses to negotiate", "no")
    (tmp_path / "qmp").unlink()
    answered(tmp_path, GREETING, b'{"answer": 42}\n').is_refused("which isn't QMP")


def wrong_bars(*bars: object) -> Play:
    return Play().add(GPU, "vfio-pci", bars=list(bars))


def with_part(part: object) -> dict[str, object]:
    return {"bar": 4, "size": 4096, "mapped": [part]}


@pytest.mark.parametrize("play", [
    lambda: Play(package=7),  # type: ignore[arg-type]
    lambda: Play(version=("10", "0", "0")),  # type: ignore[arg-type]
    lambda: Play(version=(True, 0, 0)),
    lambda: Play().add(GPU, "vfio-pci", bars="all"),
    lambda: wrong_bars("one"),
    lambda: wrong_bars({}),
    lambda: wrong_bars({"bar": 4, "size": "large", "mapped": []}),
    lambda: wrong_bars({"bar": 4, "size": 4096, "mapped": None}),
    lambda: wrong_bars({"bar": 4, "size": 4096, "mapped": [], "not-mapped": 7}),
    lambda: wrong_bars(with_part("one")),
    lambda: wrong_bars(with_part({"offset": 0, "size": 1, "bounced": "yes", "read-only": False})),
    lambda: wrong_bars(with_part({"offset": 0, "size": 1, "bounced": True, "read-only": False, "faults": "many"})),
    lambda: Play().with_disk(bounce_buffer="large"),  # type: ignore[arg-type]
    lambda: Play().with_disk(iommu=1),  # type: ignore[arg-type]
])  # fmt: skip
def test_answers_of_other_kinds_than_qemus(tmp_path: Path, play: Callable[[], Play]) -> None:
    with listening(tmp_path / "qmp", play().serve):
        doctor("--qmp", tmp_path / "qmp").is_refused("is it QEMU?")


@pytest.mark.parametrize("listed", [b"7", b"[7]", b'[{"name": "disk"}]', b'[{"type": "string"}]', b"null"])
def test_lists_of_other_kinds_than_qemus(tmp_path: Path, listed: bytes) -> None:
    no_buffers = b'{"error": {"class": "GenericError", "desc": "no such property"}}\n'
    answers = [GREETING, b'{"return": {}}\n', VERSION, no_buffers, b'{"return": ' + listed + b"}\n"]
    answered(tmp_path, *answers).is_refused("is it QEMU?")


def test_arguments_that_say_nothing() -> None:
    for arguments in ((), ("--qmp",), ("--qmp", "a", "--virsh", "b"), ("--qmp", "a", "--timeout", "0"),
                      ("--qmp", "a", "--timeout", "inf"), ("--qmp", "a", "--timeout", "nan")):  # fmt: skip
        run = doctor(*arguments)
        assert run.status == NOT_ASKED
        assert "usage: doctor.py" in run.errors


def test_names_that_the_terminal_cannot_show(tmp_path: Path) -> None:
    play = Play().with_stock_gpu().add("/machine/peripheral/\ud800é", "virtio-blk-pci")
    with listening(tmp_path / "qmp", play.serve):
        run = doctor("--qmp", tmp_path / "qmp", environment={"PYTHONIOENCODING": "ascii"})
    assert (run.status, run.errors) == (1, "")
    assert "\\ud800\\xe9" in run.printed


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-B", "-S", str(DOCTOR), "--qmp", str(tmp_path / "qmp"), "--json"]
    with listening(tmp_path / "qmp", Play().serve), os.fdopen(write, "wb") as broken:
        done = subprocess.run(command, stdout=broken, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (NOT_ASKED, b"")


def test_events_and_answers_may_come_in_one_piece_or_byte_by_byte(tmp_path: Path) -> None:
    play = Play()

    def slowly(client: socket.socket) -> None:
        client.sendall(GREETING)
        with client.makefile("rb") as lines:
            for line in lines:
                for byte in json.dumps(play.answer(json.loads(line))).encode() + b"\n":
                    client.sendall(bytes([byte]))

    with listening(tmp_path / "qmp", slowly):
        assert doctor("--qmp", tmp_path / "qmp").status == 0
