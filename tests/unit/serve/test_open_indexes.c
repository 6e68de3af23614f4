// SPDX-License-Identifier: Apache-2.0
// Open indexes: a full table closes the one that was used longest ago.
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "serve/open_indexes.h"

enum { MOST_OPEN = 64 };

static char home[] = "/tmp/eleanor-open-XXXXXX";

static const char *name_of(int n) {
    static char name[16];
    snprintf(name, sizeof name, "i%d", n);
    return name;
}

static void find(struct el_open_indexes *indexes, int n) {
    struct el_index *index;
    if (el_open_indexes_find(indexes, name_of(n), &index, NULL) < 0) fail_msg("%s", el_error_detail());
}

// Whether this process has a file of the index open.
static bool is_open(int n) {
    char part[32];
    bool found = false;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    snprintf(part, sizeof part, "/%s/", name_of(n));
    for (struct dirent *entry; (entry = readdir(folder));) {
        char path[300], target[300] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        if (readlink(path, target, sizeof target - 1) > 0) found = found || strstr(target, part);
    }
    closedir(folder);
    return found;
}

static void the_one_used_longest_ago_goes(void **state) {
    (void)state;
    const struct el_vector_facts facts = {.dim = 2};
    const struct el_searcher_options kept = {0};
    struct el_open_indexes indexes;
    assert_non_null(mkdtemp(home));
    assert_int_equal(setenv("ELEANOR_HOME", home, 1), 0);
    assert_int_equal(el_open_indexes_init(&indexes, &kept, 1), 0);
    for (int n = 0; n <= MOST_OPEN; n++)
        assert_int_equal(el_search_create(indexes.root, name_of(n), NULL, &facts), 0);
    for (int n = 0; n < MOST_OPEN; n++)
        find(&indexes, n);
    find(&indexes, 0);
    find(&indexes, 2);
    find(&indexes, MOST_OPEN);
    assert_false(is_open(1));
    assert_true(is_open(0) && is_open(2) && is_open(3) && is_open(MOST_OPEN));
    for (int n = 0; n <= MOST_OPEN; n++)
        assert_int_equal(el_search_delete(indexes.root, name_of(n)), 0);
    assert_int_equal(rmdir(indexes.root), 0);
    el_open_indexes_done(&indexes);
    assert_int_equal(rmdir(home), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_one_used_longest_ago_goes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
