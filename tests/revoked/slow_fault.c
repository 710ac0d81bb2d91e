// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Goes into an emulator by LD_PRELOAD: an access to a device that is gone waits
 * before it fails, as Linux 7.2's nvgrace-gpu makes it wait for a GPU that
 * isn't ready. Each wait is reported.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define SECONDS 5

static void (*handler)(int, siginfo_t *, void *);

static void handle_after_a_while(int number, siginfo_t *info, void *context)
{
    static const char message[] = "an access has waited\n";
    const struct timespec wait = { .tv_sec = SECONDS };

    clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, NULL);
    if (write(STDERR_FILENO, message, sizeof(message) - 1) > 0) {
        handler(number, info, context);
    }
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
        ours.sa_sigaction = handle_after_a_while;
        action = &ours;
    }
    return next(number, action, before);
}
