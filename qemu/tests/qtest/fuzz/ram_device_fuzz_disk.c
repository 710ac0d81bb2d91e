/*
 * Fuzzing of DMA into RAM devices: requests to disks, and what they may do
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/mman.h>
#include "qapi/error.h"
#include "qemu/bswap.h"
#include "qemu/main-loop.h"
#include "qemu/memfd.h"
#include "scsi/constants.h"
#include "standard-headers/linux/virtio_blk.h"
#include "standard-headers/linux/virtio_scsi.h"
#include "block/nvme.h"
#include "ram_device_fuzz_disk.h"
#include "ram_device_fuzz_nvme.h"

/* A header, and the status bytes behind it */
#define STATUS_OFFSET 0x40
#define STATUS_SIZE   (FUZZ_HEADER_SIZE - STATUS_OFFSET)

QEMU_BUILD_BUG_ON(sizeof(struct virtio_scsi_cmd_req) > STATUS_OFFSET);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_scsi_cmd_resp) > STATUS_SIZE);

/*
 * The disk
 */

void fuzz_disk_create(FuzzDisk *d, const char *name, FuzzModel model)
{
    d->model = model;
    d->queue.slot = model;
    d->queue.index = model == FUZZ_SCSI ? 2 : 0;
    d->fd = qemu_memfd_create(name, FUZZ_DISK_SIZE, false, 0, 0, &error_abort);
    d->host = mmap(NULL, FUZZ_DISK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
                   d->fd, 0);
    g_assert(d->host != MAP_FAILED);
    d->contents = g_malloc0(FUZZ_DISK_SIZE);
    d->sources = g_malloc0(FUZZ_DISK_SIZE);
    d->writers = g_malloc0(FUZZ_DISK_SIZE / FUZZ_SECTOR);
}

void fuzz_disk_fill(FuzzDisk *d)
{
    fuzz_random(d->contents, FUZZ_DISK_SIZE, d->model);
    memcpy(d->host, d->contents, FUZZ_DISK_SIZE);
}

void fuzz_disk_start(FuzzDisk *d, FuzzArea rings)
{
    const FuzzRequest test = {
        .kind = FUZZ_OTHER,
        .command = TEST_UNIT_READY,
    };

    if (d->model == FUZZ_NVME) {
        fuzz_nvme_start(&d->queue, rings);
    } else {
        fuzz_queue_start(&d->queue, 1, rings, 0);
    }
    if (d->model == FUZZ_SCSI) {
        /* The first command after a reset is told of the reset */
        fuzz_disk_submit(d, &test, AREA_RAM, false, AREA_RAM);
        fuzz_disk_settle(d);
        fuzz_disk_forget(d);
    }
}

void fuzz_disk_reset(FuzzDisk *d)
{
    if (d->model == FUZZ_NVME) {
        fuzz_nvme_reset(&d->queue);
    } else {
        fuzz_queue_reset(&d->queue);
    }
}

static bool is_broken(const FuzzDisk *d)
{
    return d->model == FUZZ_NVME ? fuzz_nvme_broken(&d->queue)
                                 : fuzz_queue_broken(&d->queue);
}

/*
 * Requests
 */

static void put_header(const FuzzDisk *d, const FuzzRequest *r, uint8_t *header)
{
    struct virtio_blk_outhdr *blk = (struct virtio_blk_outhdr *)header;
    struct virtio_scsi_cmd_req *scsi = (struct virtio_scsi_cmd_req *)header;

    memset(header, 0, STATUS_OFFSET);
    if (d->model == FUZZ_BLK) {
        stl_le_p(&blk->type, r->kind == FUZZ_READ ? VIRTIO_BLK_T_IN :
                             r->kind == FUZZ_WRITE ? VIRTIO_BLK_T_OUT :
                             r->command);
        stq_le_p(&blk->sector, r->sector);
        return;
    }
    scsi->lun[0] = 1;
    scsi->lun[2] = 0x40;
    scsi->cdb[0] = r->kind == FUZZ_READ ? READ_10 :
                   r->kind == FUZZ_WRITE ? WRITE_10 : r->command;
    stl_be_p(&scsi->cdb[2], r->sector);
    stw_be_p(&scsi->cdb[7], r->bytes / FUZZ_SECTOR);
}

static bool is_good(const FuzzDisk *d, const uint8_t *status)
{
    const struct virtio_scsi_cmd_resp *resp =
        (const struct virtio_scsi_cmd_resp *)status;

    if (d->model == FUZZ_SCSI) {
        return resp->response == VIRTIO_SCSI_S_OK && resp->status == GOOD;
    }
    return *status == 0;
}

/* Note what the request may write; an untidy one, anywhere on the disk */
static void note_writes(FuzzDisk *d, const FuzzRequest *r)
{
    uint32_t i;

    if (r->kind == FUZZ_WRITE && r->tidy) {
        for (i = 0; i < r->bytes / FUZZ_SECTOR; i++) {
            fuzz_note_writer(&d->writers[r->sector + i], true);
        }
        return;
    }
    if (r->kind == FUZZ_WRITE) {
        memset(d->writers, 2, FUZZ_DISK_SIZE / FUZZ_SECTOR);
    }
    fuzz_request_note_writes(r);
}

static void submit_to_nvme(FuzzDisk *d, FuzzRequest *r, FuzzArea table)
{
    uint8_t opcode = r->kind == FUZZ_READ ? NVME_CMD_READ :
                     r->kind == FUZZ_WRITE ? NVME_CMD_WRITE : r->command;

    r->headers = d->queue.rings;
    r->status = &r->nvme_status;
    r->nvme_status = 0xff;
    fuzz_counts.descriptors += r->piece_count;
    fuzz_nvme_add(&d->queue, opcode, r->sector, r->bytes / FUZZ_SECTOR,
                  r->pieces, r->piece_count, table, r->status);
}

static void submit_to_virtio(FuzzDisk *d, FuzzRequest *r, FuzzArea headers,
                             bool indirect, FuzzArea table)
{
    const FuzzMemory *m = &fuzz_memory[headers];
    uint32_t offset = fuzz_header_offset(headers, d->queue.slot,
                                         r - d->requests);
    FuzzPiece chain[FUZZ_MAX_PIECES];
    FuzzPiece header = {
        .addr = m->addr + offset,
        .len = d->model == FUZZ_SCSI ? sizeof(struct virtio_scsi_cmd_req)
                                     : sizeof(struct virtio_blk_outhdr),
    };
    FuzzPiece status = {
        .addr = header.addr + STATUS_OFFSET,
        .len = d->model == FUZZ_SCSI ? sizeof(struct virtio_scsi_cmd_resp) : 1,
        .write = true,
    };
    bool status_first = d->model == FUZZ_SCSI && r->kind != FUZZ_WRITE;
    unsigned count = 0;

    r->headers = headers;
    r->status = m->host + offset + STATUS_OFFSET;
    put_header(d, r, m->host + offset);
    memset(r->status, 0xff, STATUS_SIZE);

    chain[count++] = header;
    if (status_first) {
        chain[count++] = status;
    }
    memcpy(chain + count, r->pieces, r->piece_count * sizeof(FuzzPiece));
    count += r->piece_count;
    if (!status_first) {
        chain[count++] = status;
    }
    fuzz_counts.descriptors += count + indirect;
    fuzz_queue_add(&d->queue, chain, count, indirect, table);
}

bool fuzz_disk_submit(FuzzDisk *d, const FuzzRequest *wanted, FuzzArea headers,
                      bool indirect, FuzzArea table)
{
    FuzzRequest *r = &d->requests[d->count];

    g_assert(d->count < FUZZ_MAX_REQUESTS);
    *r = *wanted;
    fuzz_request_find(r);
    /*
     * To QEMU what is in no area is registers of which nobody knows, with 4096
     * bytes of bounce buffers.  virtio-scsi maps its data twice, and may wait
     * for itself there for ever.
     */
    if ((d->model == FUZZ_SCSI && !r->found) ||
        fuzz_request_hits_reserved(r)) {
        return false;
    }
    d->count++;
    r->disturbed |= d->queue.lost;
    note_writes(d, r);
    if (r->tidy && r->kind == FUZZ_WRITE) {
        fuzz_request_source(r, d->sources + r->sector * FUZZ_SECTOR);
    }
    fuzz_counts.requests++;
    if (d->model == FUZZ_NVME) {
        submit_to_nvme(d, r, table);
    } else {
        submit_to_virtio(d, r, headers, indirect, table);
    }
    return true;
}

void fuzz_disk_disturb(FuzzDisk *d, bool unmapped)
{
    unsigned i;

    for (i = 0; i < d->count; i++) {
        d->requests[i].disturbed = true;
        d->requests[i].unmapped |= unmapped;
    }
}

/*
 * Answers
 */

/* May anybody else have written what the request reads, or writes? */
static bool is_alone(const FuzzDisk *d, const FuzzRequest *r)
{
    uint32_t i;

    for (i = 0; i < r->bytes / FUZZ_SECTOR; i++) {
        if (d->writers[r->sector + i] > (r->kind == FUZZ_WRITE)) {
            return false;
        }
    }
    return fuzz_request_is_alone(r);
}

static void check_contents(const FuzzDisk *d, const FuzzRequest *r, bool done)
{
    uint32_t at = r->sector * FUZZ_SECTOR;
    unsigned i;

    if (r->kind == FUZZ_WRITE) {
        fuzz_request_check_bytes(r, done, d->host + at, d->contents + at,
                                 d->sources + at, r->bytes, "on the disk");
        return;
    }
    for (i = 0; i < r->span_count; i++) {
        const FuzzSpan *s = &r->spans[i];
        const FuzzMemory *m = &fuzz_memory[s->area];

        if (done && !m->vanished) {
            fuzz_request_check_bytes(r, done, m->host + s->offset,
                                     m->model + s->offset, d->contents + at,
                                     s->len, "in memory");
        }
        at += s->len;
    }
}

static void check_answer(const FuzzDisk *d, const FuzzRequest *r)
{
    bool is_known = d->model == FUZZ_NVME || !fuzz_memory[r->headers].vanished;
    bool good = is_known && is_good(d, r->status);

    fuzz_counts.good += good;
    fuzz_counts.disturbed += r->disturbed;
    if (!r->tidy) {
        return;
    }
    if (!good && !r->disturbed) {
        fuzz_wrong("%s of %u bytes at sector 0x%" PRIx64 ", %u spans: status "
                   "0x%02x, though nothing was in its way",
                   r->kind == FUZZ_READ ? "read" : "write", r->bytes,
                   r->sector, r->span_count,
                   r->status[d->model == FUZZ_SCSI ? 10 : 0]);
    }
    if (is_alone(d, r)) {
        fuzz_counts.compared++;
        check_contents(d, r, good && !r->disturbed);
    }
}

/* From now on the models have what the request has done */
static void take_over(FuzzDisk *d, const FuzzRequest *r)
{
    uint32_t i;

    fuzz_request_take_over(r);
    for (i = 0; i < FUZZ_DISK_SIZE / FUZZ_SECTOR; i++) {
        if (d->writers[i]) {
            memcpy(d->contents + i * FUZZ_SECTOR, d->host + i * FUZZ_SECTOR,
                   FUZZ_SECTOR);
            d->writers[i] = 0;
        }
    }
}

void fuzz_disk_settle(FuzzDisk *d)
{
    unsigned i;

    if (d->model == FUZZ_NVME) {
        fuzz_nvme_settle(&d->queue);
    } else {
        while (fuzz_queue_unanswered(&d->queue)) {
            main_loop_wait(false);
        }
    }
    if (d->queue.lost || is_broken(d)) {
        for (i = 0; i < d->count; i++) {
            const FuzzRequest *r = &d->requests[i];

            if (r->disturbed || !r->tidy) {
                break;
            }
        }
        if (!d->queue.lost && i == d->count) {
            fuzz_wrong("the device wants to be reset, though nothing was "
                       "wrong with its %u requests", d->count);
        }
        fuzz_counts.broken++;
        fuzz_disk_disturb(d, false);
        fuzz_disk_reset(d);
    }
}

void fuzz_disk_check(FuzzDisk *d)
{
    unsigned i;

    for (i = 0; i < d->count; i++) {
        check_answer(d, &d->requests[i]);
    }
}

void fuzz_disk_forget(FuzzDisk *d)
{
    unsigned i;

    for (i = 0; i < d->count; i++) {
        take_over(d, &d->requests[i]);
    }
    d->count = 0;
    if (memcmp(d->host, d->contents, FUZZ_DISK_SIZE)) {
        fuzz_wrong("a disk has changed where nobody writes");
    }
}
