/*
 * RAM device regions: virtqueues that lie in them
 *
 * Each test is named by the sentence that it proves; docs/devel/ram-device.rst
 * says what a driver may expect of rings in a RAM device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/syscall.h>
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "libqtest.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "standard-headers/linux/virtio_blk.h"
#include "standard-headers/linux/virtio_config.h"
#include "ram-device-ring.h"

/*
 * All parts anywhere
 */

#define RING_IN(desc, driver, device, table, data)                            \
    .part = { TARGET_##desc, TARGET_##driver, TARGET_##device,                \
              TARGET_##table, TARGET_##data }

static const RingLayout layouts[] = {
    { "rings-in-prefetchable-bar", RING_IN(MEM, MEM, MEM, MEM, RAM),
      .size = 64, .batch = 21 },
    { "rings-and-data-in-prefetchable-bar", RING_IN(MEM, MEM, MEM, MEM, MEM),
      .size = 256, .batch = 85 },
    { "all-in-prefetchable-bar", RING_IN(MEM, MEM, MEM, MEM, MEM),
      .indirect = true, .event = true, .size = 128, .batch = 127 },
    { "rings-in-plain-bar", RING_IN(REG, REG, REG, REG, RAM),
      .size = 64, .batch = 21 },
    { "rings-and-tables-in-plain-bar", RING_IN(REG, REG, REG, REG, MEM),
      .indirect = true, .event = true, .size = 128, .batch = 127 },
    { "all-in-plain-bar", RING_IN(REG, REG, REG, REG, REG),
      .indirect = true, .size = 128, .batch = 127 },
    { "the-largest-ring-in-plain-bar", RING_IN(REG, REG, REG, REG, REG),
      .size = 1024, .batch = 341 },
    { "parts-here-and-there", RING_IN(MEM, REG, RAM, REG, MEM),
      .indirect = true, .size = 64, .batch = 61 },
    { "parts-there-and-here", RING_IN(RAM, MEM, REG, MEM, RAM),
      .indirect = true, .event = true, .size = 64, .batch = 61 },
    { "packed/rings-in-prefetchable-bar", RING_IN(MEM, MEM, MEM, MEM, MEM),
      .packed = true, .size = 64, .batch = 21 },
    { "packed/rings-and-tables-in-prefetchable-bar",
      RING_IN(MEM, MEM, MEM, MEM, RAM),
      .packed = true, .indirect = true, .event = true, .size = 64,
      .batch = 61 },
    { "packed/rings-in-plain-bar", RING_IN(REG, REG, REG, REG, RAM),
      .packed = true, .event = true, .size = 64, .batch = 21 },
    { "packed/rings-and-tables-in-plain-bar",
      RING_IN(REG, REG, REG, REG, MEM),
      .packed = true, .indirect = true, .size = 64, .batch = 61 },
    { "packed/all-in-plain-bar", RING_IN(REG, REG, REG, REG, REG),
      .packed = true, .indirect = true, .size = 64, .batch = 61 },
    { "packed/parts-here-and-there", RING_IN(REG, MEM, RAM, MEM, MEM),
      .packed = true, .indirect = true, .size = 64, .batch = 61 },
};

/* Rings that a device is busy with */
static const RingLayout busy_layouts[] = {
    { "prefetchable-bar", RING_IN(MEM, MEM, MEM, MEM, MEM),
      .indirect = true, .size = 256, .batch = 255 },
    { "plain-bar", RING_IN(REG, REG, REG, REG, REG),
      .indirect = true, .size = 256, .batch = 255 },
};

#define RING_OPTIONS "packed=on,queue-size=1024"

static void run(RamDeviceBlk *b, QVirtioMMIODevice *mmio, const RingLayout *l,
                unsigned count)
{
    RamDeviceRing *r = ring_new(b, mmio, l);

    g_assert_true(ring_start(r));
    ring_run(r, count);
    ring_free(r);
    rdb_free(b);
}

/* Some thousands of requests: each ring is gone through many times */
#define COUNT 2000

static void test_pci(const void *data)
{
    run(rdb_new("", RING_OPTIONS, ""), NULL, data, COUNT);
}

static void test_iothread(const void *data)
{
    run(rdb_new("", RING_OPTIONS ",iothread=io", "-object iothread,id=io"),
        NULL, data, COUNT);
}

/* A second virtio-blk, which shares the disk with the first */
static void test_mmio(const void *data)
{
    RamDeviceBlk *b = rdb_new("", "share-rw=on",
                              "-global virtio-mmio.force-legacy=false "
                              "-device virtio-blk-device,drive=disk,"
                              "share-rw=on," RING_OPTIONS);
    g_autofree QVirtioMMIODevice *mmio = ring_find_mmio(b);

    run(b, mmio, data, COUNT);
}

/* The 16 bits of the available and the used index wrap around */
static void test_index_wraps(const void *data)
{
    run(rdb_new("", RING_OPTIONS, ""), NULL, data, 65536 + COUNT);
}

/*
 * Accesses
 */

#define REQUESTS 5

/* Accesses to a field of a virtqueue; @times 0: as often as QEMU likes */
typedef struct Field {
    RingPart part;
    size_t at;
    size_t len;
    bool is_write;
    bool is_copy;
    unsigned times;
    unsigned seen;
} Field;

static void add_field(GArray *fields, RingPart part, size_t at, size_t len,
                      bool is_write, bool is_copy, unsigned times)
{
    Field f = { part, at, len, is_write, is_copy, times, 0 };

    g_array_append_val(fields, f);
}

/* What QEMU's virtio code may do for REQUESTS requests, one after the other */
static GArray *split_fields(const RingLayout *l)
{
    const size_t entry = sizeof(struct vring_desc);
    const unsigned links = 3;
    GArray *f = g_array_new(false, false, sizeof(Field));
    unsigned i;

    if (l->indirect) {
        add_field(f, RING_DESC, 0, entry, false, true, REQUESTS);
    }
    for (i = 0; i < links; i++) {
        add_field(f, l->indirect ? RING_TABLE : RING_DESC, i * entry, entry,
                  false, true, REQUESTS);
    }
    add_field(f, RING_DRIVER, offsetof(struct vring_avail, flags), 2, false,
              false, REQUESTS);
    add_field(f, RING_DRIVER, offsetof(struct vring_avail, idx), 2, false,
              false, 0);
    for (i = 0; i < REQUESTS; i++) {
        add_field(f, RING_DRIVER, offsetof(struct vring_avail, ring[i]), 2,
                  false, false, 1);
        add_field(f, RING_DEVICE, offsetof(struct vring_used, ring[i]), 8,
                  true, true, 1);
    }
    add_field(f, RING_DEVICE, offsetof(struct vring_used, flags), 2, false,
              false, 0);
    add_field(f, RING_DEVICE, offsetof(struct vring_used, flags), 2, true,
              false, 0);
    add_field(f, RING_DEVICE, offsetof(struct vring_used, idx), 2, true,
              false, REQUESTS);
    return f;
}

/* A packed descriptor is read field by field; @flags times its flags */
static void add_packed_desc(GArray *f, RingPart part, unsigned i,
                            unsigned times, unsigned flags)
{
    const size_t at = i * sizeof(struct vring_packed_desc);

    add_field(f, part, at + offsetof(struct vring_packed_desc, addr), 8, false,
              true, times);
    add_field(f, part, at + offsetof(struct vring_packed_desc, len), 4, false,
              true, times);
    add_field(f, part, at + offsetof(struct vring_packed_desc, id), 2, false,
              true, times);
    add_field(f, part, at + offsetof(struct vring_packed_desc, flags), 2,
              false, false, flags);
}

static GArray *packed_fields(const RingLayout *l)
{
    const unsigned links = 3;
    GArray *f = g_array_new(false, false, sizeof(Field));
    unsigned i, word;

    g_assert(l->indirect);
    for (i = 0; i < links; i++) {
        add_packed_desc(f, RING_TABLE, i, REQUESTS, REQUESTS);
    }
    for (i = 0; i < REQUESTS; i++) {
        const size_t at = i * sizeof(struct vring_packed_desc);

        add_packed_desc(f, RING_DESC, i, 1, 0);
        add_field(f, RING_DESC, at + offsetof(struct vring_packed_desc, id),
                  2, true, true, 1);
        add_field(f, RING_DESC, at + offsetof(struct vring_packed_desc, len),
                  4, true, true, 1);
        add_field(f, RING_DESC, at + offsetof(struct vring_packed_desc, flags),
                  2, true, false, 1);
    }
    /* It also looks whether there is one more */
    add_field(f, RING_DESC, REQUESTS * sizeof(struct vring_packed_desc) +
              offsetof(struct vring_packed_desc, flags), 2, false, false, 0);
    for (word = 0; word < 2; word++) {
        add_field(f, RING_DRIVER, 2 * word, 2, false, false, REQUESTS);
        add_field(f, RING_DEVICE, 2 * word, 2, false, false, 0);
        add_field(f, RING_DEVICE, 2 * word, 2, true, false, 0);
    }
    return f;
}

static const RingLayout exact_layouts[] = {
    { "prefetchable-bar", RING_IN(MEM, MEM, MEM, MEM, RAM),
      .size = 8, .batch = 1 },
    { "prefetchable-bar-with-tables", RING_IN(MEM, MEM, MEM, MEM, RAM),
      .indirect = true, .size = 8, .batch = 1 },
    { "plain-bar", RING_IN(REG, REG, REG, REG, RAM),
      .size = 8, .batch = 1 },
    { "plain-bar-with-tables", RING_IN(REG, REG, REG, REG, RAM),
      .indirect = true, .size = 8, .batch = 1 },
    { "prefetchable-bar-packed", RING_IN(MEM, MEM, MEM, MEM, RAM),
      .packed = true, .indirect = true, .event = true, .size = 8, .batch = 1 },
    { "plain-bar-packed", RING_IN(REG, REG, REG, REG, RAM),
      .packed = true, .indirect = true, .event = true, .size = 8, .batch = 1 },
};

/*
 * QEMU never has a pointer to a ring in a RAM device: each of its accesses is
 * seen, and each is to one field, whole, as often as it has to be.
 */
static void test_exact(const void *data)
{
    const RingLayout *l = data;
    RamDeviceBlk *b;
    RamDeviceRing *r;
    GArray *accesses, *fields;
    unsigned i, j;

    if (!rd_can_trace()) {
        return;
    }
    b = rdb_new("", RING_OPTIONS, RD_TRACE_ACCESSES);
    r = ring_new(b, NULL, l);
    g_assert_true(ring_start(r));
    ring_run(r, REQUESTS);
    accesses = rd_vm_accesses(b->vm);
    fields = l->packed ? packed_fields(l) : split_fields(l);

    for (i = 0; i < accesses->len; i++) {
        RamDeviceAccess a = g_array_index(accesses, RamDeviceAccess, i);

        for (j = 0; j < fields->len; j++) {
            Field *f = &g_array_index(fields, Field, j);

            if (r->offset[f->part] + f->at == a.offset && f->len == a.len &&
                f->is_write == a.is_write && f->is_copy == a.is_copy) {
                f->seen++;
                break;
            }
        }
        if (j == fields->len) {
            g_test_message("%s of %" PRIu64 " bytes at 0x%" PRIx64,
                           a.is_write ? "write" : "read", a.len, a.offset);
        }
        g_assert_cmpuint(j, <, fields->len);
    }
    for (j = 0; j < fields->len; j++) {
        const Field *f = &g_array_index(fields, Field, j);

        if (f->times) {
            g_assert_cmpuint(f->seen, ==, f->times);
        }
    }
    g_array_unref(fields);
    g_array_unref(accesses);
    ring_free(r);
    rdb_free(b);
}

/*
 * Where a BAR ends, and another begins
 */

typedef struct BorderCase {
    RamDeviceTarget first;
    RamDeviceTarget second;
} BorderCase;

static const BorderCase border_cases[] = {
    { TARGET_MEM, TARGET_REG },
    { TARGET_REG, TARGET_MEM },
    { TARGET_MEM, TARGET_STAGING },
    { TARGET_STAGING, TARGET_MEM },
    { TARGET_REG, TARGET_STAGING },
    { TARGET_STAGING, TARGET_REG },
};

/* Each part may be the last in the BAR, but none may go on in the next one */
static void test_border(const void *data)
{
    /* What all of QEMU's wordings have in common */
    static const char *const says[] = {
        [RING_DESC] = "map desc",
        [RING_DRIVER] = "map ava",
        [RING_DEVICE] = "map used",
    };
    const BorderCase *c = data;
    const uint64_t beyond = 16;
    const RingLayout l = {
        .part = { c->first, c->first, c->first, c->first, TARGET_RAM },
        .size = 64, .batch = 21,
    };
    RamDeviceBlk *b = rdb_new("", RING_OPTIONS, "");
    const RamDeviceMemory *m = &b->vm->memory[c->first];
    RamDeviceRing *r;
    RingPart part;

    rd_place_adjacent(b->vm, c->first, c->second);
    alloc_destroy(&b->alloc[c->first]);
    alloc_init(&b->alloc[c->first], ALLOC_NO_FLAGS, m->addr,
               m->addr + m->size, 4 * KiB);
    r = ring_new(b, NULL, &l);

    for (part = RING_DESC; part <= RING_DEVICE; part++) {
        const size_t room = ROUND_UP(ring_part_size(&l, part), 4);
        const uint64_t before = r->offset[part];
        g_autofree char *log = NULL;

        ring_move_part(r, part, m->size - room);
        g_assert_true(ring_start(r));
        ring_run(r, 200);

        ring_move_part(r, part, m->size - room + beyond);
        g_assert_false(ring_start(r));
        log = rd_vm_log(b->vm);
        g_assert_nonnull(strstr(log, says[part]));

        ring_move_part(r, part, before);
        g_assert_true(ring_start(r));
        ring_run(r, 200);
    }
    ring_free(r);
    rdb_free(b);
}

/*
 * A BAR that goes away with the rings in it
 */

typedef struct AwayCase {
    const char *sentence;
    RingLayout l;
    bool notices; /* the device finds rubbish instead, and wants a reset */
} AwayCase;

static const AwayCase away_cases[] = {
    { "prefetchable-bar", { "", RING_IN(MEM, MEM, MEM, MEM, RAM),
      .size = 64, .batch = 1 }, true },
    { "plain-bar", { "", RING_IN(REG, REG, REG, REG, RAM),
      .size = 64, .batch = 1 }, true },
    { "prefetchable-bar/with-packed-rings",
      { "", RING_IN(MEM, MEM, MEM, MEM, RAM),
        .packed = true, .size = 64, .batch = 1 }, false },
    { "plain-bar/with-packed-rings",
      { "", RING_IN(REG, REG, REG, REG, RAM),
        .packed = true, .size = 64, .batch = 1 }, false },
    { "prefetchable-bar/with-tables", { "", RING_IN(RAM, RAM, RAM, MEM, RAM),
      .indirect = true, .size = 64, .batch = 1 }, true },
    { "plain-bar/with-tables", { "", RING_IN(RAM, RAM, RAM, REG, RAM),
      .indirect = true, .size = 64, .batch = 1 }, true },
};

/* Do something while the BAR with the tables, and maybe the rings, is away */
static void while_away(const AwayCase *c, RdbAway away,
                       void (*act)(const AwayCase *c, RamDeviceRing *r,
                                   RdbAway away))
{
    RamDeviceBlk *b = rdb_new("", RING_OPTIONS, "");
    RamDeviceRing *r = ring_new(b, NULL, &c->l);

    g_assert_true(ring_start(r));
    ring_run(r, 200);
    act(c, r, away);

    /* As good as new after a reset */
    g_assert_true(ring_start(r));
    ring_run(r, 200);
    ring_free(r);
    rdb_free(b);
}

/* Returns: where the BAR has been */
static uint64_t go_away(const AwayCase *c, RamDeviceRing *r, RdbAway away)
{
    RamDeviceTarget t = c->l.part[RING_TABLE];
    uint64_t home = r->b->vm->memory[t].addr;

    rdb_go_away(r->b, t, away);
    return home;
}

static void come_back(const AwayCase *c, RamDeviceRing *r, RdbAway away,
                      uint64_t home)
{
    rdb_come_back(r->b, away);
    rd_place(r->b->vm, c->l.part[RING_TABLE], home);
}

/*
 * A request that comes meanwhile isn't seen, or breaks the device in the
 * defined way.  No byte of the BAR is written.
 */
static void kick_while_away(const AwayCase *c, RamDeviceRing *r, RdbAway away)
{
    uint64_t home = go_away(c, r, away);

    ring_submit(r, VIRTIO_BLK_T_IN);
    g_assert_cmpint(ring_needs_reset(r), ==, c->notices);
    come_back(c, r, away, home);
    g_assert_false(ring_is_reported(r));
    ring_check_bars(r);

    if (!c->notices) {
        ring_kick(r);
        g_assert_true(ring_wait(r));
        ring_check_data(r, VIRTIO_BLK_T_IN);
        ring_check_bars(r);
    }
}

/* A request that is done meanwhile isn't reported, unless its ring is in RAM */
static void complete_while_away(const AwayCase *c, RamDeviceRing *r,
                                RdbAway away)
{
    bool in_ram = c->l.part[RING_DEVICE] == TARGET_RAM;
    uint64_t home;

    rdb_debug_command(r->b, "break read_aio A");
    ring_submit(r, VIRTIO_BLK_T_IN);
    rdb_debug_command(r->b, "wait_break A");
    home = go_away(c, r, away);
    rdb_debug_command(r->b, "resume A");
    ring_wait_served(r);
    g_assert_false(ring_needs_reset(r));
    come_back(c, r, away, home);
    g_assert_cmpint(ring_is_reported(r), ==, in_ram);
    if (in_ram) {
        ring_check_data(r, VIRTIO_BLK_T_IN);
    }
    ring_check_bars(r);
}

static void test_kick_moved(const void *data)
{
    while_away(data, RDB_AWAY_MOVED, kick_while_away);
}

static void test_kick_disabled(const void *data)
{
    while_away(data, RDB_AWAY_DISABLED, kick_while_away);
}

static void test_complete_moved(const void *data)
{
    while_away(data, RDB_AWAY_MOVED, complete_while_away);
}

static void test_complete_disabled(const void *data)
{
    while_away(data, RDB_AWAY_DISABLED, complete_while_away);
}

/*
 * Returns: the number of the system call that the iothread waits in, or
 * "running", or NULL if this host doesn't tell
 */
static char *iothread_call(RamDeviceBlk *b)
{
    g_autoptr(QDict) response =
        qtest_qmp(b->vm->qts, "{'execute': 'query-iothreads'}");
    QDict *io = qobject_to(QDict, qlist_peek(qdict_get_qlist(response,
                                                             "return")));
    g_autofree char *path =
        g_strdup_printf("/proc/%d/task/%" PRId64 "/syscall",
                        (int)qtest_pid(b->vm->qts),
                        qdict_get_int(io, "thread-id"));
    char *call = NULL;

    g_file_get_contents(path, &call, NULL, NULL);
    return call;
}

/* Returns: whether the iothread waits for events, and not for a lock */
static bool iothread_is_idle(RamDeviceBlk *b)
{
    g_autofree char *call = iothread_call(b);

    return g_ascii_isdigit(*call) && atoi(call) != SYS_futex;
}

static bool has_requests(RamDeviceBlk *b)
{
    g_autoptr(QDict) response =
        qtest_qmp(b->vm->qts, "{'execute': 'x-query-virtio-queue-status', "
                  "'arguments': {'path': "
                  "'/machine/peripheral/blk/virtio-backend', 'queue': 0}}");

    return qdict_get_int(qdict_get_qdict(response, "return"), "inuse");
}

/*
 * Let the iothread finish what it has begun.  As long as a BAR is away, what
 * is at its address is MMIO as any other, which takes the big lock: a reset
 * at that very moment would wait for the iothread with the lock held, in this
 * QEMU as in those before it.
 *
 * An idle iothread has seen the last kick.  If then no request is left, only
 * the last one's report may still be under way.
 */
static void let_iothread_finish(RamDeviceBlk *b)
{
    const gint64 end = g_get_monotonic_time() + RD_TIMEOUT_US;

    while (!iothread_is_idle(b) || has_requests(b) || !iothread_is_idle(b)) {
        g_assert(g_get_monotonic_time() < end);
        g_usleep(2000);
    }
}

/* In every other round wait until the device is in the middle of a batch */
static void let_iothread_begin(const RamDeviceRing *r, unsigned round)
{
    if (round % 2) {
        ring_wait_begun(r);
    }
}

/* The BARs come and go while an iothread works on the rings */
static void test_iothread_away(const void *data)
{
    RdbAway away = *(const RdbAway *)data;
    const RingLayout l = {
        .part = { TARGET_MEM, TARGET_REG, TARGET_MEM, TARGET_REG, TARGET_MEM },
        .indirect = true, .size = 256, .batch = 255,
    };
    RamDeviceBlk *b = rdb_new("", RING_OPTIONS ",iothread=io",
                              "-object iothread,id=io");
    g_autofree char *call = iothread_call(b);
    RamDeviceRing *r;
    unsigned round, i;

    if (!call) {
        g_test_skip("this host doesn't tell what a thread waits in");
        rdb_free(b);
        return;
    }
    r = ring_new(b, NULL, &l);
    for (round = 0; round < 20; round++) {
        g_assert_true(ring_start(r));
        ring_run(r, 2 * l.batch);

        ring_submit(r, VIRTIO_BLK_T_IN);
        let_iothread_begin(r, round);
        for (i = 0; i < 10; i++) {
            RamDeviceTarget t = rd_bars[i % 2];
            uint64_t home = b->vm->memory[t].addr;

            rdb_go_away(b, t, away);
            ring_kick(r);
            rdb_come_back(b, away);
            rd_place(b->vm, t, home);
        }
        let_iothread_finish(b);
    }
    g_assert_true(ring_start(r));
    ring_run(r, 2 * l.batch);
    ring_free(r);
    rdb_free(b);
}

/*
 * The accessors need no big lock: the one who resets the device holds it
 * while the iothread finishes its requests.
 */
static void test_iothread_reset(const void *data)
{
    const RingLayout *l = data;
    RamDeviceBlk *b = rdb_new("", RING_OPTIONS ",iothread=io",
                              "-object iothread,id=io");
    RamDeviceRing *r = ring_new(b, NULL, l);
    unsigned round;

    for (round = 0; round < 200; round++) {
        g_assert_true(ring_start(r));
        ring_submit(r, VIRTIO_BLK_T_IN);
        let_iothread_begin(r, round);
    }
    g_assert_true(ring_start(r));
    ring_run(r, 2 * l->batch);
    ring_free(r);
    rdb_free(b);
}

int main(int argc, char **argv)
{
    bool has_mmio = g_str_equal(qtest_get_arch(), "aarch64");
    static const RdbAway aways[] = { RDB_AWAY_MOVED, RDB_AWAY_DISABLED };
    unsigned i;

    g_test_init(&argc, &argv, NULL);

    for (i = 0; i < ARRAY_SIZE(layouts); i++) {
        rd_add(&layouts[i], test_pci, "ring/pci/%s-work",
               layouts[i].sentence);
        rd_add(&layouts[i], test_iothread, "ring/pci-iothread/%s-work",
               layouts[i].sentence);
        if (has_mmio) {
            rd_add(&layouts[i], test_mmio, "ring/mmio/%s-work",
                   layouts[i].sentence);
        }
    }
    for (i = 0; i < ARRAY_SIZE(busy_layouts); i++) {
        rd_add(&busy_layouts[i], test_index_wraps,
               "ring/indexes-wrap-around-in-%s", busy_layouts[i].sentence);
    }
    for (i = 0; i < ARRAY_SIZE(exact_layouts); i++) {
        rd_add(&exact_layouts[i], test_exact,
               "ring/accesses-to-%s-are-exact", exact_layouts[i].sentence);
    }
    for (i = 0; i < ARRAY_SIZE(border_cases); i++) {
        rd_add(&border_cases[i], test_border,
               "ring/ends-with-%s-and-does-not-go-on-in-%s",
               rd_target_name(border_cases[i].first),
               rd_target_name(border_cases[i].second));
    }
    for (i = 0; i < ARRAY_SIZE(away_cases); i++) {
        const AwayCase *c = &away_cases[i];
        const char *then = c->notices ? "breaks-the-device" : "is-not-seen";
        const char *done = c->l.part[RING_DEVICE] == TARGET_RAM
                           ? "is-reported" : "is-not-reported";

        rd_add(c, test_kick_moved, "ring/moved-%s/a-request-%s",
               c->sentence, then);
        rd_add(c, test_kick_disabled, "ring/disabled-%s/a-request-%s",
               c->sentence, then);
        rd_add(c, test_complete_moved, "ring/moved-%s/a-completion-%s",
               c->sentence, done);
        rd_add(c, test_complete_disabled, "ring/disabled-%s/a-completion-%s",
               c->sentence, done);
    }
    for (i = 0; i < ARRAY_SIZE(busy_layouts); i++) {
        rd_add(&busy_layouts[i], test_iothread_reset,
               "ring/pci-iothread/a-reset-of-a-busy-device-with-rings-in-%s-"
               "does-not-hang", busy_layouts[i].sentence);
    }
    rd_add(&aways[0], test_iothread_away,
           "ring/pci-iothread/bars-may-be-moved-under-load");
    rd_add(&aways[1], test_iothread_away,
           "ring/pci-iothread/bars-may-be-disabled-under-load");
    return g_test_run();
}
