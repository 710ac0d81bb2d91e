/*
 * RAM device test device
 *
 * RAM device regions (memory_region_init_ram_device_ptr()) come from real
 * hardware: BARs that VFIO maps.  This PCI device has two such regions over
 * ordinary host memory and a DMA engine that reaches any guest address by any
 * function of the memory API, so that a qtest can exercise QEMU's handling of
 * RAM devices with neither VFIO nor a GPU.
 *
 *   -device ram-device-testdev[,mem-size=SIZE][,mem-path=FILE]
 *           [,reg-size=SIZE][,reg-path=FILE][,x-ram-device-direct=on|off]
 *
 * BARs:
 *
 *   0  4 KiB, 32 bits        registers
 *   1  2 MiB, 32 bits        the staging buffer: ordinary RAM.  It is the RAM
 *                            side of the operations, by host pointer, so that
 *                            that side's alignment is the test's choice
 *   2  mem-size, 64 bits,    a RAM device.  Default: 4 MiB
 *      prefetchable
 *   4  reg-size, 64 bits     a RAM device.  Default: 64 KiB
 *
 * The storage behind BARs 2 and 4 is anonymous memory, or, with mem-path and
 * reg-path, a shared mapping of a file: what a test sees there is what a real
 * device would have seen.  A file is created, or extended to the BAR's size,
 * as needed; it isn't removed.  Inaccessible pages lie on both sides of the
 * storage, because an access that leaves it must not go unnoticed.  When the
 * file is cut short, the device has vanished as far as QEMU can tell: an
 * access is a SIGBUS.
 *
 * x-ram-device-direct has the meaning that it has for vfio-pci.
 *
 * Registers are little-endian, and are accessed by aligned 4 or 8 bytes:
 *
 *   0x00 ADDR      rw  guest address that the operation touches
 *   0x08 STAGE     rw  offset in the staging buffer
 *   0x10 LEN       rw  length in bytes
 *   0x18 VALUE     rw  operand of some operations
 *   0x20 OP        rw  enum RamDeviceTestOp in the low 32 bits; a write here
 *                      carries out the operation before it returns
 *   0x28 STATUS    ro  MemTxResult of the last operation
 *   0x30 RESULT    ro  what else the last operation returned
 *   0x38 FAILURES  rw  counts the operations with a STATUS other than
 *                      MEMTX_OK; a write of any value clears it
 *
 * One write of the bytes from 0x00 to 0x27 reaches the device as 8-byte writes
 * in ascending order, so it both sets an operation up and starts it.
 *
 * An operation that doesn't exist, or whose STAGE and LEN don't fit into the
 * staging buffer (also if it leaves that alone), has status MEMTX_ERROR and
 * touches nothing.  Guest addresses are those of the device's bus master
 * address space: nothing is reached unless bus mastering is enabled.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/mman.h>
#include "qapi/error.h"
#include "qemu/bswap.h"
#include "qemu/host-utils.h"
#include "qemu/module.h"
#include "qemu/rcu.h"
#include "qemu/units.h"
#include "hw/misc/ram-device-testdev.h"
#include "hw/pci/pci_device.h"
#include "hw/qdev-properties.h"
#include "migration/vmstate.h"
#include "qom/object.h"
#include "system/ram-device.h"

/* A MemoryRegionCache begins at a multiple of this; see RDT_OP_CACHED_READ */
#define RDT_CACHE_ALIGN 64

typedef struct RamDeviceStorage {
    MemoryRegion mr;
    char *path;
    uint64_t size;
    void *reserved;    /* with a page in front and one behind; or NULL */
} RamDeviceStorage;

struct RamDeviceTestDevState {
    PCIDevice parent_obj;

    MemoryRegion regs_mr;
    MemoryRegion staging_mr;
    RamDeviceStorage mem;
    RamDeviceStorage reg;
    bool direct;

    uint8_t regs[RDT_REGS_END]; /* little-endian, as the guest sees them */
};

OBJECT_DECLARE_SIMPLE_TYPE(RamDeviceTestDevState, RAM_DEVICE_TESTDEV)

/*
 * One load or store of @size bytes.  The arguments name the functions for a
 * byte and for the two byte orders: address_space_ld{ub,uw_le,uw_be}() etc.
 */
#define RDT_DEFINE_LD_ST(name, where, ub, b, le, be)                          \
static uint64_t name##_ld(where, hwaddr addr, unsigned size, bool big,        \
                          MemTxResult *r)                                     \
{                                                                             \
    const MemTxAttrs attrs = MEMTXATTRS_UNSPECIFIED;                          \
                                                                              \
    switch (size) {                                                           \
    case 1:                                                                   \
        return address_space_ld##ub(p, addr, attrs, r);                       \
    case 2:                                                                   \
        return (big ? address_space_lduw_##be                                 \
                    : address_space_lduw_##le)(p, addr, attrs, r);            \
    case 4:                                                                   \
        return (big ? address_space_ldl_##be                                  \
                    : address_space_ldl_##le)(p, addr, attrs, r);             \
    default:                                                                  \
        return (big ? address_space_ldq_##be                                  \
                    : address_space_ldq_##le)(p, addr, attrs, r);             \
    }                                                                         \
}                                                                             \
                                                                              \
static void name##_st(where, hwaddr addr, unsigned size, bool big,            \
                      uint64_t value, MemTxResult *r)                         \
{                                                                             \
    const MemTxAttrs attrs = MEMTXATTRS_UNSPECIFIED;                          \
                                                                              \
    switch (size) {                                                           \
    case 1:                                                                   \
        address_space_st##b(p, addr, value, attrs, r);                        \
        break;                                                                \
    case 2:                                                                   \
        (big ? address_space_stw_##be                                         \
             : address_space_stw_##le)(p, addr, value, attrs, r);             \
        break;                                                                \
    case 4:                                                                   \
        (big ? address_space_stl_##be                                         \
             : address_space_stl_##le)(p, addr, value, attrs, r);             \
        break;                                                                \
    default:                                                                  \
        (big ? address_space_stq_##be                                         \
             : address_space_stq_##le)(p, addr, value, attrs, r);             \
        break;                                                                \
    }                                                                         \
}

RDT_DEFINE_LD_ST(rdt_plain, AddressSpace *p, ub, b, le, be)
RDT_DEFINE_LD_ST(rdt_cached, MemoryRegionCache *p, ub_cached, b_cached,
                 le_cached, be_cached)

static bool rdt_ld_st_size_ok(hwaddr len)
{
    return len <= 8 && is_power_of_2(len);
}

static MemTxResult rdt_ld_st(AddressSpace *as, RamDeviceTestOp op, hwaddr addr,
                             hwaddr len, uint64_t value, uint64_t *result)
{
    bool be = op == RDT_OP_LD_BE || op == RDT_OP_ST_BE;
    MemTxResult r = MEMTX_OK;

    if (!rdt_ld_st_size_ok(len)) {
        return MEMTX_ERROR;
    }
    if (op == RDT_OP_LD_LE || op == RDT_OP_LD_BE) {
        *result = rdt_plain_ld(as, addr, len, be, &r);
    } else {
        rdt_plain_st(as, addr, len, be, value, &r);
    }
    return r;
}

static MemTxResult rdt_cached(AddressSpace *as, RamDeviceTestOp op,
                              hwaddr addr, uint8_t *stage, hwaddr len,
                              uint64_t value, uint64_t *result)
{
    bool is_write = op == RDT_OP_CACHED_WRITE ||
                    op == RDT_OP_ST_CACHED_LE || op == RDT_OP_ST_CACHED_BE;
    bool is_bulk = op == RDT_OP_CACHED_READ || op == RDT_OP_CACHED_WRITE;
    bool be = op == RDT_OP_LD_CACHED_BE || op == RDT_OP_ST_CACHED_BE;
    hwaddr offset = addr % RDT_CACHE_ALIGN;
    MemoryRegionCache cache;
    MemTxResult r = MEMTX_OK;
    int64_t cache_len;

    if (!is_bulk && !rdt_ld_st_size_ok(len)) {
        return MEMTX_ERROR;
    }

    RCU_READ_LOCK_GUARD();
    /* An empty cache isn't allowed */
    cache_len = address_space_cache_init(&cache, as, addr - offset,
                                         offset + MAX(len, 1), is_write);
    if (cache_len < (int64_t)(offset + len)) {
        *result = MAX(cache_len - (int64_t)offset, 0);
        r = MEMTX_ERROR;
        goto out;
    }

    switch (op) {
    case RDT_OP_CACHED_READ:
        *result = len;
        r = address_space_read_cached(&cache, offset, stage, len);
        break;
    case RDT_OP_CACHED_WRITE:
        *result = len;
        r = address_space_write_cached(&cache, offset, stage, len);
        break;
    case RDT_OP_LD_CACHED_LE:
    case RDT_OP_LD_CACHED_BE:
        *result = rdt_cached_ld(&cache, offset, len, be, &r);
        break;
    default:
        rdt_cached_st(&cache, offset, len, be, value, &r);
        break;
    }
    if (is_write) {
        address_space_cache_invalidate(&cache, offset, len);
    }
out:
    address_space_cache_destroy(&cache);
    return r;
}

static MemTxResult rdt_map(AddressSpace *as, RamDeviceTestOp op, hwaddr addr,
                           uint8_t *stage, hwaddr len, uint64_t value,
                           uint64_t *result)
{
    bool is_write = op == RDT_OP_MAP_WRITE;
    MemTxResult r = MEMTX_OK;
    void *p;

    if (!len) {
        return MEMTX_OK;
    }
    p = address_space_map(as, addr, &len, is_write, MEMTXATTRS_UNSPECIFIED);
    if (!p) {
        return MEMTX_ERROR;
    }
    switch (op) {
    case RDT_OP_MAP_READ:
        memcpy(stage, p, len);
        break;
    case RDT_OP_MAP_WRITE:
        memcpy(p, stage, len);
        break;
    default:
        r = address_space_write(as, value, MEMTXATTRS_UNSPECIFIED, p, len);
        break;
    }
    address_space_unmap(as, p, len, is_write, len);
    *result = len;
    return r;
}

static MemTxResult rdt_run(RamDeviceTestDevState *s, uint64_t *result)
{
    AddressSpace *as = pci_get_address_space(PCI_DEVICE(s));
    RamDeviceTestOp op = ldl_le_p(s->regs + RDT_OP);
    hwaddr addr = ldq_le_p(s->regs + RDT_ADDR);
    hwaddr offset = ldq_le_p(s->regs + RDT_STAGE);
    hwaddr len = ldq_le_p(s->regs + RDT_LEN);
    uint64_t value = ldq_le_p(s->regs + RDT_VALUE);
    MemTxAttrs attrs = MEMTXATTRS_UNSPECIFIED;
    uint8_t *stage;

    if (offset > RDT_STAGING_SIZE || len > RDT_STAGING_SIZE - offset) {
        return MEMTX_ERROR;
    }
    stage = (uint8_t *)memory_region_get_ram_ptr(&s->staging_mr) + offset;

    switch (op) {
    case RDT_OP_READ:
        return address_space_read(as, addr, attrs, stage, len);
    case RDT_OP_WRITE:
        return address_space_write(as, addr, attrs, stage, len);
    case RDT_OP_SET:
        return address_space_set(as, addr, value, len, attrs);
    case RDT_OP_WRITE_ROM:
        return address_space_write_rom(as, addr, attrs, stage, len);
    case RDT_OP_DEBUG_READ:
    case RDT_OP_DEBUG_WRITE:
        attrs.debug = 1;
        return address_space_rw(as, addr, attrs, stage, len,
                                op == RDT_OP_DEBUG_WRITE);
    case RDT_OP_MAP_READ:
    case RDT_OP_MAP_WRITE:
    case RDT_OP_COPY:
        return rdt_map(as, op, addr, stage, len, value, result);
    case RDT_OP_LD_LE:
    case RDT_OP_LD_BE:
    case RDT_OP_ST_LE:
    case RDT_OP_ST_BE:
        return rdt_ld_st(as, op, addr, len, value, result);
    case RDT_OP_CACHED_READ:
    case RDT_OP_CACHED_WRITE:
    case RDT_OP_LD_CACHED_LE:
    case RDT_OP_LD_CACHED_BE:
    case RDT_OP_ST_CACHED_LE:
    case RDT_OP_ST_CACHED_BE:
        return rdt_cached(as, op, addr, stage, len, value, result);
    default:
        return MEMTX_ERROR;
    }
}

static uint64_t rdt_regs_read(void *opaque, hwaddr addr, unsigned size)
{
    RamDeviceTestDevState *s = opaque;

    return addr < RDT_REGS_END ? ldn_le_p(s->regs + addr, size) : 0;
}

static void rdt_regs_write(void *opaque, hwaddr addr, uint64_t val,
                           unsigned size)
{
    RamDeviceTestDevState *s = opaque;
    uint64_t result = 0;
    MemTxResult status;

    if (addr < RDT_STATUS) {
        stn_le_p(s->regs + addr, size, val);
    } else if (addr == RDT_FAILURES) {
        stq_le_p(s->regs + RDT_FAILURES, 0);
    }

    if (addr != RDT_OP) {
        return;
    }
    status = rdt_run(s, &result);
    stq_le_p(s->regs + RDT_STATUS, status);
    stq_le_p(s->regs + RDT_RESULT, result);
    if (status != MEMTX_OK) {
        stq_le_p(s->regs + RDT_FAILURES, ldq_le_p(s->regs + RDT_FAILURES) + 1);
    }
}

static const MemoryRegionOps rdt_regs_ops = {
    .read = rdt_regs_read,
    .write = rdt_regs_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 4,
        .max_access_size = 8,
    },
    .impl = {
        .min_access_size = 4,
        .max_access_size = 8,
    },
};

/* Returns: the file of @st, at least as long as @st; or -1 with @errp set */
static int rdt_storage_open(const RamDeviceStorage *st, Error **errp)
{
    struct stat sb;
    int fd = qemu_create(st->path, O_RDWR, 0600, errp);

    if (fd < 0) {
        return -1;
    }
    if (fstat(fd, &sb) < 0) {
        error_setg_errno(errp, errno, "cannot stat '%s'", st->path);
    } else if (!S_ISREG(sb.st_mode)) {
        error_setg(errp, "'%s' is not a regular file", st->path);
    } else if (sb.st_size < st->size && ftruncate(fd, st->size) < 0) {
        error_setg_errno(errp, errno, "cannot extend '%s' to %" PRIu64
                         " bytes", st->path, st->size);
    } else {
        return fd;
    }
    close(fd);
    return -1;
}

static bool rdt_storage_init(RamDeviceTestDevState *s, RamDeviceStorage *st,
                             const char *what, Error **errp)
{
    g_autofree char *name = g_strdup_printf(TYPE_RAM_DEVICE_TESTDEV ".%s",
                                            what);
    const size_t page = qemu_real_host_page_size();
    int flags = MAP_FIXED;
    void *reserved, *host;
    int fd = -1;

    if (!is_power_of_2(st->size) || st->size < page ||
        st->size > SIZE_MAX / 2) {
        error_setg(errp, "property '%s-size' is 0x%" PRIx64 ": it must be a "
                   "power of two and at least the host's page size, %zu",
                   what, st->size, page);
        return false;
    }

    if (st->path) {
        fd = rdt_storage_open(st, errp);
        if (fd < 0) {
            return false;
        }
        flags |= MAP_SHARED;
    } else {
        flags |= MAP_PRIVATE | MAP_ANONYMOUS;
    }

    reserved = mmap(NULL, st->size + 2 * page, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    host = reserved == MAP_FAILED ? MAP_FAILED :
           mmap(reserved + page, st->size, PROT_READ | PROT_WRITE, flags, fd,
                0);
    if (host == MAP_FAILED) {
        error_setg_errno(errp, errno, "cannot map 0x%" PRIx64 " bytes of %s "
                         "for property '%s-size'", st->size,
                         st->path ?: "memory", what);
        if (reserved != MAP_FAILED) {
            munmap(reserved, st->size + 2 * page);
        }
    } else {
        st->reserved = reserved;
        memory_region_init_ram_device_ptr(&st->mr, OBJECT(s), name, st->size,
                                          host);
        memory_region_set_ram_device_direct(&st->mr, s->direct);
        memory_region_set_ram_device_lasting(&st->mr);
    }
    if (fd >= 0) {
        close(fd);
    }
    return host != MAP_FAILED;
}

static void rdt_realize(PCIDevice *pdev, Error **errp)
{
    RamDeviceTestDevState *s = RAM_DEVICE_TESTDEV(pdev);
    const uint8_t mem_type = PCI_BASE_ADDRESS_SPACE_MEMORY |
                             PCI_BASE_ADDRESS_MEM_TYPE_64;

    if (!rdt_storage_init(s, &s->mem, "mem", errp) ||
        !rdt_storage_init(s, &s->reg, "reg", errp) ||
        !memory_region_init_ram(&s->staging_mr, OBJECT(s),
                                TYPE_RAM_DEVICE_TESTDEV ".staging",
                                RDT_STAGING_SIZE, errp)) {
        return;
    }
    memory_region_init_io(&s->regs_mr, OBJECT(s), &rdt_regs_ops, s,
                          TYPE_RAM_DEVICE_TESTDEV ".regs", RDT_REGS_SIZE);

    pci_register_bar(pdev, RDT_BAR_REGS, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     &s->regs_mr);
    pci_register_bar(pdev, RDT_BAR_STAGING, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     &s->staging_mr);
    pci_register_bar(pdev, RDT_BAR_MEM,
                     mem_type | PCI_BASE_ADDRESS_MEM_PREFETCH, &s->mem.mr);
    pci_register_bar(pdev, RDT_BAR_REG, mem_type, &s->reg.mr);
}

/* The regions are gone by now, and so is everybody who used them */
static void rdt_storage_finalize(RamDeviceStorage *st)
{
    if (st->reserved) {
        munmap(st->reserved, st->size + 2 * qemu_real_host_page_size());
    }
}

static void rdt_instance_finalize(Object *obj)
{
    RamDeviceTestDevState *s = RAM_DEVICE_TESTDEV(obj);

    rdt_storage_finalize(&s->mem);
    rdt_storage_finalize(&s->reg);
}

static void rdt_reset(DeviceState *dev)
{
    RamDeviceTestDevState *s = RAM_DEVICE_TESTDEV(dev);

    memset(s->regs, 0, sizeof(s->regs));
}

static const VMStateDescription rdt_vmstate = {
    .name = TYPE_RAM_DEVICE_TESTDEV,
    .unmigratable = 1,
};

static const Property rdt_properties[] = {
    DEFINE_PROP_SIZE("mem-size", RamDeviceTestDevState, mem.size, 4 * MiB),
    DEFINE_PROP_STRING("mem-path", RamDeviceTestDevState, mem.path),
    DEFINE_PROP_SIZE("reg-size", RamDeviceTestDevState, reg.size, 64 * KiB),
    DEFINE_PROP_STRING("reg-path", RamDeviceTestDevState, reg.path),
    DEFINE_PROP_BOOL("x-ram-device-direct", RamDeviceTestDevState, direct,
                     false),
};

/* What QOM hands to class_init(): const in QEMU 10.1 and later */
typedef typeof(__builtin_choose_expr(
    __builtin_types_compatible_p(typeof_field(TypeInfo, class_init),
                                 void (*)(ObjectClass *, void *)),
    (void *)NULL, (const void *)NULL)) RdtClassData;

static void rdt_class_init(ObjectClass *klass, RdtClassData data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *k = PCI_DEVICE_CLASS(klass);

    k->realize = rdt_realize;
    k->vendor_id = PCI_VENDOR_ID_REDHAT;
    k->device_id = RAM_DEVICE_TESTDEV_PCI_ID;
    k->class_id = PCI_CLASS_OTHERS;
    dc->desc = "RAM device test device";
    dc->vmsd = &rdt_vmstate;
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
    device_class_set_legacy_reset(dc, rdt_reset);
    device_class_set_props(dc, rdt_properties);
}

static const TypeInfo rdt_types[] = {
    {
        .name = TYPE_RAM_DEVICE_TESTDEV,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(RamDeviceTestDevState),
        .instance_finalize = rdt_instance_finalize,
        .class_init = rdt_class_init,
        .interfaces = (InterfaceInfo[]) {
            { INTERFACE_CONVENTIONAL_PCI_DEVICE },
            { },
        },
    },
};

DEFINE_TYPES(rdt_types)
