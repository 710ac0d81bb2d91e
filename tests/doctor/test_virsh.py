# SPDX-License-Identifier: GPL-2.0-or-later
"""--virsh, with a virsh that is played: it hands on to a QMP socket, and adds an id to answers as libvirt does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from doctor.asking import CONCERNED, FINE, Run, doctor
from doctor.played import Play, bar, listening, part

pytestmark = pytest.mark.quick

FORWARDING = """#!{python} -BS
import json, socket, sys
assert len(sys.argv) == 4 and sys.argv[1:3] == ["qemu-monitor-command", "--domain=gh200"], sys.argv
with socket.socket(socket.AF_UNIX) as qemu:
    qemu.connect({socket!r})
    lines = qemu.makefile("rwb")
    lines.readline()
    lines.write(sys.argv[3].encode() + b"\\n")
    lines.flush()
    lines.readline()
    print(json.dumps({{**json.loads(lines.readline()), "id": "libvirt-417"}}), end="\\n\\n")
"""


def asked(folder: Path, script: str, *arguments: str, domain: str = "gh200") -> Run:
    """The doctor, where virsh is that script."""
    path = folder / "virsh"
    path.write_text(script)
    path.chmod(0o755)
    return doctor("--virsh", domain, *arguments, environment={"PATH": str(folder)})


def asked_of(play: Play, folder: Path) -> Run:
    script = FORWARDING.format(python=sys.executable, socket=str(folder / "qmp"))
    with listening(folder / "qmp", play.serve, clients=1000):
        return asked(folder, script)


def test_libvirt_tells_the_same_as_the_socket(tmp_path: Path) -> None:
    for number, play in enumerate((
        Play(),
        Play().with_gpu(bar(part(faults=1), part(waits=1))).with_disk(),
        Play().with_stock_gpu().with_disk(),
    )):  # fmt: skip
        folder = tmp_path / str(number)
        folder.mkdir()
        with listening(folder / "direct", play.serve):
            direct = doctor("--qmp", folder / "direct")
        assert asked_of(play, folder) == direct
        assert direct.status == (CONCERNED if number else FINE)


def test_no_virsh(tmp_path: Path) -> None:
    run = doctor("--virsh", "gh200", environment={"PATH": str(tmp_path)})
    run.is_refused("there is no virsh", "install libvirt-clients", "--qmp SOCKET")


def test_a_virsh_that_is_no_program(tmp_path: Path) -> None:
    asked(tmp_path, "no program").is_refused("virsh can't be run: ", "Exec format error")


def test_what_virsh_refuses_is_told_in_one_line(tmp_path: Path) -> None:
    script = "#!/bin/sh\necho \"error: failed to get domain '$2'\" >&2; echo >&2; exit 1\n"
    run = asked(tmp_path, script, domain="none")
    run.is_refused("virsh refuses: error: failed to get domain '--domain=none'", "virsh list", "LIBVIRT_DEFAULT_URI")
    asked(tmp_path, "#!/bin/sh\nexit 3\n").is_refused("virsh refuses: exit status 3")


@pytest.mark.parametrize("printed", ["", "nonsense", "7", '{"return"'])
def test_a_virsh_that_prints_no_json(tmp_path: Path, printed: str) -> None:
    asked(tmp_path, f"#!/bin/sh\necho '{printed}'\n").is_refused("virsh doesn't speak QMP")


def test_a_virsh_that_prints_other_json(tmp_path: Path) -> None:
    asked(tmp_path, "#!/bin/sh\necho '{}'\n").is_refused("virsh answers query-version with '{}', which isn't QMP")


def test_a_virsh_that_hangs(tmp_path: Path) -> None:
    script = "#!/bin/sh\nexec /bin/sleep 600\n"
    run = asked(tmp_path, script, "--timeout", "0.5")
    run.is_refused("virsh takes longer than 0.5 s to have query-version answered", "--timeout")
