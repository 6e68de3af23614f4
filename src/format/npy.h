// SPDX-License-Identifier: Apache-2.0
// NumPy's array files, as far as they are matrices of float32 (numpy.lib.format, versions 1 to 3).
#ifndef EL_FORMAT_NPY_H
#define EL_FORMAT_NPY_H

#include <stddef.h>
#include <stdint.h>

struct el_npy {
    int64_t rows, columns;
    const uint8_t *data; // [rows][columns] floats, little-endian; aligned only as the bytes that were given
};

// Reads the header of a whole file in memory; `what` names it in errors. EL_EFORMAT (no NumPy file, or one
// that is cut), EL_EUNSUPPORTED (other numbers than float32, Fortran order, not a matrix).
int el_npy_parse(const char *what, const void *bytes, size_t size, struct el_npy *ret_npy);

#endif
