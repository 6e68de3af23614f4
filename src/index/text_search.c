// SPDX-License-Identifier: Apache-2.0
// A question's words to an expression of FTS5, and the chunks that it ranks best. The words are what our
// tokenizer makes of the question, each in quotes, so nothing that a user writes is syntax.
#include "index/text_search.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "index/words.h"

struct words {
    char *words[EL_TEXT_WORDS];
    size_t count;
};

static void words_done(struct words *words) {
    for (size_t i = 0; i < words->count; i++)
        el_free(words->words[i]);
}

static int note(void *context, const char *word) {
    struct words *words = context;
    if (words->count == EL_TEXT_WORDS) return 0;
    for (size_t i = 0; i < words->count; i++)
        if (el_streq(words->words[i], word)) return 0;
    EL_TRY(el_strdup(word, &words->words[words->count]));
    words->count++;
    return 0;
}

// Words have no quotes in them: those are no letters.
static int put_expression(const struct words *words, struct el_str *expression) {
    for (size_t i = 0; i < words->count; i++)
        EL_TRY(el_str_printf(expression, "%s\"%s\"", i ? " OR " : "", words->words[i]));
    return 0;
}

// A word counts four times as much in a document's name as in a text. The limit keeps SQLite from joining
// before it has sorted.
static const char *const ranked =
    "SELECT row, score FROM"
    " (SELECT rowid AS which, -bm25(words, 1, 4) AS score FROM words WHERE words MATCH ?1"
    "  ORDER BY score DESC, which LIMIT ?2)"
    " JOIN chunks ON chunk = which ORDER BY score DESC, which";

static int collect(const struct el_sql *sql, const char *expression, const struct el_allowed *allowed, int k,
                   struct el_hit *hits, int *ret_count) {
    sqlite3_stmt *statement el_auto_statement = NULL;
    const struct el_sql_value values[] = {el_sql_string(expression),
                                          el_sql_number(allowed->rows ? INT64_MAX : k)};
    int count = 0;
    EL_TRY(el_sql_prepare(sql, ranked, 0, &statement));
    int status = el_sql_start(sql, statement, values, EL_COUNT(values));
    for (; status > 0 && count < k; status = el_sql_step(sql, statement)) {
        const int64_t row = sqlite3_column_int64(statement, 0);
        if (!el_allowed_has(allowed, row)) continue;
        hits[count++] = (struct el_hit){.row = row, .score = (float)sqlite3_column_double(statement, 1)};
    }
    if (status < 0) return status;
    *ret_count = count;
    return 0;
}

int el_text_search(const struct el_sql *sql, const struct el_text *question, const struct el_allowed *allowed,
                   int k, struct el_hit *ret_hits, int *ret_count) {
    struct words words el_auto(words_done) = {.count = 0};
    struct el_str expression el_auto(el_str_done) = {0};
    if (question->length > INT_MAX) return el_fail(EL_ETOOBIG, "the question is too long");
    EL_TRY(el_words_each(sql, question->data, question->length, note, &words));
    *ret_count = 0;
    if (!words.count) return 0;
    EL_TRY(put_expression(&words, &expression));
    return collect(sql, expression.data, allowed, k, ret_hits, ret_count);
}
