// SPDX-License-Identifier: Apache-2.0
// Fuzzes the file of stamps, with a sum that is right so that its records are reached: it has none, or is
// found in by path without a step beyond its bytes.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/siphash.h"
#include "files/stamps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int fd = -1;
    char path[64];
    struct el_stamps *stamps = NULL;
    if (fd < 0) fd = memfd_create("stamps", 0);
    const struct el_hash128 sum = el_siphash_of(NULL, data, size);
    if (fd < 0 || ftruncate(fd, 0) < 0) abort();
    if (el_write_at(fd, "stamps", "ELSTMP1", 8, 0) < 0 ||
        el_write_at(fd, "stamps", &sum, sizeof sum, 8) < 0 ||
        el_write_at(fd, "stamps", data, size, 8 + sizeof sum) < 0)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (el_stamps_open(path, &stamps) < 0) abort();
    el_stamps_find(stamps, "/a", &(struct el_file_stamp){1, 2, 3}, 7);
    el_stamps_close(stamps);
    return 0;
}
