# SPDX-License-Identifier: GPL-2.0-or-later
"""What aarch64 instructions do, for the audit."""

from __future__ import annotations

import re
from typing import Any

import capstone
from capstone import arm64_const

from audit.code_image import Image
from audit.code_instruction import Access, Effect, Flow, load
from audit.code_values import (
    MIXED,
    NUMBER,
    SMALL,
    State,
    Value,
    add,
    at,
    computed,
    join,
    low_word,
    masked,
    number,
    scale,
)

GENERAL = re.compile(r"[xw](\d+|zr)|w?sp|fp|lr")
LOAD = re.compile(r"ldu?r(s?[bh]|sw)?")
LOAD_PAIR = re.compile(r"ldp(sw)?")
STORE = re.compile(r"stu?r[bh]?")
ATOMIC = re.compile(r"(cas|swp)\w*")
SIMPLE = re.compile(r"(ldr|str)[bh]?")
NOTHING = re.compile(r"nop|hint|bti|paciasp|autiasp|paciaz|autiaz")
TRAP = re.compile(r"brk|udf|hlt")
SYSTEM = re.compile(r"svc|hvc|smc|sysl?|dc|ic|at|tlbi|msr|mrs|wf[ei]t?|sevl?|yield|dmb|dsb|isb|sb|"
                    r"clrex|eret|dgh|[ct]sb|esb")
CONDITIONAL = re.compile(r"b\.\w+|cbn?z|tbn?z")
ONLY_READ = re.compile(r"cmp|cmn|tst|ccmp|ccmn")
SMALL_RESULT = re.compile(r"uxt[bh]|sxt[bh]|clz|cls|cset")
ALSO_READS_FIRST = re.compile(r"movk|bfi|bfxil|bfm|bfc")
SHIFTS = {arm64_const.ARM64_SFT_INVALID: 0, arm64_const.ARM64_SFT_LSL: 1}
WIDTHS = {"w": 4, "x": 8, "h": 2, "s": 4, "d": 8, "q": 16, "v": 16}
NAMES = {"fp": "x29", "lr": "x30", "wsp": "sp"}


def whole(name: str) -> str:
    """The whole register that a name stands for."""
    name = NAMES.get(name, name)
    return "x" + name[1:] if name.startswith("w") else name


def signed(value: int) -> int:
    """A 64-bit pattern as a signed number."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


class AArch64:
    """The architecture aarch64 with its procedure call standard."""

    arguments: tuple[str, ...] = tuple(f"x{n}" for n in range(8))
    stack_pointer = "sp"
    preserved: tuple[str, ...] = (*(f"x{n}" for n in range(19, 30)), "sp")

    def __init__(self) -> None:
        self._capstone = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
        self._capstone.detail = True

    def disassemble(self, code: bytes, address: int) -> list[Any]:
        """All instructions in this code."""
        return list(self._capstone.disasm(code, address))

    def forbidden(self, instruction: Any) -> str | None:
        """Why the crate may not have this instruction at all, by its name and operands."""
        name = instruction.mnemonic
        memory = [operand.mem for operand in instruction.operands if operand.type == arm64_const.ARM64_OP_MEM]
        used = [operand.reg for operand in instruction.operands if operand.type == arm64_const.ARM64_OP_REG]
        used += [register for operand in memory for register in (operand.base, operand.index) if register]
        if any(operand.vas or operand.vector_index >= 0 for operand in instruction.operands) or not all(
                GENERAL.fullmatch(instruction.reg_name(register)) for register in used):
            return "vector or floating-point register"
        if name.startswith("prf"):
            return "prefetch"
        if TRAP.fullmatch(name):
            return "trap"
        if SYSTEM.fullmatch(name):
            return "system instruction"
        is_known = LOAD.fullmatch(name) or STORE.fullmatch(name) or LOAD_PAIR.fullmatch(name) or name == "stp"
        if memory and not is_known:
            return "exclusive, ordered, atomic or other special access"
        return None

    def is_padding(self, instruction: Any) -> bool:
        """Does this do nothing, or stop the program?"""
        return bool(NOTHING.fullmatch(instruction.mnemonic) or TRAP.fullmatch(instruction.mnemonic))

    def set_by_move(self, instruction: Any) -> tuple[str, int] | None:
        """The register and the value if the instruction moves a constant into a general register."""
        operands = instruction.operands
        if instruction.mnemonic not in ("mov", "movz", "movn") or operands[1].type != arm64_const.ARM64_OP_IMM or (
                operands[1].shift.value):
            return None
        value = ~operands[1].imm if instruction.mnemonic == "movn" else operands[1].imm
        return whole(instruction.reg_name(operands[0].reg)), value

    def stepped(self, instruction: Any) -> str | None:
        """The register if the instruction adds a constant to one, and does nothing else."""
        operands = instruction.operands
        if instruction.mnemonic != "add" or operands[2].type != arm64_const.ARM64_OP_IMM:
            return None
        names = [instruction.reg_name(operand.reg) for operand in operands[:2]]
        return names[0] if names[0] == names[1] == whole(names[0]) else None

    def effect(self, instruction: Any, state: State, image: Image) -> Effect:
        """Change the state as the instruction does, and tell the rest."""
        return Step(instruction, state, image).run()


class Step:
    """One instruction being executed."""

    def __init__(self, instruction: Any, state: State, image: Image) -> None:
        self.instruction, self.state, self.image = instruction, state, image
        self.name = instruction.mnemonic
        self.operands = instruction.operands
        self.effect = Effect()

    def run(self) -> Effect:
        """Change the state and give the effect."""
        name = self.name
        if TRAP.fullmatch(name):
            self.effect.flow = Flow.TRAP
        elif name == "ret":
            self.effect.flow = Flow.RETURN
        elif name in ("b", "br", "bl", "blr") or CONDITIONAL.fullmatch(name):
            self.effect.flow = {"b": Flow.JUMP, "br": Flow.JUMP, "bl": Flow.CALL, "blr": Flow.CALL}.get(
                name, Flow.BRANCH)
            target = self.operands[-1]
            is_constant = target.type == arm64_const.ARM64_OP_IMM
            self.effect.target = at("image", target.imm) if is_constant else self.read(target)
        elif LOAD.fullmatch(name) or STORE.fullmatch(name) or LOAD_PAIR.fullmatch(name) or name == "stp":
            self.load_or_store()
        elif name.startswith(("ld", "st")) or ATOMIC.fullmatch(name):
            self.special_access()
        elif not (NOTHING.fullmatch(name) or ONLY_READ.fullmatch(name) or SYSTEM.fullmatch(name)):
            self.write(self.operands[0], self.compute())
        return self.effect

    def compute(self) -> Value:
        """What goes into the first operand."""
        name = self.name
        operands = self.operands if ALSO_READS_FIRST.fullmatch(name) else self.operands[1:]
        inputs = [self.read(operand) for operand in operands]
        if name in ("adr", "adrp"):
            return at("image", self.operands[1].imm)
        if name == "mov":
            return inputs[0]
        if name in ("add", "adds"):
            return add(*inputs)
        if name in ("sub", "subs"):
            return add(inputs[0], scale(inputs[1], -1))
        if name in ("neg", "negs"):
            return scale(inputs[0], -1)
        if name == "csel":
            return join(inputs[0], inputs[1])
        if name in ("and", "ands", "orr") and self.operands[2].type == arm64_const.ARM64_OP_IMM:
            return masked(name[:3].replace("orr", "or"), inputs[0], signed(self.operands[2].imm)) or computed(inputs)
        if SMALL_RESULT.match(name) or (name == "ubfx" and 1 << self.operands[3].imm <= SMALL):
            return NUMBER
        return computed(inputs)

    def load_or_store(self) -> None:
        """Move one register, or two, from or to memory, and change the base register if that is asked for."""
        is_load = self.name.startswith("ld")
        is_pair = self.name.startswith(("ldp", "stp"))
        registers = self.operands[:2 if is_pair else 1]
        place = self.operands[len(registers)]
        if place.type != arm64_const.ARM64_OP_MEM:
            self.access(registers[0], at("image", place.imm), number(0), is_load)
            return
        memory = place.mem
        base = self.state.get(whole(self.instruction.reg_name(memory.base)))
        after = self.operands[len(registers) + 1:]
        start = base if after else add(base, number(memory.disp))
        index = start
        if memory.index:
            start = add(base, self.shifted(self.register(memory.index), place))
        for register in registers:
            self.access(register, start, index, is_load, memory, is_pair, bool(after) or self.instruction.writeback)
            start = add(start, number(self.width(register)))
        if after:
            self.state.registers[whole(self.instruction.reg_name(memory.base))] = add(base, self.read(after[0]))
        elif self.instruction.writeback:
            self.state.registers[whole(self.instruction.reg_name(memory.base))] = index

    def special_access(self) -> None:
        """Whatever else touches memory; what it loads, if anything, is a number."""
        registers = [operand for operand in self.operands if operand.type == arm64_const.ARM64_OP_REG]
        for operand in self.operands:
            if operand.type == arm64_const.ARM64_OP_MEM:
                address = self.state.get(whole(self.instruction.reg_name(operand.mem.base)))
                is_load, is_store = self.name.startswith("ld"), self.name.startswith("st")
                access = Access(address, self.width(registers[-1]), is_load=not is_store, is_store=not is_load,
                                is_pair="p" in self.name[2:], has_writeback=self.instruction.writeback)
                self.effect.accesses.append(access)
                if address.comes_from("stack"):
                    self.state.store(None, access.width, MIXED)
        for register in registers:
            self.write(register, computed([self.register(register.reg)]) if self.name.startswith("st") else NUMBER)

    def access(self, operand: Any, address: Value, index: Value, is_load: bool, memory: Any = None,
               is_pair: bool = False, has_writeback: bool = False) -> None:
        """Make the access of one register."""
        register = whole(self.instruction.reg_name(operand.reg))
        access = Access(address, self.width(operand), is_load=is_load, is_store=not is_load, register=register,
                        is_plain=memory is not None and not (memory.index or memory.disp or has_writeback),
                        is_move=SIMPLE.fullmatch(self.name) is not None, is_pair=is_pair, has_writeback=has_writeback,
                        base="" if memory is None else whole(self.instruction.reg_name(memory.base)))
        self.effect.accesses.append(access)
        if is_load:
            self.write(operand, load(access, index, self.state, self.image, is_signed="s" in self.name))
        elif address.comes_from("stack"):
            self.state.store(address.exact, access.width, self.read(operand))

    def width(self, register: Any) -> int:
        """The number of bytes that one register's access has."""
        if self.name.endswith("b"):
            return 1
        if self.name.endswith("h"):
            return 2
        if self.name.endswith("sw"):
            return 4
        return WIDTHS.get(self.instruction.reg_name(register.reg)[0], 8)

    def register(self, register: int) -> Value:
        """What a register holds."""
        name = self.instruction.reg_name(register)
        if name in ("xzr", "wzr"):
            return number(0)
        value = self.state.get(whole(name))
        return low_word(value) if name.startswith("w") else value

    def shifted(self, value: Value, operand: Any) -> Value:
        """A register's value as an operand shifts and extends it."""
        if operand.ext in (arm64_const.ARM64_EXT_UXTB, arm64_const.ARM64_EXT_UXTH, arm64_const.ARM64_EXT_SXTB,
                           arm64_const.ARM64_EXT_SXTH) and value.entry is None:
            value = NUMBER
        if operand.shift.type not in SHIFTS:
            return computed([value])
        return scale(value, 1 << operand.shift.value if SHIFTS[operand.shift.type] else 1)

    def read(self, operand: Any) -> Value:
        """What an operand holds."""
        if operand.type == arm64_const.ARM64_OP_IMM:
            return number(operand.imm << operand.shift.value if operand.shift.type in SHIFTS else operand.imm)
        if operand.type == arm64_const.ARM64_OP_REG:
            return self.shifted(self.register(operand.reg), operand)
        return NUMBER

    def write(self, operand: Any, value: Value) -> None:
        """Write to a register: a 32-bit one clears the rest."""
        name = self.instruction.reg_name(operand.reg)
        if whole(name) != "xzr":
            self.state.registers[whole(name)] = low_word(value) if name.startswith("w") and name != "wsp" else value
