// SPDX-License-Identifier: Apache-2.0
// Loading a library at run time.
#include "base/dl.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

int el_dl_load(const char *library, const struct el_dl_symbol *symbols, size_t count, void *ret_functions) {
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!handle) {
        const char *why = dlerror();
        if (why && strstr(why, "No such file")) return el_fail(EL_EUNSUPPORTED, "%s was not found", library);
        return el_fail(EL_EUNSUPPORTED, "%s does not load: %s", library, why ? why : "no reason given");
    }
    for (size_t i = 0; i < count; i++)
        if (!symbols[i].optional && !dlsym(handle, symbols[i].name)) {
            dlclose(handle);
            return el_fail(EL_EUNSUPPORTED, "%s has no %s: it is too old for eleanor", library,
                           symbols[i].name);
        }
    for (size_t i = 0; i < count; i++) {
        void *function = dlsym(handle, symbols[i].name);
        memcpy((char *)ret_functions + symbols[i].offset, &function, sizeof function);
    }
    dlclose(handle); // RTLD_NODELETE keeps it
    return 0;
}

int el_dl_path(const char *library, char *ret_path, size_t size) {
    void *handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
    const struct link_map *map = NULL;
    if (!handle) return el_fail(EL_ENOENT, "%s is not loaded", library);
    const int found = dlinfo(handle, RTLD_DI_LINKMAP, &map);
    snprintf(ret_path, size, "%s", found == 0 ? map->l_name : library);
    dlclose(handle);
    return 0;
}
