# SPDX-License-Identifier: GPL-2.0-or-later
"""What x86-64 instructions do, for the audit."""

from __future__ import annotations

import re
from typing import Any

import capstone
from capstone import x86_const

from audit.code_image import Image
from audit.code_instruction import Access, Effect, Flow, load
from audit.code_values import MIXED, NUMBER, State, Value, add, at, computed, join, low_word, masked, number, scale

OLD = {"rax": ("eax", "ax", "al"), "rbx": ("ebx", "bx", "bl"), "rcx": ("ecx", "cx", "cl"), "rdx": ("edx", "dx", "dl"),
       "rsi": ("esi", "si", "sil"), "rdi": ("edi", "di", "dil"), "rbp": ("ebp", "bp", "bpl"),
       "rsp": ("esp", "sp", "spl")}
NEW = {f"r{n}": (f"r{n}d", f"r{n}w", f"r{n}b") for n in range(8, 16)}
# Each name of a general register: the whole register and the number of bytes.
REGISTERS = {name: (whole, size) for whole, parts in (OLD | NEW).items()
             for name, size in zip((whole, *parts), (8, 4, 2, 1), strict=True)}
REGISTERS |= {f"{letter}h": (f"r{letter}x", 1) for letter in "abcd"}
STRING = re.compile(r"(movs|stos|lods|scas|cmps|ins|outs)[bwdq]")
VECTOR = re.compile(r"[xyz]?mm\d+|st(\(\d\))?\d?|k\d|tmm\d")
NOTHING = re.compile(r"nop|endbr64|data16|cs")
TRAP = re.compile(r"ud\d|int3|hlt")
CONDITIONAL = re.compile(r"j(?!mp)\w+|loop\w*")
ONLY_READ = re.compile(r"cmp|test|bt")
# Whatever else has a memory operand is forbidden: prefetches, atomic and non-temporal accesses, cache control.
TOUCH_MEMORY = re.compile(r"mov(zx|sx|sxd)?|add|sub|adc|sbb|and|or|xor|cmp|test|inc|dec|neg|not|imul|cmov\w+|set\w+|"
                          r"push|pop|lea|nop|call|jmp")


class X8664:
    """The architecture x86-64 with the calling convention of Linux."""

    arguments: tuple[str, ...] = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
    stack_pointer = "rsp"
    preserved: tuple[str, ...] = ("rbx", "rbp", "r12", "r13", "r14", "r15", "rsp")

    def __init__(self) -> None:
        self._capstone = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        self._capstone.detail = True

    def disassemble(self, code: bytes, address: int) -> list[Any]:
        """All instructions in this code."""
        return list(self._capstone.disasm(code, address))

    def forbidden(self, instruction: Any) -> str | None:
        """Why the crate may not have this instruction at all, by its name and operands."""
        *prefixes, name = instruction.mnemonic.split()
        used = {instruction.reg_name(register) for registers in instruction.regs_access() for register in registers}
        memory = [operand for operand in instruction.operands if operand.type == x86_const.X86_OP_MEM]
        if STRING.fullmatch(name) and not any(VECTOR.fullmatch(register) for register in used):
            return "string instruction"
        if any(VECTOR.fullmatch(register) for register in used) or instruction.group(x86_const.X86_GRP_FPU):
            return "vector or floating-point register"
        if "lock" in prefixes or (name == "xchg" and memory):
            return "locked access"
        if name.startswith("prefetch"):
            return "prefetch"
        if TRAP.fullmatch(name):
            return "trap"
        if name not in ("call", "jmp", "ret") and (instruction.group(capstone.CS_GRP_INT)
                                                   or instruction.group(capstone.CS_GRP_PRIVILEGE)):
            return "system instruction"
        if memory and not TOUCH_MEMORY.fullmatch(name):
            return "memory access of a kind that isn't known"
        if any(operand.mem.segment for operand in memory) and name != "nop":
            return "segment register"
        return None

    def is_padding(self, instruction: Any) -> bool:
        """Does this do nothing, or stop the program?"""
        name = instruction.mnemonic.split()[-1]
        return bool(NOTHING.fullmatch(name) or TRAP.fullmatch(name) or instruction.bytes == b"\x66\x90")

    def set_by_move(self, instruction: Any) -> tuple[str, int] | None:
        """The register and the value if the instruction moves a constant into a general register."""
        operands = instruction.operands
        if instruction.mnemonic not in ("mov", "movabs") or operands[1].type != x86_const.X86_OP_IMM or (
                operands[0].type != x86_const.X86_OP_REG):
            return None
        whole, _ = REGISTERS[instruction.reg_name(operands[0].reg)]
        return whole, operands[1].imm

    def stepped(self, instruction: Any) -> str | None:
        """The register if the instruction adds a constant to one, and does nothing else."""
        if instruction.mnemonic != "lea" or instruction.operands[1].mem.index or instruction.operands[1].mem.segment:
            return None
        names = [instruction.reg_name(register) for register in
                 (instruction.operands[0].reg, instruction.operands[1].mem.base)]
        return names[0] if names[0] == names[1] and REGISTERS[names[0]] == (names[0], 8) else None

    def effect(self, instruction: Any, state: State, image: Image) -> Effect:
        """Change the state as the instruction does, and tell the rest."""
        return Step(instruction, state, image).run()


class Step:
    """One instruction being executed."""

    def __init__(self, instruction: Any, state: State, image: Image) -> None:
        self.instruction, self.state, self.image = instruction, state, image
        self.name = instruction.mnemonic.split()[-1]
        self.operands = instruction.operands
        self.effect = Effect()

    def run(self) -> Effect:
        """Change the state and give the effect."""
        name = self.name
        if NOTHING.fullmatch(name):
            return self.effect
        if TRAP.fullmatch(name):
            self.effect.flow = Flow.TRAP
        elif name == "ret":
            self.effect.flow = Flow.RETURN
        elif name in ("jmp", "call") or CONDITIONAL.fullmatch(name):
            self.effect.flow = {"jmp": Flow.JUMP, "call": Flow.CALL}.get(name, Flow.BRANCH)
            self.effect.target = self.read(self.operands[0], is_target=True)
        elif name in ("push", "pop"):
            self.push_or_pop()
        elif name == "leave":
            self.state.registers["rsp"] = self.state.get("rbp")
            self.write_register("rbp", self.pop())
        elif ONLY_READ.fullmatch(name):
            for operand in self.operands:
                self.read(operand)
        elif name == "lea":
            self.write(self.operands[0], self.address(self.operands[1])[0])
        else:
            self.compute()
        return self.effect

    def push_or_pop(self) -> None:
        """Move one word between an operand and the stack."""
        if self.name == "pop":
            self.write(self.operands[0], self.pop())
            return
        value = self.read(self.operands[0])
        top = add(self.state.get("rsp"), number(-8))
        self.state.registers["rsp"] = top
        self.touch(Access(top, 8, is_load=False, is_store=True), value)

    def pop(self) -> Value:
        """Take a word from the stack."""
        top = self.state.get("rsp")
        value = self.touch(Access(top, 8, is_load=True, is_store=False))
        self.state.registers["rsp"] = add(top, number(8))
        return value

    def compute(self) -> None:
        """All that calculates, moves included."""
        name, operands = self.name, self.operands
        same = (len(operands) == 2 and all(operand.type == x86_const.X86_OP_REG for operand in operands)
                and operands[0].reg == operands[1].reg)
        if name in ("mov", "movabs"):
            self.write(operands[0], self.read(operands[1]))
        elif name in ("movzx", "movsx", "movsxd"):
            self.write(operands[0], self.read(operands[1], is_signed=name != "movzx"))
        elif same and name in ("xor", "sub", "sbb"):
            self.write(operands[0], NUMBER if name == "sbb" else number(0))
        elif name in ("add", "sub"):
            second = self.read(operands[1])
            self.update(add(self.read(operands[0]), second if name == "add" else scale(second, -1)))
        elif name in ("inc", "dec"):
            self.update(add(self.read(operands[0]), number(1 if name == "inc" else -1)))
        elif name == "neg":
            self.update(scale(self.read(operands[0]), -1))
        elif name in ("and", "or"):
            inputs = [self.read(operand) for operand in operands]
            is_mask = operands[1].type == x86_const.X86_OP_IMM
            self.update((masked(name, inputs[0], operands[1].imm) if is_mask else None) or computed(inputs))
        elif name.startswith("cmov"):
            self.write(operands[0], join(self.read(operands[0]), self.read(operands[1])))
        elif name.startswith("set"):
            self.write(operands[0], NUMBER)
        elif name == "xchg" and all(operand.type == x86_const.X86_OP_REG for operand in operands):
            first, second = map(self.read, operands)
            self.write(operands[0], second)
            self.write(operands[1], first)
        else:
            self.compute_otherwise()

    def compute_otherwise(self) -> None:
        """What isn't known by name: numbers give numbers."""
        read, written = ([self.instruction.reg_name(register) for register in registers]
                         for registers in self.instruction.regs_access())
        inputs = [self.read_register(register) for register in read if register in REGISTERS]
        memory = [operand for operand in self.operands if operand.type == x86_const.X86_OP_MEM]
        inputs += [self.read(operand) for operand in memory if operand.access & capstone.CS_AC_READ]
        inputs += [MIXED for register in read if VECTOR.fullmatch(register)]
        for register in written:
            if register in REGISTERS:
                self.write_register(register, computed(inputs))
        for operand in memory:
            if operand.access & capstone.CS_AC_WRITE:
                self.write(operand, computed(inputs))

    def update(self, value: Value) -> None:
        """Write to the first operand, which was read already: for memory that is one read-modify-write access."""
        if self.operands[0].type == x86_const.X86_OP_MEM:
            self.effect.accesses.clear()
        self.write(self.operands[0], value, is_update=True)

    def address(self, operand: Any) -> tuple[Value, Value]:
        """The address that a memory operand names, and the part of it without the index register."""
        memory = operand.mem
        if memory.base == x86_const.X86_REG_RIP:
            base = at("image", self.instruction.address + self.instruction.size)
        else:
            base = self.state.get(self.whole(memory.base)) if memory.base else number(0)
        base = add(base, number(memory.disp))
        if not memory.index:
            return base, base
        return add(base, scale(self.state.get(self.whole(memory.index)), memory.scale)), base

    def whole(self, register: int) -> str:
        """The name of the whole register; a 32-bit register in an address is none that is known."""
        whole, size = REGISTERS.get(self.instruction.reg_name(register), ("", 0))
        return whole if size == 8 else ""

    def access(self, operand: Any, is_store: bool, is_load: bool) -> Access:
        """The access that a memory operand stands for."""
        memory = operand.mem
        others = [other for other in self.operands if other.type == x86_const.X86_OP_REG]
        register = self.instruction.reg_name(others[0].reg) if others else ""
        return Access(self.address(operand)[0], operand.size, is_load=is_load, is_store=is_store,
                      is_plain=bool(self.whole(memory.base)) and not (memory.index or memory.disp or memory.segment),
                      is_move=(self.instruction.mnemonic == "mov" and is_load != is_store
                               and REGISTERS.get(register, ("", 0))[1] == operand.size),
                      register=REGISTERS.get(register, ("", 0))[0], base=self.whole(memory.base))

    def touch(self, access: Access, value: Value = MIXED, index: Value = MIXED, is_signed: bool = False) -> Value:
        """Make an access; what it loads."""
        self.effect.accesses.append(access)
        if access.is_store:
            if access.address.comes_from("stack"):
                self.state.store(access.address.exact, access.width, value)
            return value
        return load(access, index, self.state, self.image, is_signed)

    def read(self, operand: Any, is_signed: bool = False, is_target: bool = False) -> Value:
        """What an operand holds."""
        if operand.type == x86_const.X86_OP_IMM:
            return at("image", operand.imm) if is_target else number(operand.imm)
        if operand.type == x86_const.X86_OP_REG:
            return self.read_register(self.instruction.reg_name(operand.reg))
        access = self.access(operand, is_store=False, is_load=True)
        return self.touch(access, index=self.address(operand)[1], is_signed=is_signed)

    def read_register(self, name: str) -> Value:
        """What a register, or its low part, holds."""
        whole, size = REGISTERS[name]
        value = self.state.get(whole)
        if size == 8:
            return value
        return low_word(value) if size == 4 else NUMBER

    def write(self, operand: Any, value: Value, is_update: bool = False) -> None:
        """Write to an operand."""
        if operand.type == x86_const.X86_OP_REG:
            self.write_register(self.instruction.reg_name(operand.reg), value)
        else:
            self.touch(self.access(operand, is_store=True, is_load=is_update), value)

    def write_register(self, name: str, value: Value) -> None:
        """Write to a register: 32 bits clear the rest, fewer leave it."""
        whole, size = REGISTERS[name]
        if size == 4:
            value = low_word(value)
        elif size < 4:
            value = NUMBER if self.state.get(whole).is_number else MIXED
        self.state.registers[whole] = value
