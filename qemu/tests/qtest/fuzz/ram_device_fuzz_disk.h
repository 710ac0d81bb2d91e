/*
 * Fuzzing of DMA into RAM devices: requests to disks, and what they may do
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_FUZZ_RAM_DEVICE_FUZZ_DISK_H
#define TESTS_QTEST_FUZZ_RAM_DEVICE_FUZZ_DISK_H

#include "ram_device_fuzz.h"

#define FUZZ_DISK_SIZE     0x80000
#define FUZZ_SECTOR        512
/* In flight, for each disk */
#define FUZZ_MAX_REQUESTS  8
#define FUZZ_MAX_SPANS     (AREA_COUNT * FUZZ_MAX_PIECES)

/* What a disk is behind */
typedef enum FuzzModel {
    FUZZ_BLK,
    FUZZ_SCSI,
    FUZZ_NVME,
} FuzzModel;

/**
 * enum FuzzKind - what a request asks for
 *
 * @FUZZ_READ: data from the disk
 * @FUZZ_WRITE: data to the disk
 * @FUZZ_OTHER: a command of the input's choice that doesn't write to the disk
 */
typedef enum FuzzKind {
    FUZZ_READ,
    FUZZ_WRITE,
    FUZZ_OTHER,
} FuzzKind;

/**
 * struct FuzzRequest - a request
 *
 * @kind: what it asks for
 * @command: which one, if that is FUZZ_OTHER
 * @tidy: nothing is wrong with it: its answer is good unless it is disturbed,
 *        and it moves nothing else than its data
 * @sector: where on the disk
 * @bytes: length of the data
 * @pieces: the descriptors of the data
 * @piece_count: how many these are
 * @spans: what of the areas these are
 * @span_count: how many these are
 * @headers: the area with its header and its status
 * @status: the latter
 * @nvme_status: or this, as NVMe has it in a queue
 * @disturbed: it needn't succeed: memory isn't there, or went away while it was
 *             in flight, or the device was reset
 * @unmapped: that was since a BAR was disabled or moved
 */
typedef struct FuzzRequest {
    FuzzKind kind;
    uint32_t command;
    bool tidy;
    uint64_t sector;
    uint32_t bytes;
    FuzzPiece pieces[FUZZ_MAX_PIECES];
    unsigned piece_count;
    FuzzSpan spans[FUZZ_MAX_SPANS];
    unsigned span_count;
    FuzzArea headers;
    uint8_t *status;
    uint8_t nvme_status;
    bool disturbed;
    bool unmapped;
} FuzzRequest;

/**
 * struct FuzzDisk - a disk and its requests that are in flight
 *
 * @model: what it is behind
 * @queue: its queue
 * @fd: its image
 * @host: the same, as memory
 * @contents: what has to be there
 * @sources: what the requests in flight write there
 * @writers: of each sector, how many requests in flight may write it; 2 stands
 *           for more as well
 * @requests: these requests
 * @count: how many they are
 */
typedef struct FuzzDisk {
    FuzzModel model;
    FuzzQueue queue;
    int fd;
    uint8_t *host;
    uint8_t *contents;
    uint8_t *sources;
    uint8_t *writers;
    FuzzRequest requests[FUZZ_MAX_REQUESTS];
    unsigned count;
} FuzzDisk;

/* What has been seen since the program began */
typedef struct FuzzCounts {
    uint64_t inputs;
    uint64_t requests;
    uint64_t descriptors;
    uint64_t good;
    uint64_t disturbed;
    uint64_t broken;
    uint64_t compared;
    uint64_t bytes;
    uint64_t operations;
} FuzzCounts;

extern FuzzCounts fuzz_counts;

/* Make the image, before there is a VM */
void fuzz_disk_create(FuzzDisk *d, const char *name, FuzzModel model);

/* Put new contents on the disk */
void fuzz_disk_fill(FuzzDisk *d);

/* Reset the disk, and make it ready for requests, with rings in that area */
void fuzz_disk_start(FuzzDisk *d, FuzzArea rings);

/* Reset it; what was in flight has ended when this returns */
void fuzz_disk_reset(FuzzDisk *d);

/**
 * fuzz_disk_submit() - start a request
 *
 * @d: the disk, with room for one more
 * @wanted: kind, command, tidy, sector, bytes and pieces of the request
 * @headers: the area for header and status, for virtio
 * @indirect: its descriptors are in a table, for virtio
 * @table: the area for that, or for NVMe's list of pages
 *
 * Returns: false if nothing was done, as its data is where rings may be, or, of
 * a SCSI disk, in no area
 */
bool fuzz_disk_submit(FuzzDisk *d, const FuzzRequest *wanted, FuzzArea headers,
                      bool indirect, FuzzArea table);

/*
 * What is in flight may fail from now on; @unmapped: since there is no memory
 * any more at some addresses
 */
void fuzz_disk_disturb(FuzzDisk *d, bool unmapped);

/*
 * In this order, for all disks at each step: wait for the answers; check them,
 * and what the requests have done; take over what they have done.
 */
void fuzz_disk_settle(FuzzDisk *d);
void fuzz_disk_check(FuzzDisk *d);
void fuzz_disk_forget(FuzzDisk *d);

#endif /* TESTS_QTEST_FUZZ_RAM_DEVICE_FUZZ_DISK_H */
