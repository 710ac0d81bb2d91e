# SPDX-License-Identifier: GPL-2.0-or-later
"""Configure and build one variant of the emulator: patched, stock (QEMU as released), norust (patched, without Rust),
stock-rust (QEMU as released, with its own Rust) or direct (patched, with QEMU's own block layer and handling of SIGBUS).

Configure runs only when what it is asked for has changed; ninja goes on where an interrupted build stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import firmware
from workplace import DISK_FULL, REPOSITORY, Refused, Workplace, arguments, run, run_script, say, workplace

VARIANTS = {"patched": "--enable-rust", "stock": "--disable-rust", "norust": "--disable-rust",
            "stock-rust": "--enable-rust", "direct": "--enable-rust"}


def main() -> None:
    """Build what the command line names."""
    parser = arguments(__doc__)
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("--python", type=Path, required=True, help="a Python with Meson and pycotap, for configure")
    parser.add_argument("--targets", default="aarch64-softmmu", help="QEMU's targets (default: %(default)s)")
    parser.add_argument("--tests", nargs="+", default=[], metavar="SUITE",
                        help="build what QEMU's tests of these suites need as well, for instance qtest")
    options = parser.parse_args()
    place, targets = workplace(options), options.targets.replace(",", " ").split()
    if not targets or not all(target.endswith("-softmmu") for target in targets):
        raise Refused(f"asked for TARGETS={options.targets!r}; names such as aarch64-softmmu or x86_64-softmmu do")
    build = folder(place, options.variant)
    configure(place, build, options.variant, targets, options.python)
    emulators = [f"qemu-system-{target.removesuffix('-softmmu')}" for target in targets]
    say(f"building {' '.join(emulators)} ({options.variant}) in {build}")
    watch(place, ["ninja", "-C", str(build), *emulators], build)
    if options.tests:
        say(f"building QEMU's tests ({options.variant}): {' '.join(options.tests)}")
        watch(place, ["ninja", "-C", str(build), *needed(build, options.tests)], build)


def folder(place: Workplace, variant: str) -> Path:
    """Where a variant is built."""
    return place.direct_tree.parent / "build" if variant == "direct" else place.root / f"build-{variant}"


def configure(place: Workplace, build: Path, variant: str, targets: list[str], python: Path) -> None:
    """Configure the build folder, unless it was configured by the same command, compilers and QEMU scripts."""
    stock = place.stock_tree
    tree = {"stock": stock, "stock-rust": stock, "direct": place.direct_tree}.get(variant, place.tree)
    if not (tree / "configure").is_file():
        raise Refused(f"{tree} isn't prepared yet: run scripts/source.py and scripts/tree.py first")
    compiler = os.environ.get("CC", "gcc")
    # As for any release: a newer compiler's new warnings about QEMU's own code don't stop the build.
    command = [str(tree / "configure"), f"--python={python.absolute()}", f"--target-list={','.join(targets)}",
               "--disable-werror", "--disable-docs", "--disable-install-blobs", "--prefix=/usr/local",
               f"--firmwarepath={':'.join(firmware.DISTRIBUTION)}",
               f"--cc={'ccache ' if shutil.which('ccache') else ''}{compiler}", VARIANTS[variant]]
    if (tree / "subprojects" / "keycodemapdb" / "README").is_file():
        command.append("--disable-download")
    seen = hashlib.sha256("\0".join(command).encode())
    for tool in ([compiler, "--version"], ["rustc", "-vV"], [str(python), "-c", "import sys; print(sys.version)"]):
        seen.update(run(tool).encode())
    for name in ("configure", "pythondeps.toml", "scripts/meson-buildoptions.sh"):
        seen.update((tree / name).read_bytes())
    stamp = build / "configured"
    if stamp.is_file() and stamp.read_text() == seen.hexdigest():
        return
    say(f"configuring {build}")
    build.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    watch(place, command, build)
    firmware.link(build)
    stamp.write_text(seen.hexdigest())


def needed(build: Path, suites: list[str]) -> list[str]:
    """What ninja must build for the tests of these suites, as Meson describes it."""
    tests, targets = (json.loads((build / "meson-info" / f"intro-{name}.json").read_text())
                      for name in ("tests", "targets"))
    outputs = {target["id"]: target["filename"] for target in targets}
    wanted = {path for test in tests if any(suite.partition(":")[2] in suites for suite in test["suite"])
              for depended in test["depends"] for path in outputs.get(depended, [])}
    if not wanted:
        raise Refused(f"QEMU's build in {build} knows no tests of {' '.join(suites)}; is {build}/meson-info of a "
                      "finished configure?")
    return sorted(os.path.relpath(path, build) for path in wanted)


def watch(place: Workplace, command: list[str], build: Path) -> None:
    """Run a long command in the build folder with its output on the terminal."""
    environment = os.environ | {
        "CCACHE_BASEDIR": str(REPOSITORY),
        "CCACHE_NOHASHDIR": "1",
        "CCACHE_DIR": os.environ.get("CCACHE_DIR")
        or str(Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ccache"),
    }
    status = subprocess.run(command, cwd=build, env=environment, stdin=subprocess.DEVNULL, check=False).returncode
    if status and place.is_full():
        raise Refused(DISK_FULL.format(root=place.root))
    if status:
        raise Refused(f"{Path(command[0]).name} failed with status {status}; what it said is above. Run the same "
                      f"command again to go on, or remove {build} to start this build anew.")


if __name__ == "__main__":
    run_script(main)
