// SPDX-License-Identifier: Apache-2.0
// Draws line charts.
#include "cmd/bench/chart.h"

#include <math.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"

// The whole picture and the plane within it, in pixels.
enum { WIDTH = 760, HEIGHT = 420, LEFT = 78, RIGHT = 736, TOP = 84, BOTTOM = 358 };

static const char *const colors[EL_CHART_SERIES] = {"#2f81d6", "#d9730d"};

// Where the axes begin and end: x as a power of two.
struct scale {
    double first, last; // exponents of x
    double top, step;   // of y, and between its ticks
};

static double to_x(const struct scale *scale, double x) {
    const double width = EL_MAX(scale->last - scale->first, 1);
    return LEFT + (RIGHT - LEFT) * (log2(x) - scale->first) / width;
}

static double to_y(const struct scale *scale, double y) {
    return BOTTOM - (BOTTOM - TOP) * y / scale->top;
}

// The step of 1, 2 or 5 times a power of ten that cuts `most` into at most six.
static double nice_step(double most) {
    const double power = pow(10, floor(log10(most / 6)));
    const double parts = most / 6 / power;
    return power * (parts <= 1 ? 1 : parts <= 2 ? 2 : parts <= 5 ? 5 : 10);
}

static int find_scale(const struct el_chart *chart, struct scale *ret_scale) {
    struct scale scale = {.first = INFINITY, .last = -INFINITY};
    double most = 0;
    for (size_t s = 0; s < chart->series_count; s++)
        for (size_t i = 0; i < chart->series[s].count; i++) {
            const struct el_chart_point *point = &chart->series[s].points[i];
            scale.first = fmin(scale.first, floor(log2(point->x)));
            scale.last = fmax(scale.last, ceil(log2(point->x)));
            most = fmax(most, fmax(point->y, point->high));
        }
    if (!(scale.first <= scale.last) || !(most > 0))
        return el_fail(EL_EINVAL, "there is nothing to draw: no point with a figure above 0");
    scale.step = nice_step(most);
    scale.top = scale.step * ceil(most / scale.step);
    *ret_scale = scale;
    return 0;
}

static int put_escaped(struct el_str *svg, const char *text) {
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        const char *entity = c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : NULL;
        if (entity)
            EL_TRY(el_str_puts(svg, entity));
        else
            EL_TRY(el_str_putc(svg, c < ' ' || c == 0x7f ? ' ' : *text));
    }
    return 0;
}

// Text at a place; `anchor` is start, middle or end.
static int put_text(struct el_str *svg, double x, double y, const char *anchor, const char *class,
                    const char *text) {
    EL_TRY(el_str_printf(svg, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"%s%s%s>", x, y, anchor,
                         *class ? " class=\"" : "", class, *class ? "\"" : ""));
    EL_TRY(put_escaped(svg, text));
    return el_str_puts(svg, "</text>\n");
}

static int put_line(struct el_str *svg, const char *class, double x1, double y1, double x2, double y2) {
    return el_str_printf(svg, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", class,
                         x1, y1, x2, y2);
}

static int put_axes(struct el_str *svg, const struct scale *scale) {
    char label[32];
    for (int i = 0; i * scale->step <= scale->top * 1.001; i++) {
        const double value = i * scale->step, y = to_y(scale, value);
        snprintf(label, sizeof label, "%g", value);
        EL_TRY(put_line(svg, i ? "grid" : "axis", LEFT, y, RIGHT, y));
        EL_TRY(put_text(svg, LEFT - 8, y + 4, "end", "", label));
    }
    const int first = (int)scale->first, last = (int)scale->last;
    for (int exponent = first; exponent <= last; exponent++) {
        const double value = exp2(exponent), x = to_x(scale, value);
        snprintf(label, sizeof label, "%g", value);
        EL_TRY(put_line(svg, "axis", x, BOTTOM, x, BOTTOM + 5));
        EL_TRY(put_text(svg, x, BOTTOM + 20, "middle", "", label));
    }
    return 0;
}

static int put_labels(struct el_str *svg, const struct el_chart *chart) {
    EL_TRY(put_text(svg, LEFT, 26, "start", "title", chart->title));
    EL_TRY(put_text(svg, LEFT, 46, "start", "", chart->subtitle));
    EL_TRY(put_text(svg, (LEFT + RIGHT) / 2.0, HEIGHT - 16, "middle", "", chart->x_label));
    EL_TRY(el_str_printf(svg, "<g transform=\"rotate(-90 20 %d)\">", (TOP + BOTTOM) / 2));
    EL_TRY(put_text(svg, 20, (TOP + BOTTOM) / 2.0, "middle", "", chart->y_label));
    return el_str_puts(svg, "</g>\n");
}

// The line, a whisker from the slowest to the fastest round and a dot for each point.
static int put_series(struct el_str *svg, const struct scale *scale, const struct el_chart_series *series,
                      size_t number) {
    EL_TRY(el_str_printf(svg, "<g class=\"s%zu\">\n<polyline points=\"", number));
    for (size_t i = 0; i < series->count; i++)
        EL_TRY(el_str_printf(svg, "%s%.1f,%.1f", i ? " " : "", to_x(scale, series->points[i].x),
                             to_y(scale, series->points[i].y)));
    EL_TRY(el_str_puts(svg, "\"/>\n"));
    for (size_t i = 0; i < series->count; i++) {
        const struct el_chart_point *point = &series->points[i];
        const double x = to_x(scale, point->x);
        EL_TRY(put_line(svg, "whisker", x, to_y(scale, point->low), x, to_y(scale, point->high)));
        EL_TRY(el_str_printf(svg,
                             "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\"><title>%g: %.4g</title></circle>\n", x,
                             to_y(scale, point->y), point->x, point->y));
    }
    return el_str_puts(svg, "</g>\n");
}

// Which color is which; a lone series needs none.
static int put_legend(struct el_str *svg, const struct el_chart *chart) {
    for (size_t s = 0; chart->series_count > 1 && s < chart->series_count; s++) {
        const double y = TOP - 26 + 18 * (double)s;
        EL_TRY(el_str_printf(svg, "<circle class=\"s%zu\" cx=\"%d\" cy=\"%.1f\" r=\"5\"/>\n", s, RIGHT - 6,
                             y - 4));
        EL_TRY(put_text(svg, RIGHT - 18, y, "end", "", chart->series[s].name));
    }
    return 0;
}

static int put_style(struct el_str *svg) {
    EL_TRY(el_str_puts(svg, "<style>\n"
                            "text { font: 13px system-ui, sans-serif; fill: #57606a }\n"
                            ".title { font-size: 17px; font-weight: 600 }\n"
                            ".grid { stroke: #8c959f; stroke-opacity: .3 }\n"
                            ".axis { stroke: #8c959f }\n"
                            "polyline { fill: none; stroke-width: 2.5 }\n"
                            ".whisker { stroke-width: 1.5; stroke-opacity: .6 }\n"
                            "@media (prefers-color-scheme: dark) { text { fill: #b1bac4 } }\n"));
    for (size_t s = 0; s < EL_CHART_SERIES; s++)
        EL_TRY(el_str_printf(svg,
                             ".s%zu polyline, .s%zu .whisker { stroke: %s }\n"
                             ".s%zu circle, circle.s%zu { fill: %s }\n",
                             s, s, colors[s], s, s, colors[s]));
    return el_str_puts(svg, "</style>\n");
}

int el_chart_svg(const struct el_chart *chart, struct el_str *svg) {
    struct scale scale = {0};
    EL_TRY(find_scale(chart, &scale));
    EL_TRY(el_str_printf(svg,
                         "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
                         "height=\"%d\" role=\"img\">\n<title>",
                         WIDTH, HEIGHT, WIDTH, HEIGHT));
    EL_TRY(put_escaped(svg, chart->title));
    EL_TRY(el_str_puts(svg, "</title>\n"));
    EL_TRY(put_style(svg));
    EL_TRY(put_labels(svg, chart));
    EL_TRY(put_axes(svg, &scale));
    for (size_t s = 0; s < chart->series_count; s++)
        EL_TRY(put_series(svg, &scale, &chart->series[s], s));
    EL_TRY(put_legend(svg, chart));
    return el_str_puts(svg, "</svg>\n");
}
