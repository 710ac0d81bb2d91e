/*
 * RAM device regions: a device that vanishes is an error, not a crash
 *
 * When a device stops decoding its BAR (memory-enable cleared, reset, D3),
 * an access to it is a SIGBUS, or EFAULT from a system call.  So it is here:
 * the file that is the BAR's storage is cut to nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "exec/memattrs.h"
#include "libqtest.h"
#include "standard-headers/linux/virtio_blk.h"
#include "ram-device-blk.h"

/* Bytes of the BAR that are looked at */
#define SIZE 128

/* Where in the staging buffer the tests work */
#define STAGE 0x100000

/* The device vanishes and comes back, twice */
static void test_access(const void *data)
{
    RamDeviceTarget target = *(const RamDeviceTarget *)data;
    RamDeviceVM *vm = rd_vm_start("", "");
    RamDeviceMemory *m = &vm->memory[target];
    uint8_t stage[SIZE], zeroes[SIZE] = { 0 };
    unsigned i;

    for (i = 0; i < 2; i++) {
        RamDeviceResult r;

        g_assert_cmpint(ftruncate(m->fd, 0), ==, 0);

        rd_random(stage, sizeof(stage), i);
        rd_put(vm, TARGET_STAGING, STAGE, stage, sizeof(stage));
        r = rd_op(vm, RDT_OP_READ, m->addr + 3, STAGE + 1, SIZE - 2, 0);
        g_assert_cmphex(r.status, ==, MEMTX_ERROR);
        memset(stage + 1, 0xff, SIZE - 2);
        rd_check(vm, TARGET_STAGING, STAGE, stage, sizeof(stage));

        r = rd_op(vm, RDT_OP_WRITE, m->addr + 3, STAGE, SIZE - 3, 0);
        g_assert_cmphex(r.status, ==, MEMTX_ERROR);

        r = rd_op(vm, RDT_OP_LD_LE, m->addr, 0, 4, 0);
        g_assert_cmphex(r.status, ==, MEMTX_ERROR);
        g_assert_cmphex(r.result, ==, 0xffffffff);

        r = rd_op(vm, RDT_OP_ST_LE, m->addr, 0, 4, ~0ull);
        g_assert_cmphex(r.status, ==, MEMTX_ERROR);

        g_assert_cmphex(qtest_readq(vm->qts, m->addr), ==, UINT64_MAX);

        /* Back again: nothing was written, and everything works */
        g_assert_cmpint(ftruncate(m->fd, m->size), ==, 0);
        rd_check(vm, target, 0, zeroes, SIZE);
        r = rd_op(vm, RDT_OP_WRITE, m->addr, STAGE, SIZE, 0);
        g_assert_cmphex(r.status, ==, MEMTX_OK);
        rd_check(vm, target, 0, stage, SIZE);
    }
    rd_vm_stop(vm);
}

/*
 * The pointer into a memory-like BAR is given to a system call: EFAULT.  For a
 * register-like BAR, no buffer can be filled, so the disk isn't written to;
 * what is read from it is dropped, as posted writes are.
 */
static void run_requests(RamDeviceTarget target, const char *blkopts,
                         const char *extra)
{
    RamDeviceBlk *b = rdb_new("", blkopts, extra);
    RamDeviceMemory *m = &b->vm->memory[target];
    g_autofree uint8_t *disk = g_memdup2(b->disk, RDB_DISK_SIZE);
    const int read_status = target == TARGET_MEM ? VIRTIO_BLK_S_IOERR
                                                 : VIRTIO_BLK_S_OK;
    const size_t len = 32 * KiB;
    BlkLayout l = rdb_plain;

    l.data = target;
    rdb_start(b, TARGET_RAM);
    g_assert_cmpint(ftruncate(m->fd, 0), ==, 0);
    g_assert_cmpint(rdb_request(b, &l, VIRTIO_BLK_T_IN, 0, m->addr, len),
                    ==, read_status);
    g_assert_cmpint(rdb_request(b, &l, VIRTIO_BLK_T_OUT, 0, m->addr, len),
                    ==, VIRTIO_BLK_S_IOERR);
    rd_assert_same(b->disk, disk, RDB_DISK_SIZE);

    g_assert_cmpint(ftruncate(m->fd, m->size), ==, 0);
    rdb_check_read(b, &l, 1, RDB_GAP, len);
    rdb_check_write(b, &l, 9, RDB_GAP, len);
    rdb_free(b);
}

static void test_request(const void *data)
{
    run_requests(*(const RamDeviceTarget *)data, "", "");
}

/* Outside the big lock, in another thread */
static void test_request_iothread(const void *data)
{
    run_requests(*(const RamDeviceTarget *)data, "iothread=io",
                 "-object iothread,id=io");
}

/*
 * The header and the status byte are in the BAR.  The device model writes the
 * status through the pointer that it got before the BAR went, by an instruction
 * of its own.  What comes later must reach the BAR, not what stood in for it.
 */
static void test_status(const void *data)
{
    RamDeviceBlk *b = rdb_new("", "", "");
    RamDeviceMemory *m = &b->vm->memory[TARGET_MEM];
    BlkLayout l = rdb_plain;
    BlkRequest r;
    unsigned i;

    l.header = TARGET_MEM;
    for (i = 0; i < 3; i++) {
        rdb_start(b, TARGET_RAM);
        rdb_debug_command(b, "break read_aio A");
        l.data = TARGET_RAM;
        r = rdb_submit(b, &l, VIRTIO_BLK_T_IN, 0,
                       b->vm->memory[TARGET_RAM].addr + 1 * MiB, 4 * KiB);
        rdb_debug_command(b, "wait_break A");
        g_assert_cmpint(ftruncate(m->fd, 0), ==, 0);
        rdb_debug_command(b, "resume A");
        g_assert_true(rdb_wait_used(b));
        g_assert_cmpint(ftruncate(m->fd, m->size), ==, 0);
        /* Back again, as zeroes: what was written meanwhile is lost */
        g_assert_cmpint(rdb_release(b, &r), ==, 0);

        l.data = TARGET_MEM;
        rdb_check_read(b, &l, 1, STAGE + RDB_GAP, 4 * KiB);
        rdb_check_write(b, &l, 9, STAGE + RDB_GAP, 4 * KiB);
        rdb_stop(b);
    }
    rdb_free(b);
}

int main(int argc, char **argv)
{
    static const RamDeviceTarget bars[] = { TARGET_MEM, TARGET_REG };
    unsigned i;

    g_test_init(&argc, &argv, NULL);

    for (i = 0; i < ARRAY_SIZE(bars); i++) {
        const char *name = rd_target_name(bars[i]);

        rd_add(&bars[i], test_access,
               "vanished/%s-is-an-error-not-a-crash", name);
        rd_add(&bars[i], test_request,
               "vanished/%s-fails-the-request-only", name);
        rd_add(&bars[i], test_request_iothread,
               "vanished/iothread/%s-fails-the-request-only", name);
    }
    rd_add(NULL, test_status, "vanished/a-pointer-leads-to-a-stand-in");
    return g_test_run();
}
