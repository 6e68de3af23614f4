// SPDX-License-Identifier: Apache-2.0
// Fuzzes the opening of a vector file: after whatever damage to it and its journal, it is refused with a
// reason, or it holds the rows of the first so many appends, and verifying tells each that is not as it was.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "vectors/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DIM = 3, APPENDS = 4, ROWS = 10 }; // 1, 2, 3 and 4 rows
static float rows[ROWS * DIM];
static char folder[] = "/tmp/eleanor-fuzz-XXXXXX", path[64], log_path[64];
static struct el_str good, good_log;

static void clean_up(void) {
    unlink(path);
    unlink(log_path);
    rmdir(folder);
}

static void make_good(void) {
    const struct el_vector_facts facts = {.dim = DIM, .metric = EL_METRIC_IP};
    struct el_vector_file *file = NULL;
    if (!mkdtemp(folder) || atexit(clean_up)) abort();
    snprintf(path, sizeof path, "%s/v", folder);
    snprintf(log_path, sizeof log_path, "%s/v.log", folder);
    for (int i = 0; i < ROWS * DIM; i++)
        rows[i] = (float)i + 0.5f;
    if (el_vector_file_create(path, &facts, &file) < 0) abort();
    for (int i = 0, first = 0; i < APPENDS; first += ++i)
        if (el_vector_file_append(file, rows + first * DIM, i + 1) < 0) abort();
    el_vector_file_close(file);
    if (el_read_file(path, 1 << 20, &good) < 0 || el_read_file(log_path, 1 << 20, &good_log) < 0) abort();
}

static void put(const char *at, const struct el_str *bytes, size_t length) {
    int fd = open(at, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || el_write_at(fd, at, bytes->data, length, 0) < 0) abort();
    close(fd);
}

// An edit is four bytes: which file and what to do, where (two bytes), and a byte to write there.
static void edit(const uint8_t *data, size_t size) {
    struct el_str one el_auto(el_str_done) = {0}, two el_auto(el_str_done) = {0};
    if (el_str_append(&one, good.data, good.length) < 0) abort();
    if (el_str_append(&two, good_log.data, good_log.length) < 0) abort();
    size_t lengths[2] = {one.length, two.length};
    for (; size >= 4; data += 4, size -= 4) {
        struct el_str *file = data[0] & 1 ? &one : &two;
        const size_t at = (size_t)(data[1] << 8 | data[2]) % file->length;
        if (data[0] & 2)
            lengths[file == &two] = at;
        else
            file->data[at] = (char)data[3];
    }
    put(path, &one, lengths[0]);
    put(log_path, &two, lengths[1]);
}

static void check(const struct el_vector_file *file) {
    const int64_t count = el_vector_file_count(file);
    if (count != 0 && count != 1 && count != 3 && count != 6 && count != ROWS) abort();
    if (el_vector_file_verify(file) < 0) return;
    if (memcmp(el_vector_file_rows(file), rows, (size_t)count * DIM * sizeof *rows) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!good.data) make_good();
    edit(data, size);
    struct el_vector_file *file = NULL;
    if (el_vector_file_open(path, size & 1, &file) < 0) {
        if (file || !*el_error_detail()) abort();
        return 0;
    }
    check(file);
    el_vector_file_close(file);
    return 0;
}
