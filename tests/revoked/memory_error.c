// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Goes into an emulator by LD_PRELOAD: what a device that is gone raises looks
 * like a memory error that the host has found (BUS_MCEERR_AR), which nobody can
 * have on demand without poisoning the host's own memory.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>

static void (*handler)(int, siginfo_t *, void *);

static void handle_as_memory_error(int number, siginfo_t *info, void *context)
{
    if (info->si_code == BUS_ADRERR) {
        info->si_code = BUS_MCEERR_AR;
    }
    handler(number, info, context);
}

int sigaction(int number, const struct sigaction *action,
              struct sigaction *before)
{
    int (*next)(int, const struct sigaction *, struct sigaction *) =
        dlsym(RTLD_NEXT, "sigaction");
    struct sigaction ours;

    if (number == SIGBUS && action && action->sa_flags & SA_SIGINFO) {
        ours = *action;
        handler = action->sa_sigaction;
        ours.sa_sigaction = handle_as_memory_error;
        action = &ours;
    }
    return next(number, action, before);
}
