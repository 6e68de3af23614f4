// SPDX-License-Identifier: Apache-2.0
// The stores that there are.
#include "service/stores.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "index/folder.h"
#include "postgres/postgres.h"

static const struct el_index_store *const stores[] = {&el_embedded_store, &el_postgres_store};

static bool takes(const struct el_index_store *store, const char *url) {
    return url ? store->scheme && el_starts_with(url, store->scheme) : !store->scheme;
}

int el_stores_choose(const char *url, const struct el_index_store **ret_store) {
    for (size_t i = 0; i < EL_COUNT(stores); i++) {
        if (!takes(stores[i], url)) continue;
        *ret_store = stores[i];
        return 0;
    }
    return el_fail(EL_EINVAL, "no store has such a URL; it is postgres://USER@HOST:PORT/DATABASE, or none");
}

int el_stores_find(const char *folder, const struct el_index_store **ret_store, char **ret_url) {
    char *url el_auto_free = NULL;
    EL_TRY(el_index_read_url(folder, &url));
    EL_TRY(el_stores_choose(url, ret_store));
    *ret_url = el_steal(url);
    return 0;
}
