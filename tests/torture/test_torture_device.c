// SPDX-License-Identifier: Apache-2.0
// Torture of the device layer: the N-th allocation of the host fails, for every N, while an executor with a
// trace moves bytes through staging. Each run ends in EL_ENOMEM or in the right bytes, and nothing leaks.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "common/late_backend.h"
#include "device/executor.h"
#include "device/staging.h"
#include "device/trace.h"
#include "torture.h"

enum { OPERATIONS = 4, BLOCK = 512, SIZE = 5 * BLOCK + 7 };

static char path[] = "/tmp/test_torture.XXXXXX";

struct work {
    unsigned char sent[SIZE], got[SIZE];
};

static int there_and_back(void *context, struct el_stream *stream) {
    struct work *work = context;
    struct el_staging *staging = NULL;
    struct el_buffer buffer = {0};
    int status = el_staging_open(stream, 2, BLOCK, &staging);
    if (status == 0) status = el_buffer_open(stream->device, SIZE, &buffer);
    if (status == 0) status = el_staging_upload(staging, buffer.address, work->sent, SIZE);
    if (status == 0) status = el_staging_download(staging, work->got, buffer.address, SIZE);
    el_staging_close(staging);
    el_buffer_close_after(&buffer, stream);
    return status;
}

static int run_all(struct el_device *device, struct work *works) {
    struct el_executor *executor = NULL;
    struct el_operation operations[OPERATIONS];
    EL_TRY(late_open(1 << 24, 0, device));
    for (int i = 0; i < OPERATIONS; i++) {
        memset(works[i].sent, i + 1, SIZE);
        memset(works[i].got, 0, SIZE);
        operations[i] = (struct el_operation){.run = there_and_back, .context = &works[i]};
    }
    int status = el_trace_open(path, &device->trace);
    if (status == 0) status = el_executor_open(device, 2, &executor);
    if (status == 0) status = el_executor_batch(executor, operations, OPERATIONS, NULL);
    el_executor_close(executor);
    el_trace_close(device->trace);
    late_close(device);
    return status;
}

static void run_with_failures(bool and_after) {
    static struct work works[OPERATIONS];
    struct el_device device;
    assert_int_equal(run_all(&device, works), 0); // the C library's own first allocations
    struct torture torture = torture_begin(and_after);
    while (torture_next(&torture)) {
        torture_arm(&torture);
        const int status = torture_disarm(&torture, run_all(&device, works));
        for (int i = 0; status == 0 && i < OPERATIONS; i++)
            assert_memory_equal(works[i].got, works[i].sent, SIZE);
        const struct late_counts left = late_counts();
        assert_true(left.allocs == 0 && left.pinned == 0 && left.streams == 0 && left.events == 0);
    }
    assert_true(torture.refusals > 10);
}

static void one_failure(void **state) {
    (void)state;
    run_with_failures(false);
}

static void all_failures(void **state) {
    (void)state;
    run_with_failures(true);
}

static int make_path(void **state) {
    (void)state;
    const int file = mkstemp(path);
    return file < 0 || close(file) < 0;
}

static int remove_path(void **state) {
    (void)state;
    return unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_failure),
        cmocka_unit_test(all_failures),
    };
    return cmocka_run_group_tests_name("torture of devices", tests, make_path, remove_path);
}
