/*
 * Buffers for DMA into RAM device regions
 *
 * See system/ram-device-pool.h.  A chunk of the pool is 2 MiB; a buffer is a
 * run of pages in one of them.  One lock guards all that is shared; it isn't
 * held while data is copied.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "qemu/interval-tree.h"
#include "qemu/lockable.h"
#include "qemu/madvise.h"
#include "qemu/main-loop.h"
#include "qemu/mmap-alloc.h"
#include "qemu/queue.h"
#include "qom/object.h"
#include "system/dma.h"
#include "system/ram-device-pool.h"
#include "system/ram-device-status.h"
#include "trace.h"

/* As many chunks stay mapped when nothing is in them */
#define FREE_CHUNKS_KEPT 32
/* More than any budget that makes sense, but bounded */
#define DISCARD_SIZE (64 * MiB)

uint64_t ram_device_buffer_size = RAM_DEVICE_BUFFER_SIZE_DEFAULT;

typedef struct RamDeviceBudget {
    uint64_t used;
    QTAILQ_HEAD(, RamDeviceWaiter) waiters; /* who waits for longest first */
    RamDeviceWaiter *turn; /* the one who was told to go on, and may ask */
    bool is_short;
    bool is_closed;
    QEMUBH *bh;
} RamDeviceBudget;

typedef struct RamDeviceChunk RamDeviceChunk;

typedef struct RamDeviceBuffer {
    IntervalTreeNode node; /* host virtual addresses of the device */
    RamDeviceChunk *chunk;
    RamDeviceBudget *budget;
    MemoryRegion *mr;
    hwaddr offset;
    unsigned first;        /* page of the chunk */
    unsigned pages;
    unsigned users;
    bool is_write;
    bool has_data;         /* filled or cleared, so that others may share it */
} RamDeviceBuffer;

struct RamDeviceChunk {
    uint8_t *memory;
    unsigned free;
    RamDevicePages pages;
    RamDeviceBuffer *owner[RAM_DEVICE_CHUNK_PAGES];
    QTAILQ_ENTRY(RamDeviceChunk) next;
};

static struct {
    QemuMutex lock;
    QemuMutex refill_lock; /* not held together with the other one */
    QTAILQ_HEAD(, RamDeviceChunk) chunks;
    GHashTable *by_address;
    unsigned free_chunks;
    IntervalTreeRoot buffers[2]; /* by direction */
    uint8_t *discard;
} pool = { .chunks = QTAILQ_HEAD_INITIALIZER(pool.chunks) };

static void __attribute__((constructor)) pool_init(void)
{
    qemu_mutex_init(&pool.lock);
    qemu_mutex_init(&pool.refill_lock);
    pool.by_address = g_hash_table_new(NULL, NULL);
}

RamDeviceBudget *ram_device_budget_new(QEMUBH *bh)
{
    RamDeviceBudget *budget = g_new0(RamDeviceBudget, 1);

    QTAILQ_INIT(&budget->waiters);
    budget->bh = bh;
    return budget;
}

/* @waiter doesn't wait any longer, nor is it its turn */
static void waiter_leave(RamDeviceWaiter *waiter)
{
    RamDeviceBudget *budget = waiter->budget;

    if (waiter->waits) {
        QTAILQ_REMOVE(&budget->waiters, waiter, next);
        qatomic_set(&waiter->waits, false);
    } else {
        budget->turn = NULL;
        qatomic_set(&waiter->has_turn, false);
    }
    waiter->budget = NULL;
}

void ram_device_budget_close(RamDeviceBudget *budget)
{
    QEMU_LOCK_GUARD(&pool.lock);
    if (budget) {
        RamDeviceWaiter *waiter, *following;

        if (budget->turn) {
            waiter_leave(budget->turn);
        }
        QTAILQ_FOREACH_SAFE(waiter, &budget->waiters, next, following) {
            waiter_leave(waiter);
        }
        budget->is_closed = true;
        if (!budget->used) {
            g_free(budget);
        }
    }
}

bool ram_device_budget_is_short(RamDeviceBudget *budget)
{
    QEMU_LOCK_GUARD(&pool.lock);
    return budget && budget->is_short;
}

static RamDeviceAnswer budget_ask(const RamDeviceRequest *request,
                                  uint64_t held, uint64_t size)
{
    const RamDeviceBudget *budget = request->budget;
    const RamDeviceAccount account = {
        .limit = ram_device_buffer_size,
        .used = budget->used,
        .is_awaited = budget->turn ? budget->turn != request->waiter
                                   : !QTAILQ_EMPTY(&budget->waiters),
    };

    return ram_device_budget_ask(&account, held, size, request->overdraw);
}

static bool has_enough_for(const RamDeviceBudget *budget,
                           const RamDeviceWaiter *waiter)
{
    return budget->used + waiter->need <= ram_device_buffer_size;
}

/* Something has changed: is it anybody's turn? */
static void budget_changed(RamDeviceBudget *budget)
{
    const RamDeviceWaiter *first = QTAILQ_FIRST(&budget->waiters);

    if (first && !budget->turn && has_enough_for(budget, first)) {
        qemu_bh_schedule(budget->bh);
    }
}

static void budget_release(RamDeviceBudget *budget, uint64_t size)
{
    budget->used -= size;
    budget->is_short = false;
    if (budget->is_closed && !budget->used) {
        g_free(budget);
    } else {
        budget_changed(budget);
    }
}

static void waiter_take_turn(RamDeviceWaiter *waiter, RamDeviceBudget *budget)
{
    waiter->budget = budget;
    budget->turn = waiter;
    qatomic_set(&waiter->has_turn, true);
}

bool ram_device_wait(const RamDeviceRequest *request)
{
    RamDeviceBudget *budget = request->budget;
    RamDeviceWaiter *waiter = request->waiter;

    QEMU_LOCK_GUARD(&pool.lock);
    waiter->need = request->need;
    if (budget_ask(request, 0, request->need) != RAM_DEVICE_LATER) {
        if (!budget->turn && QTAILQ_EMPTY(&budget->waiters)) {
            waiter_take_turn(waiter, budget);
        }
        return false;
    }
    if (waiter->has_turn) {
        /* It needs more than it knew, and keeps its place */
        waiter_leave(waiter);
        QTAILQ_INSERT_HEAD(&budget->waiters, waiter, next);
    } else {
        QTAILQ_INSERT_TAIL(&budget->waiters, waiter, next);
    }
    waiter->budget = budget;
    qatomic_set(&waiter->waits, true);
    return true;
}

RamDeviceWaiter *ram_device_next_turn(RamDeviceBudget *budget)
{
    RamDeviceWaiter *first;

    QEMU_LOCK_GUARD(&pool.lock);
    first = QTAILQ_FIRST(&budget->waiters);
    if (!first || budget->turn || !has_enough_for(budget, first)) {
        return NULL;
    }
    waiter_leave(first);
    waiter_take_turn(first, budget);
    return first;
}

void ram_device_wait_over(RamDeviceWaiter *waiter)
{
    QEMU_LOCK_GUARD(&pool.lock);
    if (waiter->budget) {
        RamDeviceBudget *budget = waiter->budget;

        waiter_leave(waiter);
        budget_changed(budget);
    }
}

void ram_device_end_turn(RamDeviceBudget *budget)
{
    QEMU_LOCK_GUARD(&pool.lock);
    if (budget->turn) {
        waiter_leave(budget->turn);
        budget_changed(budget);
    }
}

static RamDeviceChunk *chunk_new(void)
{
    const size_t size = RAM_DEVICE_CHUNK_SIZE;
    RamDeviceChunk *chunk;
    uint8_t *reserved, *memory;

    /* Twice the size has an aligned part of that size */
    reserved = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (reserved == MAP_FAILED) {
        return NULL;
    }
    memory = QEMU_ALIGN_PTR_UP(reserved, size);
    if (memory > reserved) {
        munmap(reserved, memory - reserved);
    }
    munmap(memory + size, reserved + size - memory);
    qemu_madvise(memory, size, QEMU_MADV_HUGEPAGE);
    /* As the guest's RAM: a copy on write would leave DMA in the old page */
    qemu_madvise(memory, size, QEMU_MADV_DONTFORK);

    chunk = g_new0(RamDeviceChunk, 1);
    chunk->memory = memory;
    chunk->free = RAM_DEVICE_CHUNK_PAGES;
    QTAILQ_INSERT_TAIL(&pool.chunks, chunk, next);
    g_hash_table_insert(pool.by_address, memory, chunk);
    pool.free_chunks++;
    return chunk;
}

static void chunk_free(RamDeviceChunk *chunk)
{
    QTAILQ_REMOVE(&pool.chunks, chunk, next);
    g_hash_table_remove(pool.by_address, chunk->memory);
    munmap(chunk->memory, RAM_DEVICE_CHUNK_SIZE);
    g_free(chunk);
    pool.free_chunks--;
}

/* A buffer of @pages pages in a chunk, nothing else of which is set */
static RamDeviceBuffer *buffer_new(unsigned pages)
{
    RamDeviceBuffer *buffer;
    RamDeviceChunk *chunk;
    unsigned first = RAM_DEVICE_CHUNK_PAGES;

    QTAILQ_FOREACH(chunk, &pool.chunks, next) {
        if (chunk->free >= pages) {
            first = ram_device_pages_take(&chunk->pages, pages);
            if (first < RAM_DEVICE_CHUNK_PAGES) {
                break;
            }
        }
    }
    if (!chunk) {
        chunk = chunk_new();
        if (!chunk) {
            return NULL;
        }
        first = ram_device_pages_take(&chunk->pages, pages);
    }
    if (chunk->free == RAM_DEVICE_CHUNK_PAGES) {
        pool.free_chunks--;
    }
    chunk->free -= pages;

    buffer = g_new0(RamDeviceBuffer, 1);
    buffer->chunk = chunk;
    buffer->first = first;
    buffer->pages = pages;
    for (unsigned i = 0; i < pages; i++) {
        chunk->owner[first + i] = buffer;
    }
    return buffer;
}

static uint8_t *buffer_memory(const RamDeviceBuffer *buffer)
{
    return buffer->chunk->memory +
           (size_t)buffer->first * RAM_DEVICE_PAGE_SIZE;
}

static void buffer_free(RamDeviceBuffer *buffer)
{
    RamDeviceChunk *chunk = buffer->chunk;

    interval_tree_remove(&buffer->node, &pool.buffers[buffer->is_write]);
    budget_release(buffer->budget,
                   (uint64_t)buffer->pages * RAM_DEVICE_PAGE_SIZE);
    chunk->free += buffer->pages;
    for (unsigned i = 0; i < buffer->pages; i++) {
        chunk->owner[buffer->first + i] = NULL;
    }
    if (ram_device_pages_give(&chunk->pages, buffer->first, buffer->pages)) {
        pool.free_chunks++;
        if (pool.free_chunks > FREE_CHUNKS_KEPT) {
            chunk_free(chunk);
        }
    }
    g_free(buffer);
}

/* The buffer that @pointer leads into, or NULL */
static RamDeviceBuffer *buffer_at(const void *pointer)
{
    uint8_t *memory = QEMU_ALIGN_PTR_DOWN((uint8_t *)pointer,
                                          RAM_DEVICE_CHUNK_SIZE);
    RamDeviceChunk *chunk = g_hash_table_lookup(pool.by_address, memory);

    return chunk ? chunk->owner[((uint8_t *)pointer - memory) /
                                RAM_DEVICE_PAGE_SIZE] : NULL;
}

static bool is_discard(const void *pointer)
{
    const uint8_t *p = pointer;

    return pool.discard && p >= pool.discard && p < pool.discard + DISCARD_SIZE;
}

/*
 * A buffer in use that has all of @len bytes from @host on.  Whoever gives it
 * back last tells those who wait for its budget: by the budget's bottom half,
 * or as it belongs to the same address space.
 */
static RamDeviceBuffer *buffer_sharing(const RamDeviceBudget *budget,
                                       uint64_t host, uint64_t len,
                                       bool is_write)
{
    IntervalTreeNode *node =
        interval_tree_iter_first(&pool.buffers[is_write], host, host);

    while (node) {
        RamDeviceBuffer *buffer = container_of(node, RamDeviceBuffer, node);

        if (node->start <= host && host + len - 1 <= node->last &&
            qatomic_load_acquire(&buffer->has_data) &&
            (buffer->budget->bh || buffer->budget == budget)) {
            return buffer;
        }
        node = interval_tree_iter_next(node, host, host);
    }
    return NULL;
}

static void count_refusal(MemoryRegion *mr, RamDeviceAnswer answer)
{
    ram_device_count(mr, answer == RAM_DEVICE_LATER ? RAM_DEVICE_WAITS
                                                    : RAM_DEVICE_REFUSALS, 1);
}

/* A buffer for @len bytes at @host, which are at @offset; NULL by the answer */
static RamDeviceBuffer *buffer_get(MemoryRegion *mr, hwaddr offset,
                                   uint64_t host, uint64_t len, uint64_t wanted,
                                   bool is_write, RamDeviceRequest *request)
{
    const unsigned pages = DIV_ROUND_UP(len, RAM_DEVICE_PAGE_SIZE);
    RamDeviceBuffer *buffer;

    QEMU_LOCK_GUARD(&pool.lock);
    buffer = buffer_sharing(request->budget, host, len, is_write);
    if (buffer) {
        buffer->users++;
        request->has_buffers = true;
        return buffer;
    }

    request->answer = budget_ask(request, request->held, wanted);
    if (request->answer != RAM_DEVICE_GRANTED) {
        request->need = request->held + wanted;
        request->budget->is_short |= request->answer == RAM_DEVICE_LATER;
        count_refusal(mr, request->answer);
        return NULL;
    }
    buffer = buffer_new(pages);
    if (!buffer) {
        request->answer = RAM_DEVICE_NEVER;
        count_refusal(mr, request->answer);
        return NULL;
    }
    request->budget->used += (uint64_t)pages * RAM_DEVICE_PAGE_SIZE;
    request->held += (uint64_t)pages * RAM_DEVICE_PAGE_SIZE;
    request->has_buffers = true;
    memory_region_ref(mr);
    buffer->budget = request->budget;
    buffer->mr = mr;
    buffer->offset = offset;
    buffer->users = 1;
    buffer->is_write = is_write;
    buffer->node.start = host;
    buffer->node.last = host + len - 1;
    interval_tree_insert(&buffer->node, &pool.buffers[is_write]);
    return buffer;
}

void *ram_device_map(MemoryRegion *mr, hwaddr offset, hwaddr *len,
                     bool is_write, RamDeviceRequest *request)
{
    const uint64_t wanted = ROUND_UP(*len, RAM_DEVICE_PAGE_SIZE);
    RamDeviceBuffer *buffer;
    uint8_t *pointer;
    RamDevice rd;
    uint64_t host;

    *len = MIN(*len, RAM_DEVICE_CHUNK_SIZE);
    if (!memory_region_get_ram_device(mr, &rd)) {
        g_assert_not_reached();
    }
    host = (uintptr_t)rd.host + offset;
    request->answer = RAM_DEVICE_GRANTED;
    buffer = buffer_get(mr, offset, host, *len, wanted, is_write, request);
    if (!buffer) {
        return NULL;
    }
    pointer = buffer_memory(buffer) + (host - buffer->node.start);
    if (is_write && !buffer->has_data) {
        /* What is flushed and was never written isn't somebody else's data */
        memset(pointer, 0, *len);
        qatomic_store_release(&buffer->has_data, true);
    }
    return pointer;
}

/*
 * Read the device into a buffer that others use.  As in RAM they will find what
 * the driver has written there meanwhile, but never what a device that is gone
 * reads as; nor, since it is one at a time, by pool.refill_lock, what another
 * one has replaced.  Each part ends with a word of the device's, so that all of
 * them are made of the accesses of one transfer.
 */
static bool refill(const RamDevice *rd, uint64_t offset, void *ram,
                   uint64_t len)
{
    uint8_t part[RAM_DEVICE_PAGE_SIZE];
    uint8_t *buffer = ram;

    while (len) {
        const uint64_t at = (uintptr_t)rd->host + offset;
        const uint64_t l = MIN(len, sizeof(part) - at % sizeof(uint64_t));

        if (!ram_device_read(rd, offset, part, l)) {
            return false;
        }
        memcpy(buffer, part, l);
        offset += l;
        buffer += l;
        len -= l;
    }
    return true;
}

typedef bool DeviceCopy(const RamDevice *rd, uint64_t offset, void *ram,
                        uint64_t len);

static bool flush(const RamDevice *rd, uint64_t offset, void *ram, uint64_t len)
{
    return ram_device_write(rd, offset, ram, len);
}

/* Where in the region a pointer into its buffer is */
static hwaddr offset_of(const RamDeviceBuffer *buffer, const void *pointer)
{
    return buffer->offset + ((uint8_t *)pointer - buffer_memory(buffer));
}

/* The region's first byte behind what the buffer has */
static hwaddr end_of(const RamDeviceBuffer *buffer)
{
    return buffer->offset + (buffer->node.last - buffer->node.start) + 1;
}

/* Copy between a part of a buffer and the device; false if that is gone */
static bool copy_part(const RamDeviceBuffer *buffer, void *pointer, hwaddr len,
                      DeviceCopy *copy)
{
    const hwaddr offset = offset_of(buffer, pointer);
    MemoryRegion *mr = buffer->mr;
    const bool is_write = copy == flush;
    const int64_t begun = g_get_monotonic_time();
    RamDevice rd;

    if (ram_device_is_given_up(mr)) {
        ram_device_count(mr, RAM_DEVICE_FAULTS, 1);
        return false;
    }
    memory_region_get_ram_device(mr, &rd);
    trace_memory_region_ram_device_copy(memory_region_name(mr), offset, len,
                                        is_write);
    if (!copy(&rd, offset, pointer, len)) {
        if (ram_device_access_failed(mr, offset, len, is_write)) {
            ram_device_has_waited(mr, begun);
        }
        return false;
    }
    ram_device_count(mr, is_write ? RAM_DEVICE_BYTES_WRITTEN
                                  : RAM_DEVICE_BYTES_READ, len);
    return true;
}

bool ram_device_fill(void *pointer, hwaddr len)
{
    RamDeviceBuffer *buffer;
    bool is_shared, done = false;

    WITH_QEMU_LOCK_GUARD(&pool.lock) {
        buffer = buffer_at(pointer);
        if (!buffer) {
            return true;
        }
        is_shared = buffer->has_data;
    }
    if (is_shared) {
        WITH_QEMU_LOCK_GUARD(&pool.refill_lock) {
            done = copy_part(buffer, pointer, len, refill);
        }
        return done;
    }
    done = copy_part(buffer, pointer, len, ram_device_read);
    if (done) {
        QEMU_LOCK_GUARD(&pool.lock);
        buffer->has_data = true;
    }
    return done;
}

/*
 * Whoever drops the last reference to an unplugged device must be the main
 * loop: finalizing it takes the BQL and changes the memory map.
 */
static void unref_in_main_loop(void *opaque)
{
    memory_region_unref(opaque);
}

static void region_unref(MemoryRegion *mr)
{
    uint32_t refs = mr->owner ? qatomic_read(&mr->owner->ref) : 0;

    while (refs > 1) {
        const uint32_t old = qatomic_cmpxchg(&mr->owner->ref, refs, refs - 1);

        if (old == refs) {
            return;
        }
        refs = old;
    }
    aio_bh_schedule_oneshot(qemu_get_aio_context(), unref_in_main_loop, mr);
}

bool ram_device_unmap(void *pointer, bool is_write, hwaddr access_len)
{
    RamDeviceBuffer *buffer;
    MemoryRegion *mr = NULL;

    WITH_QEMU_LOCK_GUARD(&pool.lock) {
        if (is_discard(pointer)) {
            return true;
        }
        buffer = buffer_at(pointer);
        if (!buffer) {
            return false;
        }
    }
    access_len = MIN(access_len, end_of(buffer) - offset_of(buffer, pointer));
    if (is_write && access_len) {
        copy_part(buffer, pointer, access_len, flush);
        memory_region_ram_device_written(buffer->mr, offset_of(buffer, pointer),
                                         access_len);
    }
    WITH_QEMU_LOCK_GUARD(&pool.lock) {
        if (!--buffer->users) {
            mr = buffer->mr;
            buffer_free(buffer);
        }
    }
    if (mr) {
        region_unref(mr);
    }
    return true;
}

void ram_device_update(const RamDevice *rd, hwaddr offset, const void *data,
                       hwaddr len)
{
    const uint64_t first = (uintptr_t)rd->host + offset;
    const uint64_t last = first + len - 1;
    IntervalTreeRoot *buffers = &pool.buffers[true];
    IntervalTreeNode *node;

    if (!qatomic_read(&buffers->rb_root.rb_node)) {
        return;
    }
    QEMU_LOCK_GUARD(&pool.lock);
    for (node = interval_tree_iter_first(buffers, first, last); node;
         node = interval_tree_iter_next(node, first, last)) {
        RamDeviceBuffer *buffer = container_of(node, RamDeviceBuffer, node);
        const uint64_t from = MAX(node->start, first);

        if (!qatomic_load_acquire(&buffer->has_data)) {
            continue;
        }
        memcpy(buffer_memory(buffer) + (from - node->start),
               (const uint8_t *)data + (from - first),
               MIN(node->last, last) - from + 1);
    }
}

bool ram_device_is_buffer(const void *pointer)
{
    QEMU_LOCK_GUARD(&pool.lock);
    return buffer_at(pointer) || is_discard(pointer);
}

void *ram_device_discard(hwaddr *len)
{
    QEMU_LOCK_GUARD(&pool.lock);
    if (!pool.discard) {
        void *memory = mmap(NULL, DISCARD_SIZE, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (memory == MAP_FAILED) {
            return NULL;
        }
        pool.discard = memory;
    }
    *len = MIN(*len, DISCARD_SIZE);
    return pool.discard;
}
