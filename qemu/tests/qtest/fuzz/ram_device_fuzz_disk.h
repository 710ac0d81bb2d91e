/*
 * Fuzzing of DMA into RAM devices: requests to disks, and what they may do
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_FUZZ_RAM_DEVICE_FUZZ_DISK_H
#define TESTS_QTEST_FUZZ_RAM_DEVICE_FUZZ_DISK_H

#include "ram_device_fuzz_request.h"

#define FUZZ_DISK_SIZE     0x80000
#define FUZZ_SECTOR        512

/* What a disk is behind */
typedef enum FuzzModel {
    FUZZ_BLK,
    FUZZ_SCSI,
    FUZZ_NVME,
} FuzzModel;

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
