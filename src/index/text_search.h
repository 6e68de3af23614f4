// SPDX-License-Identifier: Apache-2.0
// Text search: the chunks that share words with a question, in their texts or their documents' names, by
// BM25, in the FTS5 table `words` of the documents' database.
#ifndef EL_INDEX_TEXT_SEARCH_H
#define EL_INDEX_TEXT_SEARCH_H

#include "eleanor/eleanor.h"
#include "index/allowed.h"
#include "index/sql.h"
#include "vectors/exact.h"

// The k best chunks that hold any word of the question, best first; larger scores are better, equal ones go
// by who came first. Words are at most EL_TEXT_WORDS different ones.
enum { EL_TEXT_WORDS = 256 };
int el_text_search(const struct el_sql *sql, const struct el_text *question, const struct el_allowed *allowed,
                   int k, struct el_hit *ret_hits /* [k] */, int *ret_count);

#endif
