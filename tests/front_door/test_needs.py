# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/needs never removes a package, and names the conflict. apt-get is played: nothing is installed here."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from debian_source import is_debian

pytestmark = pytest.mark.quick

NEEDS = Path(__file__).resolve().parents[2] / "scripts" / "needs"
TOOLS = ("cat", "env", "find", "grep", "sed", "sh", "tr")
APT_GET = """#!/bin/sh
echo "$*" >>{calls}
case " $* " in
*" --remove --simulate "*) echo "{simulated}" ;;
*" --simulate "*) ;;
*" gdb "*) {install} ;;
esac
"""


def run(
    folder: Path, simulated: str, user: int = 0, package: str = "gdb", helps: bool = True
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run it, for one package alone, where its programs aren't; and what apt-get was asked."""
    calls, install = folder / "calls", f"/bin/ln -s /bin/true {folder}/gdb" if helps else ":"
    calls.touch()
    for tool in TOOLS:
        (folder / tool).symlink_to(shutil.which(tool) or pytest.fail(f"no {tool} here"))
    apt_get = APT_GET.format(calls=calls, simulated=simulated, install=install)
    programs = {"apt-get": apt_get, "id": f"#!/bin/sh\necho {user}\n"}
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    done = subprocess.run([str(NEEDS), package], env={"PATH": str(folder)}, text=True, capture_output=True, check=False)
    return done, calls.read_text().splitlines()


def installs(calls: list[str]) -> list[str]:
    """The calls that change the machine."""
    return [call for call in calls if "--simulate" not in call and "update" not in call]


def test_what_would_have_to_go_is_named_and_nothing_is_installed(tmp_path: Path) -> None:
    done, calls = run(tmp_path, "Remv qemu-utils [1:10.0.2]")
    assert done.returncode == 1
    assert "to install gdb apt-get would remove qemu-utils, so nothing was done" in done.stderr
    assert installs(calls) == []


def test_what_is_missing_is_installed_in_a_way_that_removes_nothing(tmp_path: Path) -> None:
    done, calls = run(tmp_path, "Inst gdb (13.1 Debian [amd64])")
    assert done.returncode == 0, done.stderr
    (install,) = installs(calls)
    assert install.split() == ["install", "--yes", "--no-install-recommends", "--no-remove", "-o",
                               "DPkg::Lock::Timeout=600", "--quiet", "gdb"]  # fmt: skip


def test_a_package_that_is_installed_and_does_not_help_is_named(tmp_path: Path) -> None:
    done, calls = run(tmp_path, "Inst gdb (13.1 Debian [amd64])", helps=False)
    assert (done.returncode, len(installs(calls))) == (1, 1)
    assert f"gdb: installed, but what comes first in PATH is something else, or too old ({tmp_path})" in done.stderr


def test_who_is_not_root_is_told_the_command(tmp_path: Path) -> None:
    done, calls = run(tmp_path, "", user=1000)
    assert done.returncode == 1
    assert "as root, run:  apt-get update && apt-get install --no-install-recommends gdb" in done.stderr
    assert calls == []


def test_debians_emulator_is_unpacked_and_not_installed(tmp_path: Path) -> None:
    if not is_debian():
        pytest.skip("this machine isn't Debian's")
    done, calls = run(tmp_path, "", package="qemu-system-x86")
    assert (done.returncode, done.stdout, calls) == (0, "", [])
