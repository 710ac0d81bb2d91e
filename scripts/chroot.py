# SPDX-License-Identifier: GPL-2.0-or-later
"""A folder with a minimal Debian in it, and commands that run there.

A command has its own mounts and processes, which end with it, so that the folder can be removed at any time.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import debian_source
from workplace import run, say

ENTER = """
for folder in proc dev; do mount --rbind /$folder "$root/$folder"; done
mount --make-rslave "$root"/dev
cp -L /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
eval "$binds"
exec chroot "$root" /usr/bin/env -i "$@"
"""
PATH = "/usr/lib/ccache:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Chroot:
    """The folder, and the folders of this machine that are seen in it, by their paths there."""

    root: Path
    binds: Mapping[str, Path] = field(default_factory=dict)

    def run(self, command: str, folder: str, environment: Mapping[str, str], network: bool = True) -> int:
        """Run a shell command as root, with its output where this program's goes; its exit status."""
        set_up = "\n".join(f"mkdir -p {shlex.quote(f'{self.root}{place}')}; "
                           f"mount --bind {shlex.quote(str(source))} {shlex.quote(f'{self.root}{place}')}"
                           for place, source in self.binds.items())
        words = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", **environment}
        own = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *([] if network else ["--net"])]
        return subprocess.run(
            ["unshare", *own, "sh", "-ec", ENTER, "sh", *(f"{name}={value}" for name, value in words.items()),
             "sh", "-ec", f"cd {shlex.quote(folder)}\n{command}"],
            env=os.environ | {"root": str(self.root), "binds": set_up}, stdin=subprocess.DEVNULL, check=False,
        ).returncode  # fmt: skip


def made(root: Path, suite: str, architectures: list[str], packages: list[str]) -> None:
    """Have the suite's minimal system, for building, in the folder; it is made whole or not at all."""
    if root.is_dir():
        return
    say(f"making a minimal Debian {suite} in {root}")
    partial = root.with_name(f"{root.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with tempfile.NamedTemporaryFile("w", suffix=".sources") as sources:
        sources.write(debian_source.stanzas("deb", suite, debian_source.debian_mirrors()))
        sources.flush()
        run(["mmdebstrap", "--variant=buildd", "--aptopt=APT::Install-Recommends \"false\"",
             f"--architectures={','.join(architectures)}", f"--include={','.join(packages)}",
             suite, str(partial), sources.name])
    partial.rename(root)
