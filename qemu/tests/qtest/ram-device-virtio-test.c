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
    { "data-in-prefetchable-bar", TARGET_RAM, TARGET_RAM, TARGET_MEM,
      .pieces = 1 },
    { "data-in-prefetchable-bar-in-pieces", TARGET_RAM, TARGET_RAM, TARGET_MEM,
      .pieces = MANY },
    { "data-in-prefetchable-bar-indirect", TARGET_RAM, TARGET_RAM, TARGET_MEM,
      true, TARGET_RAM, .pieces = MANY },
    { "data-and-table-in-prefetchable-bar", TARGET_RAM, TARGET_RAM, TARGET_MEM,
      true, TARGET_MEM, .pieces = MANY },
    { "all-in-prefetchable-bar", TARGET_MEM, TARGET_MEM, TARGET_MEM,
      true, TARGET_MEM, .pieces = MANY },
    { "data-in-plain-bar", TARGET_RAM, TARGET_RAM, TARGET_REG,
      .pieces = 1 },
    { "data-in-plain-bar-in-pieces", TARGET_RAM, TARGET_RAM, TARGET_REG,
      .pieces = MANY },
    { "data-in-plain-bar-indirect", TARGET_RAM, TARGET_RAM, TARGET_REG,
      true, TARGET_RAM, .pieces = MANY },
    { "data-and-table-in-plain-bar", TARGET_RAM, TARGET_RAM, TARGET_REG,
      true, TARGET_REG, .pieces = MANY },
    { "all-in-plain-bar", TARGET_REG, TARGET_REG, TARGET_REG,
      true, TARGET_REG, .pieces = MANY },
    { "data-and-table-in-different-bars", TARGET_RAM, TARGET_RAM, TARGET_MEM,
      true, TARGET_REG, .pieces = MANY },
    { "data-and-rings-in-different-bars", TARGET_REG, TARGET_RAM, TARGET_MEM,
      .pieces = MANY },
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
static void run_many_requests(RamDeviceTarget data, const char *blkopts,
                              const char *extra)
{
    enum { REQUESTS = 32, LEN = 64 * KiB };
    RamDeviceBlk *b = rdb_new("", blkopts, extra);
    const BlkLayout l = rdb_data_in(data);
    BlkRequest r[REQUESTS];
    unsigned i;

    rdb_start(b, TARGET_RAM);
    for (i = 0; i < REQUESTS; i++) {
        r[i] = rdb_submit(b, &l, VIRTIO_BLK_T_IN, i,
                          b->vm->memory[data].addr + i * LEN, LEN);
    }
    for (i = 0; i < REQUESTS; i++) {
        g_assert_true(rdb_wait_used(b));
    }
    for (i = 0; i < REQUESTS; i++) {
        g_assert_cmpint(rdb_release(b, &r[i]), ==, VIRTIO_BLK_S_OK);
        rd_check(b->vm, data, i * LEN, b->disk + i * RDB_SECTOR, LEN);
    }
    rdb_free(b);
}

static void test_many_requests(const void *data)
{
    run_many_requests(*(const RamDeviceTarget *)data, "", "");
}

static void test_many_requests_iothread(const void *data)
{
    run_many_requests(*(const RamDeviceTarget *)data, "iothread=io",
                      IOTHREAD_OBJECT);
}

/* What the tests that follow do once for each of */
typedef struct RequestCase {
    RamDeviceTarget target;
    uint32_t type;
    RdbAway away;
} RequestCase;

static const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT };

/*
 * Memory for buffers: 2 MiB for the device
 */

#define BUDGET "-machine x-ram-device-buffer-size=2M"

static void debug_request(RamDeviceBlk *b, const char *verb, unsigned i)
{
    g_autofree char *command = g_strdup_printf("%s %u", verb, i);

    rdb_debug_command(b, command);
}

static void wait_until_queue_waits(const RamDeviceVM *vm)
{
    const gint64 end = g_get_monotonic_time() + RD_TIMEOUT_US;

    for (;;) {
        g_autofree char *log = rd_vm_log(vm);

        if (strstr(log, "virtqueue_waits")) {
            return;
        }
        g_assert(g_get_monotonic_time() < end);
        g_usleep(2000);
    }
}

/* Of 16 requests in flight, half have the memory, and the others wait for it */
static void test_budget_in_use(const void *data)
{
    const RequestCase *c = data;
    const bool is_read = c->type == VIRTIO_BLK_T_IN;
    const BlkLayout l = rdb_data_in(c->target);
    enum { HELD = 8, REQUESTS = 16, LEN = 256 * KiB };
    RamDeviceBlk *b;
    RamDeviceMemory *m;
    g_autofree uint8_t *want = NULL;
    BlkRequest r[REQUESTS];
    unsigned i;

    if (!rd_can_trace()) {
        return;
    }
    b = rdb_new("", "", BUDGET " -trace virtqueue_waits");
    m = &b->vm->memory[c->target];
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
        r[i] = rdb_submit(b, &l, c->type, i * (LEN / RDB_SECTOR),
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
    rd_check(b->vm, c->target, 0, want, REQUESTS * LEN);
    rdb_free(b);
}

/*
 * It would wait for ever, so it fails, and nothing else does.  What a read that
 * has failed leaves in its buffer isn't defined.
 */
static void test_budget_too_small(const void *data)
{
    RamDeviceTarget target = *(const RamDeviceTarget *)data;
    const size_t offset = 64 * KiB, len = 3 * MiB, end = offset + len;
    const BlkLayout l = rdb_data_in(target);
    RamDeviceBlk *b = rdb_new("", "", BUDGET);
    RamDeviceMemory *m = &b->vm->memory[target];
    g_autofree uint8_t *bar = g_malloc(m->size);
    g_autofree uint8_t *disk = g_memdup2(b->disk, RDB_DISK_SIZE);
    unsigned i;

    rd_random(bar, m->size, 9);
    rd_put(b->vm, target, 0, bar, m->size);
    rdb_start(b, TARGET_RAM);
    for (i = 0; i < ARRAY_SIZE(types); i++) {
        g_assert_cmpint(rdb_request(b, &l, types[i], 0, m->addr + offset, len),
                        ==, VIRTIO_BLK_S_IOERR);
        rd_check(b->vm, target, 0, bar, offset);
        rd_check(b->vm, target, end, bar + end, m->size - end);
        rd_assert_same(b->disk, disk, RDB_DISK_SIZE);
    }
    rdb_check_read(b, &l, 1, RDB_GAP, 1 * MiB);
    rdb_check_write(b, &l, 3, RDB_GAP, 1 * MiB);
    rdb_free(b);
}

/*
 * The end of the BAR
 */

typedef struct EndCase {
    RamDeviceTarget bar;
    RamDeviceTarget next; /* what lies behind it; the same again: nothing */
} EndCase;

static const EndCase end_cases[] = {
    { TARGET_MEM, TARGET_STAGING },
    { TARGET_MEM, TARGET_REG },
    { TARGET_MEM, TARGET_MEM },
    { TARGET_REG, TARGET_STAGING },
    { TARGET_REG, TARGET_MEM },
    { TARGET_REG, TARGET_REG },
};

static void test_off_the_end(const void *data)
{
    const EndCase *c = data;
    const size_t inside = 16 * KiB, beyond = 64 * KiB;
    const BlkLayout l = rdb_data_in(c->bar);
    RamDeviceBlk *b = rdb_new("", "", "");
    const RamDeviceMemory *m = &b->vm->memory[c->bar];
    g_autofree uint8_t *bar = g_memdup2(m->host, m->size);
    g_autofree uint8_t *next = g_malloc(beyond + RDB_GAP);
    bool has_next = c->next != c->bar;
    int status;

    if (has_next) {
        rd_place_adjacent(b->vm, c->bar, c->next);
        rd_random(next, beyond + RDB_GAP, 7);
        rd_put(b->vm, c->next, 0, next, beyond + RDB_GAP);
    }

    rdb_start(b, TARGET_RAM);
    status = rdb_request(b, &l, VIRTIO_BLK_T_IN, 0, m->addr + m->size - inside,
                         inside + beyond);
    if (has_next) {
        g_assert_cmpint(status, ==, VIRTIO_BLK_S_OK);
        memcpy(bar + m->size - inside, b->disk, inside);
        memcpy(next, b->disk + inside, beyond);
        rd_check(b->vm, c->next, 0, next, beyond + RDB_GAP);
    } else {
        g_assert_cmpint(status, ==, RDB_NEEDS_RESET);
    }
    rd_check(b->vm, c->bar, 0, bar, m->size);

    rdb_start(b, TARGET_RAM);
    rdb_check_read(b, &l, 1, RDB_GAP, 64 * KiB);
    rdb_free(b);
}

/* An indirect table, and rings, of which only the beginning is in the BAR */
static void test_table_off_the_end(const void *data)
{
    RamDeviceTarget target = *(const RamDeviceTarget *)data;
    /* So long that a page holds only a part of the descriptor ring */
    RamDeviceBlk *b = rdb_new("", "queue-size=512", "");
    const RamDeviceMemory *m = &b->vm->memory[target];
    const BlkLayout plain = rdb_data_in(target);
    BlkLayout l = plain;
    QGuestAllocator end;

    l.indirect = true;
    l.table = target;
    l.pieces = MANY;

    /* Four descriptors of the table are in the BAR */
    alloc_destroy(&b->alloc[target]);
    alloc_init(&b->alloc[target], ALLOC_NO_FLAGS, m->addr + m->size - 64,
               m->addr + m->size + 64 * KiB, 64);
    rdb_start(b, TARGET_RAM);
    g_assert_cmpint(rdb_request(b, &l, VIRTIO_BLK_T_IN, 0, m->addr, 64 * KiB),
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
    rdb_check_read(b, &plain, 1, RDB_GAP, 64 * KiB);
    rdb_free(b);
}

/*
 * A BAR that goes away while a request is under way: what is in a buffer goes
 * to the BAR, not to where it has been
 */

static void test_away(const void *data)
{
    const RequestCase *c = data;
    const bool is_read = c->type == VIRTIO_BLK_T_IN;
    const size_t len = 64 * KiB;
    const BlkLayout l = rdb_data_in(c->target);
    RamDeviceBlk *b = rdb_new("", "", "");
    RamDeviceMemory *m = &b->vm->memory[c->target];
    g_autofree uint8_t *bar = g_memdup2(m->host, m->size);
    g_autofree uint8_t *disk = g_memdup2(b->disk, RDB_DISK_SIZE);
    g_autofree uint8_t *seen = g_malloc(len);
    BlkRequest r;

    rdb_start(b, TARGET_RAM);
    rdb_debug_command(b, is_read ? "break read_aio A" : "break write_aio A");
    r = rdb_submit(b, &l, c->type, 1, m->addr + RDB_GAP, len);
    rdb_debug_command(b, "wait_break A");

    rdb_go_away(b, c->target, c->away);
    rdb_debug_command(b, "resume A");
    g_assert_cmpint(rdb_wait_status(b, &r), ==, VIRTIO_BLK_S_OK);
    rdb_come_back(b, c->away);

    if (!is_read) {
        memcpy(disk + RDB_SECTOR, bar + RDB_GAP, len);
    } else {
        memcpy(bar + RDB_GAP, disk + RDB_SECTOR, len);
    }
    rd_check(b->vm, c->target, 0, bar, m->size);
    rd_assert_same(b->disk, disk, RDB_DISK_SIZE);

    /* The guest sees the same, where the BAR is now */
    qtest_memread(b->vm->qts, m->addr + RDB_GAP, seen, len);
    rd_assert_same(seen, bar + RDB_GAP, len);

    /* Life goes on */
    rdb_check_read(b, &l, 5, 8 * KiB, len / 2);
    rdb_check_write(b, &l, 7, 8 * KiB, len / 2);
    rdb_free(b);
}

static void add_request_cases(void)
{
    static RequestCase cases[ARRAY_SIZE(rd_bars) * ARRAY_SIZE(types) * 2];
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(cases); i++) {
        RequestCase *c = &cases[i];
        const char *name;

        c->target = rd_bars[i % 2];
        c->type = types[i / 2 % 2];
        c->away = i / 4 ? RDB_AWAY_DISABLED : RDB_AWAY_MOVED;
        name = rd_target_name(c->target);

        rd_add(c, test_away, "virtio-blk/a-%s-%s-%s-its-data",
               i / 4 ? "disabled" : "moved", name,
               c->type == VIRTIO_BLK_T_IN ? "gets" : "gives");
        if (i < 4) {
            rd_add(c, test_budget_in_use,
                   "virtio-blk/%s/%s-wait-for-memory-that-others-use", name,
                   c->type == VIRTIO_BLK_T_IN ? "reads" : "writes");
        }
    }
}

int main(int argc, char **argv)
{
    unsigned i;

    g_test_init(&argc, &argv, NULL);

    for (i = 0; i < ARRAY_SIZE(layouts); i++) {
        rd_add(&layouts[i], test_layout, "virtio-blk/%s-works",
               layouts[i].sentence);
        rd_add(&layouts[i], test_layout_iothread,
               "virtio-blk/iothread/%s-works", layouts[i].sentence);
    }
    for (i = 0; i < ARRAY_SIZE(rd_bars); i++) {
        const RamDeviceTarget *bar = &rd_bars[i];
        const char *name = rd_target_name(*bar);

        rd_add(bar, test_many_requests,
               "virtio-blk/%s/many-requests-at-once-work", name);
        rd_add(bar, test_many_requests_iothread,
               "virtio-blk/iothread/%s/many-requests-at-once-work", name);
        rd_add(bar, test_budget_too_small,
               "virtio-blk/%s/a-request-larger-than-the-memory-fails-alone",
               name);
        rd_add(bar, test_table_off_the_end,
               "virtio-blk/%s-refuses-tables-and-rings-off-its-end", name);
    }
    for (i = 0; i < ARRAY_SIZE(end_cases); i++) {
        const EndCase *c = &end_cases[i];
        bool stops = c->next == c->bar;

        rd_add(c, test_off_the_end,
               "virtio-blk/a-buffer-off-the-end-of-%s-%s%s",
               rd_target_name(c->bar),
               stops ? "stops-where-nothing-is" : "goes-on-in-",
               stops ? "" : rd_target_name(c->next));
    }
    add_request_cases();
    return g_test_run();
}
