# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines of the pool without which a sentence isn't kept: what they are, what they become, and what is said then."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Break:
    """An edit of system/ram-device-pool.c, and what a program says of it, the one of interleavings in a scenario."""

    was: str
    becomes: str
    said: str
    scenario: str = "two requests"


LET_OTHERS_IN = "qemu_mutex_unlock(&pool.lock); qemu_mutex_lock(&pool.lock);"

WAKING = {
    "the bottom half is not scheduled": Break(
        "        qemu_bh_schedule(budget->bh);\n", "", "is awaited, though there is enough"),
    "a turn that is over is kept": Break(
        "        budget->turn = NULL;\n", "", "bytes in use, a turn"),
    "what exactly fits is no reason to wake": Break(
        "budget->used + waiter->need <= ram_device_buffer_size", "budget->used + waiter->need < ram_device_buffer_size",
        "is awaited, though there is enough"),
    "who is to wait does not ask again": Break(
        "RAM_DEVICE_LATER) {\n        if (!budget->turn", "RAM_DEVICE_LATER && false) {\n        if (!budget->turn",
        "is awaited, though there is enough"),
    "others come between asking and waiting": Break(
        "    if (waiter->has_turn) {\n        /* It",
        f"    {LET_OTHERS_IN}\n    if (waiter->has_turn) {{\n        /* It",
        "is awaited, though there is enough"),
    "others come between waiting and saying so": Break(
        "    qatomic_set(&waiter->waits, true);\n", f"    {LET_OTHERS_IN}\n    qatomic_set(&waiter->waits, true);\n",
        "lost wake-up"),
}

SERVING = {
    "who comes first takes what others wait for": Break(
        "? budget->turn != request->waiter\n                                   : !QTAILQ_EMPTY(&budget->waiters)",
        "? false : false", "is taken from, though somebody waits", "three queues"),
    "it is anybody's turn": Break(
        "? budget->turn != request->waiter\n", "? false\n", "takes memory out of turn", "three queues"),
    "it is a turn as soon as anything comes back": Break(
        "budget->turn || !has_enough_for(budget, first)) {", "budget->turn) {", "has a turn, without being enough",
        "three queues"),
    "a bottom half that has nothing to do ends a turn": Break(
        "first || budget->turn || !has", "first || !has", "waits again", "requests of two pieces"),
    "who comes last is the first": Break(
        "        QTAILQ_INSERT_TAIL(&budget->waiters,", "        QTAILQ_INSERT_HEAD(&budget->waiters,",
        "is put before who waits for longest", "three queues"),
    "who needs more than it knew is the last": Break(
        "        QTAILQ_INSERT_HEAD(&budget->waiters,", "        QTAILQ_INSERT_TAIL(&budget->waiters,",
        "is put before who waits for longest", "requests of two pieces"),
    "two who needn't wait refuse each other again": Break(
        "            waiter_take_turn(waiter, budget);\n", "", "waits for the", "requests of two pieces"),
    "a turn that is not taken is never over": Break(
        "        waiter_leave(budget->turn);\n        budget_changed(budget);\n", "", "steps, and no end",
        "a queue that does not take its turn"),
    "nobody is told when a turn was not taken": Break(
        "        waiter_leave(budget->turn);\n        budget_changed(budget);\n",
        "        waiter_leave(budget->turn);\n",
        "is awaited, though there is enough", "a queue that does not take its turn"),
    "nobody is told when a queue waits no longer": Break(
        "        waiter_leave(waiter);\n        budget_changed(budget);\n",
        "        waiter_leave(waiter);\n        (void)budget;\n",
        "is awaited, though there is enough", "a queue that is reset while it waits"),
    "what does not fit is granted": Break(
        "    if (request->answer != RAM_DEVICE_GRANTED) {", "    if (request->answer == RAM_DEVICE_NEVER) {",
        "bytes in use", "three queues"),
}

LEAVING = {
    "a budget that is closed keeps those who wait": Break(
        "            waiter_leave(waiter);\n        }\n        budget->is_closed",
        "        }\n        budget->is_closed",
        "lost wake-up", "a device that is unplugged while its queue waits"),
    "a budget that is closed is kept": Break(
        "budget->is_closed && !budget->used", "budget->is_closed && false",
        "allocations at the end", "a device that is unplugged while its queue waits"),
    "a reference is kept": Break(
        "        region_unref(mr);\n", "", "references to the device", "a device that is ejected under requests"),
    "none is taken": Break(
        "    memory_region_ref(mr);\n", "", "the last reference is dropped twice",
        "a device that is ejected under requests"),
    "two drop their references at once, and neither is the last": Break(
        "        const uint32_t old = qatomic_cmpxchg(&mr->owner->ref, refs, refs - 1);\n",
        "        const uint32_t old = refs + 0 * qatomic_cmpxchg(&mr->owner->ref, refs, refs);\n"
        "        qatomic_dec(&mr->owner->ref);\n",
        "the device isn't finalized", "a device that is ejected under requests"),
    "the last reference is dropped where the buffer is given back": Break(
        "        region_unref(mr);\n", "        memory_region_unref(mr);\n", "outside of the main loop",
        "a queue that waits for a device that is ejected"),
}

REFUSED_BY_THE_HOST = {
    "memory that there is none of is charged": Break(
        "    buffer = buffer_new(pages);\n",
        "    request->budget->used += (uint64_t)pages * RAM_DEVICE_PAGE_SIZE;\n    buffer = buffer_new(pages);\n"
        "    if (buffer) {\n        request->budget->used -= (uint64_t)pages * RAM_DEVICE_PAGE_SIZE;\n    }\n",
        "bytes in use", "memory that the host refuses a client"),
    "who was refused memory by the host waits": Break(
        "        request->answer = RAM_DEVICE_NEVER;\n", "        request->answer = RAM_DEVICE_LATER;\n",
        "the host has refused 1 times", "memory that the host refuses a queue"),
    "a reference is taken before there is memory": Break(
        "    buffer = buffer_new(pages);\n", "    memory_region_ref(mr);\n    buffer = buffer_new(pages);\n"
        "    if (buffer) {\n        memory_region_unref(mr);\n    }\n",
        "references to the device", "memory that the host refuses when a budget is full"),
}

OF_SHARED = (
    "qatomic_load_acquire(&buffer->has_data) &&\n"
    "            (buffer->budget->bh || buffer->budget == budget)) {"
)
SHARING = {
    "an address space's memory is given back by another one": Break(
        OF_SHARED, "buffer->has_data) {",
        "lost wake-up", "address spaces that share"),
    "a queue gives an address space's memory back": Break(
        OF_SHARED, "buffer->has_data) {",
        "lost wake-up", "a queue and clients that share"),
    "two read the device again at the same time": Break(
        "WITH_QEMU_LOCK_GUARD(&pool.refill_lock) {\n", "{\n", "is in the buffer again", "a buffer that two read again"),
    "a device that is gone is read into a buffer that others use": Break(
        "pointer, len, refill)", "pointer, len, ram_device_read)",
        "what was never in the device", "a buffer that is read again when the device is gone"),
}

THREADS = {
    "a tree is looked at that is changed by plain stores": Break(
        "buffers->rb_root.rb_node", "buffers->rb_leftmost", "ThreadSanitizer: data race"),
    "an update takes no lock": Break(
        "    QEMU_LOCK_GUARD(&pool.lock);\n    for (node", "    for (node", "ThreadSanitizer: data race"),
    "who is to wait takes no lock": Break(
        "    QEMU_LOCK_GUARD(&pool.lock);\n    waiter->need", "    waiter->need",
        "ThreadSanitizer: data race"),
    "the bottom half is not scheduled": WAKING["the bottom half is not scheduled"],
    "a reference is dropped where the buffer is given back": Break(
        "        region_unref(mr);\n", "        memory_region_unref(mr);\n", "is dropped in a thread"),
    "a reference is kept": Break(
        "        region_unref(mr);\n", "", "references to device"),
    "buffers are not told what is written past them": Break(
        "        memcpy(buffer_memory(buffer) + (from - node->start),\n"
        "               (const uint8_t *)data + (from - first),\n"
        "               MIN(node->last, last) - from + 1);\n",
        "        (void)buffer, (void)from, (void)data;\n", "of another time"),
    "a chunk counts its free pages wrongly": Break(
        "    chunk->free += buffer->pages;\n", "", "free pages, and says"),
    "no chunk is unmapped": Break(
        "pool.free_chunks > FREE_CHUNKS_KEPT", "false", "at the end"),
    "a budget that is closed is kept": Break(
        "budget->is_closed && !budget->used", "budget->is_closed && false",
        "allocations at the end"),
    "what does not fit is granted": Break(
        "    if (request->answer != RAM_DEVICE_GRANTED) {", "    if (request->answer == RAM_DEVICE_NEVER) {",
        "bytes in use"),
}  # fmt: skip
