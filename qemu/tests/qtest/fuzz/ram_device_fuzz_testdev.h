/*
 * Fuzzing of DMA into RAM devices: the operations of the ram-device-testdev
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_FUZZ_RAM_DEVICE_FUZZ_TESTDEV_H
#define TESTS_QTEST_FUZZ_RAM_DEVICE_FUZZ_TESTDEV_H

#include "hw/misc/ram-device-testdev.h"
#include "ram_device_fuzz.h"

/**
 * struct FuzzTestDev - the device
 *
 * @dev: its configuration space
 * @regs: guest address of its registers
 */
typedef struct FuzzTestDev {
    QPCIDevice *dev;
    uint64_t regs;
} FuzzTestDev;

/**
 * fuzz_testdev_run() - carry out an operation, and check what it has done
 *
 * @d: the device, whose BARs are there
 * @op: the operation; it need not exist
 * @addr: RDT_ADDR
 * @stage: RDT_STAGE, counted from the data of AREA_STAGING
 * @len: RDT_LEN
 * @value: RDT_VALUE, for RDT_OP_COPY a guest address
 */
void fuzz_testdev_run(const FuzzTestDev *d, RamDeviceTestOp op, uint64_t addr,
                      uint32_t stage, uint32_t len, uint64_t value);

#endif /* TESTS_QTEST_FUZZ_RAM_DEVICE_FUZZ_TESTDEV_H */
