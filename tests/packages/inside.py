# SPDX-License-Identifier: GPL-2.0-or-later
"""All checks, in the order in which a host's administrator would meet them. It runs in the chroot.

    inside.py PACKAGES GUESTS

The folders are of our packages, and of the guests' files. Each line of its output is a JSON object: {"progress": TEXT}
or {"result": {...}}.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path

from machines.error import MachineError
from packages import domain_checks, expected, features, gpu_memory, installed, libvirt, moves
from packages.domains import Wanted
from packages.features import Features
from packages.guests import Guest
from packages.libvirt import Domain
from packages.results import CHANGES, DEBIANS, DOMAINS, FEATURES, OURS, RAM_DEVICES, Checks, require

ARCHITECTURES = ("x86_64", "aarch64")
ASIDE = Path("/opt/debian")
# A block driver that is in a module; nobody serves there. Of all modules, Debian's packages save those of block drivers
# for emulators that run on; but QEMU 10.0 (module_load() in util/module.c), whoever has built it, looks no further than
# the first folder that has a file of that name, which is the new build's.
SAVED_MODULES = Path("/run/qemu")
MODULES_DRIVER = {"driver": "https", "node-name": "late", "url": "https://127.0.0.1:1/"}
KEPT, SAVED, RUNNING = "kept", "saved", "running"


class Inside:
    """The chroot's state from one step to the next."""

    def __init__(self, packages: Path, guest_files: Path) -> None:
        self.checks = Checks()
        self.packages = packages
        self.gpu_files = guest_files / gpu_memory.NAME
        self.guests = {architecture: Guest(architecture, guest_files) for architecture in ARCHITECTURES}
        self.debians = installed.versions()
        self.offered = installed.versions_of(packages.glob("*.deb"))

    def run(self) -> None:
        """Everything."""
        libvirt.configure()
        self.keep_aside()
        before, files = self.features(), installed.contents([*self.debians])
        with libvirt.daemon():
            capabilities = self.capabilities()
            self.domains(DEBIANS)
            self.saved_by(DEBIANS)
            with self.running() as domain:
                self.check(CHANGES, "Debian's to ours, as docs/packages.md says", self.upgrade)
                self.check(CHANGES, "a domain that runs meanwhile", functools.partial(self.lives_on, domain))
            self.compare(before, self.features())
            self.compare(capabilities, self.capabilities())
            self.restored_by(OURS, DEBIANS)
            self.domains(OURS)
            self.check(RAM_DEVICES, "aarch64: GPU memory as system RAM",
                       functools.partial(gpu_memory.check, self.gpu_files, domain_checks.SCRATCH))  # fmt: skip
            self.version()
            self.moves()
            self.saved_by(OURS)
            self.check(CHANGES, "ours to Debian's, as docs/libvirt.md says", functools.partial(self.downgrade, files))
            self.restored_by(DEBIANS, OURS)

    def check(self, table: str, what: str, check: Callable[[], str], who: str = OURS) -> None:
        """One check."""
        self.checks.progress(f"{what} ({who})")
        self.checks.make(table, what, who, check)

    def keep_aside(self) -> None:
        """Debian's packages, unpacked besides, for when ours are installed."""
        installed.apt("update")
        ASIDE.mkdir(parents=True)
        for name, version in self.debians.items():
            installed.command("sh", "-c", f"cd /var/tmp && apt-get -qq download {name}={version}")
        for archive in Path("/var/tmp").glob("*.deb"):
            installed.command("dpkg", "-x", str(archive), str(ASIDE))
            archive.unlink()

    def features(self) -> Features:
        """What emulators, qemu-img and packages have."""
        self.checks.progress("features")
        found: Features = {}
        for architecture in ARCHITECTURES:
            found |= features.of([f"/usr/bin/qemu-system-{architecture}"], architecture)
        drivers = sorted(found["x86_64: block drivers"])
        packages = [*self.debians]
        return found | features.of_qemu_img(drivers) | installed.features(packages) | installed.programs(packages)

    def capabilities(self) -> Features:
        """What libvirt makes of the emulators."""
        return {f"{architecture}: virsh domcapabilities": domain_checks.capabilities(architecture)
                for architecture in ARCHITECTURES}  # fmt: skip

    def compare(self, before: Features, after: Features) -> None:
        """Tell of each topic how many lines there are, and which shouldn't."""
        for topic, compared in expected.compare_all(before, after).items():
            self.checks.tell(FEATURES, topic, DEBIANS, f"{len(before.get(topic, ()))}")
            said = f"{len(after.get(topic, ()))}" + (f", {compared.ours} new" if compared.ours else "")
            if not compared.is_as_expected:
                said = f"FAILED: new {compared.new}; gone {compared.gone}; lacking {compared.lacking}"
            self.checks.tell(FEATURES, topic, OURS, said)

    def domains(self, who: str) -> None:
        """The domains that both must run, and the series' own."""
        is_ours = who == OURS
        for architecture, guest in self.guests.items():
            for table, what, check in (
                (DOMAINS, "disks, NUMA, sandbox, network", domain_checks.disks_and_memory),
                (DOMAINS, "displays, USB redirection, TPM", domain_checks.displays),
                (RAM_DEVICES, "ram-device-testdev", functools.partial(domain_checks.test_device, must_have=is_ours)),
                (RAM_DEVICES, "x-ram-device-direct by override",
                 functools.partial(domain_checks.override, must_know=is_ours)),
            ):  # fmt: skip
                self.check(table, f"{architecture}: {what}", functools.partial(check, guest), who)

    def version(self) -> None:
        """Ours say that they have the series."""
        for architecture in ARCHITECTURES:
            self.check(RAM_DEVICES, f"{architecture}: --version", functools.partial(_version, architecture))

    def upgrade(self) -> str:
        """Ours over Debian's."""
        installed.install(self.packages)
        now = installed.versions()
        require({*now} == {*self.debians}, f"installed are {[*now]}, not {[*self.debians]}")
        old = {name: version for name, version in now.items() if self.offered.get(name, version) != version}
        require(not old, f"not replaced: {old}")
        for name, version in self.debians.items():
            require(installed.sorts_between(now[name], version), f"{now[name]} and {version} are in the wrong order")
        return f"{sum(installed.OURS_MARK in version for version in now.values())} packages of {len(now)}"

    def downgrade(self, files: dict[str, str]) -> str:
        """Debian's over ours; nothing of ours is left."""
        installed.go_back()
        now = installed.contents([*self.debians])
        different = [name for name in {*files, *now} if files.get(name) != now.get(name)]
        require(not different, f"{len(different)} differ: {sorted(different)[:5]}")
        return f"{len(files)} files and packages as before"

    def saved_by(self, who: str) -> None:
        """For restored_by()."""
        for architecture, guest in self.guests.items():
            for way in (KEPT, SAVED):
                self.check(CHANGES, f"{architecture}: {_saving(way)}", functools.partial(_save, way, guest), who)

    def restored_by(self, who: str, saved_by: str) -> None:
        """Go on with what the other one has saved."""
        for architecture, guest in self.guests.items():
            for way in (KEPT, SAVED):
                what = f"{architecture}: {_saving(way)} by {saved_by}, restored"
                self.check(CHANGES, what, functools.partial(_restore, way, guest), who)

    def running(self) -> _Running:
        """A domain that Debian's emulator runs."""
        return _Running(self.guests["x86_64"])

    def lives_on(self, domain: Domain) -> str:
        """It runs with the program that is no longer there; whether it finds a module that was replaced is told."""
        wanted = _wanted(RUNNING, self.guests["x86_64"])
        count = len(moves.beats(wanted.console))
        require("deleted" in str(domain.emulator), f"it runs with {domain.emulator}")
        require([*SAVED_MODULES.glob("*/block-curl.so")], "no modules are saved for it")
        module = "the old modules are in use"
        try:
            domain.ask("blockdev-add", **MODULES_DRIVER)
        except MachineError as error:
            if "CURL" not in str(error):
                require("Unknown driver 'https'" in str(error), str(error))
                module = "of the old modules, which are saved, none can be loaded any more"
        domain_checks.wait_for_beats(domain, wanted, count + moves.BEATS)
        libvirt.virsh("destroy", domain.name)
        return f"{domain_checks.requires_right_guest(wanted)}; {module}"

    def moves(self) -> None:
        """Live migration, both ways."""
        debians, ours = moves.Emulator(str(ASIDE)), moves.Emulator()
        for architecture, guest in self.guests.items():
            for what, source, target in (
                ("Debian's to ours", debians, ours), ("ours to Debian's", ours, debians),
            ):  # fmt: skip
                folder = Path("/var/tmp") / f"{architecture} {what}".replace(" ", "-").replace("'", "")
                self.check(CHANGES, f"{architecture}: live migration, {what}",
                           functools.partial(moves.move, guest, source, target, folder))  # fmt: skip


class _Running:
    """A domain that runs while packages change."""

    def __init__(self, guest: Guest) -> None:
        self._wanted = _wanted(RUNNING, guest)
        self._defined = domain_checks.defined(self._wanted)

    def __enter__(self) -> Domain:
        domain = self._defined.__enter__()
        domain_checks.start(domain)
        domain_checks.wait_for_beats(domain, self._wanted, 1)
        return domain

    def __exit__(self, *error: object) -> None:
        self._defined.__exit__(None, None, None)


def _saving(way: str) -> str:
    return "managed save" if way == KEPT else "saved to a file"


def _wanted(name: str, guest: Guest) -> Wanted:
    return Wanted(f"{name}-{guest.architecture}", guest, ("io_uring",))


def _file(wanted: Wanted) -> Path:
    return Path("/var/lib/libvirt") / f"{wanted.name}.saved"


def _save(way: str, guest: Guest) -> str:
    wanted = _wanted(way, guest)
    domain_checks.prepare(wanted)
    (domain_checks.SCRATCH / f"{wanted.name}.xml").write_text(wanted.xml)
    libvirt.virsh("define", str(domain_checks.SCRATCH / f"{wanted.name}.xml"))
    domain = Domain(wanted.name)
    domain_checks.start(domain)
    domain_checks.wait_for_beats(domain, wanted, moves.BEATS)
    if way == KEPT:
        libvirt.virsh("managedsave", wanted.name)
    else:
        libvirt.virsh("save", wanted.name, str(_file(wanted)))
    require(domain.state == "shut off", f"it is {domain.state}")
    return f"{len(moves.beats(wanted.console))} beats"


def _restore(way: str, guest: Guest) -> str:
    wanted = _wanted(way, guest)
    domain, before = Domain(wanted.name), len(moves.beats(wanted.console))
    require(before >= moves.BEATS, "it wasn't saved")
    if way == KEPT:
        domain_checks.start(domain)
    else:
        libvirt.virsh("restore", str(_file(wanted)))
    try:
        domain_checks.wait_for_beats(domain, wanted, before + moves.BEATS)
    finally:
        libvirt.virsh("destroy", domain.name)
        libvirt.virsh("undefine", domain.name)
    return f"{domain_checks.requires_right_guest(wanted)}, {before} before"


def _version(architecture: str) -> str:
    said = installed.command(f"/usr/bin/qemu-system-{architecture}", "--version").splitlines()[0]
    require(installed.OURS_MARK in said, f"it says {said!r}")
    return said


def main() -> None:
    inside = Inside(Path(sys.argv[1]), Path(sys.argv[2]))
    try:
        inside.run()
    except (MachineError, OSError) as error:
        inside.checks.tell(CHANGES, "the run", OURS, f"FAILED: it ended before its time: {error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
