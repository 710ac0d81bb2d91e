# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages of Debian's that a test machine is made of: downloaded, unpacked into a cache, never installed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
from pathlib import Path

from machines.error import MachineError


def cache_folder() -> Path:
    """Where downloads are kept from one run to the next."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "qemu-ram-device"


def newest_kernel_package(meta_package: str) -> str:
    """The kernel image that a meta package such as linux-image-amd64 stands for at present."""
    depends = _run(["apt-cache", "depends", "--important", meta_package], Path.cwd())
    found = re.search(r"Depends: (linux-image-\S+)", depends)
    if not found:
        raise MachineError(f"apt-cache names no kernel that {meta_package} depends on; try apt-get update\n{depends}")
    return found[1]


def unpacked(package: str, folder: Path) -> Path:
    """The folder, with what the package holds; it is downloaded when the folder isn't there."""
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="download-") as download:
        _run(["apt-get", "download", package], Path(download))
        (archive,) = Path(download).glob("*.deb")
        if log := os.environ.get("RAM_DEVICE_DOWNLOADS"):  # `make` sums up what was downloaded
            with open(log, "a", encoding="utf-8") as downloads:
                downloads.write(f"{archive.stat().st_size}\t{archive.name}\n")
        _run(["dpkg", "-x", archive.name, "unpacked"], Path(download))
        try:
            (Path(download) / "unpacked").rename(folder)
        except OSError:
            if not folder.exists():  # else another run was quicker, and its copy serves
                raise
    return folder


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MachineError(f"{shlex.join(command)} failed with status {done.returncode}:\n{done.stderr}")
    return done.stdout
