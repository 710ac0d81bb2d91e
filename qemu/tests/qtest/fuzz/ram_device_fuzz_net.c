/*
 * Fuzzing of DMA into RAM devices: packets of a virtio-net device
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/socket.h>
#include "qemu/bswap.h"
#include "qemu/main-loop.h"
#include "net/net.h"
#include "standard-headers/linux/virtio_net.h"
#include "ram_device_fuzz_net.h"

/*
 * What is sent begins with a number, and the same once more with all bits
 * inverted, so that it is known which request has sent it.
 */
typedef struct Tag {
    uint64_t number;
    uint64_t inverted;
} Tag;

#define NET_HEADER sizeof(struct virtio_net_hdr_mrg_rxbuf)
/* The part of it that QEMU writes if buffers can't be merged */
#define PLAIN_NET_HEADER sizeof(struct virtio_net_hdr)
#define FIRST_SLOT 2

QEMU_BUILD_BUG_ON(NET_HEADER + sizeof(Tag) > FUZZ_HEADER_SIZE);

void fuzz_net_create(FuzzNet *n)
{
    /* Room for the longest packet, so that others wait behind it */
    const int room = FUZZ_NET_LONGEST;
    int ends[2];

    g_assert(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends));
    g_assert(!setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)));
    n->fd = ends[0];
    n->peer = ends[1];
}

void fuzz_net_set_up(FuzzNet *n, QPCIDevice *dev, uint64_t regs)
{
    int i;

    n->network = qemu_find_netdev(FUZZ_NET_NAME);
    for (i = 0; i < FUZZ_DIRECTIONS; i++) {
        n->queues[i].dev = dev;
        n->queues[i].regs = regs;
        n->queues[i].index = i;
        n->queues[i].slot = FIRST_SLOT + i;
    }
}

void fuzz_net_start(FuzzNet *n, FuzzArea rings, bool mergeable)
{
    n->mergeable = mergeable;
    fuzz_queue_start(n->queues, FUZZ_DIRECTIONS, rings,
                     mergeable ? 1u << VIRTIO_NET_F_MRG_RXBUF : 0);
}

void fuzz_net_reset(FuzzNet *n)
{
    int i;

    for (i = 0; i < FUZZ_DIRECTIONS; i++) {
        fuzz_queue_reset(&n->queues[i]);
    }
    n->unsure = false;
    /* What waits for a buffer would wait for one of the next driver's */
    qemu_purge_queued_packets(n->network);
}

/*
 * Requests
 */

static FuzzDirection direction_of(const FuzzRequest *r)
{
    return r->kind == FUZZ_READ ? FUZZ_RECEIVE : FUZZ_TRANSMIT;
}

static unsigned chains_of(const FuzzNet *n, const FuzzRequest *r)
{
    return n->mergeable && r->kind == FUZZ_READ ? r->piece_count : 1;
}

bool fuzz_net_has_room(const FuzzNet *n, const FuzzRequest *r)
{
    FuzzDirection direction = direction_of(r);
    unsigned i, chains = chains_of(n, r);

    for (i = 0; i < n->count[direction]; i++) {
        chains += chains_of(n, &n->requests[direction][i]);
    }
    return chains <= FUZZ_MAX_REQUESTS;
}

static void receive(FuzzNet *n, const FuzzRequest *r, FuzzPiece header,
                    const uint8_t *packet, bool indirect, FuzzArea table)
{
    FuzzQueue *queue = &n->queues[FUZZ_RECEIVE];
    unsigned chains = chains_of(n, r), first = r->piece_count - chains + 1;
    FuzzPiece chain[FUZZ_MAX_PIECES] = { header };
    unsigned i;

    memcpy(chain + 1, r->pieces, first * sizeof(FuzzPiece));
    fuzz_queue_add(queue, chain, 1 + first, indirect, table);
    for (i = first; i < r->piece_count; i++) {
        fuzz_queue_add(queue, &r->pieces[i], 1, indirect, table);
    }
    fuzz_counts.descriptors += 1 + r->piece_count + (indirect ? chains : 0);
    qemu_send_packet_async(n->network, packet, r->bytes, NULL);
    n->unsure |= !r->tidy;
}

static void transmit(FuzzNet *n, const FuzzRequest *r, FuzzPiece header,
                     bool indirect, FuzzArea table)
{
    FuzzPiece chain[FUZZ_MAX_PIECES] = { header };

    memcpy(chain + 1, r->pieces, r->piece_count * sizeof(FuzzPiece));
    fuzz_queue_add(&n->queues[FUZZ_TRANSMIT], chain, 1 + r->piece_count,
                   indirect, table);
    fuzz_counts.descriptors += 1 + r->piece_count + indirect;
}

bool fuzz_net_submit(FuzzNet *n, const FuzzRequest *wanted, FuzzArea headers,
                     bool indirect, FuzzArea table)
{
    FuzzDirection direction = direction_of(wanted);
    FuzzQueue *queue = &n->queues[direction];
    unsigned i = n->count[direction];
    FuzzRequest *r = &n->requests[direction][i];
    uint8_t *packet = n->packets[direction][i];
    uint32_t offset = fuzz_header_offset(headers, queue->slot, i);
    FuzzPiece header = {
        .addr = fuzz_memory[headers].addr + offset,
        .len = NET_HEADER + (direction == FUZZ_TRANSMIT ? sizeof(Tag) : 0),
        .write = direction == FUZZ_RECEIVE,
    };

    g_assert(fuzz_net_has_room(n, wanted));
    *r = *wanted;
    fuzz_request_find(r);
    if (fuzz_request_hits_reserved(r)) {
        return false;
    }
    n->count[direction]++;
    r->headers = headers;
    r->sector = n->number++;
    r->disturbed |= queue->lost || (direction == FUZZ_RECEIVE && n->unsure);
    r->status = fuzz_memory[headers].host + offset;
    memset(r->status, direction == FUZZ_RECEIVE ? 0xff : 0, FUZZ_HEADER_SIZE);
    fuzz_request_note_writes(r);
    n->arrived[direction][i] = false;
    fuzz_counts.requests++;
    if (direction == FUZZ_RECEIVE) {
        fuzz_random(packet, r->bytes, 16 + r->sector % 64);
        receive(n, r, header, packet, indirect, table);
    } else {
        Tag tag = { r->sector, ~r->sector };

        memcpy(r->status + NET_HEADER, &tag, sizeof(tag));
        if (r->tidy) {
            fuzz_request_source(r, packet);
        }
        transmit(n, r, header, indirect, table);
    }
    return true;
}

/*
 * What they have done
 */

/* May a packet come of which not even the tag is right? */
static bool may_be_garbled(const FuzzNet *n)
{
    unsigned i;

    for (i = 0; i < n->count[FUZZ_TRANSMIT]; i++) {
        if (n->requests[FUZZ_TRANSMIT][i].unmapped) {
            return true;
        }
    }
    return false;
}

static void arrive(FuzzNet *n, const uint8_t *data, size_t len)
{
    unsigned i;
    Tag tag = {};

    memcpy(&tag, data, MIN(len, sizeof(tag)));
    for (i = 0; i < n->count[FUZZ_TRANSMIT]; i++) {
        const FuzzRequest *r = &n->requests[FUZZ_TRANSMIT][i];

        if (tag.number != r->sector || tag.inverted != ~r->sector) {
            continue;
        }
        if (n->arrived[FUZZ_TRANSMIT][i]) {
            fuzz_wrong("packet 0x%" PRIx64 " was sent twice", r->sector);
        }
        n->arrived[FUZZ_TRANSMIT][i] = true;
        if (!r->tidy) {
            return;
        }
        if (len != sizeof(tag) + r->bytes) {
            fuzz_wrong("packet 0x%" PRIx64 " has %zu bytes instead of %zu",
                       r->sector, len, sizeof(tag) + r->bytes);
        }
        if (fuzz_request_is_alone(r)) {
            const uint8_t *packet = n->packets[FUZZ_TRANSMIT][i];

            fuzz_counts.packets++;
            fuzz_request_check_bytes(r, true, data + sizeof(tag), packet,
                                     packet, r->bytes, "in a packet");
        }
        return;
    }
    if (!may_be_garbled(n)) {
        fuzz_wrong("a packet of %zu bytes that nobody sends, 0x%" PRIx64, len,
                   tag.number);
    }
}

static void take_packets(FuzzNet *n)
{
    static uint8_t data[0x20000];
    ssize_t len;

    while ((len = recv(n->peer, data, sizeof(data), MSG_DONTWAIT)) >= 0) {
        arrive(n, data, len);
    }
}

static void check_packet(const FuzzNet *n, const FuzzRequest *r,
                         const uint8_t *packet)
{
    static const uint8_t zeroes[PLAIN_NET_HEADER];
    uint32_t left = r->bytes;
    unsigned i;

    if (memcmp(r->status, zeroes, sizeof(zeroes)) ||
        (n->mergeable &&
         lduw_le_p(r->status + PLAIN_NET_HEADER) != r->piece_count)) {
        fuzz_wrong("packet 0x%" PRIx64 " has a wrong header: %u buffers of %u, "
                   "or flags", r->sector,
                   lduw_le_p(r->status + PLAIN_NET_HEADER), r->piece_count);
    }
    if (!fuzz_request_is_alone(r)) {
        return;
    }
    fuzz_counts.packets++;
    for (i = 0; i < r->span_count; i++) {
        const FuzzSpan *s = &r->spans[i];
        const FuzzMemory *m = &fuzz_memory[s->area];
        const uint8_t *before = m->model + s->offset;
        const uint8_t *now = m->host + s->offset;
        uint32_t len = MIN(left, s->len);

        fuzz_request_check_bytes(r, true, now, before, packet, len,
                                 "in memory");
        fuzz_request_check_bytes(r, true, now + len, before + len, before + len,
                                 s->len - len, "behind the packet");
        packet += len;
        left -= len;
    }
}

void fuzz_net_check_received(FuzzNet *n)
{
    unsigned i, left = 0, pending = fuzz_queue_pending(&n->queues[0]);

    for (i = 0; i < n->count[FUZZ_RECEIVE]; i++) {
        left += chains_of(n, &n->requests[FUZZ_RECEIVE][i]);
    }
    for (i = 0; i < n->count[FUZZ_RECEIVE]; i++) {
        const FuzzRequest *r = &n->requests[FUZZ_RECEIVE][i];
        bool *is_checked = &n->arrived[FUZZ_RECEIVE][i];

        /* Who comes after one that may be refused has its buffers */
        left -= chains_of(n, r);
        if (!r->tidy || left < pending) {
            return;
        }
        if (!r->disturbed && !*is_checked) {
            check_packet(n, r, n->packets[FUZZ_RECEIVE][i]);
            *is_checked = true;
        }
    }
}

void fuzz_net_disturb(FuzzNet *n, bool unmapped)
{
    unsigned i, j;

    for (i = 0; i < FUZZ_DIRECTIONS; i++) {
        for (j = 0; j < n->count[i]; j++) {
            n->requests[i][j].disturbed = true;
            n->requests[i][j].unmapped |= unmapped;
        }
    }
}

static bool is_undisturbed(const FuzzNet *n)
{
    unsigned i, j;

    for (i = 0; i < FUZZ_DIRECTIONS; i++) {
        for (j = 0; j < n->count[i]; j++) {
            if (n->requests[i][j].disturbed || !n->requests[i][j].tidy) {
                return false;
            }
        }
    }
    return true;
}

void fuzz_net_settle(FuzzNet *n)
{
    const FuzzQueue *rx = &n->queues[FUZZ_RECEIVE];
    const FuzzQueue *tx = &n->queues[FUZZ_TRANSMIT];
    bool lost = rx->lost || tx->lost || n->unsure;

    take_packets(n);
    while ((!n->unsure && fuzz_queue_unanswered(rx)) ||
           fuzz_queue_unanswered(tx)) {
        main_loop_wait(false);
        take_packets(n);
    }
    if (lost || fuzz_queue_broken(rx)) {
        if (!lost && is_undisturbed(n)) {
            fuzz_wrong("the network device wants to be reset, though nothing "
                       "was wrong with its packets");
        }
        fuzz_counts.broken++;
        fuzz_net_check_received(n);
        fuzz_net_disturb(n, false);
        fuzz_net_reset(n);
    }
    take_packets(n);
}

void fuzz_net_check(FuzzNet *n)
{
    unsigned i, j;

    fuzz_net_check_received(n);
    for (i = 0; i < FUZZ_DIRECTIONS; i++) {
        for (j = 0; j < n->count[i]; j++) {
            const FuzzRequest *r = &n->requests[i][j];

            fuzz_counts.good += n->arrived[i][j];
            fuzz_counts.disturbed += r->disturbed;
            if (r->tidy && !r->disturbed && !n->arrived[i][j]) {
                fuzz_wrong("packet 0x%" PRIx64 ", %u bytes, %u spans, wasn't "
                           "%s", r->sector, r->bytes, r->span_count,
                           i == FUZZ_RECEIVE ? "received" : "sent");
            }
        }
    }
}

void fuzz_net_forget(FuzzNet *n)
{
    unsigned i, j;

    for (i = 0; i < FUZZ_DIRECTIONS; i++) {
        for (j = 0; j < n->count[i]; j++) {
            fuzz_request_take_over(&n->requests[i][j]);
        }
        n->count[i] = 0;
    }
}
