/*
 * Uses mappings on arm64, of Device memory and of Normal, by the routines of
 * rust/ram-device and by libc
 *
 *   device_memory FILE...
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "system/ram-device.h"
#include "system/ram-device-fault.h"

#define BYTES 65536
#define SPAN 64

static sigjmp_buf outside;
static volatile sig_atomic_t fixed_up, bus_error_code;

/* As QEMU's: first ours, then whatever else there is. */
static void on_sigbus(int number, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    uintptr_t fixup = ram_device_fixup(uc->uc_mcontext.pc);

    (void)number;
    if (fixup) {
        fixed_up++;
        uc->uc_mcontext.pc = fixup;
        return;
    }
    bus_error_code = info->si_code;
    siglongjmp(outside, 1);
}

/* memcpy() that the compiler can't replace. */
static void *(*volatile libc_memcpy)(void *, const void *, size_t) = memcpy;

/* The si_code of the bus error that libc's copies from odd addresses are, or 0. */
static int libc_bus_error(const uint8_t *device)
{
    uint8_t ram[SPAN];

    bus_error_code = 0;
    if (!sigsetjmp(outside, 1)) {
        for (int length = 1; length <= SPAN; length++) {
            libc_memcpy(ram, device + 1, length);
        }
    }
    return bus_error_code;
}

/*
 * Transfers of every length at every alignment of the device: their number, and
 * of how many the result is wrong.
 */
static int transfers(const RamDevice *rd, int *wrong)
{
    uint8_t pattern[SPAN], back[SPAN + 1];
    int number = 0;

    *wrong = 0;
    for (int i = 0; i < SPAN; i++) {
        pattern[i] = 0x5a ^ (7 * i);
    }
    for (int offset = 0; offset < 16; offset++) {
        for (int length = 1; length <= SPAN; length++) {
            memset(back, 0, sizeof(back));
            *wrong += !ram_device_write(rd, offset, pattern, length);
            *wrong += !ram_device_read(rd, offset, back + 1, length) ||
                      memcmp(back + 1, pattern, length) != 0;
            number += 2;
        }
    }
    return number;
}

int main(int argc, char **argv)
{
    struct sigaction action = {
        .sa_sigaction = on_sigbus,
        .sa_flags = SA_SIGINFO,
    };

    sigaction(SIGBUS, &action, NULL);
    for (int i = 1; i < argc; i++) {
        int fd = open(argv[i], O_RDWR | O_SYNC);
        void *host = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        RamDevice rd = { .host = host, .size = BYTES };
        int number, wrong;

        if (fd < 0 || host == MAP_FAILED) {
            perror(argv[i]);
            return 1;
        }
        fixed_up = 0;
        number = transfers(&rd, &wrong);
        printf("mapping %s: libc %d transfers %d wrong %d faults %d\n", argv[i],
               libc_bus_error(host), number, wrong, fixed_up);
    }
    return 0;
}
