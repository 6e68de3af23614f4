// SPDX-License-Identifier: Apache-2.0
// What is said of indexes, as JSON: the same by the command line and over HTTP.
#ifndef EL_SERVE_INDEX_TEXT_H
#define EL_SERVE_INDEX_TEXT_H

#include "base/str.h"
#include "index/index.h"

// {"name","store","kind","dim","metric","model","documents","chunks","dead","lists","listed","bytes"};
// `store` is its name. EL_ENOMEM.
int el_index_put_stats(struct el_str *out, const char *name, const char *store,
                       const struct el_vector_facts *facts, const struct el_index_stats *stats);
// {"index","results":[{"id","part","score","text","metadata"}],"stats":{...}} of one question. EL_ENOMEM.
int el_index_put_result(struct el_str *out, const char *name, const struct el_index_list *list,
                        const struct el_query_stats *stats);
// The same of many: "results" has a list for each. EL_ENOMEM.
int el_index_put_results(struct el_str *out, const char *name, const struct el_index_list *lists,
                         size_t count, const struct el_query_stats *stats);

#endif
