/*
 * Stand-ins for RAM devices that have vanished
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/event_notifier.h"
#include "qemu/main-loop.h"
#include "system/ram-device-fault.h"
#include "system/ram-device-stand-in.h"
#include "trace.h"

#if defined(CONFIG_LINUX) && defined(CONFIG_HAVE_RUST)

/* From the signal handler to the main loop: there is something to put back */
static EventNotifier faulted;
static bool faulted_initialized;

static void handle_faulted(EventNotifier *e)
{
    event_notifier_test_and_clear(e);
    ram_device_put_back();
}

void ram_device_put_back(void)
{
    RamDeviceMapping m;

    while (ram_device_mapping_take_faulted(qemu_real_host_page_size(), &m)) {
        trace_ram_device_put_back(m.host, m.size, m.fd, m.offset);
        if (mmap(m.host, m.size, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_FIXED, m.fd, m.offset) == MAP_FAILED) {
            error_report("RAM device lost: cannot map 0x%zx bytes at %p again: "
                         "%s", m.size, m.host, strerror(errno));
        }
    }
}

void ram_device_watch(const RamDevice *rd, int fd, uint64_t offset)
{
    RamDeviceMapping m = {
        .host = rd->host, .size = rd->size, .fd = fd, .offset = offset,
    };

    if (rd->readonly) {
        return;
    }
    if (!faulted_initialized) {
        if (event_notifier_init(&faulted, false) < 0) {
            return;
        }
        event_notifier_set_handler(&faulted, handle_faulted);
        faulted_initialized = true;
    }
    if (!ram_device_mapping_add(&m)) {
        warn_report("RAM device of 0x%" PRIx64 " bytes has no stand-in: if it "
                    "vanishes under a device model, the VM ends", rd->size);
    }
}

void ram_device_unwatch(const void *host)
{
    ram_device_mapping_remove(host);
}

bool ram_device_stand_in(void *addr)
{
    const size_t size = qemu_real_host_page_size();
    void *page = (void *)ROUND_DOWN((uintptr_t)addr, size);
    const int saved_errno = errno;
    bool done = false;
    void *ones;

    if (!ram_device_mapping_fault(addr)) {
        return false;
    }
    ones = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                -1, 0);
    if (ones != MAP_FAILED) {
        memset(ones, 0xff, size);
        /* At once, so that no other thread finds nothing there */
        done = mremap(ones, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
                      page) == page;
    }
    /* Noted again: the main loop may have put the device back too early */
    ram_device_mapping_fault(addr);
    event_notifier_set(&faulted);
    errno = saved_errno;
    return done;
}

#else

void ram_device_watch(const RamDevice *rd, int fd, uint64_t offset)
{
}

void ram_device_unwatch(const void *host)
{
}

void ram_device_put_back(void)
{
}

bool ram_device_stand_in(void *addr)
{
    return false;
}

#endif
