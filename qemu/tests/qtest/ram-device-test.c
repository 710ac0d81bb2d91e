/*
 * RAM device regions: every function of the memory API, byte by byte
 *
 * Each test is named by the sentence that it proves; docs/devel/ram-device.rst
 * has the whole contract.  What the storage of a BAR holds is compared with a
 * plain C array on which the same was done, neighbouring bytes included.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "exec/memattrs.h"
#include "libqtest.h"
#include "ram-device-rig.h"

#define GUARD 16

/* Where in the staging buffer a test works that does a single operation */
#define STAGE 0x100000

/*
 * The bulk sweep: lengths at every alignment of both sides
 */

typedef enum Direction {
    GUEST_TO_STAGING,
    STAGING_TO_GUEST,
    FILL_GUEST,
} Direction;

static const struct BulkOp {
    const char *name;
    RamDeviceTestOp op;
    Direction direction;
} bulk_ops[] = {
    { "read", RDT_OP_READ, GUEST_TO_STAGING },
    { "write", RDT_OP_WRITE, STAGING_TO_GUEST },
    { "set", RDT_OP_SET, FILL_GUEST },
    { "write-rom", RDT_OP_WRITE_ROM, STAGING_TO_GUEST },
    { "debug-read", RDT_OP_DEBUG_READ, GUEST_TO_STAGING },
    { "debug-write", RDT_OP_DEBUG_WRITE, STAGING_TO_GUEST },
    { "cached-read", RDT_OP_CACHED_READ, GUEST_TO_STAGING },
    { "cached-write", RDT_OP_CACHED_WRITE, STAGING_TO_GUEST },
    { "map-read", RDT_OP_MAP_READ, GUEST_TO_STAGING },
    { "map-write", RDT_OP_MAP_WRITE, STAGING_TO_GUEST },
};

#define MAX_LEN 257

/* Enough for one transfer of each length from 0 to MAX_LEN */
#define SWEEP_SIZE 0xa000

/* Everything for the two that all DMA goes through, a choice for the others */
static bool sweep_wants(RamDeviceTestOp op, unsigned len)
{
    return op == RDT_OP_READ || op == RDT_OP_WRITE ||
           len <= 24 || len % 64 <= 1 || len % 64 == 63;
}

/* Do to the model what the test device is to do to the real thing */
static void model_op(Direction direction, uint8_t *guest, uint8_t *stage,
                     size_t len, uint64_t value)
{
    switch (direction) {
    case GUEST_TO_STAGING:
        memcpy(stage, guest, len);
        break;
    case STAGING_TO_GUEST:
        memcpy(guest, stage, len);
        break;
    case FILL_GUEST:
        memset(guest, value, len);
        break;
    }
}

/* All transfers are done, each in a place of its own, then all is compared */
static void sweep(const RamDeviceVM *vm, RamDeviceTarget target,
                  const struct BulkOp *op, unsigned guest_align,
                  unsigned stage_align)
{
    const uint64_t value = 0xa1b2c3d4e5f60718ull + guest_align;
    g_autofree uint8_t *guest = g_malloc(SWEEP_SIZE);
    g_autofree uint8_t *stage = g_malloc(SWEEP_SIZE);
    size_t pos = 0;
    unsigned len;

    rd_random(guest, SWEEP_SIZE, 2 * op->op);
    rd_random(stage, SWEEP_SIZE, 2 * op->op + 1);
    rd_put(vm, target, 0, guest, SWEEP_SIZE);
    rd_put(vm, TARGET_STAGING, 0, stage, SWEEP_SIZE);

    for (len = 0; len <= MAX_LEN; len++) {
        size_t g = pos + guest_align;
        size_t s = pos + stage_align;

        if (!sweep_wants(op->op, len)) {
            continue;
        }
        rd_start(vm, op->op, vm->memory[target].addr + g, s, len, value);
        model_op(op->direction, guest + g, stage + s, len, value);
        pos += ROUND_UP(len, 8) + GUARD;
        g_assert_cmpuint(pos, <=, SWEEP_SIZE);
    }

    g_assert_cmpuint(rd_failures(vm), ==, 0);
    rd_check(vm, target, 0, guest, SWEEP_SIZE);
    rd_check(vm, TARGET_STAGING, 0, stage, SWEEP_SIZE);
}

typedef struct BulkCase {
    RamDeviceTarget target;
    const struct BulkOp *op;
} BulkCase;

static void test_bulk(const void *data)
{
    const BulkCase *c = data;
    RamDeviceVM *vm = rd_vm_start("", "");
    int i;

    for (i = 0; i < 8 * 8; i++) {
        sweep(vm, c->target, c->op, i / 8, i % 8);
    }
    rd_vm_stop(vm);
}

/*
 * Accesses of one width
 */

#define SINGLE_SIZE 128

static const RamDeviceTarget targets[] = { TARGET_MEM, TARGET_REG, TARGET_RAM };

/* What the CPU side does: no function for a width at an address is special */
static void test_cpu_access(const void *data)
{
    RamDeviceTarget target = *(const RamDeviceTarget *)data;
    RamDeviceVM *vm = rd_vm_start("", "");
    uint64_t addr = vm->memory[target].addr;
    uint8_t model[SINGLE_SIZE];
    unsigned offset, size;
    uint64_t got;

    rd_random(model, sizeof(model), 1);
    rd_put(vm, target, 0, model, sizeof(model));

    for (offset = 1; offset < 18; offset++) {
        for (size = 1; size <= 8; size *= 2) {
            uint64_t value = 0x8192a3b4c5d6e7f8ull * (offset + size);

            switch (size) {
            case 1:
                qtest_writeb(vm->qts, addr + offset, value);
                got = qtest_readb(vm->qts, addr + offset);
                break;
            case 2:
                qtest_writew(vm->qts, addr + offset, value);
                got = qtest_readw(vm->qts, addr + offset);
                break;
            case 4:
                qtest_writel(vm->qts, addr + offset, value);
                got = qtest_readl(vm->qts, addr + offset);
                break;
            default:
                qtest_writeq(vm->qts, addr + offset, value);
                got = qtest_readq(vm->qts, addr + offset);
                break;
            }
            stn_le_p(model + offset, size, value);
            rd_check(vm, target, 0, model, sizeof(model));
            g_assert_cmphex(got, ==, ldn_le_p(model + offset, size));
        }
    }
    rd_vm_stop(vm);
}

static const struct LoadStore {
    RamDeviceTestOp load;
    RamDeviceTestOp store;
    bool big_endian;
} load_stores[] = {
    { RDT_OP_LD_LE, RDT_OP_ST_LE, false },
    { RDT_OP_LD_BE, RDT_OP_ST_BE, true },
    { RDT_OP_LD_CACHED_LE, RDT_OP_ST_CACHED_LE, false },
    { RDT_OP_LD_CACHED_BE, RDT_OP_ST_CACHED_BE, true },
};

static void test_load_store(const void *data)
{
    RamDeviceTarget target = *(const RamDeviceTarget *)data;
    RamDeviceVM *vm = rd_vm_start("", "");
    uint64_t addr = vm->memory[target].addr;
    uint8_t model[SINGLE_SIZE];
    unsigned i, offset, size;
    RamDeviceResult r;

    rd_random(model, sizeof(model), 2);
    rd_put(vm, target, 0, model, sizeof(model));

    for (i = 0; i < ARRAY_SIZE(load_stores); i++) {
        const struct LoadStore *ls = &load_stores[i];

        for (offset = 55; offset < 73; offset++) {
            for (size = 1; size <= 8; size *= 2) {
                uint64_t value = 0x8192a3b4c5d6e7f8ull * (offset + size + i);

                r = rd_op(vm, ls->store, addr + offset, 0, size, value);
                g_assert_cmphex(r.status, ==, MEMTX_OK);
                (ls->big_endian ? stn_be_p : stn_le_p)(model + offset, size,
                                                       value);
                rd_check(vm, target, 0, model, sizeof(model));

                r = rd_op(vm, ls->load, addr + offset, 0, size, 0);
                g_assert_cmphex(r.status, ==, MEMTX_OK);
                value = (ls->big_endian ? ldn_be_p : ldn_le_p)(model + offset,
                                                               size);
                g_assert_cmphex(r.result, ==, value);
            }
        }
    }
    rd_vm_stop(vm);
}

/*
 * Borders
 */

typedef struct Border {
    RamDeviceTarget first;
    RamDeviceTarget second;
} Border;

static const Border borders[] = {
    { TARGET_MEM, TARGET_REG },
    { TARGET_REG, TARGET_MEM },
    { TARGET_MEM, TARGET_STAGING },
    { TARGET_STAGING, TARGET_MEM },
    { TARGET_REG, TARGET_STAGING },
    { TARGET_STAGING, TARGET_REG },
};

#define SIDE 128 /* bytes on each side of a border that are looked at */

/* The model of a border: its two sides, one after the other */
static void border_put(const RamDeviceVM *vm, const Border *b,
                       const uint8_t *model)
{
    rd_put(vm, b->first, vm->memory[b->first].size - SIDE, model, SIDE);
    rd_put(vm, b->second, 0, model + SIDE, SIDE);
}

static void border_check(const RamDeviceVM *vm, const Border *b,
                         const uint8_t *model)
{
    rd_check(vm, b->first, vm->memory[b->first].size - SIDE, model, SIDE);
    rd_check(vm, b->second, 0, model + SIDE, SIDE);
}

/* A bulk transfer doesn't see the border */
static void test_bulk_across(const void *data)
{
    static const unsigned lens[] = { 1, 2, 3, 7, 8, 13, 64, 100 };
    const Border *b = data;
    RamDeviceVM *vm = rd_vm_start("", "");
    uint64_t border = rd_place_adjacent(vm, b->first, b->second);
    uint8_t model[2 * SIDE], stage[2 * SIDE];
    unsigned i, j, before, after;

    for (i = 0; i < ARRAY_SIZE(lens) * ARRAY_SIZE(lens); i++) {
        before = lens[i / ARRAY_SIZE(lens)];
        after = lens[i % ARRAY_SIZE(lens)];

        for (j = 0; j < 3; j++) { /* read, write, set */
            const struct BulkOp *op = &bulk_ops[j];
            size_t len = before + after;
            RamDeviceResult r;

            rd_random(model, sizeof(model), i);
            rd_random(stage, sizeof(stage), ~i);
            border_put(vm, b, model);
            rd_put(vm, TARGET_STAGING, STAGE, stage, sizeof(stage));

            r = rd_op(vm, op->op, border - before, STAGE + 1, len, i);
            g_assert_cmphex(r.status, ==, MEMTX_OK);
            model_op(op->direction, model + SIDE - before, stage + 1, len, i);

            border_check(vm, b, model);
            rd_check(vm, TARGET_STAGING, STAGE, stage, sizeof(stage));
        }
    }
    rd_vm_stop(vm);
}

/* A single access does: it fails as a whole */
static void test_single_across(const void *data)
{
    const Border *b = data;
    RamDeviceVM *vm = rd_vm_start("", "");
    uint64_t border = rd_place_adjacent(vm, b->first, b->second);
    uint8_t model[2 * SIDE];
    unsigned i, size, before;
    RamDeviceResult r;

    rd_random(model, sizeof(model), 3);
    border_put(vm, b, model);

    for (i = 0; i < 2; i++) {
        for (size = 2; size <= 8; size *= 2) {
            for (before = 1; before < size; before++) {
                r = rd_op(vm, load_stores[i].load, border - before, 0, size,
                          0);
                g_assert_cmphex(r.status, !=, MEMTX_OK);
                g_assert_cmphex(r.result, ==, UINT64_MAX >> (64 - 8 * size));

                r = rd_op(vm, load_stores[i].store, border - before, 0, size,
                          0x0123456789abcdefull);
                g_assert_cmphex(r.status, !=, MEMTX_OK);
                border_check(vm, b, model);
            }
        }
    }
    rd_vm_stop(vm);
}

/*
 * Behind the BAR is nothing: the part in the BAR is done, the rest is what
 * it is without the BAR
 */
static void test_bulk_off_the_end(const void *data)
{
    static const unsigned lens[] = { 1, 5, 8, 64, 100 };
    RamDeviceTarget target = *(const RamDeviceTarget *)data;
    RamDeviceVM *vm = rd_vm_start("", "");
    uint64_t end = vm->memory[target].addr + vm->memory[target].size;
    uint64_t offset = vm->memory[target].size - SIDE;
    uint8_t model[SIDE], stage[2 * SIDE], beyond[SIDE];
    unsigned i, j;

    for (i = 0; i < ARRAY_SIZE(lens) * ARRAY_SIZE(lens); i++) {
        unsigned before = lens[i / ARRAY_SIZE(lens)];
        unsigned after = lens[i % ARRAY_SIZE(lens)];

        for (j = 0; j < 3; j++) { /* read, write, set */
            const struct BulkOp *op = &bulk_ops[j];
            RamDeviceResult alone, r;

            alone = rd_op(vm, op->op, end, STAGE, after, i);
            rd_get(vm, TARGET_STAGING, STAGE, beyond, after);

            rd_random(model, sizeof(model), i);
            rd_random(stage, sizeof(stage), ~i);
            rd_put(vm, target, offset, model, sizeof(model));
            rd_put(vm, TARGET_STAGING, STAGE, stage, sizeof(stage));

            r = rd_op(vm, op->op, end - before, STAGE + 1, before + after, i);
            g_assert_cmphex(r.status, ==, alone.status);
            model_op(op->direction, model + SIDE - before, stage + 1, before,
                     i);
            if (op->direction == GUEST_TO_STAGING) {
                memcpy(stage + 1 + before, beyond, after);
            }

            rd_check(vm, target, offset, model, sizeof(model));
            rd_check(vm, TARGET_STAGING, STAGE, stage, sizeof(stage));
        }
    }
    rd_vm_stop(vm);
}

/* From one BAR into the other; within one: see ram-device-map-test */
static void test_copy_between(const void *data)
{
    static const unsigned lens[] = { 1, 3, 8, 29, 256, 1000, 4096 };
    const size_t size = 8192;
    RamDeviceVM *vm = rd_vm_start("", "");
    g_autofree uint8_t *from = g_malloc(size);
    g_autofree uint8_t *to = g_malloc(size);
    RamDeviceTarget source, dest;
    unsigned i, align;

    for (source = 0; source < TARGET_COUNT; source++) {
        for (dest = 0; dest < TARGET_COUNT; dest++) {
            if (source == dest) {
                continue;
            }
            for (i = 0; i < ARRAY_SIZE(lens) * 8; i++) {
                unsigned len = lens[i / 8];
                RamDeviceResult r;

                align = i % 8;
                rd_random(from, size, i);
                rd_random(to, size, ~i);
                rd_put(vm, source, 0, from, size);
                rd_put(vm, dest, 0, to, size);
                r = rd_op(vm, RDT_OP_COPY,
                          vm->memory[source].addr + GUARD + align, 0, len,
                          vm->memory[dest].addr + GUARD + 3);
                g_assert_cmphex(r.status, ==, MEMTX_OK);
                g_assert_cmphex(r.result, ==, len);
                memcpy(to + GUARD + 3, from + GUARD + align, len);
                rd_check(vm, source, 0, from, size);
                rd_check(vm, dest, 0, to, size);
            }
        }
    }
    rd_vm_stop(vm);
}

static void add_bulk(void)
{
    static BulkCase cases[ARRAY_SIZE(targets) * ARRAY_SIZE(bulk_ops)];
    unsigned i, j;
    BulkCase *c = cases;

    for (i = 0; i < ARRAY_SIZE(targets); i++) {
        for (j = 0; j < ARRAY_SIZE(bulk_ops); j++, c++) {
            *c = (BulkCase) { targets[i], &bulk_ops[j] };
            rd_add(c, test_bulk, "%s/%s-touches-exactly-the-bytes-asked-for",
                   rd_target_name(targets[i]), bulk_ops[j].name);
        }
    }
}

int main(int argc, char **argv)
{
    unsigned i;

    g_test_init(&argc, &argv, NULL);

    add_bulk();

    for (i = 0; i < ARRAY_SIZE(targets); i++) {
        const char *name = rd_target_name(targets[i]);

        rd_add(&targets[i], test_cpu_access,
               "%s/any-width-works-at-any-address", name);
        rd_add(&targets[i], test_load_store,
               "%s/loads-and-stores-work-in-both-byte-orders", name);
        if (targets[i] == TARGET_RAM) {
            continue;
        }
        rd_add(&targets[i], test_bulk_off_the_end,
               "%s/what-runs-off-the-end-is-done-up-to-there", name);
    }

    for (i = 0; i < ARRAY_SIZE(borders); i++) {
        const char *first = rd_target_name(borders[i].first);
        const char *second = rd_target_name(borders[i].second);

        rd_add(&borders[i], test_bulk_across,
               "border/bulk-goes-on-from-%s-to-%s", first, second);
        if (borders[i].first != TARGET_STAGING) {
            rd_add(&borders[i], test_single_across,
                   "border/a-single-access-across-%s-to-%s-touches-neither",
                   first, second);
        }
    }

    rd_add(NULL, test_copy_between, "copy/from-anywhere-to-anywhere");
    return g_test_run();
}
