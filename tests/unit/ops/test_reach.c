// SPDX-License-Identifier: Apache-2.0
// Which rows of a panel reach what queries want: every instruction set says what a plain sum says, to the
// row, for any number of queries and units; a threshold or a scale that is no number leaves nothing out.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ops/reach.h"

enum { UNITS = 33, QUERIES = 19 };

static uint8_t codes[UNITS * EL_REACH_ROWS * EL_REACH_UNIT] __attribute__((aligned(64)));
static int8_t query_codes[QUERIES][UNITS * EL_REACH_UNIT];
static float scales[EL_REACH_ROWS], offsets[EL_REACH_ROWS];
static struct el_reach_query queries[QUERIES];

static void draw(int most, int64_t units) {
    for (size_t i = 0; i < sizeof codes; i++)
        codes[i] = (uint8_t)(rand() % 255 + 1);
    for (int r = 0; r < EL_REACH_ROWS; r++) {
        scales[r] = 0.5F + (float)r;
        offsets[r] = (float)(rand() % 1000);
    }
    for (int q = 0; q < QUERIES; q++) {
        for (int i = 0; i < UNITS * EL_REACH_UNIT; i++)
            query_codes[q][i] = (int8_t)(rand() % (2 * most + 1) - most);
        queries[q] = (struct el_reach_query){.codes = query_codes[q],
                                             .start = el_reach_start(query_codes[q], units),
                                             .slack = (float)(rand() % 100),
                                             .scale = 0.25F,
                                             .least = (float)(rand() % 2000 - 1000)};
    }
}

static unsigned plain(const struct el_reach_query *query, int64_t units) {
    unsigned rows = 0;
    for (int r = 0; r < EL_REACH_ROWS; r++) {
        int sum = 0;
        for (int64_t i = 0; i < units * EL_REACH_UNIT; i++)
            sum += (codes[(i / EL_REACH_UNIT * EL_REACH_ROWS + r) * EL_REACH_UNIT + i % EL_REACH_UNIT] -
                    EL_REACH_ZERO) *
                   query->codes[i];
        const float value = ((float)sum + query->slack) * (query->scale * scales[r]) - offsets[r];
        rows |= (unsigned)!(value < query->least) << r;
    }
    return rows;
}

static void every_instruction_set_finds_the_same(void **state) {
    (void)state;
    const struct el_reach_panel panel = {codes, scales, offsets};
    uint16_t got[QUERIES + 1];
    for (int i = 0; i < el_ops_count(); i++) {
        const struct el_reach *reach = el_reach_find(el_ops_at(i));
        for (int64_t units = 0; units <= UNITS; units += 11)
            for (int count = 0; count <= QUERIES; count++) {
                draw(reach->most, units);
                queries[3].least = NAN;
                queries[4].slack = NAN;
                queries[5].least = -INFINITY;
                got[count] = 0x5a5a;
                reach->find(&panel, units, queries, count, got);
                for (int q = 0; q < count; q++)
                    assert_int_equal(got[q], plain(&queries[q], units));
                assert_int_equal(got[count], 0x5a5a);
                assert_true(count <= 5 || (got[3] == 0xffff && got[4] == 0xffff && got[5] == 0xffff));
            }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_instruction_set_finds_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
