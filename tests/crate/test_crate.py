# SPDX-License-Identifier: GPL-2.0-or-later
"""The crate by itself: its own tests, QEMU's lints, the oldest compiler, and no way to panic."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from crate_builds.library import QEMU_FLAGS, RUST, compile_crate, run_rustc

MSRV = "1.63"


def cargo(*arguments: str) -> str:
    """Run cargo in the workspace; its standard output."""
    done = subprocess.run(["cargo", *arguments], cwd=RUST, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def version(rustc: str) -> str:
    """A compiler's version."""
    return subprocess.run([rustc, "--version"], text=True, capture_output=True, check=True).stdout.split()[1]


def numbers(dotted: str) -> tuple[int, ...]:
    """A version, to be compared."""
    return tuple(map(int, re.findall(r"\d+", dotted)[:3]))


@dataclass(frozen=True)
class Crate:
    """One of the workspace."""

    name: str
    has_unit_tests: bool
    too_old: str
    """Why the compiler that cargo uses can't build it, if it can't."""

    def skip(self) -> pytest.MarkDecorator:
        """Skips what needs it built."""
        return pytest.mark.skipif(bool(self.too_old), reason=self.too_old)


def crates() -> list[Crate]:
    """Those of the workspace."""
    described = subprocess.run(["cargo", "metadata", "--quiet", "--format-version", "1", "--no-deps"], cwd=RUST,
                               text=True, capture_output=True, check=False)
    found = version("rustc")
    listed = []
    for crate in json.loads(described.stdout or '{"packages": []}')["packages"]:
        wanted = crate["rust_version"] or "0"
        is_old = numbers(found) < numbers(wanted)
        has_unit_tests = any("lib" in target["kind"] and target["test"] for target in crate["targets"])
        too_old = f"{crate['name']} needs rustc {wanted}, here is {found}" if is_old else ""
        listed.append(Crate(crate["name"], has_unit_tests, too_old))
    return listed or [Crate(f"(none found: {described.stderr})", True, "")]


def names_of_tests(crate: str, *which: str) -> list[str]:
    """The names of a crate's tests."""
    done = subprocess.run(["cargo", "test", "--quiet", "--package", crate, "--lib", "--", "--list", *which], cwd=RUST,
                          text=True, capture_output=True, check=False)
    return re.findall(r"^(\S+): test$", done.stdout, re.MULTILINE)


def cargo_tests() -> list[ParameterSet]:
    """All tests in the workspace, each with its crate, but for those that test_exhaustive.py runs."""
    tests = []
    for crate in filter(attrgetter("has_unit_tests"), crates()):
        every, ignored = names_of_tests(crate.name), names_of_tests(crate.name, "--ignored")
        names = [name for name in every if name not in ignored] or ["(none found)"]
        tests += [pytest.param(crate.name, name, marks=crate.skip(), id=f"{crate.name}-{name}") for name in names]
    return tests


@pytest.mark.parametrize(("crate", "name"), cargo_tests())
def test_cargo(crate: str, name: str) -> None:
    printed = cargo("test", "--quiet", "--package", crate, "--lib", "--", "--exact", name, "--show-output")
    assert sum(map(int, re.findall(r"(\d+) passed", printed))) == 1, printed
    if lacking := re.search(r"^skipped: (.*)$", printed, re.MULTILINE):
        pytest.skip(lacking[1])


@pytest.mark.parametrize("crate", [pytest.param(crate.name, marks=crate.skip(), id=crate.name) for crate in crates()])
def test_clippy_finds_nothing_with_the_lints_of_qemu(crate: str) -> None:
    cargo("clippy", "--quiet", "--package", crate, "--all-targets", "--", "--deny", "warnings")


def test_rustfmt_would_change_nothing() -> None:
    cargo("fmt", "--check")


def compilers() -> list[str]:
    """The compilers at hand: the one in PATH and the distribution's."""
    found = [shutil.which("rustc"), "/usr/bin/rustc"]
    return [rustc for rustc in dict.fromkeys(found) if rustc and Path(rustc).exists()]


def test_the_oldest_compiler_that_qemu_supports_builds_it(tmp_path: Path) -> None:
    oldest = [rustc for rustc in compilers() if version(rustc).startswith(MSRV + ".")]
    if not oldest:
        pytest.skip(f"no rustc {MSRV} here, only {', '.join(map(version, compilers()))}")
    build_object(oldest[0], tmp_path)


def build_object(rustc: str, folder: Path) -> Path:
    """The crate as an object file, with the flags that it gets in QEMU."""
    return compile_crate(functools.partial(run_rustc, rustc), folder, "obj", ("--deny", "warnings"))


@pytest.mark.parametrize("rustc", compilers(), ids=version)
def test_the_built_object_has_no_panic_symbol(rustc: str, tmp_path: Path) -> None:
    listed = subprocess.run(["nm", "--demangle", str(build_object(rustc, tmp_path))], text=True,
                            capture_output=True, check=True).stdout
    exported = re.findall(r"^[0-9a-f]+ T (ram_\w+)$", listed, re.MULTILINE)
    assert len(exported) == 10, listed
    assert not re.search("panic|unwrap_failed|expect_failed", listed), listed


def test_the_panic_check_finds_a_panic(tmp_path: Path) -> None:
    """The check above would be blind if panics had another name."""
    source = tmp_path / "panics.rs"
    source.write_text('#![no_std]\n#[no_mangle]\npub extern "C" fn at(a: &[u8; 4], i: usize) -> u8 { a[i] }\n')
    built = tmp_path / "panics.o"
    subprocess.run(["rustc", "--crate-type", "lib", "--emit", f"obj={built}", *QEMU_FLAGS, str(source)], check=True)
    listed = subprocess.run(["nm", "--demangle", str(built)], text=True, capture_output=True, check=True).stdout
    assert "panic" in listed
