# SPDX-License-Identifier: GPL-2.0-or-later
"""The two small builds by which each commit of the series is tried: with Rust and its tests, and without Rust.

Small: one machine, no optimisation, and of QEMU's features only those that have to do with a file of the series.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import compiling
import hosts
from workplace import Refused, Workplace

TARGET = "aarch64-softmmu"
DEVICES = "ram-device"  # configs/devices/TARGET/DEVICES.mak
KEPT = {"ARM_VIRT", "I2C_DEVICES", "PCI_DEVICES", "TEST_DEVICES"}
FEATURES = ("--without-default-features", "--enable-system", "--disable-user", "--enable-tools", "--enable-tcg",
            "--disable-kvm", "--enable-fdt=system", "--enable-linux-aio", "--enable-linux-io-uring",
            f"--with-devices-aarch64={DEVICES}", "-Doptimization=0", "-Ddebug=false")
PROGRAMS = ("qemu-system-aarch64", "qemu-img")  # qemu-img has the block layer without the memory core


@dataclass(frozen=True)
class CommitBuild:
    """One of the two builds: ``rust`` or ``norust``."""

    place: Workplace
    tree: Path
    variant: str
    python: Path

    @property
    def folder(self) -> Path:
        """Where it is built; it lies to its tree as an emulator's build does, for the compiler's cache."""
        return self.tree.parent / self.variant

    @property
    def log(self) -> Path:
        """What configure, ninja and Meson said."""
        return self.tree.parent / f"{self.variant}.log"

    def build(self) -> float:
        """Build the commit that the tree shows; how many seconds it took."""
        began = time.monotonic()
        choose_devices(self.place, self.tree)
        enable = "--enable-rust" if self.variant == "rust" else "--disable-rust"
        compiling.configure(self.place, self.tree, self.folder, self.configure_command(enable), self.python,
                            hosts.native(), self.log)
        self.run(["ninja", "build.ninja"])  # the lists of tests are as old as the last run of Meson
        self.run(["ninja", *PROGRAMS, *compiling.test_programs(self.folder, is_ours)])
        return time.monotonic() - began

    def configure_command(self, *options: str) -> list[str]:
        """How it is configured."""
        return compiling.command(self.tree, self.python, [TARGET], *FEATURES, *options, host=hosts.native())

    def test(self) -> tuple[Counter[str], float]:
        """Run the series' tests; how many programs ended in which way, and how many seconds it took."""
        began = time.monotonic()
        tests = json.loads((self.folder / "meson-info" / "intro-tests.json").read_text())
        names = sorted({test["name"] for test in tests if is_ours(test["name"], test["suite"])})
        if not names:
            return Counter(), 0.0
        results = self.folder / "meson-logs" / "testlog.json"
        results.unlink(missing_ok=True)
        # The builds aren't optimised, and the machine may have other work: a late answer is no wrong one.
        self.run([str(self.folder / "pyvenv" / "bin" / "meson"), "test", "--no-rebuild", "--print-errorlogs",
                  "--timeout-multiplier=10", *names])
        ended = Counter(json.loads(line)["result"] for line in results.read_text(encoding="utf-8").splitlines())
        if ended.total() != len(names):
            raise Refused(f"Meson ran {ended.total()} of {len(names)} test programs; see {self.log}")
        return ended, time.monotonic() - began

    def run(self, words: list[str]) -> None:
        """Run a command in the build folder; a failure says how to repeat it."""
        try:
            compiling.watch(self.place, words, self.folder, self.log)
        except Refused as failure:
            said = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:]
            raise Refused("\n  ".join([f"{failure}", *said, "Repeat:", f"cd {self.folder} && {' '.join(words)}"])
                          ) from failure


def is_ours(name: str, _: list[str]) -> bool:
    """Whether a test is the series': qtest-aarch64/ram-device-test, or the crate's own."""
    return "ram-device" in name


def choose_devices(place: Workplace, tree: Path) -> None:
    """Leave out all machines but virt: those that QEMU's default configuration shows how to leave out."""
    folder = tree / "configs" / "devices"
    default = "".join((folder / name / "default.mak").read_text(encoding="utf-8")
                      for name in (TARGET, TARGET.replace("aarch64", "arm")))
    text = "".join(f"CONFIG_{name}=n\n" for name in re.findall(r"^# CONFIG_(\w+)=n$", default, re.MULTILINE)
                   if name not in KEPT)
    chosen = folder / TARGET / f"{DEVICES}.mak"
    if not chosen.is_file() or chosen.read_text(encoding="utf-8") != text:
        chosen.write_text(text, encoding="utf-8")
    exclude = place.repository / "info" / "exclude"
    line = f"/{chosen.relative_to(tree)}\n"
    if not exclude.is_file() or line not in exclude.read_text(encoding="utf-8"):
        exclude.parent.mkdir(exist_ok=True)
        with exclude.open("a", encoding="utf-8") as out:
            out.write(line)
