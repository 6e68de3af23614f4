// SPDX-License-Identifier: Apache-2.0
// A team of threads. A run is announced by a generation number; helpers take tasks from a shared counter,
// spin for a while after the last run (one transformer layer starts several), then sleep on a futex.
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

enum { SPIN_NS = 50000 }; // how long a helper waits for the next run before it sleeps

uint64_t el_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
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

struct helper {
    struct el_team *team;
    pthread_t thread;
    int worker;
};

struct el_team {
    int size;
    int started; // helpers that run
    bool pin;
    struct helper *helpers; // [size - 1]

    // One run. Written by the caller before it raises `generation`.
    el_team_fn *fn;
    void *context;
    int tasks;

    _Alignas(EL_CACHE_LINE) atomic_uint generation; // a futex; odd bit unused, just counts runs
    atomic_int sleepers;
    atomic_bool stop;
    _Alignas(EL_CACHE_LINE) atomic_int next_task;
    _Alignas(EL_CACHE_LINE) atomic_int busy; // helpers that have not finished this run
};

static void futex_wait(atomic_uint *word, unsigned seen) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake_all(atomic_uint *word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// Returns when `generation` is no longer `seen`.
static void wait_for_run(struct el_team *team, unsigned seen) {
    uint64_t limit = el_now_ns() + SPIN_NS;
    do {
        for (int i = 0; i < 64; i++) {
            if (atomic_load_explicit(&team->generation, memory_order_acquire) != seen) return;
            relax();
        }
    } while (el_now_ns() < limit);
    atomic_fetch_add(&team->sleepers, 1);
    while (atomic_load(&team->generation) == seen)
        futex_wait(&team->generation, seen);
    atomic_fetch_sub(&team->sleepers, 1);
}

static void take_tasks(struct el_team *team, int worker) {
    int task;
    while ((task = atomic_fetch_add_explicit(&team->next_task, 1, memory_order_relaxed)) < team->tasks)
        team->fn(team->context, task, worker);
}

static void *helper_main(void *argument) {
    struct helper *self = argument;
    struct el_team *team = self->team;
    unsigned seen = 0;
    el_thread_name("el-team");
    if (team->pin) el_thread_pin(self->worker);
    for (;;) {
        wait_for_run(team, seen);
        seen++;
        if (atomic_load(&team->stop)) return NULL;
        take_tasks(team, self->worker);
        atomic_fetch_sub_explicit(&team->busy, 1, memory_order_release);
    }
}

static void announce(struct el_team *team) {
    atomic_fetch_add(&team->generation, 1);
    if (atomic_load(&team->sleepers) > 0) futex_wake_all(&team->generation);
}

int el_team_open(int threads, bool pin, struct el_team **ret_team) {
    if (threads < 1) return el_fail(EL_EINVAL, "a team needs at least 1 thread, not %d", threads);
    struct el_team *team;
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
    announce(team);
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
    team->fn = fn;
    team->context = context;
    team->tasks = tasks;
    atomic_store_explicit(&team->next_task, 0, memory_order_relaxed);
    atomic_store_explicit(&team->busy, team->started, memory_order_relaxed);
    announce(team);
    take_tasks(team, 0);
    // Every helper passes through each run, so that none can meet the next run's tasks with this one's data.
    for (unsigned spins = 0; atomic_load_explicit(&team->busy, memory_order_acquire) > 0; spins++) {
        if (spins < 20000)
            relax();
        else
            sched_yield();
    }
}
