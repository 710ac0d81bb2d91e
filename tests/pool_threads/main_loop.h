/*
 * A main loop for threads that wait for memory of the pool
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef MAIN_LOOP_H
#define MAIN_LOOP_H

#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "system/dma.h"
#include "system/ram-device-pool.h"

/* A thread that takes requests off a queue, as virtqueue_pop() does */
typedef struct Worker {
    pthread_t thread;
    pthread_cond_t wake;
    unsigned number;
    unsigned seed;
    QEMUBH *bh;     /* of the budget that it has */
    RamDeviceWaiter waiter;
    bool is_parked; /* in main_loop_park() */
} Worker;

/* A bottom half that wakes the workers that wait, one at a time */
QEMUBH *main_loop_bh_new(void);

/* The budget whose turns it gives */
void main_loop_bh_set_budget(QEMUBH *bh, struct RamDeviceBudget *budget);

/* Is it going to be run, or run at present? */
bool main_loop_bh_is_due(QEMUBH *bh);

/* Called before there are workers, by the thread that runs the main loop */
void main_loop_begin(unsigned count);

/*
 * Run bottom halves until all workers have called main_loop_leave().  If all of
 * those that are left wait, and nothing is scheduled, a wake-up is lost.
 */
void main_loop_run(Worker *workers, unsigned count);

/* Called by a worker: sleep until it has been woken */
void main_loop_park(Worker *worker);

/* Called by a worker: it has nothing more to do */
void main_loop_leave(Worker *worker);

/* Is this the thread that runs the main loop? */
bool main_loop_is_here(void);

/* Bottom halves that have been run for workers */
extern unsigned main_loop_wakes;

#endif /* MAIN_LOOP_H */
