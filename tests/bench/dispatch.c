/*
 * Times QEMU's own accesses to a RAM device, inside an unmodified emulator
 *
 * A shared object for LD_PRELOAD.  When the emulator's main loop polls for the
 * first time, the machine is up.  From then on the process does what it is told
 * through the socket RAM_DEVICE_BENCH_FD: it calls one of QEMU's functions on a
 * RAM device region that it has added to system memory, over ordinary memory,
 * for about a millisecond, and answers with the time of one call.  So two
 * emulators can be timed in turns.  Where QEMU's functions are comes from the
 * emulator's symbol table, by RAM_DEVICE_BENCH_SYMBOLS (name=offset,...).
 *
 * A request is a line "function default|direct bql|no-bql read|write bytes";
 * the answer is a line with nanoseconds.  A patched emulator gives pointers into
 * the region "direct".  What goes wrong is told on stderr, and ends the process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "emulator_symbols.h"
#include "system/ram-device.h"

/* Above everything that the machine "virt" has, and below 2^48. */
#define GUEST_ADDRESS (1ull << 44)
#define DEVICE_SIZE (64ull << 20)
/* sizeof(MemoryRegion) is 272; it isn't ours to know. */
#define REGION_SIZE 4096
#define BATCH_NS 1000000ull

typedef struct MemoryRegion MemoryRegion;
typedef struct AddressSpace AddressSpace;
/* MemTxAttrs is a struct of at most 8 bytes, passed in one register. */
typedef uint64_t Attributes;

static const Attributes NO_ATTRIBUTES;

/* QEMU's functions, by its names. */
static AddressSpace *address_space_memory;
static MemoryRegion *(*get_system_memory)(void);
static void *(*object_get_root)(void);
static void (*memory_region_init_ram_device_ptr)(MemoryRegion *, void *owner,
                                                 const char *name,
                                                 uint64_t size, void *ptr);
static void (*memory_region_add_subregion)(MemoryRegion *, uint64_t offset,
                                           MemoryRegion *);
static unsigned (*address_space_rw)(AddressSpace *, uint64_t addr, Attributes,
                                    void *buf, uint64_t len, bool is_write);
static void *(*address_space_map)(AddressSpace *, uint64_t addr,
                                  uint64_t *len, bool is_write, Attributes);
static void (*address_space_unmap)(AddressSpace *, void *buffer, uint64_t len,
                                   bool is_write, uint64_t access_len);
static unsigned (*memory_region_dispatch_read)(MemoryRegion *, uint64_t addr,
                                               uint64_t *value, unsigned op,
                                               Attributes);
static unsigned (*memory_region_dispatch_write)(MemoryRegion *, uint64_t addr,
                                                uint64_t value, unsigned op,
                                                Attributes);
static void (*bql_lock_impl)(const char *file, int line);
static void (*bql_unlock)(void);
static bool (*bql_locked)(void);
static void (*memory_region_set_ram_device_direct)(MemoryRegion *, bool);
static void (*memory_region_set_ram_device_lasting)(MemoryRegion *);
static bool (*memory_region_get_ram_device)(MemoryRegion *, RamDevice *);
static bool (*load_directly)(const RamDevice *, uint64_t offset, unsigned size,
                             uint64_t *value);
static bool (*store_directly)(const RamDevice *, uint64_t offset,
                              unsigned size, uint64_t value);
static bool (*read_directly)(const RamDevice *, uint64_t offset, void *ram,
                             uint64_t len);
static bool (*write_directly)(const RamDevice *, uint64_t offset,
                              const void *ram, uint64_t len);

static const EmulatorSymbol SYMBOLS[] = {
    { "address_space_memory", &address_space_memory },
    { "get_system_memory", &get_system_memory },
    { "object_get_root", &object_get_root },
    { "memory_region_init_ram_device_ptr", &memory_region_init_ram_device_ptr },
    { "memory_region_add_subregion", &memory_region_add_subregion },
    { "address_space_rw", &address_space_rw },
    { "address_space_map", &address_space_map },
    { "address_space_unmap", &address_space_unmap },
    { "memory_region_dispatch_read", &memory_region_dispatch_read },
    { "memory_region_dispatch_write", &memory_region_dispatch_write },
    { "bql_lock_impl", &bql_lock_impl },
    { "bql_unlock", &bql_unlock },
    { "bql_locked", &bql_locked },
    { "memory_region_set_ram_device_direct",
      &memory_region_set_ram_device_direct, true },
    { "memory_region_set_ram_device_lasting",
      &memory_region_set_ram_device_lasting, true },
    { "memory_region_get_ram_device", &memory_region_get_ram_device, true },
    { "ram_device_load", &load_directly, true },
    { "ram_device_store", &store_directly, true },
    { "ram_device_read", &read_directly, true },
    { "ram_device_write", &write_directly, true },
};

/* One region, and what is measured on it. */
typedef struct Bench {
    bool is_direct;
    uint64_t guest;
    uint8_t *host;
    MemoryRegion *mr;
    RamDevice rd;
    uint8_t *ram;
    size_t bytes;
    bool is_write;
    bool gives_pointer;
    bool failed;
    /* The bytes must be other ones each time that they are checked. */
    uint8_t seed;
} Bench;

typedef void Measured(Bench *b, uint64_t times);

static void die(const char *what)
{
    fprintf(stderr, "dispatch.so: %s\n", what);
    _exit(3);
}

static void need(bool truth, const char *otherwise)
{
    if (!truth) {
        die(otherwise);
    }
}

/* Where an access of these bytes goes the i-th time: all over one page. */
static uint64_t place(const Bench *b, uint64_t i)
{
    return b->bytes <= 8 ? i * b->bytes % 4096 : 0;
}

static void by_address_space_rw(Bench *b, uint64_t times)
{
    for (uint64_t i = 0; i < times; i++) {
        b->failed |= address_space_rw(address_space_memory,
                                      b->guest + place(b, i), NO_ATTRIBUTES,
                                      b->ram, b->bytes, b->is_write) != 0;
    }
}

/* What a device model does with a request's buffer. */
static void by_address_space_map(Bench *b, uint64_t times)
{
    for (uint64_t i = 0; i < times; i++) {
        uint64_t len = b->bytes;
        void *buffer = address_space_map(address_space_memory, b->guest, &len,
                                         b->is_write, NO_ATTRIBUTES);

        if (!buffer) {
            b->failed = true;
            return;
        }
        b->failed |= len != b->bytes ||
                     (buffer == b->host) != b->gives_pointer;
        if (b->is_write) {
            memcpy(buffer, b->ram, len);
        } else {
            memcpy(b->ram, buffer, len);
        }
        address_space_unmap(address_space_memory, buffer, len, b->is_write,
                            len);
    }
}

static void by_dispatch(Bench *b, uint64_t times)
{
    unsigned memop = __builtin_ctz(b->bytes);
    uint64_t value = 0;

    need(b->bytes <= sizeof(value), "memory_region_dispatch moves 8 bytes");
    memcpy(&value, b->ram, b->bytes);
    if (b->is_write) {
        for (uint64_t i = 0; i < times; i++) {
            b->failed |= memory_region_dispatch_write(b->mr, place(b, i),
                                                      value, memop,
                                                      NO_ATTRIBUTES) != 0;
        }
    } else {
        for (uint64_t i = 0; i < times; i++) {
            b->failed |= memory_region_dispatch_read(b->mr, place(b, i),
                                                     &value, memop,
                                                     NO_ATTRIBUTES) != 0;
        }
        memcpy(b->ram, &value, b->bytes);
    }
}

static void by_load_or_store(Bench *b, uint64_t times)
{
    uint64_t value = 0;

    need(load_directly && store_directly, "the emulator isn't a patched one");
    need(b->bytes <= sizeof(value), "ram_device_load() gives 8 bytes");
    memcpy(&value, b->ram, b->bytes);
    if (b->is_write) {
        for (uint64_t i = 0; i < times; i++) {
            b->failed |= !store_directly(&b->rd, place(b, i), b->bytes, value);
        }
    } else {
        for (uint64_t i = 0; i < times; i++) {
            b->failed |= !load_directly(&b->rd, place(b, i), b->bytes, &value);
        }
        memcpy(b->ram, &value, b->bytes);
    }
}

static void by_read_or_write(Bench *b, uint64_t times)
{
    need(read_directly && write_directly, "the emulator isn't a patched one");
    for (uint64_t i = 0; i < times; i++) {
        b->failed |= !(b->is_write ?
                       write_directly(&b->rd, 0, b->ram, b->bytes) :
                       read_directly(&b->rd, 0, b->ram, b->bytes));
    }
}

/* What the routines above are measured by. */
static void by_memmove(Bench *b, uint64_t times)
{
    /* A call each time, whatever the compiler knows about memmove(). */
    void *(*volatile libc_memmove)(void *, const void *, size_t) = memmove;

    for (uint64_t i = 0; i < times; i++) {
        libc_memmove(b->is_write ? b->host : b->ram,
                     b->is_write ? b->ram : b->host, b->bytes);
    }
}

/* Of the processor: other programs run meanwhile. */
static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static uint64_t duration(Measured *measured, Bench *b, uint64_t times)
{
    uint64_t start = now();

    measured(b, times);
    return now() - start;
}

/* What is timed must be what it is said to be: the bytes must arrive. */
static void check(const char *name, Measured *measured, Bench *b)
{
    uint8_t *from = b->is_write ? b->ram : b->host;
    uint8_t *to = b->is_write ? b->host : b->ram;

    b->seed++;
    for (size_t i = 0; i < b->bytes; i++) {
        from[i] = i * 37 + i / 256 + b->seed;
        to[i] = ~from[i];
    }
    measured(b, 1);
    if (b->failed || memcmp(from, to, b->bytes)) {
        fprintf(stderr,
                "dispatch.so: %s, %s of %zu bytes: they didn't arrive\n",
                name, b->is_write ? "write" : "read", b->bytes);
        _exit(3);
    }
}

/* The time of one call in nanoseconds. */
static double time_of(Measured *measured, Bench *b)
{
    uint64_t times = 1;
    uint64_t ns;

    while ((ns = duration(measured, b, times)) < BATCH_NS) {
        times *= 2;
    }
    need(!b->failed, "an access failed while it was being timed");
    return (double)ns / times;
}

/* Needs the BQL. */
static void add_region(Bench *b)
{
    int file = memfd_create("ram device", 0);
    int protection = PROT_READ | PROT_WRITE;

    need(file >= 0 && !ftruncate(file, DEVICE_SIZE), "no memory for a device");
    b->host = mmap(NULL, DEVICE_SIZE, protection, MAP_SHARED, file, 0);
    b->ram = mmap(NULL, DEVICE_SIZE, protection, MAP_PRIVATE | MAP_ANONYMOUS,
                  -1, 0);
    b->mr = calloc(1, REGION_SIZE);
    need(b->host != MAP_FAILED && b->ram != MAP_FAILED && b->mr,
         "no memory for a device");
    /* As BARs have: who holds a mapping holds a reference to the owner. */
    memory_region_init_ram_device_ptr(b->mr, object_get_root(),
                                      b->is_direct ? "direct" : "default",
                                      DEVICE_SIZE, b->host);
    if (memory_region_set_ram_device_direct) {
        memory_region_set_ram_device_direct(b->mr, b->is_direct);
        memory_region_set_ram_device_lasting(b->mr);
        b->gives_pointer = b->is_direct;
        need(memory_region_get_ram_device(b->mr, &b->rd),
             "the region isn't a RAM device, says the emulator");
    }
    memory_region_add_subregion(get_system_memory(), b->guest, b->mr);
}

static const struct {
    const char *name;
    Measured *measured;
} FUNCTIONS[] = {
    { "address_space_rw", by_address_space_rw },
    { "address_space_map", by_address_space_map },
    { "memory_region_dispatch", by_dispatch },
    { "ram_device_load_store", by_load_or_store },
    { "ram_device_read_write", by_read_or_write },
    { "memmove", by_memmove },
};

static Measured *function(const char *name)
{
    for (size_t i = 0; i < sizeof(FUNCTIONS) / sizeof(FUNCTIONS[0]); i++) {
        if (!strcmp(FUNCTIONS[i].name, name)) {
            return FUNCTIONS[i].measured;
        }
    }
    die("a function that isn't known");
    return NULL;
}

static void serve(int socket)
{
    Bench regions[] = {
        { .guest = GUEST_ADDRESS },
        { .guest = GUEST_ADDRESS + DEVICE_SIZE, .is_direct = true },
    };
    FILE *requests = fdopen(socket, "r");
    FILE *answers = fdopen(dup(socket), "w");
    char name[32], region[8], lock[8], direction[8];
    size_t bytes;

    need(requests && answers, "RAM_DEVICE_BENCH_FD names no socket");
    bql_lock_impl(__FILE__, __LINE__);
    add_region(&regions[0]);
    add_region(&regions[1]);
    bql_unlock();

    while (fscanf(requests, "%31s %7s %7s %7s %zu", name, region, lock,
                  direction, &bytes) == 5) {
        Bench *b = &regions[!strcmp(region, "direct")];
        bool with_bql = !strcmp(lock, "bql");

        b->bytes = bytes;
        b->is_write = !strcmp(direction, "write");
        need(bytes && bytes <= DEVICE_SIZE, "a length that the device hasn't");
        if (with_bql) {
            bql_lock_impl(__FILE__, __LINE__);
        }
        check(name, function(name), b);
        fprintf(answers, "%.3f\n", time_of(function(name), b));
        if (with_bql) {
            bql_unlock();
        }
        fflush(answers);
    }
    _exit(0);
}

/*
 * Only the main loop polls in the main thread without the BQL, and it does so
 * when the machine is up.
 */
int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
          const sigset_t *mask)
{
    static int (*libc_ppoll)(struct pollfd *, nfds_t, const struct timespec *,
                             const sigset_t *);
    const char *symbols = getenv("RAM_DEVICE_BENCH_SYMBOLS");
    const char *fd = getenv("RAM_DEVICE_BENCH_FD");

    if (symbols && fd && syscall(SYS_gettid) == getpid()) {
        if (!bql_locked) {
            resolve_symbols("dispatch.so", SYMBOLS,
                            sizeof(SYMBOLS) / sizeof(SYMBOLS[0]), symbols);
        }
        if (!bql_locked()) {
            serve(atoi(fd));
        }
    }
    if (!libc_ppoll) {
        libc_ppoll = dlsym(RTLD_NEXT, "ppoll");
    }
    return libc_ppoll(fds, count, timeout, mask);
}
