// SPDX-License-Identifier: Apache-2.0
// The sentences of sts-test.csv, and long texts joined from them, as tests/golden/vectors.py reads them.
#ifndef EL_TESTS_STS_H
#define EL_TESTS_STS_H

#include <stddef.h>

#include "base/str.h"
#include "eleanor/eleanor.h"

enum {
    STS_PAIRS = 1379,
    STS_SENTENCES = 2 * STS_PAIRS,
    STS_LONG_JOIN = 16,
    STS_LONG = STS_SENTENCES / STS_LONG_JOIN
};

struct sts {
    struct el_str file, joined;             // hold the bytes of all below
    struct el_text sentence[STS_SENTENCES]; // in reading order, two a line
    double score[STS_PAIRS];                // 0 .. 5, by humans
    struct el_text long_text[STS_LONG];     // 16 sentences joined by spaces, about 200 tokens each
};

// False, with a line that says so, when the file is not there.
bool sts_read(const char *path, struct sts *sts);
void sts_done(struct sts *sts);

#endif
