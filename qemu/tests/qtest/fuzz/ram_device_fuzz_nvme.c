/*
 * Fuzzing of DMA into RAM devices: NVMe, whose queues may be there
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/main-loop.h"
#include "block/nvme.h"
#include "tests/qtest/libqtest.h"
#include "ram_device_fuzz_nvme.h"

#define PAGE 4096
/* Its part of the reserved memory, page by page */
enum {
    ADMIN_SQ,
    ADMIN_CQ,
    IO_SQ,
    IO_CQ,
    PRP_LISTS,
    NVME_PAGES,
};
#define PRP_LIST_SIZE (PAGE / FUZZ_NVME_ENTRIES)
#define IO_QUEUE 1

QEMU_BUILD_BUG_ON(FUZZ_NVME_OFFSET + NVME_PAGES * PAGE > FUZZ_RESERVED_SIZE);
QEMU_BUILD_BUG_ON(FUZZ_MAX_PIECES * sizeof(uint64_t) > PRP_LIST_SIZE);

static uint8_t *page_host(FuzzArea area, int page)
{
    const FuzzMemory *m = &fuzz_memory[area];

    return m->host + m->reserved + FUZZ_NVME_OFFSET + page * PAGE;
}

static uint64_t page_addr(FuzzArea area, int page)
{
    const FuzzMemory *m = &fuzz_memory[area];

    return m->addr + m->reserved + FUZZ_NVME_OFFSET + page * PAGE;
}

static void set_reg(const FuzzQueue *q, unsigned reg, uint32_t value)
{
    qtest_writel(q->dev->bus->qts, q->regs + reg, value);
}

/*
 * A doorbell of a queue: the tail of what is submitted, or the head of what is
 * completed
 */
static void ring(const FuzzQueue *q, unsigned queue, bool completed,
                 uint32_t value)
{
    set_reg(q, 0x1000 + 4 * (2 * queue + completed), value);
}

static bool is_completed(const NvmeCqe *entry, unsigned number)
{
    bool phase = !((number / FUZZ_NVME_ENTRIES) & 1);

    return (lduw_le_p(&entry->status) & 1) == phase;
}

/* Have the controller carry out an admin command, the only one in flight */
static void admin(const FuzzQueue *q, unsigned number, uint8_t opcode,
                  uint64_t prp, uint32_t cdw10, uint32_t cdw11)
{
    NvmeCmd *cmd = (NvmeCmd *)page_host(q->rings, ADMIN_SQ) + number;
    const NvmeCqe *entry = (NvmeCqe *)page_host(q->rings, ADMIN_CQ) + number;

    *cmd = (NvmeCmd) { .opcode = opcode };
    stq_le_p(&cmd->dptr.prp1, prp);
    stl_le_p(&cmd->cdw10, cdw10);
    stl_le_p(&cmd->cdw11, cdw11);
    ring(q, 0, false, number + 1);
    while (!is_completed(entry, number)) {
        main_loop_wait(false);
    }
    g_assert(lduw_le_p(&entry->status) >> 1 == NVME_SUCCESS);
}

void fuzz_nvme_reset(FuzzQueue *q)
{
    set_reg(q, NVME_REG_CC, 0);
    q->added = q->done = 0;
    q->started = false;
    q->lost = false;
}

void fuzz_nvme_start(FuzzQueue *q, FuzzArea rings)
{
    const uint32_t size = FUZZ_NVME_ENTRIES - 1;
    uint32_t cc = 0;

    fuzz_nvme_reset(q);
    q->rings = rings;
    memset(page_host(rings, 0), 0, PRP_LISTS * PAGE);

    set_reg(q, NVME_REG_AQA, size << 16 | size);
    set_reg(q, NVME_REG_ASQ, page_addr(rings, ADMIN_SQ));
    set_reg(q, NVME_REG_ASQ + 4, page_addr(rings, ADMIN_SQ) >> 32);
    set_reg(q, NVME_REG_ACQ, page_addr(rings, ADMIN_CQ));
    set_reg(q, NVME_REG_ACQ + 4, page_addr(rings, ADMIN_CQ) >> 32);
    NVME_SET_CC_IOSQES(cc, 6);
    NVME_SET_CC_IOCQES(cc, 4);
    NVME_SET_CC_EN(cc, 1);
    set_reg(q, NVME_REG_CC, cc);
    admin(q, 0, NVME_ADM_CMD_CREATE_CQ, page_addr(rings, IO_CQ),
          size << 16 | IO_QUEUE, 1);
    admin(q, 1, NVME_ADM_CMD_CREATE_SQ, page_addr(rings, IO_SQ),
          size << 16 | IO_QUEUE, IO_QUEUE << 16 | 1);
    q->started = true;
}

void fuzz_nvme_add(FuzzQueue *q, uint8_t opcode, uint64_t sector,
                   uint32_t sectors, const FuzzPiece *pieces, unsigned count,
                   FuzzArea table, uint8_t *status)
{
    unsigned slot = q->added % FUZZ_NVME_ENTRIES;
    NvmeRwCmd *cmd = (NvmeRwCmd *)page_host(q->rings, IO_SQ) + slot;
    uint8_t *list = page_host(table, PRP_LISTS) + slot * PRP_LIST_SIZE;
    uint64_t list_addr = page_addr(table, PRP_LISTS) + slot * PRP_LIST_SIZE;
    unsigned i;

    /* A list that is too short ends with an entry that isn't valid */
    memset(list, 0, PRP_LIST_SIZE);
    for (i = 1; i < count; i++) {
        stq_le_p(list + (i - 1) * sizeof(uint64_t), pieces[i].addr);
    }
    *cmd = (NvmeRwCmd) { .opcode = opcode };
    stw_le_p(&cmd->cid, slot);
    stl_le_p(&cmd->nsid, 1);
    stq_le_p(&cmd->dptr.prp1, pieces[0].addr);
    stq_le_p(&cmd->dptr.prp2, count > 2 ? list_addr :
                              count == 2 ? pieces[1].addr : 0);
    stq_le_p(&cmd->slba, sector);
    stw_le_p(&cmd->nlb, sectors - 1);
    q->statuses[slot] = status;
    q->added++;
    ring(q, IO_QUEUE, false, q->added % FUZZ_NVME_ENTRIES);
}

bool fuzz_nvme_broken(const FuzzQueue *q)
{
    return qtest_readl(q->dev->bus->qts, q->regs + NVME_REG_CSTS) &
           NVME_CSTS_FAILED;
}

void fuzz_nvme_settle(FuzzQueue *q)
{
    const NvmeCqe *entries = (NvmeCqe *)page_host(q->rings, IO_CQ);

    while (q->started && !q->lost && q->done != q->added &&
           !fuzz_nvme_broken(q)) {
        const NvmeCqe *entry = &entries[q->done % FUZZ_NVME_ENTRIES];

        if (!is_completed(entry, q->done)) {
            main_loop_wait(false);
            continue;
        }
        *q->statuses[lduw_le_p(&entry->cid) % FUZZ_NVME_ENTRIES] =
            lduw_le_p(&entry->status) >> 1 != NVME_SUCCESS;
        q->done++;
        ring(q, IO_QUEUE, true, q->done % FUZZ_NVME_ENTRIES);
    }
}
