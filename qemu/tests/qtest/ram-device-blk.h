/*
 * A virtio-blk driver whose buffers and rings may lie in RAM devices
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_RAM_DEVICE_BLK_H
#define TESTS_RAM_DEVICE_BLK_H

#include "libqos/virtio.h"
#include "libqos/virtio-pci.h"
#include "ram-device-rig.h"

#define RDB_DISK_SIZE (16 * MiB)
#define RDB_SECTOR    512

/* Between two pieces of a buffer, and around them */
#define RDB_GAP 64

/* What rdb_wait_status() says of a device that wants to be reset */
#define RDB_NEEDS_RESET (-1)

/**
 * struct RamDeviceBlk - a VM with a ram-device-testdev and a virtio-blk-pci
 *
 * @vm: the VM
 * @pci: the virtio-blk-pci; its QOM id is "blk"
 * @vdev: the same
 * @vq: its queue
 * @rings: where the queue was allocated
 * @alloc: allocators of the VM's memory
 * @disk: the disk's image, mapped by the test
 * @disk_fd: the same, as a file
 */
typedef struct RamDeviceBlk {
    RamDeviceVM *vm;
    QVirtioPCIDevice *pci;
    QVirtioDevice *vdev;
    QVirtQueue *vq;
    QGuestAllocator *rings;
    QGuestAllocator alloc[TARGET_COUNT];
    uint8_t *disk;
    int disk_fd;
} RamDeviceBlk;

/**
 * struct BlkLayout - where the parts of a request lie
 *
 * @sentence: for the test's name
 * @rings: descriptors, available and used ring
 * @header: the request's header, and its status byte
 * @data: the buffer
 * @indirect: use an indirect table
 * @table: where that lies
 * @pieces: the buffer is cut into that many
 */
typedef struct BlkLayout {
    const char *sentence;
    RamDeviceTarget rings;
    RamDeviceTarget header;
    RamDeviceTarget data;
    bool indirect;
    RamDeviceTarget table;
    unsigned pieces;
} BlkLayout;

/* All in RAM, but for a buffer of one piece */
BlkLayout rdb_data_in(RamDeviceTarget data);

/* A request that is under way */
typedef struct BlkRequest {
    const BlkLayout *layout;
    uint64_t header;
    uint32_t head;
    QVRingIndirectDesc *table;
} BlkRequest;

/**
 * rdb_new() - start a VM
 *
 * @devopts: properties of the ram-device-testdev, or ""
 * @blkopts: properties of the virtio-blk-pci, or ""
 * @extra: more of the command line, or ""
 */
RamDeviceBlk *rdb_new(const char *devopts, const char *blkopts,
                      const char *extra);
void rdb_free(RamDeviceBlk *b);

/* Reset the device, and make it ready for requests */
void rdb_start(RamDeviceBlk *b, RamDeviceTarget rings);

/* The same, but for its last step, which needs rings that are in order */
void rdb_setup_queue(RamDeviceBlk *b, QGuestAllocator *rings);

/* Give the rings back.  The device mustn't use them any more. */
void rdb_stop(RamDeviceBlk *b);

/* Bytes of guest memory that a buffer takes up, with the gaps around it */
size_t rdb_spread_size(const BlkLayout *l, size_t len);

/**
 * rdb_submit() - start a request
 *
 * @b: the device
 * @l: where its parts lie; must outlive the request
 * @type: VIRTIO_BLK_T_IN or VIRTIO_BLK_T_OUT
 * @sector: where on the disk
 * @addr: guest address of the buffer's first piece
 * @len: bytes of data
 */
BlkRequest rdb_submit(RamDeviceBlk *b, const BlkLayout *l, uint32_t type,
                      uint64_t sector, uint64_t addr, size_t len);

/* Wait until a request is done.  Returns: whether the device is still fit */
bool rdb_wait_used(RamDeviceBlk *b);

/* Free the request's memory.  Returns: its status byte */
int rdb_release(RamDeviceBlk *b, BlkRequest *r);

/*
 * Wait for a request, the only one under way, and release it.
 * Returns: its status byte, or RDB_NEEDS_RESET
 */
int rdb_wait_status(RamDeviceBlk *b, BlkRequest *r);

/* Do a request, with the arguments of rdb_submit() */
int rdb_request(RamDeviceBlk *b, const BlkLayout *l, uint32_t type,
                uint64_t sector, uint64_t addr, size_t len);

/* What a guest may do to a BAR that is in use */
typedef enum RdbAway {
    RDB_AWAY_MOVED,
    RDB_AWAY_DISABLED,
} RdbAway;

/* Move a BAR to where nothing has been, or disable it and its neighbours */
void rdb_go_away(RamDeviceBlk *b, RamDeviceTarget target, RdbAway away);

/* Enable the BARs again.  One that has been moved stays where it is. */
void rdb_come_back(RamDeviceBlk *b, RdbAway away);

/* Have the disk's blkdebug node carry out a command of qemu-io */
void rdb_debug_command(RamDeviceBlk *b, const char *command);

/*
 * Read from the disk to @offset of the layout's data target, or write from
 * there, and compare what was written, with all that is around it
 */
void rdb_check_read(RamDeviceBlk *b, const BlkLayout *l, uint64_t sector,
                    uint64_t offset, size_t len);
void rdb_check_write(RamDeviceBlk *b, const BlkLayout *l, uint64_t sector,
                     uint64_t offset, size_t len);

#endif /* TESTS_RAM_DEVICE_BLK_H */
