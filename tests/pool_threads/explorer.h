/*
 * Every order in which a few actors can take the steps between their locks
 *
 * Actors are coroutines.  Each stops before it takes a mutex, and where it
 * calls explorer_stop(); what it does between two stops is one step.  There is
 * a run for each choice that can be made in a state, each from the start on,
 * and each to its end: who has always the first actor go on gets there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef EXPLORER_H
#define EXPLORER_H

#include "qemu/osdep.h"
#include "qemu/thread.h"

typedef struct Explored {
    unsigned runs;
    unsigned states; /* different ones, if they are told apart */
} Explored;

typedef struct Exploration {
    /* Called before each run, to add actors and set all up */
    void (*begin)(void);
    /* Called when none can go on, and all but the endless ones have ended */
    void (*end)(void);
    /* 64 bits that tell states from each other, or NULL: none counts as known */
    uint64_t (*state)(void);
} Exploration;

/* Add an actor to the run.  An endless one may wait for ever in the end. */
void explorer_add(const char *name, void (*act)(void *), void *opaque,
                  bool is_endless);

/* Called by an actor: let others go first, if they want to */
void explorer_stop(const char *place);

/* The same, where a place has several states, which @number tells apart */
void explorer_stop_at(const char *place, int number);

/* Called by an actor: go on when @condition, given its opaque, says so */
void explorer_stop_until(const char *place, bool (*condition)(void *));

/* Called by an actor: the lock that it takes next is taken there */
void explorer_at(const char *function, int line);

/* The program's own: a mutex has been unlocked */
void explorer_unlocked(void);

/* A number for the place where actor @number has stopped */
uint64_t explorer_place(unsigned number);

/* Make all the runs there are */
Explored explore(const Exploration *exploration);

/* Print the steps of the run so far */
void explorer_tell_steps(void);

#endif /* EXPLORER_H */
