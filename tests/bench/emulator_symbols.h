/*
 * The functions of an emulator, for a shared object that is preloaded into it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BENCH_EMULATOR_SYMBOLS_H
#define BENCH_EMULATOR_SYMBOLS_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One of them, and the variable that gets its address. */
typedef struct EmulatorSymbol {
    const char *name;
    void *pointer;
    bool only_patched;
} EmulatorSymbol;

static inline int find_program_base(struct dl_phdr_info *info, size_t size,
                                    void *base)
{
    *(uintptr_t *)base = info->dlpi_addr;
    return 1; /* The program itself comes first. */
}

/* Offsets are written "name=hexadecimal,..."; all but the patched
 * emulator's own must be there. */
static inline void resolve_symbols(const char *who, const EmulatorSymbol *table,
                                   size_t count, const char *offsets)
{
    uintptr_t base = 0;

    dl_iterate_phdr(find_program_base, &base);
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(table[i].name);
        const char *at = offsets;

        while (at && (strncmp(at, table[i].name, len) || at[len] != '=')) {
            at = strchr(at, ',');
            at = at ? at + 1 : NULL;
        }
        if (at) {
            uintptr_t address = base + strtoul(at + len + 1, NULL, 16);

            memcpy(table[i].pointer, &address, sizeof(address));
        } else if (!table[i].only_patched) {
            fprintf(stderr, "%s: no symbol %s\n", who, table[i].name);
            _exit(3);
        }
    }
}

#endif
