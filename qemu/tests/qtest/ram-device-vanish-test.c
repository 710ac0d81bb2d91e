/*
 * RAM device regions: a device that vanishes is an error, not a crash
 *
 * When a device stops decoding its BAR (memory-enable cleared, reset, D3),
 * an access to it is a SIGBUS.  So it is here: the file that is the BAR's
 * storage is cut short.
 *
 * What was to come from the BAR fails, and is never made up; what was to go
 * there is dropped, as posted writes are.
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

/* Where in the staging buffer, or in a BAR, the tests work */
#define STAGE 0x100000

/* The BAR ends at @size; with @size 0 it is gone */
static void cut(const RamDeviceMemory *m, uint64_t size)
{
    g_assert_cmpint(ftruncate(m->fd, size), ==, 0);
}

/*
 * What is in a BAR that is back: neither the zeroes of a file that grows nor
 * the ones of an access that failed, so that whoever writes there is seen
 */
#define BACK 0x5a

/* It is back, and whatever has been cut off at @end is BACK */
static void restore(const RamDeviceMemory *m, uint64_t end)
{
    g_assert_cmpint(ftruncate(m->fd, m->size), ==, 0);
    memset(m->host + end, BACK, m->size - end);
}

/* The device vanishes and comes back, twice */
static void test_access(const void *data)
{
    RamDeviceTarget target = *(const RamDeviceTarget *)data;
    RamDeviceVM *vm = rd_vm_start("", "");
    RamDeviceMemory *m = &vm->memory[target];
    uint8_t stage[SIZE], back[SIZE];
    unsigned i;

    memset(back, BACK, SIZE);
    for (i = 0; i < 2; i++) {
        RamDeviceResult r;

        cut(m, 0);
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
        restore(m, 0);
        g_assert_cmphex(qtest_readq(vm->qts, m->addr), ==,
                        BACK * 0x0101010101010101ull);
        rd_check(vm, target, 0, back, SIZE);
        r = rd_op(vm, RDT_OP_WRITE, m->addr, STAGE, SIZE, 0);
        g_assert_cmphex(r.status, ==, MEMTX_OK);
        rd_check(vm, target, 0, stage, SIZE);
    }
    rd_vm_stop(vm);
}

/*
 * Requests
 */

typedef struct Rig {
    RamDeviceBlk *b;
    RamDeviceMemory *m;
    BlkLayout l;         /* the data are in the BAR */
    uint8_t *disk;       /* as it was */
} Rig;

static Rig rig_new(RamDeviceTarget target, const char *blkopts,
                   const char *extra)
{
    RamDeviceBlk *b = rdb_new("", blkopts, extra);

    rdb_start(b, TARGET_RAM);
    return (Rig) {
        .b = b,
        .m = &b->vm->memory[target],
        .l = rdb_data_in(target),
        .disk = g_memdup2(b->disk, RDB_DISK_SIZE),
    };
}

static void check_disk(const Rig *r)
{
    rd_assert_same(r->b->disk, r->disk, RDB_DISK_SIZE);
}

/* It works as if nothing had happened */
static void rig_free(Rig *r)
{
    rdb_check_read(r->b, &r->l, 1, RDB_GAP, 3 * MiB);
    rdb_check_write(r->b, &r->l, 9, RDB_GAP, 3 * MiB);
    rdb_free(r->b);
    g_free(r->disk);
}

/*
 * Bytes @from to @to of the BAR are the buffer, and it ends at @end: a read
 * goes as far as it can, a write to the disk isn't begun
 */
static void run_requests(Rig *r, size_t from, size_t end, size_t to)
{
    RamDeviceMemory *m = r->m;
    g_autofree uint8_t *bar = g_malloc(m->size);

    rd_random(m->host, m->size, end);
    memset(bar, BACK, m->size);
    memcpy(bar, m->host, end);
    memcpy(bar + from, r->disk, end > from ? end - from : 0);
    cut(m, end);
    g_assert_cmpint(rdb_request(r->b, &r->l, VIRTIO_BLK_T_IN, 0,
                                m->addr + from, to - from),
                    ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(rdb_request(r->b, &r->l, VIRTIO_BLK_T_OUT, 0,
                                m->addr + from, to - from),
                    ==, VIRTIO_BLK_S_IOERR);
    restore(m, end);
    rd_assert_same(m->host, bar, m->size);
    check_disk(r);
}

static void test_requests(const void *data)
{
    Rig r = rig_new(*(const RamDeviceTarget *)data, "", "");

    run_requests(&r, 64 * KiB, 0, 96 * KiB);
    run_requests(&r, 64 * KiB, 128 * KiB, 192 * KiB);
    /* In the second of two buffers */
    run_requests(&r, 64 * KiB, 2 * MiB + 128 * KiB, 3 * MiB);
    rig_free(&r);
}

/* Outside the big lock, in another thread */
static void test_requests_iothread(const void *data)
{
    Rig r = rig_new(*(const RamDeviceTarget *)data, "iothread=io",
                    "-object iothread,id=io");

    run_requests(&r, 64 * KiB, 0, 96 * KiB);
    rig_free(&r);
}

/* The BAR vanishes when the request is under way.  Returns: its status byte */
static int run_under_way(Rig *r, BlkLayout l, uint32_t type, uint64_t addr,
                         size_t len)
{
    const bool is_read = type == VIRTIO_BLK_T_IN;
    BlkRequest req;
    int status;

    rdb_debug_command(r->b, is_read ? "break read_aio A" : "break write_aio A");
    req = rdb_submit(r->b, &l, type, 0, addr, len);
    rdb_debug_command(r->b, "wait_break A");
    cut(r->m, 0);
    rdb_debug_command(r->b, "resume A");
    g_assert_true(rdb_wait_used(r->b));
    restore(r->m, 0);
    /* Whoever has kept what was lost could put it there now */
    g_assert_cmphex(qtest_readb(r->b->vm->qts, r->m->addr + r->m->size - 1),
                    ==, BACK);
    status = rdb_release(r->b, &req);
    rdb_start(r->b, TARGET_RAM);
    return status;
}

/* What is written to the disk is what the BAR had, and what is read is lost */
static void test_data_under_way(const void *data)
{
    RamDeviceTarget target = *(const RamDeviceTarget *)data;
    const size_t len = 64 * KiB;
    Rig r = rig_new(target, "", "");
    g_autofree uint8_t *back = g_malloc(r.m->size);

    memset(back, BACK, r.m->size);
    memcpy(r.disk, r.m->host, len);
    g_assert_cmpint(run_under_way(&r, r.l, VIRTIO_BLK_T_OUT, r.m->addr, len),
                    ==, VIRTIO_BLK_S_OK);
    check_disk(&r);
    g_assert_cmpint(run_under_way(&r, r.l, VIRTIO_BLK_T_IN, r.m->addr, len),
                    ==, VIRTIO_BLK_S_OK);
    rd_check(r.b->vm, target, 0, back, r.m->size);
    check_disk(&r);
    rig_free(&r);
}

/* So is the status byte: the driver finds what the BAR has when it is back */
static void test_status_under_way(const void *data)
{
    Rig r = rig_new(*(const RamDeviceTarget *)data, "", "");
    BlkLayout l = rdb_data_in(TARGET_RAM);

    l.header = r.l.data;
    g_assert_cmphex(run_under_way(&r, l, VIRTIO_BLK_T_IN,
                                  r.b->vm->memory[TARGET_RAM].addr + STAGE,
                                  4 * KiB), ==, BACK);
    check_disk(&r);
    rig_free(&r);
}

/* Nobody knows what is to be done, so nothing is; the status byte is gone */
static void test_header(const void *data)
{
    Rig r = rig_new(*(const RamDeviceTarget *)data, "", "");
    BlkLayout l = rdb_data_in(TARGET_RAM);

    l.header = r.l.data;
    cut(r.m, 0);
    g_assert_cmpint(rdb_request(r.b, &l, VIRTIO_BLK_T_OUT, 0,
                                r.b->vm->memory[TARGET_RAM].addr + STAGE,
                                64 * KiB), ==, 0xff);
    restore(r.m, 0);
    check_disk(&r);
    rig_free(&r);
}

/* Nor where it is: to the device, the table is rubbish */
static void test_table(const void *data)
{
    Rig r = rig_new(*(const RamDeviceTarget *)data, "", "");
    BlkLayout l = rdb_data_in(TARGET_RAM);

    l.indirect = true;
    l.table = r.l.data;
    cut(r.m, 0);
    g_assert_cmpint(rdb_request(r.b, &l, VIRTIO_BLK_T_OUT, 0,
                                r.b->vm->memory[TARGET_RAM].addr + STAGE,
                                64 * KiB), ==, RDB_NEEDS_RESET);
    restore(r.m, 0);
    check_disk(&r);
    rdb_start(r.b, TARGET_RAM);
    rig_free(&r);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *sentence;
        void (*fn)(const void *);
    } tests[] = {
        { "is-an-error-not-a-crash", test_access },
        { "fails-the-request-only", test_requests },
        { "fails-the-request-of-an-iothread-only", test_requests_iothread },
        { "under-a-request-makes-nothing-up", test_data_under_way },
        { "under-a-request-loses-its-status-only", test_status_under_way },
        { "with-the-header-writes-nothing", test_header },
        { "with-the-table-breaks-the-device-only", test_table },
    };
    unsigned i, j;

    g_test_init(&argc, &argv, NULL);

    for (i = 0; i < ARRAY_SIZE(rd_bars); i++) {
        for (j = 0; j < ARRAY_SIZE(tests); j++) {
            rd_add(&rd_bars[i], tests[j].fn, "vanished/%s-%s",
                   rd_target_name(rd_bars[i]), tests[j].sentence);
        }
    }
    return g_test_run();
}
