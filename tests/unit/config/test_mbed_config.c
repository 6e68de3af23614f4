// SPDX-License-Identifier: Apache-2.0
// MBED's settings: as variables and as keys, below eleanor's own names, each taken or refused, never ignored.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fixture.h"

static int read_yaml(struct el_config *config, const char *text) {
    return el_config_read_yaml(config, "eleanor.yaml", text, strlen(text));
}

static void variables_set_settings(void **state) {
    struct el_config *config = *state;
    char *const environment[] = {"MBED_HARDWARE=cuda",
                                 "MBED_MODEL=bge-m3",
                                 "MBED_MIXED_PRECISION=true",
                                 "MBED_BATCH_SIZE=256",
                                 "MBED_CUDA_VRAM_RESERVED_GB=1.5",
                                 "MBED_CUDA_USE_PINNED_MEMORY=True",
                                 "MBED_MULTI_GPU=yes",
                                 "MBED_CUDA_DEVICE=1",
                                 "MBED_USE_FAISS_GPU=",
                                 NULL};
    if (el_config_read_env(config, environment) != 0) fail_msg("%s", el_error_detail());
    assert_int_equal(el_config_settle(config), 0);
    assert_string_equal(config->device_preference.item[0], "cuda");
    assert_int_equal(config->device_preference.count, 1);
    assert_string_equal(config->model.item[0], "bge-m3");
    assert_true(config->mixed_precision);
    assert_int_equal(config->embed_batch_size, 256);
    assert_int_equal(config->max_batch_size, 256);
    assert_int_equal(config->vram_reserved, 3 << 29);
    assert_true(config->multi_gpu);
    assert_string_equal(config->device_ids.item[0], "1");
}

static void a_file_may_hold_the_same_names(void **state) {
    struct el_config *config = *state;
    const char *text =
        "hardware: auto\nbatch_size: 512\ncuda_vram_reserved_gb: 1.0\n"
        "cuda_use_pinned_memory: true\nmulti_gpu: true\ncuda_device: 0\nmixed_precision: true\n";
    if (read_yaml(config, text) != 0) fail_msg("%s", el_error_detail());
    assert_int_equal(config->embed_batch_size, 512);
    assert_int_equal(config->vram_reserved, 1 << 30);
    assert_int_equal(config->device_preference.count, 0); // auto
    assert_int_equal(config->device_ids.count, 0);        // the first is the first anyway
    assert_true(config->multi_gpu);
}

static void what_does_not_exist_yet_is_refused(void **state) {
    static const struct {
        char *variable;
        const char *says[2];
    } refusals[] = {
        {"MBED_DB_PATH=/var/lib/mbed", {"MBED_DB_PATH: db_path: not yet supported", "database"}},
        {"MBED_DATABASE=chromadb", {"database of vectors", "take it out"}},
        {"MBED_DB_CONNECTION=x", {"not yet supported"}},
        {"MBED_CHUNK_STRATEGY=fixed", {"chunks"}},
        {"MBED_CHUNK_SIZE=512", {"chunks"}},
        {"MBED_CHUNK_OVERLAP=50", {"chunks"}},
        {"MBED_WORKERS=4", {"not yet supported", "threads"}},
        {"MBED_USE_FAISS_GPU=true", {"search", "may only be false"}},
        {"MBED_CUDA_USE_PINNED_MEMORY=false", {"pinned", "may only be true"}},
        {"MBED_NORMALIZE_EMBEDDINGS=true", {"model's own files"}},
    };
    for (size_t i = 0; i < EL_COUNT(refusals); i++) {
        char *const environment[] = {refusals[i].variable, NULL};
        assert_int_equal(el_config_read_env(*state, environment), EL_EUNSUPPORTED);
        for (size_t j = 0; j < 2 && refusals[i].says[j]; j++)
            assert_detail_has(refusals[i].says[j]);
    }
}

static void bad_values_and_unknown_names_are_refused(void **state) {
    static const struct {
        char *variable;
        const char *says[2];
    } refusals[] = {
        {"MBED_BATCHSIZE=3", {"environment: unknown setting \"MBED_BATCHSIZE\"", "MBED_BATCH_SIZE"}},
        {"MBED_batch_size=3", {"unknown setting"}},
        {"MBED_GPU.ENABLED=1", {"unknown setting"}},
        {"MBED_=3", {"unknown setting"}},
        {"MBED_STREAMS=3", {"unknown setting"}}, // eleanor's, not MBED's
        {"MBED_BATCH_SIZE=many", {"MBED_BATCH_SIZE", "\"many\""}},
        {"MBED_CUDA_VRAM_RESERVED_GB=-1", {"cuda_vram_reserved_gb", "-1"}},
        {"MBED_HARDWARE=openvino", {"MBED_HARDWARE: device_preference", "cuda|opencl|mps|cpu"}},
    };
    for (size_t i = 0; i < EL_COUNT(refusals); i++) {
        char *const environment[] = {refusals[i].variable, NULL};
        assert_int_equal(el_config_read_env(*state, environment), EL_EINVAL);
        for (size_t j = 0; j < 2 && refusals[i].says[j]; j++)
            assert_detail_has(refusals[i].says[j]);
    }
    assert_int_equal(read_yaml(*state, "batch_size: 3\nembed_batch_size: 4\n"), EL_EINVAL);
    assert_detail_has("embed_batch_size is set twice, first at eleanor.yaml:1");
}

// ---- both names ----

static char told[4][256];
static size_t told_count;

static void tell(const char *text) {
    assert_true(told_count < EL_COUNT(told));
    snprintf(told[told_count++], sizeof told[0], "%s", text);
}

static void own_names_win_and_differences_are_told(void **state) {
    struct el_config *config = *state;
    char *const environment[] = {
        "ELEANOR_EMBED_BATCH_SIZE=64", "MBED_BATCH_SIZE=128", "MBED_CUDA_VRAM_RESERVED_GB=1",
        "MBED_MULTI_GPU=true",         "MBED_MODEL=bge-m3",   NULL};
    assert_int_equal(read_yaml(config, "vram_reserved: 1GiB\nmulti_gpu: false\n"), 0);
    assert_int_equal(el_config_read_env(config, environment), 0);
    assert_int_equal(el_config_settle(config), 0);
    assert_int_equal(config->embed_batch_size, 64);
    assert_int_equal(config->max_batch_size, 64);
    assert_false(config->multi_gpu);
    assert_string_equal(config->model.item[0], "bge-m3"); // above the default
    told_count = 0;
    assert_int_equal(el_config_compare_mbed(config, environment, tell), 0);
    assert_int_equal(told_count, 2);
    assert_string_equal(told[0], "MBED_MULTI_GPU is passed over: multi_gpu is false (eleanor.yaml:2)");
    assert_string_equal(told[1], "MBED_BATCH_SIZE is passed over: max_batch_size is 64 "
                                 "(ELEANOR_EMBED_BATCH_SIZE)");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_config, close_config)
    const struct CMUnitTest tests[] = {
        TEST(variables_set_settings),
        TEST(a_file_may_hold_the_same_names),
        TEST(what_does_not_exist_yet_is_refused),
        TEST(bad_values_and_unknown_names_are_refused),
        TEST(own_names_win_and_differences_are_told),
    };
    return cmocka_run_group_tests_name("mbed_config", tests, NULL, NULL);
}
