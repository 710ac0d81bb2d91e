# SPDX-License-Identifier: GPL-2.0-or-later
"""The crates that QEMU's Rust needs, unpacked into subprojects/ so that Meson downloads nothing.

QEMU's subprojects/*-rs.wrap say which ones, with the hash of each. cargo fetches them, because its registry can be
reached from more machines than the wraps' addresses, or else they come from there. The meson.build files that QEMU lays
over them are QEMU's own where the source has them, else ours in subprojects/packagefiles/ (Debian's source comes
without).
"""

from __future__ import annotations

import configparser
import hashlib
import http.client
import os
import re
import shutil
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from workplace import REPOSITORY, Refused, Workplace, git, run, say


@dataclass(frozen=True)
class Wrap:
    """What a subproject's wrap file says."""

    path: Path
    directory: str
    source_url: str
    source_hash: str
    overlay: str
    diffs: list[str]

    @property
    def is_crate(self) -> bool:
        """Whether it describes a crate of the registry."""
        return self.path.stem.endswith("-rs")

    @property
    def unpacked(self) -> Path:
        """Where the subproject's files belong."""
        return self.path.parent / self.directory


def wraps(tree: Path) -> list[Wrap]:
    """The wraps of a QEMU tree."""
    found = []
    for path in sorted((tree / "subprojects").glob("*.wrap")):
        text = configparser.ConfigParser(interpolation=None)
        text.read(path, encoding="utf-8")
        fields = text[text.sections()[0]]
        found.append(Wrap(path, fields.get("directory", path.stem), fields.get("source_url", ""),
                          fields.get("source_hash", ""), fields.get("patch_directory", ""),
                          fields.get("diff_files", "").replace(",", " ").split()))
    return found


def supply(place: Workplace, tree: Path) -> None:
    """Unpack what the tree's wraps name and the tree doesn't have, and keep our overlays up to date."""
    needed = [wrap for wrap in wraps(tree) if wrap.is_crate]
    missing = [wrap for wrap in needed if not wrap.unpacked.is_dir()]
    cache = place.root / "crates"
    if any(not (cache / f"{wrap.directory}.crate").is_file() for wrap in missing):
        fetch(place, missing, cache)
    for wrap in missing:
        unpack(cache / f"{wrap.directory}.crate", wrap)
    for wrap in needed:
        overlay = REPOSITORY / "subprojects" / "packagefiles" / wrap.overlay / "meson.build"
        mine = wrap.unpacked / ".ram-device-overlay"
        if mine.is_file() and mine.read_bytes() != overlay.read_bytes():
            shutil.copyfile(overlay, wrap.unpacked / "meson.build")
            shutil.copyfile(overlay, mine)


def fetch(place: Workplace, needed: list[Wrap], cache: Path) -> None:
    """Fill the cache with verified .crate files."""
    say(f"fetching {len(needed)} crates for QEMU's Rust")
    folder = place.scratch("cargo")
    ways = [from_registry, from_addresses]
    if re.match(r"cargo 1\.([1-5]?\d|6[0-7])\.", run(["cargo", "--version"])):
        ways.reverse()  # before 1.68 cargo reads the whole index of the registry: some hundred MB
    reasons = []
    for way in ways:
        try:
            way(place, needed, folder)
            break
        except Refused as failure:
            reasons.append(str(failure))
    else:
        raise Refused("the crates that QEMU's Rust needs can't be had:\n  " + "\n  ".join(reasons) + "\n  Run again "
                      "with a network, or take a release tarball of QEMU, which has them: make QEMU_SRC=PATH")
    cache.mkdir(exist_ok=True)
    for wrap in needed:
        found = next(folder.rglob(f"{wrap.directory}.crate"), None)
        if found is None:
            raise Refused(f"{wrap.path.name} asks for {wrap.directory}, which QEMU's rust/Cargo.lock doesn't name")
        if hashlib.sha256(found.read_bytes()).hexdigest() != wrap.source_hash:
            raise Refused(f"{found.name} isn't the file that {wrap.path.name} names (its SHA-256 differs); "
                          "the crate registry in use isn't to be trusted")
        found.rename(cache / found.name)
    shutil.rmtree(folder)


def from_registry(place: Workplace, _: list[Wrap], folder: Path) -> None:
    """Let cargo fetch what the base's lock file names, with the user's configuration (a mirror, say)."""
    manifest, archive = place.scratch("cargo-workspace"), place.scratch("cargo-archive")
    manifest.mkdir()
    git("archive", f"--output={archive}", "--format=tar", "base", "rust", GIT_DIR=place.repository)
    run(["tar", "-x", "-C", str(manifest), "-f", str(archive)])
    archive.unlink()
    home = os.environ.get("CARGO_HOME") or (f"{os.environ['HOME']}/.cargo" if "HOME" in os.environ else "")
    config = Path(home) / "config.toml"
    options = ["--config", str(config)] if home and config.is_file() else []
    run(["cargo", *options, "fetch", "--locked"], cwd=manifest / "rust", env=os.environ | {"CARGO_HOME": str(folder)})
    shutil.rmtree(manifest)


def from_addresses(_: Workplace, needed: list[Wrap], folder: Path) -> None:
    """Take each crate from the address in its wrap."""
    folder.mkdir(exist_ok=True)
    for wrap in needed:
        request = urllib.request.Request(wrap.source_url, headers={"User-Agent": "QEMU RAM device series"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                (folder / f"{wrap.directory}.crate").write_bytes(answer.read())
        except (OSError, http.client.HTTPException) as failure:
            raise Refused(f"{wrap.source_url}: {failure}") from failure


def unpack(crate: Path, wrap: Wrap) -> None:
    """Unpack one crate with its overlay and diffs; it appears under its name only when it is complete."""
    partial = wrap.unpacked.with_name(f".{wrap.directory}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    run(["tar", "--no-same-owner", "--strip-components=1", "-xf", str(crate), "-C", str(partial)])
    theirs, ours = (top / "subprojects" / "packagefiles" for top in (wrap.path.parent.parent, REPOSITORY))
    if (theirs / wrap.overlay).is_dir():
        shutil.copytree(theirs / wrap.overlay, partial, dirs_exist_ok=True)
    elif (ours / wrap.overlay).is_dir():
        shutil.copytree(ours / wrap.overlay, partial, dirs_exist_ok=True)
        shutil.copyfile(partial / "meson.build", partial / ".ram-device-overlay")
    else:
        raise Refused(f"{wrap.path.name} asks for the overlay {wrap.overlay}; neither QEMU's source nor "
                      f"{ours} has it. Write {ours / wrap.overlay / 'meson.build'}.")
    for name in wrap.diffs:
        diff = next((folder / name for folder in (theirs, ours) if (folder / name).is_file()), None)
        if diff is None:
            raise Refused(f"{wrap.path.name} asks for {name}; neither QEMU's source nor {ours} has it")
        git("apply", "--ignore-whitespace", diff, cwd=partial, GIT_CEILING_DIRECTORIES=partial.parent)
    partial.rename(wrap.unpacked)
