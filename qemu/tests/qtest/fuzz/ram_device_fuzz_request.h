/*
 * Fuzzing of DMA into RAM devices: the memory of a request
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_FUZZ_RAM_DEVICE_FUZZ_REQUEST_H
#define TESTS_QTEST_FUZZ_RAM_DEVICE_FUZZ_REQUEST_H

#include "ram_device_fuzz.h"

/* In flight, for each queue */
#define FUZZ_MAX_REQUESTS  8
#define FUZZ_MAX_SPANS     (AREA_COUNT * FUZZ_MAX_PIECES)

/**
 * enum FuzzKind - what a request asks for
 *
 * @FUZZ_READ: data from the disk or the network
 * @FUZZ_WRITE: data to the disk or the network
 * @FUZZ_OTHER: a command of the input's choice that doesn't write to the disk
 */
typedef enum FuzzKind {
    FUZZ_READ,
    FUZZ_WRITE,
    FUZZ_OTHER,
} FuzzKind;

/**
 * struct FuzzRequest - a request to a disk, or a packet
 *
 * @kind: what it asks for
 * @command: which one, if that is FUZZ_OTHER
 * @tidy: nothing is wrong with it: its answer is good unless it is disturbed,
 *        and it moves nothing else than its data
 * @sector: where on the disk; of a packet, its number
 * @bytes: length of the data
 * @pieces: the descriptors of the data
 * @piece_count: how many these are
 * @spans: what of the areas these are
 * @span_count: how many these are
 * @found: all of its data is in areas
 * @headers: the area with its header and its status
 * @status: the latter
 * @nvme_status: or this, as NVMe has it in a queue
 * @disturbed: it needn't succeed: memory isn't there, or went away while it was
 *             in flight, or the device was reset
 * @unmapped: that was since a BAR was disabled or moved
 */
typedef struct FuzzRequest {
    FuzzKind kind;
    uint32_t command;
    bool tidy;
    uint64_t sector;
    uint32_t bytes;
    FuzzPiece pieces[FUZZ_MAX_PIECES];
    unsigned piece_count;
    FuzzSpan spans[FUZZ_MAX_SPANS];
    unsigned span_count;
    bool found;
    FuzzArea headers;
    uint8_t *status;
    uint8_t nvme_status;
    bool disturbed;
    bool unmapped;
} FuzzRequest;

/* What has been seen since the program began */
typedef struct FuzzCounts {
    uint64_t inputs;
    uint64_t requests;
    uint64_t descriptors;
    uint64_t good;
    uint64_t disturbed;
    uint64_t broken;
    uint64_t compared;
    uint64_t packets;
    uint64_t bytes;
    uint64_t operations;
} FuzzCounts;

extern FuzzCounts fuzz_counts;

/* Where in an area a request of a virtqueue has its header and its status */
#define FUZZ_HEADER_SIZE 0xc0
uint32_t fuzz_header_offset(FuzzArea area, unsigned slot, unsigned request);

/*
 * Find the spans of a request's data, in order; or, if some of it is in no
 * area, what of the areas its descriptors touch.  Then it isn't tidy.
 */
void fuzz_request_find(FuzzRequest *r);

/* Does its data touch bytes that aren't data? */
bool fuzz_request_hits_reserved(const FuzzRequest *r);

/* Count one more request that may write here; or, if that isn't sure, two */
void fuzz_note_writer(uint8_t *writers, bool sure);

/* Note which memory the request may write; an untidy one, all that it names */
void fuzz_request_note_writes(const FuzzRequest *r);

/* What a tidy request moves from memory, if nobody changes it meanwhile */
void fuzz_request_source(const FuzzRequest *r, uint8_t *to);

/* Can't anybody else have written the memory that it reads, or writes? */
bool fuzz_request_is_alone(const FuzzRequest *r);

/**
 * fuzz_request_check_bytes() - check what a request has moved
 *
 * @r: the request
 * @done: all of it must have been moved, else any part of it
 * @now: what is there
 * @before: what was there
 * @wanted: what it moves
 * @len: bytes of each
 * @where: that, for a message
 *
 * Where a BAR was, and isn't any more when the device comes to the request, the
 * PCI bus answers with ones.
 */
void fuzz_request_check_bytes(const FuzzRequest *r, bool done,
                              const uint8_t *now, const uint8_t *before,
                              const uint8_t *wanted, uint32_t len,
                              const char *where);

/* From now on the models have what the request has done to memory */
void fuzz_request_take_over(const FuzzRequest *r);

#endif /* TESTS_QTEST_FUZZ_RAM_DEVICE_FUZZ_REQUEST_H */
