# SPDX-License-Identifier: GPL-2.0-or-later
"""A minimal Debian in a folder, entered with mounts and processes of its own, which end with the command.

It needs root. It has its own /dev, without /dev/kvm, so that each run of the checks is the same, and no systemd.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import debian_source
from machines.error import MachineError, NotAvailable

SUITE = "trixie"
PROGRAMS = {"mmdebstrap": "mmdebstrap", "unshare": "util-linux"}
# $1 is the root, then pairs of folders here and there up to "--", then the command. The shell stays: it is process 1,
# and takes note of the end of daemons, which libvirt waits for.
ENTER = r"""
set -e
root=$1
shift
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs run
mkdir -m 1777 run/lock
mount -t tmpfs -o mode=755 tmpfs dev
for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
    IFS=: read -r name major minor <<NODE
$node
NODE
    mknod -m 666 "dev/$name" c "$major" "$minor"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
# A host that has an IOMMU and VFIO, for all that libvirt looks at before it writes a command line.
if [ -d sys/kernel/iommu_groups ]; then
    mount -t tmpfs tmpfs sys/kernel/iommu_groups
    mkdir sys/kernel/iommu_groups/0 dev/vfio
    mknod -m 666 dev/vfio/vfio c 10 196
fi
while [ "$1" != -- ]; do
    mkdir -p "./$2"
    mount --bind "$1" "./$2"
    shift 2
done
shift
pivot_root . .
umount -l .
cd /
status=0
"$@" || status=$?
exit $status
"""
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive", "PYTHONDONTWRITEBYTECODE": "1",
}  # fmt: skip


def require_means() -> None:
    """NotAvailable, if this machine can't make or enter one."""
    if missing := [package for program, package in PROGRAMS.items() if shutil.which(program) is None]:
        raise NotAvailable(f"a Debian in a folder needs these packages: {' '.join(missing)}")
    if os.geteuid() != 0:
        raise NotAvailable("a Debian in a folder is made, and entered, by root only")


def make_archive(target: Path, packages: Sequence[str]) -> None:
    """A tar archive of Debian's minimal system with these packages and what they depend on."""
    known = debian_source.debian_mirrors()
    if not known:
        raise NotAvailable(f"no Debian {SUITE} for this machine: it has no apt source of Debian")
    partial = target.with_suffix(".partial.tar")
    partial.unlink(missing_ok=True)
    command = ["mmdebstrap", "--quiet", "--variant=minbase", "--format=tar", f"--include={','.join(packages)}",
               SUITE, str(partial), "-"]  # fmt: skip
    done = subprocess.run(command, input=debian_source.stanzas("deb", SUITE, known), text=True, check=False,
                          capture_output=True)  # fmt: skip
    if done.returncode:
        raise MachineError(f"mmdebstrap failed with status {done.returncode}:\n{done.stderr}")
    partial.rename(target)


@dataclass(frozen=True)
class Chroot:
    """The system in a folder. `shared` are folders of this machine's, and where they are in it."""

    root: Path
    shared: Mapping[Path, str]

    def command(self, command: Sequence[str]) -> list[str]:
        """What runs that command in it."""
        environment = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        pairs = [str(place) for pair in self.shared.items() for place in pair]
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, "enter", str(self.root),
                *pairs, "--", "env", "-i", *environment, *command]  # fmt: skip

    def run(self, command: Sequence[str], log: IO[str], on_line: Callable[[str], None]) -> int:
        """Run the command in it, and hand on each line of its output; its exit status."""
        with subprocess.Popen(self.command(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                              text=True, errors="replace") as process:  # fmt: skip
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    on_line(line.rstrip("\n"))
            except BaseException:
                process.kill()  # and with it all that runs in there
                raise
        return process.returncode


@contextmanager
def unpacked(archive: Path, root: Path, shared: Mapping[Path, str]) -> Iterator[Chroot]:
    """The archive's system in a new folder, which is removed afterwards."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    try:
        subprocess.run(["tar", "-xf", str(archive), "-C", str(root), "--numeric-owner"], check=True)
        for name in ("resolv.conf", "hosts"):
            shutil.copy(f"/etc/{name}", root / "etc" / name)
        yield Chroot(root, shared)
    finally:
        shutil.rmtree(root)
