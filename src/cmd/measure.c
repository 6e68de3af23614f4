// SPDX-License-Identifier: Apache-2.0
// Measures a device: each figure is the time of work that was repeated until it took long enough.
#include "cmd/measure.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "ops/ops.h"

enum {
    COPY_BYTES = 64 << 20,
    CANARY_LANES = 256,
    LEAST_MATMUL = 128,
    MOST_MATMUL = 4096,      // rows, columns and depth
    MATMUL_NS = 2 * 1000000, // a product that takes longer is large enough
    MOST_ROUNDS = 1 << 20,
};

// Queues the work `rounds` times and waits for all of it.
typedef int work_fn(void *context, int rounds);

// Nanoseconds of one round, of so many that they took least_ns.
static int time_round(work_fn *work, void *context, uint64_t least_ns, double *ret_ns) {
    EL_TRY(work(context, 1)); // what is slow the first time alone
    for (int rounds = 1;; rounds *= 2) {
        const uint64_t began = el_now_ns();
        EL_TRY(work(context, rounds));
        const uint64_t spent = EL_MAX(el_now_ns() - began, 1);
        if (spent < least_ns && rounds < MOST_ROUNDS) continue;
        *ret_ns = (double)spent / rounds;
        return 0;
    }
}

// ---- copies and launches ----

struct copies {
    struct el_stream stream;
    struct el_buffer from, to;
    void *host; // pinned
    size_t size;
};

static int open_copies(struct el_device *device, struct copies *copies) {
    EL_TRY(el_stream_open(device, &copies->stream));
    EL_TRY(el_buffer_open(device, copies->size, &copies->from));
    EL_TRY(el_buffer_open(device, copies->size, &copies->to));
    EL_TRY(device->backend->alloc_pinned(device, copies->size, &copies->host));
    memset(copies->host, 1, copies->size);
    return 0;
}

static void close_copies(struct el_device *device, struct copies *copies) {
    if (copies->host) device->backend->free_pinned(device, copies->host);
    el_buffer_close(&copies->from);
    el_buffer_close(&copies->to);
    el_stream_close(&copies->stream);
}

static int upload(void *context, int rounds) {
    struct copies *copies = context;
    for (int i = 0; i < rounds; i++)
        EL_TRY(el_stream_upload(&copies->stream, copies->from.address, copies->host, copies->size));
    return el_stream_sync(&copies->stream);
}

static int download(void *context, int rounds) {
    struct copies *copies = context;
    for (int i = 0; i < rounds; i++)
        EL_TRY(el_stream_download(&copies->stream, copies->host, copies->from.address, copies->size));
    return el_stream_sync(&copies->stream);
}

static int copy(void *context, int rounds) {
    struct copies *copies = context;
    for (int i = 0; i < rounds; i++)
        EL_TRY(el_stream_copy(&copies->stream, copies->to.address, copies->from.address, copies->size));
    return el_stream_sync(&copies->stream);
}

// One group of the smallest kernel.
static int launch(void *context, int rounds) {
    struct copies *copies = context;
    const struct el_arg args[] = {EL_MEMORY(copies->to.address), EL_INT(1), EL_INT(0)};
    const struct el_launch canary = {.kernel = EL_KERNEL_canary,
                                     .store = EL_STORE_F32,
                                     .groups = {1, 1, 1},
                                     .args = args,
                                     .arg_count = EL_COUNT(args)};
    for (int i = 0; i < rounds; i++)
        EL_TRY(el_stream_launch(&copies->stream, &canary));
    return el_stream_sync(&copies->stream);
}

static int round_trip(void *context, int rounds) {
    for (int i = 0; i < rounds; i++)
        EL_TRY(launch(context, 1));
    return 0;
}

static int measure_moves(struct el_device *device, struct copies *copies, uint64_t least_ns,
                         struct el_rates *rates) {
    const double size = (double)copies->size;
    double ns;
    EL_TRY(time_round(upload, copies, least_ns, &ns));
    rates->upload = size * 1e9 / ns;
    EL_TRY(time_round(download, copies, least_ns, &ns));
    rates->download = size * 1e9 / ns;
    EL_TRY(time_round(copy, copies, least_ns, &ns));
    rates->copy = 2 * size * 1e9 / ns;
    if (!device->backend->has(device, EL_KERNEL_canary, EL_STORE_F32)) return 0;
    EL_TRY(time_round(launch, copies, least_ns, &rates->launch_ns));
    return time_round(round_trip, copies, least_ns, &rates->round_trip_ns);
}

static int measure_copies(struct el_device *device, uint64_t least_ns, struct el_rates *rates) {
    const uint64_t share = device->facts.memory / 16;
    struct copies copies = {.size = share > 0 && share < COPY_BYTES ? (size_t)share : COPY_BYTES};
    int status = open_copies(device, &copies);
    if (status == 0) status = measure_moves(device, &copies, least_ns, rates);
    close_copies(device, &copies);
    return status;
}

// ---- matrix products ----

struct product {
    struct el_exec exec;
    struct el_linear *weights;
    struct el_tensor in, out; // [size][size]
};

static int multiply(void *context, int rounds) {
    struct product *product = context;
    struct el_exec *exec = &product->exec;
    for (int i = 0; i < rounds; i++)
        EL_TRY(exec->ops->linear(exec, &product->in, product->weights, EL_ACT_NONE, NULL, &product->out));
    return el_exec_sync(exec);
}

// Values of both signs that are no patterns: some devices are faster on zeros.
static void fill(float *values, int64_t count) {
    uint32_t state = 1;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = (float)(int32_t)state * 0x1p-31f;
    }
}

static int open_product(const struct el_target *target, struct el_team *team, int64_t size,
                        struct product *product) {
    el_auto_free float *values = NULL;
    el_auto_free void *stored = NULL;
    EL_TRY(el_alloc((size_t)(size * size), sizeof *values, &values));
    fill(values, size * size);
    const struct el_tensor host = el_tensor_2d(EL_F32, values, size, size);
    EL_TRY(el_linear_open(target, &host, NULL, &product->weights));
    EL_TRY(el_exec_open(target, team, &product->exec));
    const enum el_dtype dtype = product->exec.activations;
    EL_TRY(el_alloc((size_t)(size * size), el_dtype_size(dtype), &stored));
    el_from_f32(dtype, values, size * size, stored);
    struct el_tensor there;
    const struct el_tensor here = el_tensor_2d(dtype, stored, size, size);
    EL_TRY(el_exec_alloc(&product->exec, dtype, size, size, &product->in));
    EL_TRY(el_exec_alloc(&product->exec, dtype, size, size, &product->out));
    EL_TRY(el_exec_upload(&product->exec, &here, &there));
    if (there.data == stored) { // the processor: `stored` goes at the end of this scope
        memcpy(product->in.data, stored, (size_t)(size * size) * el_dtype_size(dtype));
        return 0;
    }
    product->in = there;
    return el_exec_sync(&product->exec);
}

static int time_product(const struct el_target *target, struct el_team *team, int64_t size, uint64_t least_ns,
                        double *ret_ns) {
    struct product product = {0};
    int status = open_product(target, team, size, &product);
    if (status == 0) status = time_round(multiply, &product, least_ns, ret_ns);
    if (product.exec.ops) el_exec_close(&product.exec);
    el_linear_close(product.weights);
    return status;
}

// The size is doubled until a product is long enough to hide what surrounds it.
static int measure_product(const struct el_target *target, struct el_team *team, uint64_t least_ns,
                           double *ret_rate) {
    int64_t size = LEAST_MATMUL;
    double ns;
    EL_TRY(time_product(target, team, size, 0, &ns));
    while (ns < MATMUL_NS && size < MOST_MATMUL) {
        size *= 2;
        EL_TRY(time_product(target, team, size, 0, &ns));
    }
    if (ns < (double)least_ns) EL_TRY(time_product(target, team, size, least_ns, &ns));
    *ret_rate = 2.0 * (double)(size * size * size) * 1e9 / ns;
    return 0;
}

static int measure_products(struct el_device *device, uint64_t least_ns, struct el_rates *rates) {
    struct el_team *team = NULL;
    if (el_device_is_host(device)) EL_TRY(el_team_open(device->facts.units, false, &team));
    int status = 0;
    for (int p = EL_PRECISION_AUTO + 1; p < EL_PRECISION_COUNT && status == 0; p++) {
        struct el_target target;
        status = el_target_init(device, (enum el_precision)p, &target);
        if (status == 0) status = measure_product(&target, team, least_ns, &rates->matmul[p]);
        if (status == EL_EUNSUPPORTED) status = 0; // the device does not have this one
    }
    el_team_close(team);
    return status;
}

int el_measure(struct el_device *device, int least_ms, struct el_rates *ret_rates) {
    const uint64_t least_ns = (uint64_t)least_ms * 1000000;
    struct el_rates rates = {0};
    EL_TRY(measure_copies(device, least_ns, &rates));
    EL_TRY(measure_products(device, least_ns, &rates));
    *ret_rates = rates;
    return 0;
}

// ---- JSON ----

static void put(json_t *object, const char *name, double value) {
    if (value > 0) json_object_set_new(object, name, json_real(value));
}

json_t *el_rates_json(const struct el_rates *rates) {
    json_t *root = json_object(), *matmul = json_object();
    put(root, "upload_gb_s", rates->upload * 1e-9);
    put(root, "download_gb_s", rates->download * 1e-9);
    put(root, "copy_gb_s", rates->copy * 1e-9);
    put(root, "launch_us", rates->launch_ns * 1e-3);
    put(root, "round_trip_us", rates->round_trip_ns * 1e-3);
    for (int p = 0; p < EL_PRECISION_COUNT; p++)
        put(matmul, el_precision_text((enum el_precision)p), rates->matmul[p] * 1e-12);
    json_object_set_new(root, "matmul_tflop_s", matmul);
    return root;
}
