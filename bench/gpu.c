// SPDX-License-Identifier: Apache-2.0
// Times operations on a device, told what to do line by line (bench/gpu.py drives it beside torch):
//     linear PRECISION ROWS DEPTH COLUMNS     attention PRECISION SEQUENCES LENGTH HEADS SIZE
//     copy BYTES (up, down and on the device) search fp32 ROWS DIM QUERIES K (exact, held to the processor)
// and answers each with a line of JSON: seconds of one call, the best and the median of rounds of calls that
// were queued together.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/sort.h"
#include "base/str.h"
#include "ops/ops.h"
#include "vectors/resident.h"

enum { ROUNDS = 15, ROUND_NS = 20000000 };

// Queues one call; `state` is the case's own.
typedef int call_fn(struct el_exec *exec, void *state);

static int seconds_of(struct el_exec *exec, call_fn *call, void *state, int calls, double *ret_seconds) {
    const uint64_t began = el_now_ns();
    for (int i = 0; i < calls; i++)
        EL_TRY(call(exec, state));
    EL_TRY(el_exec_sync(exec));
    *ret_seconds = (double)(el_now_ns() - began) * 1e-9 / calls;
    return 0;
}

// As many calls a round as take ROUND_NS.
static int measure(struct el_exec *exec, call_fn *call, void *state) {
    double seconds[ROUNDS], one = 0;
    EL_TRY(seconds_of(exec, call, state, 1, &one)); // warms up
    EL_TRY(seconds_of(exec, call, state, 1, &one));
    const int calls = (int)fmin(fmax(ROUND_NS * 1e-9 / one, 1), 10000);
    for (int i = 0; i < ROUNDS; i++)
        EL_TRY(seconds_of(exec, call, state, calls, &seconds[i]));
    el_sort_f64(seconds, ROUNDS);
    printf("{\"best\":%.9g,\"median\":%.9g,\"calls\":%d}\n", seconds[0], seconds[ROUNDS / 2], calls);
    return 0;
}

// Of about the size that activations have.
static void fill_random(float *values, int64_t count) {
    uint32_t state = 1;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = (float)(state >> 8) * 0x1p-23f - 1;
    }
}

// Random numbers in the exec's store type.
static int upload_random(struct el_exec *exec, int64_t rows, int64_t columns, struct el_tensor *ret) {
    const int64_t count = rows * columns;
    el_auto_free float *values = NULL;
    el_auto_free void *stored = NULL;
    EL_TRY(el_alloc((size_t)count, sizeof *values, &values));
    EL_TRY(el_alloc((size_t)count, el_dtype_size(exec->activations), &stored));
    fill_random(values, count);
    el_from_f32(exec->activations, values, count, stored);
    const struct el_tensor host = el_tensor_2d(exec->activations, stored, rows, columns);
    return el_exec_upload(exec, &host, ret);
}

// ---- linear ----

struct linear_case {
    struct el_tensor in, out;
    struct el_linear *linear;
};

static int call_linear(struct el_exec *exec, void *state) {
    struct linear_case *c = state;
    return exec->ops->linear(exec, &c->in, c->linear, EL_ACT_NONE, NULL, &c->out);
}

static int bench_linear(const struct el_target *target, struct el_exec *exec, const int64_t *n) {
    const int64_t rows = n[0], depth = n[1], columns = n[2];
    struct linear_case c = {0};
    el_auto_free float *weights = NULL;
    EL_TRY(el_alloc((size_t)(depth * columns), sizeof *weights, &weights));
    for (int64_t i = 0; i < depth * columns; i++)
        weights[i] = (float)(i * 7919 % 2001 - 1000) * 1e-4f;
    const struct el_tensor weight = el_tensor_2d(EL_F32, weights, columns, depth);
    EL_TRY(upload_random(exec, rows, depth, &c.in));
    EL_TRY(el_exec_alloc(exec, exec->activations, rows, columns, &c.out));
    EL_TRY(el_linear_open(target, &weight, NULL, &c.linear));
    int status = measure(exec, call_linear, &c);
    el_linear_close(c.linear);
    return status;
}

// ---- attention ----

struct attention_case {
    struct el_tensor qkv, out;
    struct el_seqs seqs;
    int heads;
    float scale;
};

static int call_attention(struct el_exec *exec, void *state) {
    struct attention_case *c = state;
    return exec->ops->attention(exec, &c->qkv, &c->seqs, c->heads, c->scale, &c->out);
}

static int bench_attention(struct el_exec *exec, const int64_t *n) {
    const int64_t count = n[0], length = n[1], heads = n[2], size = n[3];
    struct attention_case c = {.heads = (int)heads, .scale = 1 / sqrtf((float)size)};
    el_auto_free int32_t *start = NULL;
    EL_TRY(el_alloc((size_t)count + 1, sizeof *start, &start));
    for (int64_t i = 0; i <= count; i++)
        start[i] = (int32_t)(i * length);
    struct el_tensor there = el_tensor_1d(EL_I32, start, count + 1);
    EL_TRY(el_exec_upload(exec, &there, &there));
    c.seqs = (struct el_seqs){.count = (int)count, .start = start, .there = there.data};
    EL_TRY(upload_random(exec, count * length, 3 * heads * size, &c.qkv));
    EL_TRY(el_exec_alloc(exec, exec->activations, count * length, heads * size, &c.out));
    return measure(exec, call_attention, &c);
}

// ---- copy ----

struct copy_case {
    void *host, *to, *from;
    size_t size;
};

static int call_up(struct el_exec *exec, void *state) {
    struct copy_case *c = state;
    return el_stream_upload(&exec->stream, c->to, c->host, c->size);
}
static int call_down(struct el_exec *exec, void *state) {
    struct copy_case *c = state;
    return el_stream_download(&exec->stream, c->host, c->from, c->size);
}
static int call_within(struct el_exec *exec, void *state) {
    struct copy_case *c = state;
    return el_stream_copy(&exec->stream, c->to, c->from, c->size);
}

static int bench_copy(struct el_exec *exec, const int64_t *n) {
    struct copy_case c = {.size = (size_t)n[0]};
    EL_TRY(el_device_arena_alloc(&exec->pinned, c.size, &c.host));
    EL_TRY(el_device_arena_alloc(&exec->device_scratch, c.size, &c.to));
    EL_TRY(el_device_arena_alloc(&exec->device_scratch, c.size, &c.from));
    memset(c.host, 1, c.size);
    EL_TRY(measure(exec, call_up, &c));
    EL_TRY(measure(exec, call_down, &c));
    return measure(exec, call_within, &c);
}

// ---- search ----

enum { HELD = 8 }; // queries whose lists are held to the processor's

struct search_case {
    struct el_vector_set set;
    const float *queries;
    int batch, k;
    struct el_team *team;
    struct el_resident *resident;
    struct el_hit *hits; // [batch][k]
};

static int call_search(struct el_exec *exec, void *state) {
    const struct search_case *c = state;
    (void)exec;
    return el_resident_search(c->resident, &c->set, c->queries, c->batch, c->k, c->team, c->hits);
}

static int check_lists(const struct search_case *c) {
    struct el_hit *want el_auto_free = NULL;
    const int held = EL_MIN(c->batch, HELD);
    EL_TRY(el_alloc((size_t)held * (size_t)c->k, sizeof *want, &want));
    EL_TRY(el_search_exact(&c->set, c->queries, held, c->k, c->team, want));
    for (int i = 0; i < held * c->k; i++)
        if (c->hits[i].row != want[i].row || c->hits[i].score != want[i].score)
            return el_fail(EL_EFORMAT, "hit %d of query %d is row %lld here and %lld on the processor",
                           i % c->k, i / c->k, (long long)c->hits[i].row, (long long)want[i].row);
    return 0;
}

static int search_and_measure(struct el_device *device, struct el_exec *exec, struct search_case *c) {
    EL_TRY(el_team_open(el_cpu_count(), false, &c->team));
    EL_TRY(el_resident_open(device, &c->set, &c->resident));
    EL_TRY(call_search(exec, c));
    EL_TRY(check_lists(c));
    return measure(exec, call_search, c);
}

// Exact search, to the list in the processor's memory: rows, dim, batch, k.
static int bench_search(struct el_device *device, struct el_exec *exec, const int64_t *n) {
    const int64_t rows = n[0], dim = n[1], batch = n[2], k = n[3];
    struct search_case c = {.batch = (int)batch, .k = (int)k};
    float *values el_auto_free = NULL;
    struct el_hit *hits el_auto_free = NULL;
    EL_TRY(el_alloc((size_t)((rows + batch) * dim), sizeof *values, &values));
    EL_TRY(el_alloc((size_t)(batch * k), sizeof *hits, &hits));
    fill_random(values, (rows + batch) * dim);
    c.set = (struct el_vector_set){.dim = (int)dim, .metric = EL_METRIC_IP, .count = rows, .rows = values};
    c.queries = values + rows * dim;
    c.hits = hits;
    const int status = search_and_measure(device, exec, &c);
    el_resident_close(c.resident);
    el_team_close(c.team);
    return status;
}

// ---- commands ----

static int answer(struct el_device *device, const char *line) {
    char what[16] = "", precision[8] = "fp32";
    int64_t n[4] = {0};
    struct el_target target;
    el_auto(el_exec_close) struct el_exec exec = {0};
    enum el_precision wanted;
    const bool is_copy = el_starts_with(line, "copy ");
    const int found =
        is_copy ? sscanf(line, "%15s %ld", what, &n[0])
                : sscanf(line, "%15s %7s %ld %ld %ld %ld", what, precision, &n[0], &n[1], &n[2], &n[3]);
    EL_TRY(el_precision_parse(precision, &wanted));
    EL_TRY(el_target_init(device, wanted, &target));
    EL_TRY(el_exec_open(&target, NULL, &exec));
    if (is_copy && found == 2) return bench_copy(&exec, n);
    if (el_streq(what, "linear") && found == 5) return bench_linear(&target, &exec, n);
    if (el_streq(what, "attention") && found == 6) return bench_attention(&exec, n);
    if (el_streq(what, "search") && found == 6) return bench_search(device, &exec, n);
    return el_fail(EL_EINVAL, "cannot read \"%s\"", line);
}

int main(int argc, char **argv) {
    struct el_device *device = NULL;
    char line[128];
    if (argc != 2) {
        fprintf(stderr, "usage: bench_gpu DEVICE   (cuda:0, opencl:0)\n");
        return 2;
    }
    int status = el_device_open_id(argv[1], NULL, &device);
    if (status == 0) {
        printf("{\"device\":\"%s\",\"driver\":\"%s\",\"capability\":%d,\"ptx\":\"%s\"}\n", device->facts.name,
               device->facts.driver, device->facts.capability, el_ptx_compiler);
        fflush(stdout);
    }
    while (status == 0 && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (answer(device, line) < 0) printf("{\"error\":\"%s\"}\n", el_error_detail());
        fflush(stdout);
    }
    if (status < 0) fprintf(stderr, "bench_gpu: %s: %s\n", el_status_text(status), el_error_detail());
    el_device_close(device);
    return status < 0;
}
