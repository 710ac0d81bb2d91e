/*
 * Calls the routines of rust/ram-device, and others to compare, once for each
 * case of a file.  What they do to the device side is for an instrument to
 * see (lackey.py, plugin.py); what becomes of the data is checked here.
 *
 * Windows, routines and cases are Python's to say (windows.py, cases.py).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system/ram-device.h"
#include "system/ram-device-fault.h"

/* Bytes on both sides of a transfer that must stay as they are. */
#define GUARD 64

typedef struct Case {
    uint32_t routine;
    uint32_t length;
    uint64_t device;
    uint64_t ram;
    uint32_t readonly;
    uint32_t granted;
} Case;

typedef struct FaultEntry {
    int32_t instruction;
    int32_t fixup;
} FaultEntry;

extern const FaultEntry __start_ram_device_faults[];
extern const FaultEntry __stop_ram_device_faults[];

/*
 * What is in the windows between two cases, as files.  It is copied by the
 * kernel: instruments that write down every instruction see nothing of that.
 */
static int device_content;
static int ram_content;

/* The windows as a case must leave them. */
static uint8_t device_after[WINDOW_LENGTH];
static uint8_t ram_after[WINDOW_LENGTH];

/* The device's memory at an address that no instrument looks at. */
static uint8_t *device_behind;

static uint8_t *const device = (uint8_t *)DEVICE_WINDOW;
static uint8_t *const ram = (uint8_t *)RAM_WINDOW;
static uint8_t *const markers = (uint8_t *)MARKERS;

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void *map(void *where, size_t length, int fd)
{
    void *mapped = mmap(where, length, PROT_READ | PROT_WRITE,
                        MAP_SHARED | (where ? MAP_FIXED_NOREPLACE : 0) |
                        (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);

    if (mapped == MAP_FAILED || (where && mapped != where)) {
        die("mmap");
    }
    return mapped;
}

static int memory_file(const char *name)
{
    int fd = memfd_create(name, 0);

    if (fd < 0 || ftruncate(fd, WINDOW_LENGTH)) {
        die(name);
    }
    return fd;
}

static void copy(void *to, int content, uint64_t offset, uint64_t length)
{
    if (pread(content, to, length, offset) != (ssize_t)length) {
        die("pread");
    }
}

static void make_windows(void)
{
    int memory = memory_file("device");
    uint64_t *of_device, *of_ram;
    uint64_t number = 1;

    map(device, WINDOW_LENGTH, memory);
    device_behind = map(NULL, WINDOW_LENGTH, memory);
    map(ram, WINDOW_LENGTH, -1);
    map(markers, MARKERS_LENGTH, -1);

    device_content = memory_file("device-content");
    ram_content = memory_file("ram-content");
    of_device = map(NULL, WINDOW_LENGTH, device_content);
    of_ram = map(NULL, WINDOW_LENGTH, ram_content);
    for (size_t i = 0; i < WINDOW_LENGTH / sizeof(number); i++) {
        number = number * 6364136223846793005 + 1442695040888963407;
        of_device[i] = number;
        of_ram[i] = number ^ number >> 32;
    }
    copy(device_behind, device_content, 0, WINDOW_LENGTH);
    copy(ram, ram_content, 0, WINDOW_LENGTH);
    copy(device_after, device_content, 0, WINDOW_LENGTH);
    copy(ram_after, ram_content, 0, WINDOW_LENGTH);
}

/*
 * What QEMU's development branch does: one access if its width is one that the
 * host has and both sides are aligned, memmove() otherwise.
 */
static void one_or_memmove(void *to, const void *from, uint32_t length)
{
    bool aligned = !(((uintptr_t)to | (uintptr_t)from) & (length - 1));

    switch (aligned ? length : 0) {
    case 1:
        __atomic_store_n((uint8_t *)to,
                         __atomic_load_n((const uint8_t *)from,
                                         __ATOMIC_RELAXED), __ATOMIC_RELAXED);
        break;
    case 2:
        __atomic_store_n((uint16_t *)to,
                         __atomic_load_n((const uint16_t *)from,
                                         __ATOMIC_RELAXED), __ATOMIC_RELAXED);
        break;
    case 4:
        __atomic_store_n((uint32_t *)to,
                         __atomic_load_n((const uint32_t *)from,
                                         __ATOMIC_RELAXED), __ATOMIC_RELAXED);
        break;
    case 8:
        __atomic_store_n((uint64_t *)to,
                         __atomic_load_n((const uint64_t *)from,
                                         __ATOMIC_RELAXED), __ATOMIC_RELAXED);
        break;
    default:
        memmove(to, from, length);
    }
}

static bool pointers_are_right(RamDevice *rd)
{
    bool right = true;

    for (int direct = 0; direct < 2; direct++) {
        for (int readonly = 0; readonly < 2; readonly++) {
            rd->direct = direct;
            rd->readonly = readonly;
            right &= ram_device_gives_pointer(rd, false) == !!direct;
            right &= ram_device_gives_pointer(rd, true) ==
                (direct && !readonly);
        }
    }
    return right;
}

static bool fixups_are_right(void)
{
    const FaultEntry *entry = __start_ram_device_faults;
    bool right = entry != __stop_ram_device_faults;

    for (; entry != __stop_ram_device_faults; entry++) {
        uintptr_t pc = (uintptr_t)&entry->instruction + entry->instruction;

        right &= ram_device_fixup(pc) ==
            (uintptr_t)&entry->fixup + entry->fixup;
        right &= ram_device_fixup(pc + 1) == 0;
    }
    return right && ram_device_fixup((uintptr_t)fixups_are_right) == 0;
}

/*
 * Make the case's call, and note in device_after and ram_after what it must
 * have done.  Returns whether what it returned is right.
 */
static bool make(const Case *c, uint8_t *mark)
{
    RamDevice rd = {
        .host = device, .size = WINDOW_LENGTH, .readonly = c->readonly,
    };
    uint8_t *const device_side = device + c->device;
    uint8_t *const ram_side = ram + c->ram;
    uint64_t value = 0x1122334455667788;
    uint64_t expected = UINT64_MAX;

    switch (c->routine) {
    case ROUTINE_READ:
        if (c->granted) {
            copy(ram_after + c->ram, device_content, c->device, c->length);
        } else {
            memset(ram_after + c->ram, 0xff, c->length);
        }
        *mark = 1;
        return ram_device_read(&rd, c->device, ram_side, c->length) ==
            c->granted;
    case ROUTINE_WRITE:
        if (c->granted) {
            copy(device_after + c->device, ram_content, c->ram, c->length);
        }
        *mark = 1;
        return ram_device_write(&rd, c->device, ram_side, c->length) ==
            c->granted;
    case ROUTINE_LOAD:
        if (c->granted) {
            expected = 0;
            copy(&expected, device_content, c->device, c->length);
        }
        *mark = 1;
        return ram_device_load(&rd, c->device, c->length, &value) ==
            c->granted && value == expected;
    case ROUTINE_STORE:
        if (c->granted) {
            memcpy(device_after + c->device, &value, c->length);
        }
        *mark = 1;
        return ram_device_store(&rd, c->device, c->length, value) ==
            c->granted;
    case ROUTINE_READ_WITHIN:
        copy(device_after + c->ram, device_content, c->device, c->length);
        *mark = 1;
        return ram_device_read(&rd, c->device, device + c->ram, c->length);
    case ROUTINE_WRITE_WITHIN:
        copy(device_after + c->device, device_content, c->ram, c->length);
        *mark = 1;
        return ram_device_write(&rd, c->device, device + c->ram, c->length);
    case ROUTINE_GIVES_POINTER:
        *mark = 1;
        return pointers_are_right(&rd);
    case ROUTINE_FIXUP:
        *mark = 1;
        return fixups_are_right();
    case ROUTINE_MOVE_WORD_FROM:
        if (c->granted) {
            copy(ram_after + c->ram, device_content, c->device, c->length);
        }
        *mark = 1;
        return ram_move_word(ram_side, device_side, c->length) == c->granted;
    case ROUTINE_MOVE_WORD_TO:
        if (c->granted) {
            copy(device_after + c->device, ram_content, c->ram, c->length);
        }
        *mark = 1;
        return ram_move_word(device_side, ram_side, c->length) == c->granted;
    case ROUTINE_MEMMOVE_FROM:
        copy(ram_after + c->ram, device_content, c->device, c->length);
        *mark = 1;
        memmove(ram_side, device_side, c->length);
        return true;
    case ROUTINE_MEMMOVE_TO:
        copy(device_after + c->device, ram_content, c->ram, c->length);
        *mark = 1;
        memmove(device_side, ram_side, c->length);
        return true;
    case ROUTINE_ONE_OR_MEMMOVE_FROM:
        copy(ram_after + c->ram, device_content, c->device, c->length);
        *mark = 1;
        one_or_memmove(ram_side, device_side, c->length);
        return true;
    case ROUTINE_ONE_OR_MEMMOVE_TO:
        copy(device_after + c->device, ram_content, c->ram, c->length);
        *mark = 1;
        one_or_memmove(device_side, ram_side, c->length);
        return true;
    default:
        fprintf(stderr, "no routine has the number %u\n", c->routine);
        exit(2);
    }
}

/* Compare what a case may have changed, and undo it. */
static bool settle(uint8_t *now, uint8_t *after, int content,
                   uint64_t offset, uint64_t length)
{
    uint64_t start = offset < GUARD ? 0 : offset - GUARD;
    uint64_t end = offset + length + GUARD;
    bool right;

    if (end > WINDOW_LENGTH) {
        end = WINDOW_LENGTH;
    }
    if (start >= end) {
        return true;
    }
    right = !memcmp(now + start, after + start, end - start);
    copy(now + start, content, start, end - start);
    copy(after + start, content, start, end - start);
    return right;
}

int main(int argc, char **argv)
{
    const Case *cases;
    struct stat status;
    size_t count;
    int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;

    if (fd < 0 || fstat(fd, &status)) {
        fprintf(stderr, "usage: %s FILE-OF-CASES\n", argv[0]);
        return 2;
    }
    cases = mmap(NULL, status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (cases == MAP_FAILED) {
        die(argv[1]);
    }
    count = status.st_size / sizeof(Case);
    if (!count || count > MARKERS_LENGTH) {
        fprintf(stderr, "%zu cases: 1 to %d can be told apart\n", count,
                MARKERS_LENGTH);
        return 2;
    }
    make_windows();

    for (size_t i = 0; i < count; i++) {
        const Case *c = &cases[i];
        bool within = c->routine == ROUTINE_READ_WITHIN ||
                      c->routine == ROUTINE_WRITE_WITHIN;
        bool right = make(c, &markers[i]);

        right &= settle(device_behind, device_after, device_content,
                        c->device, c->length);
        right &= within
            ? settle(device_behind, device_after, device_content,
                     c->ram, c->length)
            : settle(ram, ram_after, ram_content, c->ram, c->length);
        if (!right) {
            fprintf(stderr, "case %zu: wrong data, or a wrong answer\n", i);
            return 1;
        }
    }
    if (memcmp(device_behind, device_after, WINDOW_LENGTH) ||
        memcmp(ram, ram_after, WINDOW_LENGTH)) {
        fprintf(stderr, "a case has changed what it must not touch\n");
        return 1;
    }
    printf("%zu cases\n", count);
    return 0;
}
