// SPDX-License-Identifier: Apache-2.0
// Stamps: kept, replaced, dropped; found only for the same file by the same rules; lost when damaged.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "files/stamps.h"

static char path[] = "/tmp/el-stamps-XXXXXX";

static struct el_stamps *open_stamps(void) {
    struct el_stamps *stamps = NULL;
    assert_int_equal(el_stamps_open(path, &stamps), 0);
    return stamps;
}

static struct el_stamp stamp(uint64_t n) {
    return (struct el_stamp){.file = {n, 2, 3}, .rules = 7, .hash = {{n, 5}}, .outcome = EL_FILE_BINARY};
}

static void put(struct el_stamps *stamps, const char *name, uint64_t n) {
    const struct el_stamp one = stamp(n);
    assert_int_equal(el_stamps_put(stamps, name, &one), 0);
}

static bool keeps_what_begins_with_k(void *context, const char *name) {
    (void)context;
    return *name == 'k';
}

static void save(struct el_stamps *stamps) {
    assert_int_equal(el_stamps_save(stamps, keeps_what_begins_with_k, NULL), 0);
    el_stamps_close(stamps);
}

static bool has(const struct el_stamps *stamps, const char *name, uint64_t n) {
    const struct el_stamp wanted = stamp(n);
    const struct el_stamp *found = el_stamps_find(stamps, name, &wanted.file, 7);
    return found && found->hash.word[0] == n && found->outcome == EL_FILE_BINARY;
}

static void what_is_put_is_found(void **state) {
    (void)state;
    unlink(path);
    struct el_stamps *stamps = open_stamps();
    assert_false(has(stamps, "k1", 1));
    put(stamps, "x", 9);
    put(stamps, "k2", 2);
    put(stamps, "k1", 1);
    save(stamps);

    stamps = open_stamps();
    assert_true(has(stamps, "k1", 1) && has(stamps, "k2", 2) && has(stamps, "x", 9));
    const struct el_file_stamp same = stamp(1).file;
    for (int i = 0; i < 3; i++) { // every part of it counts
        struct el_file_stamp other = same;
        other.size += i == 0;
        other.mtime_ns += i == 1;
        other.ctime_ns += i == 2;
        assert_null(el_stamps_find(stamps, "k1", &other, 7));
    }
    assert_null(el_stamps_find(stamps, "k1", &same, 8));
    put(stamps, "k1", 4);
    put(stamps, "a", 5);
    save(stamps);

    stamps = open_stamps();
    assert_true(has(stamps, "a", 5) && has(stamps, "k1", 4) && has(stamps, "k2", 2));
    assert_false(has(stamps, "k1", 1) || has(stamps, "x", 9));
    el_stamps_close(stamps);
}

static void a_damaged_file_has_none(void **state) {
    struct el_str bytes el_auto(el_str_done) = {0};
    (void)state;
    save(open_stamps());
    struct el_stamps *stamps = open_stamps();
    put(stamps, "k1", 1);
    save(stamps);
    assert_int_equal(el_read_file(path, 1 << 20, &bytes), 0);
    for (size_t i = 0; i < bytes.length; i++) {
        bytes.data[i] ^= 1;
        assert_int_equal(el_write_file(path, bytes.data, bytes.length), 0);
        bytes.data[i] ^= 1;
        stamps = open_stamps();
        assert_false(has(stamps, "k1", 1));
        el_stamps_close(stamps);
        assert_int_equal(el_write_file(path, bytes.data, i), 0);
        stamps = open_stamps();
        assert_false(has(stamps, "k1", 1));
        el_stamps_close(stamps);
    }
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_put_is_found),
                                       cmocka_unit_test(a_damaged_file_has_none)};
    close(mkstemp(path));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
