// SPDX-License-Identifier: Apache-2.0
// Tables are converted on the processor, once, and copied to the device.
#include "ops/weights.h"

#include "base/error.h"
#include "base/mem.h"
#include "ops/filling.h"

struct el_table {
    struct el_table *older;
    void *converted;         // on the processor, or NULL
    struct el_buffer buffer; // on a device, or zeroed
};

void el_weights_init(struct el_weights *weights, const struct el_target *target) {
    *weights = (struct el_weights){.target = target};
}

void el_weights_done(struct el_weights *weights) {
    while (weights->tables) {
        struct el_table *table = weights->tables;
        weights->tables = table->older;
        el_free(table->converted);
        el_buffer_close(&table->buffer);
        el_free(table);
    }
}

enum el_dtype el_weights_dtype(const struct el_target *target) {
    return el_device_is_host(target->device) ? EL_F32 : el_gpu_dtype(target->precision);
}

// `host` as `dtype` in the processor's memory: itself, or a copy that the table owns.
static int convert(struct el_table *table, const struct el_tensor *host, enum el_dtype dtype,
                   struct el_tensor *ret_tensor) {
    const int64_t count = el_tensor_count(host);
    struct el_tensor tensor = *host;
    if (host->dtype != dtype) {
        el_auto_free float *wide = NULL;
        EL_TRY(el_alloc((size_t)count, el_dtype_size(dtype), &table->converted));
        if (dtype == EL_F32) {
            el_to_f32(host->dtype, host->data, count, table->converted);
        } else {
            EL_TRY(el_alloc((size_t)count, sizeof *wide, &wide));
            el_to_f32(host->dtype, host->data, count, wide);
            el_from_f32(dtype, wide, count, table->converted);
        }
        tensor.dtype = dtype;
        tensor.data = table->converted;
    }
    *ret_tensor = tensor;
    return 0;
}

static int fill(const struct el_weights *weights, struct el_table *table, const struct el_tensor *host,
                enum el_dtype dtype, struct el_tensor *ret_tensor) {
    struct el_device *device = weights->target->device;
    struct el_tensor tensor;
    EL_TRY(convert(table, host, dtype, &tensor));
    if (!el_device_is_host(device)) {
        const size_t size = (size_t)el_tensor_count(&tensor) * el_dtype_size(dtype);
        EL_TRY(el_buffer_open(device, size, &table->buffer));
        EL_TRY(el_device_write(device, table->buffer.address, tensor.data, size));
        tensor.data = table->buffer.address;
        el_free(el_steal(table->converted));
    }
    *ret_tensor = tensor;
    return 0;
}

int el_weights_put(struct el_weights *weights, const struct el_tensor *host, enum el_dtype dtype,
                   struct el_tensor *ret_tensor) {
    struct el_table *table = NULL;
    EL_TRY(el_zalloc(1, sizeof *table, &table));
    table->older = weights->tables;
    weights->tables = table;
    EL_TRY(fill(weights, table, host, dtype, ret_tensor));
    weights->bytes += (size_t)el_tensor_count(host) * el_dtype_size(dtype);
    return 0;
}
