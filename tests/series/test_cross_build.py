# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/hosts.py, sysroot.py and configure-cross: what a cross build is made with. None of it is downloaded here."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import emulator
import hosts
import rust_distribution
import rust_web
import sysroot
from series.conftest import REPOSITORY
from workplace import NotAvailable, Refused, Workplace

pytestmark = pytest.mark.quick

DEPENDS = {
    "libglib2.0-dev": "  Depends: libglib2.0-0\n  Depends: libglib2.0-dev-bin\n  Depends: zlib1g-dev\n",
    "libglib2.0-0": "  Depends: libc6\n |Depends: libpcre2-8-0\n  Depends: <virtual>\n    python3\n",
    "libglib2.0-dev-bin": "  Depends: python3\n",
    "libc6-dev": "  Depends: libc6\n  Depends: libc-dev-bin\n  Depends: libnsl-dev\n  Depends: linux-libc-dev\n",
    "libpcre2-8-0": "  PreDepends: libc6\n  Recommends: perl\n",
}
# What QEMU's configure does with its files for Meson, as 10.0 has it, and what 10.2 has in place of its slip.
CONFIGURE = """\
#!/bin/sh
source=$(cd "$(dirname -- "$0")"; pwd)
cross="config-meson.cross.new"
  if test "$cross_compile" = "yes"; then
    cross_arch=yes
  fi
    echo "[binaries]" > $cross
    echo "rust = ['$1', '--target']" >> $cross
    echo "[host_machine]" >> $cross
    echo "system = 'linux'" >> $cross
    native="config-meson.native.new"
    echo "[binaries]" > $native
    if test "$rust" != disabled; then
      echo "rust = ['$1']" >> $SLIP
    fi
    mv $native config-meson.native
  mv $cross config-meson.cross
echo "$source $#"
"""


class PlayedApt:
    """Knows DEPENDS."""

    def depends(self, packages: Sequence[str]) -> str:
        return "".join(f"{name}\n{DEPENDS.get(name, '')}" for name in packages)


def configured(folder: Path, slip: str, text: str = CONFIGURE) -> tuple[str, str]:
    """The two files for Meson, after configure was run by configure-cross."""
    (folder / "tree").mkdir()
    configure = folder / "tree" / "configure"
    configure.write_text(text.replace("$SLIP", f"${slip}"))
    done = subprocess.run([str(hosts.CONFIGURE_CROSS), str(configure), "the rustc"], cwd=folder, text=True, check=False,
                          capture_output=True, env={"PATH": "/usr/bin:/bin", "BINDGEN": "/tools/bindgen"})
    assert (done.returncode, done.stdout) == (0, f"{folder / 'tree'} 1\n"), done.stderr
    return (folder / "config-meson.cross").read_text(), (folder / "config-meson.native").read_text()


@pytest.mark.parametrize("slip", ["cross", "native"])
def test_this_machines_rustc_is_named_in_the_file_about_this_machine(slip: str, tmp_path: Path) -> None:
    cross, native = configured(tmp_path, slip)
    assert native == "[binaries]\nrust = ['the rustc']\n"
    assert cross == ("[binaries]\nrust = ['the rustc', '--target']\nbindgen = '/tools/bindgen'\n"
                     "[host_machine]\nsystem = 'linux'\n")


def test_configure_itself_is_left_as_it_is(tmp_path: Path) -> None:
    configured(tmp_path, "cross")
    assert (tmp_path / "tree" / "configure").read_text() == CONFIGURE.replace("$SLIP", "$cross")


def test_a_configure_that_names_no_host_machine_is_refused(tmp_path: Path) -> None:
    configure = tmp_path / "configure"
    configure.write_text("touch it-was-run\n")
    done = subprocess.run([str(hosts.CONFIGURE_CROSS), str(configure)], cwd=tmp_path, text=True, capture_output=True,
                          check=False)
    assert done.returncode == 1 and "look where bindgen is to be named" in done.stderr
    assert not (tmp_path / "it-was-run").exists()


def test_the_sysroot_has_the_libraries_of_libraries_and_no_programs() -> None:
    found = sysroot.needed(PlayedApt())  # type: ignore[arg-type]
    assert sorted(found) == sorted({*sysroot.LIBRARIES, "libglib2.0-0", "libc6", "libpcre2-8-0", "linux-libc-dev"})


def test_the_sysroot_has_every_library_that_a_native_build_needs() -> None:
    needs = (REPOSITORY / "scripts" / "needs").read_text()
    wanted = {line.split("|")[0].strip() for line in needs.splitlines() if "pkg-config --exists" in line}
    assert len(wanted) > 4 and wanted <= set(sysroot.LIBRARIES)


def test_links_to_absolute_paths_lead_into_the_sysroot(tmp_path: Path) -> None:
    for folder in ("lib", "usr/lib"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "lib" / "libz.so.1").write_text("the library")
    (tmp_path / "usr" / "lib" / "libz.so").symlink_to("/lib/libz.so.1")
    (tmp_path / "usr" / "lib" / "beside.so").symlink_to("libz.so")
    sysroot.make_links_relative(tmp_path)
    assert (tmp_path / "usr" / "lib" / "libz.so").readlink() == Path("../../lib/libz.so.1")
    assert (tmp_path / "usr" / "lib" / "beside.so").read_text() == "the library"


@pytest.mark.parametrize(("has", "oldest", "taken"), [
    ("1.63.0", "1.63", "the distribution's"), ("1.63.0", "1.83", "the backport"),
    ("1.85.0", "1.83", "the distribution's")])  # fmt: skip
def test_the_distributions_rustc_is_taken_where_it_is_new_enough(
        has: str, oldest: str, taken: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "usr" / "bin" / "rustc"
    program.parent.mkdir(parents=True)
    for path, name in ((tmp_path / "own-rustc", "the distribution's"), (program, "the backport")):
        path.write_text(f'#!/bin/sh\necho "{name} $*"\n')
        path.chmod(0o755)
    monkeypatch.setattr(rust_distribution, "COMPILER", str(tmp_path / "own-rustc"))
    monkeypatch.setattr(rust_distribution, "version", lambda: has)
    monkeypatch.setattr(rust_distribution, "sysroot", lambda cpu: Path("/standard") / cpu)
    monkeypatch.setattr(rust_web, "compiler", lambda _: rust_web.Tool(tmp_path, "rustc"))
    root = "/standard/aarch64" if taken == "the distribution's" else f"{tmp_path}/usr"
    rustc = hosts.rustc(tmp_path / "rustc", "aarch64", oldest)
    said = subprocess.run([rustc, "-vV"], text=True, capture_output=True, check=True).stdout
    assert said == f"{taken} --sysroot {root} -vV\n"


def test_a_cross_compiler_that_is_not_here_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(NotAvailable, match="no aarch64-linux-gnu-gcc here"):
        hosts.cross(Workplace("10.0", tmp_path), "arm64", "1.63")


@pytest.mark.parametrize("architecture", ["amd64", "riscv64"])
def test_an_architecture_that_needs_no_cross_build_or_is_not_known_is_refused(
        architecture: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    with pytest.raises(Refused, match=f"asked for ARCH={architecture}; on x86_64"):
        hosts.cross(Workplace("10.0", tmp_path), architecture, "1.63")


def test_what_a_cross_build_lacks_is_noted_in_place_of_the_emulator_where_that_is_asked_for(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def cross(*_: object) -> hosts.Host:
        raise NotAvailable("no network")

    command = ["emulator.py", "arm64", "--work", str(tmp_path), "--python", sys.executable]
    monkeypatch.setattr(hosts, "cross", cross)
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(NotAvailable, match="no network"):
        emulator.main()
    assert not (tmp_path / "build-arm64").exists()
    monkeypatch.setattr(sys, "argv", [*command, "--if-available"])
    emulator.main()
    assert (tmp_path / "build-arm64" / emulator.NOT_AVAILABLE).read_text() == "no network\n"
