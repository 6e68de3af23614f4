// SPDX-License-Identifier: Apache-2.0
// The thread that sleeps until the next member is due, and tries it.
#include "engine/rejoin.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"

struct member {
    struct el_rejoin_state state;
    int setbacks;
    int well;           // probes in a row
    uint64_t joined_ns; // when it came back last; 0: never
};

struct el_rejoin {
    struct el_rejoin_options options;
    pthread_t thread;
    bool runs; // the thread; of who starts and stops it
    pthread_mutex_t lock;
    pthread_cond_t changed;
    // Guarded by `lock`.
    bool stops;
    struct member members[EL_REJOIN_MEMBERS];
};

// ---- when (all locked) ----

static uint64_t distance(const struct el_rejoin *rejoin, const struct member *member) {
    uint64_t ns = rejoin->options.first_ns;
    for (int i = 0; i < member->setbacks && ns < rejoin->options.longest_ns; i++)
        ns *= 2;
    return EL_MIN(ns, rejoin->options.longest_ns);
}

static void set_back(const struct el_rejoin *rejoin, struct member *member, const char *problem) {
    member->setbacks++;
    member->well = 0;
    member->state.next_ns = el_now_ns() + distance(rejoin, member);
    snprintf(member->state.problem, sizeof member->state.problem, "%s", problem);
}

// The one that is due first; NULL: none is out.
static struct member *next_member(struct el_rejoin *rejoin) {
    struct member *next = NULL;
    for (int i = 0; i < rejoin->options.members; i++) {
        struct member *member = &rejoin->members[i];
        if (member->state.out && (!next || member->state.next_ns < next->state.next_ns)) next = member;
    }
    return next;
}

// ---- trying (all locked; not while a member is asked) ----

static int call_unlocked(struct el_rejoin *rejoin, int (*call)(void *context, int member),
                         const struct member *member) {
    pthread_mutex_unlock(&rejoin->lock);
    const int status = call(rejoin->options.context, (int)(member - rejoin->members));
    pthread_mutex_lock(&rejoin->lock);
    return status;
}

// It counts as in from here on, since before `join` returns it may work, or be out again.
static void join(struct el_rejoin *rejoin, struct member *member) {
    const uint64_t joined_before = member->joined_ns;
    member->state.out = false;
    member->state.rejoins++;
    member->joined_ns = el_now_ns();
    if (call_unlocked(rejoin, rejoin->options.join, member) == 0) return;
    member->state.rejoins--;
    member->state.out = true;
    member->joined_ns = joined_before;
    set_back(rejoin, member, el_error_detail());
}

static void try_member(struct el_rejoin *rejoin, struct member *member) {
    member->state.tries++;
    if (call_unlocked(rejoin, rejoin->options.probe, member) < 0) {
        set_back(rejoin, member, el_error_detail());
        return;
    }
    if (++member->well >= rejoin->options.probes)
        join(rejoin, member);
    else
        member->state.next_ns = el_now_ns() + rejoin->options.first_ns;
}

static void *rejoin_main(void *argument) {
    struct el_rejoin *rejoin = argument;
    el_thread_name("el-rejoin");
    pthread_mutex_lock(&rejoin->lock);
    while (!rejoin->stops) {
        struct member *member = next_member(rejoin);
        if (!member)
            pthread_cond_wait(&rejoin->changed, &rejoin->lock);
        else if (el_now_ns() < member->state.next_ns)
            el_cond_wait_until(&rejoin->changed, &rejoin->lock, member->state.next_ns);
        else
            try_member(rejoin, member);
    }
    pthread_mutex_unlock(&rejoin->lock);
    return NULL;
}

// ---- from outside ----

int el_rejoin_open(const struct el_rejoin_options *options, struct el_rejoin **ret_rejoin) {
    struct el_rejoin *rejoin = NULL;
    if (options->members > EL_REJOIN_MEMBERS)
        return el_fail(EL_EINVAL, "at most %d members may rejoin, not %d", EL_REJOIN_MEMBERS,
                       options->members);
    EL_TRY(el_zalloc(1, sizeof *rejoin, &rejoin));
    rejoin->options = *options;
    pthread_mutex_init(&rejoin->lock, NULL);
    el_cond_init(&rejoin->changed);
    *ret_rejoin = rejoin;
    return 0;
}

int el_rejoin_start(struct el_rejoin *rejoin) {
    const int error = pthread_create(&rejoin->thread, NULL, rejoin_main, rejoin);
    rejoin->runs = error == 0;
    return error ? el_fail(EL_ENOMEM, "no thread to take devices back: %s", strerror(error)) : 0;
}

void el_rejoin_stop(struct el_rejoin *rejoin) {
    if (!rejoin || !rejoin->runs) return;
    pthread_mutex_lock(&rejoin->lock);
    rejoin->stops = true;
    pthread_cond_signal(&rejoin->changed);
    pthread_mutex_unlock(&rejoin->lock);
    pthread_join(rejoin->thread, NULL);
    rejoin->runs = false;
}

void el_rejoin_close(struct el_rejoin *rejoin) {
    if (!rejoin) return;
    el_rejoin_stop(rejoin);
    pthread_cond_destroy(&rejoin->changed);
    pthread_mutex_destroy(&rejoin->lock);
    el_free(rejoin);
}

uint64_t el_rejoin_out(struct el_rejoin *rejoin, int i) {
    struct member *member = &rejoin->members[i];
    const uint64_t now = el_now_ns();
    pthread_mutex_lock(&rejoin->lock);
    const bool is_back_again = member->joined_ns > 0 && now - member->joined_ns < rejoin->options.longest_ns;
    member->setbacks = is_back_again ? member->setbacks + 1 : 0;
    member->well = 0;
    member->state.out = true;
    member->state.tries = 0;
    member->state.problem[0] = '\0';
    const uint64_t until = distance(rejoin, member);
    member->state.next_ns = now + until;
    pthread_cond_signal(&rejoin->changed);
    pthread_mutex_unlock(&rejoin->lock);
    return until;
}

void el_rejoin_state(struct el_rejoin *rejoin, int i, struct el_rejoin_state *ret_state) {
    pthread_mutex_lock(&rejoin->lock);
    *ret_state = rejoin->members[i].state;
    pthread_mutex_unlock(&rejoin->lock);
}
