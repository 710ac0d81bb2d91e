# SPDX-License-Identifier: GPL-2.0-or-later
"""C4 on the machine code: what the compilers and the linker have made of the crate, instruction by instruction.

Each rule has a program that breaks it, written in assembler; the audit must report it by its name.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from audit import compilers, programs
from audit.code_image import SOURCES, Refused, exported, is_of_crate, public
from audit.machine_code import WIDTHS, Audit, audit
from audit.programs import C_COMPILERS, Program
from audit.whole_crate import whole_crate
from crate_builds.library import compile_crate
from machines import emulators
from machines.error import NotAvailable

FOLDER = Path(__file__).parent
DEFINED = {"ram_device_load", "ram_device_read", "ram_device_fixup", "ram_device_pages_take", "ram_move_word"}
NOT_ALONE = "address that isn't a base register alone"
NOT_PLAIN = "access that is no plain load or store of a general register"
OUTSIDE = "access to the device that isn't in the table"
UNKNOWN = "address of unknown origin"
VECTOR = "vector or floating-point register"
LOCKED = "locked access"
SPECIAL = "exclusive, ordered, atomic or other special access"

# What is put into the program, and the name that it must be reported by.
FORBIDDEN = {
    "x86_64": {
        "rep movsb": "string instruction",
        "rep stosq": "string instruction",
        "movsl": "string instruction",
        "movups (%r8), %xmm0": VECTOR,
        "movd %eax, %xmm0": VECTOR,
        "fldl (%rdx)": VECTOR,
        "lock addl $1, (%r8)": LOCKED,
        "xchg %eax, (%r8)": LOCKED,
        "prefetcht0 (%r8)": "prefetch",
        "prefetchw (%r8)": "prefetch",
        "clflush (%r8)": "memory access of a kind that isn't known",
        "movnti %eax, (%r8)": "memory access of a kind that isn't known",
        "cmpxchg %ecx, (%r8)": "memory access of a kind that isn't known",
        "call memcpy": "call out of the crate",
        "jmp memcpy": "jump out of the crate",
        "je memcpy": "jump out of the crate",
        "call *%rax": "indirect call",
        "call *variable(%rip)": "indirect call",
        "jmp *%rax": "indirect jump whose targets aren't known",
        "lea jumps(%rip), %r9; movslq (%r9,%rsi,4), %r10; add %r9, %r10; jmp *%r10":
            "indirect jump whose targets aren't known",
        "mov (%r8), %eax": OUTSIDE,
        "mov %eax, (%r8)": OUTSIDE,
        "cmpb $0, (%r8)": OUTSIDE,
        "push (%r8)": OUTSIDE,
        "mov %rsp, %r9; mov %r8, -8(%r9); mov -8(%rsp), %r10; mov (%r10), %eax": OUTSIDE,
        "sub %r8, %rdx; add %r8, %rdx; add %r8, %rdx; mov (%rdx), %eax": UNKNOWN,
        "mov 8(%rdx), %eax": NOT_ALONE,
        "mov (%rdx,%rsi), %eax": NOT_ALONE,
        "addl $1, (%rdx)": NOT_PLAIN,
        "movzbl (%rdx), %eax": NOT_PLAIN,
        "mov (%rsi), %eax": UNKNOWN,
        "cmove %rdx, %r8; mov %eax, (%r8)": UNKNOWN,
        "mov %fs:(%rdx), %eax": "segment register",
        "mov %eax, (%rdi)": "store to struct RamDevice",
        "mov 24(%rdi), %eax": "access beside struct RamDevice",
        "mov %eax, variable(%rip)": "store to static data",
        "mov variable(%rip), %eax": "load of something that may change",
        "ud2": "trap",
        "syscall": "system instruction",
        "ret; mov %ecx, %eax": "code that no path reaches",
    },
    "aarch64": {
        "ldp x9, x10, [x8]": "pair of registers",
        "stp x9, x10, [x2]": "pair of registers",
        "str w9, [x2], 4": "writeback",
        "str w9, [x2, 4]!": "writeback",
        "ldr q0, [x8]": VECTOR,
        "ldp q0, q1, [sp]": VECTOR,
        "ld1 {v0.16b}, [x2]": VECTOR,
        "fmov s0, w9": VECTOR,
        "prfm pldl1keep, [x8]": "prefetch",
        "ldar w9, [x2]": SPECIAL,
        "ldxr w9, [x2]": SPECIAL,
        "stlr w9, [x2]": SPECIAL,
        "ldadd w9, w10, [x2]": SPECIAL,
        "cas w9, w10, [x2]": SPECIAL,
        "ldtr w9, [x2]": SPECIAL,
        "bl memcpy": "call out of the crate",
        "b memcpy": "jump out of the crate",
        "cbz x9, memcpy": "jump out of the crate",
        "blr x9": "indirect call",
        "br x9": "indirect jump whose targets aren't known",
        "adrp x9, jumps; add x9, x9, :lo12:jumps; ldrsw x10, [x9, x1, lsl 2]; add x10, x10, x9; br x10":
            "indirect jump whose targets aren't known",
        "ldr w9, [x8]": OUTSIDE,
        "str w9, [x8]": OUTSIDE,
        "str x8, [sp, -16]!; ldr x10, [sp], 16; ldr w9, [x10]": OUTSIDE,
        "sub x10, x2, x8; add x10, x10, x8, lsl 1; ldr w9, [x10]": UNKNOWN,
        "ldr w9, [x2, 8]": NOT_ALONE,
        "ldr w9, [x2, x1]": NOT_ALONE,
        "ldrsb w9, [x2]": NOT_PLAIN,
        "ldur w9, [x2]": NOT_PLAIN,
        "ldr w9, [x1]": UNKNOWN,
        "csel x10, x2, x8, eq; ldr w9, [x10]": UNKNOWN,
        "str w9, [x0]": "store to struct RamDevice",
        "ldr w9, [x0, 24]": "access beside struct RamDevice",
        "adrp x10, variable; ldr w9, [x10, :lo12:variable]": "load of something that may change",
        "adrp x10, variable; str w9, [x10, :lo12:variable]": "store to static data",
        "brk 1": "trap",
        "svc 0": "system instruction",
        "dc civac, x8": "system instruction",
        "ret; mov w9, w10": "code that no path reaches",
    },
}
NO_ACCESS = "entry of the table that no access to the device is at"
ACCESSES = {
    "x86_64": {
        "mov 4(%r8), %eax": NOT_ALONE,
        "mov (%r8,%rcx), %eax": NOT_ALONE,
        "mov (,%r8), %eax": NOT_ALONE,
        "addr32 mov (%r8d), %eax": UNKNOWN,
        "mov %fs:(%r8), %eax": "segment register",
        "add (%r8), %eax": NOT_PLAIN,
        "addl $1, (%r8)": NOT_PLAIN,
        "movl $1, (%r8)": NOT_PLAIN,
        "movzbl (%r8), %eax": NOT_PLAIN,
        "lock xadd %eax, (%r8)": LOCKED,
        "movups (%r8), %xmm0": VECTOR,
        "rep movsb": "string instruction",
        "mov (%rdx), %eax": "entry of the table that is no access to the device",
        "nop": NO_ACCESS,
        "prefetcht0 (%r8)": "prefetch",
        "jmp 3f; mov (%r8), %eax": NO_ACCESS,
    },
    "aarch64": {
        "ldr w9, [x8, 4]": NOT_ALONE,
        "ldr w9, [x8, x3]": NOT_ALONE,
        "ldr w9, [x8, w3, uxtw 2]": NOT_ALONE,
        "ldr w9, [x8], 4": "writeback",
        "ldr w9, [x8, 4]!": "writeback",
        "str w9, [x8], 4": "writeback",
        "ldp x9, x10, [x8]": "pair of registers",
        "stp w9, w10, [x8]": "pair of registers",
        "ldur w9, [x8]": NOT_PLAIN,
        "ldrsw x9, [x8]": NOT_PLAIN,
        "ldar w9, [x8]": SPECIAL,
        "ldxr w9, [x8]": SPECIAL,
        "ldr s0, [x8]": VECTOR,
        "ldr q0, [x8]": VECTOR,
        "st1 {v0.2d}, [x8]": VECTOR,
        "ldr w9, [x2]": "entry of the table that is no access to the device",
        "nop": NO_ACCESS,
        "prfm pldl1keep, [x8]": NO_ACCESS,
        "b 3f; ldr w9, [x8]": NO_ACCESS,
    },
}
NOT_ONES = "fix-up that doesn't give all ones"
NOT_A_NOTE = "fix-up that does something else than to note the fault"
FIXUPS = {
    "x86_64": {"mov $0, %eax; mov $1, %r9d": NOT_ONES, "mov $1, %r9d": NOT_ONES, "mov $-1, %eax": NOT_A_NOTE,
               "mov $-1, %eax; mov $2, %r9d": NOT_A_NOTE, "mov $-1, %eax; mov $1, %r9d; mov $1, %r10d": NOT_A_NOTE},
    "aarch64": {"mov w9, 0; mov w10, 1": NOT_ONES, "mov w10, 1": NOT_ONES, "mov w9, -1": NOT_A_NOTE,
                "mov w9, -1; mov w10, 2": NOT_A_NOTE, "mov w9, -1; mov w10, 1; mov w11, 1": NOT_A_NOTE},
}
NOT_RIGHT_AFTER = "fix-up that doesn't go on right after its access"
# Two accesses, and a fix-up that leaves out the second one when the first one faults. What is put between them, the
# second one, and what the fix-up does before it does what that of the second one does, too.
LEFT_OUT = {
    "x86_64": {
        ("lea 4(%r8), %r8", "mov (%r8), %r10d", "mov $-1, %eax"): None,
        ("", "mov (%r8), %r10d", "mov $-1, %eax"): None,
        ("lea 4(%r8), %r8", "mov (%r8), %r10d", ""): NOT_ONES,
        ("lea 4(%r8), %r8; nop", "mov (%r8), %r10d", "mov $-1, %eax"): NOT_RIGHT_AFTER,
        ("add $4, %r8", "mov (%r8), %r10d", "mov $-1, %eax"): NOT_RIGHT_AFTER,
        ("lea 4(%r8), %r11", "mov (%r8), %r10d", "mov $-1, %eax"): NOT_RIGHT_AFTER,
        ("lea 4(%rcx), %rcx", "mov (%r8), %r10d", "mov $-1, %eax"): NOT_RIGHT_AFTER,
        ("lea 4(%r8), %r8", "mov %eax, (%r8)", "mov $-1, %eax"): NOT_RIGHT_AFTER,
        ("lea 4(%r8), %r8", "mov (%r8), %r10", "mov $-1, %eax"): NOT_RIGHT_AFTER,
        ("mov (%rdx), %ecx", "mov (%r8), %r10d", "mov $-1, %eax"): NOT_RIGHT_AFTER,
    },
    "aarch64": {
        ("add x8, x8, 4", "ldr w11, [x8]", "mov w9, -1"): None,
        ("", "ldr w11, [x8]", "mov w9, -1"): None,
        ("add x8, x8, 4", "ldr w11, [x8]", ""): NOT_ONES,
        ("add x8, x8, 4; nop", "ldr w11, [x8]", "mov w9, -1"): NOT_RIGHT_AFTER,
        ("add x8, x8, x2", "ldr w11, [x8]", "mov w9, -1"): NOT_RIGHT_AFTER,
        ("add x12, x8, 4", "ldr w11, [x8]", "mov w9, -1"): NOT_RIGHT_AFTER,
        ("add x2, x2, 4", "ldr w11, [x8]", "mov w9, -1"): NOT_RIGHT_AFTER,
        ("add x8, x8, 4", "str w9, [x8]", "mov w9, -1"): NOT_RIGHT_AFTER,
        ("add x8, x8, 4", "ldr x11, [x8]", "mov w9, -1"): NOT_RIGHT_AFTER,
        ("ldr w12, [x2]", "ldr w11, [x8]", "mov w9, -1"): NOT_RIGHT_AFTER,
    },
}
FIRST = {"x86_64": "mov (%r8), %eax", "aarch64": "ldr w9, [x8]"}
FIXUP_OF_SECOND = {"x86_64": "mov $-1, %r10d; mov $1, %r9d", "aarch64": "mov w11, -1; mov w10, 1"}
BESIDE_WORD = "access beside the word that is moved"
# The same where a word is moved from RAM to RAM.
MOVES = {
    "x86_64": {
        "movups (%rsi), %xmm0": VECTOR,
        "rep movsb": "string instruction",
        "lock xadd %eax, (%rdi)": LOCKED,
        "mov (%rdi), %al": "load from RAM moved to",
        "mov %al, (%rsi)": "store to RAM moved from",
        "mov 1(%rsi), %al": NOT_ALONE,
        "mov (%rsi,%rdx), %al": NOT_ALONE,
        "movzbl (%rsi), %eax": NOT_PLAIN,
        "movb $1, (%rdi)": NOT_PLAIN,
        "add $1, %rdi; mov %al, (%rdi)": BESIDE_WORD,
        "add %rdx, %rsi; mov (%rsi), %al": BESIDE_WORD,
        "mov (%rdx), %al": UNKNOWN,
        "jmp memcpy": "jump out of the crate",
    },
    "aarch64": {
        "ldp x9, x10, [x1]": "pair of registers",
        "strb w9, [x0], 1": "writeback",
        "ldr q0, [x1]": VECTOR,
        "stlrb w9, [x0]": SPECIAL,
        "ldrb w9, [x0]": "load from RAM moved to",
        "strb w9, [x1]": "store to RAM moved from",
        "ldrb w9, [x1, 1]": NOT_ALONE,
        "ldrb w9, [x1, x2]": NOT_ALONE,
        "ldrsb w9, [x1]": NOT_PLAIN,
        "add x0, x0, 1; strb w9, [x0]": BESIDE_WORD,
        "add x1, x1, x2; ldrb w9, [x1]": BESIDE_WORD,
        "ldrb w9, [x2]": UNKNOWN,
        "b memcpy": "jump out of the crate",
    },
}
# The same in a function that gets no device.
BESIDE = {
    "x86_64": {"call memcpy": "call out of the crate", "mov (%rdi), %eax": UNKNOWN, "mov %eax, (%rdi)": UNKNOWN,
               "rep movsb": "string instruction", "ud2": "trap", "lock incq variable(%rip)": LOCKED,
               "mov %eax, variable(%rip)": "store to static data",
               "mov variable(%rip), %eax": "load of something that may change"},
    "aarch64": {"bl memcpy": "call out of the crate", "ldr w9, [x0]": UNKNOWN, "str w9, [x0]": UNKNOWN,
                "swp w9, w9, [x0]": UNKNOWN, "brk 1": "trap",
                "adrp x9, variable; add x9, x9, :lo12:variable; ldadd x1, x1, [x9]": SPECIAL,
                "adrp x10, variable; str w9, [x10, :lo12:variable]": "store to static data",
                "adrp x10, variable; ldr w9, [x10, :lo12:variable]": "load of something that may change"},
}
# The same in a function that gets a struct of C's which has no device in it, and what is allowed only there.
OTHER_STRUCT = {
    "x86_64": {"mov (%rdi), %rax; mov (%rax), %eax": UNKNOWN, "mov (%rdi), %rax; mov %eax, (%rax)": UNKNOWN,
               "mov (%rsi), %eax": UNKNOWN, "call memcpy": "call out of the crate", "ud2": "trap"},
    "aarch64": {"ldr x9, [x0]; ldr w9, [x9]": UNKNOWN, "ldr x9, [x0]; str w9, [x9]": UNKNOWN,
                "ldr w9, [x1]": UNKNOWN, "bl memcpy": "call out of the crate", "brk 1": "trap"},
}
ALLOWED_OTHER_STRUCT = {
    "x86_64": ["mov 56(%rdi), %rax; or (%rdi,%rsi,8), %rax; mov %rax, (%rdi)", "orq $1, (%rdi)",
               "movups (%rdi), %xmm0; movups %xmm0, 48(%rdi)"],
    "aarch64": ["ldr x9, [x0, 56]; str x9, [x0, x1, lsl 3]", "ldp x9, x10, [x0], 16", "ldr q0, [x0]; str q0, [x0, 48]"],
}
# What compilers do and may do.
ALLOWED = {
    "x86_64": ["push %rbx; pop %rbx", "mov 8(%rdi), %rax; cmpb $0, 17(%rdi)", "mov jumps(%rip), %eax", "nop",
               "mov %rdx, -8(%rsp); mov -8(%rsp), %r9; mov %eax, (%r9)", "call ram_device_load",
               "sub %r8, %rdx; add %r8, %rdx; mov %eax, (%rdx)", "orq $1, %rdx; andq $-8, %rdx; mov %eax, (%rdx)"],
    "aarch64": ["stp x29, x30, [sp, -16]!; ldp x29, x30, [sp], 16", "ldr x9, [x0, 8]; ldrb w9, [x0, 17]",
                "ldp x9, x10, [x0]", "sub x10, x2, x8; add x10, x10, x8; str w9, [x10]", "nop",
                "stp x2, x0, [sp, -16]!; ldr x10, [sp]; add sp, sp, 16; str w9, [x10]", "bl ram_device_load",
                "orr x2, x2, 1; and x2, x2, -8; str w9, [x2]"],
}


def linked(folder: Path, architecture: str, **macros: str) -> Path:
    """The program in forbidden.*, with something put into it."""
    compiler = C_COMPILERS[architecture]
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler} here: run scripts/needs")
    path = folder / "forbidden"
    stubs = " ".join(f"STUB({name})" for name in sorted(set(exported()) - DEFINED))
    definitions = [f"-D{name}={text}" for name, text in ({"STUBS": stubs} | macros).items()]
    subprocess.run([compiler, "-nostdlib", "-static", "-no-pie", *definitions,
                    str(FOLDER / f"forbidden.{architecture}.S"), "-o", str(path)], check=True)
    return path


# What the test programs have no case of, so that the linker drops it.
NOT_CALLED = frozenset(f"ram_device_{name}" for name in ("budget_ask", "pages_take", "pages_give"))


def kinds(audited: Audit) -> set[str]:
    """The names of all that is forbidden."""
    return {finding.kind for finding in audited.findings}


def cases(table: dict[str, dict[str, str]]) -> list[object]:
    """One test for each line of a table above."""
    return [pytest.param(architecture, text, name, id=f"{architecture}: {text}")
            for architecture, lines in table.items() for text, name in lines.items()]


@pytest.mark.parametrize(("architecture", "text", "name"), cases(FORBIDDEN))
def test_an_instruction_that_the_crate_may_not_have_is_reported_by_name(
        architecture: str, text: str, name: str, tmp_path: Path) -> None:
    assert name in kinds(audit(linked(tmp_path, architecture, FORBIDDEN=text)))


@pytest.mark.parametrize(("architecture", "text", "name"), cases(ACCESSES))
def test_an_access_to_the_device_that_is_no_plain_instruction_is_reported_by_name(
        architecture: str, text: str, name: str, tmp_path: Path) -> None:
    assert name in kinds(audit(linked(tmp_path, architecture, ACCESS=text)))


@pytest.mark.parametrize(("architecture", "text", "name"), cases(FIXUPS))
def test_a_fixup_that_does_not_do_what_hardware_does_is_reported_by_name(
        architecture: str, text: str, name: str, tmp_path: Path) -> None:
    assert name in kinds(audit(linked(tmp_path, architecture, FIXUP=text)))


@pytest.mark.parametrize("architecture", C_COMPILERS)
@pytest.mark.parametrize("back", ["2b", "ram_device_load"])
def test_a_fixup_that_does_not_go_on_right_after_its_access_is_reported(
        architecture: str, back: str, tmp_path: Path) -> None:
    assert kinds(audit(linked(tmp_path, architecture, BACK=back))) == {NOT_RIGHT_AFTER}


@pytest.mark.parametrize(("architecture", "between", "second", "first_fixup", "name"), [
    pytest.param(architecture, *texts, name, id=f"{architecture}: {'; '.join(texts)}")
    for architecture, lines in LEFT_OUT.items() for texts, name in lines.items()])  # fmt: skip
def test_a_fixup_may_leave_out_the_accesses_that_follow_and_their_addresses_steps_and_nothing_else(
        architecture: str, between: str, second: str, first_fixup: str, name: str | None, tmp_path: Path) -> None:
    entry = '.pushsection ram_device_faults, "a"; .long 5b - ., 6f - .; .popsection'
    audited = audit(linked(tmp_path, architecture, ACCESS=f"{FIRST[architecture]}; {between}; 5: {second}; {entry}",
                           FIXUP=f"{first_fixup}; 6: {FIXUP_OF_SECOND[architecture]}"))
    if name is None:
        assert audited.findings == [], audited.findings
        assert audited.device[("load", 4)] == 2
    else:
        assert name in kinds(audited)


@pytest.mark.parametrize("architecture", C_COMPILERS)
def test_nothing_is_reported_where_nothing_is_wrong(architecture: str, tmp_path: Path) -> None:
    audited = audit(linked(tmp_path, architecture))
    assert audited.findings == [], audited.findings
    assert audited.device == {("load", 1): 1, ("load", 4): 1}
    assert audited.moves == {("load", 1): 1, ("store", 1): 1}
    assert audited.others["RAM side"] == 1


@pytest.mark.parametrize(("architecture", "text"),
                         [(architecture, text) for architecture, texts in ALLOWED.items() for text in texts])
def test_what_compilers_do_to_the_stack_the_struct_and_constants_is_allowed(
        architecture: str, text: str, tmp_path: Path) -> None:
    assert (found := audit(linked(tmp_path, architecture, FORBIDDEN=text)).findings) == [], found


@pytest.mark.parametrize(("architecture", "text", "name"), cases(MOVES))
def test_a_move_of_a_word_from_ram_to_ram_that_is_no_plain_load_and_store_of_it_is_reported_by_name(
        architecture: str, text: str, name: str, tmp_path: Path) -> None:
    assert name in kinds(audit(linked(tmp_path, architecture, MOVE=text)))


@pytest.mark.parametrize(("architecture", "text"), [
    ("x86_64", "mov (%rsi), %al; mov %al, (%rdi); mov %al, (%rdi)"),
    ("aarch64", "ldrb w9, [x1]; strb w9, [x0]; strb w9, [x0]")])  # fmt: skip
def test_a_word_that_is_stored_a_second_time_is_counted(architecture: str, text: str, tmp_path: Path) -> None:
    assert audit(linked(tmp_path, architecture, MOVE=text)).moves == {("load", 1): 1, ("store", 1): 2}


@pytest.mark.parametrize(("architecture", "text", "name"), cases(BESIDE))
def test_a_function_that_gets_no_device_may_not_find_one_or_call_out(
        architecture: str, text: str, name: str, tmp_path: Path) -> None:
    assert name in kinds(audit(linked(tmp_path, architecture, BESIDE=text)))


@pytest.mark.parametrize(("architecture", "text", "name"), cases(OTHER_STRUCT))
def test_a_function_that_gets_a_struct_without_a_device_may_go_no_further(
        architecture: str, text: str, name: str, tmp_path: Path) -> None:
    assert name in kinds(audit(linked(tmp_path, architecture, PAGES=text)))


@pytest.mark.parametrize(("architecture", "text"), [(architecture, text) for architecture, texts in
                                                    ALLOWED_OTHER_STRUCT.items() for text in texts])
def test_a_function_that_gets_a_struct_without_a_device_may_change_that_in_any_way(
        architecture: str, text: str, tmp_path: Path) -> None:
    audited = audit(linked(tmp_path, architecture, PAGES=text))
    assert audited.findings == [], audited.findings
    assert audited.others["other structs"]


@pytest.mark.parametrize("architecture", C_COMPILERS)
def test_a_program_whose_accesses_are_in_no_table_is_refused(architecture: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no entry in a table ram_device_faults"):
        audit(linked(tmp_path, architecture, NO_TABLE="1"))


@pytest.mark.parametrize("architecture", C_COMPILERS)
def test_a_program_without_one_of_the_crates_functions_is_refused(architecture: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="it has no function ram_device_gives_pointer"):
        audit(linked(tmp_path, architecture, STUBS=""))


def test_a_stripped_program_is_refused(tmp_path: Path) -> None:
    path = linked(tmp_path, "x86_64")
    subprocess.run(["strip", str(path)], check=True)
    with pytest.raises(Refused, match="has no symbols"):
        audit(path)


def test_what_is_no_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    with pytest.raises(Refused, match="can't be read as an ELF file"):
        audit(tmp_path / "text")


def test_the_crates_functions_are_known_by_both_kinds_of_mangled_names() -> None:
    for name in ("_ZN10ram_device4arch15exception_table5fixup17hf70aa0eae8ec8047E",
                 "_RNvNtNtCs4fqI2P2rA04_10ram_device4arch15exception_table5fixup"):
        assert is_of_crate(name)
        assert public(name) == ["number"]
    for name in ("_ZN10ram_device4copy4read17h5b8c65e0adb04ffbE",
                 "_RINvNtCs4fqI2P2rA04_10ram_device4copy4readNtNtB4_4port6NativeEB4_"):
        assert is_of_crate(name)
        assert public(name) == ["port", "device", "buffer", "number"]
    assert is_of_crate("_ZN56_$LT$ram_device..ffi..RamDevice$u20$as$u20$core..fmt..Debug$GT$3fmt17h9f40dbde8affa73bE")
    assert not is_of_crate("_ZN4core9panicking5panic17h4f1e6a1c0b7e3d25E")
    assert not is_of_crate("ram_device_fill")


@pytest.mark.parametrize("architecture", C_COMPILERS)
def test_the_crate_with_volatile_accesses_in_place_of_assembly_is_reported(architecture: str, tmp_path: Path) -> None:
    try:
        compiler = compilers.current(architecture)
    except NotAvailable as reason:
        pytest.skip(str(reason))
    sources = tmp_path / "src"
    shutil.copytree(SOURCES, sources)
    port = (sources / "port.rs").read_text()
    by_hand = "W::device_load(addr, &mut self.vanished)"
    assert port.count(by_hand) == 1
    (sources / "port.rs").write_text(port.replace(by_hand, "(addr.get() as *const W).read_volatile()"))
    # With debug assertions core would check the address, and panic.
    library = compile_crate(compiler.compile, tmp_path, options=("-C", "debug-assertions=no"), crate=tmp_path)
    audited = audit(whole_crate(library, architecture, tmp_path))
    assert OUTSIDE in kinds(audited)
    # The stores are still assembly.
    assert {direction for direction, _ in audited.device} == {"load", "store"}


def passes(audited: Audit, without: frozenset[str] = frozenset()) -> None:
    """Hold the audit of a program of ours, which has all that the crate exports but this, against the contract."""
    print(audited)
    assert audited.findings == [], audited.findings
    assert set(exported()) - set(audited.functions) == without
    # Each width in each direction, and every entry of the table.
    accesses = {(direction, width) for direction in ("load", "store") for width in WIDTHS}
    assert set(audited.device) == accesses
    # A word from RAM to RAM is one load and one store, in as many copies as there are.
    assert set(audited.moves) == accesses and len(set(audited.moves.values())) == 1
    assert audited.device.total() == len(audited.image.faults) >= audited.fixups
    assert audited.others["RAM side"]
    assert audited.others["struct RamDevice"]


def has_nothing_else(audited: Audit) -> None:
    """The linker has dropped what nobody calls."""
    assert audited.unreached == [], audited.unreached
    assert set(audited.moves.values()) == {1}


@pytest.mark.parametrize("architecture", C_COMPILERS)
def test_c4_the_emulators_accesses_to_a_device_are_plain_loads_and_stores(architecture: str) -> None:
    try:
        program = programs.emulator(architecture)
    except NotAvailable as reason:
        pytest.skip(str(reason))
    audited = audit(program, f"the patched emulator for {architecture} hosts")
    assert audited.image.architecture == architecture
    passes(audited)
    # rustc 1.63 leaves functions there that it has put into all of their callers, so that nobody calls them.
    uncalled = [audited.image.functions[name] for name in audited.unreached]
    assert not [function for function in uncalled for fault in audited.image.faults if fault.instruction in function]


def test_c4_each_compilers_accesses_to_a_device_are_plain_loads_and_stores(program: Program) -> None:
    audited = audit(program.path, f"test program, {program}")
    passes(audited, NOT_CALLED)
    has_nothing_else(audited)


def test_c4_whatever_the_crate_exports_accesses_a_device_by_plain_loads_and_stores_only(
        program: Program, tmp_path: Path) -> None:
    audited = audit(whole_crate(program.library, program.architecture, tmp_path), f"whole crate, {program}")
    passes(audited)
    has_nothing_else(audited)


@pytest.mark.exhaustive
@pytest.mark.parametrize("variant", ["BUILT_STOCK", "NORUST"])
def test_an_emulator_without_the_crate_is_refused(variant: str) -> None:
    with pytest.raises(Refused, match=r"it has no function|no entry in a table"):
        audit(emulators.wanted(variant))
