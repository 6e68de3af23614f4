// SPDX-License-Identifier: Apache-2.0
// Tuning in the background: the thread waits for a time without requests, tunes, and after each time that it
// had to give way waits twice as long.
#include "serve/tuner.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/thread.h"
#include "service/tune.h"

enum { FIRST_REST_S = 2, LONGEST_REST_S = 3600 };

// ---- when ----

// Requests that came since the start, to any model: models share devices.
static uint64_t count_requests(const struct el_tuner *tuner, bool *ret_working) {
    uint64_t requests = 0;
    *ret_working = false;
    for (size_t i = 0; i < tuner->roster->count; i++) {
        struct el_embed_stats stats;
        el_embedder_stats(tuner->roster->models[i].embedder, &stats);
        requests += stats.requests;
        *ret_working |= stats.queue_inputs > 0 || stats.running_tokens > 0;
    }
    return requests;
}

// True when it is time to end.
static bool rest(struct el_tuner *tuner, int seconds) {
    const uint64_t until = el_now_ns() + (uint64_t)seconds * 1000000000u;
    pthread_mutex_lock(&tuner->lock);
    while (!tuner->stop && el_cond_wait_until(&tuner->stopped, &tuner->lock, until))
        continue;
    const bool stop = tuner->stop;
    pthread_mutex_unlock(&tuner->lock);
    return stop;
}

static bool must_end(void *context) {
    struct el_tuner *tuner = context;
    bool working;
    if (count_requests(tuner, &working) != tuner->requests) return true;
    pthread_mutex_lock(&tuner->lock);
    const bool stop = tuner->stop;
    pthread_mutex_unlock(&tuner->lock);
    return stop;
}

// ---- what ----

static void log_result(void *context, const struct el_tune_result *result) {
    const struct el_tuner *tuner = context;
    el_info("model %s on %s (%s): batches of %" PRId64
            " tokens are the fastest, %.0f texts/s; those of %" PRId64 " (%s) came to %.0f; remembered in %s",
            tuner->model->name, result->place->facts.name, result->precision, result->tokens, result->rate,
            result->before.tokens, result->before.source, result->rate_before, result->file);
}

static int tune_all(struct el_tuner *tuner) {
    const struct el_tune_options options = {.must_end = must_end, .tuned = log_result, .context = tuner};
    int status = 0;
    for (size_t i = 0; i < tuner->roster->count && status == 0; i++) {
        tuner->model = &tuner->roster->models[i];
        status = el_embedder_tune(tuner->model->embedder, &options);
    }
    return status;
}

static void *tuner_main(void *argument) {
    struct el_tuner *tuner = argument;
    el_thread_name("el-tuner");
    el_thread_slice(0); // not the loop's, whose thread began this one
    for (int seconds = FIRST_REST_S;;) {
        bool working;
        const uint64_t before = count_requests(tuner, &working);
        if (rest(tuner, seconds)) return NULL;
        tuner->requests = count_requests(tuner, &working);
        if (working || tuner->requests != before) continue;
        const int status = tune_all(tuner);
        if (status == 0) return NULL;
        if (status != EL_EBUSY) {
            el_warn("model %s: its batches are not tuned: %s", tuner->model->name, el_error_detail());
            return NULL;
        }
        seconds = seconds * 2 < LONGEST_REST_S ? seconds * 2 : LONGEST_REST_S;
    }
}

// ---- the thread ----

void el_tuner_start(struct el_tuner *tuner, struct el_roster *roster) {
    *tuner = (struct el_tuner){.roster = roster, .lock = PTHREAD_MUTEX_INITIALIZER};
    el_cond_init(&tuner->stopped);
    const int error = pthread_create(&tuner->thread, NULL, tuner_main, tuner);
    tuner->started = error == 0;
    if (error) el_warn("batches are not tuned, for their thread does not start: %s", strerror(error));
}

void el_tuner_stop(struct el_tuner *tuner) {
    if (!tuner->started) return;
    pthread_mutex_lock(&tuner->lock);
    tuner->stop = true;
    pthread_cond_signal(&tuner->stopped);
    pthread_mutex_unlock(&tuner->lock);
    pthread_join(tuner->thread, NULL);
    pthread_cond_destroy(&tuner->stopped);
    pthread_mutex_destroy(&tuner->lock);
    tuner->started = false;
}
