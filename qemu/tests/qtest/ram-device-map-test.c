/*
 * RAM device regions: buffers, pointers, and what the operator sees
 *
 * Each test is named by the sentence that it proves; docs/devel/ram-device.rst
 * has the whole contract.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "exec/memattrs.h"
#include "hw/pci/pci_regs.h"
#include "libqtest.h"
#include "standard-headers/linux/virtio_blk.h"
#include "ram-device-blk.h"

#define GUARD 16
#define SIDE  128

/* What the staging buffer can show of a mapping, with guards around it */
#define STAGED (RDT_STAGING_SIZE - 2 * GUARD)

/*
 * What address_space_map() gives: a buffer, unless the device is direct, whose
 * memory is to be mapped as RAM is
 */

typedef struct MapCase {
    const char *name;
    bool direct;
    RamDeviceTarget target;
} MapCase;

static const MapCase map_cases[] = {
    { "default/prefetchable-bar", false, TARGET_MEM },
    { "default/plain-bar", false, TARGET_REG },
    { "direct/prefetchable-bar", true, TARGET_MEM },
    { "direct/plain-bar", true, TARGET_REG },
    { "ram", true, TARGET_RAM },
};

static const char *map_devopts(const MapCase *c)
{
    return c->direct ? "x-ram-device-direct=on" : "";
}

/*
 * Since the first @seen accesses, QEMU has copied @len bytes at @offset to or
 * from a buffer, at most 2 MiB at a time, if there is one at all.
 * Returns: how many accesses there are now.
 */
static unsigned check_copies(const RamDeviceVM *vm, const MapCase *c,
                             unsigned seen, uint64_t offset, uint64_t len,
                             bool is_write)
{
    GArray *accesses = rd_vm_accesses(vm);
    const uint64_t end = offset + len;
    unsigned i, count = accesses->len;

    for (i = seen; i < count; i++) {
        RamDeviceAccess a = g_array_index(accesses, RamDeviceAccess, i);

        g_assert_false(c->direct);
        g_assert_true(a.is_copy);
        g_assert_cmpint(a.is_write, ==, is_write);
        g_assert_cmphex(a.offset, ==, offset);
        g_assert_cmphex(a.len, ==, MIN(end - offset, 2 * MiB));
        offset += a.len;
    }
    g_assert_true(c->direct || offset == end);
    g_array_unref(accesses);
    return count;
}

/* @len bytes at @offset can be mapped at once, not more than @max of them */
static void check_map(const RamDeviceVM *vm, RamDeviceTarget target,
                      uint64_t offset, uint64_t len, uint64_t max)
{
    const size_t size = len + 2 * GUARD;
    uint64_t addr = vm->memory[target].addr + offset;
    g_autofree uint8_t *guest = g_malloc(size);
    g_autofree uint8_t *stage = g_malloc(size);
    const size_t guest_at = MIN(offset, GUARD);
    const size_t guest_size = MIN(size, vm->memory[target].size - offset +
                                        guest_at);
    int i;

    for (i = 0; i < 2; i++) { /* read, write */
        RamDeviceResult r;

        rd_random(guest, size, len + i);
        rd_random(stage, size, ~(len + i));
        rd_put(vm, target, offset - guest_at, guest, guest_size);
        rd_put(vm, TARGET_STAGING, 0, stage, size);

        r = rd_op(vm, i ? RDT_OP_MAP_WRITE : RDT_OP_MAP_READ, addr, GUARD,
                  len, 0);
        g_assert_cmphex(r.status, ==, MEMTX_OK);
        g_assert_cmphex(r.result, ==, MIN(len, max));

        if (i) {
            memcpy(guest + guest_at, stage + GUARD, r.result);
        } else {
            memcpy(stage + GUARD, guest + guest_at, r.result);
        }
        rd_check(vm, target, offset - guest_at, guest, guest_size);
        rd_check(vm, TARGET_STAGING, 0, stage, size);
    }
}

static void test_map(const void *data)
{
    const MapCase *c = data;
    RamDeviceVM *vm = rd_vm_start(map_devopts(c), "");

    check_map(vm, c->target, 0, STAGED, STAGED);
    check_map(vm, c->target, 5, STAGED, STAGED);
    check_map(vm, c->target, 7, 3, 3);
    rd_vm_stop(vm);
}

/* Nor does a mapping go on where a region ends and another begins */
static void test_map_ends(const void *data)
{
    const MapCase *c = data;
    RamDeviceTarget other = c->target == TARGET_MEM ? TARGET_REG : TARGET_MEM;
    RamDeviceVM *vm = rd_vm_start(map_devopts(c), "");
    const uint64_t rest = 1000;

    rd_place_adjacent(vm, c->target, other);
    check_map(vm, c->target, vm->memory[c->target].size - rest, 4 * rest,
              rest);
    rd_vm_stop(vm);
}

#define TRACES RD_TRACE_ACCESSES " -trace virtqueue_pop"
#define BUDGET " -machine x-ram-device-buffer-size=2M"

/*
 * A descriptor of virtio-blk becomes as many buffers as it takes mappings.  No
 * budget is charged for a pointer.
 */
static void test_large(const void *data)
{
    const MapCase *c = data;
    const uint64_t offset = 1 * MiB + 5;
    const size_t len = 2 * MiB + 64 * KiB;
    const unsigned mappings = c->direct ? 1 : 2;
    RamDeviceBlk *b;
    const BlkLayout l = rdb_data_in(c->target);
    g_autofree char *popped = NULL;
    g_autofree char *log = NULL;
    unsigned seen;

    if (!rd_can_trace()) {
        return;
    }
    b = rdb_new(map_devopts(c), "", c->direct ? TRACES BUDGET : TRACES);
    rdb_start(b, TARGET_RAM);
    rdb_check_read(b, &l, 1, offset, len);
    seen = check_copies(b->vm, c, 0, offset, len, true);
    rdb_check_write(b, &l, 3, offset, len);
    check_copies(b->vm, c, seen, offset, len, false);

    /* One more is the status byte, or the header */
    log = rd_vm_log(b->vm);
    popped = g_strdup_printf("in_num %u out_num 1\n", mappings + 1);
    g_assert_nonnull(strstr(log, popped));
    g_free(popped);
    popped = g_strdup_printf("in_num 1 out_num %u\n", mappings + 1);
    g_assert_nonnull(strstr(log, popped));
    rdb_free(b);
}

/* A buffer is a snapshot: what the driver writes later isn't sent */
static void test_rewritten(const void *data)
{
    const MapCase *c = data;
    const size_t offset = 1 * MiB, len = 64 * KiB;
    RamDeviceBlk *b = rdb_new(map_devopts(c), "", "");
    const BlkLayout l = rdb_data_in(c->target);
    g_autofree uint8_t *before = g_malloc(len);
    g_autofree uint8_t *after = g_malloc(len);
    BlkRequest r;

    rd_random(before, len, 1);
    rd_random(after, len, 2);
    rd_put(b->vm, c->target, offset, before, len);
    rdb_start(b, TARGET_RAM);
    rdb_debug_command(b, "break write_aio A");
    r = rdb_submit(b, &l, VIRTIO_BLK_T_OUT, 0,
                   b->vm->memory[c->target].addr + offset, len);
    rdb_debug_command(b, "wait_break A");
    rd_put(b->vm, c->target, offset, after, len);
    rdb_debug_command(b, "resume A");
    g_assert_cmpint(rdb_wait_status(b, &r), ==, VIRTIO_BLK_S_OK);
    rd_assert_same(b->disk, c->direct ? after : before, len);
    rd_check(b->vm, c->target, offset, after, len);
    rdb_free(b);
}

/* With rings and all, in odd pieces */
static void test_request(const void *data)
{
    const MapCase *c = data;
    const RamDeviceTarget t = c->target;
    const BlkLayout l = { "", t, t, t, true, t, .pieces = 32 };
    RamDeviceBlk *b = rdb_new(map_devopts(c), "", "");

    rdb_start(b, t);
    rdb_check_read(b, &l, 1, 1 * MiB + 3, 1 * MiB);
    rdb_check_write(b, &l, 3, 1 * MiB + 5, 1 * MiB);
    rdb_free(b);
}

/* Within one region, also if the source is a pointer into it */
static void test_copy_overlap(const void *data)
{
    static const int distances[] = {
        0, 1, 2, 3, 4, 7, 8, 9, 12, 16, 31, 64, 300,
    };
    static const unsigned lens[] = {
        1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 64, 65, 257,
    };
    const size_t size = 2048, middle = size / 2;
    const MapCase *c = data;
    RamDeviceVM *vm = rd_vm_start(map_devopts(c), "");
    uint64_t addr = vm->memory[c->target].addr;
    g_autofree uint8_t *model = g_malloc(size);
    unsigned i, j, k, align;

    for (i = 0; i < ARRAY_SIZE(lens); i++) {
        for (j = 0; j < ARRAY_SIZE(distances); j++) {
            for (k = 0; k < 2; k++) {
                for (align = 0; align < 8; align++) {
                    size_t from = middle + align;
                    size_t to = k ? from - distances[j] : from + distances[j];
                    RamDeviceResult r;

                    rd_random(model, size, i);
                    rd_put(vm, c->target, 0, model, size);
                    r = rd_op(vm, RDT_OP_COPY, addr + from, 0, lens[i],
                              addr + to);
                    g_assert_cmphex(r.status, ==, MEMTX_OK);
                    g_assert_cmphex(r.result, ==, lens[i]);
                    memmove(model + to, model + from, lens[i]);
                    rd_check(vm, c->target, 0, model, size);
                }
            }
        }
    }
    rd_vm_stop(vm);
}

/*
 * What the operator sees
 */

typedef struct MtreeCase {
    const char *sentence;
    const char *devopts;
    const char *type;
} MtreeCase;

static const MtreeCase mtree_cases[] = {
    { "nothing-is-direct-by-default", "", ", ramd): " },
    { "off-makes-nothing-direct", "x-ram-device-direct=off", ", ramd): " },
    { "on-makes-both-bars-direct", "x-ram-device-direct=on",
      ", ramd, direct): " },
};

/* Assert that region @name has lines in @mtree, and that all show @type */
static void check_mtree(const char *mtree, const char *type, const char *name)
{
    g_auto(GStrv) lines = g_strsplit_set(mtree, "\r\n", -1);
    g_autofree char *colon = g_strdup_printf(": %s", name);
    g_autofree char *end = g_strdup_printf("%s%s", type, name);
    unsigned i, found = 0;

    for (i = 0; lines[i]; i++) {
        if (g_str_has_suffix(lines[i], colon)) {
            g_test_message("%s", lines[i]);
            g_assert_true(g_str_has_suffix(lines[i], end));
            found++;
        }
    }
    g_assert_cmpuint(found, >, 0);
}

static void test_mtree(const void *data)
{
    const MtreeCase *c = data;
    RamDeviceVM *vm = rd_vm_start(c->devopts, "");
    g_autofree char *tree = qtest_hmp(vm->qts, "info mtree");
    g_autofree char *flat = qtest_hmp(vm->qts, "info mtree -f");

    check_mtree(tree, c->type, TYPE_RAM_DEVICE_TESTDEV ".mem");
    check_mtree(tree, c->type, TYPE_RAM_DEVICE_TESTDEV ".reg");
    check_mtree(flat, c->type, TYPE_RAM_DEVICE_TESTDEV ".mem");
    check_mtree(flat, c->type, TYPE_RAM_DEVICE_TESTDEV ".reg");
    rd_vm_stop(vm);
}

/*
 * The test device itself: a guest can reach it
 */

static void test_bad_operations(void)
{
    static const struct {
        uint32_t op;
        uint64_t stage, len;
    } bad[] = {
        { 0, 0, 8 },
        { RDT_OP_END, 0, 8 },
        { UINT32_MAX, 0, 8 },
        { RDT_OP_WRITE, RDT_STAGING_SIZE, 1 },
        { RDT_OP_WRITE, 1, RDT_STAGING_SIZE },
        { RDT_OP_WRITE, UINT64_MAX, 2 },
        { RDT_OP_WRITE, 2, UINT64_MAX },
        { RDT_OP_SET, 0, RDT_STAGING_SIZE + 1 },
        { RDT_OP_COPY, 0, UINT64_MAX },
        { RDT_OP_MAP_WRITE, 0, UINT64_MAX },
        { RDT_OP_CACHED_WRITE, 0, UINT64_MAX },
        { RDT_OP_ST_LE, 0, 0 },
        { RDT_OP_ST_LE, 0, 3 },
        { RDT_OP_ST_BE, 0, 16 },
        { RDT_OP_ST_CACHED_LE, 0, 0 },
        { RDT_OP_ST_CACHED_BE, 0, 9 },
    };
    RamDeviceVM *vm = rd_vm_start("", "");
    uint64_t addr = vm->memory[TARGET_MEM].addr;
    uint8_t model[SIDE];
    unsigned i;

    rd_random(model, sizeof(model), 5);
    rd_put(vm, TARGET_MEM, 0, model, sizeof(model));
    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        RamDeviceResult r = rd_op(vm, bad[i].op, addr, bad[i].stage,
                                  bad[i].len, UINT64_MAX);

        g_assert_cmphex(r.status, ==, MEMTX_ERROR);
        g_assert_cmphex(r.result, ==, 0);
    }
    g_assert_cmpuint(rd_failures(vm), ==, ARRAY_SIZE(bad));
    rd_check(vm, TARGET_MEM, 0, model, sizeof(model));
    rd_vm_stop(vm);
}

/* Addresses that are nobody's, wrap around, or are the registers */
static void test_bad_addresses(void)
{
    const uint64_t len = 256;
    RamDeviceVM *vm = rd_vm_start("", "");
    uint64_t bad[] = { UINT64_MAX - 7, UINT64_MAX - 100, vm->regs };
    RamDeviceTestOp op;
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        for (op = RDT_OP_READ; op < RDT_OP_END; op++) {
            rd_start(vm, op, bad[i], 0, op < RDT_OP_LD_LE ? len : 8, bad[i]);
        }
    }
    check_map(vm, TARGET_MEM, 0, len, len); /* it still works */
    rd_vm_stop(vm);
}

static void test_bus_mastering(void)
{
    RamDeviceVM *vm = rd_vm_start("", "");
    uint64_t addr = vm->memory[TARGET_MEM].addr;
    uint8_t model[SIDE];
    RamDeviceResult r;

    rd_random(model, sizeof(model), 6);
    rd_put(vm, TARGET_MEM, 0, model, sizeof(model));
    rd_pci_command(vm, PCI_COMMAND_MASTER, false);
    r = rd_op(vm, RDT_OP_WRITE, addr, 0, SIDE, 0);
    g_assert_cmphex(r.status, !=, MEMTX_OK);
    rd_check(vm, TARGET_MEM, 0, model, sizeof(model));

    rd_pci_command(vm, PCI_COMMAND_MASTER, true);
    r = rd_op(vm, RDT_OP_WRITE, addr, 0, SIDE, 0);
    g_assert_cmphex(r.status, ==, MEMTX_OK);
    rd_vm_stop(vm);
}

/* QEMU says what is wrong and what is right, and exits */
static void test_bad_properties(void)
{
    static const struct {
        const char *devopts;
        const char *says;
    } bad[] = {
        { "mem-size=3M", "'mem-size' is 0x300000: it must be a power of two" },
        { "mem-size=0", "'mem-size' is 0x0: it must be a power of two" },
        { "reg-size=2048", "at least the host's page size" },
        { "reg-size=65537", "'reg-size' is 0x10001" },
        { "mem-path=/", "'/'" },
        { "reg-path=/dev/null", "'/dev/null' is not a regular file" },
    };
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        g_autofree char *command = g_strdup_printf(
            "%s %s -accel qtest -nodefaults -display none -device "
            TYPE_RAM_DEVICE_TESTDEV ",%s", getenv("QTEST_QEMU_BINARY"),
            rd_machine(), bad[i].devopts);
        g_autofree char *err = NULL;
        int status;

        g_assert(g_spawn_command_line_sync(command, NULL, &err, &status,
                                           NULL));
        g_test_message("%s", err);
        g_assert(WIFEXITED(status));
        g_assert_cmpint(WEXITSTATUS(status), ==, 1);
        g_assert_nonnull(strstr(err, bad[i].says));
    }
}

int main(int argc, char **argv)
{
    unsigned i;

    g_test_init(&argc, &argv, NULL);

    for (i = 0; i < ARRAY_SIZE(map_cases); i++) {
        const MapCase *c = &map_cases[i];

        rd_add(c, test_map, "%s/maps-2M-in-one-go", c->name);
        rd_add(c, test_large, "%s/a-large-buffer-is-mapped-%s", c->name,
               c->direct ? "as-a-whole" : "2M-at-a-time");
        rd_add(c, test_rewritten, "%s/what-is-sent-is-%s", c->name,
               c->direct ? "the-memory" : "a-snapshot");
        rd_add(c, test_request, "%s/a-request-can-be-all-in-it", c->name);
        if (c->target == TARGET_RAM) {
            continue;
        }
        rd_add(c, test_map_ends, "%s/a-mapping-ends-with-the-region", c->name);
        rd_add(c, test_copy_overlap, "%s/overlapping-copies-are-memmove",
               c->name);
    }
    for (i = 0; i < ARRAY_SIZE(mtree_cases); i++) {
        rd_add(&mtree_cases[i], test_mtree, "mtree/%s",
               mtree_cases[i].sentence);
    }

    qtest_add_func("/ram-device/testdev/bad-operations-touch-nothing",
                   test_bad_operations);
    qtest_add_func("/ram-device/testdev/bad-addresses-do-no-harm",
                   test_bad_addresses);
    qtest_add_func("/ram-device/testdev/needs-bus-mastering",
                   test_bus_mastering);
    qtest_add_func("/ram-device/testdev/bad-properties-are-explained",
                   test_bad_properties);
    return g_test_run();
}
