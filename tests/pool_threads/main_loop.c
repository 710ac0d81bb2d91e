/*
 * A main loop for threads that wait for memory of the pool
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "fake_qemu.h"
#include "main_loop.h"

struct QEMUBH {
    struct RamDeviceBudget *budget;
    bool is_scheduled;
    bool is_due;
    QEMUBH *next;
};

typedef struct Call {
    QEMUBHFunc *cb;
    void *opaque;
    struct Call *next;
} Call;

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    QEMUBH *bhs;
    Call *calls;
    unsigned left; /* workers that haven't left */
    pthread_t thread;
} loop = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .changed = PTHREAD_COND_INITIALIZER,
};

unsigned main_loop_wakes;

QEMUBH *main_loop_bh_new(void)
{
    QEMUBH *bh = g_new0(QEMUBH, 1);

    bh->next = loop.bhs;
    loop.bhs = bh;
    return bh;
}

void main_loop_bh_set_budget(QEMUBH *bh, struct RamDeviceBudget *budget)
{
    bh->budget = budget;
}

bool main_loop_bh_is_due(QEMUBH *bh)
{
    bool is_due;

    pthread_mutex_lock(&loop.lock);
    is_due = bh->is_due;
    pthread_mutex_unlock(&loop.lock);
    return is_due;
}

void main_loop_begin(unsigned count)
{
    loop.thread = pthread_self();
    loop.left = count;
}

void qemu_bh_schedule(QEMUBH *bh)
{
    pthread_mutex_lock(&loop.lock);
    bh->is_scheduled = true;
    bh->is_due = true;
    pthread_cond_signal(&loop.changed);
    pthread_mutex_unlock(&loop.lock);
}

void fake_main_loop_run(QEMUBHFunc *cb, void *opaque)
{
    Call *call = g_new0(Call, 1);

    call->cb = cb;
    call->opaque = opaque;
    pthread_mutex_lock(&loop.lock);
    call->next = loop.calls;
    loop.calls = call;
    pthread_cond_signal(&loop.changed);
    pthread_mutex_unlock(&loop.lock);
}

bool main_loop_is_here(void)
{
    return pthread_equal(pthread_self(), loop.thread);
}

void main_loop_park(Worker *worker)
{
    pthread_mutex_lock(&loop.lock);
    worker->is_parked = true;
    pthread_cond_signal(&loop.changed);
    while (qatomic_read(&worker->waiter.waits)) {
        pthread_cond_wait(&worker->wake, &loop.lock);
    }
    worker->is_parked = false;
    pthread_mutex_unlock(&loop.lock);
}

void main_loop_leave(Worker *worker)
{
    pthread_mutex_lock(&loop.lock);
    loop.left--;
    pthread_cond_signal(&loop.changed);
    pthread_mutex_unlock(&loop.lock);
}

/* Do all that is scheduled, as virtio_next_turn() does; was there any? */
static bool run_scheduled(void)
{
    bool any = loop.calls;

    while (loop.calls) {
        Call *call = loop.calls;

        loop.calls = call->next;
        pthread_mutex_unlock(&loop.lock);
        call->cb(call->opaque);
        g_free(call);
        pthread_mutex_lock(&loop.lock);
    }
    for (QEMUBH *bh = loop.bhs; bh; bh = bh->next) {
        RamDeviceWaiter *waiter;

        if (!bh->is_scheduled) {
            continue;
        }
        bh->is_scheduled = false;
        any = true;
        main_loop_wakes++;
        pthread_mutex_unlock(&loop.lock);
        waiter = ram_device_next_turn(bh->budget);
        pthread_mutex_lock(&loop.lock);
        bh->is_due = bh->is_scheduled;
        if (waiter) {
            pthread_cond_signal(&container_of(waiter, Worker, waiter)->wake);
        }
    }
    return any;
}

static bool is_idle(void)
{
    for (const QEMUBH *bh = loop.bhs; bh; bh = bh->next) {
        if (bh->is_scheduled) {
            return false;
        }
    }
    return loop.left && !loop.calls;
}

static bool nobody_goes_on(const Worker *workers, unsigned count)
{
    unsigned waiting = 0;

    for (unsigned i = 0; i < count; i++) {
        waiting += workers[i].is_parked &&
                   qatomic_read(&workers[i].waiter.waits);
    }
    return waiting == loop.left;
}

void main_loop_run(Worker *workers, unsigned count)
{
    pthread_mutex_lock(&loop.lock);
    while (run_scheduled() || loop.left) {
        if (is_idle()) {
            if (nobody_goes_on(workers, count)) {
                broken("lost wake-up: %u threads wait, and none else is left",
                       loop.left);
            }
            pthread_cond_wait(&loop.changed, &loop.lock);
        }
    }
    pthread_mutex_unlock(&loop.lock);
}
