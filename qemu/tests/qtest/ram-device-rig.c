/*
 * What the tests of RAM device regions share: a VM with a ram-device-testdev
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/mman.h>
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "libqtest.h"
#include "libqos/generic-pcihost.h"
#include "libqos/pci-pc.h"
#include "ram-device-rig.h"

#define TESTDEV_SLOT 4

/* The BARs' places in the window, each with a hole behind it */
#define OFFSET_REGS    (0 * MiB)
#define OFFSET_STAGING (4 * MiB)
#define OFFSET_REG     (8 * MiB)
#define OFFSET_MEM     (16 * MiB)
#define OFFSET_BORDER  (48 * MiB)

#define MEM_SIZE (16 * MiB)
#define REG_SIZE (4 * MiB)

/* The part of the guest's RAM that is TARGET_RAM */
#define RAM_OFFSET (32 * MiB)
#define RAM_SIZE   (4 * MiB)

const RamDeviceTarget rd_bars[] = { TARGET_MEM, TARGET_REG };

static bool is_x86(void)
{
    return g_str_equal(qtest_get_arch(), "x86_64");
}

const char *rd_target_name(RamDeviceTarget target)
{
    static const char *const names[] = {
        [TARGET_MEM] = "prefetchable-bar",
        [TARGET_REG] = "plain-bar",
        [TARGET_RAM] = "ram",
        [TARGET_STAGING] = "pci-ram",
    };

    return names[target];
}

void rd_random(void *buf, size_t len, uint32_t seed)
{
    uint8_t *p = buf;
    uint32_t x = (seed * 2654435761u) | 1; /* xorshift: not from 0 */

    while (len--) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        *p++ = x >> 24;
    }
}

char *rd_file_new(size_t size, int *fd, uint8_t **host)
{
    char *path = NULL;

    *fd = g_file_open_tmp("ram-device.XXXXXX", &path, NULL);
    g_assert_cmpint(*fd, >=, 0);
    g_assert_cmpint(ftruncate(*fd, size), ==, 0);
    *host = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    g_assert(*host != MAP_FAILED);
    rd_random(*host, size, size);
    return path;
}

static char *memory_file(RamDeviceMemory *m, size_t size)
{
    m->size = size;
    return rd_file_new(size, &m->fd, &m->host);
}

static QPCIBus *pci_bus_new(QTestState *qts)
{
    QGenericPCIBus *generic;

    if (is_x86()) {
        return qpci_new_pc(qts, NULL);
    }
    generic = g_new0(QGenericPCIBus, 1);
    qpci_init_generic(generic, qts, NULL, false);
    return &generic->bus;
}

static void pci_bus_free(QPCIBus *bus)
{
    if (is_x86()) {
        qpci_free_pc(bus);
    } else {
        g_free(container_of(bus, QGenericPCIBus, bus));
    }
}

void rd_place_bar(RamDeviceVM *vm, int bar, uint64_t addr)
{
    int reg = PCI_BASE_ADDRESS_0 + 4 * bar;

    qpci_config_writel(vm->dev, reg, addr);
    if (bar == RDT_BAR_MEM || bar == RDT_BAR_REG) {
        qpci_config_writel(vm->dev, reg + 4, addr >> 32);
    }
}

void rd_place(RamDeviceVM *vm, RamDeviceTarget target, uint64_t addr)
{
    static const int bar[] = {
        [TARGET_MEM] = RDT_BAR_MEM,
        [TARGET_REG] = RDT_BAR_REG,
        [TARGET_STAGING] = RDT_BAR_STAGING,
    };

    g_assert(target != TARGET_RAM);
    g_assert_cmphex(addr % vm->memory[target].size, ==, 0);
    rd_place_bar(vm, bar[target], addr);
    vm->memory[target].addr = addr;
}

uint64_t rd_place_adjacent(RamDeviceVM *vm, RamDeviceTarget first,
                           RamDeviceTarget second)
{
    uint64_t border = vm->window + OFFSET_BORDER;

    rd_place(vm, first, border - vm->memory[first].size);
    rd_place(vm, second, border);
    return border;
}

void rd_pci_command(RamDeviceVM *vm, uint16_t bits, bool on)
{
    uint16_t command = qpci_config_readw(vm->dev, PCI_COMMAND);

    qpci_config_writew(vm->dev, PCI_COMMAND,
                       on ? command | bits : command & ~bits);
}

const char *rd_machine(void)
{
    return is_x86() ? "-M q35 -m 128M" : "-M virt -cpu max -m 128M";
}

RamDeviceVM *rd_vm_start(const char *devopts, const char *extra)
{
    RamDeviceVM *vm = g_new0(RamDeviceVM, 1);
    uint64_t ram = is_x86() ? 0 : 1 * GiB;
    g_autofree char *mem = memory_file(&vm->memory[TARGET_MEM], MEM_SIZE);
    g_autofree char *reg = memory_file(&vm->memory[TARGET_REG], REG_SIZE);
    g_autofree char *log = NULL;

    vm->log = g_file_open_tmp("ram-device.XXXXXX", &log, NULL);
    g_assert_cmpint(vm->log, >=, 0);

    /* libqtest has a shell start QEMU */
    vm->qts = qtest_initf("%s -nodefaults "
                          "-device " TYPE_RAM_DEVICE_TESTDEV ",id=testdev,"
                          "addr=%d.0,mem-size=%zu,mem-path=%s,reg-size=%zu,"
                          "reg-path=%s%s%s %s 2>>%s",
                          rd_machine(), TESTDEV_SLOT, (size_t)MEM_SIZE, mem,
                          (size_t)REG_SIZE, reg, *devopts ? "," : "", devopts,
                          extra, log);
    /* Whoever needs them has opened them */
    unlink(mem);
    unlink(reg);
    unlink(log);
    g_assert(!qtest_big_endian(vm->qts));

    vm->bus = pci_bus_new(vm->qts);
    /* The BARs of other devices are placed by libqos, below the window */
    vm->window = QEMU_ALIGN_UP(vm->bus->mmio_alloc_ptr, 16 * MiB) + 128 * MiB;
    vm->dev = qpci_device_find(vm->bus, QPCI_DEVFN(TESTDEV_SLOT, 0));
    g_assert_nonnull(vm->dev);
    g_assert_cmphex(qpci_config_readl(vm->dev, PCI_VENDOR_ID), ==,
                    RAM_DEVICE_TESTDEV_PCI_ID << 16 | 0x1b36);

    vm->memory[TARGET_STAGING].size = RDT_STAGING_SIZE;
    vm->regs = vm->window + OFFSET_REGS;
    rd_place_bar(vm, RDT_BAR_REGS, vm->regs);
    rd_place(vm, TARGET_STAGING, vm->window + OFFSET_STAGING);
    rd_place(vm, TARGET_MEM, vm->window + OFFSET_MEM);
    rd_place(vm, TARGET_REG, vm->window + OFFSET_REG);
    qpci_device_enable(vm->dev);

    vm->memory[TARGET_RAM].addr = ram + RAM_OFFSET;
    vm->memory[TARGET_RAM].size = RAM_SIZE;
    return vm;
}

void rd_vm_stop(RamDeviceVM *vm)
{
    int i;

    qtest_quit(vm->qts);
    g_free(vm->dev);
    pci_bus_free(vm->bus);
    for (i = 0; i < TARGET_COUNT; i++) {
        if (vm->memory[i].host) {
            munmap(vm->memory[i].host, vm->memory[i].size);
            close(vm->memory[i].fd);
        }
    }
    close(vm->log);
    g_free(vm);
}

char *rd_vm_log(const RamDeviceVM *vm)
{
    struct stat sb;
    char *text;

    g_assert_cmpint(fstat(vm->log, &sb), ==, 0);
    text = g_malloc0(sb.st_size + 1);
    g_assert_cmpint(pread(vm->log, text, sb.st_size, 0), ==, sb.st_size);
    return text;
}

bool rd_can_trace(void)
{
#ifdef CONFIG_TRACE_LOG
    return true;
#else
    g_test_skip("QEMU was configured without --enable-trace-backends=log");
    return false;
#endif
}

/* Returns: whether @line of the log reports an access */
static bool parse_access(const char *line, RamDeviceAccess *a)
{
    const char *p = strstr(line, "memory_region_ram_device_");
    unsigned is_write, size;

    if (!p) {
        return false;
    }
    p += strlen("memory_region_ram_device_");
    if (sscanf(p, "copy name %*s offset 0x%" PRIx64 " len 0x%" PRIx64
               " write %u", &a->offset, &a->len, &is_write) == 3) {
        a->is_write = is_write;
        a->is_copy = true;
        return true;
    }
    a->is_copy = false;
    a->is_write = g_str_has_prefix(p, "write ");
    p = strstr(p, " addr ");
    g_assert_nonnull(p);
    g_assert_cmpint(sscanf(p, " addr 0x%" PRIx64 " value 0x%*x size %u",
                           &a->offset, &size), ==, 2);
    a->len = size;
    return true;
}

GArray *rd_vm_accesses(const RamDeviceVM *vm)
{
    g_autofree char *log = rd_vm_log(vm);
    g_auto(GStrv) lines = g_strsplit(log, "\n", -1);
    GArray *accesses = g_array_new(false, false, sizeof(RamDeviceAccess));
    RamDeviceAccess a;
    unsigned i;

    for (i = 0; lines[i]; i++) {
        if (parse_access(lines[i], &a)) {
            g_array_append_val(accesses, a);
        }
    }
    return accesses;
}

void rd_start(const RamDeviceVM *vm, RamDeviceTestOp op, uint64_t addr,
              uint64_t stage, uint64_t len, uint64_t value)
{
    uint64_t regs[] = {
        cpu_to_le64(addr), cpu_to_le64(stage), cpu_to_le64(len),
        cpu_to_le64(value), cpu_to_le64(op),
    };

    QEMU_BUILD_BUG_ON(sizeof(regs) != RDT_STATUS);
    qtest_memwrite(vm->qts, vm->regs, regs, sizeof(regs));
}

RamDeviceResult rd_op(const RamDeviceVM *vm, RamDeviceTestOp op, uint64_t addr,
                      uint64_t stage, uint64_t len, uint64_t value)
{
    uint64_t regs[2];

    rd_start(vm, op, addr, stage, len, value);
    qtest_memread(vm->qts, vm->regs + RDT_STATUS, regs, sizeof(regs));
    return (RamDeviceResult) {
        .status = le64_to_cpu(regs[0]),
        .result = le64_to_cpu(regs[1]),
    };
}

uint64_t rd_failures(const RamDeviceVM *vm)
{
    uint64_t failures = qtest_readq(vm->qts, vm->regs + RDT_FAILURES);

    qtest_writeq(vm->qts, vm->regs + RDT_FAILURES, 0);
    return failures;
}

void rd_put(const RamDeviceVM *vm, RamDeviceTarget target, uint64_t offset,
            const void *buf, size_t len)
{
    const RamDeviceMemory *m = &vm->memory[target];

    g_assert(offset <= m->size && len <= m->size - offset);
    if (m->host) {
        memcpy(m->host + offset, buf, len);
    } else {
        qtest_bufwrite(vm->qts, m->addr + offset, buf, len);
    }
}

void rd_get(const RamDeviceVM *vm, RamDeviceTarget target, uint64_t offset,
            void *buf, size_t len)
{
    const RamDeviceMemory *m = &vm->memory[target];

    g_assert(offset <= m->size && len <= m->size - offset);
    if (m->host) {
        memcpy(buf, m->host + offset, len);
    } else {
        qtest_bufread(vm->qts, m->addr + offset, buf, len);
    }
}

void rd_assert_same(const void *got, const void *want, size_t len)
{
    const uint8_t *g = got, *w = want;
    size_t i;

    if (memcmp(g, w, len) == 0) {
        return;
    }
    for (i = 0; g[i] == w[i]; i++) {
        continue;
    }
    g_test_message("first difference at byte 0x%zx of 0x%zx", i, len);
    g_assert_cmphex(g[i], ==, w[i]);
}

void rd_check(const RamDeviceVM *vm, RamDeviceTarget target, uint64_t offset,
              const void *want, size_t len)
{
    g_autofree uint8_t *got = g_malloc(len);

    rd_get(vm, target, offset, got, len);
    rd_assert_same(got, want, len);
}

void rd_add(const void *data, void (*fn)(const void *), const char *fmt, ...)
{
    g_autofree char *name = NULL;
    g_autofree char *path = NULL;
    va_list ap;

    va_start(ap, fmt);
    name = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    path = g_strdup_printf("/ram-device/%s", name);
    qtest_add_data_func(path, data, fn);
}
