/*
 * Why DMA could not be mapped, for whoever has to mend it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef SYSTEM_DMA_REFUSAL_H
#define SYSTEM_DMA_REFUSAL_H

#include "exec/hwaddr.h"

/**
 * dma_report_refusal() - say in one line why address_space_map() has refused
 *
 * Names the memory region and its owner, and what can be done for this kind.
 *
 * @as: the address space
 * @addr: the address within it
 * @is_write: whether it was to be mapped for writing
 */
void dma_report_refusal(AddressSpace *as, hwaddr addr, bool is_write);

#endif /* SYSTEM_DMA_REFUSAL_H */
