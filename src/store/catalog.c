// SPDX-License-Identifier: Apache-2.0
// Look-ups in the tables that catalog.def expands into.
#include "store/catalog.h"

#include <inttypes.h>
#include <strings.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

const struct el_catalog_model el_catalog[] = {
#define FILE(...)
#define MODEL(name_, hub_, revision_, license_, ...) \
    {.name = name_,                                  \
     .hub = hub_,                                    \
     .revision = revision_,                          \
     .license = license_,                            \
     .aliases = (const char *const[]){hub_, ##__VA_ARGS__, NULL}},
#include "store/catalog.def"
#undef MODEL
#undef FILE
};
const size_t el_catalog_count = EL_COUNT(el_catalog);

enum { OPTIONAL, REQUIRED };

static const struct el_catalog_file files[] = {
#define MODEL(...)
#define FILE(model_, required_, path_, size_, sha256_) \
    {.model = model_, .required = required_, .path = path_, .size = size_, .sha256 = sha256_},
#include "store/catalog.def"
#undef MODEL
#undef FILE
};

static bool answers_to(const struct el_catalog_model *model, const char *name) {
    if (!strcasecmp(model->name, name)) return true;
    for (const char *const *alias = model->aliases; *alias; alias++)
        if (!strcasecmp(*alias, name)) return true;
    return false;
}

const struct el_catalog_model *el_catalog_find(const char *name) {
    for (size_t i = 0; i < el_catalog_count; i++)
        if (answers_to(&el_catalog[i], name)) return &el_catalog[i];
    return NULL;
}

const struct el_catalog_model *el_catalog_find_weights(const char *sha256) {
    for (size_t i = 0; i < EL_COUNT(files); i++)
        if (el_streq(files[i].path, "model.safetensors") && !strcasecmp(files[i].sha256, sha256))
            return el_catalog_find(files[i].model);
    return NULL;
}

const struct el_catalog_file *el_catalog_file(const struct el_catalog_model *model, size_t index) {
    for (size_t i = 0; i < EL_COUNT(files); i++)
        if (el_streq(files[i].model, model->name) && index-- == 0) return &files[i];
    return NULL;
}

bool el_catalog_lists(const struct el_catalog_model *model, const char *path) {
    const struct el_catalog_file *file;
    for (size_t i = 0; (file = el_catalog_file(model, i)); i++)
        if (el_streq(file->path, path)) return true;
    return false;
}

int el_catalog_check(const struct el_catalog_model *model, const char *path, uint64_t size,
                     const char *sha256) {
    const struct el_catalog_file *file, *expected = NULL;
    for (size_t i = 0; (file = el_catalog_file(model, i)); i++) {
        if (!el_streq(file->path, path)) continue;
        if (!strcasecmp(file->sha256, sha256)) return 0;
        if (!expected) expected = file;
    }
    if (!expected) return el_fail(EL_EINVAL, "the catalog lists no file %s for %s", path, model->name);
    return el_fail(EL_ECHECKSUM,
                   "%s of %s has the wrong checksum: expected sha256 %s (%" PRIu64 " bytes), got %s (%" PRIu64
                   " bytes)",
                   path, model->name, expected->sha256, expected->size, sha256, size);
}
