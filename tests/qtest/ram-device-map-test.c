/*
 * RAM device regions: kinds, pointers into them, and what the operator sees
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
#include "ram-device-rig.h"

#define GUARD 16
#define SIDE  128

/*
 * Pointers into the region
 */

typedef struct MapCase {
    const char *sentence;
    const char *devopts;
    RamDeviceTarget target;
    uint64_t len;
    uint64_t max; /* what a single mapping can be */
} MapCase;

static const MapCase map_cases[] = {
    { "memory-like/maps-1M-in-one-go", "", TARGET_MEM, 1 * MiB, 1 * MiB },
    { "register-like/maps-a-buffer-of-any-size", "", TARGET_REG,
      64 * KiB - 8, 64 * KiB - 8 },
    { "off/maps-1M-in-one-go", "x-ram-device-direct=off", TARGET_MEM, 1 * MiB,
      1 * MiB },
    { "on-makes-any-bar-memory-like", "x-ram-device-direct=on", TARGET_REG,
      64 * KiB - 8, 64 * KiB - 8 },
};

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
    RamDeviceVM *vm = rd_vm_start(c->devopts, "");

    check_map(vm, c->target, 0, c->len, c->max);
    check_map(vm, c->target, 5, c->len, c->max);
    rd_vm_stop(vm);
}

/* Nor does a mapping go on where a region ends and another begins */
static void test_map_ends(const void *data)
{
    RamDeviceTarget first = *(const RamDeviceTarget *)data;
    RamDeviceTarget second = first == TARGET_MEM ? TARGET_REG : TARGET_MEM;
    RamDeviceVM *vm = rd_vm_start("", "");
    const uint64_t rest = 1000;

    rd_place_adjacent(vm, first, second);
    check_map(vm, first, vm->memory[first].size - rest, 4 * rest, rest);
    rd_vm_stop(vm);
}

/*
 * What the operator sees
 */

typedef struct KindCase {
    const char *direct;
    const char *mem;
    const char *reg;
} KindCase;

static const KindCase kind_cases[] = {
    { "auto", "memory-like", "register-like" },
    { "on", "memory-like", "memory-like" },
    { "off", "register-like", "register-like" },
};

/* Assert that region @name has lines in @mtree, and that all have @kind */
static void check_mtree(const char *mtree, const char *name, const char *kind)
{
    g_auto(GStrv) lines = g_strsplit_set(mtree, "\r\n", -1);
    g_autofree char *end = g_strdup_printf(": %s", name);
    unsigned i, found = 0;

    for (i = 0; lines[i]; i++) {
        if (g_str_has_suffix(lines[i], end)) {
            g_test_message("%s", lines[i]);
            g_assert_nonnull(strstr(lines[i], kind));
            found++;
        }
    }
    g_assert_cmpuint(found, >, 0);
}

static void test_mtree(const void *data)
{
    const KindCase *c = data;
    g_autofree char *devopts = g_strdup_printf("x-ram-device-direct=%s",
                                               c->direct);
    RamDeviceVM *vm = rd_vm_start(devopts, "");
    g_autofree char *tree = qtest_hmp(vm->qts, "info mtree");
    g_autofree char *flat = qtest_hmp(vm->qts, "info mtree -f");

    check_mtree(tree, TYPE_RAM_DEVICE_TESTDEV ".mem", c->mem);
    check_mtree(tree, TYPE_RAM_DEVICE_TESTDEV ".reg", c->reg);
    check_mtree(flat, TYPE_RAM_DEVICE_TESTDEV ".mem", c->mem);
    check_mtree(flat, TYPE_RAM_DEVICE_TESTDEV ".reg", c->reg);
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
    static const RamDeviceTarget bars[] = { TARGET_MEM, TARGET_REG };
    unsigned i;

    g_test_init(&argc, &argv, NULL);

    for (i = 0; i < ARRAY_SIZE(map_cases); i++) {
        rd_add(&map_cases[i], test_map, "%s", map_cases[i].sentence);
    }
    for (i = 0; i < ARRAY_SIZE(bars); i++) {
        rd_add(&bars[i], test_map_ends, "%s/a-mapping-ends-with-the-region",
               rd_target_name(bars[i]));
    }
    for (i = 0; i < ARRAY_SIZE(kind_cases); i++) {
        rd_add(&kind_cases[i], test_mtree, "mtree/%s-shows-the-kinds",
               kind_cases[i].direct);
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
