// SPDX-License-Identifier: Apache-2.0
// A ring of cells, each numbered by the time that it is of: one whose number is too old is empty.
#include "device/manager/history.h"

#include "base/mem.h"

static uint64_t cell_number(uint64_t now_ns) {
    return now_ns / (EL_HISTORY_CELL_S * UINT64_C(1000000000));
}

// `more` came after what is in `span`.
static void join(struct el_span *span, const struct el_span *more) {
    if (more->count == 0) return;
    if (span->count == 0) {
        *span = *more;
        return;
    }
    span->min = EL_MIN(span->min, more->min);
    span->max = EL_MAX(span->max, more->max);
    span->sum += more->sum;
    span->last = more->last;
    span->count += more->count;
}

void el_history_add(struct el_history *history, uint64_t now_ns, double value) {
    const uint64_t number = cell_number(now_ns);
    const struct el_span one = {.count = 1, .min = value, .max = value, .sum = value, .last = value};
    struct el_span *span = &history->cells[number % EL_HISTORY_CELLS].span;
    if (history->cells[number % EL_HISTORY_CELLS].number != number) *span = (struct el_span){0};
    history->cells[number % EL_HISTORY_CELLS].number = number;
    join(span, &one);
}

struct el_span el_history_span(const struct el_history *history, uint64_t now_ns, int seconds) {
    const uint64_t last = cell_number(now_ns);
    uint64_t cells = ((uint64_t)EL_MAX(seconds, 1) + EL_HISTORY_CELL_S - 1) / EL_HISTORY_CELL_S;
    cells = EL_MIN(EL_MIN(cells, (uint64_t)EL_HISTORY_CELLS), last + 1);
    struct el_span span = {0};
    for (uint64_t number = last + 1 - cells; number <= last; number++)
        if (history->cells[number % EL_HISTORY_CELLS].number == number)
            join(&span, &history->cells[number % EL_HISTORY_CELLS].span);
    return span;
}
