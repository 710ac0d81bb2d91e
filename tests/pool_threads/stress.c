/*
 * Threads that map, fill, unmap, update and wait at the same time
 *
 * Usage: stress SEED OPERATIONS
 *
 * Each thread is a queue of a device, and takes requests of random pieces of
 * three RAM devices, one of which goes away and comes back, and one of which is
 * unplugged and plugged again.  Every byte of a device tells where it is, and
 * in two bits which version it is.  Of the first device every thread has a part
 * that none else writes to, whose versions are known.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "pool_source.h"
#include "main_loop.h"

#define NOT_SANITIZED __attribute__((no_sanitize("thread"), noinline))

#define THREADS 8
#define DEVICES 3
enum { STEADY, VANISHING, UNPLUGGED };
#define PAGE RAM_DEVICE_PAGE_SIZE
#define SHARED_PAGES 64
#define OWN_PAGES 4
#define DEVICE_SIZE ((SHARED_PAGES + THREADS * OWN_PAGES) * PAGE)
#define LIMIT (64 * PAGE)
#define PIECES 3
#define PIECE_PAGES 40
#define ANY_VERSION UINT_MAX

static FakeDevice devices[DEVICES];
/* For references to a device that may be unplugged: RCU's part in QEMU */
static pthread_rwlock_t plugged_lock = PTHREAD_RWLOCK_INITIALIZER;
static bool is_unplugged; /* under that lock */

static struct {
    unsigned shared, waits, nevers, copies, failed_fills, unplugs;
} count;

typedef struct Piece {
    unsigned device;
    uint64_t offset;
    uint64_t len;
    bool is_write;
    uint8_t *buffer;
} Piece;

NOT_SANITIZED void tell_state(void)
{
    for (int i = 0; i < BUDGETS; i++) {
        const RamDeviceBudget *budget = budgets[i];

        if (budget) {
            const RamDeviceWaiter *first = QTAILQ_FIRST(&budget->waiters);

            printf("budget %d: used %" PRIu64 " need %" PRIu64 " turn %d\n",
                   i, budget->used, first ? first->need : 0, !!budget->turn);
        }
    }
}

static bool bh_is_due(QEMUBH *bh)
{
    return main_loop_bh_is_due(bh);
}

static unsigned draw(Worker *worker, unsigned below)
{
    return rand_r(&worker->seed) % below;
}

static uint8_t byte_at(unsigned device, uint64_t offset, unsigned version)
{
    const uint32_t place = (uint32_t)offset + device * DEVICE_SIZE;

    return (place * 0x9e3779b1u >> 24 & 0xfc) | version;
}

/* What other threads may access meanwhile isn't instrumented */
static NOT_SANITIZED void write_bytes(uint8_t *to, unsigned device,
                                      uint64_t offset, uint64_t len,
                                      unsigned version)
{
    for (uint64_t i = 0; i < len; i++) {
        qatomic_set(&to[i], byte_at(device, offset + i, version));
    }
}

static NOT_SANITIZED void check_bytes(const uint8_t *from, unsigned device,
                                      uint64_t offset, uint64_t len,
                                      unsigned version)
{
    for (uint64_t i = 0; i < len; i++) {
        const uint8_t byte = qatomic_read(&from[i]);
        const uint8_t wanted = byte_at(device, offset + i,
                                       version == ANY_VERSION ? byte & 3
                                                              : version);

        if (byte != wanted) {
            broken("byte %" PRIu64 " of device %u is %#x, not %#x%s",
                   offset + i, device, byte, wanted,
                   version == ANY_VERSION ? ": made up" : ": of another time");
        }
    }
}

static NOT_SANITIZED void copy_contents(void *to, const void *from, size_t len)
{
    qatomic_inc(&count.copies);
    for (size_t i = 0; i < len; i++) {
        qatomic_set((uint8_t *)to + i, ((const uint8_t *)from)[i]);
    }
}

/* The mutex, and what must be so whenever the pool's is unlocked */
static void lock(QemuMutex *mutex, const char *file, const int line)
{
    pthread_mutex_lock(&mutex->lock);
}

QemuMutexLockFunc qemu_mutex_lock_func = lock;

void qemu_mutex_init(QemuMutex *mutex)
{
    pthread_mutex_init(&mutex->lock, NULL);
}

void qemu_mutex_unlock_impl(QemuMutex *mutex, const char *file, const int line)
{
    static unsigned unlocks;

    if (mutex == &pool.lock) {
        check_budgets();
        if (unlocks++ % 64 == 0) {
            check_chunks();
        }
    }
    pthread_mutex_unlock(&mutex->lock);
}

/* The device that is unplugged has lost its last reference: plug it again */
void fake_device_finalize(FakeDevice *device)
{
    if (device != &devices[UNPLUGGED] || !main_loop_is_here()) {
        broken("the last reference to device %d is dropped in %s",
               (int)(device - devices),
               main_loop_is_here() ? "the main loop" : "a thread");
    }
    count.unplugs++;
    pthread_rwlock_wrlock(&plugged_lock);
    qatomic_set(&device->owner.ref, 1);
    is_unplugged = false;
    pthread_rwlock_unlock(&plugged_lock);
}

static void unplug(void *opaque)
{
    bool do_it;

    pthread_rwlock_wrlock(&plugged_lock);
    do_it = !is_unplugged;
    is_unplugged = true;
    pthread_rwlock_unlock(&plugged_lock);
    if (do_it) {
        memory_region_unref(&devices[UNPLUGGED].mr);
    }
}

/* As address_space_map_request(): false if there is no device, or no buffer */
static bool map(Piece *piece, RamDeviceRequest *request)
{
    const uint64_t held = request->held;
    hwaddr len = piece->len;
    bool is_there;

    pthread_rwlock_rdlock(&plugged_lock);
    is_there = piece->device != UNPLUGGED || !is_unplugged;
    if (is_there) {
        piece->buffer = ram_device_map(&devices[piece->device].mr,
                                       piece->offset, &len, piece->is_write,
                                       request);
    }
    pthread_rwlock_unlock(&plugged_lock);
    if (!is_there || !piece->buffer) {
        return false;
    }
    if (len != piece->len || !ram_device_is_buffer(piece->buffer)) {
        broken("a buffer has %" PRIu64 " bytes of %" PRIu64, len, piece->len);
    }
    if (request->held == held) {
        qatomic_inc(&count.shared);
    }
    return true;
}

static void unmap(const Piece *pieces, unsigned number, bool is_done)
{
    for (unsigned i = 0; i < number; i++) {
        const Piece *piece = &pieces[i];

        if (!ram_device_unmap(piece->buffer, piece->is_write,
                              is_done && piece->is_write ? piece->len : 0)) {
            broken("what was mapped is no buffer");
        }
    }
}

/* As virtqueue_pop_checked(): all pieces are mapped, or none can be */
static bool pop(Worker *worker, Piece *pieces, unsigned number, bool overdraw)
{
    for (;;) {
        RamDeviceRequest request = {
            .budget = budgets[worker->number % BUDGETS],
            .waiter = &worker->waiter,
            .overdraw = overdraw,
        };
        unsigned mapped = 0;

        while (mapped < number && map(&pieces[mapped], &request)) {
            mapped++;
        }
        if (mapped < number) {
            unmap(pieces, mapped, false);
        }
        if (request.answer != RAM_DEVICE_LATER &&
            qatomic_read(&worker->waiter.has_turn)) {
            ram_device_wait_over(&worker->waiter);
        }
        switch (request.answer) {
        case RAM_DEVICE_GRANTED: /* or unplugged */
            return mapped == number;
        case RAM_DEVICE_NEVER:
            if (request.need <= LIMIT) {
                broken("a request of %" PRIu64 " bytes never fits",
                       request.need);
            }
            qatomic_inc(&count.nevers);
            return false;
        case RAM_DEVICE_LATER:
            if (ram_device_wait(&request)) {
                qatomic_inc(&count.waits);
                main_loop_park(worker);
            }
        }
    }
}

/* Read it from the device, and see that it has what it should */
static bool fill(const Piece *piece, unsigned version)
{
    if (!ram_device_fill(piece->buffer, piece->len)) {
        if (piece->device != VANISHING) {
            broken("device %u can't be read", piece->device);
        }
        qatomic_inc(&count.failed_fills);
        return false;
    }
    check_bytes(piece->buffer, piece->device, piece->offset, piece->len,
                version);
    return true;
}

static void take_request(Worker *worker)
{
    const unsigned number = 1 + draw(worker, PIECES);
    bool is_filled[PIECES] = {};
    Piece pieces[PIECES];

    for (unsigned i = 0; i < number; i++) {
        Piece *piece = &pieces[i];

        piece->device = draw(worker, DEVICES);
        piece->is_write = draw(worker, 2);
        if (draw(worker, 2)) {
            /* One of a few, which others have as well */
            piece->offset = 8 * PAGE * draw(worker, 4);
            piece->len = 8 * PAGE;
        } else {
            piece->len = 1 + draw(worker, PIECE_PAGES * PAGE);
            piece->offset = draw(worker, (piece->is_write ? SHARED_PAGES * PAGE
                                                          : DEVICE_SIZE) -
                                         piece->len);
        }
    }
    if (!pop(worker, pieces, number,
             overdraws[worker->number % BUDGETS] && !draw(worker, 8))) {
        return;
    }
    for (unsigned i = 0; i < number; i++) {
        const Piece *piece = &pieces[i];

        if (piece->is_write) {
            write_bytes(piece->buffer, piece->device, piece->offset, piece->len,
                        draw(worker, 4));
        } else {
            is_filled[i] = fill(piece, ANY_VERSION);
        }
    }
    for (unsigned i = 0; i < number; i++) {
        if (is_filled[i]) {
            check_bytes(pieces[i].buffer, pieces[i].device, pieces[i].offset,
                        pieces[i].len, ANY_VERSION);
        }
    }
    unmap(pieces, number, true);
}

/* What is written to an own part is there for who maps it then */
static void write_own_part(Worker *worker)
{
    const unsigned version = draw(worker, 4);
    Piece piece = {
        .device = STEADY,
        .offset = (SHARED_PAGES + worker->number * OWN_PAGES) * PAGE,
        .len = OWN_PAGES * PAGE,
        .is_write = true,
    };
    const RamDevice rd = {
        .host = devices[STEADY].memory,
        .size = DEVICE_SIZE,
    };
    const uint64_t from = piece.len / 4, len = piece.len / 2;
    uint8_t past[OWN_PAGES * PAGE];

    pop(worker, &piece, 1, false);
    write_bytes(piece.buffer, STEADY, piece.offset, piece.len, version);
    /* By address, past the buffer */
    write_bytes(past, STEADY, piece.offset + from, len, version ^ 1);
    ram_device_write(&rd, piece.offset + from, past, len);
    ram_device_update(&rd, piece.offset + from, past, len);
    unmap(&piece, 1, true);

    piece.is_write = false;
    pop(worker, &piece, 1, false);
    if (fill(&piece, ANY_VERSION)) {
        check_bytes(piece.buffer, STEADY, piece.offset, from, version);
        check_bytes(piece.buffer + from, STEADY, piece.offset + from, len,
                    version ^ 1);
    }
    unmap(&piece, 1, true);
}

static void close_a_budget_in_use(Worker *worker)
{
    RamDeviceRequest request = { .budget = ram_device_budget_new(NULL) };
    Piece piece = {
        .device = STEADY,
        .offset = draw(worker, SHARED_PAGES) * PAGE,
        .len = 1 + draw(worker, PAGE),
    };

    if (!map(&piece, &request) || ram_device_budget_is_short(request.budget)) {
        broken("a budget that is new has nothing");
    }
    fill(&piece, ANY_VERSION);
    ram_device_budget_close(request.budget);
    unmap(&piece, 1, true);
}

static void give_back_what_is_no_buffer(void)
{
    hwaddr len = PAGE;
    uint8_t own;

    if (!ram_device_unmap(ram_device_discard(&len), true, len) ||
        ram_device_unmap(&own, true, 1) || !ram_device_fill(&own, 1)) {
        broken("what is no buffer is taken for one, or the other way round");
    }
}

static unsigned operations;

static void *work(void *opaque)
{
    Worker *worker = opaque;

    for (unsigned i = 0; i < operations; i++) {
        switch (draw(worker, 16)) {
        case 0:
            close_a_budget_in_use(worker);
            break;
        case 1:
            give_back_what_is_no_buffer();
            break;
        case 2:
            qatomic_set(&devices[VANISHING].is_gone, draw(worker, 2));
            break;
        case 3:
            fake_main_loop_run(unplug, NULL);
            break;
        case 4 ... 6:
            write_own_part(worker);
            break;
        default:
            take_request(worker);
        }
    }
    main_loop_leave(worker);
    return NULL;
}

/* More chunks than are kept are used, and given back */
static void use_many_chunks(void)
{
    Piece pieces[FREE_CHUNKS_KEPT + 8];
    RamDeviceRequest request = { .budget = budgets[0] };

    ram_device_buffer_size = sizeof(pieces) * RAM_DEVICE_CHUNK_SIZE;
    for (unsigned i = 0; i < ARRAY_SIZE(pieces); i++) {
        hwaddr len = RAM_DEVICE_CHUNK_SIZE;

        pieces[i] = (Piece) {};
        pieces[i].buffer = ram_device_map(&devices[STEADY].mr, 0, &len, false,
                                          &request);
    }
    unmap(pieces, ARRAY_SIZE(pieces), false);
}

int main(int argc, char **argv)
{
    Worker workers[THREADS] = {};

    operations = atoi(argv[2]);
    ram_device_buffer_size = LIMIT;
    for (unsigned i = 0; i < DEVICES; i++) {
        fake_device_init(&devices[i], DEVICE_SIZE);
        write_bytes(devices[i].memory, i, 0, DEVICE_SIZE, 0);
    }
    main_loop_begin(THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        Worker *worker = &workers[i];

        worker->number = i;
        worker->seed = atoi(argv[1]) * THREADS + i;
        worker->bh = i < BUDGETS ? main_loop_bh_new()
                                 : workers[i % BUDGETS].bh;
        if (i < BUDGETS) {
            budgets[i] = ram_device_budget_new(worker->bh);
            main_loop_bh_set_budget(worker->bh, budgets[i]);
            overdraws[i] = i > 0;
        }
        pthread_cond_init(&worker->wake, NULL);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    main_loop_run(workers, THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
    }

    for (unsigned i = 0; i < DEVICES; i++) {
        check_bytes(devices[i].memory, i, 0, DEVICE_SIZE, ANY_VERSION);
        if (devices[i].owner.ref != 1) {
            broken("%u references to device %u are left",
                   devices[i].owner.ref - 1, i);
        }
    }
    use_many_chunks();
    check_that_nothing_is_left();
    printf("shared %u, waits %u, wakes %u, nevers %u, copies %u, "
           "failed fills %u, unplugs %u\n",
           count.shared, count.waits, main_loop_wakes, count.nevers,
           count.copies, count.failed_fills, count.unplugs);
    return 0;
}
