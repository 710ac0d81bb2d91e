/*
 * Who waits for memory of the pool is woken, in whatever order all is done
 *
 * Usage: interleavings SCENARIO [all]
 *
 * Queues do as virtqueue_pop_checked() and virtio_next_turn(), clients as
 * dma_blk_cb() and address_space_unmap().  MAP_CLIENTS is a file with the
 * functions of system/physmem.c that keep the clients of an address space.
 * With "all", states that are the same aren't taken as one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "explorer.h"

static void *host_mmap(void *at, size_t size, int may, int flags, int fd,
                       off_t offset);
static void at_exchange(uint32_t old);

#define AT_GUARD explorer_at
#define AT_EXCHANGE at_exchange
#define AT_MMAP host_mmap
#include "pool_source.h"
#include MAP_CLIENTS
#include "scenarios.h"

#define PAGE RAM_DEVICE_PAGE_SIZE
#define DEVICE_SIZE (64 * RAM_DEVICE_CHUNK_SIZE)
/* More than any request waits, so that there is an end to it */
#define TURNS_MAX 8
/* What the device has in its first byte, before and after it is written to */
enum { BEFORE, WRITTEN };

struct QEMUBH {
    bool is_scheduled;
    bool is_running;
    bool is_deleted;
};

/* An actor in a run */
typedef struct Running {
    const Actor *actor;
    unsigned request, piece;
    unsigned turns; /* that its request has waited */
    RamDeviceWaiter waiter;
    bool is_reset;    /* gives up the request that waits */
    bool is_unplugged;
    bool has_ended;
    QEMUBH bh;
    RamDeviceRequest asked;
    void *buffers[REQUESTS][PIECES];
} Running;

static const Scenario *scenario;
static FakeDevice device;
static Running running[ACTORS];
static QEMUBH bhs[BUDGETS];
static AddressSpace spaces[BUDGETS];
static void *held; /* the buffer that others share, and read again */
static unsigned most_turns; /* of one in all runs */
static bool has_rung; /* the timer, for a turn that was going to be taken */

/* The RAM device, as the memory map has it */
static struct {
    bool is_ejected;
    unsigned readers; /* those who look for it there: RCU's part in QEMU */
    bool is_finalized;
} map_of_memory;

/* What the main loop is to call */
static struct {
    QEMUBHFunc *cb;
    void *opaque;
    bool is_here;
} main_loop;

/* Memory that the host refuses */
static struct {
    bool is_short; /* the next time */
    unsigned refusals, requests_failed;
} host;

void tell_state(void)
{
    explorer_tell_steps();
}

void qemu_bh_schedule(QEMUBH *bh)
{
    if (bh->is_deleted) {
        broken("a bottom half that is deleted is scheduled");
    }
    bh->is_scheduled = true;
}

void fake_main_loop_run(QEMUBHFunc *cb, void *opaque)
{
    if (main_loop.cb) {
        broken("the last reference is dropped twice");
    }
    main_loop.cb = cb;
    main_loop.opaque = opaque;
}

void fake_device_finalize(FakeDevice *gone)
{
    if (!main_loop.is_here) {
        broken("the last reference is dropped outside of the main loop");
    }
    map_of_memory.is_finalized = true;
}

static void *host_mmap(void *at, size_t size, int may, int flags, int fd,
                       off_t offset)
{
    if (host.is_short) {
        host.is_short = false;
        host.refusals++;
        return MAP_FAILED;
    }
    return mmap(at, size, may, flags, fd, offset);
}

void explorer_unlocked(void)
{
    check_budgets();
}

static void copy_contents(void *to, const void *from, size_t len)
{
    explorer_stop("a copy");
    memmove(to, from, len);
}

static bool has(ActorKind kind)
{
    for (unsigned i = 0; i < ACTORS; i++) {
        if (scenario->actors[i].kind == kind) {
            return true;
        }
    }
    return false;
}

/* Are there those who look at what is in a buffer, which state() has not? */
static bool has_readers(void)
{
    return has(REFILLER);
}

/* Which reference is dropped first matters where any may be the last one */
static void at_exchange(uint32_t old)
{
    if (has(EJECTOR)) {
        explorer_stop_at("an exchange", old);
    }
}

static bool bh_is_due(QEMUBH *bh)
{
    return bh->is_scheduled || bh->is_running;
}

static bool wake_is_due(void *opaque)
{
    return !((Running *)opaque)->waiter.waits;
}

static bool bh_is_scheduled(void *opaque)
{
    return ((QEMUBH *)opaque)->is_scheduled;
}

static bool timer_may_ring(void *opaque)
{
    const RamDeviceWaiter *turn = budgets[0]->turn;

    return turn && (turn == &running[0].waiter || !has_rung);
}

static bool client_bh_is_scheduled(void *opaque)
{
    return ((Running *)opaque)->bh.is_scheduled;
}

static bool main_loop_has_work(void *opaque)
{
    return main_loop.cb;
}

static bool first_one_waits_or_has_ended(void *opaque)
{
    return running[0].waiter.waits || running[0].has_ended;
}

static bool first_one_may_be_unplugged(void *opaque)
{
    return first_one_waits_or_has_ended(NULL) && !bhs[0].is_running;
}

static bool nobody_reads_the_map(void *opaque)
{
    return !map_of_memory.readers;
}

static void run_main_loop(void *opaque)
{
    for (;;) {
        QEMUBHFunc *cb;

        explorer_stop_until("the main loop", main_loop_has_work);
        cb = main_loop.cb;
        main_loop.cb = NULL;
        main_loop.is_here = true;
        cb(main_loop.opaque);
        main_loop.is_here = false;
    }
}

/* As virtio_reset(): queues don't run meanwhile, though they may wait */
static void run_resetter(void *opaque)
{
    explorer_stop_until("a reset", first_one_waits_or_has_ended);
    if (running[0].waiter.waits) {
        running[0].is_reset = true;
        ram_device_wait_over(&running[0].waiter);
    }
}

/* As virtio_cleanup(), in the main loop, where the bottom half runs as well */
static void run_unplugger(void *opaque)
{
    RamDeviceBudget *budget = budgets[0];

    explorer_stop_until("an unplugging", first_one_may_be_unplugged);
    running[0].is_unplugged = true;
    budgets[0] = NULL;
    ram_device_budget_close(budget);
    bhs[0] = (QEMUBH) { .is_deleted = true };
}

/* As what unrealizes a PCI device: it leaves the map, and then RCU calls */
static void run_ejector(void *opaque)
{
    explorer_stop("an ejection");
    map_of_memory.is_ejected = true;
    explorer_stop_until("a grace period", nobody_reads_the_map);
    main_loop.is_here = true;
    memory_region_unref(&device.mr);
    main_loop.is_here = false;
}

static void run_shortage(void *opaque)
{
    explorer_stop("a shortage");
    host.is_short = true;
}

/* The bottom half of a budget, as virtio_next_turn() */
static void run_bh(void *opaque)
{
    for (;;) {
        QEMUBH *bh = opaque;

        explorer_stop_until("its bottom half", bh_is_scheduled);
        bh->is_scheduled = false;
        if (!budgets[bh - bhs]) {
            continue; /* it is being unplugged */
        }
        bh->is_running = true;
        ram_device_next_turn(budgets[bh - bhs]);
        bh->is_running = false;
    }
}

/* The timer of the first budget, which rings for others once, and too early */
static void run_timer(void *opaque)
{
    for (;;) {
        explorer_stop_until("its timer", timer_may_ring);
        has_rung |= budgets[0]->turn != &running[0].waiter;
        ram_device_end_turn(budgets[0]);
    }
}

static uint64_t page_size(void)
{
    return scenario->chunks ? RAM_DEVICE_CHUNK_SIZE : PAGE;
}

/* As address_space_map_request() */
static void *map(Running *self, const Piece *piece)
{
    const uint64_t held_before = self->asked.held;
    hwaddr len = piece->pages * page_size();
    void *buffer = NULL;

    map_of_memory.readers++;
    if (!map_of_memory.is_ejected) {
        buffer = ram_device_map(&device.mr, piece->page * page_size(), &len,
                                self->actor->is_write, &self->asked);
    }
    map_of_memory.readers--;
    if (self->asked.held > held_before && !self->actor->overdraw) {
        const RamDeviceBudget *budget = self->asked.budget;

        if (budget->turn ? budget->turn != self->asked.waiter
                         : !QTAILQ_EMPTY(&budget->waiters)) {
            broken("%s takes memory out of turn", self->actor->name);
        }
    }
    return buffer;
}

/* Unmap the first pieces of a request */
static void unmap(Running *self, unsigned request, unsigned pieces)
{
    for (self->piece = 0; self->piece < pieces; self->piece++) {
        ram_device_unmap(self->buffers[request][self->piece],
                         self->actor->is_write, 0);
    }
}

static unsigned pieces_of(const Running *self, unsigned request)
{
    unsigned pieces = 0;

    while (pieces < PIECES &&
           self->actor->requests[request][pieces].pages) {
        pieces++;
    }
    return pieces;
}

/* A request is to wait, once more.  Who has its turn does so only for more. */
static void count_turn(Running *self)
{
    self->turns++;
    most_turns = MAX(most_turns, self->turns);
    if (self->turns > TURNS_MAX) {
        broken("%s waits for the %uth time", self->actor->name, self->turns);
    }
    if (self->waiter.has_turn && self->asked.need <= self->waiter.need &&
        !overdraws[self->actor->budget] && !has(IDLER)) {
        broken("%s has its turn, and waits again", self->actor->name);
    }
}

/* As virtqueue_pop_checked(); false if there is no such request any longer */
static bool pop(Running *self, bool overdraw)
{
    const unsigned pieces = pieces_of(self, self->request);

    for (;;) {
        void **buffers = self->buffers[self->request];
        unsigned mapped;

        self->asked = (RamDeviceRequest) {
            .budget = budgets[self->actor->budget],
            .waiter = &self->waiter,
            .overdraw = overdraw,
        };
        for (self->piece = 0; self->piece < pieces; self->piece++) {
            buffers[self->piece] =
                map(self, &self->actor->requests[self->request][self->piece]);
            if (!buffers[self->piece]) {
                break;
            }
        }
        mapped = self->piece;
        if (mapped < pieces) {
            unmap(self, self->request, mapped);
        }
        if (self->asked.answer != RAM_DEVICE_LATER && self->waiter.has_turn) {
            ram_device_wait_over(&self->waiter);
        }
        switch (self->asked.answer) {
        case RAM_DEVICE_GRANTED: /* or the device is ejected */
            return mapped == pieces;
        case RAM_DEVICE_NEVER:
            host.requests_failed++;
            return false;
        case RAM_DEVICE_LATER:
            if (overdraw) {
                broken("%s must not wait, and is to", self->actor->name);
            }
        }
        count_turn(self);
        if (ram_device_wait(&self->asked)) {
            if (self->actor->kind == RESET) {
                ram_device_wait_over(&self->waiter);
                self->is_unplugged = true;
                return false;
            }
            explorer_stop_until("a wait", wake_is_due);
            if (self->actor->kind == IDLER || self->is_reset ||
                self->is_unplugged) {
                self->is_reset = false;
                return false;
            }
        }
    }
}

static void run_queue(void *opaque)
{
    Running *self = opaque;
    const bool overdraw = self->actor->overdraw;

    for (self->request = 0;
         self->request < REQUESTS && pieces_of(self, self->request);
         self->request++) {
        self->turns = 0;
        if (!pop(self, overdraw && self->request)) {
            if (self->is_unplugged) {
                break;
            }
            continue;
        }
        if (!self->actor->is_write) {
            ram_device_fill(self->buffers[self->request][0], PAGE);
        }
        if (!overdraw) {
            unmap(self, self->request, pieces_of(self, self->request));
        }
    }
    while (overdraw && self->request) {
        self->request--;
        unmap(self, self->request, pieces_of(self, self->request));
    }
    if (scenario->closes && self == &running[0]) {
        RamDeviceBudget *budget = budgets[0];

        budgets[0] = NULL;
        ram_device_budget_close(budget);
    }
    self->has_ended = true;
}

/* As dma_blk_cb(), address_space_map_ram_device(), address_space_unmap() */
static void run_client(void *opaque)
{
    Running *self = opaque;
    AddressSpace *as = &spaces[self->actor->budget];

    for (self->request = 0;
         self->request < REQUESTS && pieces_of(self, self->request);
         self->request++) {
        void *buffer;

        for (;;) {
            self->asked = (RamDeviceRequest) {
                .budget = as->ram_device_budget,
            };
            buffer = map(self, &self->actor->requests[self->request][0]);
            if (buffer) {
                break;
            }
            address_space_register_map_client(as, &self->bh);
            explorer_stop_until("a wait", client_bh_is_scheduled);
            self->bh.is_scheduled = false;
        }
        if (!self->actor->is_write) {
            ram_device_fill(buffer, PAGE);
        }
        ram_device_unmap(buffer, self->actor->is_write, 0);
        address_space_notify_map_clients(as);
    }
}

/* Share what is held, and read it, perhaps when the device isn't as it was */
static void run_reader(void *opaque)
{
    Running *self = opaque;
    const bool has_written = self->actor->kind == NEWCOMER;
    const bool has_removed = self->actor->kind == REMOVER;
    uint8_t *buffer;

    if (has_written) {
        explorer_stop("a write");
        device.memory[0] = WRITTEN;
    }
    if (has_removed) {
        explorer_stop("a removal");
        device.is_gone = true;
    }
    self->asked = (RamDeviceRequest) { .budget = budgets[0] };
    buffer = map(self, &self->actor->requests[0][0]);
    if (buffer != held) {
        broken("%s doesn't share the buffer", self->actor->name);
    }
    if (ram_device_fill(buffer, PAGE) && has_removed) {
        broken("a device that is gone is read");
    }
    explorer_stop("a look");
    if (has_written && buffer[0] != WRITTEN) {
        broken("what was in the device before is in the buffer again");
    }
    if (buffer[0] != BEFORE && buffer[0] != WRITTEN) {
        broken("what was never in the device is in the buffer: %#x", buffer[0]);
    }
    ram_device_unmap(buffer, false, 0);
}

/* The pool is as it was before there was any DMA */
static void free_all_chunks(void)
{
    RamDeviceChunk *chunk, *next;

    QTAILQ_FOREACH_SAFE(chunk, &pool.chunks, next, next) {
        chunk_free(chunk);
    }
}

static void begin(void)
{
    static void (*const runs[])(void *) = {
        [QUEUE] = run_queue, [CLIENT] = run_client, [RESET] = run_queue,
        [IDLER] = run_queue, [REFILLER] = run_reader, [NEWCOMER] = run_reader,
        [REMOVER] = run_reader, [RESETTER] = run_resetter,
        [UNPLUGGER] = run_unplugger, [EJECTOR] = run_ejector,
        [SHORTAGE] = run_shortage,
    };

    device.owner.ref = 1;
    memset(&map_of_memory, 0, sizeof(map_of_memory));
    memset(&main_loop, 0, sizeof(main_loop));
    has_rung = false;
    memset(&host, 0, sizeof(host));
    if (scenario->chunks) {
        free_all_chunks();
    }
    memset(running, 0, sizeof(running));
    memset(bhs, 0, sizeof(bhs));
    for (unsigned i = 0; i < BUDGETS; i++) {
        bool is_space = false;

        for (unsigned j = 0; j < ACTORS; j++) {
            is_space |= scenario->actors[j].kind == CLIENT &&
                        scenario->actors[j].budget == i;
        }
        budgets[i] = ram_device_budget_new(is_space ? NULL : &bhs[i]);
        QLIST_INIT(&spaces[i].map_client_list);
        spaces[i].max_bounce_buffer_size = PAGE;
        spaces[i].ram_device_budget = budgets[i];
        if (!is_space) {
            explorer_add("bottom half", run_bh, &bhs[i], true);
        }
    }
    for (unsigned i = 0; i < ACTORS; i++) {
        const Actor *actor = &scenario->actors[i];

        if (actor->kind != NONE) {
            running[i].actor = actor;
            overdraws[actor->budget] |= actor->overdraw;
            explorer_add(actor->name, runs[actor->kind], &running[i], false);
        }
    }
    if (has(IDLER)) {
        explorer_add("timer", run_timer, NULL, true);
    }
    if (has(EJECTOR)) {
        explorer_add("main loop", run_main_loop, NULL, true);
    }
    if (has_readers()) {
        RamDeviceRequest request = { .budget = budgets[0] };
        hwaddr len = PAGE;

        device.memory[0] = BEFORE;
        device.is_gone = false;
        held = ram_device_map(&device.mr, 0, &len, false, &request);
        ram_device_fill(held, len);
    }
}

static void end(void)
{
    if (held) {
        ram_device_unmap(held, false, 0);
        held = NULL;
    }
    for (unsigned i = 0; i < BUDGETS; i++) {
        if (!QLIST_EMPTY(&spaces[i].map_client_list)) {
            broken("a client is left in address space %u", i);
        }
    }
    check_that_nothing_is_left();
    if (device.owner.ref != !has(EJECTOR)) {
        broken("%u references to the device are left",
               device.owner.ref - !has(EJECTOR));
    }
    if (has(EJECTOR) != map_of_memory.is_finalized || main_loop.cb) {
        broken("the device isn't finalized");
    }
    if (!has(CLIENT) && host.refusals != host.requests_failed) {
        broken("%u requests have failed, and the host has refused %u times",
               host.requests_failed, host.refusals);
    }
}

static uint64_t mixed(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

/* All that decides what can follow, but for where in a chunk a buffer is */
static uint64_t state(void)
{
    uint64_t hash = 0, buffers = 0;

    for (unsigned i = 0; i < ACTORS + BUDGETS + 1; i++) {
        hash = mixed(hash, explorer_place(i));
    }
    for (unsigned i = 0; i < ACTORS; i++) {
        const Running *self = &running[i];

        hash = mixed(hash, self->request << 8 | self->piece);
        hash = mixed(hash, self->asked.held << 20 | self->asked.need);
        hash = mixed(hash, self->asked.answer << 4 | self->waiter.waits << 2 |
                           self->waiter.has_turn << 1 | self->bh.is_scheduled);
        hash = mixed(hash, self->turns << 3 | self->is_reset << 2 |
                           self->is_unplugged << 1 | self->has_ended);
    }
    hash = mixed(hash, device.owner.ref << 8 | map_of_memory.readers);
    hash = mixed(hash, map_of_memory.is_ejected << 2 | !!main_loop.cb << 1 |
                       has_rung);
    if (scenario->chunks) {
        hash = mixed(hash, g_hash_table_size(pool.by_address) << 8 |
                           pool.free_chunks);
        hash = mixed(hash, host.requests_failed << 8 | host.refusals << 1 |
                           host.is_short);
    }
    for (unsigned i = 0; i < BUDGETS; i++) {
        const RamDeviceBudget *budget = budgets[i];
        AddressSpaceMapClient *client;
        unsigned clients = 0;

        QLIST_FOREACH(client, &spaces[i].map_client_list, link) {
            clients |= 1u << (container_of(client->bh, Running, bh) - running);
        }
        hash = mixed(hash, clients << 2 | bhs[i].is_scheduled << 1 |
                           bhs[i].is_running);
        if (budget) {
            const RamDeviceWaiter *waiter;

            hash = mixed(hash, budget->used << 1 | budget->is_short);
            QTAILQ_FOREACH(waiter, &budget->waiters, next) {
                hash = mixed(hash, waiter->need << 3 |
                                   (container_of(waiter, Running, waiter) -
                                    running));
            }
        }
    }
    for (unsigned is_write = 0; is_write < 2; is_write++) {
        IntervalTreeNode *node;

        for (node = interval_tree_iter_first(&pool.buffers[is_write], 0, -1);
             node; node = interval_tree_iter_next(node, 0, -1)) {
            const RamDeviceBuffer *buffer =
                container_of(node, RamDeviceBuffer, node);
            uint64_t one = mixed(node->start, node->last);

            for (unsigned i = 0; i < BUDGETS; i++) {
                one = mixed(one, buffer->budget == budgets[i]);
            }
            buffers += mixed(one, buffer->users << 2 | buffer->has_data << 1 |
                                  buffer->is_write);
        }
    }
    return mixed(hash, buffers);
}

int main(int argc, char **argv)
{
    Exploration exploration = { .begin = begin, .end = end };

    fake_device_init(&device, DEVICE_SIZE);
    for (unsigned i = 0; i < ARRAY_SIZE(scenarios); i++) {
        Explored explored;

        scenario = &scenarios[i];
        if (strcmp(scenario->name, argv[1])) {
            continue;
        }
        ram_device_buffer_size = LIMIT_PAGES * page_size();
        exploration.state = argc > 2 || has_readers() ? NULL : state;
        explored = explore(&exploration);
        printf("%u runs, %u states, %u turns\n", explored.runs,
               explored.states, most_turns);
        return 0;
    }
    broken("no scenario %s", argv[1]);
}
