/*
 * A virtio-blk driver whose buffers and rings may lie in RAM devices
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/mman.h>
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "libqtest.h"
#include "standard-headers/linux/virtio_blk.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_ring.h"
#include "ram-device-blk.h"

#define BLK_SLOT   5

BlkLayout rdb_data_in(RamDeviceTarget data)
{
    return (BlkLayout) {
        .rings = TARGET_RAM,
        .header = TARGET_RAM,
        .data = data,
        .pieces = 1,
    };
}

RamDeviceBlk *rdb_new(const char *devopts, const char *blkopts,
                      const char *extra)
{
    RamDeviceBlk *b = g_new0(RamDeviceBlk, 1);
    QPCIAddress addr = { .devfn = QPCI_DEVFN(BLK_SLOT, 0) };
    g_autofree char *image = rd_file_new(RDB_DISK_SIZE, &b->disk_fd, &b->disk);
    g_autofree char *args = g_strdup_printf(
        "%s -blockdev driver=file,node-name=image,filename=%s "
        "-blockdev driver=blkdebug,node-name=debug,image=image "
        "-blockdev driver=raw,node-name=disk,file=debug "
        "-device virtio-blk-pci,id=blk,addr=%d.0,drive=disk,num-queues=1,"
        "disable-legacy=on%s%s", extra, image, BLK_SLOT, *blkopts ? "," : "",
        blkopts);
    RamDeviceTarget t;

    b->vm = rd_vm_start(devopts, args);
    unlink(image);

    for (t = 0; t < TARGET_COUNT; t++) {
        const RamDeviceMemory *m = &b->vm->memory[t];

        alloc_init(&b->alloc[t], ALLOC_NO_FLAGS, m->addr, m->addr + m->size,
                   4 * KiB);
    }
    b->pci = virtio_pci_new(b->vm->bus, &addr);
    g_assert_nonnull(b->pci);
    b->vdev = &b->pci->vdev;
    qvirtio_pci_device_enable(b->pci);
    return b;
}

void rdb_stop(RamDeviceBlk *b)
{
    if (b->vq) {
        qvirtqueue_cleanup(b->vdev->bus, b->vq, b->rings);
        b->vq = NULL;
    }
}

void rdb_setup_queue(RamDeviceBlk *b, QGuestAllocator *rings)
{
    const uint64_t unwanted = QVIRTIO_F_BAD_FEATURE |
                              1u << VIRTIO_RING_F_EVENT_IDX;

    rdb_stop(b);
    qvirtio_start_device(b->vdev);
    qvirtio_set_features(b->vdev, qvirtio_get_features(b->vdev) & ~unwanted);
    b->rings = rings;
    b->vq = qvirtqueue_setup(b->vdev, rings, 0);
}

void rdb_start(RamDeviceBlk *b, RamDeviceTarget rings)
{
    rdb_setup_queue(b, &b->alloc[rings]);
    qvirtio_set_driver_ok(b->vdev);
}

void rdb_free(RamDeviceBlk *b)
{
    RamDeviceTarget t;

    rdb_stop(b);
    qvirtio_pci_device_disable(b->pci);
    g_free(b->pci->pdev);
    g_free(b->pci);
    for (t = 0; t < TARGET_COUNT; t++) {
        alloc_destroy(&b->alloc[t]);
    }
    rd_vm_stop(b->vm);
    munmap(b->disk, RDB_DISK_SIZE);
    close(b->disk_fd);
    g_free(b);
}

/*
 * Requests
 */

/* The buffer of @len bytes is cut at odd places; this is where piece @i is */
static size_t cut(const BlkLayout *l, size_t len, unsigned i)
{
    return i == l->pieces ? len : len * i / l->pieces + i % 8;
}

/* Offset in guest memory of piece @i, if they lie at offset 0 */
static size_t piece_offset(const BlkLayout *l, size_t len, unsigned i)
{
    return cut(l, len, i) + i * RDB_GAP;
}

size_t rdb_spread_size(const BlkLayout *l, size_t len)
{
    return len + (l->pieces + 1) * RDB_GAP;
}

static void add_desc(RamDeviceBlk *b, BlkRequest *r, uint64_t addr,
                     uint32_t len, bool write, bool last)
{
    if (r->table) {
        qvring_indirect_desc_add(b->vdev, b->vm->qts, r->table, addr, len,
                                 write);
    } else {
        qvirtqueue_add(b->vm->qts, b->vq, addr, len, write, !last);
    }
}

BlkRequest rdb_submit(RamDeviceBlk *b, const BlkLayout *l, uint32_t type,
                      uint64_t sector, uint64_t addr, size_t len)
{
    QTestState *qts = b->vm->qts;
    struct virtio_blk_outhdr header = {
        .type = cpu_to_le32(type),
        .sector = cpu_to_le64(sector),
    };
    BlkRequest r = {
        .layout = l,
        .header = guest_alloc(&b->alloc[l->header], sizeof(header) + 1),
    };
    uint64_t status = r.header + sizeof(header);
    unsigned i;

    qtest_memwrite(qts, r.header, &header, sizeof(header));
    qtest_writeb(qts, status, 0xff);

    if (l->indirect) {
        r.table = qvring_indirect_desc_setup(qts, b->vdev,
                                             &b->alloc[l->table],
                                             l->pieces + 2);
    }
    r.head = b->vq->free_head;
    add_desc(b, &r, r.header, sizeof(header), false, false);
    for (i = 0; i < l->pieces; i++) {
        add_desc(b, &r, addr + piece_offset(l, len, i),
                 cut(l, len, i + 1) - cut(l, len, i),
                 type == VIRTIO_BLK_T_IN, false);
    }
    add_desc(b, &r, status, 1, true, true);
    if (r.table) {
        r.head = qvirtqueue_add_indirect(qts, b->vq, r.table);
    }
    qvirtqueue_kick(qts, b->vdev, b->vq, r.head);
    return r;
}

bool rdb_wait_used(RamDeviceBlk *b)
{
    gint64 end = g_get_monotonic_time() + RD_TIMEOUT_US;

    while (!qvirtqueue_get_buf(b->vm->qts, b->vq, NULL, NULL)) {
        if (b->vdev->bus->get_status(b->vdev) & VIRTIO_CONFIG_S_NEEDS_RESET) {
            return false;
        }
        g_assert(g_get_monotonic_time() < end);
    }
    return true;
}

int rdb_release(RamDeviceBlk *b, BlkRequest *r)
{
    int status = qtest_readb(b->vm->qts,
                             r->header + sizeof(struct virtio_blk_outhdr));

    if (r->table) {
        guest_free(&b->alloc[r->layout->table], r->table->desc);
        g_free(r->table);
    }
    guest_free(&b->alloc[r->layout->header], r->header);
    return status;
}

int rdb_wait_status(RamDeviceBlk *b, BlkRequest *r)
{
    bool fit = rdb_wait_used(b);
    int status = rdb_release(b, r);

    /* libqos doesn't take descriptors back */
    b->vq->free_head = 0;
    b->vq->num_free = b->vq->size;
    return fit ? status : RDB_NEEDS_RESET;
}

int rdb_request(RamDeviceBlk *b, const BlkLayout *l, uint32_t type,
                uint64_t sector, uint64_t addr, size_t len)
{
    BlkRequest r = rdb_submit(b, l, type, sector, addr, len);

    return rdb_wait_status(b, &r);
}

void rdb_check_read(RamDeviceBlk *b, const BlkLayout *l, uint64_t sector,
                    uint64_t offset, size_t len)
{
    size_t spread = rdb_spread_size(l, len);
    g_autofree uint8_t *model = g_malloc(spread);
    unsigned i;

    rd_random(model, spread, len);
    rd_put(b->vm, l->data, offset - RDB_GAP, model, spread);
    g_assert_cmpint(rdb_request(b, l, VIRTIO_BLK_T_IN, sector,
                                b->vm->memory[l->data].addr + offset, len),
                    ==, VIRTIO_BLK_S_OK);
    for (i = 0; i < l->pieces; i++) {
        memcpy(model + RDB_GAP + piece_offset(l, len, i),
               b->disk + sector * RDB_SECTOR + cut(l, len, i),
               cut(l, len, i + 1) - cut(l, len, i));
    }
    rd_check(b->vm, l->data, offset - RDB_GAP, model, spread);
}

void rdb_check_write(RamDeviceBlk *b, const BlkLayout *l, uint64_t sector,
                     uint64_t offset, size_t len)
{
    size_t spread = rdb_spread_size(l, len);
    g_autofree uint8_t *data = g_malloc(spread);
    g_autofree uint8_t *model = g_malloc(RDB_DISK_SIZE);
    unsigned i;

    memcpy(model, b->disk, RDB_DISK_SIZE);
    rd_random(data, spread, ~len);
    rd_put(b->vm, l->data, offset - RDB_GAP, data, spread);
    g_assert_cmpint(rdb_request(b, l, VIRTIO_BLK_T_OUT, sector,
                                b->vm->memory[l->data].addr + offset, len),
                    ==, VIRTIO_BLK_S_OK);
    for (i = 0; i < l->pieces; i++) {
        memcpy(model + sector * RDB_SECTOR + cut(l, len, i),
               data + RDB_GAP + piece_offset(l, len, i),
               cut(l, len, i + 1) - cut(l, len, i));
    }
    rd_assert_same(b->disk, model, RDB_DISK_SIZE);
    rd_check(b->vm, l->data, offset - RDB_GAP, data, spread);
}

/*
 * A BAR that goes away
 */

void rdb_go_away(RamDeviceBlk *b, RamDeviceTarget target, RdbAway away)
{
    switch (away) {
    case RDB_AWAY_MOVED:
        rd_place(b->vm, target, b->vm->window + 32 * MiB);
        break;
    case RDB_AWAY_DISABLED:
        rd_pci_command(b->vm, PCI_COMMAND_MEMORY, false);
        break;
    }
}

void rdb_come_back(RamDeviceBlk *b, RdbAway away)
{
    if (away == RDB_AWAY_DISABLED) {
        rd_pci_command(b->vm, PCI_COMMAND_MEMORY, true);
    }
}

void rdb_debug_command(RamDeviceBlk *b, const char *command)
{
    g_autofree char *out =
        qtest_hmp(b->vm->qts, "qemu-io -d /machine/peripheral/blk/"
                              "virtio-backend \"%s\"", command);

    g_assert_cmpstr(out, ==, "");
}
