// SPDX-License-Identifier: Apache-2.0
// safetensors: eight bytes of header length, a JSON header that names tensors, then their bytes end to end.
// Nothing in the file is believed before it is checked; after that a tensor is a view into the map.
#include "format/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

enum { LENGTH_BYTES = 8, HEADER_LIMIT = 100 * 1000 * 1000 }; // bytes; the limit is the format's own

// Every dtype of the format by its size, so that offsets can be checked for tensors that we can't use.
static const struct kind {
    const char *name;
    unsigned bits; // per element
    int dtype;     // enum el_dtype, or -1: listed, but refused by find
} kinds[] = {
    {"F32", 32, EL_F32},    {"F16", 16, EL_F16},    {"BF16", 16, EL_BF16}, {"I8", 8, EL_I8},
    {"I32", 32, EL_I32},    {"BOOL", 8, -1},        {"U8", 8, -1},         {"I16", 16, -1},
    {"U16", 16, -1},        {"U32", 32, -1},        {"I64", 64, -1},       {"U64", 64, -1},
    {"F64", 64, -1},        {"C64", 64, -1},        {"F8_E4M3", 8, -1},    {"F8_E5M2", 8, -1},
    {"F8_E8M0", 8, -1},     {"F4", 4, -1},          {"F6_E2M3", 6, -1},    {"F6_E3M2", 6, -1},
    {"F8_E4M3FNUZ", 8, -1}, {"F8_E5M2FNUZ", 8, -1},
};

struct entry {
    const char *name; // borrowed from the header
    const struct kind *kind;
    const json_t *shape; // borrowed; checked to hold whole numbers >= 0
    size_t begin, end;   // bytes from the start of the data
    const uint8_t *data;
};

struct el_safetensors {
    char *what; // names the file in errors
    struct el_map map;
    json_t *header;
    struct entry *entries; // by name
    int count;
    uint8_t *copies; // tensors that lie unaligned in the file; NULL when none does
};

static const struct kind *find_kind(const char *name) {
    for (size_t i = 0; i < EL_COUNT(kinds); i++)
        if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
    return NULL;
}

// The bytes that a tensor of this shape takes. EL_EFORMAT when the shape is not one or is too large.
static int shape_bytes(const char *what, const struct entry *entry, size_t *ret_bytes) {
    size_t bits = entry->kind->bits;
    bool empty = false;
    for (size_t i = 0; i < json_array_size(entry->shape); i++) {
        const json_t *dim = json_array_get(entry->shape, i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return el_fail(EL_EFORMAT,
                           "%s: tensor \"%s\": shape holds something else than whole numbers >= 0", what,
                           entry->name);
        if (json_integer_value(dim) == 0) empty = true;
        if (!empty && !el_mul_size(bits, (size_t)json_integer_value(dim), &bits))
            return el_fail(EL_EFORMAT, "%s: tensor \"%s\": shape is too large to exist", what, entry->name);
    }
    if (!empty && bits % 8 != 0)
        return el_fail(EL_EFORMAT, "%s: tensor \"%s\" does not fill whole bytes", what, entry->name);
    *ret_bytes = empty ? 0 : bits / 8;
    return 0;
}

static int read_offset(const char *what, const char *name, const json_t *value, size_t *ret_offset) {
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return el_fail(EL_EFORMAT, "%s: tensor \"%s\": data_offsets must be two whole numbers >= 0", what,
                       name);
    *ret_offset = (size_t)json_integer_value(value);
    return 0;
}

// One row of the header: the parts are there, of the right types, and shape, dtype and offsets agree.
static int read_entry(const char *what, const char *name, const json_t *row, struct entry *ret_entry) {
    const json_t *offsets = json_object_get(row, "data_offsets");
    const char *dtype = json_string_value(json_object_get(row, "dtype"));
    struct entry entry = {.name = name, .shape = json_object_get(row, "shape")};
    if (!dtype || !json_is_array(entry.shape) || json_array_size(offsets) != 2)
        return el_fail(EL_EFORMAT, "%s: tensor \"%s\" must have dtype, shape and two data_offsets", what,
                       name);
    entry.kind = find_kind(dtype);
    if (!entry.kind)
        return el_fail(EL_EFORMAT, "%s: tensor \"%s\" has unknown dtype \"%s\"", what, name, dtype);

    size_t bytes = 0;
    EL_TRY(read_offset(what, name, json_array_get(offsets, 0), &entry.begin));
    EL_TRY(read_offset(what, name, json_array_get(offsets, 1), &entry.end));
    EL_TRY(shape_bytes(what, &entry, &bytes));
    if (entry.end < entry.begin || entry.end - entry.begin != bytes)
        return el_fail(EL_EFORMAT,
                       "%s: tensor \"%s\" takes %zu bytes by its shape, but data_offsets are %zu to %zu",
                       what, name, bytes, entry.begin, entry.end);
    *ret_entry = entry;
    return 0;
}

static int check_metadata(const char *what, const json_t *metadata) {
    const char *key;
    json_t *value;
    if (!json_is_object(metadata)) return el_fail(EL_EFORMAT, "%s: __metadata__ must be an object", what);
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value) if (!json_is_string(value)) return el_fail(
        EL_EFORMAT, "%s: __metadata__ \"%s\" must be a string", what, key);
    return 0;
}

static int read_entries(struct el_safetensors *file) {
    const char *name;
    json_t *row;
    EL_TRY(el_zalloc(json_object_size(file->header), sizeof *file->entries, &file->entries));
    json_object_foreach(file->header, name, row) {
        if (strcmp(name, "__metadata__") == 0) {
            EL_TRY(check_metadata(file->what, row));
            continue;
        }
        EL_TRY(read_entry(file->what, name, row, &file->entries[file->count]));
        file->count++;
    }
    return 0;
}

static int by_offset(const void *a, const void *b) {
    const struct entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

// The format wants the data covered exactly: no overlap, no hole, nothing after the last tensor.
static int check_coverage(const struct el_safetensors *file, size_t data_size) {
    size_t covered = 0;
    for (int i = 0; i < file->count; i++) {
        const struct entry *entry = &file->entries[i];
        if (entry->end > data_size)
            return el_fail(EL_EFORMAT, "%s: tensor \"%s\" ends at byte %zu of %zu: the file is cut short",
                           file->what, entry->name, entry->end, data_size);
        if (entry->begin != covered)
            return el_fail(EL_EFORMAT, "%s: tensor \"%s\" %s the one before it (bytes %zu and %zu)",
                           file->what, entry->name,
                           entry->begin < covered ? "overlaps" : "leaves a hole after", entry->begin,
                           covered);
        covered = entry->end;
    }
    if (covered != data_size)
        return el_fail(EL_EFORMAT, "%s: %zu bytes follow the last tensor", file->what, data_size - covered);
    return 0;
}

static size_t element_bytes(const struct entry *entry) {
    return entry->kind->dtype < 0 ? 1 : entry->kind->bits / 8;
}

// The bytes of a copy: whole eights, and never none, so that an empty tensor has an address of its own too.
static size_t copy_bytes(const struct entry *entry) {
    return ((entry->end - entry->begin) / 8 + 1) * 8;
}

// Points each entry at its bytes. Files of old writers do not align the data; those tensors are copied, each
// to a place that is a multiple of eight.
static int place_data(struct el_safetensors *file, const uint8_t *data) {
    size_t total = 0;
    for (int i = 0; i < file->count; i++) {
        struct entry *entry = &file->entries[i];
        entry->data = data + entry->begin;
        if ((uintptr_t)entry->data % element_bytes(entry)) total += copy_bytes(entry);
    }
    if (!total) return 0;
    EL_TRY(el_alloc_aligned(total, 1, &file->copies));
    uint8_t *place = file->copies;
    for (int i = 0; i < file->count; i++) {
        struct entry *entry = &file->entries[i];
        if ((uintptr_t)entry->data % element_bytes(entry) == 0) continue;
        entry->data = memcpy(place, entry->data, entry->end - entry->begin);
        place += copy_bytes(entry);
    }
    return 0;
}

// The header's extent, before a byte of it is parsed.
static int check_header(const char *what, const uint8_t *bytes, size_t size, size_t *ret_length) {
    uint64_t length = 0;
    if (size < LENGTH_BYTES)
        return el_fail(EL_EFORMAT, "%s: %zu bytes are too few for a safetensors file", what, size);
    for (int i = LENGTH_BYTES - 1; i >= 0; i--)
        length = length << 8 | bytes[i];
    if (length > HEADER_LIMIT)
        return el_fail(EL_ETOOBIG, "%s: a header of %" PRIu64 " bytes is over the format's limit of %d", what,
                       length, HEADER_LIMIT);
    if (length > size - LENGTH_BYTES)
        return el_fail(EL_EFORMAT, "%s: the header (%" PRIu64 " bytes) ends after the file (%zu bytes)", what,
                       length, size);
    if (length == 0 || bytes[LENGTH_BYTES] != '{')
        return el_fail(EL_EFORMAT, "%s: the header does not begin with '{': not a safetensors file", what);
    *ret_length = (size_t)length;
    return 0;
}

static int load(struct el_safetensors *file, const char *what, const uint8_t *bytes, size_t size) {
    size_t length = 0;
    EL_TRY(el_strdup(what, &file->what));
    EL_TRY(check_header(what, bytes, size, &length));
    EL_TRY(el_json_parse(what, bytes + LENGTH_BYTES, length, &file->header));
    EL_TRY(read_entries(file));
    qsort(file->entries, (size_t)file->count, sizeof *file->entries, by_offset);
    EL_TRY(check_coverage(file, size - LENGTH_BYTES - length));
    qsort(file->entries, (size_t)file->count, sizeof *file->entries, by_name);
    return place_data(file, bytes + LENGTH_BYTES + length);
}

static void close_p(struct el_safetensors **file) {
    el_safetensors_close(*file);
}

int el_safetensors_parse(const char *what, const void *bytes, size_t size, struct el_safetensors **ret_file) {
    el_auto(close_p) struct el_safetensors *file = NULL;
    EL_TRY(el_zalloc(1, sizeof *file, &file));
    EL_TRY(load(file, what, bytes, size));
    *ret_file = el_steal(file);
    return 0;
}

int el_safetensors_open(const char *path, struct el_safetensors **ret_file) {
    el_auto(close_p) struct el_safetensors *file = NULL;
    EL_TRY(el_zalloc(1, sizeof *file, &file));
    EL_TRY(el_map_open(path, &file->map));
    EL_TRY(load(file, path, file->map.data, file->map.size));
    *ret_file = el_steal(file);
    return 0;
}

void el_safetensors_close(struct el_safetensors *file) {
    if (!file) return;
    el_free(file->copies);
    el_free(file->entries);
    json_decref(file->header);
    el_map_close(&file->map);
    el_free(file->what);
    el_free(file);
}

int el_safetensors_count(const struct el_safetensors *file) {
    return file->count;
}

const char *el_safetensors_name(const struct el_safetensors *file, int index) {
    return file->entries[index].name;
}

int el_safetensors_find(const struct el_safetensors *file, const char *name, struct el_tensor *ret_tensor) {
    struct entry key = {.name = name};
    const struct entry *entry = NULL;
    if (file->count) entry = bsearch(&key, file->entries, (size_t)file->count, sizeof key, by_name);
    if (!entry) return el_fail(EL_ENOENT, "%s has no tensor \"%s\"", file->what, name);
    if (entry->kind->dtype < 0)
        return el_fail(EL_EUNSUPPORTED,
                       "%s: tensor \"%s\" has dtype %s; F32, F16, BF16, I8 and I32 are supported", file->what,
                       name, entry->kind->name);
    size_t rank = json_array_size(entry->shape);
    if (rank > EL_MAX_RANK)
        return el_fail(EL_EUNSUPPORTED, "%s: tensor \"%s\" has %zu dimensions; at most %d are supported",
                       file->what, name, rank, EL_MAX_RANK);
    // The map is read-only: a tensor's data is never written through this pointer.
    struct el_tensor tensor = {.dtype = (enum el_dtype)entry->kind->dtype,
                               .rank = (int)rank,
                               .data = (void *)(uintptr_t)entry->data};
    for (size_t i = 0; i < rank; i++)
        tensor.dim[i] = json_integer_value(json_array_get(entry->shape, i));
    *ret_tensor = tensor;
    return 0;
}
