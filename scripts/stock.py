# SPDX-License-Identifier: GPL-2.0-or-later
"""Have QEMU without the series, to compare with: Debian's own build of the same version, or else one made here.

stock/qemu-system-aarch64 in the workplace is the emulator. What is compared by its instructions needs a build like the
patched one, and so does a version that Debian has no build of: scripts/emulator.py makes it.
"""

from __future__ import annotations

from pathlib import Path

import debian_qemu
import emulator
from source import declared
from workplace import NotAvailable, arguments, git, run_script, say, workplace

STOCK_FOLDER = "stock"
PROGRAM = "qemu-system-aarch64"


def main() -> None:
    """Have it for the workplace that the command line names."""
    parser = arguments(__doc__)
    parser.add_argument("--python", type=Path, required=True, help="a Python with Meson and pycotap, for a build")
    parser.add_argument("--targets", default="aarch64-softmmu",
                        help="QEMU's targets, for a build (default: %(default)s)")
    options = parser.parse_args()
    place = workplace(options)
    folder = place.root / STOCK_FOLDER
    folder.mkdir(exist_ok=True)
    version = git("show", "base:VERSION", GIT_DIR=place.repository).strip()
    try:
        debian_qemu.release(version, declared(place.base)["suite"]).script(folder)
    except NotAvailable as reason:
        say(f"building stock QEMU {version}: {str(reason).partition(chr(10))[0]}")
        emulator.build(place, "stock", options.targets.split(","), options.python)
        link = folder / PROGRAM
        link.unlink(missing_ok=True)
        link.symlink_to(emulator.folder(place, "stock") / PROGRAM)
    else:
        say(f"stock QEMU {version} is Debian's build of it")


if __name__ == "__main__":
    run_script(main)
