/*
 * Gives an unmodified emulator a RAM device region
 *
 * A stock emulator has no device with such a region but VFIO's.  This shared
 * object for LD_PRELOAD adds one to system memory when the emulator's main loop
 * polls for the first time, that is when the machine is up.  The environment
 * says of what and where: RAM_DEVICE_BENCH_BAR=fd,size,guest-address (decimal).
 * Where QEMU's functions are is told by RAM_DEVICE_BENCH_SYMBOLS, as in
 * dispatch.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "emulator_symbols.h"

/* sizeof(MemoryRegion) is 272; it isn't ours to know. */
#define REGION_SIZE 4096

typedef struct MemoryRegion MemoryRegion;

static MemoryRegion *(*get_system_memory)(void);
static void *(*object_get_root)(void);
static void (*memory_region_init_ram_device_ptr)(MemoryRegion *, void *owner,
                                                 const char *name,
                                                 uint64_t size, void *ptr);
static void (*memory_region_add_subregion)(MemoryRegion *, uint64_t offset,
                                           MemoryRegion *);
static void (*bql_lock_impl)(const char *file, int line);
static void (*bql_unlock)(void);
static bool (*bql_locked)(void);

static const EmulatorSymbol SYMBOLS[] = {
    { "get_system_memory", &get_system_memory },
    { "object_get_root", &object_get_root },
    { "memory_region_init_ram_device_ptr", &memory_region_init_ram_device_ptr },
    { "memory_region_add_subregion", &memory_region_add_subregion },
    { "bql_lock_impl", &bql_lock_impl },
    { "bql_unlock", &bql_unlock },
    { "bql_locked", &bql_locked },
};

static void add_bar(const char *bar)
{
    MemoryRegion *mr = calloc(1, REGION_SIZE);
    uint64_t size, address;
    void *host;
    int fd;

    if (sscanf(bar, "%d,%lu,%lu", &fd, &size, &address) != 3 || !mr) {
        fprintf(stderr, "added_bar.so: RAM_DEVICE_BENCH_BAR is %s\n", bar);
        _exit(3);
    }
    host = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (host == MAP_FAILED) {
        perror("added_bar.so: mmap");
        _exit(3);
    }
    bql_lock_impl(__FILE__, __LINE__);
    /* As BARs have: who holds a mapping holds a reference to the owner. */
    memory_region_init_ram_device_ptr(mr, object_get_root(), "added BAR", size,
                                      host);
    memory_region_add_subregion(get_system_memory(), address, mr);
    bql_unlock();
}

/* Only the main loop polls in the main thread without the BQL. */
int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
          const sigset_t *mask)
{
    static int (*libc_ppoll)(struct pollfd *, nfds_t, const struct timespec *,
                             const sigset_t *);
    static bool is_added;
    const char *symbols = getenv("RAM_DEVICE_BENCH_SYMBOLS");
    const char *bar = getenv("RAM_DEVICE_BENCH_BAR");

    if (!is_added && symbols && bar && syscall(SYS_gettid) == getpid()) {
        if (!bql_locked) {
            resolve_symbols("added_bar.so", SYMBOLS,
                            sizeof(SYMBOLS) / sizeof(SYMBOLS[0]), symbols);
        }
        if (!bql_locked()) {
            is_added = true;
            add_bar(bar);
        }
    }
    if (!libc_ppoll) {
        libc_ppoll = dlsym(RTLD_NEXT, "ppoll");
    }
    return libc_ppoll(fds, count, timeout, mask);
}
