/*
 * What the tests of RAM device regions share: a VM with a ram-device-testdev
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_RAM_DEVICE_RIG_H
#define TESTS_RAM_DEVICE_RIG_H

#include "hw/misc/ram-device-testdev.h"
#include "libqos/pci.h"

/* A busy machine answers sooner */
#define RD_TIMEOUT_US (300 * G_USEC_PER_SEC)

/**
 * enum RamDeviceTarget - the memory that the tests compare
 *
 * @TARGET_MEM: the test device's prefetchable BAR, a RAM device
 * @TARGET_REG: its plain BAR, the other RAM device
 * @TARGET_RAM: the guest's RAM
 * @TARGET_STAGING: the test device's staging buffer, RAM on the PCI bus
 */
typedef enum RamDeviceTarget {
    TARGET_MEM,
    TARGET_REG,
    TARGET_RAM,
    TARGET_STAGING,
    TARGET_COUNT,
} RamDeviceTarget;

/* The RAM devices */
extern const RamDeviceTarget rd_bars[2];

/**
 * struct RamDeviceMemory - one of these, in a running VM
 *
 * @addr: guest address
 * @size: bytes
 * @host: the storage behind a BAR, mapped by the test itself, so that it sees
 *        what a device would see.  NULL for RAM, which is accessed by qtest.
 * @fd: the file that is that storage
 */
typedef struct RamDeviceMemory {
    uint64_t addr;
    size_t size;
    uint8_t *host;
    int fd;
} RamDeviceMemory;

/**
 * struct RamDeviceVM - a VM with a ram-device-testdev
 *
 * @qts: the qtest connection
 * @bus: the PCI bus
 * @dev: the ram-device-testdev
 * @memory: the memory that its DMA engine can be tried on
 * @window: guest address of 64 MiB for BARs, a multiple of 16 MiB
 * @regs: guest address of the test device's registers
 * @log: file descriptor of QEMU's stderr
 */
typedef struct RamDeviceVM {
    QTestState *qts;
    QPCIBus *bus;
    QPCIDevice *dev;
    RamDeviceMemory memory[TARGET_COUNT];
    uint64_t window;
    uint64_t regs;
    int log;
} RamDeviceVM;

/* Status and result of an operation of the test device */
typedef struct RamDeviceResult {
    uint64_t status;
    uint64_t result;
} RamDeviceResult;

const char *rd_target_name(RamDeviceTarget target);

/*
 * Make a file of pseudo-random bytes, open as *@fd, mapped at *@host.
 * Returns: its path, to be unlinked and freed.
 */
char *rd_file_new(size_t size, int *fd, uint8_t **host);

/* Machine options that the VMs are started with */
const char *rd_machine(void);

/**
 * rd_vm_start() - start a VM
 *
 * @devopts: properties of the ram-device-testdev, or ""
 * @extra: more of the command line, or ""
 */
RamDeviceVM *rd_vm_start(const char *devopts, const char *extra);
void rd_vm_stop(RamDeviceVM *vm);

/* Returns: all that QEMU wrote to stderr so far; to be freed */
char *rd_vm_log(const RamDeviceVM *vm);

/* For the command line of a VM whose accesses to RAM devices are looked at */
#define RD_TRACE_ACCESSES "-trace memory_region_ram_device_read "             \
                          "-trace memory_region_ram_device_write "            \
                          "-trace memory_region_ram_device_copy"

/**
 * struct RamDeviceAccess - one of QEMU's own accesses to a RAM device
 *
 * @offset: where in the region
 * @len: bytes
 * @is_write: QEMU wrote them
 * @is_copy: one of the bulk functions made it, else a load or store
 */
typedef struct RamDeviceAccess {
    uint64_t offset;
    uint64_t len;
    bool is_write;
    bool is_copy;
} RamDeviceAccess;

/* Can QEMU write trace events to stderr?  If not, the test is skipped */
bool rd_can_trace(void);

/*
 * Returns: the accesses that QEMU has reported, in order; to be freed with
 * g_array_unref().  All regions are thrown together.
 */
GArray *rd_vm_accesses(const RamDeviceVM *vm);

/* Map BAR @bar of the test device at guest address @addr */
void rd_place_bar(RamDeviceVM *vm, int bar, uint64_t addr);

/* Like rd_place_bar(), and keep the books: @target isn't TARGET_RAM */
void rd_place(RamDeviceVM *vm, RamDeviceTarget target, uint64_t addr);

/*
 * Move two targets so that @second begins where @first ends.
 * Returns: the guest address of the border.
 */
uint64_t rd_place_adjacent(RamDeviceVM *vm, RamDeviceTarget first,
                           RamDeviceTarget second);

/* Set bits of the test device's PCI command register to @on */
void rd_pci_command(RamDeviceVM *vm, uint16_t bits, bool on);

/*
 * Start, and thereby finish, an operation of the test device.  Only
 * rd_failures() tells whether it succeeded.
 */
void rd_start(const RamDeviceVM *vm, RamDeviceTestOp op, uint64_t addr,
              uint64_t stage, uint64_t len, uint64_t value);

/* The same, with its outcome */
RamDeviceResult rd_op(const RamDeviceVM *vm, RamDeviceTestOp op, uint64_t addr,
                      uint64_t stage, uint64_t len, uint64_t value);

/* Returns: how many operations have failed since the last call */
uint64_t rd_failures(const RamDeviceVM *vm);

/* Fill @buf with pseudo-random bytes, which depend on @seed only */
void rd_random(void *buf, size_t len, uint32_t seed);

/* Write and read a target's contents.  BARs are accessed behind QEMU's back. */
void rd_put(const RamDeviceVM *vm, RamDeviceTarget target, uint64_t offset,
            const void *buf, size_t len);
void rd_get(const RamDeviceVM *vm, RamDeviceTarget target, uint64_t offset,
            void *buf, size_t len);

/* Compare byte by byte; say where the first difference is */
void rd_assert_same(const void *got, const void *want, size_t len);

/* Assert that a target holds these bytes */
void rd_check(const RamDeviceVM *vm, RamDeviceTarget target, uint64_t offset,
              const void *want, size_t len);

/* qtest_add_data_func() below /ram-device, with a formatted name */
void G_GNUC_PRINTF(3, 4) rd_add(const void *data, void (*fn)(const void *),
                                const char *fmt, ...);

#endif /* TESTS_RAM_DEVICE_RIG_H */
