// SPDX-License-Identifier: Apache-2.0
// API keys: the file's form, and whom they let in.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "eleanor/status.h"
#include "serve/keys.h"

static int read_keys(const char *text, struct el_keys *keys) {
    char path[] = "/tmp/eleanor-keys-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    int status = el_keys_init(keys, path, NULL);
    unlink(path);
    return status;
}

static void none_let_all_in(void **state) {
    (void)state;
    struct el_keys keys el_auto(el_keys_done);
    assert_int_equal(el_keys_init(&keys, NULL, NULL), 0);
    assert_true(el_keys_allow(&keys, NULL));
    assert_true(el_keys_allow(&keys, "Bearer x"));
}

static void of_a_file(void **state) {
    (void)state;
    struct el_keys keys el_auto(el_keys_done);
    assert_int_equal(read_keys("# ours\n\nfirst\r\n  second  \nno newline", &keys), 0);
    assert_int_equal(keys.count, 3);
    static const char *const good[] = {"Bearer first", "bearer second", "Bearer  no newline"};
    static const char *const bad[] = {"",
                                      "first",
                                      "Bearer",
                                      "Bearer ",
                                      "Bearer firs",
                                      "Bearer firstt",
                                      "Bearer # ours",
                                      "Basic first",
                                      "Bearer FIRST",
                                      "Bearer first "};
    for (size_t i = 0; i < EL_COUNT(good); i++)
        assert_true(el_keys_allow(&keys, good[i]));
    for (size_t i = 0; i < EL_COUNT(bad); i++)
        if (el_keys_allow(&keys, bad[i])) fail_msg("\"%s\" was let in", bad[i]);
    assert_false(el_keys_allow(&keys, NULL));
}

static void of_both(void **state) {
    (void)state;
    struct el_keys keys el_auto(el_keys_done);
    assert_int_equal(el_keys_init(&keys, NULL, "alone"), 0);
    assert_true(el_keys_allow(&keys, "Bearer alone"));
    assert_false(el_keys_allow(&keys, "Bearer other"));
}

static void files_that_hold_none(void **state) {
    (void)state;
    struct el_keys keys el_auto(el_keys_done);
    assert_int_equal(read_keys("", &keys), EL_EINVAL);
    el_keys_done(&keys);
    assert_int_equal(read_keys("# nothing\n \n", &keys), EL_EINVAL);
    assert_non_null(strstr(el_error_detail(), "one per line"));
    el_keys_done(&keys);
    assert_int_equal(el_keys_init(&keys, "/nonexistent/keys", NULL), EL_ENOENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(none_let_all_in), cmocka_unit_test(of_a_file),
                                       cmocka_unit_test(of_both), cmocka_unit_test(files_that_hold_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
