# SPDX-License-Identifier: GPL-2.0-or-later
"""`make install`: nothing outside of PREFIX, and an emulator that starts from there with all that it needs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PREFIX = "opt/qemu-ram-device"
KEYMAPS = f"{PREFIX}/share/qemu/keymaps"
MACHINES = {"qemu-system-aarch64": "virt", "qemu-system-x86_64": "q35"}


def build(variant: str) -> Path:
    """The folder that a variant was built in."""
    named = os.environ.get(f"RAM_DEVICE_BUILD_{variant.upper()}")
    if not named:
        pytest.skip(f"RAM_DEVICE_BUILD_{variant.upper()} must name a build")
    if variant == "arm64" and not (Path(named) / "qemu-system-aarch64").is_file():
        pytest.skip("no emulator for arm64 hosts here: make ARCH=arm64 builds it")
    return Path(named)


def programs(variant: str) -> list[str]:
    """The emulators that it has."""
    return sorted(path.name for path in build(variant).glob("qemu-system-*") if path.is_file())


def install(variant: str, destination: Path) -> set[str]:
    """Install it below a folder; the files that are there then."""
    words = [f"BASE={os.environ['RAM_DEVICE_BASE']}", f"work={build(variant).parent}", f"PREFIX=/{PREFIX}",
             f"DESTDIR={destination}", *(["ARCH=arm64"] if variant == "arm64" else [])]  # fmt: skip
    subprocess.run(["make", "install", *words], cwd=ROOT, check=True, capture_output=True)
    return {str(path.relative_to(destination)) for path in destination.rglob("*") if not path.is_dir()}


@pytest.fixture
def destination(tmp_path: Path) -> Iterator[Path]:
    """Where it is installed; the emulators are large, so they don't stay."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def start(program: Path, *options: str) -> tuple[int, str]:
    """Start it, with a display that wants a keymap, and let its monitor end it; the status and what it said."""
    command = [str(program), "-M", MACHINES[program.name], "-nodefaults", "-S", "-display", "none", "-monitor", "stdio",
               "-vnc", "unix:vnc", *options]  # fmt: skip
    done = subprocess.run(command, cwd=program.parent, text=True, input="quit\n", capture_output=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("variant", ["patched", "arm64"])
def test_the_emulators_and_the_keymaps_are_written_below_prefix_and_nothing_else(
        variant: str, destination: Path) -> None:
    keymaps = {path.name for path in (Path(os.environ["RAM_DEVICE_TREE"]) / "pc-bios" / "keymaps").iterdir()}
    written = install(variant, destination)
    assert written == {*(f"{PREFIX}/bin/{name}" for name in programs(variant)),
                       *(f"{KEYMAPS}/{name}" for name in keymaps - {"meson.build"})}  # fmt: skip
    assert len(written) > len(programs(variant)) > 0
    assert all(os.access(destination / PREFIX / "bin" / name, os.X_OK) for name in programs(variant))
    assert install(variant, destination) == written


def test_an_installed_emulator_has_the_series_its_own_keymaps_and_the_distributions_firmware(destination: Path) -> None:
    install("patched", destination)
    shutil.copy(destination / KEYMAPS / "de", destination / KEYMAPS / "nowhere-else")
    for program in sorted((destination / PREFIX / "bin").iterdir()):
        shown = subprocess.run([program, "--version"], text=True, capture_output=True, check=True).stdout
        assert "(RAM device series, version 2)\n" in shown
        status, said = start(program, "-k", "nowhere-else", "-device", "virtio-net-pci,romfile=efi-virtio.rom")
        assert status == 0, said
        status, said = start(program, "-k", "absent")
        assert status == 1 and "could not read keymap file: 'absent'" in said
        status, said = start(program, "-device", "virtio-net-pci,romfile=absent.rom")
        assert status == 1 and 'failed to find romfile "absent.rom"' in said
