// SPDX-License-Identifier: Apache-2.0
// Values in PostgreSQL's binary forms, as its *_send and *_recv functions have them.
#include "postgres/wire.h"

#include <endian.h>
#include <string.h>

#include "base/error.h"

int el_wire_put_i16(struct el_str *out, int16_t value) {
    const uint16_t big = htobe16((uint16_t)value);
    return el_str_append(out, &big, sizeof big);
}

int el_wire_put_i32(struct el_str *out, int32_t value) {
    const uint32_t big = htobe32((uint32_t)value);
    return el_str_append(out, &big, sizeof big);
}

int el_wire_put_i64(struct el_str *out, int64_t value) {
    const uint64_t big = htobe64((uint64_t)value);
    return el_str_append(out, &big, sizeof big);
}

// vector_send: dimensions, 16 unused bits, the elements.
int el_wire_put_vector(struct el_str *out, const float *vector, int dim) {
    EL_TRY(el_wire_put_i16(out, (int16_t)dim));
    EL_TRY(el_wire_put_i16(out, 0));
    EL_TRY(el_str_reserve(out, (size_t)dim * sizeof *vector));
    for (int i = 0; i < dim; i++) {
        int32_t bits;
        memcpy(&bits, &vector[i], sizeof bits);
        EL_TRY(el_wire_put_i32(out, bits));
    }
    return 0;
}

// array_send: dimensions, whether there are NULLs, the elements' type; of each dimension size and first
// index.
int el_wire_put_texts(struct el_str *out, const char *const *texts, size_t count) {
    enum { TEXT_TYPE = 25 };
    EL_TRY(el_wire_put_i32(out, 1));
    EL_TRY(el_wire_put_i32(out, 0));
    EL_TRY(el_wire_put_i32(out, TEXT_TYPE));
    EL_TRY(el_wire_put_i32(out, (int32_t)count));
    EL_TRY(el_wire_put_i32(out, 1));
    for (size_t i = 0; i < count; i++)
        EL_TRY(el_wire_field_bytes(out, texts[i], strlen(texts[i])));
    return 0;
}

// ---- COPY ----

int el_wire_copy_head(struct el_str *out) {
    static const char signature[11] = "PGCOPY\n\377\r\n"; // with its NUL
    EL_TRY(el_str_append(out, signature, sizeof signature));
    EL_TRY(el_wire_put_i32(out, 0)); // flags
    return el_wire_put_i32(out, 0);  // of an extension of the head
}

int el_wire_copy_row(struct el_str *out, int16_t fields) {
    return el_wire_put_i16(out, fields);
}

int el_wire_copy_tail(struct el_str *out) {
    return el_wire_put_i16(out, -1);
}

int el_wire_field_i64(struct el_str *out, int64_t value) {
    EL_TRY(el_wire_put_i32(out, sizeof value));
    return el_wire_put_i64(out, value);
}

int el_wire_field_bytes(struct el_str *out, const void *bytes, size_t size) {
    if (size > INT32_MAX) return el_fail(EL_ETOOBIG, "PostgreSQL takes no value of over 2 GiB");
    EL_TRY(el_wire_put_i32(out, (int32_t)size));
    return el_str_append(out, bytes, size);
}

int el_wire_field_json(struct el_str *out, const char *json) {
    enum { VERSION = 1 };
    const size_t size = strlen(json);
    if (size >= INT32_MAX) return el_fail(EL_ETOOBIG, "PostgreSQL takes no value of over 2 GiB");
    EL_TRY(el_wire_put_i32(out, (int32_t)size + 1));
    EL_TRY(el_str_putc(out, VERSION));
    return el_str_append(out, json, size);
}

int el_wire_field_null(struct el_str *out) {
    return el_wire_put_i32(out, -1);
}

int el_wire_field_vector(struct el_str *out, const float *vector, int dim) {
    EL_TRY(el_wire_put_i32(out, (int32_t)(2 * sizeof(int16_t) + (size_t)dim * sizeof *vector)));
    return el_wire_put_vector(out, vector, dim);
}

// ---- results ----

static int32_t load_i32(const char *bytes) {
    uint32_t big;
    memcpy(&big, bytes, sizeof big);
    return (int32_t)be32toh(big);
}

int32_t el_wire_i32(const PGresult *result, int row, int column) {
    if (PQgetlength(result, row, column) != sizeof(int32_t)) return 0;
    return load_i32(PQgetvalue(result, row, column));
}

int64_t el_wire_i64(const PGresult *result, int row, int column) {
    uint64_t big;
    if (PQgetlength(result, row, column) != sizeof big) return 0;
    memcpy(&big, PQgetvalue(result, row, column), sizeof big);
    return (int64_t)be64toh(big);
}

float el_wire_f32(const PGresult *result, int row, int column) {
    const int32_t bits = el_wire_i32(result, row, column);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

int el_wire_vector(const PGresult *result, int row, int column, int dim, float *ret_vector) {
    const size_t head = 2 * sizeof(int16_t), size = head + (size_t)dim * sizeof *ret_vector;
    if ((size_t)PQgetlength(result, row, column) != size)
        return el_fail(EL_EFORMAT, "a vector in the database has not %d dimensions", dim);
    const char *bytes = PQgetvalue(result, row, column) + head;
    for (int i = 0; i < dim; i++) {
        const int32_t bits = load_i32(bytes + (size_t)i * sizeof bits);
        memcpy(&ret_vector[i], &bits, sizeof bits);
    }
    return 0;
}
