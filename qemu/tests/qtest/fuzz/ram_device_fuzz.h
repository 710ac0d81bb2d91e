/*
 * Fuzzing of DMA into RAM devices: the memory and the queues that it is about
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_FUZZ_RAM_DEVICE_FUZZ_H
#define TESTS_QTEST_FUZZ_RAM_DEVICE_FUZZ_H

#include "tests/qtest/libqos/pci.h"

/**
 * enum FuzzArea - the memory whose contents are known
 *
 * @AREA_RAM: the last of the guest's RAM, with nothing behind it
 * @AREA_MEM: the test device's prefetchable BAR, a RAM device
 * @AREA_REG: its plain BAR, another one.  At first it begins where the
 *            prefetchable one ends.
 * @AREA_STAGING: the last of the test device's staging buffer, RAM on the PCI
 *                bus
 */
typedef enum FuzzArea {
    AREA_RAM,
    AREA_MEM,
    AREA_REG,
    AREA_STAGING,
    AREA_COUNT,
} FuzzArea;

/* Of each area this is for virtqueues, headers and status bytes, and NVMe */
#define FUZZ_HEADERS_OFFSET 0x8000
#define FUZZ_NVME_OFFSET    0xa000
#define FUZZ_RESERVED_SIZE  0x10000

/**
 * struct FuzzMemory - an area
 *
 * @addr: guest address
 * @size: bytes, a multiple of 4 KiB
 * @reserved: offset of the reserved part; it begins or ends the area
 * @data: offset of the rest, which only descriptors touch
 * @data_size: bytes of that
 * @host: what is there; not to be touched while it has vanished
 * @model: what has to be there
 * @writers: of each byte, how many requests in flight may write it; 2 stands
 *           for more as well
 * @there: the guest can reach it
 * @vanished: an access is a SIGBUS
 */
typedef struct FuzzMemory {
    uint64_t addr;
    uint32_t size;
    uint32_t reserved;
    uint32_t data;
    uint32_t data_size;
    uint8_t *host;
    uint8_t *model;
    uint8_t *writers;
    bool there;
    bool vanished;
} FuzzMemory;

extern FuzzMemory fuzz_memory[AREA_COUNT];

/* A part of an area */
typedef struct FuzzSpan {
    FuzzArea area;
    uint32_t offset;
    uint32_t len;
} FuzzSpan;

/**
 * fuzz_span_at() - what a guest address means
 *
 * @addr: guest address
 * @len: bytes, at least 1
 * @span: what of them is in one area, from @addr on
 *
 * Returns: false if none is
 */
bool fuzz_span_at(uint64_t addr, uint64_t len, FuzzSpan *span);

/* Pseudo-random bytes, the same for the same @which */
void fuzz_random(void *to, size_t len, unsigned which);

/* Give the area its first contents, and its model the same */
void fuzz_memory_fill(FuzzMemory *m);

/* End the fuzzing of this input with a message: a sentence doesn't hold */
G_NORETURN void G_GNUC_PRINTF(1, 2) fuzz_wrong(const char *fmt, ...);

/* All data of the areas must be what their models say */
void fuzz_memory_check(void);

/*
 * Queues: these functions are for split virtqueues
 */

#define FUZZ_QUEUE_SIZE   128
#define FUZZ_NVME_ENTRIES 16
#define FUZZ_MAX_PIECES   18

/**
 * struct FuzzPiece - a descriptor
 *
 * @addr: guest address
 * @len: bytes
 * @write: the device writes it
 */
typedef struct FuzzPiece {
    uint64_t addr;
    uint32_t len;
    bool write;
} FuzzPiece;

/**
 * struct FuzzQueue - a virtio-pci device with a queue, or an NVMe controller
 *
 * @dev: its configuration space
 * @regs: guest address of the BAR with its registers
 * @index: which of its queues, for virtio
 * @slot: which part of the reserved parts is the queue's, for virtio
 * @rings: the area with its rings
 * @added: requests made available since it was set up
 * @done: how many of them are known to be completed, for NVMe
 * @statuses: where their status goes, for NVMe
 * @started: the device has the queue
 * @lost: its rings have been out of reach, so answers may not come
 */
typedef struct FuzzQueue {
    QPCIDevice *dev;
    uint64_t regs;
    unsigned index;
    unsigned slot;
    FuzzArea rings;
    uint16_t added;
    uint16_t done;
    uint8_t *statuses[FUZZ_NVME_ENTRIES];
    bool started;
    bool lost;
} FuzzQueue;

/*
 * Reset a device and make its queues ready, with rings in that area; @features:
 * the first 32 of those to be negotiated
 */
void fuzz_queue_start(FuzzQueue *queues, unsigned count, FuzzArea rings,
                      uint32_t features);

/* Reset the device; what was in flight has ended when this returns */
void fuzz_queue_reset(FuzzQueue *q);

/*
 * Make a request available and notify the device; @indirect: its descriptors
 * are in a table, in that area.
 */
void fuzz_queue_add(FuzzQueue *q, const FuzzPiece *pieces, unsigned count,
                    bool indirect, FuzzArea table);

/* Does it want to be reset? */
bool fuzz_queue_broken(const FuzzQueue *q);

/* How many requests aren't answered; UINT_MAX if nobody can tell */
unsigned fuzz_queue_pending(const FuzzQueue *q);

/* Are there requests that will be answered?  Not of a device that is broken. */
bool fuzz_queue_unanswered(const FuzzQueue *q);

#endif /* TESTS_QTEST_FUZZ_RAM_DEVICE_FUZZ_H */
