# SPDX-License-Identifier: GPL-2.0-or-later
"""What the audit needs from a linked ELF: the crate's functions, the table of faulting accesses, bytes and pointers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

SOURCES = Path(__file__).resolve().parents[2] / "rust" / "ram-device" / "src"
TABLE = "ram_device_faults"
ENTRY = 8
ARCHITECTURES = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64"}
# Arguments by what they point to, or by what the crate calls them: a transfer's two sides, where a value goes, and
# both sides of a move from RAM to RAM.
POINTED = {"RamDevice": "struct", "RamDeviceAccount": "other struct", "RamDevicePages": "other struct"}
NAMED = {"device": "device", "ram": "buffer", "value": "buffer", "from": "source", "to": "destination"}
# R_X86_64_RELATIVE and R_AARCH64_RELATIVE: the addend is the address.
RELATIVE = {"x86_64": 8, "aarch64": 1027}
WRITABLE = 2


class Refused(Exception):
    """There is nothing here that could be audited."""


@dataclass(frozen=True)
class Function:
    """One function's place."""

    name: str
    address: int
    size: int

    def __contains__(self, address: int) -> bool:
        return self.address <= address < self.address + self.size


@dataclass(frozen=True)
class Fault:
    """One entry of the table: an access to the device, and where execution goes on if it faults."""

    instruction: int
    fixup: int


def arguments(parameters: str) -> list[str]:
    """What each of a Rust function's arguments points to; "number" if it may not be used as an address."""
    found = []
    for parameter in filter(None, map(str.strip, parameters.split(","))):
        name, kind = map(str.strip, parameter.split(":", 1))
        pointed = kind.rpartition(" ")[2]
        if not kind.startswith("*") and kind != "DeviceAddr":
            found.append("port" if kind.startswith("&") else "number")
        else:
            found.append(POINTED.get(pointed) or NAMED.get(name, "number"))
    return found


def exported() -> dict[str, list[str]]:
    """The crate's exported functions and what their arguments are."""
    text = (SOURCES / "ffi.rs").read_text()
    found = {name: arguments(parameters) for name, parameters in re.findall(
        r'#\[no_mangle\]\s*pub (?:unsafe )?extern "C" fn (\w+)\(([^)]*)\)', text)}
    if not found:
        raise Refused(f"{SOURCES / 'ffi.rs'} exports no function that could be looked for")
    return found


def public(symbol: str) -> list[str] | None:
    """What the arguments of a public function of the crate are, by its mangled name; None if it is no such function."""
    path, rest = [], symbol.partition("10ram_device")[2]
    while length := re.match(r"\d+", rest):
        end = length.end() + int(length[0])
        path.append(rest[length.end():end].lstrip("_"))
        rest = rest[end:]
    for depth in range(len(path) - 1, 0, -1):
        source = SOURCES.joinpath(*path[:depth]).with_suffix(".rs")
        if source.is_file():
            found = re.search(rf"^pub (?:unsafe )?fn {re.escape(path[depth])}(?:<[^>]*>)?\(([^)]*)\)",
                              source.read_text(), re.MULTILINE)
            return arguments(found[1]) if found else None
    return None


def is_of_crate(symbol: str) -> bool:
    """Is this the mangled name, legacy or v0, of something in the crate ram_device?"""
    return bool(re.match(r"_ZN10ram_device|_ZN\d+_\$LT\$.*\bram_device\.\.|_R.*Cs\w*_10ram_device", symbol))


class Image:
    """A linked ELF."""

    def __init__(self, path: Path) -> None:
        try:
            self._elf = ELFFile(path.open("rb"))
        except (OSError, ELFError) as failure:
            raise Refused(f"{path} can't be read as an ELF file: {failure}") from failure
        self.path = path
        machine = self._elf["e_machine"]
        if machine not in ARCHITECTURES:
            raise Refused(f"{path} is for {machine}; this audit knows {' and '.join(ARCHITECTURES.values())}")
        self.architecture = ARCHITECTURES[machine]
        self._segments = [segment for segment in self._elf.iter_segments() if segment["p_type"] == "PT_LOAD"]

    def _symbols(self) -> Iterator[Any]:
        """All symbols of the full symbol table."""
        table = self._elf.get_section_by_name(".symtab")
        if not isinstance(table, SymbolTableSection):
            raise Refused(f"{self.path} has no symbols; audit a file that isn't stripped")
        yield from table.iter_symbols()

    @cached_property
    def functions(self) -> dict[str, Function]:
        """The crate's functions by name: the exported ones and the mangled ones."""
        names = exported()
        found = {symbol.name: Function(symbol.name, symbol["st_value"], symbol["st_size"]) for symbol in self._symbols()
                 if symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_shndx"] != "SHN_UNDEF" and symbol["st_size"]
                 and (symbol.name in names or is_of_crate(symbol.name))}
        missing = sorted(name for name, kinds in names.items() if "struct" in kinds and name not in found)
        if missing:
            raise Refused(f"{self.path} is no program with the crate: it has no function {', '.join(missing)}")
        return found

    @cached_property
    def faults(self) -> list[Fault]:
        """The table of faulting accesses: pairs of 32-bit numbers, each relative to its own place."""
        section = self._elf.get_section_by_name(TABLE)
        if section is None or not section["sh_size"]:
            raise Refused(f"{self.path} has no entry in a table {TABLE}: no device access of the crate can be found")
        if section["sh_size"] % ENTRY:
            raise Refused(f"{self.path}: the table {TABLE} has {section['sh_size']} bytes, no multiple of {ENTRY}")
        data, start = section.data(), section["sh_addr"]
        field = [start + at + int.from_bytes(data[at:at + 4], "little", signed=True) for at in range(0, len(data), 4)]
        return [Fault(*pair) for pair in zip(field[::2], field[1::2], strict=True)]

    def data(self, address: int, size: int) -> bytes:
        """What the file has at an address: as many bytes as asked for, or fewer where a segment ends."""
        for segment in self._segments:
            at = address - segment["p_vaddr"]
            if 0 <= at < segment["p_filesz"]:
                self._elf.stream.seek(segment["p_offset"] + at)
                return bytes(self._elf.stream.read(min(size, segment["p_filesz"] - at)))
        return b""

    def is_constant(self, address: int) -> bool:
        """Is this address in memory that nothing writes once the program runs?"""
        relro = [segment for segment in self._elf.iter_segments() if segment["p_type"] == "PT_GNU_RELRO"]
        return (any(within(segment, address) and not segment["p_flags"] & WRITABLE for segment in self._segments)
                or any(within(segment, address) for segment in relro))

    @cached_property
    def _relative(self) -> dict[int, int]:
        """Words that the dynamic linker makes addresses of, and which ones."""
        kind = RELATIVE[self.architecture]
        return {entry["r_offset"]: entry["r_addend"]
                for section in self._elf.iter_sections() if isinstance(section, RelocationSection) and section.is_RELA()
                for entry in section.iter_relocations() if entry["r_info_type"] == kind}

    @cached_property
    def _got(self) -> list[tuple[int, int]]:
        """Where the linker's own tables of addresses are."""
        return [(section["sh_addr"], section["sh_addr"] + section["sh_size"])
                for section in self._elf.iter_sections() if section.name in (".got", ".got.plt")]

    def pointer(self, address: int) -> int | None:
        """The address that the word at this address is when the program runs, if it is known to be one."""
        if address in self._relative:
            return self._relative[address]
        if any(start <= address < end for start, end in self._got):
            return int.from_bytes(self.data(address, 8), "little") or None
        return None


def within(segment: Any, address: int) -> bool:
    """Is the address in this segment?"""
    return bool(segment["p_vaddr"] <= address < segment["p_vaddr"] + segment["p_memsz"])
