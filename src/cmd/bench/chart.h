// SPDX-License-Identifier: Apache-2.0
// A line chart as SVG: x in powers of two, y from zero, one file that needs nothing else and reads well on
// light and dark pages.
#ifndef EL_CMD_BENCH_CHART_H
#define EL_CMD_BENCH_CHART_H

#include <stddef.h>

#include "base/str.h"

struct el_chart_point {
    double x;         // > 0
    double y;         // >= 0
    double low, high; // the range of what was measured
};

struct el_chart_series {
    const char *name;
    const struct el_chart_point *points; // [count], x rising
    size_t count;
};

enum { EL_CHART_SERIES = 2 };

struct el_chart {
    const char *title, *subtitle, *x_label, *y_label;
    const struct el_chart_series *series; // [series_count], at most EL_CHART_SERIES
    size_t series_count;
};

// Appends the picture. EL_EINVAL: there is no point to draw; EL_ENOMEM.
int el_chart_svg(const struct el_chart *chart, struct el_str *svg);

#endif
