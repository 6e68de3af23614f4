// SPDX-License-Identifier: Apache-2.0
// gpu.yaml: every key comes to a setting or is refused, settings that decide others do so, presets load.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "config/settings.h"
#include "fixture.h"

static int read_yaml(struct el_config *config, const char *text) {
    return el_config_read_yaml(config, "gpu.yaml", text, strlen(text));
}

static void take(struct el_config *config, const char *text) {
    if (read_yaml(config, text) != 0) fail_msg("%s", el_error_detail());
}

static void keys_set_settings(void **state) {
    struct el_config *config = *state;
    take(config, "gpu:\n"
                 "  enabled: yes\n"
                 "  device_preference: [cuda, mps, cpu]\n"
                 "  multi_gpu:\n"
                 "    enabled: true\n"
                 "    device_ids: [0, 2]\n"
                 "    strategy: data_parallel\n"
                 "  memory: {precision: fp16, max_memory_per_gpu: 22GB}\n"
                 "  batching:\n"
                 "    max_batch_size: 32\n"
                 "    batch_timeout: 0.05\n"
                 "  async:\n"
                 "    num_streams: 8\n"
                 "  monitoring:\n"
                 "    memory_check_interval: 30\n"
                 "    alert_threshold_pct: 90\n"
                 "    alert_temperature_c: 75\n"
                 "ollama:\n"
                 "  gpu_memory_utilization: 0.9\n"
                 "embeddings: {cache_on_gpu: false, max_cache_size_gb: 0.5}\n"
                 "port: 7\n");
    assert_int_equal(config->device_preference.count, 3);
    assert_string_equal(config->device_preference.item[1], "mps");
    assert_true(config->multi_gpu);
    assert_string_equal(config->device_ids.item[1], "2");
    assert_string_equal(config->precision, "fp16");
    assert_int_equal(config->max_memory_per_gpu, 22000000000);
    assert_int_equal(config->max_batch_size, 32);
    assert_int_equal(config->batch_wait_us, 50000);
    assert_int_equal(config->streams, 8);
    assert_int_equal(config->memory_check_interval, 30);
    assert_int_equal(config->alert_threshold_pct, 90);
    assert_int_equal(config->alert_temperature_c, 75);
    assert_int_equal(config->gpu_memory_pct, 90);
    assert_int_equal(config->cache_mb, 512);
    assert_int_equal(config->port, 7);
}

static void every_key_names_a_setting_or_says_why_not(void **state) {
    (void)state;
    for (size_t i = 0; i < el_alias_count; i++) {
        const struct el_alias *alias = &el_aliases[i];
        assert_ptr_equal(el_alias_find(alias->path), alias); // no path stands twice
        if (alias->setting ? !el_setting_row(alias->setting) : !(alias->text && alias->taken))
            fail_msg("%s", alias->path);
    }
}

static void what_does_not_exist_yet_is_refused(void **state) {
    static const struct {
        const char *yaml, *says[3];
    } refusals[] = {
        {"gpu:\n  memory:\n    kv_cache_size: 4GB\n",
         {"gpu.yaml:3: gpu.memory.kv_cache_size", "not yet supported", "take it out"}},
        {"gpu:\n  memory: {offload_to_cpu: true}\n", {"gpu.yaml:2: ", "not yet supported", "only be false"}},
        {"gpu:\n  multi_gpu: {strategy: pipeline_parallel}\n", {"not yet supported", "data_parallel"}},
        {"gpu: {memory: {quantization: {bits: 4}}}\n", {"gpu.memory.quantization.bits", "not yet supported"}},
        {"embeddings: {cache_on_gpu: true}\n", {"not yet supported", "cache_mb", "only be false"}},
        {"ollama: {gpu_layers: 32}\n", {"not yet supported", "only be -1"}},
        {"ollama: {gpu_layers: [-1, -1]}\n", {"not yet supported"}},
    };
    for (size_t i = 0; i < EL_COUNT(refusals); i++) {
        assert_int_equal(read_yaml(*state, refusals[i].yaml), EL_EUNSUPPORTED);
        for (size_t j = 0; j < 3 && refusals[i].says[j]; j++)
            assert_detail_has(refusals[i].says[j]);
    }
    take(*state, "gpu: {memory: {offload_to_cpu: no, quantization: {bits: 8}}}\nollama: {gpu_layers: -1}\n");
}

static void bad_keys_are_refused(void **state) {
    static const struct {
        const char *yaml, *says[3];
    } refusals[] = {
        {"gpu:\n  memory:\n    precison: fp16\n",
         {"gpu.yaml:3: ", "\"gpu.memory.precison\"", "did you mean gpu.memory.precision?"}},
        {"gpu:\n  zzzzzzzzzzzzzzzzzzzz: 1\n", {"gpu.zzzzzzzzzzzzzzzzzzzz", "docs/config.md"}},
        {"gpu: true\n", {"gpu.yaml:1: gpu: ", "further keys"}},
        {"gpu: {memory: [1]}\n", {"gpu.memory: ", "further keys"}},
        {"gpu: &a {memory: *a}\n", {"\"gpu.memory.memory\""}}, // a circle ends at the first unknown key
        {"gpu: {memory: {precision: {a: 1}}}\n", {"gpu.memory.precision", "not a mapping"}},
        {"gpu: {memory: {precision: fp8}}\n", {"precision: ", "\"fp8\"", "did you mean"}},
        {"precision: fp32\ngpu:\n  memory: {precision: fp16}\n", {"gpu.yaml:3: ", "twice", "gpu.yaml:1"}},
        {"gpu: {device_preference: [cuda, rocm]}\n",
         {"device_preference: ", "\"rocm\"", "cuda|opencl|mps|cpu"}},
        {"gpu: {multi_gpu: {device_ids: [0, a]}}\n", {"device_ids: ", "\"a\""}},
        {"gpu: {multi_gpu: {device_ids: [0, -1]}}\n", {"device_ids: ", "\"-1\""}},
        {"gpu: {async: {num_streams: 65}}\n", {"streams: ", "from 1 to 64"}},
        {"gpu: {batching: {batch_timeout: 100}}\n", {"gpu.batching.batch_timeout", "from 0 to 10"}},
        {"ollama: {gpu_memory_utilization: 90}\n", {"ollama.gpu_memory_utilization", "from 0 to 1"}},
    };
    (void)state;
    for (size_t i = 0; i < EL_COUNT(refusals); i++) {
        struct el_config config;
        assert_int_equal(el_config_init(&config), 0);
        assert_int_equal(read_yaml(&config, refusals[i].yaml), EL_EINVAL);
        for (size_t j = 0; j < 3 && refusals[i].says[j]; j++)
            assert_detail_has(refusals[i].says[j]);
        el_config_done(&config);
    }
}

static void the_second_file_overrides_the_first(void **state) {
    struct el_config *config = *state;
    take(config, "gpu: {async: {num_streams: 8}, memory: {precision: fp16}}\n");
    assert_int_equal(el_config_read_yaml(config, "eleanor.yaml", "precision: fp32\n", 16), 0);
    assert_string_equal(config->precision, "fp32");
    assert_int_equal(config->streams, 8);
}

static void lists_of_words_may_be_parted_by_commas(void **state) {
    struct el_config *config = *state;
    char *const environment[] = {"ELEANOR_DEVICE_PREFERENCE=opencl,cpu", "ELEANOR_DEVICE_IDS=3,1",
                                 "ELEANOR_MODEL=a,b", NULL};
    assert_int_equal(el_config_read_env(config, environment), 0);
    assert_int_equal(config->device_preference.count, 2);
    assert_string_equal(config->device_ids.item[0], "3");
    assert_string_equal(config->model.item[0], "a,b"); // names may hold a comma
    assert_int_equal(el_config_set_flag(config, "device_ids", "1,"), EL_EINVAL);
}

// ---- settling ----

static void settle(struct el_config *config) {
    if (el_config_settle(config) != 0) fail_msg("%s", el_error_detail());
}

static void without_gpu_it_is_the_processor(void **state) {
    struct el_config *config = *state;
    take(config, "gpu: {enabled: false}\n");
    settle(config);
    assert_string_equal(config->device, "cpu");
    // A flag beats the file.
    assert_int_equal(el_config_set_flag(config, "device", "cuda:1"), 0);
    settle(config);
    assert_string_equal(config->device, "cuda:1");
}

static void precision_comes_from_what_decides_it(void **state) {
    struct el_config *config = *state;
    take(config, "gpu: {memory: {precision: fp16, quantization: {enabled: true, bits: 8}}}\n");
    settle(config);
    assert_string_equal(config->precision, "int8");
    assert_int_equal(el_config_set_flag(config, "mixed_precision", "no"), 0);
    settle(config); // the flag, not the file
    assert_string_equal(config->precision, "fp32");
}

static void batches_are_bounded_by_one_figure(void **state) {
    struct el_config *config = *state;
    settle(config);
    assert_int_equal(config->max_batch_size, 0);
    take(config, "gpu: {batching: {default_batch_size: 4, max_batch_size: 8}}\n");
    settle(config);
    assert_int_equal(config->max_batch_size, 8);
    assert_int_equal(el_config_set_flag(config, "dynamic_batching", "no"), 0);
    settle(config);
    assert_int_equal(config->max_batch_size, 4);
    assert_int_equal(el_config_set_flag(config, "embed_batch_size", "3"), 0);
    settle(config);
    assert_int_equal(config->max_batch_size, 3);
    assert_int_equal(el_config_set_flag(config, "batching", "no"), 0);
    settle(config);
    assert_int_equal(config->max_batch_size, 1);
}

static void profiling_is_a_trace(void **state) {
    struct el_config *config = *state;
    take(config, "gpu: {monitoring: {enable_profiling: false}}\n");
    settle(config);
    assert_null(config->trace);
    assert_int_equal(el_config_set_flag(config, "enable_profiling", NULL), 0);
    settle(config);
    assert_string_equal(config->trace, "eleanor-trace.json");
    assert_int_equal(el_config_set_flag(config, "trace", "my.json"), 0);
    settle(config);
    assert_string_equal(config->trace, "my.json");
}

static void contradictions_are_refused(void **state) {
    static const struct {
        const char *yaml, *says[2];
    } refusals[] = {
        {"gpu:\n  memory:\n    mixed_precision: false\n    precision: fp16\n",
         {"gpu.yaml:3: mixed_precision", "precision is fp16 (gpu.yaml:4)"}},
        {"gpu: {memory: {mixed_precision: false, quantization: {enabled: true}}}\n", {"quantize is true"}},
        {"gpu: {enabled: false}\ndevice: cuda:0\n",
         {"gpu.yaml:1: gpu_enabled", "device is cuda:0 (gpu.yaml:2)"}},
    };
    (void)state;
    for (size_t i = 0; i < EL_COUNT(refusals); i++) {
        struct el_config config;
        assert_int_equal(el_config_init(&config), 0);
        take(&config, refusals[i].yaml);
        assert_int_equal(el_config_settle(&config), EL_EINVAL);
        for (size_t j = 0; j < 2 && refusals[i].says[j]; j++)
            assert_detail_has(refusals[i].says[j]);
        el_config_done(&config);
    }
}

static void the_presets_load(void **state) {
    static const char *const names[] = {"gpu", "rtx4090", "m1-pro", "4xa100", "8xa100-rag", "dual-3090"};
    (void)state;
    for (size_t i = 0; i < EL_COUNT(names); i++) {
        struct el_config config;
        char path[512];
        snprintf(path, sizeof path, "%s/config/%s.yaml", EL_SOURCE_DIR, names[i]);
        assert_int_equal(el_config_init(&config), 0);
        if (el_config_read_file(&config, path) != 0) fail_msg("%s", el_error_detail());
        settle(&config);
        assert_string_equal(config.precision, "fp16");
        el_config_done(&config);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_config, close_config)
    const struct CMUnitTest tests[] = {
        TEST(keys_set_settings),
        TEST(every_key_names_a_setting_or_says_why_not),
        TEST(what_does_not_exist_yet_is_refused),
        TEST(bad_keys_are_refused),
        TEST(the_second_file_overrides_the_first),
        TEST(lists_of_words_may_be_parted_by_commas),
        TEST(without_gpu_it_is_the_processor),
        TEST(precision_comes_from_what_decides_it),
        TEST(batches_are_bounded_by_one_figure),
        TEST(profiling_is_a_trace),
        TEST(contradictions_are_refused),
        TEST(the_presets_load),
    };
    return cmocka_run_group_tests_name("gpu_config", tests, NULL, NULL);
}
