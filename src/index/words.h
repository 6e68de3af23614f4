// SPDX-License-Identifier: Apache-2.0
// What text search takes for words: runs of letters and digits of any script, without case and accents, as
// SQLite's unicode61 finds them; where a script has no blanks between words (Chinese, Japanese, Thai...), and
// in Korean, all pairs of characters that follow each other, as Lucene's CJK analyzer has them.
#ifndef EL_INDEX_WORDS_H
#define EL_INDEX_WORDS_H

#include "index/sql.h"

#define EL_WORDS_TOKENIZER "eleanor" // FTS5 tables: tokenize = 'eleanor', or 'porter eleanor' for stems

// Makes the tokenizer known to the database, which every use of its FTS5 tables needs. EL_EUNSUPPORTED:
// SQLite was built without FTS5; EL_ENOMEM.
int el_words_register(const struct el_sql *sql);

// Calls `visit` with each word of a text as it is, not its stem, NUL-terminated, until it is negative.
// EL_ENOMEM.
int el_words_each(const struct el_sql *sql, const char *text, size_t length,
                  int (*visit)(void *context, const char *word), void *context);

#endif
