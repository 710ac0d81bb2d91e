/*
 * Fuzzing of DMA into RAM devices
 *
 * An input is a row of operations: requests to virtio-blk, virtio-scsi and NVMe
 * disks, and packets of virtio-net, whose descriptors are in RAM, in RAM
 * devices, across their borders and beside them; operations of the
 * ram-device-testdev; BARs that are disabled, moved and that vanish while
 * requests are in flight; resets.  What must be in the memory, on the disks and
 * in the packets is known, and compared: a request that nothing was in the way
 * of moves exactly its bytes; what any other one writes to a disk is some of
 * them; and nobody writes anything else.
 *
 *   qemu-fuzz-aarch64 --fuzz-target=ram-device-fuzz [libFuzzer's arguments]
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "qemu/memfd.h"
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "system/dma.h"
#include "fuzz.h"
#include "tests/qtest/libqos/generic-pcihost.h"
#include "ram_device_fuzz_disk.h"
#include "ram_device_fuzz_net.h"
#include "ram_device_fuzz_testdev.h"

#define PAGE         4096
#define RAM_SIZE     (16 * MiB)
#define RAM_BASE     (1 * GiB)
/* What is known of RAM and of the staging buffer */
#define KNOWN_SIZE   (128 * KiB)
#define MEM_SIZE     (256 * KiB)
#define REG_SIZE     (128 * KiB)

/* Devices and their BARs' places in the machine "virt" */
enum {
    TESTDEV_SLOT = 1,
    FIRST_DISK_SLOT,
    NET_SLOT = FIRST_DISK_SLOT + FUZZ_NVME + 1,
};
#define REGS_ADDR    0x10000000u
#define STAGING_ADDR 0x10200000u
#define DISKS_ADDR   0x10600000u
#define DISK_BAR     0x10000
#define NET_ADDR     0x10700000u
#define HIGH_ADDR    0x8000000000ull
/* Where BARs are that nobody can find */
#define PARKED_ADDR  0x8040000000ull
/* An address with nothing behind it */
#define HOLE_ADDR    0x8080000000ull

static FuzzDisk disks[FUZZ_NVME + 1];
static FuzzNet net;
static FuzzTestDev testdev;
static bool bars_moved;
static int mem_fd;

/*
 * The input
 */

typedef struct Input {
    const uint8_t *at;
    size_t left;
    unsigned pieces;
} Input;

static uint32_t take(Input *in, unsigned bytes)
{
    uint32_t value = 0;

    while (bytes-- && in->left) {
        value = value << 8 | *in->at++;
        in->left--;
    }
    return value;
}

static FuzzArea take_area(Input *in)
{
    FuzzArea area = take(in, 1) % AREA_COUNT;

    return fuzz_memory[area].there && !fuzz_memory[area].vanished ? area
                                                                  : AREA_RAM;
}

/*
 * Where the BARs are
 */

static void place_bar(QPCIDevice *dev, int bar, uint64_t addr, bool wide)
{
    qpci_config_writel(dev, PCI_BASE_ADDRESS_0 + 4 * bar, addr);
    if (wide) {
        qpci_config_writel(dev, PCI_BASE_ADDRESS_0 + 4 * bar + 4, addr >> 32);
    }
}

static void set_decoding(bool on)
{
    qpci_config_writew(testdev.dev, PCI_COMMAND,
                       PCI_COMMAND_MASTER | (on ? PCI_COMMAND_MEMORY : 0));
}

static void settle(void)
{
    int i;

    for (i = 0; i < ARRAY_SIZE(disks); i++) {
        fuzz_disk_settle(&disks[i]);
    }
    fuzz_net_settle(&net);
    for (i = 0; i < ARRAY_SIZE(disks); i++) {
        fuzz_disk_check(&disks[i]);
    }
    fuzz_net_check(&net);
    for (i = 0; i < ARRAY_SIZE(disks); i++) {
        fuzz_disk_forget(&disks[i]);
    }
    fuzz_net_forget(&net);
    fuzz_memory_check();
}

static void gone(FuzzArea area, bool unmapped)
{
    int i;

    for (i = 0; i < ARRAY_SIZE(disks); i++) {
        FuzzDisk *d = &disks[i];

        fuzz_disk_disturb(d, unmapped);
        /* Where no memory is, virtio-scsi may wait for itself for ever */
        d->queue.lost |= d->queue.rings == area ||
                         (d->model == FUZZ_SCSI && unmapped && d->count);
    }
    fuzz_net_disturb(&net, unmapped);
    for (i = 0; i < FUZZ_DIRECTIONS; i++) {
        net.queues[i].lost |= net.queues[i].rings == area;
    }
}

/* Take memory away, while requests are in flight */
static void op_leave(Input *in)
{
    FuzzMemory *memory = fuzz_memory;

    fuzz_net_check_received(&net);
    switch (take(in, 1) % 4) {
    case 0:
        bars_moved = true;
        set_decoding(false);
        memory[AREA_MEM].there = false;
        memory[AREA_REG].there = false;
        memory[AREA_STAGING].there = false;
        gone(AREA_MEM, true);
        gone(AREA_REG, true);
        gone(AREA_STAGING, true);
        break;
    case 1:
        bars_moved = true;
        place_bar(testdev.dev, RDT_BAR_MEM, PARKED_ADDR, true);
        memory[AREA_MEM].there = false;
        gone(AREA_MEM, true);
        break;
    case 2:
        bars_moved = true;
        place_bar(testdev.dev, RDT_BAR_REG, PARKED_ADDR + MiB, true);
        memory[AREA_REG].there = false;
        gone(AREA_REG, true);
        break;
    default:
        g_assert_cmpint(ftruncate(mem_fd, 0), ==, 0);
        memory[AREA_MEM].vanished = true;
        gone(AREA_MEM, false);
        break;
    }
}

/* All memory is there again; the BARs are beside each other, or apart */
static void op_return(Input *in)
{
    FuzzMemory *mem = &fuzz_memory[AREA_MEM], *reg = &fuzz_memory[AREA_REG];
    uint64_t reg_addr;
    int i;

    settle();
    reg_addr = HIGH_ADDR + mem->size + (take(in, 1) & 1 ? MiB : 0);
    if (reg_addr != reg->addr || bars_moved) {
        for (i = 0; i < ARRAY_SIZE(disks); i++) {
            if (disks[i].queue.rings == AREA_REG) {
                fuzz_disk_reset(&disks[i]);
            }
        }
        if (net.queues[0].rings == AREA_REG) {
            fuzz_net_reset(&net);
        }
        reg->addr = reg_addr;
        place_bar(testdev.dev, RDT_BAR_MEM, mem->addr, true);
        place_bar(testdev.dev, RDT_BAR_REG, reg->addr, true);
        set_decoding(true);
        mem->there = reg->there = fuzz_memory[AREA_STAGING].there = true;
        bars_moved = false;
    }
    if (mem->vanished) {
        g_assert_cmpint(ftruncate(mem_fd, mem->size), ==, 0);
        mem->vanished = false;
        fuzz_memory_fill(mem);
    }
}

/*
 * Requests
 */

/*
 * A piece of data, in an area or across its end.  The same bytes of the input,
 * which are frequent, make another piece each time, so that few overlap.
 */
static FuzzPiece take_piece(Input *in, uint32_t longest, bool write)
{
    const FuzzMemory *m = &fuzz_memory[take(in, 1) % AREA_COUNT];

    return (FuzzPiece) {
        .addr = m->addr + m->data +
                (take(in, 3) + in->pieces++ * 0x1357) % m->data_size,
        .len = 1 + take(in, 2) % longest,
        .write = write,
    };
}

#define SPOILT_PIECES 6

/* Something is wrong with it in one of so many ways, or it is somewhere else */
static void spoil(Input *in, FuzzRequest *r, unsigned ways)
{
    FuzzPiece *p = &r->pieces[take(in, 1) % r->piece_count];

    r->tidy = false;
    switch (take(in, 1) % ways) {
    case 0:
        p->len = 0;
        break;
    case 1:
        p->len = take(in, 4);
        break;
    case 2:
        p->addr = HOLE_ADDR + take(in, 2);
        break;
    case 3:
        p->addr = -1 - (uint64_t)take(in, 2);
        break;
    case 4:
        p->addr = RAM_BASE + RAM_SIZE - take(in, 1);
        break;
    case 5:
        p->write = !p->write;
        break;
    case SPOILT_PIECES:
        r->sector = take(in, 4);
        break;
    default:
        r->kind = FUZZ_OTHER;
        r->command = take(in, 1) & ~1u;
        break;
    }
}

/* Commands of FUZZ_OTHER that write to the disk are for FUZZ_WRITE alone */
static bool may_write(const FuzzDisk *d, const FuzzRequest *r)
{
    static const uint8_t commands[][12] = {
        [FUZZ_BLK] = { 1, 11, 13, 14 },
        [FUZZ_SCSI] = { 0x04, 0x0a, 0x2a, 0x2e, 0x42, 0x48, 0x8a, 0x8e, 0xaa,
                        0xae },
        [FUZZ_NVME] = { 0x04, 0x08 },
    };

    return r->kind == FUZZ_OTHER && r->command &&
           memchr(commands[d->model], r->command, sizeof(commands[0]));
}

/* Make room for one more request, and have the disk ready */
static void prepare(Input *in, FuzzDisk *d)
{
    if (d->count == FUZZ_MAX_REQUESTS || d->queue.lost) {
        settle();
    }
    if (!d->queue.started) {
        fuzz_disk_start(d, take_area(in));
    }
}

/* Its data is pages, all but the first one from their beginning on */
static void op_nvme(Input *in)
{
    FuzzDisk *d = &disks[FUZZ_NVME];
    uint32_t flags = take(in, 1);
    FuzzRequest r = {
        .kind = flags & 1 ? FUZZ_WRITE : FUZZ_READ,
        .tidy = true,
    };
    uint32_t left, begin;

    prepare(in, d);
    r.sector = take(in, 2) % (FUZZ_DISK_SIZE / FUZZ_SECTOR / 2);
    r.bytes = left = FUZZ_SECTOR * (1 + take(in, 1) % 64);
    begin = flags & 2 ? take(in, 2) % 1024 * 4 : 0;
    while (left) {
        const FuzzMemory *m = &fuzz_memory[take(in, 1) % AREA_COUNT];
        uint32_t page = (take(in, 1) + in->pieces++ * 7) %
                        (m->data_size / PAGE);
        FuzzPiece *p = &r.pieces[r.piece_count++];

        p->addr = m->addr + m->data + page * PAGE + begin;
        p->len = MIN(left, PAGE - begin);
        p->write = r.kind == FUZZ_READ;
        left -= p->len;
        begin = 0;
    }
    if ((flags & 0xc0) == 0xc0) {
        uint32_t i;

        spoil(in, &r, SPOILT_PIECES + 2);
        for (i = 0; i < r.piece_count; i++) {
            r.pieces[i].len = PAGE;
        }
    }
    if (!may_write(d, &r)) {
        fuzz_disk_submit(d, &r, AREA_RAM, false,
                         flags & 0x20 ? take_area(in) : AREA_RAM);
    }
}

static void op_request(Input *in, FuzzDisk *d)
{
    uint32_t flags = take(in, 1);
    FuzzRequest r = {
        .kind = flags & 1 ? FUZZ_WRITE : FUZZ_READ,
        .tidy = true,
        .piece_count = 1 + (flags >> 1) % 8,
    };
    /* Several of the large ones are more than the budget */
    uint32_t longest = (flags & 0xc0) == 0x80 ? 32 * KiB : 4 * KiB;
    uint32_t total = 0, part;
    FuzzArea headers, table;
    unsigned i;

    prepare(in, d);
    r.sector = take(in, 2) % (FUZZ_DISK_SIZE / FUZZ_SECTOR / 2 - 1);
    for (i = 0; i < r.piece_count; i++) {
        r.pieces[i] = take_piece(in, longest, r.kind == FUZZ_READ);
        total += r.pieces[i].len;
    }
    /* Sectors are whole */
    part = -total % FUZZ_SECTOR;
    if (part) {
        r.pieces[i] = take_piece(in, 1, r.kind == FUZZ_READ);
        r.pieces[i].len = part;
        r.piece_count++;
    }
    r.bytes = total + part;
    if ((flags & 0xc0) == 0xc0) {
        spoil(in, &r, SPOILT_PIECES + 2);
    }
    if (may_write(d, &r)) {
        return;
    }
    headers = flags & 0x10 ? take_area(in) : AREA_RAM;
    table = flags & 0x20 ? take_area(in) : AREA_RAM;
    fuzz_disk_submit(d, &r, headers, flags & 0x20, table);
}

/* What is received needn't fill its last piece */
static void op_packet(Input *in)
{
    uint32_t flags = take(in, 1);
    FuzzRequest r = {
        .kind = flags & 1 ? FUZZ_WRITE : FUZZ_READ,
        .tidy = true,
        .piece_count = 1 + (flags >> 1) % 8,
    };
    /* 8 of them, and what is added, are less than the longest one */
    uint32_t longest = (flags & 0xc0) == 0x80 ? 8 * KiB - 64 : KiB;
    FuzzArea headers, table;
    unsigned i;

    for (i = 0; i < r.piece_count; i++) {
        r.pieces[i] = take_piece(in, longest, r.kind == FUZZ_READ);
        r.bytes += r.pieces[i].len;
    }
    if (r.kind == FUZZ_READ) {
        r.bytes -= take(in, 2) % r.pieces[r.piece_count - 1].len;
    }
    if ((flags & 0xc0) == 0xc0) {
        spoil(in, &r, SPOILT_PIECES);
    }
    if (!fuzz_net_has_room(&net, &r) || net.queues[FUZZ_RECEIVE].lost ||
        net.queues[FUZZ_TRANSMIT].lost || net.unsure) {
        settle();
    }
    if (!net.queues[0].started) {
        fuzz_net_start(&net, take_area(in), take(in, 1) & 1);
    }
    headers = flags & 0x10 ? take_area(in) : AREA_RAM;
    table = flags & 0x20 ? take_area(in) : AREA_RAM;
    fuzz_net_submit(&net, &r, headers, flags & 0x20, table);
}

static void op_reset(Input *in)
{
    unsigned which = take(in, 1) % (ARRAY_SIZE(disks) + 1);

    if (which < ARRAY_SIZE(disks)) {
        fuzz_disk_disturb(&disks[which], false);
        fuzz_disk_reset(&disks[which]);
    } else {
        fuzz_net_check_received(&net);
        fuzz_net_disturb(&net, false);
        fuzz_net_reset(&net);
    }
    settle();
}

static void op_testdev(Input *in)
{
    RamDeviceTestOp op = take(in, 1) % (RDT_OP_END + 1);
    FuzzPiece guest = take_piece(in, 4 * KiB, false);
    FuzzPiece other = take_piece(in, 4 * KiB, false);
    uint32_t stage = take(in, 3) % fuzz_memory[AREA_STAGING].data_size;

    settle();
    if (fuzz_memory[AREA_STAGING].there) {
        fuzz_testdev_run(&testdev, op, guest.addr, stage,
                         op >= RDT_OP_LD_LE ? guest.len % 10 : guest.len,
                         other.addr);
        fuzz_counts.operations++;
        fuzz_memory_check();
    }
}

/*
 * The target
 */

static void fuzz(QTestState *qts, const uint8_t *data, size_t size)
{
    Input in = { .at = data, .left = size };
    int i;

    net.number = 0;
    op_return(&in);
    for (i = 0; i < ARRAY_SIZE(disks); i++) {
        fuzz_disk_fill(&disks[i]);
    }
    for (i = 0; i < AREA_COUNT; i++) {
        fuzz_memory_fill(&fuzz_memory[i]);
    }
    while (in.left) {
        switch (take(&in, 1) % 20) {
        case 0 ... 2:
            op_request(&in, &disks[FUZZ_BLK]);
            break;
        case 3 ... 5:
            op_request(&in, &disks[FUZZ_SCSI]);
            break;
        case 6 ... 8:
            op_nvme(&in);
            break;
        case 9 ... 10:
            op_testdev(&in);
            break;
        case 11:
            settle();
            break;
        case 12:
            op_leave(&in);
            break;
        case 13:
            op_return(&in);
            break;
        case 14:
            op_reset(&in);
            break;
        case 15:
            main_loop_wait(true);
            break;
        default:
            op_packet(&in);
            break;
        }
    }
    settle();
    for (i = 0; i < ARRAY_SIZE(disks); i++) {
        if (disks[i].queue.started) {
            fuzz_disk_reset(&disks[i]);
        }
    }
    fuzz_net_reset(&net);
    fuzz_counts.inputs++;
}

static void print_counts(void)
{
    fprintf(stderr, "ram-device-fuzz: %" PRIu64 " inputs, %" PRIu64
            " descriptors, %" PRIu64 " requests (%" PRIu64 " answered as "
            "done, %" PRIu64 " disturbed, %" PRIu64 " compared, %" PRIu64
            " packets compared, %" PRIu64 " bytes), %" PRIu64
            " devices lost, %" PRIu64 " operations\n",
            fuzz_counts.inputs, fuzz_counts.descriptors, fuzz_counts.requests,
            fuzz_counts.good, fuzz_counts.disturbed, fuzz_counts.compared,
            fuzz_counts.packets, fuzz_counts.bytes, fuzz_counts.broken,
            fuzz_counts.operations);
}

static GString *command_line(FuzzTarget *t)
{
    GString *line = g_string_new(TARGET_NAME);

    mem_fd = qemu_memfd_create("mem", MEM_SIZE, false, 0, 0, &error_abort);
    fuzz_disk_create(&disks[FUZZ_BLK], "blk", FUZZ_BLK);
    fuzz_disk_create(&disks[FUZZ_SCSI], "scsi", FUZZ_SCSI);
    fuzz_disk_create(&disks[FUZZ_NVME], "nvme", FUZZ_NVME);
    fuzz_net_create(&net);
    g_string_append_printf(
        line, " -M virt,x-ram-device-buffer-size=%" PRId64 " -accel qtest "
        "-cpu max -m %" PRId64 "B -nodefaults -display none "
        "-device " TYPE_RAM_DEVICE_TESTDEV ",addr=%d.0,mem-size=%" PRId64 ","
        "mem-path=/proc/self/fd/%d,reg-size=%" PRId64 " "
        "-blockdev file,node-name=blk,filename=/proc/self/fd/%d,locking=off "
        "-device virtio-blk-pci,addr=%d.0,drive=blk,num-queues=1,"
        "disable-legacy=on "
        "-blockdev file,node-name=scsi,filename=/proc/self/fd/%d,locking=off "
        "-device virtio-scsi-pci,id=hba,addr=%d.0,num_queues=1,"
        "disable-legacy=on -device scsi-hd,bus=hba.0,drive=scsi "
        "-blockdev file,node-name=nvme,filename=/proc/self/fd/%d,locking=off "
        "-device nvme,addr=%d.0,serial=fuzz,drive=nvme "
        "-netdev dgram,id=" FUZZ_NET_NAME ",local.type=fd,local.str=%d "
        "-device virtio-net-pci,addr=%d.0,netdev=" FUZZ_NET_NAME ","
        "disable-legacy=on,romfile=",
        2 * MiB, RAM_SIZE, TESTDEV_SLOT, MEM_SIZE, mem_fd, REG_SIZE,
        disks[FUZZ_BLK].fd, FIRST_DISK_SLOT + FUZZ_BLK,
        disks[FUZZ_SCSI].fd, FIRST_DISK_SLOT + FUZZ_SCSI,
        disks[FUZZ_NVME].fd, FIRST_DISK_SLOT + FUZZ_NVME, net.fd, NET_SLOT);
    return line;
}

static void know(FuzzArea area, uint64_t addr, uint32_t size, bool at_end)
{
    MemoryRegionSection section = memory_region_find(get_system_memory(), addr,
                                                     size);
    FuzzMemory *m = &fuzz_memory[area];

    g_assert(section.mr && memory_region_is_ram(section.mr));
    g_assert(int128_get64(section.size) == size);
    *m = (FuzzMemory) {
        .addr = addr,
        .size = size,
        .reserved = at_end ? size - FUZZ_RESERVED_SIZE : 0,
        .data = at_end ? 0 : FUZZ_RESERVED_SIZE,
        .data_size = size - FUZZ_RESERVED_SIZE,
        .host = (uint8_t *)memory_region_get_ram_ptr(section.mr) +
                section.offset_within_region,
        .model = g_malloc0(size),
        .writers = g_malloc0(size),
        .there = true,
    };
    memory_region_unref(section.mr);
}

static QPCIDevice *find_device(QPCIBus *bus, int slot)
{
    QPCIDevice *dev = qpci_device_find(bus, QPCI_DEVFN(slot, 0));

    g_assert(dev);
    return dev;
}

static void enable_device(QPCIDevice *dev, int bar, uint64_t addr)
{
    place_bar(dev, bar, addr, true);
    qpci_config_writew(dev, PCI_COMMAND,
                       PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
}

static void set_up(QTestState *qts)
{
    QGenericPCIBus *bus = g_new0(QGenericPCIBus, 1);
    QPCIDevice *net_dev;
    int i;

    qpci_init_generic(bus, qts, NULL, false);
    testdev.dev = find_device(&bus->bus, TESTDEV_SLOT);
    testdev.regs = REGS_ADDR;
    place_bar(testdev.dev, RDT_BAR_REGS, REGS_ADDR, false);
    place_bar(testdev.dev, RDT_BAR_STAGING, STAGING_ADDR, false);
    place_bar(testdev.dev, RDT_BAR_MEM, HIGH_ADDR, true);
    place_bar(testdev.dev, RDT_BAR_REG, HIGH_ADDR + MEM_SIZE, true);
    set_decoding(true);
    for (i = 0; i < ARRAY_SIZE(disks); i++) {
        QPCIDevice *dev = find_device(&bus->bus, FIRST_DISK_SLOT + i);

        disks[i].queue.dev = dev;
        disks[i].queue.regs = DISKS_ADDR + i * DISK_BAR;
        enable_device(dev, i == FUZZ_NVME ? 0 : 4, disks[i].queue.regs);
    }
    net_dev = find_device(&bus->bus, NET_SLOT);
    enable_device(net_dev, 4, NET_ADDR);
    fuzz_net_set_up(&net, net_dev, NET_ADDR);
    know(AREA_RAM, RAM_BASE + RAM_SIZE - KNOWN_SIZE, KNOWN_SIZE, false);
    know(AREA_MEM, HIGH_ADDR, MEM_SIZE, false);
    know(AREA_REG, HIGH_ADDR + MEM_SIZE, REG_SIZE, true);
    know(AREA_STAGING, STAGING_ADDR + RDT_STAGING_SIZE - KNOWN_SIZE, KNOWN_SIZE,
         false);
    atexit(print_counts);
}

static void register_targets(void)
{
    fuzz_add_target(&(FuzzTarget) {
        .name = "ram-device-fuzz",
        .description = "DMA of virtio-blk, virtio-scsi, NVMe, virtio-net and a "
                       "test device into RAM devices that come and go; "
                       "compares contents",
        .get_init_cmdline = command_line,
        .pre_fuzz = set_up,
        .fuzz = fuzz,
    });
}

fuzz_target_init(register_targets);
