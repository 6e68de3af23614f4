// SPDX-License-Identifier: Apache-2.0
// The last five minutes of one figure, in cells of five seconds: least, most and mean of any stretch that
// ends now, in a fixed amount of memory however often the figure is taken. No lock: one thread at a time.
#ifndef EL_DEVICE_HISTORY_H
#define EL_DEVICE_HISTORY_H

#include <stdint.h>

enum { EL_HISTORY_CELLS = 60, EL_HISTORY_CELL_S = 5, EL_HISTORY_S = EL_HISTORY_CELLS * EL_HISTORY_CELL_S };

// Values of a stretch of time. Without any `count` is 0, and so is the rest.
struct el_span {
    uint64_t count;
    double min, max, sum, last;
};

// All zero is empty.
struct el_history {
    struct {
        uint64_t number; // of the cell since the clock's start
        struct el_span span;
    } cells[EL_HISTORY_CELLS];
};

// `now_ns` is of el_now_ns, and never goes back.
void el_history_add(struct el_history *history, uint64_t now_ns, double value);
// What was added within the last `seconds`, give or take a cell; at most EL_HISTORY_S.
struct el_span el_history_span(const struct el_history *history, uint64_t now_ns, int seconds);

#endif
