/*
 * Fuzzing of DMA into RAM devices: split virtqueues, whose rings may be there
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "standard-headers/linux/virtio_blk.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_pci.h"
#include "standard-headers/linux/virtio_ring.h"
#include "tests/qtest/libqtest.h"
#include "ram_device_fuzz.h"

/* Where QEMU has the parts of BAR 4 */
#define COMMON(field) offsetof(struct virtio_pci_common_cfg, field)
#define NOTIFY        0x3000
#define NOTIFY_STEP   4

/* A queue's part of the reserved memory */
#define SLOT_SIZE     0x2000
#define DESC_OFFSET   0x0000
#define AVAIL_OFFSET  0x0800
#define USED_OFFSET   0x0a00
/* Tables are used in turn, one for each request that can be in flight */
#define TABLE_OFFSET  0x1000
#define TABLE_SIZE    0x0200
#define TABLES        8

QEMU_BUILD_BUG_ON(FUZZ_QUEUE_SIZE * sizeof(struct vring_desc) > AVAIL_OFFSET);
QEMU_BUILD_BUG_ON(FUZZ_MAX_PIECES * sizeof(struct vring_desc) > TABLE_SIZE);

static uint8_t *slot_host(const FuzzQueue *q, FuzzArea area)
{
    const FuzzMemory *m = &fuzz_memory[area];

    return m->host + m->reserved + q->slot * SLOT_SIZE;
}

static uint64_t slot_addr(const FuzzQueue *q, FuzzArea area)
{
    const FuzzMemory *m = &fuzz_memory[area];

    return m->addr + m->reserved + q->slot * SLOT_SIZE;
}

static void set_address(const FuzzQueue *q, unsigned reg, uint64_t addr)
{
    qtest_writel(q->dev->bus->qts, q->regs + reg, addr);
    qtest_writel(q->dev->bus->qts, q->regs + reg + 4, addr >> 32);
}

static void set_features(const FuzzQueue *q, unsigned select, uint32_t bits)
{
    QTestState *qts = q->dev->bus->qts;

    qtest_writel(qts, q->regs + COMMON(guest_feature_select), select);
    qtest_writel(qts, q->regs + COMMON(guest_feature), bits);
}

static void set_status(const FuzzQueue *q, uint8_t status)
{
    qtest_writeb(q->dev->bus->qts, q->regs + COMMON(device_status), status);
}

void fuzz_queue_reset(FuzzQueue *q)
{
    set_status(q, 0);
    q->added = 0;
    q->started = false;
    q->lost = false;
}

static void enable(FuzzQueue *q, FuzzArea rings)
{
    QTestState *qts = q->dev->bus->qts;
    uint64_t addr = slot_addr(q, rings);

    q->rings = rings;
    memset(slot_host(q, rings), 0, TABLE_OFFSET);
    qtest_writew(qts, q->regs + COMMON(queue_select), q->index);
    qtest_writew(qts, q->regs + COMMON(queue_size), FUZZ_QUEUE_SIZE);
    set_address(q, COMMON(queue_desc_lo), addr + DESC_OFFSET);
    set_address(q, COMMON(queue_avail_lo), addr + AVAIL_OFFSET);
    set_address(q, COMMON(queue_used_lo), addr + USED_OFFSET);
    qtest_writew(qts, q->regs + COMMON(queue_enable), 1);
    q->started = true;
}

void fuzz_queue_start(FuzzQueue *queues, unsigned count, FuzzArea rings,
                      uint32_t features)
{
    uint8_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
    unsigned i;

    for (i = 0; i < count; i++) {
        fuzz_queue_reset(&queues[i]);
    }
    set_status(queues, status);
    set_features(queues, 0, features | 1u << VIRTIO_RING_F_INDIRECT_DESC);
    set_features(queues, 1, 1u << (VIRTIO_F_VERSION_1 - 32));
    set_status(queues, status |= VIRTIO_CONFIG_S_FEATURES_OK);
    for (i = 0; i < count; i++) {
        enable(&queues[i], rings);
    }
    set_status(queues, status | VIRTIO_CONFIG_S_DRIVER_OK);
}

static void put_descriptor(uint8_t *table, unsigned i, uint64_t addr,
                           uint32_t len, uint16_t flags, uint16_t next)
{
    struct vring_desc *desc = (struct vring_desc *)table + i;

    stq_le_p(&desc->addr, addr);
    stl_le_p(&desc->len, len);
    stw_le_p(&desc->flags, flags);
    stw_le_p(&desc->next, next);
}

static void put_pieces(uint8_t *table, unsigned first, unsigned size,
                       const FuzzPiece *pieces, unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        put_descriptor(table, (first + i) % size, pieces[i].addr,
                       pieces[i].len,
                       (pieces[i].write ? VRING_DESC_F_WRITE : 0) |
                       (i + 1 < count ? VRING_DESC_F_NEXT : 0),
                       (first + i + 1) % size);
    }
}

void fuzz_queue_add(FuzzQueue *q, const FuzzPiece *pieces, unsigned count,
                    bool indirect, FuzzArea table)
{
    uint8_t *rings = slot_host(q, q->rings);
    struct vring_avail *avail = (struct vring_avail *)(rings + AVAIL_OFFSET);
    unsigned turn = q->added % TABLES;
    /* Requests that are in flight have chains apart from each other */
    unsigned head = turn * (FUZZ_QUEUE_SIZE / TABLES);

    if (indirect || count > FUZZ_QUEUE_SIZE / TABLES) {
        uint32_t offset = TABLE_OFFSET + turn * TABLE_SIZE;

        put_pieces(slot_host(q, table) + offset, 0, FUZZ_MAX_PIECES, pieces,
                   count);
        put_descriptor(rings + DESC_OFFSET, head, slot_addr(q, table) + offset,
                       count * sizeof(struct vring_desc), VRING_DESC_F_INDIRECT,
                       0);
    } else {
        put_pieces(rings + DESC_OFFSET, head, FUZZ_QUEUE_SIZE, pieces, count);
    }
    stw_le_p(&avail->ring[q->added % FUZZ_QUEUE_SIZE], head);
    q->added++;
    stw_le_p(&avail->idx, q->added);
    qtest_writew(q->dev->bus->qts, q->regs + NOTIFY + q->index * NOTIFY_STEP,
                 q->index);
}

bool fuzz_queue_broken(const FuzzQueue *q)
{
    return qtest_readb(q->dev->bus->qts, q->regs + COMMON(device_status)) &
           VIRTIO_CONFIG_S_NEEDS_RESET;
}

unsigned fuzz_queue_pending(const FuzzQueue *q)
{
    const struct vring_used *used =
        (struct vring_used *)(slot_host(q, q->rings) + USED_OFFSET);

    if (!q->started || q->lost) {
        return UINT_MAX;
    }
    return (uint16_t)(q->added - lduw_le_p(&used->idx));
}

bool fuzz_queue_unanswered(const FuzzQueue *q)
{
    unsigned pending = fuzz_queue_pending(q);

    return pending && pending != UINT_MAX && !fuzz_queue_broken(q);
}
