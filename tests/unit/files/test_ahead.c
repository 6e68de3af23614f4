// SPDX-License-Identifier: Apache-2.0
// Reading ahead: every file once and in order, for any number of workers; and an end in the middle.
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "files/ahead.h"

enum { FILES = 700, BIG = 1 << 20 }; // more than wait at a time

static char folder[] = "/tmp/el-ahead-XXXXXX";
static char names[FILES][64];
static const char *paths[FILES];

static int make_files(void **state) {
    (void)state;
    assert_non_null(mkdtemp(folder));
    for (int i = 0; i < FILES; i++) {
        char text[64];
        snprintf(names[i], sizeof names[i], "%s/%d", folder, i);
        snprintf(text, sizeof text, "text %d", i);
        paths[i] = names[i];
        FILE *file = fopen(names[i], "w");
        assert_non_null(file);
        fputs(text, file);
        if (i % 200 == 7) // a few are large
            for (int at = 0; at < BIG; at++)
                putc('x', file);
        fclose(file);
    }
    return 0;
}

static int remove_files(void **state) {
    (void)state;
    for (int i = 0; i < FILES; i++)
        unlink(names[i]);
    rmdir(folder);
    return 0;
}

static void in_order(void **state) {
    (void)state;
    for (int workers = 1; workers <= 5; workers += 2) {
        struct el_ahead *ahead = NULL;
        assert_int_equal(el_ahead_open(paths, FILES, 2 * BIG, workers, &ahead), 0);
        for (int i = 0; i < FILES; i++) {
            struct el_file_text text el_auto(el_file_text_done) = {0};
            char begins[64];
            snprintf(begins, sizeof begins, "text %d", i);
            assert_int_equal(el_ahead_next(ahead, &text), 1);
            assert_int_equal(text.outcome, EL_FILE_READ);
            assert_int_equal(strncmp(text.text.data, begins, strlen(begins)), 0);
        }
        struct el_file_text none = {0};
        assert_int_equal(el_ahead_next(ahead, &none), 0);
        el_ahead_close(ahead);
    }
}

static void closed_in_the_middle(void **state) {
    (void)state;
    for (int taken = 0; taken < 20; taken += 4) {
        struct el_ahead *ahead = NULL;
        assert_int_equal(el_ahead_open(paths, FILES, BIG, 3, &ahead), 0);
        for (int i = 0; i < taken; i++) {
            struct el_file_text text el_auto(el_file_text_done) = {0};
            assert_int_equal(el_ahead_next(ahead, &text), 1);
        }
        el_ahead_close(ahead);
    }
}

// Each comes back with what it is, and none is waited for.
static void what_is_no_file(void **state) {
    char pipe[128], link[128];
    (void)state;
    snprintf(pipe, sizeof pipe, "%s/pipe", folder);
    snprintf(link, sizeof link, "%s/link", folder);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_int_equal(symlink("0", link), 0);
    const char *const odd[] = {pipe,        link,    folder, "/nowhere/at/all", "/proc/self/status",
                               "/dev/zero", paths[7]};
    static const enum el_file_outcome expected[] = {
        EL_FILE_UNREADABLE, EL_FILE_UNREADABLE, EL_FILE_UNREADABLE, EL_FILE_VANISHED,
        EL_FILE_READ,       EL_FILE_UNREADABLE, EL_FILE_TOO_LARGE};
    struct el_ahead *ahead = NULL;
    assert_int_equal(el_ahead_open(odd, EL_COUNT(odd), 100000, 2, &ahead), 0);
    for (size_t i = 0; i < EL_COUNT(odd); i++) {
        struct el_file_text text el_auto(el_file_text_done) = {0};
        assert_int_equal(el_ahead_next(ahead, &text), 1);
        assert_int_equal(text.outcome, expected[i]);
        assert_true(text.outcome == EL_FILE_READ ? text.text.length > 0 : text.why[0]);
    }
    el_ahead_close(ahead);
    unlink(pipe);
    unlink(link);
}

// Comes, grows and goes, until it is told to stop.
static atomic_bool stops;
static void *change(void *context) {
    const char *path = context;
    char block[3000];
    memset(block, 'x', sizeof block);
    while (!atomic_load(&stops)) {
        const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        for (int i = 0; i < 30; i++)
            if (write(fd, block, sizeof block) < 0) abort();
        close(fd);
        unlink(path);
    }
    return NULL;
}

static void a_file_that_changes_meanwhile(void **state) {
    enum { LIMIT = 50000, TRIES = 2000 };
    char path[128];
    pthread_t thread;
    size_t seen[EL_FILE_OUTCOMES] = {0};
    (void)state;
    snprintf(path, sizeof path, "%s/changing", folder);
    assert_int_equal(pthread_create(&thread, NULL, change, path), 0);
    for (int i = 0; i < TRIES; i++) {
        struct el_file_text text el_auto(el_file_text_done) = {0};
        assert_int_equal(el_file_read(path, LIMIT, &text), 0);
        seen[text.outcome]++;
        assert_true(text.text.length <= LIMIT && !text.is_settled);
        assert_int_equal(strspn(text.text.data ? text.text.data : "", "x"), text.text.length);
    }
    atomic_store(&stops, true);
    pthread_join(thread, NULL);
    assert_int_equal(seen[EL_FILE_READ] + seen[EL_FILE_TOO_LARGE] + seen[EL_FILE_VANISHED], TRIES);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_order), cmocka_unit_test(closed_in_the_middle),
                                       cmocka_unit_test(what_is_no_file),
                                       cmocka_unit_test(a_file_that_changes_meanwhile)};
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
