# SPDX-License-Identifier: GPL-2.0-or-later
"""What a Linux kernel starts with: an initramfs of a script, busybox and kernel modules; nothing needs root."""

from __future__ import annotations

import lzma
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from machines.error import MachineError

DIRECTORY, PROGRAM = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755


def modules_folder(root: Path) -> Path:
    """Where an unpacked kernel package has its modules: Debian 13's no longer have them in /lib."""
    found = [folder for folder in (root / "lib" / "modules", root / "usr" / "lib" / "modules") if folder.is_dir()]
    if not found:
        raise MachineError(f"{root} has neither lib/modules nor usr/lib/modules: is it an unpacked kernel package?")
    return found[0]


def contents(module: Path) -> bytes:
    """A module as the kernel loads it; Debian 13's files are compressed."""
    data = module.read_bytes()
    if module.suffix == ".ko":
        return data
    if module.suffix == ".xz":
        return lzma.decompress(data)
    raise MachineError(f"{module} is compressed, but not by xz: only that can be read here")


def in_load_order(modules: Path, wanted: Iterable[str]) -> list[Path]:
    """The files of the wanted modules and of all they depend on, each after its own dependencies.

    `modules` is a kernel's lib/modules folder. What is built into that kernel is left out.
    """
    files = {_name(file): file for file in modules.rglob("*.ko*")}
    (builtin_list,) = modules.rglob("modules.builtin")
    builtin = {Path(line).stem.replace("-", "_") for line in builtin_list.read_text().splitlines()}
    ordered: list[Path] = []

    def add(name: str) -> None:
        name = name.replace("-", "_")
        if name in builtin:
            return
        if name not in files:
            raise MachineError(f"the kernel in {modules} has no module {name}")
        if files[name] in ordered:
            return
        depends = re.search(rb"\0depends=([^\0]*)\0", contents(files[name]))
        for needed in depends[1].decode().split(",") if depends and depends[1] else ():
            add(needed)
        ordered.append(files[name])

    for module in wanted:
        add(module)
    return ordered


def write(target: Path, init: str, busybox: Path, modules: Iterable[Path], files: Mapping[str, Path]) -> None:
    """Write an archive of /init, /bin/busybox, /modules in the order given, and further programs by name."""
    entries = [(name, DIRECTORY, b"") for name in ("bin", "host", "modules")]
    entries += [("init", PROGRAM, init.encode()), ("bin/busybox", PROGRAM, busybox.read_bytes())]
    for place, module in enumerate(modules):
        entries.append((f"modules/{place:02}-{_name(module)}.ko", PROGRAM, contents(module)))
    entries += [(name, PROGRAM, file.read_bytes()) for name, file in files.items()]
    with target.open("wb") as archive:
        for number, (name, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")], start=1):
            archive.write(_cpio_entry(number, name, mode, data))


def _name(module: Path) -> str:
    """A module's name, as the kernel has it."""
    return module.name.partition(".ko")[0].replace("-", "_")


def _cpio_entry(number: int, name: str, mode: int, data: bytes) -> bytes:
    """One entry in cpio's `newc` format, which is what the kernel unpacks."""
    path = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + path
    return b"".join(part + bytes(-len(part) % 4) for part in (head, data))
