# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's source from a Debian suite, by an apt configuration of our own.

The mirrors and the key ring are those that the machine's apt uses; the machine's apt itself isn't changed, and apt
checks the signatures as always.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from workplace import Refused, run, say

APT_CONFIGURATION = Path("/etc/apt")
UNSTABLE = "sid"
OTHER_WAY = ("Give QEMU's source yourself: make QEMU_SRC=PATH, where PATH is an unpacked release, "
             "a release tarball or a git checkout of {base}.x")


class Unlisted(Refused):
    """A suite that has no version of the base."""


@dataclass(frozen=True)
class Mirror:
    """One of the machine's apt sources: where it is and what proves its signature."""

    uris: str
    suites: str
    signed_by: str


def mirrors(configuration: Path = APT_CONFIGURATION) -> list[Mirror]:
    """The machine's apt sources that carry main, in both of apt's notations."""
    found: list[Mirror] = []
    for path in sorted((configuration / "sources.list.d").glob("*.sources")):
        text = "".join(line for line in path.read_text().splitlines(True) if not line.startswith("#"))
        for stanza in re.split(r"\n\s*\n", text):
            fields = {key.lower(): value.strip()
                      for key, value in re.findall(r"^([\w-]+):(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE)}
            if "main" in fields.get("components", "").split() and fields.get("enabled", "yes") != "no":
                found.append(Mirror(fields.get("uris", ""), fields.get("suites", ""), fields.get("signed-by", "")))
    for path in [configuration / "sources.list", *sorted((configuration / "sources.list.d").glob("*.list"))]:
        for line in path.read_text().splitlines() if path.is_file() else []:
            entry = re.match(r"deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*\bmain\b.*)", line.strip())
            if entry:
                key = re.search(r"signed-by=(\S+)", entry[1] or "")
                found.append(Mirror(entry[2], entry[3], key[1] if key else ""))
    return found


def of_debian(sources: list[Mirror]) -> list[Mirror]:
    """Those of the machine's apt sources that apt knows as Debian's; all, as long as it has no lists.

    Others than Debian have a component main, too, and nothing of Debian's suites.
    """
    listed = run(["apt-get", "indextargets", "--format", "$(ORIGIN)|$(REPO_URI)"]).splitlines()
    known = {line.removeprefix("Debian|").rstrip("/") for line in listed if line.startswith("Debian|")}
    return [mirror for mirror in sources if known & {uri.rstrip("/") for uri in mirror.uris.split()}] or sources


def debian_mirrors() -> list[Mirror]:
    """The machine's apt sources that have Debian's suites; none on another distribution."""
    return of_debian(mirrors()) if is_debian() else []


def stanzas(kind: str, suite: str, known: list[Mirror]) -> str:
    """The stanzas of a suite, of kind deb or deb-src, on the mirrors that are known."""
    found: list[str] = []
    for mirror in known:
        is_security = any(name.endswith("-security") for name in mirror.suites.split())
        if suite == UNSTABLE:  # it has neither updates nor security updates beside it
            suites = "" if is_security else suite
        else:
            suites = f"{suite}-security" if is_security else f"{suite} {suite}-updates"
        signed_by = f"Signed-By: {mirror.signed_by}\n" if mirror.signed_by else ""
        stanza = f"Types: {kind}\nURIs: {mirror.uris}\nSuites: {suites}\nComponents: main\n{signed_by}"
        if suites and stanza not in found:
            found.append(stanza)
    return "\n".join(found)


def is_debian() -> bool:
    """Whether this machine's mirrors can be expected to have Debian's suites."""
    release = Path("/etc/os-release")
    return release.is_file() and re.search(r'^ID="?debian"?$', release.read_text(), re.MULTILINE) is not None


def download(base: str, suite: str, folder: Path) -> Path:
    """Fetch the original tarball of the base's newest version in the suite into the folder; its path there."""
    _fetch(base, suite, folder, "--tar-only")
    tarball, = (folder / "files").glob("qemu_*.orig.tar.*[!c]")
    return tarball


def download_package(base: str, suite: str, folder: Path) -> tuple[Path, str]:
    """The same for the whole source package; the path of its .dsc, and its version."""
    version = _fetch(base, suite, folder)
    dsc, = (folder / "files").glob("qemu_*.dsc")
    return dsc, version


def _fetch(base: str, suite: str, folder: Path, *options: str) -> str:
    known = debian_mirrors()
    if not known:
        raise Refused(f"asked for QEMU {base} from Debian {suite}, but this machine has no apt source of Debian.\n"
                      f"  {OTHER_WAY.format(base=base)}.")
    private = configure(folder, stanzas("deb-src", suite, known))
    say(f"downloading QEMU {base}'s source from Debian {suite} (40 MB)")
    try:
        mine = newest(base, suite, listed(private))
        run(["apt-get", *private, "source", "--download-only", *options, f"qemu={mine}"], cwd=folder / "files")
    except Unlisted:
        raise
    except Refused as failure:
        said = [line.strip() for line in str(failure).splitlines() if line.strip().startswith(("E:", "W:"))]
        raise Refused(f"asked for QEMU {base} from Debian {suite}, but apt could not get it:\n"
                      f"  {(said or [str(failure)])[0]}\n  {OTHER_WAY.format(base=base)}.") from failure
    return mine


def newest_release(base: str, suite: str, folder: Path) -> str:
    """The base's newest release in the suite, for instance 10.0.14, asked by an apt configuration in the folder."""
    options = configure(folder, stanzas("deb-src", suite, debian_mirrors()), patience=5, retries=0)
    packaged = newest(base, suite, listed(options))
    return re.sub(r"^\d+:", "", packaged).partition("+")[0].partition("-")[0]


def listed(options: list[str]) -> list[str]:
    """The versions of QEMU's source package, oldest first, by an apt configuration with these options."""
    run(["apt-get", *options, "update"])
    return versions(run(["apt-cache", *options, "showsrc", "--only-source", "qemu"]))


def configure(folder: Path, sources: str, patience: int = 60, retries: int = 2) -> list[str]:
    """Make an apt configuration in the folder; the options that make apt use it and nothing of the machine's.

    `patience` is how many seconds apt waits for a mirror.
    """
    for name in ("parts", "lists/partial", "cache/archives/partial", "files"):
        (folder / name).mkdir(parents=True)
    (folder / "parts" / "qemu.sources").write_text(sources)
    private = {"Dir::Etc::SourceList": "/dev/null", "Dir::Etc::SourceParts": folder / "parts",
               "Dir::State::Lists": folder / "lists", "Dir::Cache": folder / "cache",
               "APT::Update::Error-Mode": "any", "Acquire::Retries": retries, "Acquire::http::Timeout": patience}
    if os.geteuid() == 0:
        private["APT::Sandbox::User"] = "root"
    return ["-q", *(word for name, value in private.items() for word in ("-o", f"{name}={value}"))]


def versions(listed: str) -> list[str]:
    """The versions in what `apt-cache showsrc` says, oldest first."""
    found = set(re.findall(r"^Version: (\S+)", listed, re.MULTILINE))
    return sorted(found, key=lambda version: [int(number) for number in re.findall(r"\d+", version)])


def newest(base: str, suite: str, known: list[str]) -> str:
    """The newest of the versions that is a release of the base."""
    mine = [version for version in known if re.match(rf"(\d+:)?{re.escape(base)}\.\d+([+-]|$)", version)]
    if not mine:
        raise Unlisted(f"asked for QEMU {base} from Debian {suite}, whose source packages are now of "
                       f"{', '.join(known) or 'no version at all'}.\n  {OTHER_WAY.format(base=base)}.")
    return mine[-1]
