// SPDX-License-Identifier: Apache-2.0
// A tokenizer of FTS5 around its unicode61.
#include "index/words.h"

#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

typedef int token_fn(void *context, int flags, const char *word, int length, int start, int end);

// ---- scripts without blanks ----

// The UTF-8 code point at `p`, which is valid and comes from unicode61; *ret_size its bytes.
static uint32_t code_point(const char *p, int *ret_size) {
    const unsigned char *u = (const unsigned char *)p;
    *ret_size = u[0] < 0x80 ? 1 : u[0] < 0xE0 ? 2 : u[0] < 0xF0 ? 3 : 4;
    if (*ret_size == 1) return u[0];
    uint32_t code = u[0] & (0x7FU >> *ret_size);
    for (int i = 1; i < *ret_size; i++)
        code = code << 6 | (u[i] & 0x3F);
    return code;
}

// Blocks of Unicode whose letters are taken in pairs.
static const struct {
    uint32_t first, last;
} paired[] = {
    {0x0E00, 0x0EFF},   // Thai, Lao
    {0x1000, 0x109F},   // Myanmar
    {0x1100, 0x11FF},   // Hangul Jamo
    {0x1780, 0x17FF},   // Khmer
    {0x3005, 0x3007},   // ideographic iteration mark, closing mark, zero
    {0x3040, 0x30FF},   // Hiragana, Katakana
    {0x31F0, 0x31FF},   // Katakana extensions
    {0x3400, 0x4DBF},   // Han, extension A
    {0x4E00, 0x9FFF},   // Han
    {0xAC00, 0xD7FF},   // Hangul
    {0xF900, 0xFAFF},   // Han, compatibility
    {0xFF66, 0xFF9F},   // half-width Katakana
    {0x20000, 0x3FFFF}, // Han, extensions B and up
};

static bool is_paired(const char *p, int *ret_size) {
    const uint32_t code = code_point(p, ret_size);
    for (size_t i = 0; i < EL_COUNT(paired); i++)
        if (code >= paired[i].first && code <= paired[i].last) return true;
    return false;
}

// ---- the tokenizer ----

struct tokenizer {
    fts5_tokenizer unicode;
    Fts5Tokenizer *inner; // of unicode61
};

// Where words go; they are told with the place of what unicode61 took for one.
struct sink {
    void *context;
    token_fn *take;
};

struct run {
    const char *begin, *end;
};

// Hands on a run of letters of one kind: as it is, or as the pairs of its characters.
static int take_run(const struct sink *sink, const struct run *run, bool pairs, int flags, int start,
                    int end) {
    const char *p = run->begin;
    int size = 0, next = 0;
    if (pairs) code_point(p, &size);
    if (!pairs || p + size == run->end)
        return sink->take(sink->context, flags, p, (int)(run->end - p), start, end);
    for (; p + size < run->end; p += size, size = next) {
        code_point(p + size, &next);
        int code = sink->take(sink->context, flags, p, size + next, start, end);
        if (code != SQLITE_OK) return code;
    }
    return SQLITE_OK;
}

// Parts what unicode61 took for one word where it goes from paired letters to others.
static int take(void *context, int flags, const char *word, int length, int start, int end) {
    const char *limit = word + length;
    for (struct run run = {word, word}; run.begin < limit; run.begin = run.end) {
        int size;
        const bool pairs = is_paired(run.begin, &size);
        do
            run.end += size;
        while (run.end < limit && is_paired(run.end, &size) == pairs);
        int code = take_run(context, &run, pairs, flags, start, end);
        if (code != SQLITE_OK) return code;
    }
    return SQLITE_OK;
}

static int tokenize(Fts5Tokenizer *self, void *context, int flags, const char *text, int length,
                    token_fn *take_word) {
    struct tokenizer *tokenizer = (struct tokenizer *)self;
    struct sink sink = {context, take_word};
    return tokenizer->unicode.xTokenize(tokenizer->inner, &sink, flags, text, length, take);
}

static void delete_tokenizer(Fts5Tokenizer *self) {
    struct tokenizer *tokenizer = (struct tokenizer *)self;
    if (tokenizer->inner) tokenizer->unicode.xDelete(tokenizer->inner);
    el_free(tokenizer);
}

// Marks belong to words, or the vowels of Indic scripts would part them.
static int create_tokenizer(void *context, const char **arguments, int count, Fts5Tokenizer **ret_tokenizer) {
    const char *unicode61[] = {"remove_diacritics", "2", "categories", "L* N* M* Co"};
    fts5_api *api = context;
    struct tokenizer *tokenizer;
    void *user;
    (void)arguments;
    (void)count;
    if (el_zalloc(1, sizeof *tokenizer, &tokenizer) < 0) return SQLITE_NOMEM;
    int code = api->xFindTokenizer(api, "unicode61", &user, &tokenizer->unicode);
    if (code == SQLITE_OK)
        code = tokenizer->unicode.xCreate(user, unicode61, EL_COUNT(unicode61), &tokenizer->inner);
    if (code == SQLITE_OK)
        *ret_tokenizer = (Fts5Tokenizer *)tokenizer;
    else
        delete_tokenizer((Fts5Tokenizer *)tokenizer);
    return code;
}

// ---- of a database ----

static int find_api(const struct el_sql *sql, fts5_api **ret_api) {
    sqlite3_stmt *statement el_auto_statement = NULL;
    fts5_api *api = NULL;
    if (sqlite3_prepare_v2(sql->db, "SELECT fts5(?1)", -1, &statement, NULL) == SQLITE_OK) {
        sqlite3_bind_pointer(statement, 1, &api, "fts5_api_ptr", NULL);
        sqlite3_step(statement);
    }
    if (!api) return el_fail(EL_EUNSUPPORTED, "SQLite here was built without FTS5, which indexes need");
    *ret_api = api;
    return 0;
}

int el_words_register(const struct el_sql *sql) {
    fts5_tokenizer tokenizer = {create_tokenizer, delete_tokenizer, tokenize};
    fts5_api *api;
    EL_TRY(find_api(sql, &api));
    return api->xCreateTokenizer(api, EL_WORDS_TOKENIZER, api, &tokenizer, NULL) == SQLITE_OK
               ? 0
               : el_sql_fail(sql);
}

struct visiting {
    int (*visit)(void *context, const char *word);
    void *context;
    int status;
};

static int visit_word(void *context, int flags, const char *word, int length, int start, int end) {
    struct visiting *visiting = context;
    char *copy el_auto_free = NULL;
    (void)flags, (void)start, (void)end;
    visiting->status = el_strndup(word, (size_t)length, &copy);
    if (visiting->status == 0) visiting->status = visiting->visit(visiting->context, copy);
    return visiting->status < 0 ? SQLITE_ABORT : SQLITE_OK;
}

int el_words_each(const struct el_sql *sql, const char *text, size_t length,
                  int (*visit)(void *context, const char *word), void *context) {
    struct visiting visiting = {.visit = visit, .context = context};
    Fts5Tokenizer *tokenizer = NULL;
    fts5_api *api;
    EL_TRY(find_api(sql, &api));
    if (create_tokenizer(api, NULL, 0, &tokenizer) != SQLITE_OK)
        return el_fail(EL_ENOMEM, "no memory for words");
    const int code = tokenize(tokenizer, &visiting, FTS5_TOKENIZE_AUX, text, (int)length, visit_word);
    delete_tokenizer(tokenizer);
    if (visiting.status < 0) return visiting.status;
    return code == SQLITE_OK ? 0 : el_fail(EL_ENOMEM, "no memory for words");
}
