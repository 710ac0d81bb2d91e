# SPDX-License-Identifier: GPL-2.0-or-later
"""The crate by itself: its own tests, QEMU's lints, the oldest compiler, and no way to panic."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

RUST = Path(__file__).resolve().parents[2] / "rust"
CRATE = RUST / "ram-device"
MSRV = "1.63"
# What QEMU's default build type gives rustc: core's own checks are on as well.
QEMU_FLAGS = ["-O", "-C", "debug-assertions=on", "-C", "overflow-checks=on"]


def cargo(*arguments: str) -> str:
    """Run cargo in the workspace; its standard output."""
    done = subprocess.run(["cargo", *arguments], cwd=RUST, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def cargo_tests() -> list[str]:
    """The names of all tests in the workspace."""
    listed = subprocess.run(["cargo", "test", "--quiet", "--lib", "--", "--list"], cwd=RUST, text=True,
                            capture_output=True)
    return re.findall(r"^(\S+): test$", listed.stdout, re.MULTILINE)


@pytest.mark.parametrize("name", cargo_tests() or ["(none found)"])
def test_cargo(name: str) -> None:
    printed = cargo("test", "--quiet", "--lib", "--", "--exact", name)
    assert sum(map(int, re.findall(r"(\d+) passed", printed))) == 1, printed


def test_clippy_finds_nothing_with_the_lints_of_qemu() -> None:
    cargo("clippy", "--quiet", "--all-targets", "--", "--deny", "warnings")


def test_rustfmt_would_change_nothing() -> None:
    cargo("fmt", "--check")


def compilers() -> list[str]:
    """The compilers at hand: the one in PATH and the distribution's."""
    found = [shutil.which("rustc"), "/usr/bin/rustc"]
    return [rustc for rustc in dict.fromkeys(found) if rustc and Path(rustc).exists()]


def version(rustc: str) -> str:
    """A compiler's version."""
    return subprocess.run([rustc, "--version"], text=True, capture_output=True, check=True).stdout.split()[1]


def test_the_oldest_compiler_that_qemu_supports_builds_it(tmp_path: Path) -> None:
    oldest = [rustc for rustc in compilers() if version(rustc).startswith(MSRV + ".")]
    if not oldest:
        pytest.skip(f"no rustc {MSRV} here, only {', '.join(map(version, compilers()))}")
    build_object(oldest[0], tmp_path)


def build_object(rustc: str, folder: Path) -> Path:
    """The crate as an object file, with the flags that it gets in QEMU."""
    built = folder / "ram_device.o"
    done = subprocess.run([rustc, "--edition", "2021", "--crate-type", "lib", "--emit", f"obj={built}",
                           "-C", "codegen-units=1", "--deny", "warnings", *QEMU_FLAGS, str(CRATE / "src/lib.rs")],
                          text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return built


@pytest.mark.parametrize("rustc", compilers(), ids=version)
def test_the_built_object_has_no_panic_symbol(rustc: str, tmp_path: Path) -> None:
    listed = subprocess.run(["nm", "--demangle", str(build_object(rustc, tmp_path))], text=True,
                            capture_output=True, check=True).stdout
    exported = re.findall(r"^[0-9a-f]+ T (ram_device_\w+)$", listed, re.MULTILINE)
    assert len(exported) == 7, listed
    assert not re.search("panic|unwrap_failed|expect_failed", listed), listed


def test_the_panic_check_finds_a_panic(tmp_path: Path) -> None:
    """The check above would be blind if panics had another name."""
    source = tmp_path / "panics.rs"
    source.write_text('#![no_std]\n#[no_mangle]\npub extern "C" fn at(a: &[u8; 4], i: usize) -> u8 { a[i] }\n')
    built = tmp_path / "panics.o"
    subprocess.run(["rustc", "--edition", "2021", "--crate-type", "lib", "--emit", f"obj={built}", *QEMU_FLAGS,
                    str(source)], check=True)
    listed = subprocess.run(["nm", "--demangle", str(built)], text=True, capture_output=True, check=True).stdout
    assert "panic" in listed
