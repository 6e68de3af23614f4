// SPDX-License-Identifier: Apache-2.0
// Search by meaning: names to folders, texts to chunks to vectors.
#include "service/search.h"

#include <ctype.h>
#include <errno.h>
#include <fts.h>
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "service/chunk.h"
#include "service/embedder.h"
#include "service/parts.h"
#include "service/stores.h"

// ---- names ----

static bool is_name(const char *name) {
    enum { LONGEST = 100 };
    const size_t length = strlen(name);
    if (length > LONGEST || !isalnum((unsigned char)*name)) return false;
    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_') return false;
    return true;
}

int el_search_name_check(const char *name) {
    if (is_name(name)) return 0;
    return el_fail(EL_EINVAL,
                   "\"%.120s\" is no name of an index: 1 to 100 letters, digits, '-' and '_', the first a "
                   "letter or a digit",
                   name);
}

static int find_folder(const char *root, const char *name, char **ret_folder) {
    EL_TRY(el_search_name_check(name));
    return el_path_join(root, name, ret_folder);
}

static int fail_named(int status, const char *name) {
    if (status == EL_ENOENT)
        return el_fail(status, "no index is called \"%s\"; `eleanor index create %s` makes one", name, name);
    return el_fail_in(status, "index %s", name);
}

int el_search_create(const char *root, const char *name, const char *url,
                     const struct el_vector_facts *facts) {
    char *folder el_auto_free = NULL;
    const struct el_index_store *store;
    EL_TRY(find_folder(root, name, &folder));
    EL_TRY(el_stores_choose(url, &store));
    EL_TRY(el_mkdirs(root));
    int status = store->create(folder, url, facts);
    return status < 0 ? fail_named(status, name) : 0;
}

int el_search_open(const char *root, const char *name, bool writable, struct el_index **ret_index) {
    char *folder el_auto_free = NULL, *url el_auto_free = NULL;
    const struct el_index_store *store;
    EL_TRY(find_folder(root, name, &folder));
    EL_TRY(el_stores_find(folder, &store, &url));
    int status = store->open(folder, url, writable, ret_index);
    return status < 0 ? fail_named(status, name) : 0;
}

int el_search_delete(const char *root, const char *name) {
    char *folder el_auto_free = NULL, *url el_auto_free = NULL;
    const struct el_index_store *store;
    EL_TRY(find_folder(root, name, &folder));
    EL_TRY(el_stores_find(folder, &store, &url));
    int status = store->drop(folder, url);
    if (status < 0) return fail_named(status, name);
    return el_parts_delete(root, name);
}

static int by_name(const FTSENT **a, const FTSENT **b) {
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

int el_search_list(const char *root, int (*visit)(void *context, const char *name), void *context) {
    if (!el_path_exists(root)) return 0;
    FTS *tree = fts_open((char *const[]){(char *)(uintptr_t)root, NULL}, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    if (!tree) return el_fail(EL_EIO, "cannot read %s: %s", root, strerror(errno));
    int status = 0;
    for (FTSENT *entry; status >= 0 && (entry = fts_read(tree));) {
        if (entry->fts_info != FTS_D || entry->fts_level == 0) continue;
        if (is_name(entry->fts_name)) status = visit(context, entry->fts_name);
        fts_set(tree, entry, FTS_SKIP);
    }
    fts_close(tree);
    return status < 0 ? status : 0;
}

// ---- texts to vectors ----

// The first of the names that the model has a prompt for; NULL: its default, or none.
static const struct el_prompt *choose_prompt(const struct el_embedder *embedder, const char *const *names) {
    for (; *names; names++)
        for (int i = 0; i < embedder->sentence.prompt_count; i++)
            if (el_streq(embedder->sentence.prompts[i].name, *names)) return &embedder->sentence.prompts[i];
    return embedder->prompt;
}

// As sentence-transformers' encode_query and encode_document choose them.
static const char *const query_prompts[] = {"query", NULL};
static const char *const document_prompts[] = {"document", "passage", "corpus", NULL};

static int embed(struct el_embedder *embedder, const char *const *prompts, const struct el_text *texts,
                 size_t count, float *vectors) {
    const struct el_prompt *prompt = choose_prompt(embedder, prompts);
    const struct el_embed_options options = {.allow_empty = true, .prompt = prompt ? prompt->name : NULL};
    return el_embed_all(embedder, texts, count, &options, vectors);
}

static int check_dim(const struct el_index *index, const struct el_embedder *embedder) {
    const int dim = el_index_facts(index)->dim, made = el_embedder_dim(embedder);
    if (dim == made) return 0;
    return el_fail(EL_EINVAL, "the index holds vectors of %d dimensions, the model makes such of %d", dim,
                   made);
}

// ---- adding ----

struct counting {
    const struct el_embedder *embedder;
    const struct el_prompt *prompt;
    struct el_tokens tokens;
    int64_t around; // tokens of the prompt and those that stand around each text
};

static int count_tokens(void *context, const struct el_text *text, int64_t *ret_tokens) {
    struct counting *counting = context;
    EL_TRY(el_embedder_encode(counting->embedder, counting->prompt, text, &counting->tokens));
    *ret_tokens = counting->tokens.total - counting->around;
    return 0;
}

// Documents on their way into an index.
struct adding {
    struct el_index *index;
    const struct el_search_document *documents;
    struct el_index_document *puts; // [count]
    size_t count;
    struct el_chunks chunks; // of all documents
};

enum { MOST_TOKENS = 512, OVERLAP = 8 }; // beyond that a vector says too little of too much; an eighth

// `most`: tokens of a text that the model takes.
static int find_rules(const struct el_search_document *document, int64_t most, struct counting *counting,
                      struct el_chunk_rules *ret_rules) {
    const int64_t wanted = document->chunk_tokens;
    const int64_t tokens = wanted ? wanted : EL_MIN(most, MOST_TOKENS);
    const int64_t overlap = document->chunk_overlap == EL_SEARCH_NO_OVERLAP ? 0
                            : document->chunk_overlap                       ? document->chunk_overlap
                                                                            : tokens / OVERLAP;
    if (tokens > most)
        return el_fail(EL_EINVAL, "chunks of %" PRId64 " tokens: the model takes texts of %" PRId64, tokens,
                       most);
    if (overlap >= tokens)
        return el_fail(EL_EINVAL, "an overlap of %" PRId64 " tokens in chunks of %" PRId64, overlap, tokens);
    *ret_rules = (struct el_chunk_rules){.by = document->by,
                                         .title = document->title,
                                         .tokens = tokens,
                                         .overlap = overlap,
                                         .count = count_tokens,
                                         .context = counting};
    return 0;
}

static int cut_document(struct adding *adding, size_t which, int64_t most, struct counting *counting) {
    const struct el_search_document *document = &adding->documents[which];
    const size_t before = adding->chunks.count;
    struct el_chunk_rules rules;
    EL_TRY(find_rules(document, most, counting, &rules));
    EL_TRY(el_chunk_text(&document->text, &rules, &adding->chunks));
    adding->puts[which].chunks = (int64_t)(adding->chunks.count - before);
    return 0;
}

// Cuts each document; adding->puts[i].chunks says how many chunks are whose.
static int cut_documents(struct adding *adding, const struct el_embedder *embedder) {
    struct counting counting = {.embedder = embedder, .prompt = choose_prompt(embedder, document_prompts)};
    int64_t around = 0;
    int status = count_tokens(&counting, &(struct el_text){"", 0}, &around);
    counting.around = around;
    const int64_t most = EL_MAX(1, el_embedder_max_tokens(embedder) - around);
    for (size_t i = 0; status == 0 && i < adding->count; i++)
        status = cut_document(adding, i, most, &counting);
    el_tokens_done(&counting.tokens);
    return status;
}

struct el_hash128 el_search_hash(const struct el_index *index, const struct el_search_document *document) {
    const struct el_hash128 text = el_index_hash(index, document->text.data, document->text.length);
    const struct el_hash128 title =
        el_index_hash(index, document->title, document->title ? strlen(document->title) : 0);
    const uint64_t all[] = {text.word[0],
                            text.word[1],
                            title.word[0],
                            document->by,
                            (uint64_t)document->chunk_tokens,
                            (uint64_t)document->chunk_overlap};
    return el_index_hash(index, all, sizeof all);
}

static int embed_and_put(struct adding *adding, struct el_embedder *embedder) {
    float *vectors el_auto_free = NULL;
    const size_t dim = (size_t)el_embedder_dim(embedder);
    EL_TRY(cut_documents(adding, embedder));
    EL_TRY(el_alloc(adding->chunks.count, dim * sizeof *vectors, &vectors));
    EL_TRY(embed(embedder, document_prompts, adding->chunks.texts, adding->chunks.count, vectors));
    size_t first = 0; // chunk of the document
    for (size_t i = 0; i < adding->count; i++) {
        struct el_index_document *document = &adding->puts[i];
        document->id = adding->documents[i].id;
        document->metadata = adding->documents[i].metadata;
        document->hash = el_search_hash(adding->index, &adding->documents[i]);
        document->texts = document->chunks ? &adding->chunks.texts[first] : NULL;
        first += (size_t)document->chunks;
    }
    return el_index_put(adding->index, adding->puts, adding->count, vectors);
}

int el_search_add(struct el_index *index, struct el_embedder *embedder,
                  const struct el_search_document *documents, size_t count, int64_t *ret_chunks) {
    struct adding adding = {.index = index, .documents = documents, .count = count};
    EL_TRY(check_dim(index, embedder));
    EL_TRY(el_zalloc(count, sizeof *adding.puts, &adding.puts));
    int status = embed_and_put(&adding, embedder);
    if (status == 0) *ret_chunks = (int64_t)adding.chunks.count;
    el_chunks_done(&adding.chunks);
    el_free(adding.puts);
    return status;
}

bool el_search_embeds(const struct el_index_query *query) {
    return query->mode != EL_QUERY_TEXT && !query->vectors;
}

int el_search_query(struct el_index *index, struct el_embedder *embedder, const struct el_index_query *query,
                    struct el_index_answer *ret_answer) {
    float *vectors el_auto_free = NULL;
    struct el_index_query embedded = *query;
    if (!el_search_embeds(query)) return el_index_search(index, query, ret_answer);
    EL_TRY(check_dim(index, embedder));
    EL_TRY(el_alloc(query->count, (size_t)el_embedder_dim(embedder) * sizeof *vectors, &vectors));
    EL_TRY(embed(embedder, query_prompts, query->texts, query->count, vectors));
    embedded.vectors = vectors;
    return el_index_search(index, &embedded, ret_answer);
}
