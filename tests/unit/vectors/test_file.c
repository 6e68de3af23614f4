// SPDX-License-Identifier: Apache-2.0
// The vector file: what was committed is there whole, through cuts, flipped bytes and kill -9; the rest never
// was.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "vectors/file.h"

enum { DIM = 3, HEAD = 4096, LOG_HEAD = 64, RECORD = 48 };
static const int segments[] = {5, 2, 4}; // rows of each append
enum { ROWS = 11 };

static char folder[] = "/tmp/eleanor-file-XXXXXX";
static char path[64], log_path[64];

static int make_folder(void **state) {
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/v", folder);
    snprintf(log_path, sizeof log_path, "%s/v.log", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    unlink(path);
    unlink(log_path);
    return rmdir(folder);
}

// What row i holds: no two rows are alike.
static void fill(float *rows, int64_t first, int64_t count, int dim) {
    for (int64_t i = 0; i < count * dim; i++)
        rows[i] = (float)(first * dim + i) + 0.5f;
}

static void expect_rows(const struct el_vector_file *file, int64_t count) {
    const int dim = el_vector_file_facts(file)->dim;
    const float *rows = el_vector_file_rows(file);
    assert_int_equal(el_vector_file_count(file), count);
    for (int64_t i = 0; i < count * dim; i++)
        assert_true(rows[i] == (float)i + 0.5f);
}

static void append(struct el_vector_file *file, int64_t count) {
    const int dim = el_vector_file_facts(file)->dim;
    el_auto_free float *rows = NULL;
    assert_int_equal(el_alloc((size_t)(count * dim), sizeof *rows, &rows), 0);
    fill(rows, el_vector_file_count(file), count, dim);
    assert_int_equal(el_vector_file_append(file, rows, count), 0);
}

static struct el_vector_file *create(int dim) {
    struct el_vector_file *file = NULL;
    const struct el_vector_facts facts = {.dim = dim, .metric = EL_METRIC_L2, .model = "tiny"};
    assert_int_equal(el_vector_file_create(path, &facts, &file), 0);
    return file;
}

static struct el_vector_file *reopen(bool writable) {
    struct el_vector_file *file = NULL;
    if (el_vector_file_open(path, writable, &file) < 0) fail_msg("%s", el_error_detail());
    return file;
}

// The file with its three segments, as bytes.
static void make_bytes(struct el_str *rows, struct el_str *log) {
    struct el_vector_file *file = create(DIM);
    for (size_t i = 0; i < EL_COUNT(segments); i++)
        append(file, segments[i]);
    el_vector_file_close(file);
    assert_int_equal(el_read_file(path, 1 << 20, rows), 0);
    assert_int_equal(el_read_file(log_path, 1 << 20, log), 0);
    assert_int_equal(rows->length, HEAD + ROWS * DIM * sizeof(float));
    assert_int_equal(log->length, LOG_HEAD + EL_COUNT(segments) * RECORD);
}

static void put(const char *at, const struct el_str *bytes, size_t length) {
    FILE *stream = fopen(at, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(bytes->data, 1, length, stream), length);
    assert_int_equal(fclose(stream), 0);
}

static int64_t rows_of(size_t commits) {
    int64_t rows = 0;
    for (size_t i = 0; i < commits; i++)
        rows += segments[i];
    return rows;
}

static void rows_come_back(void **state) {
    (void)state;
    struct el_vector_file *file = create(DIM);
    expect_rows(file, 0);
    append(file, 1);
    append(file, 100000); // beyond the first map
    expect_rows(file, 100001);
    el_vector_file_close(file);
    file = reopen(true);
    assert_string_equal(el_vector_file_facts(file)->model, "tiny");
    assert_int_equal(el_vector_file_facts(file)->metric, EL_METRIC_L2);
    append(file, 2);
    expect_rows(file, 100003);
    assert_int_equal(el_vector_file_verify(file), 0);
    el_vector_file_close(file);
}

static void readers_see_what_is_committed(void **state) {
    (void)state;
    struct el_vector_file *file = create(DIM), *reader = reopen(false), *other = reopen(false);
    append(file, 5);
    expect_rows(reader, 0);
    assert_int_equal(el_vector_file_refresh(reader), 0);
    expect_rows(reader, 5);
    append(file, 400000);
    assert_int_equal(el_vector_file_refresh(reader), 0);
    assert_int_equal(el_vector_file_refresh(other), 0);
    expect_rows(reader, 400005);
    expect_rows(other, 400005);
    assert_int_equal(el_vector_file_append(reader, (float[DIM]){0}, 1), EL_EIO); // it may only read
    expect_rows(reader, 400005);
    el_vector_file_close(reader);
    el_vector_file_close(other);
    el_vector_file_close(file);
}

static void rows_given_up_are_written_again(void **state) {
    (void)state;
    struct el_vector_file *file = create(DIM), *reader = reopen(false);
    const float other[3 * DIM] = {9};
    append(file, 5);
    assert_int_equal(el_vector_file_append(file, other, 3), 0);
    assert_int_equal(el_vector_file_refresh(reader), 0);
    assert_int_equal(el_vector_file_rollback(file, 9), EL_EINVAL);
    assert_int_equal(el_vector_file_rollback(file, 5), 0);
    append(file, 2);
    assert_int_equal(el_vector_file_refresh(reader), 0);
    expect_rows(reader, 7);
    assert_int_equal(el_vector_file_verify(file), 0);
    el_vector_file_close(reader);
    el_vector_file_close(file);
    file = reopen(false);
    expect_rows(file, 7);
    el_vector_file_close(file);
}

static void a_journal_cut_anywhere(void **state) {
    (void)state;
    struct el_str rows el_auto(el_str_done) = {0}, log el_auto(el_str_done) = {0};
    make_bytes(&rows, &log);
    for (size_t length = 0; length <= log.length; length++) {
        struct el_vector_file *file = NULL;
        put(path, &rows, rows.length);
        put(log_path, &log, length);
        if (length < LOG_HEAD) {
            assert_int_equal(el_vector_file_open(path, true, &file), EL_EIO);
            assert_non_null(strstr(el_error_detail(), log_path));
            assert_null(file);
            continue;
        }
        file = reopen(true);
        const int64_t count = rows_of((length - LOG_HEAD) / RECORD);
        expect_rows(file, count);
        append(file, 3); // over the torn record
        el_vector_file_close(file);
        file = reopen(false);
        expect_rows(file, count + 3);
        assert_int_equal(el_vector_file_verify(file), 0);
        el_vector_file_close(file);
    }
}

static void rows_cut_anywhere(void **state) {
    (void)state;
    struct el_str rows el_auto(el_str_done) = {0}, log el_auto(el_str_done) = {0};
    make_bytes(&rows, &log);
    for (size_t length = 0; length < rows.length; length += length < HEAD - 8 ? 509 : 1) {
        struct el_vector_file *file = NULL;
        char offset[48];
        put(path, &rows, length);
        assert_true(el_vector_file_open(path, false, &file) < 0);
        assert_null(file);
        snprintf(offset, sizeof offset, "ends at byte %zu", length);
        assert_non_null(strstr(el_error_detail(), path));
        assert_non_null(strstr(el_error_detail(), offset));
    }
}

// A flipped bit of the journal is told, or, in its last record, is that of a torn one.
static void bits_of_the_journal(void **state) {
    (void)state;
    struct el_str rows el_auto(el_str_done) = {0}, log el_auto(el_str_done) = {0};
    make_bytes(&rows, &log);
    for (size_t i = 0; i < log.length; i++) {
        struct el_vector_file *file = NULL;
        log.data[i] ^= (char)(1 << i % 8);
        put(log_path, &log, log.length);
        log.data[i] ^= (char)(1 << i % 8);
        int status = el_vector_file_open(path, false, &file);
        if (i >= log.length - RECORD) {
            assert_int_equal(status, 0);
            expect_rows(file, rows_of(2));
            el_vector_file_close(file);
            continue;
        }
        assert_true(status < 0);
        assert_non_null(strstr(el_error_detail(), log_path));
        char offset[48];
        snprintf(offset, sizeof offset, "at byte %zu", (i - LOG_HEAD) / RECORD * RECORD + LOG_HEAD);
        if (i >= LOG_HEAD) assert_non_null(strstr(el_error_detail(), offset));
    }
}

static void bits_of_the_rows(void **state) {
    (void)state;
    struct el_str rows el_auto(el_str_done) = {0}, log el_auto(el_str_done) = {0};
    make_bytes(&rows, &log);
    for (size_t i = 0; i < rows.length; i += i < HEAD - 16 && i > 64 ? 61 : 1) {
        struct el_vector_file *file = NULL;
        rows.data[i] ^= (char)(1 << i % 8);
        put(path, &rows, rows.length);
        rows.data[i] ^= (char)(1 << i % 8);
        int status = el_vector_file_open(path, false, &file);
        const bool is_last = i >= HEAD + (size_t)rows_of(2) * DIM * sizeof(float);
        if (i >= HEAD && !is_last) { // seen by those who look
            assert_int_equal(status, 0);
            status = el_vector_file_verify(file);
            el_vector_file_close(file);
        }
        assert_int_equal(status, i < 8 ? EL_EFORMAT : EL_ECHECKSUM);
        assert_non_null(strstr(el_error_detail(), path));
        if (is_last) assert_non_null(strstr(el_error_detail(), "rows 7 to 10"));
    }
}

static void two_files_do_not_mix(void **state) {
    (void)state;
    struct el_str rows el_auto(el_str_done) = {0}, log el_auto(el_str_done) = {0};
    struct el_vector_file *file = NULL;
    make_bytes(&rows, &log);
    el_vector_file_close(create(DIM));
    put(log_path, &log, log.length);
    assert_int_equal(el_vector_file_open(path, false, &file), EL_EFORMAT);
    assert_non_null(strstr(el_error_detail(), "another vector file"));
}

static void facts_that_cannot_be(void **state) {
    (void)state;
    struct el_vector_file *file = NULL;
    struct el_vector_facts facts = {.dim = 0};
    assert_int_equal(el_vector_file_create(path, &facts, &file), EL_EINVAL);
    facts.dim = EL_VECTOR_MAX_DIM + 1;
    assert_int_equal(el_vector_file_create(path, &facts, &file), EL_EINVAL);
    facts = (struct el_vector_facts){.dim = 1, .metric = (enum el_metric)9};
    assert_int_equal(el_vector_file_create(path, &facts, &file), EL_EINVAL);
    assert_int_equal(el_vector_file_open("/nowhere/v", false, &file), EL_ENOENT);
    assert_null(file);
}

// A disk that is full: the append fails and says so, the file is as before, and goes on when there is room.
static void a_full_disk(void **state) {
    (void)state;
    struct el_vector_file *file = create(DIM);
    struct rlimit old, tight;
    float many[1000 * DIM];
    append(file, 5);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = (struct rlimit){HEAD + 200, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    fill(many, 5, 1000, DIM);
    int status = el_vector_file_append(file, many, 1000);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(status, EL_EIO);
    assert_non_null(strstr(el_error_detail(), path));
    expect_rows(file, 5);
    append(file, 1000);
    el_vector_file_close(file);
    file = reopen(false);
    expect_rows(file, 1005);
    assert_int_equal(el_vector_file_verify(file), 0);
    el_vector_file_close(file);
}

// Appends for ever, and says after each how many rows there are.
static void append_for_ever(int report) {
    struct el_vector_file *file = NULL;
    enum { MOST = 64, WIDE = 96 };
    static float rows[MOST * WIDE];
    if (el_vector_file_open(path, true, &file) < 0) _exit(1);
    for (int64_t i = 0;; i++) {
        int64_t count = el_vector_file_count(file), more = 1 + i * 7 % MOST;
        fill(rows, count, more, WIDE);
        if (el_vector_file_append(file, rows, more) < 0) _exit(1);
        count += more;
        if (write(report, &count, sizeof count) != sizeof count) _exit(1);
    }
}

// Starts a writer, kills it after some microseconds; the last number of rows that it reported.
static int64_t kill_a_writer(unsigned after_us) {
    int pipe_ends[2], how;
    int64_t count = 0, reported;
    assert_int_equal(pipe(pipe_ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) append_for_ever(pipe_ends[1]);
    close(pipe_ends[1]);
    usleep(after_us);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how)); // it did not fail by itself
    while (read(pipe_ends[0], &reported, sizeof reported) == sizeof reported)
        count = reported;
    close(pipe_ends[0]);
    return count;
}

// EL_KILLS=1000 for the long run.
static void writers_that_are_killed(void **state) {
    (void)state;
    const char *wish = getenv("EL_KILLS");
    int64_t kills = 30, acknowledged = 0;
    if (wish) assert_int_equal(el_parse_i64(wish, 1, 1000000, &kills), 0);
    srand(7);
    for (int64_t i = 0; i < kills; i++) {
        if (i % 50 == 0) { // so that it does not grow without end
            el_vector_file_close(create(96));
            acknowledged = 0;
        }
        const int64_t reported = kill_a_writer((unsigned)rand() % 20000);
        acknowledged = EL_MAX(acknowledged, reported);
        struct el_vector_file *file = reopen(false);
        const int64_t count = el_vector_file_count(file);
        assert_true(count >= acknowledged && count <= acknowledged + 64);
        expect_rows(file, count);
        assert_int_equal(el_vector_file_verify(file), 0);
        el_vector_file_close(file);
        acknowledged = count;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back),
        cmocka_unit_test(readers_see_what_is_committed),
        cmocka_unit_test(rows_given_up_are_written_again),
        cmocka_unit_test(a_journal_cut_anywhere),
        cmocka_unit_test(rows_cut_anywhere),
        cmocka_unit_test(bits_of_the_journal),
        cmocka_unit_test(bits_of_the_rows),
        cmocka_unit_test(two_files_do_not_mix),
        cmocka_unit_test(facts_that_cannot_be),
        cmocka_unit_test(a_full_disk),
        cmocka_unit_test(writers_that_are_killed),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
