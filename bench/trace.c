// SPDX-License-Identifier: Apache-2.0
// Zipf traces, and their replay.
#include "trace.h"

#include <math.h>

#include "base/error.h"
#include "base/mem.h"
#include "engine/s3fifo.h"

// ---- making ----

static double draw(uint64_t *seed) { // xorshift64*, 0 to 1
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return (double)((*seed * 0x2545f4914f6cdd1d) >> 11) * 0x1p-53;
}

// The first text whose sum of probabilities, up to and with its own, is over `wanted`.
static uint32_t find_text(const double *sum, uint32_t texts, double wanted) {
    uint32_t low = 0, high = texts - 1;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (sum[middle] > wanted)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

int trace_open(const struct trace_plan *plan, struct trace *ret_trace) {
    el_auto_free double *sum = NULL;
    struct trace trace = {.length = plan->length, .texts = plan->texts};
    uint64_t seed = 20230401;
    double total = 0;
    EL_TRY(el_alloc(plan->texts, sizeof *sum, &sum));
    EL_TRY(el_alloc(plan->length, sizeof *trace.text, &trace.text));
    for (uint32_t k = 0; k < plan->texts; k++)
        sum[k] = total += pow(k + 1.0, -plan->skew);
    for (size_t i = 0; i < plan->length; i++)
        trace.text[i] =
            draw(&seed) < plan->once ? trace.texts++ : find_text(sum, plan->texts, draw(&seed) * total);
    *ret_trace = trace;
    return 0;
}

void trace_done(struct trace *trace) {
    el_free(trace->text);
}

// ---- replay ----

int trace_replay_s3fifo(const struct trace *trace, uint32_t places, double *ret_share) {
    struct el_s3fifo *cache = NULL;
    size_t hits = 0;
    EL_TRY(el_s3fifo_open(places, &cache));
    for (size_t i = 0; i < trace->length; i++) {
        const struct el_hash128 key = {{trace->text[i] * 0x9e3779b97f4a7c15u >> 20, trace->text[i]}};
        if (el_s3fifo_find(cache, &key) != EL_S3FIFO_NONE)
            hits++;
        else
            el_s3fifo_insert(cache, &key);
    }
    el_s3fifo_close(cache);
    *ret_share = (double)hits / (double)trace->length;
    return 0;
}

// A list by last use through an array with a place for every text, and one more: the head, before the latest
// and behind the oldest.
struct link {
    uint32_t older, newer;
};

static void put_first(struct link *links, uint32_t head, uint32_t text) {
    links[text] = (struct link){.older = links[head].older, .newer = head};
    links[links[head].older].newer = text;
    links[head].older = text;
}

// Its own newer says that it is not kept.
static void take_out(struct link *links, uint32_t text) {
    links[links[text].newer].older = links[text].older;
    links[links[text].older].newer = links[text].newer;
    links[text].newer = text;
}

int trace_replay_lru(const struct trace *trace, uint32_t places, double *ret_share) {
    el_auto_free struct link *links = NULL;
    const uint32_t head = trace->texts;
    uint32_t kept = 0;
    size_t hits = 0;
    EL_TRY(el_alloc((size_t)trace->texts + 1, sizeof *links, &links));
    for (uint32_t text = 0; text <= head; text++)
        links[text] = (struct link){text, text};
    for (size_t i = 0; i < trace->length; i++) {
        const uint32_t text = trace->text[i];
        if (links[text].newer != text) {
            take_out(links, text);
            hits++;
        } else if (kept < places) {
            kept++;
        } else {
            take_out(links, links[head].newer);
        }
        put_first(links, head, text);
    }
    *ret_share = (double)hits / (double)trace->length;
    return 0;
}
