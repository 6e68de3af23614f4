// SPDX-License-Identifier: Apache-2.0
// Nearest centroids on a device: the rows lie in its memory, all of them or as many as there is room for,
// which then pass through; the centroids are a linear layer, and each row's largest product is the only one
// that is kept (top_products).
#include "vectors/assigner.h"

#include <inttypes.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "vectors/resident.h"

enum {
    STEP_ROWS = 1 << 16,  // of one operation, so that its temporaries stay small
    BLOCK_ROWS = 1 << 12, // that are gathered and sent together
    TASK_ROWS = 1 << 8,   // that a thread gathers
};

struct el_assigner {
    const struct el_row_source *source;
    struct el_team *team;
    bool on_device;
    struct el_target target;
    struct el_exec exec;
    struct el_buffer rows; // [room][dim]
    int64_t room;          // rows that it has room for, STEP_ROWS at least or all
    bool has_all;          // it holds all rows
    float *block;          // [BLOCK_ROWS][dim]
};

bool el_assigner_is_on_device(const struct el_assigner *assigner) {
    return assigner->on_device;
}

// ---- open and close ----

static void leave_device(struct el_assigner *assigner) {
    if (assigner->exec.ops) el_exec_close(&assigner->exec);
    assigner->exec = (struct el_exec){0};
    el_buffer_close(&assigner->rows);
    el_free(assigner->block);
    assigner->block = NULL;
    assigner->on_device = false;
}

static void give_up(struct el_assigner *assigner) {
    el_debug("nearest centroids are found by the processor, not on %s: %s", assigner->source->device->id,
             el_error_detail());
    leave_device(assigner);
}

static int go_to_device(struct el_assigner *assigner) {
    struct el_device *device = assigner->source->device;
    const int64_t count = assigner->source->count;
    const uint64_t row_bytes = (uint64_t)assigner->source->dim * sizeof(float);
    assigner->room = (int64_t)EL_MIN(el_resident_room(device) / row_bytes, (uint64_t)count);
    if (assigner->room < EL_MIN(count, STEP_ROWS))
        return el_fail(EL_ENOMEM, "%s has room for %" PRId64 " rows", device->id, assigner->room);
    EL_TRY(el_alloc((size_t)BLOCK_ROWS, row_bytes, &assigner->block));
    EL_TRY(el_target_init(device, EL_PRECISION_FP32, &assigner->target));
    EL_TRY(el_exec_open(&assigner->target, NULL, &assigner->exec));
    return el_buffer_open(device, (size_t)assigner->room * row_bytes, &assigner->rows);
}

int el_assigner_open(const struct el_row_source *source, struct el_team *team,
                     struct el_assigner **ret_assigner) {
    struct el_assigner *assigner;
    EL_TRY(el_zalloc(1, sizeof *assigner, &assigner));
    assigner->source = source;
    assigner->team = team;
    assigner->on_device = source->device && !el_device_is_host(source->device) && source->count > 0;
    if (assigner->on_device && go_to_device(assigner) < 0) give_up(assigner);
    *ret_assigner = assigner;
    return 0;
}

void el_assigner_close(struct el_assigner *assigner) {
    if (!assigner) return;
    leave_device(assigner);
    el_free(assigner);
}

// ---- rows ----

struct gathering {
    const struct el_assigner *assigner;
    int64_t first, count;
};

static void gather_some(void *context, int task, int worker) {
    const struct gathering *gathering = context;
    const struct el_row_source *source = gathering->assigner->source;
    const int64_t first = (int64_t)task * TASK_ROWS, count = EL_MIN(TASK_ROWS, gathering->count - first);
    (void)worker;
    el_source_gather(source, gathering->first + first, count,
                     gathering->assigner->block + first * source->dim);
}

// `count` rows from `first` on, to the beginning of the device's.
static int send_rows(struct el_assigner *assigner, int64_t first, int64_t count) {
    const size_t row_bytes = (size_t)assigner->source->dim * sizeof(float);
    char *to = assigner->rows.address;
    for (int64_t i = 0; i < count; i += BLOCK_ROWS) {
        struct gathering gathering = {assigner, first + i, EL_MIN(BLOCK_ROWS, count - i)};
        el_team_run(assigner->team, (int)el_divide_up(gathering.count, TASK_ROWS), gather_some, &gathering);
        EL_TRY(el_device_write(assigner->source->device, to + (size_t)i * row_bytes, assigner->block,
                               (size_t)gathering.count * row_bytes));
    }
    return 0;
}

// ---- lists ----

static int multiply_step(struct el_exec *exec, const struct el_tensor *rows,
                         const struct el_linear *centroids, struct el_tensor *lists) {
    struct el_tensor products;
    const struct el_exec_mark mark = el_exec_mark(exec);
    int status = el_exec_alloc(exec, EL_F32, rows->dim[0], 1, &products);
    if (status == 0) status = exec->ops->top_products(exec, rows, centroids, &products, lists);
    el_exec_release(exec, mark);
    return status;
}

// Of the rows that the device has at the moment.
static int find_lists(struct el_assigner *assigner, const struct el_linear *centroids, int64_t count,
                      int32_t *ret_lists) {
    struct el_exec *exec = &assigner->exec;
    const struct el_tensor rows =
        el_tensor_2d(EL_F32, assigner->rows.address, assigner->room, assigner->source->dim);
    struct el_tensor lists;
    EL_TRY(el_exec_alloc(exec, EL_I32, count, 1, &lists));
    for (int64_t first = 0; first < count; first += STEP_ROWS) {
        const int64_t step = EL_MIN(STEP_ROWS, count - first);
        const struct el_tensor some = el_tensor_rows(&rows, first, step);
        struct el_tensor their = el_tensor_rows(&lists, first, step);
        EL_TRY(multiply_step(exec, &some, centroids, &their));
    }
    return el_exec_download(exec, &lists, ret_lists);
}

static int check_lists(const struct el_assigner *assigner, const int32_t *list_of, int64_t count, int lists) {
    for (int64_t i = 0; i < count; i++)
        if (list_of[i] < 0 || list_of[i] >= lists)
            return el_fail(EL_ELOST, "%s names list %d of %d", assigner->source->device->id, (int)list_of[i],
                           lists);
    return 0;
}

static int assign_rows(struct el_assigner *assigner, const struct el_linear *centroids, int lists,
                       int32_t *ret_lists) {
    const int64_t count = assigner->source->count;
    for (int64_t first = 0; first < count; first += assigner->room) {
        const int64_t some = EL_MIN(assigner->room, count - first);
        if (!assigner->has_all) EL_TRY(send_rows(assigner, first, some));
        assigner->has_all = some == count;
        const struct el_exec_mark mark = el_exec_mark(&assigner->exec);
        int status = find_lists(assigner, centroids, some, ret_lists + first);
        if (status < 0) el_exec_settle(&assigner->exec, status);
        el_exec_release(&assigner->exec, mark);
        if (status == 0) status = check_lists(assigner, ret_lists + first, some, lists);
        EL_TRY(status);
    }
    return 0;
}

static int assign_on_device(struct el_assigner *assigner, const float *centroids, int lists,
                            int32_t *ret_lists) {
    struct el_linear *packed;
    EL_TRY(
        el_partition_pack(&assigner->target, centroids, lists, assigner->source->dim, EL_METRIC_L2, &packed));
    const int status = assign_rows(assigner, packed, lists, ret_lists);
    el_linear_close(packed);
    return status;
}

int el_assigner_assign(struct el_assigner *assigner, const float *centroids, int lists, int32_t *ret_lists) {
    if (assigner->on_device) {
        if (assign_on_device(assigner, centroids, lists, ret_lists) == 0) return 0;
        give_up(assigner);
    }
    return el_partition_assign(assigner->source, centroids, lists, assigner->team, ret_lists);
}
