# SPDX-License-Identifier: GPL-2.0-or-later
"""What QEMU is built with for the host that it is to run on: this machine, or one of another architecture.

A cross build takes the distribution's cross compiler, a sysroot, and a rustc that has the standard library for both
architectures: the distribution's, if the base makes do with it, else Debian's backport. A rustc of somebody's own in
PATH has none for the other architecture.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import rust_distribution
import rust_web
from debian_packages import ARCHITECTURES
from sysroot import sysroot
from workplace import NotAvailable, Refused, Workplace

CONFIGURE_CROSS = Path(__file__).with_name("configure-cross")


@dataclass(frozen=True)
class Host:
    """The compilers for it, and how QEMU's configure gets to know them."""

    cc: tuple[str, ...]
    rustc: str = "rustc"
    configure: tuple[str, ...] = ()  # what runs QEMU's configure, if it doesn't run by itself
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


def native() -> Host:
    """This machine."""
    return Host(tuple(shlex.split(os.environ.get("CC") or "gcc")))


def sanitizing() -> Host:
    """This machine, by the compiler that libFuzzer is part of."""
    return Host(("clang",), options=("--cxx=clang++",))


def cross(place: Workplace, architecture: str, oldest_rust: str) -> Host:
    """A host of another architecture, by Debian's name of it; NotAvailable says why there are no compilers for it."""
    cpus = [cpu for cpu, name in ARCHITECTURES.items() if name == architecture]
    if not cpus or cpus[0] == platform.machine():
        raise Refused(f"asked for ARCH={architecture}; on {platform.machine()} QEMU can be built for "
                      f"{' and '.join(ARCHITECTURES.values())}, and cross-built for the other one of them")
    cpu, = cpus
    prefix = f"{cpu}-linux-gnu-"
    if not shutil.which(f"{prefix}gcc"):
        raise NotAvailable(f"no {prefix}gcc here: run scripts/needs")
    root = sysroot(architecture)
    tools = place.root / f"tools-{architecture}"
    tools.mkdir(parents=True, exist_ok=True)
    libraries = {"PKG_CONFIG_SYSROOT_DIR": str(root),
                 "PKG_CONFIG_LIBDIR": f"{root}/usr/lib/{cpu}-linux-gnu/pkgconfig:{root}/usr/share/pkgconfig"}
    headers = {"BINDGEN_EXTRA_CLANG_ARGS": f"--target={cpu}-linux-gnu --sysroot={root}"}  # QEMU 10.0 says neither
    compiler = rustc(tools / "rustc", cpu, oldest_rust)
    return Host(
        cc=(f"{prefix}gcc", f"--sysroot={root}"),
        rustc=compiler,
        configure=(str(CONFIGURE_CROSS),),
        options=(f"--cross-prefix={prefix}", f"--rustc={compiler}"),
        environment={"PKG_CONFIG": script(tools / "pkg-config", libraries, ["pkg-config"]),
                     "BINDGEN": script(tools / "bindgen", headers, ["bindgen"])},
    )


def rustc(path: Path, cpu: str, oldest: str) -> str:
    """A rustc of that version or a newer one which has the standard library for both architectures."""
    if Path(rust_distribution.COMPILER).exists() and numbers(rust_distribution.version()) >= numbers(oldest):
        return script(path, {}, [rust_distribution.compiler(), "--sysroot", str(rust_distribution.sysroot(cpu))])
    web = rust_web.compiler(cpu)
    return script(path, {"LD_LIBRARY_PATH": ":".join(map(str, web.libraries))},
                  [str(web.program), "--sysroot", str(web.root / "usr")])


def numbers(version: str) -> list[int]:
    """A version's numbers, to compare."""
    return [int(number) for number in re.findall(r"\d+", version)][:3]


def script(path: Path, environment: dict[str, str], command: list[str]) -> str:
    """A program that runs that command with further arguments; its path."""
    words = " ".join([*(f"{name}={shlex.quote(value)}" for name, value in environment.items()), "exec",
                      shlex.join(command)])
    text = f'#!/bin/sh\n{words} "$@"\n'
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)
        path.chmod(0o755)
    return str(path)
