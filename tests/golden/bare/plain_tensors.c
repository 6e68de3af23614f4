// SPDX-License-Identifier: Apache-2.0
// format/safetensors.h over two plain files, so that src/model/bert.c reads its weights without a JSON
// library: PATH.txt has a line "NAME DTYPE OFFSET DIM [DIM ...]" for each tensor, PATH.bin the bytes. They
// are written by gpu_vectors.py a moment before, from a file of safetensors.
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "format/safetensors.h"

enum { NAME_SIZE = 128, MAX_TENSORS = 4096 };

struct entry {
    char name[NAME_SIZE];
    struct el_tensor tensor;
};

struct el_safetensors {
    struct el_map bytes;
    struct entry *entries; // [count]
    int count;
};

static int read_dtype(const char *text, enum el_dtype *ret_dtype) {
    for (int dtype = EL_F32; dtype <= EL_I32; dtype++)
        if (el_streq(text, el_dtype_text((enum el_dtype)dtype))) {
            *ret_dtype = (enum el_dtype)dtype;
            return 0;
        }
    return el_fail(EL_EFORMAT, "no dtype is named %s", text);
}

static int read_entry(const struct el_safetensors *file, const char *line, struct entry *ret_entry) {
    char dtype[8];
    int64_t offset = 0, dim[2] = {0};
    struct entry entry = {0};
    const int found = sscanf(line, "%127s %7s %" SCNd64 " %" SCNd64 " %" SCNd64, entry.name, dtype, &offset,
                             &dim[0], &dim[1]);
    if (found < 4) return el_fail(EL_EFORMAT, "not a tensor: %s", line);
    entry.tensor = (struct el_tensor){.rank = found - 3, .dim = {dim[0], dim[1]}};
    EL_TRY(read_dtype(dtype, &entry.tensor.dtype));
    const size_t size = (size_t)el_tensor_count(&entry.tensor) * el_dtype_size(entry.tensor.dtype);
    if (offset < 0 || (size_t)offset > file->bytes.size || size > file->bytes.size - (size_t)offset)
        return el_fail(EL_EFORMAT, "%s ends after the file", entry.name);
    entry.tensor.data = (void *)(uintptr_t)(file->bytes.data + offset);
    *ret_entry = entry;
    return 0;
}

static int read_entries(struct el_safetensors *file, const char *path) {
    char line[256];
    FILE *index = fopen(path, "r");
    if (!index) return el_fail(EL_ENOENT, "cannot read %s", path);
    int status = el_zalloc(MAX_TENSORS, sizeof *file->entries, &file->entries);
    while (status == 0 && file->count < MAX_TENSORS && fgets(line, sizeof line, index)) {
        status = read_entry(file, line, &file->entries[file->count]);
        if (status == 0) file->count++;
    }
    fclose(index);
    return status;
}

int el_safetensors_open(const char *path, struct el_safetensors **ret_file) {
    struct el_safetensors *file = NULL;
    el_auto(el_str_done) struct el_str index = {0}, bytes = {0};
    EL_TRY(el_str_printf(&index, "%s.txt", path));
    EL_TRY(el_str_printf(&bytes, "%s.bin", path));
    EL_TRY(el_zalloc(1, sizeof *file, &file));
    int status = el_map_open(bytes.data, &file->bytes);
    if (status == 0) status = read_entries(file, index.data);
    if (status < 0) {
        el_safetensors_close(file);
        return status;
    }
    *ret_file = file;
    return 0;
}

void el_safetensors_close(struct el_safetensors *file) {
    if (!file) return;
    el_free(file->entries);
    el_map_close(&file->bytes);
    el_free(file);
}

int el_safetensors_find(const struct el_safetensors *file, const char *name, struct el_tensor *ret_tensor) {
    for (int i = 0; i < file->count; i++)
        if (el_streq(file->entries[i].name, name)) {
            *ret_tensor = file->entries[i].tensor;
            return 0;
        }
    return el_fail(EL_ENOENT, "there is no tensor \"%s\"", name);
}
