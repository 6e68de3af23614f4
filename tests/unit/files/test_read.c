// SPDX-License-Identifier: Apache-2.0
// Whether a later change of a file would show: by the time before it is read, not behind.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "files/read.h"

static char path[] = "/tmp/el-read-XXXXXX";
static const char *to_be_written; // when the time is asked for; or NULL
static time_t later_s;            // than it is

// Stands before the C library's.
int clock_gettime(clockid_t clock, struct timespec *ret_time) {
    const char *text = to_be_written;
    to_be_written = NULL;
    if (text && clock == CLOCK_REALTIME && el_write_file(path, text, 3) < 0) return -1;
    const int status = (int)syscall(SYS_clock_gettime, clock, ret_time);
    if (clock == CLOCK_REALTIME) ret_time->tv_sec += later_s;
    return status;
}

static struct el_file_text read_file(void) {
    struct el_file_text text;
    if (el_file_read(path, 1000, &text) < 0) fail_msg("%s", el_error_detail());
    assert_int_equal(text.outcome, EL_FILE_READ);
    return text;
}

static bool is_settled(time_t after_s) {
    later_s = after_s;
    struct el_file_text text = read_file();
    later_s = 0;
    el_file_text_done(&text);
    return text.is_settled;
}

static void a_file_settles_with_time(void **state) {
    (void)state;
    assert_int_equal(el_write_file(path, "one", 3), 0);
    assert_false(is_settled(0));
    assert_true(is_settled(3));
}

// Whatever changes it from then on, while it is being read too, comes after the time that counts.
static void the_time_is_that_before_it_is_read(void **state) {
    (void)state;
    assert_int_equal(el_write_file(path, "one", 3), 0);
    to_be_written = "two";
    struct el_file_text text = read_file();
    assert_null(to_be_written);
    assert_string_equal(text.text.data, "two");
    assert_false(text.is_settled);
    el_file_text_done(&text);
}

static int make_path(void **state) {
    (void)state;
    const int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state) {
    (void)state;
    return unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_settles_with_time),
        cmocka_unit_test(the_time_is_that_before_it_is_read),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
