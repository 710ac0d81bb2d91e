/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the audit must report: a program that has the crate's functions and its
 * table, and in ram_device_read(), in ram_move_word(), and in two functions
 * that get no device, whatever is put into the macros below.  As it stands it is clean.
 */
#ifndef ACCESS
#define ACCESS mov (%r8), %eax
#endif
#ifndef FIXUP
#define FIXUP mov $-1, %eax; mov $1, %r9d
#endif
#ifndef BACK
#define BACK 3b
#endif
#ifndef FORBIDDEN
#define FORBIDDEN
#endif
#ifndef MOVE
#define MOVE mov (%rsi), %al; mov %al, (%rdi)
#endif
#ifndef BESIDE
#define BESIDE
#endif
#ifndef PAGES
#define PAGES
#endif

#define BEGIN(name) .text; .globl name; .type name, @function; name:
#define END(name) .size name, . - name
#define STUB(name) BEGIN(name) ret; END(name);

#ifdef NO_TABLE
#define ENTRY .section not_the_table, "a"
#else
#define ENTRY .section ram_device_faults, "a"
#endif

BEGIN(ram_device_load)
    mov (%rdi), %r8
    add %rsi, %r8
2:  mov (%r8), %al
3:  ret
END(ram_device_load)
4:  mov $0xff, %al
    mov $1, %r9d
    jmp 3b
    ENTRY
    .long 2b - ., 4b - .

BEGIN(ram_device_read)
    mov (%rdi), %r8
    add %rsi, %r8
2:  ACCESS
3:  mov %eax, (%rdx)
    FORBIDDEN
    ret
END(ram_device_read)
4:  FIXUP
    jmp BACK
    ENTRY
    .long 2b - ., 4b - .

BEGIN(ram_move_word)
    MOVE
    ret
END(ram_move_word)

BEGIN(ram_device_fixup)
    BESIDE
    ret
END(ram_device_fixup)

BEGIN(ram_device_pages_take)
    PAGES
    ret
END(ram_device_pages_take)

STUBS

BEGIN(memcpy)
    ret
END(memcpy)
BEGIN(_start)
    ret
END(_start)

    .section .rodata
    .balign 4
jumps:
    .long memcpy - jumps
    .data
variable:
    .quad 0
