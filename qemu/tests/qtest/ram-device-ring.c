/*
 * A virtqueue driver whose rings may lie in RAM devices
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "libqtest.h"
#include "standard-headers/linux/virtio_blk.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_ids.h"
#include "standard-headers/linux/virtio_mmio.h"
#include "standard-headers/linux/virtio_pci.h"
#include "standard-headers/linux/virtio_ring.h"
#include "ram-device-ring.h"

/* Descriptors of a request: header, data, status */
#define CHAIN 3

/* The machine's virtio-mmio transports */
#define MMIO_BASE  0x0a000000
#define MMIO_SIZE  0x200
#define MMIO_COUNT 32

#define PACKED_AVAIL (1 << VRING_PACKED_DESC_F_AVAIL)
#define PACKED_USED  (1 << VRING_PACKED_DESC_F_USED)

/* In front of a request's status byte */
typedef struct virtio_blk_outhdr Header;

/* A header and a status byte, for the device; the rest of the batch follows */
typedef struct Envelope {
    Header header;
    uint8_t status;
    uint8_t pad[15];
} Envelope;

/*
 * The memory that a part lies in
 */

static RamDeviceTarget target_of(const RamDeviceRing *r, RingPart part)
{
    return r->l->part[part];
}

static void put(RamDeviceRing *r, RingPart part, size_t at, const void *buf,
                size_t len)
{
    RamDeviceTarget t = target_of(r, part);

    rd_put(r->b->vm, t, r->offset[part] + at, buf, len);
    if (r->model[t]) {
        memcpy(r->model[t] + r->offset[part] + at, buf, len);
    }
}

/* Read what the device has written, and take it for granted from now on */
static void get(RamDeviceRing *r, RingPart part, size_t at, void *buf,
                size_t len)
{
    RamDeviceTarget t = target_of(r, part);

    rd_get(r->b->vm, t, r->offset[part] + at, buf, len);
    if (r->model[t]) {
        memcpy(r->model[t] + r->offset[part] + at, buf, len);
    }
}

/* 16 bits that the device and the driver tell each other in one access */
static void put_word(RamDeviceRing *r, RingPart part, size_t at, uint16_t value)
{
    RamDeviceTarget t = target_of(r, part);
    uint8_t *host = r->b->vm->memory[t].host;
    uint16_t le = cpu_to_le16(value);

    if (!host) {
        qtest_writew(r->b->vm->qts, r->addr[part] + at, value);
        return;
    }
    /* The device must find what the word tells it of */
    smp_wmb();
    qatomic_set((uint16_t *)(host + r->offset[part] + at), le);
    memcpy(r->model[t] + r->offset[part] + at, &le, sizeof(le));
}

static uint16_t get_word(const RamDeviceRing *r, RingPart part, size_t at)
{
    uint8_t *host = r->b->vm->memory[target_of(r, part)].host;
    uint16_t le;

    if (!host) {
        return qtest_readw(r->b->vm->qts, r->addr[part] + at);
    }
    le = qatomic_read((uint16_t *)(host + r->offset[part] + at));
    /* Only now look at what the word tells of */
    smp_rmb();
    return le16_to_cpu(le);
}

size_t ring_part_size(const RingLayout *l, RingPart part)
{
    switch (part) {
    case RING_DESC:
        return l->size * sizeof(struct vring_desc);
    case RING_DRIVER:
        return l->packed ? sizeof(struct vring_packed_desc_event)
                         : sizeof(uint16_t) * (3 + l->size);
    case RING_DEVICE:
        return l->packed ? sizeof(struct vring_packed_desc_event)
                         : sizeof(uint16_t) * 3 +
                           sizeof(struct vring_used_elem) * l->size;
    case RING_TABLE:
        return l->batch * CHAIN * sizeof(struct vring_desc);
    default:
        return l->batch * RING_LEN;
    }
}

static bool has_part(const RingLayout *l, RingPart part)
{
    return part != RING_TABLE || l->indirect;
}

/*
 * Setting up
 */

QVirtioMMIODevice *ring_find_mmio(RamDeviceBlk *b)
{
    QVirtioMMIODevice *mmio = g_new0(QVirtioMMIODevice, 1);
    unsigned i;

    for (i = 0; i < MMIO_COUNT; i++) {
        uint64_t addr = MMIO_BASE + i * MMIO_SIZE;

        if (qtest_readl(b->vm->qts, addr + VIRTIO_MMIO_DEVICE_ID) ==
            VIRTIO_ID_BLOCK) {
            qvirtio_mmio_init_device(mmio, b->vm->qts, addr, 4 * KiB);
            g_assert_cmpuint(mmio->version, ==, 2);
            return mmio;
        }
    }
    g_assert_not_reached();
}

RamDeviceRing *ring_new(RamDeviceBlk *b, QVirtioMMIODevice *mmio,
                        const RingLayout *l)
{
    RamDeviceRing *r = g_new0(RamDeviceRing, 1);
    RingPart part;

    g_assert_cmpuint(l->batch * (l->indirect ? 1 : CHAIN), <=, l->size);
    r->b = b;
    r->l = l;
    r->is_mmio = mmio;
    r->vdev = mmio ? &mmio->vdev : b->vdev;
    r->headers = guest_alloc(&b->alloc[TARGET_RAM],
                             l->batch * sizeof(Envelope));
    for (part = 0; part < RING_PARTS; part++) {
        if (has_part(l, part)) {
            r->addr[part] = guest_alloc(&b->alloc[l->part[part]],
                                        ring_part_size(l, part));
            r->offset[part] = r->addr[part] -
                              b->vm->memory[l->part[part]].addr;
        }
    }
    return r;
}

void ring_free(RamDeviceRing *r)
{
    unsigned t;

    for (t = 0; t < TARGET_COUNT; t++) {
        g_free(r->model[t]);
    }
    g_free(r);
}

void ring_move_part(RamDeviceRing *r, RingPart part, uint64_t offset)
{
    r->offset[part] = offset;
    r->addr[part] = r->b->vm->memory[target_of(r, part)].addr + offset;
}

static void setup_pci(RamDeviceRing *r)
{
    QVirtioPCIDevice *pci = r->b->pci;
    uint64_t common = pci->common_cfg_offset;
    uint16_t notify;

    qpci_io_writew(pci->pdev, pci->bar, common + VIRTIO_PCI_COMMON_Q_SELECT, 0);
    qpci_io_writew(pci->pdev, pci->bar, common + VIRTIO_PCI_COMMON_Q_SIZE,
                   r->l->size);
    r->vdev->bus->set_queue_address(r->vdev, &r->queue.vq);
    notify = qpci_io_readw(pci->pdev, pci->bar,
                           common + VIRTIO_PCI_COMMON_Q_NOFF);
    r->queue.notify_offset = pci->notify_cfg_offset +
                             notify * pci->notify_off_multiplier;
    qpci_io_writew(pci->pdev, pci->bar, common + VIRTIO_PCI_COMMON_Q_ENABLE, 1);
}

static void setup_mmio(RamDeviceRing *r)
{
    const uint64_t regs = container_of(r->vdev, QVirtioMMIODevice, vdev)->addr;
    const struct {
        uint64_t offset;
        uint32_t value;
    } writes[] = {
        { VIRTIO_MMIO_QUEUE_SEL, 0 },
        { VIRTIO_MMIO_QUEUE_NUM, r->l->size },
        { VIRTIO_MMIO_QUEUE_DESC_LOW, r->queue.vq.desc },
        { VIRTIO_MMIO_QUEUE_DESC_HIGH, r->queue.vq.desc >> 32 },
        { VIRTIO_MMIO_QUEUE_AVAIL_LOW, r->queue.vq.avail },
        { VIRTIO_MMIO_QUEUE_AVAIL_HIGH, r->queue.vq.avail >> 32 },
        { VIRTIO_MMIO_QUEUE_USED_LOW, r->queue.vq.used },
        { VIRTIO_MMIO_QUEUE_USED_HIGH, r->queue.vq.used >> 32 },
        { VIRTIO_MMIO_QUEUE_READY, 1 },
    };
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(writes); i++) {
        qtest_writel(r->b->vm->qts, regs + writes[i].offset, writes[i].value);
    }
}

static void set_features(RamDeviceRing *r)
{
    uint64_t offered = qvirtio_get_features(r->vdev);
    uint64_t wanted = 1ull << VIRTIO_F_VERSION_1 |
                      (uint64_t)r->l->indirect << VIRTIO_RING_F_INDIRECT_DESC |
                      (uint64_t)r->l->packed << VIRTIO_F_RING_PACKED |
                      (uint64_t)r->l->event << VIRTIO_RING_F_EVENT_IDX;

    g_assert_cmphex(offered & wanted, ==, wanted);
    qvirtio_set_features(r->vdev, wanted);
}

static void clear_part(RamDeviceRing *r, RingPart part)
{
    size_t room = r->b->vm->memory[target_of(r, part)].size - r->offset[part];
    size_t len = MIN(ring_part_size(r->l, part), room);
    g_autofree uint8_t *zeroes = g_malloc0(len);

    put(r, part, 0, zeroes, len);
}

bool ring_start(RamDeviceRing *r)
{
    unsigned t;

    qvirtio_start_device(r->vdev);
    for (t = 0; t < TARGET_COUNT; t++) {
        const RamDeviceMemory *m = &r->b->vm->memory[t];

        g_free(r->model[t]);
        r->model[t] = m->host ? g_memdup2(m->host, m->size) : NULL;
    }
    clear_part(r, RING_DESC);
    clear_part(r, RING_DRIVER);
    clear_part(r, RING_DEVICE);
    r->next = r->done = 0;
    r->next_wrap = r->done_wrap = true;

    set_features(r);
    r->queue.vq.vdev = r->vdev;
    r->queue.vq.size = r->l->size;
    r->queue.vq.desc = r->addr[RING_DESC];
    r->queue.vq.avail = r->addr[RING_DRIVER];
    r->queue.vq.used = r->addr[RING_DEVICE];
    (r->is_mmio ? setup_mmio : setup_pci)(r);
    if (ring_needs_reset(r)) {
        return false;
    }
    qvirtio_set_driver_ok(r->vdev);
    return true;
}

bool ring_needs_reset(const RamDeviceRing *r)
{
    return r->vdev->bus->get_status(r->vdev) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

/*
 * Requests
 */

/* The sector of the batch's request @i */
static uint64_t sector(const RamDeviceRing *r, unsigned i)
{
    return (r->requests + i) % (RDB_DISK_SIZE / RDB_SECTOR);
}

static void put_headers(RamDeviceRing *r, uint32_t type)
{
    g_autofree Envelope *e = g_new0(Envelope, r->l->batch);
    unsigned i;

    for (i = 0; i < r->l->batch; i++) {
        e[i].header.type = cpu_to_le32(type);
        e[i].header.sector = cpu_to_le64(sector(r, i));
        e[i].status = 0xff;
    }
    qtest_bufwrite(r->b->vm->qts, r->headers, e,
                   r->l->batch * sizeof(Envelope));
}

static void put_data(RamDeviceRing *r)
{
    size_t len = r->l->batch * RING_LEN;
    g_autofree uint8_t *data = g_malloc(len);

    rd_random(data, len, r->requests);
    put(r, RING_DATA, 0, data, len);
}

/* Fill in the address and the length, which split and packed rings share */
static void chain_address(const RamDeviceRing *r, unsigned i, unsigned link,
                          uint64_t *addr, uint32_t *len)
{
    uint64_t envelope = r->headers + i * sizeof(Envelope);

    switch (link) {
    case 0:
        *addr = envelope;
        *len = sizeof(Header);
        break;
    case 1:
        *addr = r->addr[RING_DATA] + i * RING_LEN;
        *len = RING_LEN;
        break;
    default:
        *addr = envelope + offsetof(Envelope, status);
        *len = 1;
        break;
    }
}

static uint16_t chain_flags(uint32_t type, unsigned link)
{
    bool write = link == 2 || (link == 1 && type == VIRTIO_BLK_T_IN);

    return write ? VRING_DESC_F_WRITE : 0;
}

/* Descriptor @link of request @i; @first is the number of the chain's first */
static struct vring_desc split_desc(const RamDeviceRing *r, uint32_t type,
                                    unsigned i, unsigned link, unsigned first)
{
    struct vring_desc d;
    uint64_t addr;
    uint32_t len;

    chain_address(r, i, link, &addr, &len);
    d.addr = cpu_to_le64(addr);
    d.len = cpu_to_le32(len);
    d.flags = cpu_to_le16(chain_flags(type, link) |
                          (link < CHAIN - 1 ? VRING_DESC_F_NEXT : 0));
    d.next = cpu_to_le16(link < CHAIN - 1 ? first + link + 1 : 0);
    return d;
}

/* The descriptor that names request @i's indirect table */
static struct vring_desc split_indirect(const RamDeviceRing *r, unsigned i)
{
    size_t table = CHAIN * sizeof(struct vring_desc);

    return (struct vring_desc) {
        .addr = cpu_to_le64(r->addr[RING_TABLE] + i * table),
        .len = cpu_to_le32(table),
        .flags = cpu_to_le16(VRING_DESC_F_INDIRECT),
    };
}

static void submit_split(RamDeviceRing *r, uint32_t type)
{
    const unsigned step = r->l->indirect ? 1 : CHAIN;
    const RingPart where = r->l->indirect ? RING_TABLE : RING_DESC;
    g_autofree struct vring_desc *chain = g_new(struct vring_desc,
                                                r->l->batch * CHAIN);
    g_autofree struct vring_desc *heads = g_new(struct vring_desc, r->l->batch);
    unsigned i, link;

    for (i = 0; i < r->l->batch; i++) {
        for (link = 0; link < CHAIN; link++) {
            chain[i * CHAIN + link] =
                split_desc(r, type, i, link, r->l->indirect ? 0 : i * CHAIN);
        }
        heads[i] = split_indirect(r, i);
    }
    put(r, where, 0, chain, r->l->batch * CHAIN * sizeof(*chain));
    if (r->l->indirect) {
        put(r, RING_DESC, 0, heads, r->l->batch * sizeof(*heads));
    }

    for (i = 0; i < r->l->batch; i++) {
        uint16_t slot = (uint16_t)(r->next + i) % r->l->size;
        uint16_t head = cpu_to_le16(i * step);

        put(r, RING_DRIVER, offsetof(struct vring_avail, ring[slot]), &head,
            sizeof(head));
    }
    r->next += r->l->batch;
    put_word(r, RING_DRIVER, offsetof(struct vring_avail, idx), r->next);
}

static void packed_advance(const RamDeviceRing *r, uint16_t *position,
                           bool *wrap, unsigned by)
{
    *position += by;
    if (*position >= r->l->size) {
        *position -= r->l->size;
        *wrap = !*wrap;
    }
}

/* Descriptor @link of request @i, but for the bits that say it is available */
static struct vring_packed_desc packed_desc(const RamDeviceRing *r,
                                            uint32_t type, unsigned i,
                                            unsigned link)
{
    struct vring_packed_desc d;
    uint64_t addr;
    uint32_t len;

    chain_address(r, i, link, &addr, &len);
    d.addr = cpu_to_le64(addr);
    d.len = cpu_to_le32(len);
    d.id = cpu_to_le16(i);
    d.flags = cpu_to_le16(chain_flags(type, link));
    return d;
}

static struct vring_packed_desc packed_indirect(const RamDeviceRing *r,
                                                unsigned i)
{
    size_t table = CHAIN * sizeof(struct vring_packed_desc);

    return (struct vring_packed_desc) {
        .addr = cpu_to_le64(r->addr[RING_TABLE] + i * table),
        .len = cpu_to_le32(table),
        .id = cpu_to_le16(i),
        .flags = cpu_to_le16(VRING_DESC_F_INDIRECT),
    };
}

/*
 * Put a descriptor at the next position of the packed ring.  Its flags make
 * it available: those of the very first are left to the caller.
 */
static uint16_t packed_put(RamDeviceRing *r, struct vring_packed_desc d,
                           bool is_last, bool is_first)
{
    uint16_t flags = le16_to_cpu(d.flags) |
                     (is_last ? 0 : VRING_DESC_F_NEXT) |
                     (r->next_wrap ? PACKED_AVAIL : PACKED_USED);
    size_t at = r->next * sizeof(d);

    put(r, RING_DESC, at, &d, offsetof(struct vring_packed_desc, flags));
    if (!is_first) {
        put_word(r, RING_DESC, at + offsetof(struct vring_packed_desc, flags),
                 flags);
    }
    packed_advance(r, &r->next, &r->next_wrap, 1);
    return flags;
}

static void submit_packed(RamDeviceRing *r, uint32_t type)
{
    const size_t first = r->next * sizeof(struct vring_packed_desc);
    uint16_t first_flags = 0;
    unsigned i, link;

    for (i = 0; i < r->l->batch; i++) {
        struct vring_packed_desc chain[CHAIN];
        uint16_t flags;

        for (link = 0; link < CHAIN; link++) {
            chain[link] = packed_desc(r, type, i, link);
        }
        if (r->l->indirect) {
            put(r, RING_TABLE, i * sizeof(chain), chain, sizeof(chain));
            flags = packed_put(r, packed_indirect(r, i), true, i == 0);
        } else {
            flags = packed_put(r, chain[0], false, i == 0);
            packed_put(r, chain[1], false, false);
            packed_put(r, chain[2], true, false);
        }
        if (i == 0) {
            first_flags = flags;
        }
    }
    put_word(r, RING_DESC,
             first + offsetof(struct vring_packed_desc, flags), first_flags);
}

/* Is request number @i of the batch done? */
static bool is_done(const RamDeviceRing *r, unsigned i)
{
    if (r->l->packed) {
        uint16_t position = r->done;
        bool wrap = r->done_wrap;
        uint16_t flags;

        packed_advance(r, &position, &wrap, i * (r->l->indirect ? 1 : CHAIN));
        flags = get_word(r, RING_DESC,
                         position * sizeof(struct vring_packed_desc) +
                         offsetof(struct vring_packed_desc, flags));
        return (flags & (PACKED_AVAIL | PACKED_USED)) ==
               (wrap ? PACKED_AVAIL | PACKED_USED : 0);
    } else {
        uint16_t used = get_word(r, RING_DEVICE,
                                 offsetof(struct vring_used, idx));

        g_assert_cmpuint((uint16_t)(used - r->done), <=, r->l->batch);
        return (uint16_t)(used - r->done) > i;
    }
}

void ring_submit(RamDeviceRing *r, uint32_t type)
{
    put_headers(r, type);
    put_data(r);
    (r->l->packed ? submit_packed : submit_split)(r, type);
    ring_kick(r);
}

void ring_kick(RamDeviceRing *r)
{
    r->vdev->bus->virtqueue_kick(r->vdev, &r->queue.vq);
}

bool ring_is_reported(const RamDeviceRing *r)
{
    return is_done(r, 0);
}

/* Wait for the status bytes of the first @count requests of the batch */
static void wait_status(const RamDeviceRing *r, unsigned count)
{
    gint64 end = g_get_monotonic_time() + RD_TIMEOUT_US;
    QTestState *qts = r->b->vm->qts;
    unsigned i;

    for (i = 0; i < count; i++) {
        uint64_t status = r->headers + i * sizeof(Envelope) +
                          offsetof(Envelope, status);

        while (qtest_readb(qts, status) == 0xff) {
            g_assert(g_get_monotonic_time() < end);
        }
    }
}

void ring_wait_begun(const RamDeviceRing *r)
{
    wait_status(r, 1);
}

void ring_wait_served(const RamDeviceRing *r)
{
    wait_status(r, r->l->batch);
    /* Let the main loop finish what it did when it wrote the last one */
    ring_needs_reset(r);
}

bool ring_wait(RamDeviceRing *r)
{
    gint64 end = g_get_monotonic_time() + RD_TIMEOUT_US;
    unsigned i = 0;

    while (i < r->l->batch) {
        if (is_done(r, i)) {
            i++;
        } else if (ring_needs_reset(r)) {
            return false;
        } else {
            g_assert(g_get_monotonic_time() < end);
        }
    }
    return true;
}

/* What the device says of one request */
typedef struct Completion {
    uint32_t id;
    uint32_t len;
} Completion;

static Completion take_split(RamDeviceRing *r)
{
    struct vring_used_elem e;
    uint16_t slot = r->done % r->l->size;

    get(r, RING_DEVICE, offsetof(struct vring_used, ring[slot]), &e,
        sizeof(e));
    r->done++;
    return (Completion) {
        .id = le32_to_cpu(e.id) / (r->l->indirect ? 1 : CHAIN),
        .len = le32_to_cpu(e.len),
    };
}

/* The rest of the descriptor is as the driver wrote it */
static Completion take_packed(RamDeviceRing *r)
{
    const size_t len = offsetof(struct vring_packed_desc, len);
    size_t at = r->done * sizeof(struct vring_packed_desc);
    struct vring_packed_desc d;

    get(r, RING_DESC, at + len, (uint8_t *)&d + len, sizeof(d) - len);
    g_assert_cmphex(le16_to_cpu(d.flags), ==,
                    r->done_wrap ? PACKED_AVAIL | PACKED_USED : 0);
    packed_advance(r, &r->done, &r->done_wrap, r->l->indirect ? 1 : CHAIN);
    return (Completion) {
        .id = le16_to_cpu(d.id),
        .len = le32_to_cpu(d.len),
    };
}

/* Each request of the batch is reported once, with the bytes written for it */
static void take_completions(RamDeviceRing *r, uint32_t type)
{
    const uint32_t len = 1 + (type == VIRTIO_BLK_T_IN ? RING_LEN : 0);
    g_autofree bool *seen = g_new0(bool, r->l->batch);
    uint16_t word;
    unsigned i;

    for (i = 0; i < r->l->batch; i++) {
        Completion c = (r->l->packed ? take_packed : take_split)(r);

        g_assert_cmpuint(c.id, <, r->l->batch);
        g_assert_false(seen[c.id]);
        seen[c.id] = true;
        g_assert_cmpuint(c.len, ==, len);
    }

    /* When it wants to be kicked */
    if (r->l->packed) {
        struct vring_packed_desc_event e;

        get(r, RING_DEVICE, 0, &e, sizeof(e));
        return;
    }
    get(r, RING_DEVICE, offsetof(struct vring_used, flags), &word,
        sizeof(word));
    g_assert_cmphex(le16_to_cpu(word) & ~VRING_USED_F_NO_NOTIFY, ==, 0);
    get(r, RING_DEVICE, offsetof(struct vring_used, idx), &word, sizeof(word));
    g_assert_cmpuint(le16_to_cpu(word), ==, r->done);
    get(r, RING_DEVICE, offsetof(struct vring_used, ring[r->l->size]), &word,
        sizeof(word));
}

void ring_check_data(RamDeviceRing *r, uint32_t type)
{
    const unsigned batch = r->l->batch;
    g_autofree uint8_t *data = g_malloc(batch * RING_LEN);
    g_autofree Envelope *e = g_new(Envelope, batch);
    unsigned i;

    take_completions(r, type);
    qtest_bufread(r->b->vm->qts, r->headers, e, batch * sizeof(Envelope));
    for (i = 0; i < batch; i++) {
        g_assert_cmpuint(e[i].status, ==, VIRTIO_BLK_S_OK);
    }

    if (type == VIRTIO_BLK_T_IN) {
        get(r, RING_DATA, 0, data, batch * RING_LEN);
    } else {
        rd_random(data, batch * RING_LEN, r->requests);
    }
    for (i = 0; i < batch; i++) {
        rd_assert_same(data + i * RING_LEN,
                       r->b->disk + sector(r, i) * RDB_SECTOR, RING_LEN);
    }
    r->requests += batch;
}

/*
 * When the device wants to be kicked is taken from @bar, a copy of what is in
 * the device area's BAR: an iothread changes it once more after it has
 * reported the last request.
 */
static void take_kicks(RamDeviceRing *r, const uint8_t *bar)
{
    const size_t event = offsetof(struct vring_used, ring[r->l->size]);
    uint8_t *model = r->model[target_of(r, RING_DEVICE)];
    size_t at = r->offset[RING_DEVICE];

    if (r->l->packed) {
        memcpy(model + at, bar + at, sizeof(struct vring_packed_desc_event));
        return;
    }
    g_assert_cmphex(lduw_le_p(bar + at) & ~VRING_USED_F_NO_NOTIFY, ==, 0);
    memcpy(model + at, bar + at, sizeof(uint16_t));
    memcpy(model + at + event, bar + at + event, sizeof(uint16_t));
}

void ring_check_bars(RamDeviceRing *r)
{
    unsigned t;

    for (t = 0; t < TARGET_COUNT; t++) {
        if (r->model[t]) {
            size_t size = r->b->vm->memory[t].size;
            g_autofree uint8_t *bar = g_malloc(size);

            rd_get(r->b->vm, t, 0, bar, size);
            if (t == target_of(r, RING_DEVICE)) {
                take_kicks(r, bar);
            }
            rd_assert_same(bar, r->model[t], size);
        }
    }
}

void ring_run(RamDeviceRing *r, unsigned count)
{
    unsigned end = r->requests + count;
    uint32_t type = VIRTIO_BLK_T_IN;

    while (r->requests < end) {
        ring_submit(r, type);
        g_assert_true(ring_wait(r));
        ring_check_data(r, type);
        type = type == VIRTIO_BLK_T_IN ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;
    }
    ring_check_bars(r);
}
