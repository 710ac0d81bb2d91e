# SPDX-License-Identifier: GPL-2.0-or-later
"""Configure and build one variant of the emulator: patched, stock (QEMU as released), norust (patched, without Rust),
stock-rust (QEMU as released, with its own Rust), arm64 (patched, cross-built for arm64 hosts) or sanitized (patched,
by clang, with ASan and UBSan, and with a fuzzer beside each emulator).

Configure runs only when what it is asked for has changed; ninja goes on where an interrupted build stopped.
"""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

import compiling
import hosts
from hosts import Host
from source import declared
from workplace import NotAvailable, Refused, Workplace, arguments, run_script, say, workplace

WITH_SERIES = "--with-pkgversion=RAM device series, version 2"  # what --version says in parentheses
VARIANTS = {"patched": ("--enable-rust", WITH_SERIES), "stock": ("--disable-rust",),
            "norust": ("--disable-rust", WITH_SERIES), "stock-rust": ("--enable-rust",),
            "arm64": ("--enable-rust", WITH_SERIES),
            "sanitized": ("--enable-rust", WITH_SERIES, "--enable-asan", "--enable-ubsan", "--enable-fuzzing")}
CROSS = {"arm64"}  # Debian's names of the host's architecture
NOT_AVAILABLE = "not-available"  # the reason why there is no cross build


def main() -> None:
    """Build what the command line names."""
    parser = arguments(__doc__)
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("--python", type=Path, required=True, help="a Python with Meson and pycotap, for configure")
    parser.add_argument("--targets", default="aarch64-softmmu", help="QEMU's targets (default: %(default)s)")
    parser.add_argument("--tests", nargs="+", default=[], metavar="NAME",
                        help="build what these of QEMU's tests and suites need as well, for instance qtest-aarch64")
    parser.add_argument("--if-available", action="store_true",
                        help="where a cross build lacks something, leave the reason in place of the emulator")
    options = parser.parse_args()
    place, targets = workplace(options), options.targets.replace(",", " ").split()
    if not targets or not all(target.endswith("-softmmu") for target in targets):
        raise Refused(f"asked for TARGETS={options.targets!r}; names such as aarch64-softmmu or x86_64-softmmu do")
    try:
        build(place, options.variant, targets, options.python)
    except NotAvailable as reason:
        if not options.if_available:
            raise
        say(f"not building the emulator for {options.variant} hosts: {str(reason).partition(chr(10))[0]}")
        folder(place, options.variant).mkdir(parents=True, exist_ok=True)
        place.write(folder(place, options.variant) / NOT_AVAILABLE, f"{reason}\n")
        return
    if options.tests:
        say(f"building QEMU's tests ({options.variant}): {' '.join(options.tests)}")
        build_tests(place, folder(place, options.variant), options.tests)


def build(place: Workplace, variant: str, targets: list[str], python: Path) -> None:
    """Have a variant's emulators; NotAvailable if there is nothing to build it with."""
    made, host = folder(place, variant), host_of(place, variant)
    kinds = ["system", *(["fuzz"] if variant == "sanitized" else [])]
    emulators = [f"qemu-{kind}-{target.removesuffix('-softmmu')}" for target in targets for kind in kinds]
    with place.locked():
        (made / NOT_AVAILABLE).unlink(missing_ok=True)
        configure(place, made, variant, host, targets, python)
        say(f"building {' '.join(emulators)} ({variant}) in {made}")
        compiling.watch(place, ["ninja", "-C", str(made), *emulators], made)
    if variant in CROSS:
        sizes = ", ".join(f"{name} of {(made / name).stat().st_size / 1e6:.0f} MB" for name in emulators)
        say(f"for {variant} hosts there is {sizes} in {made}")


def folder(place: Workplace, variant: str) -> Path:
    """Where a variant is built."""
    return place.root / f"build-{variant}"


def host_of(place: Workplace, variant: str) -> Host:
    """The host that a variant is built for."""
    if variant in CROSS:
        return hosts.cross(place, variant, declared(place.base)["rust"])
    return hosts.sanitizing() if variant == "sanitized" else hosts.native()


def configure(place: Workplace, build: Path, variant: str, host: Host, targets: list[str], python: Path) -> None:
    """Configure a variant's build folder."""
    tree = place.stock_tree if variant.startswith("stock") else place.tree
    command = compiling.command(tree, python, targets, *VARIANTS[variant], host=host)
    compiling.configure(place, tree, build, command, python, host)


def build_tests(place: Workplace, made: Path, wanted: list[str]) -> None:
    """Build what the tests need whose names, or suites, are like these."""
    found = compiling.test_programs(made, lambda name, suites: any(
        fnmatch(known, pattern) for known in (name.partition("/")[2], *(suite.partition(":")[2] for suite in suites))
        for pattern in wanted))
    if not found:
        raise Refused(f"QEMU's build in {made} knows no tests of {' '.join(wanted)}; is {made}/meson-info of a "
                      "finished configure?")
    compiling.watch(place, ["ninja", "-C", str(made), *found], made)


if __name__ == "__main__":
    run_script(main)
