// SPDX-License-Identifier: Apache-2.0
// A team of threads. A run is published by one word that holds its number and how many tasks are left;
// whoever takes one off owns that task. The caller never waits for a helper that is not in a task: one that
// sleeps, or that the system has put aside, costs nothing. Helpers spin for a while after a run (a
// transformer layer starts several), then sleep on a futex.
#include "base/thread.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    SPIN_NS = 50000,          // how long a helper waits for the next run before it sleeps
    SPINS_BEFORE_YIELD = 4096 // how often the caller looks for the last task's end before it yields
};

uint64_t el_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void el_cond_init(pthread_cond_t *cond) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

bool el_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t until_ns) {
    const struct timespec until = {(time_t)(until_ns / 1000000000u), (long)(until_ns % 1000000000u)};
    return pthread_cond_timedwait(cond, lock, &until) != ETIMEDOUT;
}

// Processors of the cgroup's quota (v2), rounded up; 0 when there is none.
static int cgroup_cpus(void) {
    double quota = 0, period = 0;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (!file) return 0;
    int fields = fscanf(file, "%lf %lf", &quota, &period);
    fclose(file);
    return fields == 2 && quota > 0 && period > 0 ? (int)((quota + period - 1) / period) : 0;
}

int el_cpu_count(void) {
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    int quota = cgroup_cpus();
    if (quota > 0 && quota < count) count = quota;
    return EL_MAX(count, 1);
}

void el_thread_pin(int index) {
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof allowed, &allowed) < 0) return;
    int left = index % EL_MAX(CPU_COUNT(&allowed), 1);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || left-- > 0) continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (pthread_setaffinity_np(pthread_self(), sizeof one, &one) != 0)
            el_debug("cannot pin thread %d to processor %d", index, cpu);
        return;
    }
}

void el_thread_name(const char *name) {
    char cut[16];
    snprintf(cut, sizeof cut, "%s", name);
    pthread_setname_np(pthread_self(), cut);
}

// Of the kernel's linux/sched/types.h, which glibc's headers contradict.
struct sched_attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns, deadline_ns, period_ns;
};

void el_thread_slice(uint64_t ns) {
    struct sched_attributes attributes;
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) < 0) return;
    attributes.runtime_ns = ns;
    if (syscall(SYS_sched_setattr, 0, &attributes, 0) < 0)
        el_debug("cannot ask for short turns: %s", strerror(errno));
}

struct helper {
    struct el_team *team;
    pthread_t thread;
    int worker;
};

// What a run does. Two slots, used in turn: a late helper may still look at the last run's.
struct run {
    el_team_fn *fn;
    void *context;
    uint32_t tasks;
    _Alignas(EL_CACHE_LINE) _Atomic uint32_t done;
};

struct el_team {
    int size;
    int started; // helpers that run
    bool pin;
    struct helper *helpers; // [size - 1]
    struct run runs[2];

    // High half: number of the newest run. Low half: how many of its tasks nobody has taken yet.
    _Alignas(EL_CACHE_LINE) _Atomic uint64_t ticket;
    _Alignas(EL_CACHE_LINE) _Atomic uint32_t wakeups; // a futex, counts runs
    atomic_int sleepers;
    atomic_bool stop;
};

static uint32_t run_number(uint64_t ticket) {
    return (uint32_t)(ticket >> 32);
}
static uint32_t tasks_left(uint64_t ticket) {
    return (uint32_t)ticket;
}

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// Returns when there is a newer run than `seen`, or the team stops.
static void wait_for_run(struct el_team *team, uint32_t seen) {
    uint64_t limit = el_now_ns() + SPIN_NS;
    do {
        for (int i = 0; i < 64; i++) {
            if (run_number(atomic_load_explicit(&team->ticket, memory_order_acquire)) != seen) return;
            relax();
        }
    } while (el_now_ns() < limit);
    atomic_fetch_add(&team->sleepers, 1);
    for (;;) {
        uint32_t wakeups = atomic_load(&team->wakeups);
        if (run_number(atomic_load(&team->ticket)) != seen || atomic_load(&team->stop)) break;
        syscall(SYS_futex, &team->wakeups, FUTEX_WAIT_PRIVATE, wakeups, NULL, NULL, 0);
    }
    atomic_fetch_sub(&team->sleepers, 1);
}

// Takes tasks of the newest run until none is left; returns its number. A task once taken keeps its run, and
// so the run's slot, from ending before it is done.
static uint32_t take_tasks(struct el_team *team, int worker) {
    uint64_t ticket = atomic_load_explicit(&team->ticket, memory_order_acquire);
    while (tasks_left(ticket) > 0) {
        if (!atomic_compare_exchange_weak_explicit(&team->ticket, &ticket, ticket - 1, memory_order_acq_rel,
                                                   memory_order_acquire))
            continue;
        struct run *run = &team->runs[run_number(ticket) % 2];
        run->fn(run->context, (int)(run->tasks - tasks_left(ticket)), worker);
        atomic_fetch_add_explicit(&run->done, 1, memory_order_release);
        ticket = atomic_load_explicit(&team->ticket, memory_order_acquire);
    }
    return run_number(ticket);
}

static void *helper_main(void *argument) {
    struct helper *self = argument;
    struct el_team *team = self->team;
    uint32_t seen = 0;
    el_thread_name("el-team");
    if (team->pin) el_thread_pin(self->worker);
    for (;;) {
        wait_for_run(team, seen);
        if (atomic_load(&team->stop)) return NULL;
        seen = take_tasks(team, self->worker);
    }
}

static void wake_sleepers(struct el_team *team) {
    atomic_fetch_add(&team->wakeups, 1);
    if (atomic_load(&team->sleepers) > 0)
        syscall(SYS_futex, &team->wakeups, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

int el_team_open(int threads, bool pin, struct el_team **ret_team) {
    if (threads < 1) return el_fail(EL_EINVAL, "a team needs at least 1 thread, not %d", threads);
    struct el_team *team = NULL;
    int status = el_alloc_aligned(1, sizeof *team, &team);
    if (status < 0) return status;
    memset(team, 0, sizeof *team);
    team->size = threads;
    team->pin = pin;
    status = el_zalloc((size_t)threads - 1, sizeof *team->helpers, &team->helpers);
    for (int i = 0; i < threads - 1 && status == 0; i++) {
        struct helper *helper = &team->helpers[i];
        *helper = (struct helper){.team = team, .worker = i + 1};
        int error = pthread_create(&helper->thread, NULL, helper_main, helper);
        if (error)
            status = el_fail(EL_ENOMEM, "cannot start thread %d: %s", i + 1, strerror(error));
        else
            team->started++;
    }
    if (status < 0) {
        el_team_close(team);
        return status;
    }
    *ret_team = team;
    return 0;
}

void el_team_close(struct el_team *team) {
    if (!team) return;
    atomic_store(&team->stop, true);
    atomic_fetch_add(&team->ticket, UINT64_C(1) << 32); // a run without tasks
    wake_sleepers(team);
    for (int i = 0; i < team->started; i++)
        pthread_join(team->helpers[i].thread, NULL);
    el_free(team->helpers);
    el_free(team);
}

int el_team_size(const struct el_team *team) {
    return team ? team->size : 1;
}

void el_team_run(struct el_team *team, int tasks, el_team_fn *fn, void *context) {
    if (!team || team->size == 1 || tasks <= 1) {
        for (int task = 0; task < tasks; task++)
            fn(context, task, 0);
        return;
    }
    uint32_t number = run_number(atomic_load_explicit(&team->ticket, memory_order_relaxed)) + 1;
    struct run *run = &team->runs[number % 2];
    run->fn = fn;
    run->context = context;
    run->tasks = (uint32_t)tasks;
    atomic_store_explicit(&run->done, 0, memory_order_relaxed);
    atomic_store(&team->ticket, (uint64_t)number << 32 | (uint32_t)tasks);
    wake_sleepers(team);
    take_tasks(team, 0);
    for (unsigned spins = 0; atomic_load_explicit(&run->done, memory_order_acquire) < run->tasks; spins++) {
        if (spins < SPINS_BEFORE_YIELD)
            relax();
        else
            sched_yield();
    }
}
