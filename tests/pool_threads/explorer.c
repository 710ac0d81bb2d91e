/*
 * Every order in which a few actors can take the steps between their locks
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <ucontext.h>
#include "qemu/units.h"
#include "explorer.h"
#include "fake_qemu.h"

#define ACTORS_MAX 8
#define STEPS_MAX 512
#define STACK_SIZE (256 * KiB)

typedef struct Actor {
    const char *name;
    void (*act)(void *);
    void *opaque;
    bool is_endless;
    bool has_ended;
    const char *place;
    int line, lock_line;
    bool (*condition)(void *);
    const QemuMutex *wants;
    ucontext_t context;
} Actor;

static Actor actors[ACTORS_MAX];
static uint8_t stacks[ACTORS_MAX][STACK_SIZE];
static unsigned actor_count;
static Actor *current; /* NULL: none, whoever explores */
static ucontext_t explorer;

/* Mutexes that an actor holds */
static const QemuMutex *locked[4];

/* The steps of the run so far */
static struct {
    unsigned actor;
    const char *place;
    int line;
} steps[STEPS_MAX];
static unsigned step_count;

/* A choice that has been made, or is to be, and those before it */
typedef struct Choice {
    struct Choice *before;
    unsigned steps_before;
    unsigned number;
} Choice;

static GQueue choices_to_make = G_QUEUE_INIT;
static GHashTable *states;

void explorer_add(const char *name, void (*act)(void *), void *opaque,
                  bool is_endless)
{
    Actor *actor = &actors[actor_count++];

    assert(actor_count <= ACTORS_MAX);
    *actor = (Actor) {
        .name = name,
        .place = "the begin",
        .act = act,
        .opaque = opaque,
        .is_endless = is_endless,
    };
}

static const QemuMutex **slot_of(const QemuMutex *mutex)
{
    for (unsigned i = 0; i < ARRAY_SIZE(locked); i++) {
        if (locked[i] == mutex) {
            return &locked[i];
        }
    }
    return NULL;
}

static void stop(bool (*condition)(void *), const QemuMutex *wants)
{
    Actor *actor = current;

    if (actor) {
        actor->condition = condition;
        actor->wants = wants;
        swapcontext(&actor->context, &explorer);
    }
}

void explorer_at(const char *function, int line)
{
    if (current) {
        current->place = function;
        current->line = line;
    }
}

void explorer_stop(const char *place)
{
    explorer_stop_at(place, 0);
}

void explorer_stop_at(const char *place, int number)
{
    explorer_at(place, number);
    stop(NULL, NULL);
}

void explorer_stop_until(const char *place, bool (*condition)(void *))
{
    explorer_at(place, 0);
    stop(condition, NULL);
}

static void lock(QemuMutex *mutex, const char *file, const int line)
{
    if (current) {
        current->lock_line = line;
    }
    stop(NULL, mutex);
    assert(!slot_of(mutex));
    *slot_of(NULL) = mutex;
}

QemuMutexLockFunc qemu_mutex_lock_func = lock;

void qemu_mutex_init(QemuMutex *mutex)
{
}

void qemu_mutex_unlock_impl(QemuMutex *mutex, const char *file, const int line)
{
    *slot_of(mutex) = NULL;
    explorer_unlocked();
}

static void act(unsigned number)
{
    actors[number].act(actors[number].opaque);
    actors[number].has_ended = true;
    swapcontext(&actors[number].context, &explorer);
}

static bool can_go_on(const Actor *actor)
{
    return !actor->has_ended &&
           !(actor->wants && slot_of(actor->wants)) &&
           !(actor->condition && !actor->condition(actor->opaque));
}

uint64_t explorer_place(unsigned number)
{
    const Actor *actor = &actors[number];

    return actor->has_ended ? 0 : (uintptr_t)actor->place * 31 +
                                  actor->line * 1024 + actor->lock_line;
}

static void tell(const char *does, unsigned number, const char *place, int line)
{
    printf("  %s %s %s:%d\n", actors[number].name, does, place, line);
}

void explorer_tell_steps(void)
{
    for (unsigned i = 0; i < step_count; i++) {
        tell("goes on from", steps[i].actor, steps[i].place, steps[i].line);
    }
    for (unsigned i = 0; i < actor_count; i++) {
        tell(actors[i].has_ended ? "has ended, last at" : "stands at", i,
             actors[i].place, actors[i].line);
    }
}

/* Let that actor make its next step */
static void step(unsigned number)
{
    current = &actors[number];
    swapcontext(&explorer, &current->context);
    current = NULL;
}

/* Has this state been there in another run, so that all that follows has? */
static bool is_known(const Exploration *exploration)
{
    uint64_t state;

    if (!exploration->state) {
        return false;
    }
    state = exploration->state();
    return !g_hash_table_add(states, g_memdup2(&state, sizeof(state)));
}

static Choice *choice_new(Choice *before, unsigned number)
{
    Choice *choice = g_new(Choice, 1);

    choice->before = before;
    choice->steps_before = before ? before->steps_before + 1 : 0;
    choice->number = number;
    return choice;
}

static void begin(const Exploration *exploration)
{
    actor_count = 0;
    step_count = 0;
    exploration->begin();
    for (unsigned i = 0; i < actor_count; i++) {
        Actor *actor = &actors[i];

        getcontext(&actor->context);
        actor->context.uc_stack.ss_sp = stacks[i];
        actor->context.uc_stack.ss_size = STACK_SIZE;
        makecontext(&actor->context, (void (*)(void))act, 1, i);
        if (actor->is_endless) {
            step(i);
        }
    }
}

static void end(const Exploration *exploration)
{
    for (unsigned i = 0; i < actor_count; i++) {
        if (!actors[i].has_ended && !actors[i].is_endless) {
            broken("lost wake-up: %s waits, and nobody can go on",
                   actors[i].name);
        }
    }
    exploration->end();
}

/*
 * One run: up to @last as chosen, or none if it is NULL; then the first actor
 * that can go on does.  The other choices in states that haven't been there are
 * to be made later.
 */
static void run(const Exploration *exploration, Choice *last)
{
    const unsigned chosen = last ? last->steps_before + 1 : 0;
    g_autofree unsigned *numbers = g_new(unsigned, chosen + 1);
    bool is_new = true;

    for (Choice *choice = last; choice; choice = choice->before) {
        numbers[choice->steps_before] = choice->number;
    }
    begin(exploration);
    for (step_count = 0; ; step_count++) {
        unsigned ready[ACTORS_MAX], choices = 0, actor;

        for (unsigned i = 0; i < actor_count; i++) {
            if (can_go_on(&actors[i])) {
                ready[choices++] = i;
            }
        }
        if (!choices) {
            break;
        }
        if (step_count == STEPS_MAX) {
            broken("%u steps, and no end", step_count);
        }
        actor = ready[step_count < chosen ? numbers[step_count] : 0];
        if (step_count >= chosen && is_new) {
            is_new = !is_known(exploration);
            for (unsigned i = 1; is_new && i < choices; i++) {
                g_queue_push_tail(&choices_to_make, choice_new(last, i));
            }
            last = choice_new(last, 0);
        }
        steps[step_count].actor = actor;
        steps[step_count].place = actors[actor].place;
        steps[step_count].line = actors[actor].line;
        step(actor);
    }
    end(exploration);
}

Explored explore(const Exploration *exploration)
{
    Explored explored = {};
    Choice *choice = NULL;

    states = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    do {
        run(exploration, choice);
        explored.runs++;
        /* States are found by short ways; what has none goes deep first */
        choice = exploration->state ? g_queue_pop_head(&choices_to_make)
                                    : g_queue_pop_tail(&choices_to_make);
    } while (choice);
    explored.states = g_hash_table_size(states);
    g_hash_table_destroy(states);
    return explored;
}
