/*
 * What a few queues and clients want of the pool at the same time
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef SCENARIOS_H
#define SCENARIOS_H

/* What each budget may have in use */
#define LIMIT_PAGES 4
#define ACTORS 4
#define PIECES 2
#define REQUESTS 2

typedef struct Piece {
    unsigned page, pages; /* of the device; or chunks, see below */
} Piece;

typedef enum ActorKind {
    NONE,
    QUEUE,     /* has a budget with a bottom half */
    CLIENT,    /* is charged to an address space, for one piece at a time */
    RESET,     /* a queue that is reset when it is to wait */
    IDLER,     /* a queue that doesn't take its turn */
    REFILLER,  /* shares a buffer and reads it again */
    NEWCOMER,  /* the same, when the device has just been written to */
    REMOVER,   /* the same, when the device has just gone away */
    RESETTER,  /* resets the first actor, a queue, while it waits */
    UNPLUGGER, /* unplugs the device that the first actor is a queue of */
    EJECTOR,   /* unplugs the RAM device */
    SHORTAGE,  /* makes the host refuse memory once */
} ActorKind;

typedef struct Actor {
    const char *name;
    ActorKind kind;
    unsigned budget; /* or address space */
    bool is_write;
    bool overdraw;   /* the second request, while the first one is held */
    Piece requests[REQUESTS][PIECES];
} Actor;

typedef struct Scenario {
    const char *name;
    Actor actors[ACTORS];
    bool closes; /* the first budget, when its queue has done its requests */
    bool chunks; /* pages are chunks, none of which is there at the begin */
} Scenario;

static const Scenario scenarios[] = {
    { "two requests", {
        { "a", QUEUE, 0, true, false, { { { 0, 4 } } } },
        { "b", QUEUE, 0, true, false, { { { 8, 4 } } } },
    } },
    { "two queues that need it all", {
        { "a", QUEUE, 0, false, false, { { { 0, 4 } }, { { 4, 4 } } } },
        { "b", QUEUE, 0, false, false, { { { 8, 4 } }, { { 12, 4 } } } },
    } },
    { "three queues", {
        { "a", QUEUE, 0, true, false, { { { 0, 3 } } } },
        { "b", QUEUE, 0, true, false, { { { 8, 2 } }, { { 12, 4 } } } },
        { "c", QUEUE, 0, true, false, { { { 16, 1 } } } },
    } },
    { "requests of two pieces", {
        { "a", QUEUE, 0, false, false, { { { 0, 2 }, { 2, 2 } } } },
        { "b", QUEUE, 0, false, false, { { { 8, 2 }, { 10, 2 } } } },
        { "c", QUEUE, 0, false, false, { { { 16, 1 }, { 17, 1 } } } },
    } },
    { "one that must not wait", {
        { "a", QUEUE, 0, true, true, { { { 0, 1 } }, { { 4, 4 } } } },
        { "b", QUEUE, 0, true, false, { { { 8, 3 } }, { { 12, 4 } } } },
        { "c", QUEUE, 0, true, false, { { { 16, 2 } } } },
    } },
    { "a queue that is reset", {
        { "a", QUEUE, 0, false, false, { { { 0, 3 } }, { { 4, 2 } } } },
        { "b", RESET, 0, false, false, { { { 8, 4 } } } },
        { "c", QUEUE, 0, false, false, { { { 16, 2 } } } },
    } },
    { "a queue that does not take its turn", {
        { "a", IDLER, 0, true, false, { { { 0, 4 } } } },
        { "b", QUEUE, 0, true, false, { { { 8, 4 } }, { { 12, 3 } } } },
        { "c", QUEUE, 0, true, false, { { { 16, 2 } } } },
    } },
    { "a queue that is reset while it waits", {
        { "a", QUEUE, 0, true, false, { { { 0, 4 } }, { { 4, 2 } } } },
        { "b", QUEUE, 0, true, false, { { { 8, 3 } }, { { 12, 2 } } } },
        { "reset", RESETTER },
    } },
    { "a device that is unplugged while its queue waits", {
        { "a", QUEUE, 0, true, false, { { { 0, 2 }, { 2, 2 } },
                                        { { 8, 2 } } } },
        { "b", QUEUE, 1, true, false, { { { 0, 2 }, { 2, 2 } } } },
        { "unplug", UNPLUGGER },
    } },
    { "a device that is ejected under requests", {
        { "a", QUEUE, 0, false, false, { { { 0, 2 } } } },
        { "b", QUEUE, 1, false, false, { { { 1, 4 } } } },
        { "eject", EJECTOR },
    } },
    { "a queue that waits for a device that is ejected", {
        { "a", QUEUE, 0, false, false, { { { 0, 4 } } } },
        { "b", QUEUE, 0, false, false, { { { 8, 4 } } } },
        { "eject", EJECTOR },
    } },
    { "a queue that others overtake", {
        { "a", QUEUE, 0, true, false, { { { 0, 4 } } } },
        { "b", QUEUE, 0, true, false, { { { 8, 3 } }, { { 12, 3 } } } },
        { "c", QUEUE, 0, true, false, { { { 16, 1 } }, { { 20, 1 } } } },
    } },
    { "memory that the host refuses a queue", {
        { "a", QUEUE, 0, true, false, { { { 0, 1 }, { 1, 1 } },
                                        { { 2, 1 }, { 3, 1 } } } },
        { "b", QUEUE, 0, true, false, { { { 8, 1 }, { 9, 1 } } } },
        { "shortage", SHORTAGE },
    }, false, true },
    { "memory that the host refuses when a budget is full", {
        { "a", QUEUE, 0, true, false, { { { 0, 1 }, { 1, 1 } } } },
        { "b", QUEUE, 0, true, false, { { { 8, 1 }, { 9, 1 } } } },
        { "c", QUEUE, 0, true, false, { { { 16, 1 } } } },
        { "shortage", SHORTAGE },
    }, false, true },
    { "memory that the host refuses a client", {
        { "a", CLIENT, 0, true, false, { { { 0, 1 } }, { { 1, 1 } } } },
        { "b", CLIENT, 0, true, false, { { { 8, 1 } } } },
        { "c", CLIENT, 1, true, false, { { { 0, 1 } } } },
        { "shortage", SHORTAGE },
    }, false, true },
    { "two devices that share", {
        { "a", QUEUE, 0, true, false, { { { 0, 4 } }, { { 4, 2 } } } },
        { "b", QUEUE, 1, true, false, { { { 0, 2 } } } },
        { "c", QUEUE, 0, true, false, { { { 1, 3 } } } },
    } },
    { "three devices that share", {
        { "a", QUEUE, 0, true, false, { { { 0, 4 } }, { { 4, 1 } } } },
        { "b", QUEUE, 1, true, false, { { { 0, 2 } }, { { 4, 4 } } } },
        { "c", QUEUE, 2, true, false, { { { 1, 3 } } } },
    } },
    { "a budget that is closed", {
        { "a", QUEUE, 0, true, false, { { { 0, 4 } } } },
        { "b", QUEUE, 1, true, false, { { { 0, 2 } } } },
        { "c", QUEUE, 1, true, false, { { { 1, 1 }, { 8, 3 } } } },
    }, true },
    { "clients of an address space", {
        { "a", CLIENT, 0, false, false, { { { 0, 4 } }, { { 4, 3 } } } },
        { "b", CLIENT, 0, false, false, { { { 8, 2 } } } },
        { "c", CLIENT, 0, false, false, { { { 16, 3 } } } },
    } },
    { "address spaces that share", {
        { "a", CLIENT, 0, true, false, { { { 0, 4 } } } },
        { "b", CLIENT, 1, true, false, { { { 0, 4 } } } },
        { "c", CLIENT, 0, true, false, { { { 8, 2 } } } },
    } },
    { "a queue and clients that share", {
        { "a", QUEUE, 0, true, false, { { { 0, 4 } }, { { 8, 4 } } } },
        { "b", CLIENT, 1, true, false, { { { 0, 4 } } } },
        { "c", CLIENT, 1, true, false, { { { 16, 2 } } } },
    } },
    { "a buffer that two read again", {
        { "a", REFILLER, 0, false, false, { { { 0, 1 } } } },
        { "b", NEWCOMER, 0, false, false, { { { 0, 1 } } } },
    } },
    { "a buffer that is read again when the device is gone", {
        { "a", REFILLER, 0, false, false, { { { 0, 1 } } } },
        { "b", REMOVER, 0, false, false, { { { 0, 1 } } } },
    } },
    { "four queues", {
        { "a", QUEUE, 0, true, false, { { { 0, 4 } } } },
        { "b", QUEUE, 0, true, false, { { { 8, 3 } } } },
        { "c", QUEUE, 0, true, false, { { { 16, 2 } } } },
        { "d", QUEUE, 0, true, false, { { { 24, 1 } } } },
    } },
    { "four queues of three devices", {
        { "a", QUEUE, 0, true, false, { { { 0, 4 } }, { { 4, 2 } } } },
        { "b", QUEUE, 1, true, false, { { { 0, 2 } }, { { 4, 4 } } } },
        { "c", QUEUE, 1, true, false, { { { 1, 3 } } } },
        { "d", QUEUE, 2, true, false, { { { 2, 2 } } } },
    } },
    { "three queues and a reset", {
        { "a", QUEUE, 0, true, false, { { { 0, 4 } }, { { 4, 2 } } } },
        { "b", QUEUE, 0, true, false, { { { 8, 3 } }, { { 12, 2 } } } },
        { "c", QUEUE, 0, true, false, { { { 16, 2 } } } },
        { "reset", RESETTER },
    } },
    { "three queues and an ejection", {
        { "a", QUEUE, 0, false, false, { { { 0, 4 } } } },
        { "b", QUEUE, 0, false, false, { { { 8, 2 } } } },
        { "c", QUEUE, 1, false, false, { { { 1, 2 } } } },
        { "eject", EJECTOR },
    } },
    /* Those that take long */
    { "four queues of six requests", {
        { "a", QUEUE, 0, true, false, { { { 0, 4 } }, { { 4, 1 } } } },
        { "b", QUEUE, 0, true, false, { { { 8, 3 } }, { { 12, 2 } } } },
        { "c", QUEUE, 0, true, false, { { { 16, 2 } } } },
        { "d", QUEUE, 0, true, false, { { { 24, 1 } } } },
    } },
    { "three queues of five requests of two pieces", {
        { "a", QUEUE, 0, true, false, { { { 0, 2 }, { 2, 2 } },
                                        { { 4, 1 } } } },
        { "b", QUEUE, 0, true, false, { { { 8, 2 }, { 10, 1 } },
                                        { { 12, 1 }, { 13, 1 } } } },
        { "c", QUEUE, 0, true, false, { { { 16, 1 }, { 17, 1 } } } },
    } },
};

#endif /* SCENARIOS_H */
