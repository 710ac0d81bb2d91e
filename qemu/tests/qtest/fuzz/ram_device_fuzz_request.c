/*
 * Fuzzing of DMA into RAM devices: the memory of a request
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "ram_device_fuzz_request.h"

FuzzCounts fuzz_counts;

uint32_t fuzz_header_offset(FuzzArea area, unsigned slot, unsigned request)
{
    return fuzz_memory[area].reserved + FUZZ_HEADERS_OFFSET +
           (slot * FUZZ_MAX_REQUESTS + request) * FUZZ_HEADER_SIZE;
}

/* Returns: false if some of its data is in no area */
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

/* In no order */
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

void fuzz_request_find(FuzzRequest *r)
{
    unsigned i;

    r->found = find_spans(r);
    if (!r->found) {
        r->tidy = false;
        find_touched(r);
    }
    r->disturbed = false;
    for (i = 0; i < r->span_count; i++) {
        r->disturbed |= fuzz_memory[r->spans[i].area].vanished;
    }
}

bool fuzz_request_hits_reserved(const FuzzRequest *r)
{
    unsigned i;

    for (i = 0; i < r->span_count; i++) {
        const FuzzSpan *s = &r->spans[i];
        const FuzzMemory *m = &fuzz_memory[s->area];

        if (s->offset < m->data ||
            s->offset + s->len > m->data + m->data_size) {
            return true;
        }
    }
    return false;
}

void fuzz_note_writer(uint8_t *writers, bool sure)
{
    *writers = sure && !*writers ? 1 : 2;
}

void fuzz_request_note_writes(const FuzzRequest *r)
{
    uint32_t i, j;

    if (r->kind == FUZZ_WRITE && r->tidy) {
        return;
    }
    for (i = 0; i < r->span_count; i++) {
        const FuzzSpan *s = &r->spans[i];

        for (j = 0; j < s->len; j++) {
            fuzz_note_writer(&fuzz_memory[s->area].writers[s->offset + j],
                             r->tidy);
        }
    }
}

void fuzz_request_source(const FuzzRequest *r, uint8_t *to)
{
    unsigned i;

    for (i = 0; i < r->span_count; i++) {
        const FuzzSpan *s = &r->spans[i];

        memcpy(to, fuzz_memory[s->area].model + s->offset, s->len);
        to += s->len;
    }
}

bool fuzz_request_is_alone(const FuzzRequest *r)
{
    uint32_t i, j;

    for (i = 0; i < r->span_count; i++) {
        const FuzzSpan *s = &r->spans[i];

        for (j = 0; j < s->len; j++) {
            if (fuzz_memory[s->area].writers[s->offset + j] >
                (r->kind == FUZZ_READ)) {
                return false;
            }
        }
    }
    return true;
}

void fuzz_request_check_bytes(const FuzzRequest *r, bool done,
                              const uint8_t *now, const uint8_t *before,
                              const uint8_t *wanted, uint32_t len,
                              const char *where)
{
    bool may_be_ones = r->unmapped && r->kind == FUZZ_WRITE;
    uint32_t i;

    for (i = 0; i < len; i++) {
        if (now[i] != wanted[i] && (done || now[i] != before[i]) &&
            !(may_be_ones && now[i] == 0xff)) {
            fuzz_wrong("%s, sector or packet 0x%" PRIx64 ", %u bytes, %s: byte "
                       "%u of a piece %s is 0x%02x, was 0x%02x, moved 0x%02x",
                       r->kind == FUZZ_READ ? "read" : "write", r->sector,
                       r->bytes, done ? "done" : "failed or disturbed", i,
                       where, now[i], before[i], wanted[i]);
        }
    }
    fuzz_counts.bytes += len;
}

void fuzz_request_take_over(const FuzzRequest *r)
{
    unsigned i;

    for (i = 0; i < r->span_count; i++) {
        const FuzzSpan *s = &r->spans[i];
        FuzzMemory *m = &fuzz_memory[s->area];

        if ((r->kind != FUZZ_WRITE || !r->tidy) && !m->vanished) {
            memcpy(m->model + s->offset, m->host + s->offset, s->len);
        }
        memset(m->writers + s->offset, 0, s->len);
    }
}
