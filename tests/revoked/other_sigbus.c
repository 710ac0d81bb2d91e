// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Goes into an emulator by LD_PRELOAD: what a device that is gone raises looks
 * like something else, which nobody can have on demand.
 *
 * With -DMEMORY_ERROR it is a memory error that the host has found
 * (BUS_MCEERR_AR). With -DSECONDS=N the access has waited before it fails, as
 * Linux 7.2's nvgrace-gpu makes it wait for a GPU that isn't ready; each wait is
 * reported.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static void (*handler)(int, siginfo_t *, void *);

#ifdef MEMORY_ERROR
static void change(siginfo_t *info)
{
    if (info->si_code == BUS_ADRERR) {
        info->si_code = BUS_MCEERR_AR;
    }
}
#else
static void change(siginfo_t *info)
{
    static const char message[] = "an access has waited\n";
    const struct timespec wait = { .tv_sec = SECONDS };

    clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, NULL);
    if (write(STDERR_FILENO, message, sizeof(message) - 1) < 0) {
        _exit(1);
    }
}
#endif

static void handle_as_something_else(int number, siginfo_t *info, void *context)
{
    change(info);
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
        ours.sa_sigaction = handle_as_something_else;
        action = &ours;
    }
    return next(number, action, before);
}
