/*
 * system/ram-device-pool.c itself, with what its tests look at
 *
 * POOL_SOURCE is the file.  A program includes this header once, so that it
 * sees what the pool keeps to itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef POOL_SOURCE_H
#define POOL_SOURCE_H

#include "qemu/osdep.h"
#include "qemu/interval-tree.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "qemu/mmap-alloc.h"
#include "system/dma.h"
#include "system/ram-device-pool.h"
#include "trace/trace-system.h"
#include "fake_qemu.h"

/*
 * The pool copies by memcpy() into buffers that others use, who see it as they
 * would see DMA into RAM.  It is the only race that is meant, so the program
 * has a function for it.
 */
static void copy_contents(void *to, const void *from, size_t len);

/* A program may do something before each lock guard of the pool */
#ifndef AT_GUARD
#define AT_GUARD(function, line)
#endif

/* And between reading a reference count and changing it */
#ifdef AT_EXCHANGE
static uint32_t exchanged_later(uint32_t *at, uint32_t old, uint32_t becomes)
{
    AT_EXCHANGE(old);
    return qatomic_cmpxchg(at, old, becomes);
}
#undef qatomic_cmpxchg
#define qatomic_cmpxchg exchanged_later
#endif

/* Allocations of the pool that haven't been freed */
static int pool_allocations;

static void *counted_alloc(size_t size)
{
    qatomic_inc(&pool_allocations);
    return g_malloc0(size);
}

static void counted_free(void *memory)
{
    qatomic_dec(&pool_allocations);
    g_free(memory);
}

#undef g_new0
#define g_new0(type, count) ((type *)counted_alloc(sizeof(type) * (count)))
#define g_free counted_free
#define memcpy copy_contents
#undef QEMU_LOCK_GUARD
#define QEMU_LOCK_GUARD(x)                                                   \
    AT_GUARD(__func__, __LINE__);                                            \
    g_autoptr(QemuLockable) glue(qemu_lockable_auto, __COUNTER__)            \
        G_GNUC_UNUSED = qemu_lockable_auto_lock(QEMU_MAKE_LOCKABLE((x)))
#undef WITH_QEMU_LOCK_GUARD
#define WITH_QEMU_LOCK_GUARD(x)                                              \
    AT_GUARD(__func__, __LINE__);                                            \
    WITH_QEMU_LOCK_GUARD_((x), glue(qemu_lockable_auto, __COUNTER__))
#ifdef AT_MMAP
#define mmap AT_MMAP
#endif
#include POOL_SOURCE
#undef g_free
#undef memcpy
#undef mmap

/* Budgets that must be as they should whenever the pool is unlocked */
#define BUDGETS 3
static RamDeviceBudget *budgets[BUDGETS];
static bool overdraws[BUDGETS]; /* has requests that must not wait */

/* What they were when the pool was unlocked last */
static struct {
    uint64_t used;
    const RamDeviceWaiter *first, *turn;
} before[BUDGETS];

/* The program's own: is a bottom half going to be run? */
static bool bh_is_due(QEMUBH *bh);

/*
 * C9: bounded memory; who has waited for longest has its turn as soon as there
 * is enough, and not before; and until it has taken that nobody else takes any
 */
static void check_budgets(void)
{
    for (int i = 0; i < BUDGETS; i++) {
        const RamDeviceBudget *budget = budgets[i];
        const uint64_t used_before = before[i].used;
        const RamDeviceWaiter *was_first = before[i].first;
        const RamDeviceWaiter *had_turn = before[i].turn;
        const RamDeviceWaiter *first, *turn;

        memset(&before[i], 0, sizeof(before[i]));
        if (!budget) {
            continue;
        }
        first = QTAILQ_FIRST(&budget->waiters);
        turn = budget->turn;
        before[i].used = budget->used;
        before[i].first = first;
        before[i].turn = turn;
        if (was_first && !had_turn && budget->used > used_before &&
            !overdraws[i]) {
            broken("budget %d is taken from, though somebody waits", i);
        }
        if (turn && turn != had_turn && turn == was_first &&
            budget->used + turn->need > ram_device_buffer_size) {
            broken("budget %d has a turn, without being enough", i);
        }
        if (turn && turn != had_turn && was_first && turn != was_first) {
            broken("budget %d has a turn, out of turn", i);
        }
        if ((was_first && was_first->waits && first != was_first &&
             first != had_turn) ||
            (had_turn && had_turn->waits && first != had_turn)) {
            broken("somebody is put before who waits for longest");
        }
        if (budget->used > ram_device_buffer_size << overdraws[i]) {
            broken("budget %d has %" PRIu64 " bytes in use", i, budget->used);
        }
        if (first && !turn && !bh_is_due(budget->bh) &&
            budget->used + first->need <= ram_device_buffer_size) {
            broken("budget %d is awaited, though there is enough", i);
        }
    }
}

/* Chunks, buffers and budgets say the same of each page */
static void check_chunks(void)
{
    uint64_t used[BUDGETS] = {};
    unsigned chunks = 0, free_chunks = 0;
    RamDeviceChunk *chunk;

    QTAILQ_FOREACH(chunk, &pool.chunks, next) {
        unsigned free = RAM_DEVICE_CHUNK_PAGES;

        for (unsigned page = 0; page < RAM_DEVICE_CHUNK_PAGES; page++) {
            const RamDeviceBuffer *buffer = chunk->owner[page];
            const bool is_used = chunk->pages.used[page / 64] >> page % 64 & 1;

            if (is_used != !!buffer) {
                broken("page %u is %s", page, is_used ? "lost" : "given twice");
            }
            if (!buffer) {
                continue;
            }
            free--;
            if (buffer->chunk != chunk || page < buffer->first ||
                page >= buffer->first + buffer->pages) {
                broken("page %u is another buffer's", page);
            }
            for (int i = 0; i < BUDGETS; i++) {
                if (buffer->budget == budgets[i]) {
                    used[i] += RAM_DEVICE_PAGE_SIZE;
                }
            }
        }
        if (free != chunk->free) {
            broken("a chunk has %u free pages, and says %u", free, chunk->free);
        }
        free_chunks += free == RAM_DEVICE_CHUNK_PAGES;
        chunks++;
    }
    if (free_chunks != pool.free_chunks ||
        chunks != g_hash_table_size(pool.by_address)) {
        broken("%u chunks, %u of them free; the pool says %u, %u", chunks,
               free_chunks, g_hash_table_size(pool.by_address),
               pool.free_chunks);
    }
    for (int i = 0; i < BUDGETS; i++) {
        if (budgets[i] && budgets[i]->used != used[i]) {
            broken("budget %d has %" PRIu64 " bytes in use, and says %" PRIu64,
                   i, used[i], budgets[i]->used);
        }
    }
}

/* All memory has come back, but the chunks that are kept */
static void check_that_nothing_is_left(void)
{
    check_chunks();
    for (int i = 0; i < BUDGETS; i++) {
        RamDeviceBudget *budget = budgets[i];

        if (budget && (budget->used || budget->turn ||
                       !QTAILQ_EMPTY(&budget->waiters))) {
            broken("budget %d has %" PRIu64 " bytes in use%s%s at the end", i,
                   budget->used, budget->turn ? ", a turn" : "",
                   QTAILQ_EMPTY(&budget->waiters) ? "" : ", and is awaited");
        }
        budgets[i] = NULL;
        ram_device_budget_close(budget);
    }
    if (pool.free_chunks != g_hash_table_size(pool.by_address) ||
        pool.free_chunks > FREE_CHUNKS_KEPT ||
        qatomic_read(&pool_allocations) != pool.free_chunks) {
        broken("%u free chunks of %u, and %d allocations at the end",
               pool.free_chunks, g_hash_table_size(pool.by_address),
               qatomic_read(&pool_allocations));
    }
    if (!interval_tree_is_empty(&pool.buffers[false]) ||
        !interval_tree_is_empty(&pool.buffers[true])) {
        broken("a buffer can be found at the end");
    }
}

#endif /* POOL_SOURCE_H */
