// SPDX-License-Identifier: Apache-2.0
// Progress: plain lines on a pipe, a bar on a terminal (a pseudo-terminal plays it), nothing when silent. The
// clock of a piece of work is set back by hand, so that no test waits.
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/progress.h"

static const uint64_t second_ns = 1000000000;

static void set_back(struct el_progress *progress, uint64_t seconds) {
    progress->start_ns -= seconds * second_ns;
    progress->shown_ns -= seconds * second_ns;
    progress->rate_ns -= seconds * second_ns;
}

static void plain_lines_every_few_seconds(void **state) {
    (void)state;
    char text[1024] = "";
    FILE *stream = fmemopen(text, sizeof text, "w");
    struct el_progress progress;
    el_progress_open(&progress, stream);
    el_progress_start(&progress, "weights", NULL, 90000000, 0);
    el_progress_set(&progress, 1000);
    assert_string_equal(text, ""); // too soon
    set_back(&progress, 6);
    el_progress_set(&progress, 45000000);
    assert_non_null(strstr(text, "weights:  50 % of 90.0 MB, 7.5 MB/s, 0:06 left\n"));
    el_progress_add(&progress, 45000000);
    el_progress_finish(&progress);
    assert_non_null(strstr(text, "weights: 100 % of 90.0 MB, "));
    fclose(stream);
}

static void short_work_is_silent_on_a_pipe(void **state) {
    (void)state;
    char text[256] = "";
    FILE *stream = fmemopen(text, sizeof text, "w");
    struct el_progress progress;
    el_progress_open(&progress, stream);
    el_progress_start(&progress, "weights", NULL, 10, 0);
    el_progress_set(&progress, 10);
    el_progress_finish(&progress);
    fclose(stream);
    assert_string_equal(text, "");
}

static void what_was_there_before_counts_for_no_rate(void **state) {
    (void)state;
    char text[1024] = "";
    FILE *stream = fmemopen(text, sizeof text, "w");
    struct el_progress progress;
    el_progress_open(&progress, stream);
    el_progress_start(&progress, "x", "texts", 0, 1000);
    set_back(&progress, 10);
    el_progress_set(&progress, 2000);
    fflush(stream);
    assert_non_null(strstr(text, "x: 2000 texts, 100 texts/s\n"));
    fclose(stream);
}

static void a_bar_fits_the_terminal(void **state) {
    (void)state;
    int master, slave;
    struct winsize size = {.ws_row = 24, .ws_col = 60};
    assert_int_equal(openpty(&master, &slave, NULL, NULL, &size), 0);
    FILE *stream = fdopen(slave, "w");
    struct el_progress progress;
    el_progress_open(&progress, stream);
    assert_true(progress.is_terminal);
    el_progress_start(&progress, "w", NULL, 1000, 0);
    set_back(&progress, 1);
    el_progress_set(&progress, 500);
    char text[512] = "";
    assert_true(read(master, text, sizeof text - 1) > 0);
    assert_non_null(strstr(text, "\rw ["));
    assert_non_null(strstr(text, "=>"));
    assert_non_null(strstr(text, "50 % of 1.0 kB, 500 B/s, 0:01 left"));
    assert_true(strlen(text) - strlen("\r\033[K") <= 59);
    el_progress_finish(&progress);
    memset(text, 0, sizeof text);
    assert_true(read(master, text, sizeof text - 1) > 0);
    assert_string_equal(text, "\r\033[K"); // the bar is gone
    fclose(stream);
    close(master);
}

static void notes_stay(void **state) {
    (void)state;
    char text[256] = "";
    FILE *stream = fmemopen(text, sizeof text, "w");
    struct el_progress progress;
    el_progress_open(&progress, stream);
    el_progress_start(&progress, "x", NULL, 0, 0);
    el_progress_note(&progress, "trying again in %d s", 2);
    fclose(stream);
    assert_string_equal(text, "trying again in 2 s\n");
}

static void silent_without_a_stream(void **state) {
    (void)state;
    struct el_progress progress;
    el_progress_open(&progress, NULL);
    el_progress_start(&progress, "x", NULL, 10, 0);
    el_progress_add(&progress, 5);
    el_progress_note(&progress, "x");
    el_progress_finish(&progress);
    el_progress_start(NULL, "x", NULL, 10, 0);
    el_progress_add(NULL, 5);
    el_progress_note(NULL, "x");
    el_progress_finish(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_lines_every_few_seconds),
        cmocka_unit_test(short_work_is_silent_on_a_pipe),
        cmocka_unit_test(what_was_there_before_counts_for_no_rate),
        cmocka_unit_test(a_bar_fits_the_terminal),
        cmocka_unit_test(notes_stay),
        cmocka_unit_test(silent_without_a_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
