/*
 * Fuzzing of DMA into RAM devices: NVMe, whose queues may be there
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_FUZZ_RAM_DEVICE_FUZZ_NVME_H
#define TESTS_QTEST_FUZZ_RAM_DEVICE_FUZZ_NVME_H

#include "ram_device_fuzz.h"

/* The counterparts of the functions for virtqueues in ram_device_fuzz.h */
void fuzz_nvme_start(FuzzQueue *q, FuzzArea rings);
void fuzz_nvme_reset(FuzzQueue *q);
bool fuzz_nvme_broken(const FuzzQueue *q);
void fuzz_nvme_settle(FuzzQueue *q);

/**
 * fuzz_nvme_add() - submit a command
 *
 * @q: the I/O queue, with room for one more
 * @opcode: of the command
 * @sector: where on the disk
 * @sectors: how many
 * @pieces: the pages of the data; the first one need not begin with a page
 * @count: how many these are
 * @table: the area for the list of pages, if there are more than two
 * @status: will be 0 if it is done, and 1 if it has failed
 */
void fuzz_nvme_add(FuzzQueue *q, uint8_t opcode, uint64_t sector,
                   uint32_t sectors, const FuzzPiece *pieces, unsigned count,
                   FuzzArea table, uint8_t *status);

#endif /* TESTS_QTEST_FUZZ_RAM_DEVICE_FUZZ_NVME_H */
