// SPDX-License-Identifier: Apache-2.0
// safetensors files, mapped and checked: header size, offsets, overlap, bounds, dtype and shape all hold
// before a tensor is handed out. https://github.com/huggingface/safetensors#format
#ifndef EL_FORMAT_SAFETENSORS_H
#define EL_FORMAT_SAFETENSORS_H

#include <stddef.h>

#include "ops/tensor.h"

struct el_safetensors;

// EL_ENOENT, EL_EIO, EL_EFORMAT, EL_ETOOBIG (header over 100 MB), EL_EUNSUPPORTED (a dtype that no tensor of
// ours has is kept in the list but refused by find), EL_ENOMEM. The map stays until close.
int el_safetensors_open(const char *path, struct el_safetensors **ret_file);
// The same over bytes in memory that outlive the result (fuzzing, tests).
int el_safetensors_parse(const char *what, const void *bytes, size_t size, struct el_safetensors **ret_file);
void el_safetensors_close(struct el_safetensors *file);

int el_safetensors_count(const struct el_safetensors *file);
const char *el_safetensors_name(const struct el_safetensors *file, int index);
// EL_ENOENT names the tensor and the file. A tensor's data is aligned to its element size.
int el_safetensors_find(const struct el_safetensors *file, const char *name, struct el_tensor *ret_tensor);

#endif
