// SPDX-License-Identifier: Apache-2.0
// Libraries that may be there or not (drivers): loaded when asked for, their functions looked up into a
// struct of pointers. With an X-macro list of X(name, ...) in driver_api.def:
//
//     struct el_driver_api { ... };             // one pointer per row, named as the function
//     static const struct el_dl_symbol symbols[] = {
//     #define X(name, ...) {#name, offsetof(struct el_driver_api, name), false},
//     #include "device/driver_api.def"
//     };
//     EL_TRY(el_dl_load("libdriver.so.1", symbols, EL_COUNT(symbols), &api));
#ifndef EL_BASE_DL_H
#define EL_BASE_DL_H

#include <stdbool.h>
#include <stddef.h>

struct el_dl_symbol {
    const char *name;
    size_t offset; // of its pointer in the struct
    bool optional; // NULL when the library lacks it, instead of a failure
};

// Fills the struct of pointers. The library stays loaded until the process ends: drivers keep threads.
// Loading it again is cheap. EL_EUNSUPPORTED when it is absent or lacks a symbol; the detail says which.
int el_dl_load(const char *library, const struct el_dl_symbol *symbols, size_t count, void *ret_functions);

// The file that a loaded library is. EL_ENOENT: it is not loaded. Cut to size.
int el_dl_path(const char *library, char *ret_path, size_t size);

#endif
