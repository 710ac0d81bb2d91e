/*
 * RAM device test device: what its user has to know
 *
 * The device (hw/misc/ram-device-testdev.c) and its tests (tests/qtest/)
 * share this file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_MISC_RAM_DEVICE_TESTDEV_H
#define HW_MISC_RAM_DEVICE_TESTDEV_H

#define TYPE_RAM_DEVICE_TESTDEV "ram-device-testdev"

/*
 * Vendor 1b36 (Red Hat), a device ID that docs/specs/pci-ids.rst gives to
 * nobody.  No guest driver binds to it.
 */
#define RAM_DEVICE_TESTDEV_PCI_ID 0x00f0

/* BARs.  2 and 4 are 64 bits wide. */
#define RDT_BAR_REGS    0
#define RDT_BAR_STAGING 1
#define RDT_BAR_MEM     2
#define RDT_BAR_REG     4

#define RDT_REGS_SIZE    0x1000
#define RDT_STAGING_SIZE 0x200000

/* Offsets in RDT_BAR_REGS; see hw/misc/ram-device-testdev.c */
#define RDT_ADDR     0x00
#define RDT_STAGE    0x08
#define RDT_LEN      0x10
#define RDT_VALUE    0x18
#define RDT_OP       0x20
#define RDT_STATUS   0x28
#define RDT_RESULT   0x30
#define RDT_FAILURES 0x38
#define RDT_REGS_END 0x40

/**
 * enum RamDeviceTestOp - the operations of the DMA engine
 *
 * "Guest" is the memory at RDT_ADDR as the device sees it, "staging" the
 * RDT_BAR_STAGING memory at RDT_STAGE.  Lengths are RDT_LEN bytes.  The result
 * that is put into RDT_RESULT is 0 where nothing is said about it.
 *
 * @RDT_OP_READ: guest to staging, address_space_read()
 * @RDT_OP_WRITE: staging to guest, address_space_write()
 * @RDT_OP_SET: fill guest with RDT_VALUE's low byte, address_space_set()
 * @RDT_OP_WRITE_ROM: staging to guest, address_space_write_rom()
 * @RDT_OP_DEBUG_READ: guest to staging as a debugger does it
 * @RDT_OP_DEBUG_WRITE: staging to guest as a debugger does it
 * @RDT_OP_CACHED_READ: guest to staging through a MemoryRegionCache, which
 *                      begins at the multiple of 64 below RDT_ADDR.  Result:
 *                      bytes from RDT_ADDR on that the cache covers; if they
 *                      are less than RDT_LEN nothing is copied and the
 *                      operation fails.
 * @RDT_OP_CACHED_WRITE: its counterpart, staging to guest
 * @RDT_OP_MAP_READ: guest to staging through a pointer of address_space_map().
 *                   Result: bytes mapped and copied, RDT_LEN or less; the
 *                   operation fails if there are none.
 * @RDT_OP_MAP_WRITE: its counterpart, staging to guest
 * @RDT_OP_COPY: guest to guest address RDT_VALUE: address_space_map(), then
 *               address_space_write() from that pointer.  Result: bytes
 *               mapped and copied.
 * @RDT_OP_LD_LE: load RDT_LEN (1, 2, 4, 8) bytes, address_space_ld*_le().
 *                Result: the value, as that function returned it.
 * @RDT_OP_LD_BE: the same with address_space_ld*_be()
 * @RDT_OP_ST_LE: store RDT_LEN bytes of RDT_VALUE, address_space_st*_le()
 * @RDT_OP_ST_BE: the same with address_space_st*_be()
 * @RDT_OP_LD_CACHED_LE: as @RDT_OP_LD_LE, through a cache as with
 *                       @RDT_OP_CACHED_READ
 * @RDT_OP_LD_CACHED_BE: as @RDT_OP_LD_BE, through a cache
 * @RDT_OP_ST_CACHED_LE: as @RDT_OP_ST_LE, through a cache
 * @RDT_OP_ST_CACHED_BE: as @RDT_OP_ST_BE, through a cache
 */
typedef enum RamDeviceTestOp {
    RDT_OP_READ = 1,
    RDT_OP_WRITE,
    RDT_OP_SET,
    RDT_OP_WRITE_ROM,
    RDT_OP_DEBUG_READ,
    RDT_OP_DEBUG_WRITE,
    RDT_OP_CACHED_READ,
    RDT_OP_CACHED_WRITE,
    RDT_OP_MAP_READ,
    RDT_OP_MAP_WRITE,
    RDT_OP_COPY,
    RDT_OP_LD_LE,
    RDT_OP_LD_BE,
    RDT_OP_ST_LE,
    RDT_OP_ST_BE,
    RDT_OP_LD_CACHED_LE,
    RDT_OP_LD_CACHED_BE,
    RDT_OP_ST_CACHED_LE,
    RDT_OP_ST_CACHED_BE,
    RDT_OP_END, /* the first value that is no operation */
} RamDeviceTestOp;

#endif /* HW_MISC_RAM_DEVICE_TESTDEV_H */
