// SPDX-License-Identifier: Apache-2.0
// The picture of a bench: points where the axes say, text that no name can break out of. That it is XML, and
// what it looks like beside a result, tests/e2e/cli/test_bench.py sees.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "cmd/bench/chart.h"

// One line of two points, as text.
static struct el_str draw(double x, double y, const char *title) {
    const struct el_chart_point points[] = {{.x = 1, .y = 10, .low = 9, .high = 11},
                                            {.x = x, .y = y, .low = y, .high = y}};
    const struct el_chart_series series = {.name = "a", .points = points, .count = EL_COUNT(points)};
    const struct el_chart chart = {
        .title = title, .subtitle = "", .x_label = "x", .y_label = "y", .series = &series, .series_count = 1};
    struct el_str svg = {0};
    assert_int_equal(el_chart_svg(&chart, &svg), 0);
    return svg;
}

static size_t count(const char *text, const char *part) {
    size_t found = 0;
    for (; (text = strstr(text, part)); text += strlen(part))
        found++;
    return found;
}

static void points_stand_where_the_axes_say(void **state) {
    (void)state;
    struct el_str svg = draw(16, 40, "t");
    // x: 1 to 16 are four octaves from 78 to 736; y: 0 to 40 from 358 up to 84.
    assert_non_null(strstr(svg.data, "<polyline points=\"78.0,289.5 736.0,84.0\"/>"));
    assert_non_null(strstr(svg.data, "y1=\"296.4\" x2=\"78.0\" y2=\"282.6\"")); // from 9 to 11
    static const char *const labels[] = {">1<", ">2<", ">4<", ">8<", ">16<", ">0<", ">10<", ">20<", ">40<"};
    for (size_t i = 0; i < EL_COUNT(labels); i++)
        if (!strstr(svg.data, labels[i])) fail_msg("no label %s", labels[i]);
    assert_int_equal(count(svg.data, "<circle"), 2);
    el_str_done(&svg);
}

static void the_axis_holds_every_figure(void **state) {
    (void)state;
    for (double y = 1e-3; y < 1e7; y *= 1.7) {
        struct el_str svg = draw(512, y, "t");
        const char *last = strstr(strstr(svg.data, "<polyline"), "736.0,");
        assert_non_null(last);
        const double place = strtod(last + strlen("736.0,"), NULL);
        assert_true(place >= 84 && place <= 358.05);
        const size_t lines = count(svg.data, "class=\"grid\"");
        assert_true(lines >= 1 && lines <= 7);
        el_str_done(&svg);
    }
}

static void a_name_is_only_text(void **state) {
    (void)state;
    struct el_str svg = draw(2, 1, "</text><script>&\"'\x01 \xc3\xa9");
    assert_null(strstr(svg.data, "<script"));
    assert_null(strstr(svg.data, "\x01"));
    assert_non_null(strstr(svg.data, "&lt;/text&gt;&lt;script&gt;&amp;"));
    assert_non_null(strstr(svg.data, "\xc3\xa9"));
    el_str_done(&svg);
}

static void nothing_to_draw_is_refused(void **state) {
    (void)state;
    const struct el_chart_point zero = {.x = 1};
    const struct el_chart_series series[] = {{.name = "none"}, {.name = "zero", .points = &zero, .count = 1}};
    struct el_chart chart = {.title = "", .subtitle = "", .x_label = "", .y_label = ""};
    struct el_str svg = {0};
    assert_int_equal(el_chart_svg(&chart, &svg), EL_EINVAL);
    chart.series = series;
    chart.series_count = EL_COUNT(series);
    assert_int_equal(el_chart_svg(&chart, &svg), EL_EINVAL);
    assert_int_equal(svg.length, 0);
    el_str_done(&svg);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_stand_where_the_axes_say),
        cmocka_unit_test(the_axis_holds_every_figure),
        cmocka_unit_test(a_name_is_only_text),
        cmocka_unit_test(nothing_to_draw_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
