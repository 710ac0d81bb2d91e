# SPDX-License-Identifier: GPL-2.0-or-later
"""Install the patched emulator, or the one that was cross-built, with its data files.

QEMU finds its files relative to where it lies, so any prefix will do, whatever configure was told. The tools beside
the emulator (qemu-img and so on) are not built and not installed: the series doesn't touch them.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from emulator import folder
from workplace import Refused, arguments, run_script, say, workplace

CONFIGURED = Path("/usr/local")


def main() -> None:
    """Copy what Meson would install, as far as the emulators need it."""
    parser = arguments(__doc__)
    parser.add_argument("--prefix", type=Path, default=CONFIGURED)
    parser.add_argument("--destdir", default="", help="a folder to put before the prefix, for packaging")
    parser.add_argument("--variant", default="patched", help="as scripts/emulator.py has it (default: %(default)s)")
    options = parser.parse_args()
    build = folder(workplace(options), options.variant)
    listing = build / "meson-info" / "intro-installed.json"
    if not options.prefix.is_absolute():
        raise Refused(f"asked for PREFIX={options.prefix}; it must be an absolute path")
    if not listing.is_file():
        raise Refused(f"{build} has no finished build: run `make` first")
    top = Path(f"{options.destdir}{options.prefix}")
    os.umask(0o022)  # others than who installs it start it
    with workplace(options).locked():
        for source, configured in json.loads(listing.read_text()).items():
            place = Path(configured).relative_to(CONFIGURED)
            data = place.is_relative_to("share/qemu") and Path(source).exists()
            if data or place.name.startswith("qemu-system-"):
                copy(Path(source), top / place)
    say(f"installed into {top}")


def copy(source: Path, target: Path) -> None:
    """The whole file is there, or what was there before: VMs may be started with it meanwhile."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    shutil.copyfile(source, partial)
    partial.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
    partial.replace(target)


if __name__ == "__main__":
    run_script(main)
