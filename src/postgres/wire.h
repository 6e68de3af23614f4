// SPDX-License-Identifier: Apache-2.0
// Values as PostgreSQL sends and takes them in binary: big-endian, in COPY each with its length before it.
#ifndef EL_POSTGRES_WIRE_H
#define EL_POSTGRES_WIRE_H

#include <libpq-fe.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

// Bytes without a length, for parameters.
int el_wire_put_i16(struct el_str *out, int16_t value);
int el_wire_put_i32(struct el_str *out, int32_t value);
int el_wire_put_i64(struct el_str *out, int64_t value);
int el_wire_put_vector(struct el_str *out, const float *vector, int dim);          // pgvector's `vector`
int el_wire_put_texts(struct el_str *out, const char *const *texts, size_t count); // text[]

// A binary COPY: its head, then for each row the number of its fields and the fields, then its tail.
int el_wire_copy_head(struct el_str *out);
int el_wire_copy_row(struct el_str *out, int16_t fields);
int el_wire_copy_tail(struct el_str *out);
int el_wire_field_i64(struct el_str *out, int64_t value);
int el_wire_field_bytes(struct el_str *out, const void *bytes, size_t size); // text, bytea
int el_wire_field_json(struct el_str *out, const char *json);                // jsonb
int el_wire_field_null(struct el_str *out);
int el_wire_field_vector(struct el_str *out, const float *vector, int dim);

// Reading results; a value of another size, which our SQL does not ask for, reads as 0. A vector of another
// dimension: EL_EFORMAT.
int32_t el_wire_i32(const PGresult *result, int row, int column);
float el_wire_f32(const PGresult *result, int row, int column);
int64_t el_wire_i64(const PGresult *result, int row, int column);
int el_wire_vector(const PGresult *result, int row, int column, int dim, float *ret_vector);

#endif
