# SPDX-License-Identifier: GPL-2.0-or-later
"""A sysroot for a cross build: the distribution's own libraries of another architecture, unpacked into the cache.

Nothing of the machine's package database changes, and root isn't needed.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from debian_packages import Apt, apt_of, cache_folder, filled
from workplace import NotAvailable

# What scripts/needs wants of libraries for a native build.
LIBRARIES = ("libc6-dev", "libglib2.0-dev", "libpixman-1-dev", "libfdt-dev", "libslirp-dev", "libaio-dev",
             "liburing-dev", "zlib1g-dev", "libgnutls28-dev")  # fmt: skip
# What they depend on and what does without: interpreters, tools, and NIS.
IS_LIBRARY = r"^(lib(?!nsl|.*-bin$)|zlib1g|linux-libc-dev$|uuid-dev$|nettle-dev$)"


def sysroot(architecture: str) -> Path:
    """The sysroot for Debian's name of an architecture, made when it isn't there; NotAvailable says why it can't be."""
    release = hashlib.sha256(Path("/etc/os-release").read_bytes() + "\n".join(LIBRARIES).encode()).hexdigest()[:12]

    def unpack(folder: Path) -> None:
        with apt_of(architecture) as apt:
            apt.unpack_all(needed(apt), folder)
        make_links_relative(folder)

    return filled(cache_folder() / f"sysroot-{architecture}-{release}", unpack)


def needed(apt: Apt) -> list[str]:
    """The libraries, and those that they depend on."""
    found: list[str] = []
    asked = list(LIBRARIES)
    while asked:
        found += asked
        depends = re.findall(r"^ *\|?(?:Pre)?Depends: ([\w.+-]+)", apt.depends(asked), re.MULTILINE)
        asked = sorted({name for name in depends if re.search(IS_LIBRARY, name)} - set(found))
    if found == list(LIBRARIES):
        raise NotAvailable(f"apt-cache names nothing that {found[0]} depends on; try apt-get update")
    return found


def make_links_relative(root: Path) -> None:
    """Let symbolic links to absolute paths lead to what is meant, below the root."""
    for path in root.rglob("*"):
        if path.is_symlink() and (target := str(path.readlink())).startswith("/"):
            path.unlink()
            path.symlink_to(os.path.relpath(root / target[1:], path.parent))
