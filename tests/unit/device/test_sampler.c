// SPDX-License-Identifier: Apache-2.0
// Histories of figures, and alerts that are raised once, on looks that are made up.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "device/manager/sampler.h"

#define SECOND UINT64_C(1000000000)
#define GB (UINT64_C(1) << 30)

static struct el_health health;

static bool near(double a, double b) {
    return fabs(a - b) < 1e-9;
}

// ---- histories ----

static void an_empty_history_tells_nothing(void **state) {
    (void)state;
    struct el_history history = {0};
    assert_int_equal(el_history_span(&history, 0, EL_HISTORY_S).count, 0);
    assert_int_equal(el_history_span(&history, 1000000 * SECOND, EL_HISTORY_S).count, 0);
}

static void a_span_has_what_was_added(void **state) {
    (void)state;
    struct el_history history = {0};
    const uint64_t begin = 12345 * SECOND;
    for (int i = 0; i < 200; i++)
        el_history_add(&history, begin + (uint64_t)i * SECOND / 2, (i * 37) % 200); // each of 0 .. 199
    const uint64_t now = begin + 199 * SECOND / 2;
    struct el_span span = el_history_span(&history, now, EL_HISTORY_S);
    assert_int_equal(span.count, 200);
    assert_true(span.min == 0 && span.max == 199 && near(span.sum, 19900) && span.last == (199 * 37) % 200);
    span = el_history_span(&history, now, 10); // two cells
    assert_in_range(span.count, 10, 20);
    assert_true(span.last == (199 * 37) % 200);
}

static void the_old_falls_out(void **state) {
    (void)state;
    struct el_history history = {0};
    for (uint64_t s = 0; s < 1000; s++)
        el_history_add(&history, s * SECOND, s == 500 ? 1e6 : (double)s);
    assert_true(el_history_span(&history, 799 * SECOND, EL_HISTORY_S).max <
                1e6); // 799 is in the ring no more
    for (uint64_t s = 1000; s < 1400; s++)
        el_history_add(&history, s * SECOND, (double)s);
    const struct el_span span = el_history_span(&history, 1399 * SECOND, EL_HISTORY_S);
    assert_true(span.min == 1100 && span.max == 1399 && span.count == 300);
    assert_int_equal(el_history_span(&history, 3000 * SECOND, EL_HISTORY_S).count, 0);
    assert_int_equal(el_history_span(&history, 1399 * SECOND, 100000).count, 300);
}

// ---- alerts ----

static struct el_sampler *open_sampler(double memory, double temperature) {
    const double thresholds[EL_ALERT_COUNT] = {memory, temperature};
    struct el_sampler *sampler = NULL;
    assert_int_equal(el_sampler_open(1, thresholds, &sampler), 0);
    return sampler;
}

static void set(struct el_gpu_reading *reading, enum el_gpu_field field, uint64_t value) {
    reading->value[field] = value;
    reading->valid |= 1u << field;
}

// A look at a GPU of 100 GB; the alerts after it.
static struct el_samples look(struct el_sampler *sampler, uint64_t second, uint64_t gigabytes,
                              uint64_t celsius) {
    struct el_samples samples;
    struct el_device_health *device = &health.devices[0];
    health = (struct el_health){.count = 1};
    device->has_reading = true;
    set(&device->reading, EL_GPU_MEMORY_TOTAL, 100 * GB);
    set(&device->reading, EL_GPU_MEMORY_USED, gigabytes * GB);
    set(&device->reading, EL_GPU_TEMPERATURE, celsius);
    el_sampler_add(sampler, second * SECOND, &health);
    el_sampler_read(sampler, 0, second * SECOND, EL_HISTORY_S, &samples);
    return samples;
}

static void an_alert_does_not_flap(void **state) {
    (void)state;
    struct el_sampler *sampler = open_sampler(85, 83);
    int raised = 0, ended = 0;
    for (uint64_t i = 0; i < 1000; i++) { // 83 .. 88, forth and back about the threshold
        const struct el_samples samples = look(sampler, i, 83 + (i * 7) % 6, 20);
        raised += samples.alerts[EL_ALERT_MEMORY].changed && samples.alerts[EL_ALERT_MEMORY].active;
        ended += samples.alerts[EL_ALERT_MEMORY].changed && !samples.alerts[EL_ALERT_MEMORY].active;
        assert_false(samples.alerts[EL_ALERT_TEMPERATURE].active);
    }
    assert_int_equal(raised, 1);
    assert_int_equal(ended, 0);
    el_sampler_close(sampler);
}

static void an_alert_has_two_edges(void **state) {
    (void)state;
    static const struct {
        uint64_t value;
        bool active, changed;
    } series[] = {{84, false, false}, {85, true, true},   {84, true, false},  {80, true, false},
                  {79, false, true},  {79, false, false}, {84, false, false}, {100, true, true},
                  {100, true, false}, {0, false, true}};
    struct el_sampler *sampler = open_sampler(85, 85);
    for (size_t i = 0; i < EL_COUNT(series); i++) {
        const struct el_samples samples = look(sampler, i, series[i].value, series[i].value);
        for (int kind = 0; kind < EL_ALERT_COUNT; kind++) {
            assert_int_equal(samples.alerts[kind].active, series[i].active);
            assert_int_equal(samples.alerts[kind].changed, series[i].changed);
            assert_true(samples.alerts[kind].known && samples.alerts[kind].value == (double)series[i].value);
        }
    }
    el_sampler_close(sampler);
}

static void a_low_threshold_ends_too(void **state) {
    (void)state;
    struct el_sampler *sampler = open_sampler(2, 0);
    assert_true(look(sampler, 0, 2, 200).alerts[EL_ALERT_MEMORY].active);
    assert_true(look(sampler, 1, 1, 200).alerts[EL_ALERT_MEMORY].active);
    const struct el_samples samples = look(sampler, 2, 0, 200);
    assert_false(samples.alerts[EL_ALERT_MEMORY].active);
    assert_false(samples.alerts[EL_ALERT_TEMPERATURE].active); // 0 is never
    el_sampler_close(sampler);
}

static void what_is_not_told_changes_nothing(void **state) {
    (void)state;
    struct el_sampler *sampler = open_sampler(85, 83);
    struct el_samples samples;
    assert_true(look(sampler, 0, 90, 90).alerts[EL_ALERT_TEMPERATURE].active);
    health.devices[0] = (struct el_device_health){.id = "cuda:0"}; // lost: neither memory nor NVML
    el_sampler_add(sampler, SECOND, &health);
    el_sampler_read(sampler, 0, SECOND, EL_HISTORY_S, &samples);
    for (int kind = 0; kind < EL_ALERT_COUNT; kind++)
        assert_true(samples.alerts[kind].active && !samples.alerts[kind].changed &&
                    !samples.alerts[kind].known);
    assert_int_equal(samples.figures[EL_FIGURE_TEMPERATURE].count, 1);
    assert_int_equal(samples.figures[EL_FIGURE_POWER].count, 0);
    samples = look(sampler, 2, 10, 30);
    for (int kind = 0; kind < EL_ALERT_COUNT; kind++)
        assert_true(!samples.alerts[kind].active && samples.alerts[kind].changed);
    el_sampler_close(sampler);
}

// ---- memory ----

static double memory_pct(bool has_reading, uint64_t used, double allocated, double reserved, double budget) {
    struct el_device_health device = {.has_reading = has_reading};
    double pct = -1;
    set(&device.reading, EL_GPU_MEMORY_TOTAL, 100 * GB);
    set(&device.reading, EL_GPU_MEMORY_USED, used * GB);
    device.memory = (struct el_memory_stats){.available = budget > 0,
                                             .allocated_mb = allocated * 1024,
                                             .reserved_mb = reserved * 1024,
                                             .budget_mb = budget * 1024};
    assert_int_equal(el_memory_pct(&device, &pct), has_reading || budget > 0);
    return pct;
}

static void memory_is_what_is_really_used(void **state) {
    (void)state;
    assert_true(near(memory_pct(true, 60, 10, 10, 100), 60)); // all processes
    assert_true(near(memory_pct(true, 60, 10, 40, 100), 30)); // 30 of them the pool only keeps
    assert_true(near(memory_pct(true, 20, 18, 18, 20), 90));  // of what this process may take
    assert_true(near(memory_pct(false, 0, 18, 18, 20), 90));  // without NVML
    assert_true(near(memory_pct(true, 42, 0, 0, 0), 42));     // without the pool
    assert_true(near(memory_pct(false, 0, 0, 0, 0), -1));     // untouched
}

// ---- JSON ----

static void json_has_figures_and_null(void **state) {
    (void)state;
    struct el_sampler *sampler = open_sampler(85, 83);
    struct el_str json = {0};
    look(sampler, 0, 80, 40);
    const struct el_samples samples = look(sampler, 1, 90, 50);
    assert_int_equal(el_samples_put_json("cuda:0", &samples, &json), 0);
    assert_string_equal(json.data,
                        "{\"id\": \"cuda:0\", \"alerts\": [\"memory\"], "
                        "\"memory_pct\": {\"last\": 90.0, \"min\": 80.0, \"mean\": 85.0, \"max\": 90.0}, "
                        "\"utilization_pct\": null, "
                        "\"temperature_c\": {\"last\": 50.0, \"min\": 40.0, \"mean\": 45.0, \"max\": 50.0}, "
                        "\"power_w\": null}");
    el_str_done(&json);
    el_sampler_close(sampler);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_history_tells_nothing),
        cmocka_unit_test(a_span_has_what_was_added),
        cmocka_unit_test(the_old_falls_out),
        cmocka_unit_test(an_alert_does_not_flap),
        cmocka_unit_test(an_alert_has_two_edges),
        cmocka_unit_test(a_low_threshold_ends_too),
        cmocka_unit_test(what_is_not_told_changes_nothing),
        cmocka_unit_test(memory_is_what_is_really_used),
        cmocka_unit_test(json_has_figures_and_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
