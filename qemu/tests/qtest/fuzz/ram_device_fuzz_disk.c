/*
 * Fuzzing of DMA into RAM devices: requests to disks, and what they may do
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/mman.h>
#include "qapi/error.h"
#include "qemu/bswap.h"
#include "qemu/memfd.h"
#include "scsi/constants.h"
#include "standard-headers/linux/virtio_blk.h"
#include "standard-headers/linux/virtio_scsi.h"
#include "block/nvme.h"
#include "ram_device_fuzz_disk.h"
#include "ram_device_fuzz_nvme.h"

/* Where requests have their headers and status bytes */
#define HEADERS_OFFSET 0x4000
#define HEADER_SIZE    0x0040
#define STATUS_SIZE    0x0080

QEMU_BUILD_BUG_ON(sizeof(struct virtio_scsi_cmd_req) > HEADER_SIZE);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_scsi_cmd_resp) > STATUS_SIZE);

FuzzCounts fuzz_counts;

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
        fuzz_queue_start(&d->queue, rings);
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

    memset(header, 0, HEADER_SIZE);
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

/*
 * Find the spans of a request's data, in order.
 * Returns: false if some of its data is in no area
 */
static bool find_spans(FuzzRequest *r)
{
    unsigned i;

    r->span_count = 0;
    for (i = 0; i < r->piece_count; i++) {
        uint64_t addr = r->pieces[i].addr, len = r->pieces[i].len;

        while (len) {
            FuzzSpan *span = &r->spans[r->span_count];

            if (!fuzz_span_at(addr, len, span)) {
                return false;
            }
            addr += span->len;
            len -= span->len;
            r->span_count++;
        }
    }
    return true;
}

/* What of the areas its descriptors touch, in no order */
static void find_touched(FuzzRequest *r)
{
    unsigned i;
    int area;

    r->span_count = 0;
    for (i = 0; i < r->piece_count; i++) {
        const FuzzPiece *p = &r->pieces[i];

        for (area = 0; area < AREA_COUNT; area++) {
            const FuzzMemory *m = &fuzz_memory[area];
            uint64_t first = MAX(p->addr, m->addr);
            uint64_t end = MIN(p->addr + p->len, m->addr + m->size);

            if (m->there && first < end) {
                r->spans[r->span_count++] = (FuzzSpan) {
                    .area = area,
                    .offset = first - m->addr,
                    .len = end - first,
                };
            }
        }
    }
}

static void note_writer(uint8_t *writers, bool sure)
{
    *writers = sure && !*writers ? 1 : 2;
}

/* Does the span have bytes that aren't data? */
static bool hits_reserved(const FuzzSpan *s)
{
    const FuzzMemory *m = &fuzz_memory[s->area];

    return s->offset < m->data ||
           s->offset + s->len > m->data + m->data_size;
}

/*
 * Note what the request may write.  An untidy one may write anything where its
 * descriptors are, or anywhere on the disk.
 */
static void note_writes(FuzzDisk *d, FuzzRequest *r)
{
    uint64_t i, j;

    if (r->kind == FUZZ_WRITE && r->tidy) {
        for (i = 0; i < r->bytes / FUZZ_SECTOR; i++) {
            note_writer(&d->writers[r->sector + i], true);
        }
        return;
    }
    if (r->kind == FUZZ_WRITE) {
        memset(d->writers, 2, FUZZ_DISK_SIZE / FUZZ_SECTOR);
    }
    for (i = 0; i < r->span_count; i++) {
        const FuzzSpan *s = &r->spans[i];

        for (j = 0; j < s->len; j++) {
            note_writer(&fuzz_memory[s->area].writers[s->offset + j], r->tidy);
        }
    }
}

/* What a tidy request writes to the disk, if nobody changes it meanwhile */
static void note_source(FuzzDisk *d, const FuzzRequest *r)
{
    uint8_t *to = d->sources + r->sector * FUZZ_SECTOR;
    unsigned i;

    for (i = 0; i < r->span_count; i++) {
        const FuzzSpan *s = &r->spans[i];

        memcpy(to, fuzz_memory[s->area].model + s->offset, s->len);
        to += s->len;
    }
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
    uint32_t offset = m->reserved + HEADERS_OFFSET +
                      (d->queue.slot * FUZZ_MAX_REQUESTS +
                       (r - d->requests)) * (HEADER_SIZE + STATUS_SIZE);
    FuzzPiece chain[FUZZ_MAX_PIECES];
    FuzzPiece header = {
        .addr = m->addr + offset,
        .len = d->model == FUZZ_SCSI ? sizeof(struct virtio_scsi_cmd_req)
                                     : sizeof(struct virtio_blk_outhdr),
    };
    FuzzPiece status = {
        .addr = header.addr + HEADER_SIZE,
        .len = d->model == FUZZ_SCSI ? sizeof(struct virtio_scsi_cmd_resp) : 1,
        .write = true,
    };
    bool status_first = d->model == FUZZ_SCSI && r->kind != FUZZ_WRITE;
    unsigned count = 0;

    r->headers = headers;
    r->status = m->host + offset + HEADER_SIZE;
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
    unsigned i;

    g_assert(d->count < FUZZ_MAX_REQUESTS);
    *r = *wanted;
    if (!find_spans(r)) {
        /*
         * To QEMU that is registers of which nobody knows, with 4096 bytes of
         * bounce buffers.  virtio-scsi maps its data twice, and may wait for
         * itself there for ever.
         */
        if (d->model == FUZZ_SCSI) {
            return false;
        }
        r->tidy = false;
        find_touched(r);
    }
    for (i = 0; i < r->span_count; i++) {
        if (hits_reserved(&r->spans[i])) {
            return false;
        }
    }
    d->count++;
    r->disturbed = d->queue.lost;
    for (i = 0; i < r->span_count; i++) {
        r->disturbed |= fuzz_memory[r->spans[i].area].vanished;
    }
    note_writes(d, r);
    if (r->tidy && r->kind == FUZZ_WRITE) {
        note_source(d, r);
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
    bool is_read = r->kind == FUZZ_READ;
    uint32_t i, j;

    for (i = 0; i < r->span_count; i++) {
        const FuzzSpan *s = &r->spans[i];

        for (j = 0; j < s->len; j++) {
            if (fuzz_memory[s->area].writers[s->offset + j] > is_read) {
                return false;
            }
        }
    }
    for (i = 0; i < r->bytes / FUZZ_SECTOR; i++) {
        if (d->writers[r->sector + i] > !is_read) {
            return false;
        }
    }
    return true;
}

/*
 * Each byte is what was there or what the request moves; the latter, if the
 * request has been answered as done.  (What a request that has failed leaves
 * where its data was to be in memory is the device's affair.)  Where a BAR was,
 * and isn't any more when the device comes to the request, the PCI bus answers
 * with ones.
 */
static void check_bytes(const FuzzRequest *r, bool done, const uint8_t *now,
                        const uint8_t *before, const uint8_t *wanted,
                        uint32_t len, const char *where)
{
    bool may_be_ones = r->unmapped && r->kind == FUZZ_WRITE;
    uint32_t i;

    for (i = 0; i < len; i++) {
        if (now[i] != wanted[i] && (done || now[i] != before[i]) &&
            !(may_be_ones && now[i] == 0xff)) {
            fuzz_wrong("%s, sector 0x%" PRIx64 ", %u bytes, %s: byte %u of a "
                       "piece %s is 0x%02x, was 0x%02x, moved 0x%02x",
                       r->kind == FUZZ_READ ? "read" : "write", r->sector,
                       r->bytes, done ? "done" : "failed or disturbed", i,
                       where, now[i], before[i], wanted[i]);
        }
    }
    fuzz_counts.bytes += len;
}

static void check_contents(const FuzzDisk *d, const FuzzRequest *r, bool done)
{
    uint32_t at = r->sector * FUZZ_SECTOR;
    unsigned i;

    if (r->kind == FUZZ_WRITE) {
        check_bytes(r, done, d->host + at, d->contents + at, d->sources + at,
                    r->bytes, "on the disk");
        return;
    }
    for (i = 0; i < r->span_count; i++) {
        const FuzzSpan *s = &r->spans[i];
        const FuzzMemory *m = &fuzz_memory[s->area];

        if (done && !m->vanished) {
            check_bytes(r, done, m->host + s->offset, m->model + s->offset,
                        d->contents + at, s->len, "in memory");
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

    for (i = 0; i < r->span_count; i++) {
        const FuzzSpan *s = &r->spans[i];
        FuzzMemory *m = &fuzz_memory[s->area];

        if ((r->kind != FUZZ_WRITE || !r->tidy) && !m->vanished) {
            memcpy(m->model + s->offset, m->host + s->offset, s->len);
        }
        memset(m->writers + s->offset, 0, s->len);
    }
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
        fuzz_queue_settle(&d->queue);
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
