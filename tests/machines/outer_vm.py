# SPDX-License-Identifier: GPL-2.0-or-later
"""The outer VM: a Linux kernel that has an IOMMU and vfio-pci, on a machine that needs neither.

It boots Debian's kernel under TCG, with the host's root read-only and one writable work folder, both
under the very paths that they have on the host, and runs one command there. Nothing is installed on
the host and nothing needs root: the kernel, and the emulator where there is none in PATH, are downloaded as packages
and unpacked into a cache. Where the VM is of another architecture than the host, a /usr of its own takes the place of
the host's.
"""

from __future__ import annotations

import functools
import platform
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import debian_qemu
import debian_source
from machines import debian, initramfs
from machines.error import MachineError
from machines.kernel_module import Builder

TESTS = Path(__file__).resolve().parents[1]
MODULES = ("virtio_pci", "virtio_blk", "9pnet_virtio", "9p", "vfio_iommu_type1", "vfio_pci")
BUSYBOX_PACKAGE = "busybox-static"

COMMON = ("-accel", "tcg", "-smp", "2", "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot")
SHARED = "security_model=none,multidevs=remap"

# A line that fails ends init; the kernel then panics and, by panic=-1 and -no-reboot, the VM ends.
INIT = """#!/bin/busybox sh
set -e
alias mount='/bin/busybox mount'
for module in /modules/*; do /bin/busybox insmod $module; done
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro host /host
{mounts}
mount -t proc proc /host/proc
mount -t sysfs sysfs /host/sys
mount -t devtmpfs devtmpfs /host/dev
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 work /host{work}
status=0
/bin/busybox chroot /host {command} || status=$?
echo $status > /host{work}/exit-status
/bin/busybox poweroff -f
"""
OTHER_USR = "mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro usr /host/usr"


@dataclass(frozen=True)
class Machine:
    """A machine that the outer VM can be: its emulator and the arguments that make it, and what its kernel is told.

    The architecture is as the kernel calls it. `emulator_package` and `kernel_package` are Debian's on a host of that
    architecture. `busybox` and `python` are programs for it. `usr` is what it has in /usr if that isn't the host's, and
    `python` is in there then.
    """

    architecture: str
    emulator_package: str
    kernel_package: str
    emulator: str
    arguments: tuple[str, ...]
    kernel_command_line: str
    busybox: str
    python: str
    usr: Path | None = None


# Without no_timer_check the kernel counts ticks at boot, and panics where a busy host lets too few of them come. With
# nohz and highres it sets a timer for each next event, and was seen to wait for one for good on busy hosts; a periodic
# timer rings again.
X86_64 = Machine(
    architecture="x86_64",
    emulator_package="qemu-system-x86",
    kernel_package="linux-image-amd64",
    emulator="qemu-system-x86_64",
    arguments=("-M", "q35,kernel-irqchip=off", "-cpu", "max", "-device", "intel-iommu,caching-mode=on"),
    kernel_command_line="console=ttyS0 quiet panic=-1 intel_iommu=on no_timer_check nohz=off highres=off",
    busybox="busybox",
    python=sys.executable,
)
AARCH64 = Machine(
    architecture="arm64",
    emulator_package="qemu-system-arm",
    kernel_package="linux-image-arm64",
    emulator="qemu-system-aarch64",
    arguments=("-M", "virt,iommu=smmuv3,gic-version=3", "-cpu", "max"),
    kernel_command_line="console=ttyAMA0 quiet panic=-1",
    busybox="busybox",
    python=sys.executable,
)
# The usual one: of the host's architecture.
USUAL = AARCH64 if platform.machine() == "aarch64" else X86_64
KERNEL_PACKAGE = USUAL.kernel_package


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel package."""

    image: Path
    modules: Path

    @property
    def version(self) -> str:
        """For instance 6.12.118+deb13-arm64."""
        (folder,) = self.modules.iterdir()
        return folder.name


def missing_packages() -> list[str]:
    """The Debian packages that the usual one needs on the host, and that aren't here."""
    programs = {USUAL.busybox: BUSYBOX_PACKAGE}
    if not debian_source.is_debian():
        programs[USUAL.emulator] = USUAL.emulator_package
    return [package for program, package in programs.items() if shutil.which(program) is None]


def emulator(machine: Machine, folder: Path) -> str:
    """The emulator in PATH, else Debian's, made one program in the folder; NotAvailable says why there is none."""
    found = shutil.which(machine.emulator)
    return found or str(debian_qemu.machines_own(platform.machine()).script(folder))


def debian_kernel() -> Kernel:
    """Debian's kernel from the cache; it is downloaded when the cache hasn't got it."""
    return unpacked_kernel(debian.filled(debian.cache_folder() / KERNEL_PACKAGE, _download_kernel))


def _download_kernel(folder: Path) -> None:
    with debian.apt_of_this_machine() as apt:
        apt.unpack(apt.dependency(KERNEL_PACKAGE, r"linux-image-\S+"), folder)


class Stalled(MachineError):
    """The VM has shown nothing for too long."""


def unpacked_kernel(folder: Path) -> Kernel:
    """The kernel that a package holds, which was unpacked there."""
    modules = initramfs.modules_folder(folder)
    (image,) = [*(folder / "boot").glob("vmlinuz-*"), *modules.glob("*/vmlinuz")]  # newer packages have it there
    return Kernel(image, modules)


def module_builder(kernel: Kernel) -> Builder:
    """What modules for this kernel are built with, from the cache; it is downloaded when the cache hasn't got it."""
    headers = f"linux-headers-{kernel.version}"
    root = debian.filled(debian.cache_folder() / headers, functools.partial(_download_headers, headers))
    return Builder(root / "usr" / "src" / headers, USUAL.architecture)


def _download_headers(headers: str, folder: Path) -> None:
    with debian.apt_of_this_machine() as apt:
        parts = [apt.dependency(headers, depends) for depends in (r"linux-headers-\S+-common", r"linux-kbuild-\S+")]
        apt.unpack_all([headers, *parts], folder)


def python(script: Path, *arguments: str, machine: Machine = USUAL) -> list[str]:
    """The command that runs a script of ours in the VM, with the modules that it has here."""
    return [
        "/usr/bin/env", f"PYTHONPATH={TESTS}:{TESTS.parent / 'scripts'}",
        machine.python, "-B", "-P", "-S", str(script.resolve()), *arguments,
    ]  # fmt: skip


def run(
    kernel: Kernel,
    work: Path,
    *,
    command: Sequence[str],
    devices: Sequence[str],
    timeout: float,
    follow: Path,
    on_line: Callable[[str], None],
    modules: Sequence[str] = (),
    own_modules: Sequence[Path] = (),
    memory_mib: int = 2048,
    machine: Machine = USUAL,
    kernel_arguments: str = "",
) -> None:
    """Run the command in the VM, and hand on each line that it adds to the file `follow` in the work folder.

    `devices` are further arguments of the outer emulator, `modules` further modules of its kernel, `own_modules` files
    of modules that are loaded last, and `kernel_arguments` what the kernel is told besides. Raises, with the console's
    last lines, Stalled if no such line comes for `timeout` seconds, and MachineError if the command fails.
    """
    work = work.resolve()
    if machine.usr and any(path.is_relative_to("/usr") for path in (work, TESTS)):
        raise MachineError(f"the outer VM has another /usr, so {work} and {TESTS} must both be elsewhere")
    console, exit_status = work / "console.log", work / "exit-status"
    exit_status.unlink(missing_ok=True)
    follow.unlink(missing_ok=True)
    follow.touch()
    ordered = [*initramfs.in_load_order(kernel.modules, [*MODULES, *modules]), *own_modules]
    _write_initramfs(machine, work, command, ordered, work / "initramfs.cpio")
    arguments = [
        emulator(machine, work), *machine.arguments, *COMMON, "-m", str(memory_mib), *devices,
        "-kernel", str(kernel.image), "-initrd", str(work / "initramfs.cpio"),
        "-append", f"{machine.kernel_command_line} {kernel_arguments}".strip(),
        "-virtfs", f"local,path=/,mount_tag=host,readonly=on,{SHARED}",
        "-virtfs", f"local,path={work},mount_tag=work,{SHARED}",
        *(["-virtfs", f"local,path={machine.usr},mount_tag=usr,readonly=on,{SHARED}"] if machine.usr else []),
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
                    deadline = time.monotonic() + timeout
                if running and time.monotonic() > deadline:
                    raise Stalled(f"the outer VM has shown nothing for {timeout:.0f} s\n{_tail(console)}")
                time.sleep(0.1 if running else 0)
        finally:
            vm.kill()
            vm.wait()
    status = exit_status.read_text().strip() if exit_status.exists() else "none, it never got there"
    if status != "0":
        raise MachineError(f"exit status of the outer VM's command: {status}\n{_tail(console)}")


@dataclass(frozen=True)
class OuterVm:
    """An outer VM that isn't the usual one: what python() and run() are to be told besides."""

    machine: Machine
    kernel: Kernel
    devices: tuple[str, ...] = ()
    own_modules: tuple[Path, ...] = ()
    kernel_arguments: str = ""
    memory_mib: int = 2048

    def python(self, script: Path, *arguments: str) -> list[str]:
        """The command that runs a script of ours there."""
        return python(script, *arguments, machine=self.machine)

    def run(
        self,
        work: Path,
        *,
        command: Sequence[str],
        devices: Sequence[str],
        timeout: float,
        follow: Path,
        on_line: Callable[[str], None],
    ) -> None:
        """Run the command there, with these further devices."""
        run(
            self.kernel, work, command=command, devices=[*self.devices, *devices], timeout=timeout, follow=follow,
            on_line=on_line, own_modules=self.own_modules, memory_mib=self.memory_mib, machine=self.machine,
            kernel_arguments=self.kernel_arguments,
        )  # fmt: skip


def usual() -> OuterVm:
    """The one that has all that the defaults of python() and run() say."""
    return OuterVm(USUAL, debian_kernel())


def _tail(console: Path, count: int = 40) -> str:
    last = console.read_text(errors="replace").splitlines()[-count:]
    return "\n".join([f"the last lines of {console}:", *last])


def _write_initramfs(
    machine: Machine, work: Path, command: Sequence[str], modules: Sequence[Path], target: Path
) -> None:
    busybox = shutil.which(machine.busybox)
    if busybox is None:
        raise MachineError(f"{machine.busybox} not found: install {BUSYBOX_PACKAGE}")
    mounts = OTHER_USR if machine.usr else ""
    init = INIT.format(work=shlex.quote(str(work)), command=shlex.join(command), mounts=mounts)
    initramfs.write(target, init, Path(busybox), modules, {})
