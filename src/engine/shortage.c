// SPDX-License-Identifier: Apache-2.0
// Limits that shrink at once and grow slowly.
#include "engine/shortage.h"

#include "base/mem.h"

enum {
    GOOD_BATCHES = 64, // after which batches twice as large are tried
    MOST_HALVINGS = 3  // that count; where more were needed, other steps of the ladder helped
};

static bool is_short(const struct el_shortage *shortage) {
    return shortage->fitting.tokens > 0;
}

struct el_batch_limits el_shortage_limits(const struct el_shortage *shortage,
                                          const struct el_batch_limits *most) {
    struct el_batch_limits limits = *most;
    if (!is_short(shortage)) return limits;
    limits.tokens = EL_MIN(limits.tokens, shortage->fitting.tokens);
    if (limits.sequences > 0) limits.sequences = EL_MIN(limits.sequences, shortage->fitting.sequences);
    return limits;
}

bool el_shortage_note(struct el_shortage *shortage, const struct el_taken *batch, int halvings) {
    const bool is_news = !is_short(shortage);
    const int counted = EL_MIN(halvings, MOST_HALVINGS);
    shortage->fitting.tokens = EL_MAX(batch->tokens >> counted, 1);
    shortage->fitting.sequences = EL_MAX(batch->count >> counted, 1);
    shortage->good = 0;
    return is_news;
}

void el_shortage_pass(struct el_shortage *shortage, const struct el_batch_limits *most) {
    if (!is_short(shortage) || ++shortage->good < GOOD_BATCHES) return;
    shortage->good = 0;
    shortage->fitting.tokens *= 2;
    shortage->fitting.sequences *= 2;
    if (shortage->fitting.tokens >= most->tokens &&
        (most->sequences == 0 || shortage->fitting.sequences >= most->sequences))
        *shortage = (struct el_shortage){0};
}
