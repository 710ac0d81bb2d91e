/*
 * What system/ram-device-pool.c wants of QEMU, as far as its tests need it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef FAKE_QEMU_H
#define FAKE_QEMU_H

#include "qemu/osdep.h"
#include "system/dma.h"
#include "qemu/main-loop.h"

/* A RAM device in plain memory, which every pointer to its region leads to */
typedef struct FakeDevice {
    MemoryRegion mr;
    Object owner;
    uint8_t *memory;
    uint64_t size;
    bool is_gone; /* atomically accessed: reads fail, writes are dropped */
} FakeDevice;

void fake_device_init(FakeDevice *device, uint64_t size);

/* The program's own: the last reference to a device has been dropped */
void fake_device_finalize(FakeDevice *device);

/* The program's own: run @cb in the main loop */
void fake_main_loop_run(QEMUBHFunc *cb, void *opaque);

/* The program's own: what more there is to say of what @broken() tells */
void tell_state(void);

/* A sentence of the contract isn't kept: say which, and exit */
G_NORETURN void broken(const char *what, ...) G_GNUC_PRINTF(1, 2);

#endif /* FAKE_QEMU_H */
