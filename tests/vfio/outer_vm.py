# SPDX-License-Identifier: GPL-2.0-or-later
"""The outer VM: a Linux kernel that has an IOMMU and vfio-pci, on a machine that needs neither.

It boots Debian's kernel under TCG, with the host's root read-only and one writable work folder, both
under the very paths that they have on the host, and runs one command there. Nothing is installed on
the host and nothing needs root: the kernel is downloaded as a package and unpacked into a cache.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

KERNEL_PACKAGE = "linux-image-amd64"
MODULES = ("virtio_pci", "virtio_blk", "9pnet_virtio", "9p", "vfio_iommu_type1", "vfio_pci")
# Each program that the VM takes from the host, and the Debian package that has it.
PROGRAMS = {"qemu-system-x86_64": "qemu-system-x86", "busybox": "busybox-static"}

MACHINE = (
    "-M", "q35,kernel-irqchip=off", "-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "2048",
    "-device", "intel-iommu,caching-mode=on",
    "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot",
)  # fmt: skip
KERNEL_COMMAND_LINE = "console=ttyS0 quiet panic=-1 intel_iommu=on"

# A line that fails ends init; the kernel then panics and, by panic=-1 and -no-reboot, the VM ends.
INIT = """#!/bin/busybox sh
set -e
alias mount='/bin/busybox mount'
for module in /modules/*; do /bin/busybox insmod $module; done
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro host /host
mount -t proc proc /host/proc
mount -t sysfs sysfs /host/sys
mount -t devtmpfs devtmpfs /host/dev
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 work /host{work}
status=0
/bin/busybox chroot /host {command} || status=$?
echo $status > /host{work}/exit-status
/bin/busybox poweroff -f
"""


class OuterVmError(Exception):
    """The outer VM can't be made, or it ended without having done its work."""


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel package."""

    image: Path
    modules: Path


def missing_packages() -> list[str]:
    """The Debian packages of the programs that aren't here."""
    return [package for program, package in PROGRAMS.items() if shutil.which(program) is None]


def debian_kernel(cache: Path) -> Kernel:
    """Debian's kernel from the cache; it is downloaded when the cache hasn't got it."""
    unpacked = cache / KERNEL_PACKAGE
    if not unpacked.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="download-") as folder:
            _run(["apt-get", "download", _newest_kernel_package()], Path(folder))
            (archive,) = Path(folder).glob("*.deb")
            if log := os.environ.get("RAM_DEVICE_DOWNLOADS"):  # `make` sums up what was downloaded
                with open(log, "a", encoding="utf-8") as downloads:
                    downloads.write(f"{archive.stat().st_size}\t{archive.name}\n")
            _run(["dpkg", "-x", archive.name, "unpacked"], Path(folder))
            try:
                (Path(folder) / "unpacked").rename(unpacked)
            except OSError:
                if not unpacked.exists():  # else another run was quicker, and its copy serves
                    raise
    (image,) = (unpacked / "boot").glob("vmlinuz-*")
    return Kernel(image, unpacked / "lib" / "modules")


def run(
    kernel: Kernel,
    work: Path,
    *,
    command: Sequence[str],
    devices: Sequence[str],
    timeout: float,
    follow: Path,
    on_line: Callable[[str], None],
) -> None:
    """Run the command in the VM, and hand on each line that it adds to the file `follow` in the work folder.

    `devices` are further arguments of the outer emulator. Raises OuterVmError, with the console's last
    lines, if the VM outlives `timeout` seconds or the command fails.
    """
    work = work.resolve()
    console, exit_status = work / "console.log", work / "exit-status"
    exit_status.unlink(missing_ok=True)
    follow.unlink(missing_ok=True)
    follow.touch()
    _write_initramfs(kernel, work, command, work / "initramfs.cpio")
    arguments = [
        "qemu-system-x86_64", *MACHINE, *devices,
        "-kernel", str(kernel.image), "-initrd", str(work / "initramfs.cpio"), "-append", KERNEL_COMMAND_LINE,
        "-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap",
        "-virtfs", f"local,path={work},mount_tag=work,security_model=none,multidevs=remap",
    ]  # fmt: skip
    deadline = time.monotonic() + timeout
    with console.open("wb") as log, follow.open() as lines:
        vm = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        try:
            running, unfinished = True, ""
            while running:
                running = vm.poll() is None
                *whole, unfinished = (unfinished + lines.read()).split("\n")
                for line in whole:
                    on_line(line)
                if running and time.monotonic() > deadline:
                    raise OuterVmError(f"the outer VM was still running after {timeout:.0f} s\n{_tail(console)}")
                time.sleep(0.1 if running else 0)
        finally:
            vm.kill()
            vm.wait()
    status = exit_status.read_text().strip() if exit_status.exists() else "none, it never got there"
    if status != "0":
        raise OuterVmError(f"exit status of the outer VM's command: {status}\n{_tail(console)}")


def _newest_kernel_package() -> str:
    depends = _run(["apt-cache", "depends", "--important", KERNEL_PACKAGE], Path.cwd())
    found = re.search(r"Depends: (linux-image-\S+)", depends)
    if not found:
        raise OuterVmError(f"apt-cache names no kernel that {KERNEL_PACKAGE} depends on; try apt-get update\n{depends}")
    return found[1]


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OuterVmError(f"{shlex.join(command)} failed with status {done.returncode}:\n{done.stderr}")
    return done.stdout


def _tail(console: Path, count: int = 40) -> str:
    last = console.read_text(errors="replace").splitlines()[-count:]
    return "\n".join([f"the last lines of {console}:", *last])


def _in_load_order(modules: Path) -> list[Path]:
    """The files of MODULES and of all they depend on, each after its own dependencies."""
    files = {file.stem.replace("-", "_"): file for file in modules.rglob("*.ko")}
    (builtin_list,) = modules.rglob("modules.builtin")
    builtin = {Path(line).stem.replace("-", "_") for line in builtin_list.read_text().splitlines()}
    ordered: list[Path] = []

    def add(name: str) -> None:
        name = name.replace("-", "_")
        if name in builtin:
            return
        if name not in files:
            raise OuterVmError(f"the kernel in {modules} has no module {name}")
        if files[name] in ordered:
            return
        depends = re.search(rb"\0depends=([^\0]*)\0", files[name].read_bytes())
        for needed in depends[1].decode().split(",") if depends and depends[1] else ():
            add(needed)
        ordered.append(files[name])

    for module in MODULES:
        add(module)
    return ordered


def _write_initramfs(kernel: Kernel, work: Path, command: Sequence[str], target: Path) -> None:
    busybox = shutil.which("busybox")
    if busybox is None:
        raise OuterVmError("busybox not found: install busybox-static")
    script = INIT.format(work=shlex.quote(str(work)), command=shlex.join(command))
    directory, program = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755
    entries = [("bin", directory, b""), ("host", directory, b""), ("modules", directory, b"")]
    entries += [("init", program, script.encode()), ("bin/busybox", program, Path(busybox).read_bytes())]
    for place, module in enumerate(_in_load_order(kernel.modules)):
        entries.append((f"modules/{place:02}-{module.name}", program, module.read_bytes()))
    with target.open("wb") as archive:
        for number, (name, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")], start=1):
            archive.write(_cpio_entry(number, name, mode, data))


def _cpio_entry(number: int, name: str, mode: int, data: bytes) -> bytes:
    """One entry in cpio's `newc` format, which is what the kernel unpacks."""
    path = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + path
    return b"".join(part + bytes(-len(part) % 4) for part in (head, data))


def cache_folder() -> Path:
    """Where downloads are kept from one run to the next."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "qemu-ram-device"
