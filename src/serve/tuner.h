// SPDX-License-Identifier: Apache-2.0
// Has the batches of served models tuned where nothing is remembered of them: by a thread in the background,
// while no request is there, and given up as soon as one comes.
#ifndef EL_SERVE_TUNER_H
#define EL_SERVE_TUNER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "serve/roster.h"

// Zeroed: not started.
struct el_tuner {
    struct el_roster *roster;
    bool started;
    pthread_t thread;
    pthread_mutex_t lock; // guards `stop`
    pthread_cond_t stopped;
    bool stop;
    // The thread's:
    uint64_t requests;            // of all models, when it began to tune
    const struct el_model *model; // whose batches are tuned
};

// The roster's models must be loaded, and outlive it. Where no thread is to be had it warns, and does
// nothing.
void el_tuner_start(struct el_tuner *tuner, struct el_roster *roster);
// Waits for the batch that is being tried. Takes one that was not started.
void el_tuner_stop(struct el_tuner *tuner);

#endif
