// SPDX-License-Identifier: Apache-2.0
// Rows as bytes, beside the rows as floats: a quarter of what a search has to read. A row is about
// `scale` x whole numbers of -127 .. 127, and how far it is from that is known, so a search that looks at the
// bytes first and at the floats where it matters finds what it finds without (exact.h).
#ifndef EL_VECTORS_CODES_H
#define EL_VECTORS_CODES_H

#include <stddef.h>
#include <stdint.h>

#include "vectors/exact.h"

struct el_codes;

enum { EL_CODES_MOST_DIM = 1 << 16 }; // sums of products fit 32 bits

// Without rows. EL_EINVAL for dimensions above the most, EL_ENOMEM.
int el_codes_open(int dim, struct el_codes **ret_codes);
void el_codes_close(struct el_codes *codes);
// Encodes the set's rows that stand behind those encoded before, which must be the same still. On failure the
// codes are as they were: EL_ENOMEM.
int el_codes_append(struct el_codes *codes, const struct el_vector_set *set, struct el_team *team);
int64_t el_codes_count(const struct el_codes *codes);
size_t el_codes_bytes(const struct el_codes *codes); // of memory that its rows take

// ---- for the search ----

// Rows that lie end to end, and how far the products of any of them may be off.
struct el_code_rows {
    const uint8_t *bytes; // [count][dim, filled up to 4], 128 is zero
    const float *scales;  // [count]; NAN: the bytes say nothing of this row
    const float *squares; // [count]: |row|^2
    float error;          // largest distance of a row from what its bytes say
    float square;         // largest |row|^2
};

int64_t el_codes_run(const struct el_codes *codes); // rows that lie end to end; the next run begins elsewhere
// Of `count` rows within one run.
struct el_code_rows el_codes_at(const struct el_codes *codes, int64_t first, int64_t count);

// How far the query is from what it is as bytes; NAN: it can't be.
double el_codes_query_error(const float *query, int dim, int8_t *scratch /* [dim] */);

#endif
