// SPDX-License-Identifier: Apache-2.0
// The machine of the process and what becomes of its GPUs: failures that trip at a call, and those that a
// test writes into the file EL_FAKE_TRIP.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "machine.h"

// ---- the machine of this process ----

static struct machine the_machine;
static bool is_good;

// EL_FAKE_FAIL: more failures than the file has, as GPU:CALL:AFTER:OUTCOME[:TIMES or MILLISECONDS],...
static bool read_failures(const char *text) {
    while (*text) {
        struct machine_failure failure = {0};
        char call[16], outcome[16];
        long long after = 0, more = 0;
        const int found =
            sscanf(text, "%d:%15[a-z]:%lld:%15[a-z-]:%lld", &failure.gpu, call, &after, outcome, &more);
        if (found < 4 || the_machine.failure_count == MACHINE_FAILURES || failure.gpu < 0 ||
            failure.gpu >= the_machine.gpu_count || !machine_call_of(call, &failure.call) ||
            !machine_outcome_of(outcome, &failure.outcome))
            return false;
        failure.after = after;
        *(failure.outcome == MACHINE_SLOW ? &failure.milliseconds : &failure.times) = more;
        the_machine.failures[the_machine.failure_count++] = failure;
        text += strcspn(text, ",");
        text += *text == ',';
    }
    return true;
}

static void read_environment(void) {
    char problem[512];
    const char *path = getenv("EL_MACHINE"), *failures = getenv("EL_FAKE_FAIL");
    if (!path || !*path) return;
    is_good = machine_load(path, &the_machine, problem, sizeof problem);
    if (!is_good) fprintf(stderr, "fake driver: %s\n", problem);
    if (is_good && failures && !read_failures(failures))
        fprintf(stderr, "fake driver: EL_FAKE_FAIL=%s: GPU:CALL:AFTER:OUTCOME[:TIMES],... is wanted\n",
                failures);
}

struct machine *machine_get(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_environment);
    return is_good ? &the_machine : NULL;
}

// ---- failures ----

// What the file EL_FAKE_TRIP says of the GPU now.
static enum machine_outcome written_outcome(int gpu) {
    const char *path = getenv("EL_FAKE_TRIP");
    FILE *file = path && *path ? fopen(path, "re") : NULL;
    enum machine_outcome outcome = MACHINE_OK;
    char word[16];
    int number;
    if (!file) return MACHINE_OK;
    while (fscanf(file, "%d %15s", &number, word) == 2)
        if (number == gpu) machine_outcome_of(word, &outcome);
    fclose(file);
    return outcome;
}

bool machine_gpu_gone(struct machine *machine, int gpu) {
    return machine->gpus[gpu].off_the_bus || written_outcome(gpu) == MACHINE_OFF_THE_BUS;
}

static bool trips(struct machine *machine, int place, enum machine_call call, size_t bytes) {
    const struct machine_failure *failure = &machine->failures[place];
    if (failure->call != MACHINE_ANY && failure->call != call) return false;
    const int64_t number = atomic_fetch_add(&machine->calls[place], 1) + 1;
    switch (failure->outcome) {
    case MACHINE_LOST:
    case MACHINE_ECC:
        return number == failure->after;
    case MACHINE_OFF_THE_BUS:
        return number >= failure->after;
    case MACHINE_OOM:
        if (call != MACHINE_ALLOC) return false;
        if (failure->bytes > 0)
            return machine->gpus[failure->gpu].allocated + (int64_t)bytes > failure->bytes;
        break;
    default:
        break;
    }
    return number >= failure->after && (failure->times == 0 || number < failure->after + failure->times);
}

static void wait_ms(int64_t milliseconds) {
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&time, NULL);
}

// What NVML tells of it: the Xid that NVIDIA's list gives to such an event.
static void remember(struct machine_gpu *gpu, enum machine_outcome outcome) {
    const int xid = outcome == MACHINE_LOST          ? 31 // memory page fault
                    : outcome == MACHINE_ECC         ? 48 // double bit ECC error
                    : outcome == MACHINE_OFF_THE_BUS ? 79 // has fallen off the bus
                                                     : 0;
    if (xid && atomic_exchange(&gpu->xid, xid) != xid && outcome == MACHINE_ECC) gpu->ecc_more++;
}

// A hang that a file of failures made lasts; one that a test wrote lasts as long as its line.
static void hang(int gpu, bool lasts) {
    while (lasts || written_outcome(gpu) == MACHINE_HANG)
        wait_ms(5);
}

enum machine_outcome machine_call(struct machine *machine, int gpu, enum machine_call call, size_t bytes) {
    enum machine_outcome outcome = written_outcome(gpu);
    if (call == MACHINE_SYNC && outcome == MACHINE_HANG) hang(gpu, false);
    for (int i = 0; i < machine->failure_count; i++) {
        const struct machine_failure *failure = &machine->failures[i];
        if (failure->gpu != gpu || !trips(machine, i, call, bytes)) continue;
        if (failure->outcome == MACHINE_SLOW)
            wait_ms(failure->milliseconds);
        else if (failure->outcome == MACHINE_HANG)
            hang(gpu, call == MACHINE_SYNC);
        else if (outcome == MACHINE_OK)
            outcome = failure->outcome;
        if (failure->outcome == MACHINE_OFF_THE_BUS) machine->gpus[gpu].off_the_bus = true;
    }
    if (machine->gpus[gpu].off_the_bus) outcome = MACHINE_OFF_THE_BUS;
    remember(&machine->gpus[gpu], outcome);
    return outcome == MACHINE_SLOW || outcome == MACHINE_HANG ? MACHINE_OK : outcome;
}
