/*
 * Fuzzing of DMA into RAM devices: what must be where
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "ram_device_fuzz.h"

FuzzMemory fuzz_memory[AREA_COUNT];

void fuzz_wrong(const char *fmt, ...)
{
    va_list ap;

    fputs("ram-device-fuzz: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    abort();
}

bool fuzz_span_at(uint64_t addr, uint64_t len, FuzzSpan *span)
{
    int i;

    for (i = 0; i < AREA_COUNT; i++) {
        const FuzzMemory *m = &fuzz_memory[i];

        if (m->there && addr >= m->addr && addr - m->addr < m->size) {
            span->area = i;
            span->offset = addr - m->addr;
            span->len = MIN(len, m->size - span->offset);
            return true;
        }
    }
    return false;
}

void fuzz_random(void *to, size_t len, unsigned which)
{
    static uint32_t pool[0x24000];
    uint32_t x = 1;
    int i;

    for (i = 0; !pool[ARRAY_SIZE(pool) - 1] && i < ARRAY_SIZE(pool); i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        pool[i] = x;
    }
    g_assert(which * 997 + len / 4 <= ARRAY_SIZE(pool));
    memcpy(to, pool + which * 997, len);
}

void fuzz_memory_fill(FuzzMemory *m)
{
    fuzz_random(m->model + m->data, m->data_size, 8 + (m - fuzz_memory));
    memcpy(m->host + m->data, m->model + m->data, m->data_size);
}

void fuzz_memory_check(void)
{
    int area;
    uint32_t i;

    for (area = 0; area < AREA_COUNT; area++) {
        const FuzzMemory *m = &fuzz_memory[area];
        const uint8_t *host = m->host + m->data;
        const uint8_t *model = m->model + m->data;

        if (m->vanished || !memcmp(host, model, m->data_size)) {
            continue;
        }
        for (i = 0; host[i] == model[i]; i++) {
            continue;
        }
        fuzz_wrong("area %d: 0x%02x at 0x%x, where 0x%02x was and nobody "
                   "writes", area, host[i], m->data + i, model[i]);
    }
}
