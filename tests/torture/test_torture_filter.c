// SPDX-License-Identifier: Apache-2.0
// Torture of filters and of fusing ranked lists: the N-th allocation fails, for every N. Each ends in
// EL_ENOMEM or in the right SQL and list, and nothing leaks.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "index/filter_sql.h"
#include "index/fuse.h"
#include "torture.h"

static const char *const filter_text = "{\"lang\":\"en\",\"$or\":[{\"a.b\":{\"$in\":[1,2.5,null,\"x\"]}},{\"$"
                                       "not\":{\"c\":{\"$exists\":false}}}]}";

// The filter's SQL with the number of its values behind.
static int make_sql(struct el_str *ret_sql) {
    struct el_arena arena el_auto(el_arena_done);
    struct el_filter_sql sql = {.arena = &arena};
    const struct el_filter *filter = NULL;
    el_arena_init(&arena);
    int status = el_filter_parse(filter_text, &arena, &filter);
    if (status == 0) status = el_filter_put_sql(filter, &sql);
    if (status == 0) status = el_str_printf(ret_sql, "%s -- %zu", sql.text.data, sql.count);
    el_str_done(&sql.text);
    return status;
}

static void filters(void **state) {
    (void)state;
    struct el_str want el_auto(el_str_done) = {0};
    assert_int_equal(make_sql(&want), 0);
    assert_true(el_ends_with(want.data, " -- 7")); // three paths and four values but null
    for (int and_after = 0; and_after < 2; and_after++) {
        struct torture torture = torture_begin(and_after);
        while (torture_next(&torture)) {
            struct el_str got el_auto(el_str_done) = {0};
            torture_arm(&torture);
            const int status = torture_disarm(&torture, make_sql(&got));
            if (status == 0) assert_string_equal(got.data, want.data);
        }
        assert_true(torture.refusals > 10);
    }
}

static void fusing(void **state) {
    (void)state;
    const struct el_hit a[] = {{1, 2}, {2, 1}}, b[] = {{2, 9}};
    struct torture torture = torture_begin(false);
    while (torture_next(&torture)) {
        struct el_hit fused[2] = {{7, 7}, {7, 7}};
        int count = -1;
        torture_arm(&torture);
        const int status = torture_disarm(
            &torture, el_fuse(&(struct el_ranking){a, 2}, &(struct el_ranking){b, 1}, 2, fused, &count));
        assert_int_equal(fused[0].row, status == 0 ? 2 : 7);
        assert_int_equal(count, status == 0 ? 2 : -1);
    }
    assert_int_equal(torture.refusals, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(filters), cmocka_unit_test(fusing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
