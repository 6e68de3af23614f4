// SPDX-License-Identifier: Apache-2.0
// Fuzzes the file of inverted lists: after whatever damage it is refused with a reason, or a search in it
// ends with rows that there are; and one that verifies holds what was written.
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
#include "vectors/ivf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DIM = 3, ROWS = 130, K = 4, LISTS = 5 };
static float rows[ROWS * DIM];
static const struct el_vector_set set = {.dim = DIM, .metric = EL_METRIC_L2, .count = ROWS, .rows = rows};
static char folder[] = "/tmp/eleanor-fuzz-XXXXXX", path[64];
static struct el_str good;

static void clean_up(void) {
    unlink(path);
    rmdir(folder);
}

static void make_good(void) {
    if (!mkdtemp(folder) || atexit(clean_up)) abort();
    snprintf(path, sizeof path, "%s/i", folder);
    for (int i = 0; i < ROWS * DIM; i++)
        rows[i] = (float)(i * 7919 % 101);
    if (el_ivf_build(path, &set, 1, &(struct el_ivf_options){.lists = LISTS, .seed = 1}) < 0) abort();
    if (el_read_file(path, 1 << 20, &good) < 0) abort();
}

// An edit is four bytes: what to do, where (two bytes), and a byte to write there.
static void put(const uint8_t *data, size_t size) {
    struct el_str bytes el_auto(el_str_done) = {0};
    if (el_str_append(&bytes, good.data, good.length) < 0) abort();
    size_t length = bytes.length;
    for (; size >= 4; data += 4, size -= 4) {
        const size_t at = (size_t)(data[1] << 8 | data[2]) % bytes.length;
        if (data[0] == 0)
            length = at;
        else
            bytes.data[at] = (char)data[3];
    }
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || el_write_at(fd, path, bytes.data, length, 0) < 0) abort();
    close(fd);
}

static void search(const struct el_ivf *ivf) {
    struct el_hit hits[K];
    double recall;
    const int probes = el_ivf_probes(ivf, K, 0.9, &recall);
    if (el_ivf_search(ivf, &set, rows, 1, K, probes, NULL, hits) < 0) return;
    for (int i = 0; i < K; i++)
        if (hits[i].row < -1 || hits[i].row >= ROWS) abort();
}

static void check_whole(void) {
    struct el_str bytes el_auto(el_str_done) = {0};
    if (el_read_file(path, 1 << 20, &bytes) < 0) abort();
    if (bytes.length != good.length || memcmp(bytes.data, good.data, good.length) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct el_ivf *ivf = NULL;
    if (!good.data) make_good();
    put(data, size);
    if (el_ivf_open(path, &ivf) < 0) {
        if (ivf || !*el_error_detail()) abort();
        return 0;
    }
    search(ivf);
    if (el_ivf_verify(ivf) == 0) check_whole();
    el_ivf_close(ivf);
    return 0;
}
