// SPDX-License-Identifier: Apache-2.0
// A team of threads that share one loop, the clock, and waiting by it.
#ifndef EL_BASE_THREAD_H
#define EL_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

// Nanoseconds of a clock that never steps back.
uint64_t el_now_ns(void);

// Processors that this process may use (affinity and the cgroup's cpu quota counted), at least 1.
int el_cpu_count(void);

// Pins the calling thread to the index-th of the processors it may use; a failure only debug-logs.
void el_thread_pin(int index);
// The name that top and gdb show, 15 bytes.
void el_thread_name(const char *name);
// Asks for turns of `ns` (0.1 to 100 ms; 0: the usual) of the processor for the calling thread: one that asks
// for shorter turns than what runs gets it at once when it wakes, and no larger share of it. Linux from 6.12
// on heeds that; elsewhere, and on failure, nothing changes.
void el_thread_slice(uint64_t ns);

// A condition whose waits end by the clock of el_now_ns.
void el_cond_init(pthread_cond_t *cond);
// As pthread_cond_wait, but not beyond `until_ns` of el_now_ns. False when the time is over.
bool el_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t until_ns);

struct el_team;

// A team of `threads` threads: the caller of el_team_run and threads - 1 helpers. Helpers spin for some
// tens of microseconds after a run, then sleep. `pin`: helper i is pinned to processor i.
// EL_EINVAL (threads < 1), EL_ENOMEM.
int el_team_open(int threads, bool pin, struct el_team **ret_team);
void el_team_close(struct el_team *team);
int el_team_size(const struct el_team *team); // 1 for NULL

// Calls fn(context, task, worker) for each task in 0 .. tasks - 1, spread over the team, and returns when
// all are done; worker is 0 .. size - 1 and no two calls at once share it. Static order: no promise which
// worker gets which task. A NULL team runs all on the caller, worker 0. One caller at a time per team.
typedef void el_team_fn(void *context, int task, int worker);
void el_team_run(struct el_team *team, int tasks, el_team_fn *fn, void *context);

#endif
