/*
 * Who waits for memory of the pool is woken, in whatever order all is done
 *
 * Usage: interleavings SCENARIO [all]
 *
 * Queues do as virtqueue_pop_checked() and virtio_ram_device_bh(), clients as
 * dma_blk_cb() and address_space_unmap().  MAP_CLIENTS is a file with the
 * functions of system/physmem.c that keep the clients of an address space.
 * With "all", states that are the same aren't taken as one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "explorer.h"

#define AT_GUARD explorer_at
#include "pool_source.h"
#include MAP_CLIENTS
#include "scenarios.h"

#define PAGE RAM_DEVICE_PAGE_SIZE
#define LIMIT (LIMIT_PAGES * PAGE)
#define DEVICE_SIZE (64 * PAGE)
/* What the device has in its first byte, before and after it is written to */
enum { BEFORE, WRITTEN };

struct QEMUBH {
    bool is_scheduled;
};

/* An actor in a run */
typedef struct Running {
    const Actor *actor;
    unsigned request, piece;
    bool waits;
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

void tell_state(void)
{
    explorer_tell_steps();
}

void qemu_bh_schedule(QEMUBH *bh)
{
    bh->is_scheduled = true;
}

void fake_main_loop_run(QEMUBHFunc *cb, void *opaque)
{
    cb(opaque);
}

void fake_device_finalize(FakeDevice *gone)
{
    broken("the device is finalized");
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

/* Are there those who look at what is in a buffer, which state() has not? */
static bool has_readers(void)
{
    return scenario->actors[0].kind == REFILLER;
}

static bool wake_is_due(void *opaque)
{
    return !((Running *)opaque)->waits;
}

static bool bh_is_scheduled(void *opaque)
{
    return ((QEMUBH *)opaque)->is_scheduled;
}

static bool client_bh_is_scheduled(void *opaque)
{
    return ((Running *)opaque)->bh.is_scheduled;
}

/* The bottom half of a budget, as virtio_ram_device_bh() */
static void run_bh(void *opaque)
{
    for (;;) {
        explorer_stop_until("its bottom half", bh_is_scheduled);
        ((QEMUBH *)opaque)->is_scheduled = false;
        for (unsigned i = 0; i < ACTORS; i++) {
            if (running[i].actor && &bhs[running[i].actor->budget] == opaque) {
                running[i].waits = false;
            }
        }
    }
}

static void *map(Running *self, const Piece *piece)
{
    hwaddr len = piece->pages * PAGE;

    return ram_device_map(&device.mr, piece->page * PAGE, &len,
                          self->actor->is_write, &self->asked);
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

/* As virtqueue_pop_checked(); false if the queue is reset */
static bool pop(Running *self, bool overdraw)
{
    const unsigned pieces = pieces_of(self, self->request);

    for (;;) {
        void **buffers = self->buffers[self->request];

        self->asked = (RamDeviceRequest) {
            .budget = budgets[self->actor->budget],
            .overdraw = overdraw,
        };
        for (self->piece = 0; self->piece < pieces; self->piece++) {
            buffers[self->piece] =
                map(self, &self->actor->requests[self->request][self->piece]);
            if (!buffers[self->piece]) {
                break;
            }
        }
        if (self->piece == pieces) {
            return true;
        }
        if (self->asked.answer != RAM_DEVICE_LATER || overdraw) {
            broken("%s is answered %d", self->actor->name, self->asked.answer);
        }
        unmap(self, self->request, self->piece);
        if (ram_device_wait(&self->asked, &self->waits)) {
            if (self->actor->kind == RESET) {
                self->waits = false;
                return false;
            }
            explorer_stop_until("a wait", wake_is_due);
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
        if (!pop(self, overdraw && self->request)) {
            return;
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

static void begin(void)
{
    static void (*const runs[])(void *) = {
        [QUEUE] = run_queue, [CLIENT] = run_client, [RESET] = run_queue,
        [REFILLER] = run_reader, [NEWCOMER] = run_reader,
        [REMOVER] = run_reader,
    };

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
    if (device.owner.ref != 1) {
        broken("%u references to the device are left", device.owner.ref - 1);
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

    for (unsigned i = 0; i < ACTORS + BUDGETS; i++) {
        hash = mixed(hash, explorer_place(i));
    }
    for (unsigned i = 0; i < ACTORS; i++) {
        const Running *self = &running[i];

        hash = mixed(hash, self->request << 8 | self->piece);
        hash = mixed(hash, self->asked.held << 20 | self->asked.need);
        hash = mixed(hash, self->asked.answer << 4 | self->waits << 1 |
                           self->bh.is_scheduled);
    }
    for (unsigned i = 0; i < BUDGETS; i++) {
        const RamDeviceBudget *budget = budgets[i];
        AddressSpaceMapClient *client;
        unsigned clients = 0;

        QLIST_FOREACH(client, &spaces[i].map_client_list, link) {
            clients |= 1u << (container_of(client->bh, Running, bh) - running);
        }
        hash = mixed(hash, clients << 1 | bhs[i].is_scheduled);
        if (budget) {
            hash = mixed(hash, budget->used << 20 | budget->need);
            hash = mixed(hash, budget->is_awaited << 1 | budget->is_short);
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

    ram_device_buffer_size = LIMIT;
    fake_device_init(&device, DEVICE_SIZE);
    for (unsigned i = 0; i < ARRAY_SIZE(scenarios); i++) {
        Explored explored;

        scenario = &scenarios[i];
        if (strcmp(scenario->name, argv[1])) {
            continue;
        }
        exploration.state = argc > 2 || has_readers() ? NULL : state;
        explored = explore(&exploration);
        printf("%u runs, %u states\n", explored.runs, explored.states);
        return 0;
    }
    broken("no scenario %s", argv[1]);
}
