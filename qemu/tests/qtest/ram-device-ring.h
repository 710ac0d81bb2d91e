/*
 * A virtqueue driver whose rings may lie in RAM devices
 *
 * libqos lays descriptors and rings out in one piece, and accesses them by
 * the qtest protocol.  Here each part has a place of its own, and what lies in
 * a BAR is accessed behind QEMU's back: fast enough for rings whose indexes
 * wrap around, and any byte that QEMU should have left alone is noticed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_RAM_DEVICE_RING_H
#define TESTS_RAM_DEVICE_RING_H

#include "libqos/virtio-mmio.h"
#include "ram-device-blk.h"

/* Bytes of data of each request */
#define RING_LEN 512

/* What a virtqueue is made of; the header and status bytes are always in RAM */
typedef enum RingPart {
    RING_DESC,   /* descriptor table, or the packed ring */
    RING_DRIVER, /* available ring, or the driver's event suppression */
    RING_DEVICE, /* used ring, or the device's event suppression */
    RING_TABLE,  /* indirect tables */
    RING_DATA,   /* the requests' buffers */
    RING_PARTS,
} RingPart;

/**
 * struct RingLayout - where the parts of a virtqueue lie
 *
 * @sentence: for the test's name
 * @part: the memory that each part is in
 * @indirect: use indirect tables; else part[RING_TABLE] means nothing
 * @packed: use VIRTIO_F_RING_PACKED; the device needs packed=on
 * @event: use VIRTIO_RING_F_EVENT_IDX
 * @size: entries of the ring
 * @batch: requests that are under way at a time
 */
typedef struct RingLayout {
    const char *sentence;
    RamDeviceTarget part[RING_PARTS];
    bool indirect;
    bool packed;
    bool event;
    unsigned size;
    unsigned batch;
} RingLayout;

/**
 * struct RamDeviceRing - a virtqueue in use
 *
 * @b: the VM
 * @vdev: the virtio-blk whose queue 0 it is
 * @is_mmio: it is a modern virtio-mmio, else a virtio-blk-pci
 * @l: where its parts lie
 * @addr: guest addresses of the parts
 * @offset: their offsets in the memory that they lie in
 * @headers: guest address of the requests' headers and status bytes
 * @queue: what libqos needs to know in order to kick
 * @next: split: available index.  packed: position of the next descriptor
 * @next_wrap: packed: its wrap counter
 * @done: split: used index.  packed: position of the next used descriptor
 * @done_wrap: packed: its wrap counter
 * @requests: how many have been submitted
 * @model: what the BARs should contain
 */
typedef struct RamDeviceRing {
    RamDeviceBlk *b;
    QVirtioDevice *vdev;
    bool is_mmio;
    const RingLayout *l;
    uint64_t addr[RING_PARTS];
    uint64_t offset[RING_PARTS];
    uint64_t headers;
    QVirtQueuePCI queue;
    uint16_t next;
    bool next_wrap;
    uint16_t done;
    bool done_wrap;
    unsigned requests;
    uint8_t *model[TARGET_COUNT];
} RamDeviceRing;

/*
 * Find the machine's modern virtio-mmio transport that has a virtio-blk.
 * Returns: the device; @b's own is the virtio-blk-pci.
 */
QVirtioMMIODevice *ring_find_mmio(RamDeviceBlk *b);

/**
 * ring_new() - find places for a virtqueue
 *
 * @b: the VM
 * @mmio: the virtio-blk whose queue it is to be, or NULL for @b's own
 * @l: where its parts are to lie
 */
RamDeviceRing *ring_new(RamDeviceBlk *b, QVirtioMMIODevice *mmio,
                        const RingLayout *l);
void ring_free(RamDeviceRing *r);

/* Have a part at @offset of the memory that it lies in */
void ring_move_part(RamDeviceRing *r, RingPart part, uint64_t offset);

/*
 * Reset the device and give it an empty queue, of which only what is inside
 * the memory that it lies in is written to.  Returns: whether it is fit
 */
bool ring_start(RamDeviceRing *r);

/* Bytes of a part */
size_t ring_part_size(const RingLayout *l, RingPart part);

/* Write a batch of requests into the rings, and tell the device */
void ring_submit(RamDeviceRing *r, uint32_t type);

/* Tell it once more */
void ring_kick(RamDeviceRing *r);

/* Wait for the first status byte of a batch */
void ring_wait_begun(const RamDeviceRing *r);

/* Wait for the status bytes of a batch: the device has done it, in main loop */
void ring_wait_served(const RamDeviceRing *r);

/* Returns: whether the rings say that the first request of the batch is done */
bool ring_is_reported(const RamDeviceRing *r);

/* Wait for all of a batch.  Returns: whether the device is still fit */
bool ring_wait(RamDeviceRing *r);

/* Compare the batch's data with the disk, and the status bytes with success */
void ring_check_data(RamDeviceRing *r, uint32_t type);

/* Compare all of both BARs with what they should contain */
void ring_check_bars(RamDeviceRing *r);

/* Do @count requests or some more: batches of reads and writes in turn */
void ring_run(RamDeviceRing *r, unsigned count);

/* Returns: whether the device wants to be reset */
bool ring_needs_reset(const RamDeviceRing *r);

#endif /* TESTS_RAM_DEVICE_RING_H */
