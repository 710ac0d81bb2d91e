/*
 * RAM device regions: virtio-blk with its buffers and rings in them
 *
 * This is what a guest does that has a GPU's memory online as system RAM: page
 * cache, hence virtio descriptors, lie in a BAR.  Each test is named by the
 * sentence that it proves.  What a request moves is compared byte by byte with
 * the disk's image, neighbouring bytes included.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "libqtest.h"
#include "standard-headers/linux/virtio_blk.h"
#include "standard-headers/linux/virtio_config.h"
#include "ram-device-blk.h"

/*
 * Layouts and sizes
 */

/* The last one is larger than what a single mapping can be */
static const size_t sizes[] = {
    512, 1 * KiB, 2 * KiB, 4 * KiB, 8 * KiB, 16 * KiB, 64 * KiB, 256 * KiB,
    1 * MiB, 3 * MiB,
};

#define MANY 32

static const BlkLayout layouts[] = {
    { "data-in-memory-like", TARGET_RAM, TARGET_RAM, TARGET_MEM,
      .pieces = 1 },
    { "data-in-memory-like-in-pieces", TARGET_RAM, TARGET_RAM, TARGET_MEM,
      .pieces = MANY },
    { "data-in-memory-like-indirect", TARGET_RAM, TARGET_RAM, TARGET_MEM,
      true, TARGET_RAM, .pieces = MANY },
    { "data-and-table-in-memory-like", TARGET_RAM, TARGET_RAM, TARGET_MEM,
      true, TARGET_MEM, .pieces = MANY },
    { "all-in-memory-like", TARGET_MEM, TARGET_MEM, TARGET_MEM,
      true, TARGET_MEM, .pieces = MANY },
    { "table-in-register-like", TARGET_RAM, TARGET_RAM, TARGET_MEM,
      true, TARGET_REG, .pieces = MANY },
    { "rings-in-register-like", TARGET_REG, TARGET_RAM, TARGET_MEM,
      .pieces = MANY },
    { "data-in-register-like", TARGET_RAM, TARGET_RAM, TARGET_REG,
      .pieces = 1 },
    { "data-in-register-like-in-pieces", TARGET_RAM, TARGET_RAM, TARGET_REG,
      .pieces = MANY },
    { "all-in-register-like", TARGET_REG, TARGET_REG, TARGET_REG,
      true, TARGET_REG, .pieces = MANY },
};

#define IOTHREAD_OBJECT "-object iothread,id=io"

static void run_layout(const BlkLayout *l, const char *blkopts,
                       const char *extra)
{
    const size_t max = sizes[ARRAY_SIZE(sizes) - 1];
    RamDeviceBlk *b = rdb_new("", blkopts, extra);
    uint64_t buffer = guest_alloc(&b->alloc[l->data],
                                  rdb_spread_size(l, max) + RDB_GAP);
    uint64_t offset = buffer - b->vm->memory[l->data].addr + RDB_GAP;
    unsigned i;

    rdb_start(b, l->rings);
    for (i = 0; i < ARRAY_SIZE(sizes); i++) {
        rdb_check_read(b, l, i, offset, sizes[i]);
        rdb_check_write(b, l, 2 * i, offset, sizes[i]);
        rdb_check_read(b, l, 3 * i, offset + 5, sizes[i]);
        rdb_check_write(b, l, 4 * i, offset + 3, sizes[i]);
    }
    rdb_free(b);
}

static void test_layout(const void *data)
{
    run_layout(data, "", "");
}

/* Outside the big lock */
static void test_layout_iothread(const void *data)
{
    run_layout(data, "iothread=io", IOTHREAD_OBJECT);
}

/* The reported case: as many requests as a busy guest has under way */
static void test_many_requests(const void *data)
{
    const char *blkopts = data;
    enum { REQUESTS = 32, LEN = 64 * KiB };
    RamDeviceBlk *b = rdb_new("", blkopts, *blkopts ? IOTHREAD_OBJECT : "");
    BlkRequest r[REQUESTS];
    unsigned i;

    rdb_start(b, TARGET_RAM);
    for (i = 0; i < REQUESTS; i++) {
        r[i] = rdb_submit(b, &rdb_plain, VIRTIO_BLK_T_IN, i,
                          b->vm->memory[TARGET_MEM].addr + i * LEN, LEN);
    }
    for (i = 0; i < REQUESTS; i++) {
        g_assert_true(rdb_wait_used(b));
    }
    for (i = 0; i < REQUESTS; i++) {
        g_assert_cmpint(rdb_release(b, &r[i]), ==, VIRTIO_BLK_S_OK);
        rd_check(b->vm, TARGET_MEM, i * LEN, b->disk + i * RDB_SECTOR, LEN);
    }
    rdb_free(b);
}

/*
 * x-ram-device-direct
 */

typedef struct DirectCase {
    const char *sentence;
    const char *devopts;
    RamDeviceTarget data;
} DirectCase;

static const DirectCase direct_cases[] = {
    { "off-works-with-data-in-a-prefetchable-bar", "x-ram-device-direct=off",
      TARGET_MEM },
    { "on-works-with-data-in-any-other-bar", "x-ram-device-direct=on",
      TARGET_REG },
};

static void test_direct(const void *data)
{
    const DirectCase *c = data;
    RamDeviceBlk *b = rdb_new(c->devopts, "", "");
    BlkLayout l = rdb_plain;

    l.data = c->data;
    rdb_start(b, TARGET_RAM);
    rdb_check_read(b, &l, 1, RDB_GAP, 3 * MiB);
    rdb_check_write(b, &l, 3, RDB_GAP, 3 * MiB);
    rdb_free(b);
}

/*
 * Memory for buffers: 2 MiB for the device, whose data are in a BAR that it
 * can't have a pointer into
 */

#define BUDGET "-machine x-ram-device-buffer-size=2M"

static const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT };

static void debug_request(RamDeviceBlk *b, const char *verb, unsigned i)
{
    g_autofree char *command = g_strdup_printf("%s %u", verb, i);

    rdb_debug_command(b, command);
}

static void wait_until_queue_waits(const RamDeviceVM *vm)
{
    const gint64 end = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;

    for (;;) {
        g_autofree char *log = rd_vm_log(vm);

        if (strstr(log, "virtqueue_waits")) {
            return;
        }
        g_assert(g_get_monotonic_time() < end);
        g_usleep(2000);
    }
}

/* Of 16 requests in flight, two have the memory, and the others wait for it */
static void test_budget_in_use(const void *data)
{
    const uint32_t type = *(const uint32_t *)data;
    const bool is_read = type == VIRTIO_BLK_T_IN;
    enum { HELD = 2, REQUESTS = 16, LEN = 1 * MiB };
    RamDeviceBlk *b;
    RamDeviceMemory *m;
    g_autofree uint8_t *want = NULL;
    BlkRequest r[REQUESTS];
    unsigned i;

    if (!rd_can_trace()) {
        return;
    }
    b = rdb_new("x-ram-device-direct=off", "",
                BUDGET " -trace virtqueue_waits");
    m = &b->vm->memory[TARGET_MEM];
    QEMU_BUILD_BUG_ON(REQUESTS * LEN > RDB_DISK_SIZE);
    g_assert_cmpuint(REQUESTS * LEN, <=, m->size);
    rd_random(m->host, m->size, 8);
    want = g_memdup2(is_read ? b->disk : m->host, REQUESTS * LEN);

    rdb_start(b, TARGET_RAM);
    for (i = 0; i < REQUESTS; i++) {
        if (i < HELD) {
            debug_request(b, is_read ? "break read_aio" : "break write_aio",
                          i);
        }
        r[i] = rdb_submit(b, &rdb_plain, type, i * (LEN / RDB_SECTOR),
                          m->addr + i * LEN, LEN);
        if (i < HELD) {
            debug_request(b, "wait_break", i);
        }
    }
    wait_until_queue_waits(b->vm);
    g_assert_false(qvirtqueue_get_buf(b->vm->qts, b->vq, NULL, NULL));

    for (i = 0; i < HELD; i++) {
        debug_request(b, "resume", i);
    }
    for (i = 0; i < REQUESTS; i++) {
        g_assert_true(rdb_wait_used(b));
    }
    for (i = 0; i < REQUESTS; i++) {
        g_assert_cmpint(rdb_release(b, &r[i]), ==, VIRTIO_BLK_S_OK);
    }
    rd_assert_same(b->disk, want, REQUESTS * LEN);
    rd_check(b->vm, TARGET_MEM, 0, want, REQUESTS * LEN);
    rdb_free(b);
}

/*
 * It would wait for ever, so it fails, and nothing else does.  What a read that
 * has failed leaves in its buffer isn't defined.
 */
static void test_budget_too_small(const void *data)
{
    const size_t offset = 1 * MiB, len = 3 * MiB, end = offset + len;
    RamDeviceBlk *b = rdb_new("x-ram-device-direct=off", "", BUDGET);
    RamDeviceMemory *m = &b->vm->memory[TARGET_MEM];
    g_autofree uint8_t *bar = g_malloc(m->size);
    g_autofree uint8_t *disk = g_memdup2(b->disk, RDB_DISK_SIZE);
    unsigned i;

    rd_random(bar, m->size, 9);
    rd_put(b->vm, TARGET_MEM, 0, bar, m->size);
    rdb_start(b, TARGET_RAM);
    for (i = 0; i < ARRAY_SIZE(types); i++) {
        g_assert_cmpint(rdb_request(b, &rdb_plain, types[i], 0,
                                    m->addr + offset, len),
                        ==, VIRTIO_BLK_S_IOERR);
        rd_check(b->vm, TARGET_MEM, 0, bar, offset);
        rd_check(b->vm, TARGET_MEM, end, bar + end, m->size - end);
        rd_assert_same(b->disk, disk, RDB_DISK_SIZE);
    }
    rdb_check_read(b, &rdb_plain, 1, RDB_GAP, 1 * MiB);
    rdb_check_write(b, &rdb_plain, 3, RDB_GAP, 1 * MiB);
    rdb_free(b);
}

/*
 * The end of the BAR
 */

typedef struct EndCase {
    const char *sentence;
    RamDeviceTarget next; /* what lies behind the BAR; TARGET_MEM: nothing */
    size_t beyond;        /* bytes of the buffer that lie there */
    bool works;
} EndCase;

static const EndCase end_cases[] = {
    { "goes-on-in-ram", TARGET_STAGING, 64 * KiB, true },
    { "goes-on-in-register-like", TARGET_REG, 64 * KiB, true },
    { "stops-where-nothing-is", TARGET_MEM, 64 * KiB, false },
};

static void test_off_the_end(const void *data)
{
    const EndCase *c = data;
    const size_t inside = 16 * KiB, len = inside + c->beyond;
    RamDeviceBlk *b = rdb_new("", "", "");
    const RamDeviceMemory *m = &b->vm->memory[TARGET_MEM];
    g_autofree uint8_t *mem = g_memdup2(m->host, m->size);
    g_autofree uint8_t *next = g_malloc(c->beyond + RDB_GAP);
    bool has_next = c->next != TARGET_MEM;
    int status;

    if (has_next) {
        rd_place_adjacent(b->vm, TARGET_MEM, c->next);
        rd_random(next, c->beyond + RDB_GAP, 7);
        rd_put(b->vm, c->next, 0, next, c->beyond + RDB_GAP);
    }

    rdb_start(b, TARGET_RAM);
    status = rdb_request(b, &rdb_plain, VIRTIO_BLK_T_IN, 0,
                     m->addr + m->size - inside, len);
    if (c->works) {
        g_assert_cmpint(status, ==, VIRTIO_BLK_S_OK);
        memcpy(mem + m->size - inside, b->disk, inside);
        memcpy(next, b->disk + inside, c->beyond);
    } else {
        g_assert_cmpint(status, ==, RDB_NEEDS_RESET);
    }
    rd_check(b->vm, TARGET_MEM, 0, mem, m->size);
    if (has_next) {
        rd_check(b->vm, c->next, 0, next, c->beyond + RDB_GAP);
    }

    rdb_start(b, TARGET_RAM);
    rdb_check_read(b, &rdb_plain, 1, RDB_GAP, 64 * KiB);
    rdb_free(b);
}

/* An indirect table, and rings, of which only the beginning is in the BAR */
static void test_table_off_the_end(const void *data)
{
    RamDeviceTarget target = *(const RamDeviceTarget *)data;
    /* So long that a page holds only a part of the descriptor ring */
    RamDeviceBlk *b = rdb_new("", "queue-size=512", "");
    const RamDeviceMemory *m = &b->vm->memory[target];
    BlkLayout l = rdb_plain;
    QGuestAllocator end;

    l.indirect = true;
    l.table = target;
    l.pieces = MANY;

    /* Four descriptors of the table are in the BAR */
    alloc_destroy(&b->alloc[target]);
    alloc_init(&b->alloc[target], ALLOC_NO_FLAGS, m->addr + m->size - 64,
               m->addr + m->size + 64 * KiB, 64);
    rdb_start(b, TARGET_RAM);
    g_assert_cmpint(rdb_request(b, &l, VIRTIO_BLK_T_IN, 0,
                            b->vm->memory[TARGET_MEM].addr, 64 * KiB),
                    ==, RDB_NEEDS_RESET);

    /* So is a page of the descriptor ring */
    alloc_init(&end, ALLOC_NO_FLAGS, m->addr + m->size - 4 * KiB,
               m->addr + m->size + 64 * KiB, 4 * KiB);
    rdb_setup_queue(b, &end);
    g_assert_cmphex(b->vdev->bus->get_status(b->vdev) &
                    VIRTIO_CONFIG_S_NEEDS_RESET, !=, 0);
    rdb_stop(b);
    alloc_destroy(&end);

    rdb_start(b, TARGET_RAM);
    rdb_check_read(b, &rdb_plain, 1, RDB_GAP, 64 * KiB);
    rdb_free(b);
}

/*
 * A BAR that goes away while a request is under way
 */

typedef struct AwayCase {
    const char *sentence;
    RamDeviceTarget target;
    RdbAway away;
    uint32_t type;
    size_t len;
} AwayCase;

static const AwayCase away_cases[] = {
    { "a-moved-memory-like-bar-gets-its-data", TARGET_MEM, RDB_AWAY_MOVED,
      VIRTIO_BLK_T_IN, 64 * KiB },
    { "a-moved-memory-like-bar-gives-its-data", TARGET_MEM, RDB_AWAY_MOVED,
      VIRTIO_BLK_T_OUT, 64 * KiB },
    { "a-disabled-memory-like-bar-gets-its-data", TARGET_MEM,
      RDB_AWAY_DISABLED, VIRTIO_BLK_T_IN, 64 * KiB },
    { "a-disabled-memory-like-bar-gives-its-data", TARGET_MEM,
      RDB_AWAY_DISABLED, VIRTIO_BLK_T_OUT, 64 * KiB },
    /* Bounced: a buffer is flushed to the BAR, not to where it has been */
    { "a-moved-register-like-bar-gets-its-data", TARGET_REG, RDB_AWAY_MOVED,
      VIRTIO_BLK_T_IN, 32 * KiB },
    { "a-disabled-register-like-bar-gets-its-data", TARGET_REG,
      RDB_AWAY_DISABLED, VIRTIO_BLK_T_IN, 32 * KiB },
};

static void test_away(const void *data)
{
    const AwayCase *c = data;
    bool is_read = c->type == VIRTIO_BLK_T_IN;
    BlkLayout l = rdb_plain;
    RamDeviceBlk *b = rdb_new("", "", "");
    RamDeviceMemory *m = &b->vm->memory[c->target];
    g_autofree uint8_t *bar = g_memdup2(m->host, m->size);
    g_autofree uint8_t *disk = g_memdup2(b->disk, RDB_DISK_SIZE);
    g_autofree uint8_t *seen = g_malloc(c->len);
    BlkRequest r;

    l.data = c->target;
    rdb_start(b, TARGET_RAM);
    rdb_debug_command(b, is_read ? "break read_aio A" : "break write_aio A");
    r = rdb_submit(b, &l, c->type, 1, m->addr + RDB_GAP, c->len);
    rdb_debug_command(b, "wait_break A");

    rdb_go_away(b, c->target, c->away);
    rdb_debug_command(b, "resume A");
    g_assert_cmpint(rdb_wait_status(b, &r), ==, VIRTIO_BLK_S_OK);
    rdb_come_back(b, c->away);

    if (!is_read) {
        memcpy(disk + RDB_SECTOR, bar + RDB_GAP, c->len);
    } else {
        memcpy(bar + RDB_GAP, disk + RDB_SECTOR, c->len);
    }
    rd_check(b->vm, c->target, 0, bar, m->size);
    rd_assert_same(b->disk, disk, RDB_DISK_SIZE);

    /* The guest sees the same, where the BAR is now */
    qtest_memread(b->vm->qts, m->addr + RDB_GAP, seen, c->len);
    rd_assert_same(seen, bar + RDB_GAP, c->len);

    /* Life goes on */
    rdb_check_read(b, &l, 5, 8 * KiB, c->len / 2);
    rdb_check_write(b, &l, 7, 8 * KiB, c->len / 2);
    rdb_free(b);
}

int main(int argc, char **argv)
{
    static const RamDeviceTarget bars[] = { TARGET_MEM, TARGET_REG };
    unsigned i;

    g_test_init(&argc, &argv, NULL);

    for (i = 0; i < ARRAY_SIZE(layouts); i++) {
        rd_add(&layouts[i], test_layout, "virtio-blk/%s-works",
               layouts[i].sentence);
        rd_add(&layouts[i], test_layout_iothread,
               "virtio-blk/iothread/%s-works", layouts[i].sentence);
    }
    rd_add("", test_many_requests, "virtio-blk/many-requests-at-once-work");
    rd_add("iothread=io", test_many_requests,
           "virtio-blk/iothread/many-requests-at-once-work");
    for (i = 0; i < ARRAY_SIZE(direct_cases); i++) {
        rd_add(&direct_cases[i], test_direct, "virtio-blk/%s",
               direct_cases[i].sentence);
    }
    for (i = 0; i < ARRAY_SIZE(types); i++) {
        rd_add(&types[i], test_budget_in_use,
               "virtio-blk/%s-wait-for-memory-that-others-use",
               types[i] == VIRTIO_BLK_T_IN ? "reads" : "writes");
    }
    rd_add(NULL, test_budget_too_small,
           "virtio-blk/a-request-larger-than-the-memory-fails-alone");
    for (i = 0; i < ARRAY_SIZE(end_cases); i++) {
        rd_add(&end_cases[i], test_off_the_end,
               "virtio-blk/a-buffer-off-the-end-%s", end_cases[i].sentence);
    }
    for (i = 0; i < ARRAY_SIZE(bars); i++) {
        rd_add(&bars[i], test_table_off_the_end,
               "virtio-blk/%s-refuses-tables-and-rings-off-its-end",
               rd_target_name(bars[i]));
    }
    for (i = 0; i < ARRAY_SIZE(away_cases); i++) {
        rd_add(&away_cases[i], test_away, "virtio-blk/%s",
               away_cases[i].sentence);
    }
    return g_test_run();
}
