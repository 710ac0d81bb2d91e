/*
 * Fuzzing of DMA into RAM devices: packets of a virtio-net device
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_FUZZ_RAM_DEVICE_FUZZ_NET_H
#define TESTS_QTEST_FUZZ_RAM_DEVICE_FUZZ_NET_H

#include "ram_device_fuzz_request.h"

/* The network's name on the command line */
#define FUZZ_NET_NAME    "net"
/* The longest packet, without what this adds to it */
#define FUZZ_NET_LONGEST 0x10000

/**
 * enum FuzzDirection - the queues, by their index
 *
 * @FUZZ_RECEIVE: requests are FUZZ_READ: a packet, and as much memory that the
 *                last piece isn't left over
 * @FUZZ_TRANSMIT: requests are FUZZ_WRITE: all of their data is a packet
 */
typedef enum FuzzDirection {
    FUZZ_RECEIVE,
    FUZZ_TRANSMIT,
    FUZZ_DIRECTIONS,
} FuzzDirection;

/**
 * struct FuzzNet - a device and its packets that are in flight
 *
 * @queues: its queues
 * @mergeable: a packet is received in several buffers, one for each piece
 * @unsure: a packet may have been refused, and its buffers left over
 * @network: what the device is connected to
 * @fd: the socket that the network sends to, for the command line
 * @peer: the other end of it
 * @requests: the packets
 * @packets: what is moved by them
 * @arrived: which of those that were transmitted have arrived, and which that
 *           were received were found right
 * @count: how many are in flight
 * @number: how many there have been
 */
typedef struct FuzzNet {
    FuzzQueue queues[FUZZ_DIRECTIONS];
    bool mergeable;
    bool unsure;
    struct NetClientState *network;
    int fd;
    int peer;
    FuzzRequest requests[FUZZ_DIRECTIONS][FUZZ_MAX_REQUESTS];
    uint8_t packets[FUZZ_DIRECTIONS][FUZZ_MAX_REQUESTS][FUZZ_NET_LONGEST];
    bool arrived[FUZZ_DIRECTIONS][FUZZ_MAX_REQUESTS];
    unsigned count[FUZZ_DIRECTIONS];
    uint64_t number;
} FuzzNet;

/* Make the socket, before there is a VM */
void fuzz_net_create(FuzzNet *n);

/* Set up a device that is at these addresses */
void fuzz_net_set_up(FuzzNet *n, QPCIDevice *dev, uint64_t regs);

/* Reset the device, and make it ready for packets, with rings in that area */
void fuzz_net_start(FuzzNet *n, FuzzArea rings, bool mergeable);

/* Reset it; what was in flight has ended when this returns */
void fuzz_net_reset(FuzzNet *n);

/* May such a request be submitted, while others are in flight? */
bool fuzz_net_has_room(const FuzzNet *n, const FuzzRequest *r);

/**
 * fuzz_net_submit() - transmit or receive a packet
 *
 * @n: the device, with room for one more
 * @wanted: kind, tidy, bytes and pieces of the request
 * @headers: the area for the header
 * @indirect: its descriptors are in a table
 * @table: the area for that
 *
 * Returns: false if nothing was done, as its data is where rings may be
 */
bool fuzz_net_submit(FuzzNet *n, const FuzzRequest *wanted, FuzzArea headers,
                     bool indirect, FuzzArea table);

/* Look at what has been received so far, before anything disturbs it */
void fuzz_net_check_received(FuzzNet *n);

/* As for disks, and at the same time as theirs */
void fuzz_net_disturb(FuzzNet *n, bool unmapped);
void fuzz_net_settle(FuzzNet *n);
void fuzz_net_check(FuzzNet *n);
void fuzz_net_forget(FuzzNet *n);

#endif /* TESTS_QTEST_FUZZ_RAM_DEVICE_FUZZ_NET_H */
