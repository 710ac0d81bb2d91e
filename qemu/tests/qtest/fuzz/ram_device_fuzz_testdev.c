/*
 * Fuzzing of DMA into RAM devices: the operations of the ram-device-testdev
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/host-utils.h"
#include "qemu/range.h"
#include "system/dma.h"
#include "tests/qtest/libqtest.h"
#include "ram_device_fuzz_testdev.h"

/* What an operation is, apart from how it is done */
typedef enum Shape {
    OTHER,      /* not modelled: it may write any byte of its ranges */
    TO_STAGE,   /* all of it, or it fails */
    FROM_STAGE,
    SET,
    SOME_TO_STAGE, /* RDT_RESULT bytes of it */
    SOME_FROM_STAGE,
    LOAD,
    STORE,
} Shape;

static const Shape shapes[RDT_OP_END] = {
    [RDT_OP_READ] = TO_STAGE,
    [RDT_OP_WRITE] = FROM_STAGE,
    [RDT_OP_SET] = SET,
    [RDT_OP_DEBUG_READ] = TO_STAGE,
    [RDT_OP_CACHED_READ] = SOME_TO_STAGE,
    [RDT_OP_CACHED_WRITE] = SOME_FROM_STAGE,
    [RDT_OP_MAP_READ] = SOME_TO_STAGE,
    [RDT_OP_MAP_WRITE] = SOME_FROM_STAGE,
    [RDT_OP_LD_LE] = LOAD,
    [RDT_OP_LD_BE] = LOAD,
    [RDT_OP_LD_CACHED_LE] = LOAD,
    [RDT_OP_LD_CACHED_BE] = LOAD,
    [RDT_OP_ST_LE] = STORE,
    [RDT_OP_ST_BE] = STORE,
    [RDT_OP_ST_CACHED_LE] = STORE,
    [RDT_OP_ST_CACHED_BE] = STORE,
};

static bool is_big(RamDeviceTestOp op)
{
    return op == RDT_OP_LD_BE || op == RDT_OP_LD_CACHED_BE ||
           op == RDT_OP_ST_BE || op == RDT_OP_ST_CACHED_BE;
}

/* The models of a guest address range's bytes, one after the other */
static void model_get(uint64_t addr, uint8_t *to, uint32_t len)
{
    FuzzSpan s;

    for (; len && fuzz_span_at(addr, len, &s); addr += s.len, len -= s.len) {
        memcpy(to, fuzz_memory[s.area].model + s.offset, s.len);
        to += s.len;
    }
}

static void model_put(uint64_t addr, const uint8_t *from, uint32_t len)
{
    FuzzSpan s;

    for (; len && fuzz_span_at(addr, len, &s); addr += s.len, len -= s.len) {
        memcpy(fuzz_memory[s.area].model + s.offset, from, s.len);
        from += s.len;
    }
}

/* Whatever is there is right */
static void believe(uint64_t addr, uint32_t len)
{
    FuzzSpan s;

    for (; len && fuzz_span_at(addr, len, &s); addr += s.len, len -= s.len) {
        FuzzMemory *m = &fuzz_memory[s.area];

        if (!m->vanished) {
            memcpy(m->model + s.offset, m->host + s.offset, s.len);
        }
    }
}

/* Do all bytes lie in one area, and none of them in its reserved part? */
static bool is_whole(uint64_t addr, uint32_t len, FuzzSpan *s)
{
    const FuzzMemory *m;

    if (!fuzz_span_at(addr, len, s) || s->len != len) {
        return false;
    }
    m = &fuzz_memory[s->area];
    return !m->vanished && s->offset >= m->data &&
           s->offset + len <= m->data + m->data_size;
}

static bool touches_vanished(uint64_t addr, uint32_t len)
{
    FuzzSpan s;

    for (; len && fuzz_span_at(addr, len, &s); addr += s.len, len -= s.len) {
        if (fuzz_memory[s.area].vanished) {
            return true;
        }
    }
    return false;
}

/* Are all bytes data, or the rest, behind what is, nothing at all? */
static bool is_clear_of_rings(uint64_t addr, uint32_t len)
{
    FuzzSpan s;
    int i;

    for (; len && fuzz_span_at(addr, len, &s); addr += s.len, len -= s.len) {
        const FuzzMemory *m = &fuzz_memory[s.area];

        if (s.offset < m->data || s.offset + s.len > m->data + m->data_size) {
            return false;
        }
    }
    for (i = 0; i < AREA_COUNT; i++) {
        const FuzzMemory *m = &fuzz_memory[i];

        if (len && m->there && ranges_overlap(addr, len, m->addr, m->size)) {
            return false;
        }
    }
    return true;
}

static void model_run(RamDeviceTestOp op, Shape shape, uint64_t addr,
                      uint64_t stage, uint32_t len, uint64_t value,
                      uint64_t result)
{
    uint8_t bytes[4096];
    uint64_t loaded;

    switch (shape) {
    case TO_STAGE:
    case SOME_TO_STAGE:
        model_get(addr, bytes, len);
        model_put(stage, bytes, len);
        break;
    case FROM_STAGE:
    case SOME_FROM_STAGE:
        model_get(stage, bytes, len);
        model_put(addr, bytes, len);
        break;
    case SET:
        memset(bytes, value, len);
        model_put(addr, bytes, len);
        break;
    case LOAD:
        model_get(addr, bytes, len);
        loaded = is_big(op) ? ldn_be_p(bytes, len) : ldn_le_p(bytes, len);
        if (result != loaded) {
            fuzz_wrong("operation %d, %u bytes at 0x%" PRIx64 ": 0x%" PRIx64
                       " loaded, where 0x%" PRIx64 " is", op, len, addr, result,
                       loaded);
        }
        break;
    case STORE:
        if (is_big(op)) {
            stn_be_p(bytes, len, value);
        } else {
            stn_le_p(bytes, len, value);
        }
        model_put(addr, bytes, len);
        break;
    default:
        g_assert_not_reached();
    }
}

void fuzz_testdev_run(const FuzzTestDev *d, RamDeviceTestOp op, uint64_t addr,
                      uint32_t stage, uint32_t len, uint64_t value)
{
    const FuzzMemory *staging = &fuzz_memory[AREA_STAGING];
    uint64_t stage_addr = staging->addr + staging->data + stage;
    Shape shape = op < RDT_OP_END ? shapes[op] : OTHER;
    bool is_single = shape == LOAD || shape == STORE;
    uint64_t regs[] = {
        cpu_to_le64(addr),
        cpu_to_le64(RDT_STAGING_SIZE - staging->size + staging->data + stage),
        cpu_to_le64(len), cpu_to_le64(value), cpu_to_le64(op),
    };
    uint64_t answer[2];
    uint32_t done = len;
    FuzzSpan guest, other;
    bool good;

    g_assert(len <= 4096);
    if (!is_clear_of_rings(addr, len) || !is_clear_of_rings(value, len) ||
        !is_clear_of_rings(stage_addr, len)) {
        return;
    }
    /* For RAM that is memcpy() */
    if (len && (ranges_overlap(addr, len, stage_addr, len) ||
                ranges_overlap(addr, len, value, len))) {
        return;
    }
    qtest_memwrite(d->dev->bus->qts, d->regs, regs, sizeof(regs));
    qtest_memread(d->dev->bus->qts, d->regs + RDT_STATUS, answer,
                  sizeof(answer));
    good = le64_to_cpu(answer[0]) == MEMTX_OK;
    answer[1] = le64_to_cpu(answer[1]);

    if (shape == SOME_TO_STAGE || shape == SOME_FROM_STAGE) {
        if (answer[1] > len) {
            fuzz_wrong("operation %d has moved %" PRIu64 " of %u bytes", op,
                       answer[1], len);
        }
        done = answer[1];
    }
    if (shape != OTHER && len && is_whole(addr, len, &guest) &&
        (!is_single || is_power_of_2(len)) &&
        is_whole(stage_addr, len, &other)) {
        if (!good || done != len) {
            fuzz_wrong("operation %d, %u bytes at 0x%" PRIx64 ": status %d, "
                       "%u bytes done", op, len, addr, !good, done);
        }
        model_run(op, shape, addr, stage_addr, len, value, answer[1]);
        return;
    }
    if (good && (shape == TO_STAGE || shape == FROM_STAGE || shape == SET) &&
        touches_vanished(addr, len)) {
        fuzz_wrong("operation %d, %u bytes at 0x%" PRIx64 ": done, though "
                   "the device has vanished", op, len, addr);
    }
    believe(addr, len);
    believe(value, len);
    believe(stage_addr, len);
}
