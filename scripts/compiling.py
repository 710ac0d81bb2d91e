# SPDX-License-Identifier: GPL-2.0-or-later
"""How the scripts configure and compile a QEMU tree."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import firmware
from hosts import Host
from workplace import DISK_FULL, REPOSITORY, Refused, Workplace, cached, run, say


def command(tree: Path, python: Path, targets: list[str], *options: str, host: Host) -> list[str]:
    """The configure command for a tree; options are what one build wants and another doesn't."""
    if not (tree / "configure").is_file():
        raise Refused(f"{tree} isn't prepared yet: run scripts/source.py and scripts/tree.py first")
    # As for any release: a newer compiler's new warnings about QEMU's own code don't stop the build.
    words = [*host.configure, str(tree / "configure"), f"--python={python.absolute()}",
             f"--target-list={','.join(targets)}", "--disable-werror", "--disable-docs", "--disable-install-blobs",
             "--prefix=/usr/local", f"--firmwarepath={':'.join(firmware.DISTRIBUTION)}",
             f"--cc={' '.join(cached_compiler(host))}", *host.options, *options]
    if (tree / "subprojects" / "keycodemapdb" / "README").is_file():
        words.append("--disable-download")
    return words


def cached_compiler(host: Host) -> list[str]:
    """The compiler, by ccache where that is installed."""
    by_ccache = shutil.which("ccache") and Path(host.cc[0]).name != "ccache"
    return [*(["ccache"] if by_ccache else []), *host.cc]


def ccache_folder() -> Path:
    """Where ccache keeps objects: the user's choice, or the cache."""
    chosen = os.environ.get("CCACHE_DIR")
    return Path(chosen) if chosen else cached("ccache")


def configure(place: Workplace, tree: Path, build: Path, words: list[str], python: Path, host: Host,
              log: Path | None = None) -> None:
    """Configure the build folder, unless the same command, compilers and scripts did, with the same packages."""
    seen = hashlib.sha256("\0".join(words).encode())
    for tool in ([*host.cc, "--version"], [host.rustc, "-vV"], [str(python), "-c", "import sys; print(sys.version)"]):
        seen.update(run(tool).encode())
    for name in ("configure", "pythondeps.toml", "scripts/meson-buildoptions.sh"):
        seen.update((tree / name).read_bytes())
    seen.update((REPOSITORY / "scripts" / "needs").read_bytes())  # a feature comes with its package
    stamp = build / "configured"
    if stamp.is_file() and stamp.read_text() == seen.hexdigest():
        return
    say(f"configuring {build}")
    build.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    watch(place, words, build, log, host.environment)
    firmware.link(build)
    stamp.write_text(seen.hexdigest())


def test_programs(build: Path, wanted: Callable[[str, list[str]], bool]) -> list[str]:
    """What ninja must build for the tests that are wanted by their name and suites, as Meson describes them."""
    tests, targets = (json.loads((build / "meson-info" / f"intro-{name}.json").read_text())
                      for name in ("tests", "targets"))
    outputs = {target["id"]: target["filename"] for target in targets}
    found = {path for test in tests if wanted(test["name"], test["suite"])
             for needed in test["depends"] for path in outputs.get(needed, [])}
    return sorted(os.path.relpath(path, build) for path in found)


def watch(place: Workplace, words: list[str], build: Path, log: Path | None = None,
          further: Mapping[str, str] | None = None) -> None:
    """Run a long command in the build folder, with its output on the terminal, or at the end of a log."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {
        "CCACHE_BASEDIR": str(REPOSITORY),
        "CCACHE_NOHASHDIR": "1",
        "CCACHE_DIR": str(ccache_folder()),
    } | dict(further or {})
    with (log or Path(os.devnull)).open("a", encoding="utf-8") as out:
        status = subprocess.run(words, cwd=build, env=environment, stdin=subprocess.DEVNULL, check=False,
                                stdout=out if log else None, stderr=out if log else None).returncode
    if status and place.is_full():
        raise Refused(DISK_FULL.format(root=place.root))
    if status:
        raise Refused(f"{Path(words[0]).name} failed with status {status}; what it said is {log or 'above'}. Run the "
                      f"same command again to go on, or remove {build} to start this build anew.")
