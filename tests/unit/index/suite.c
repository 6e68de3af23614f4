// SPDX-License-Identifier: Apache-2.0
// What every store must do: what was put is found, once, through replacing, removing, compacting and kills;
// readers see one state of the whole.
#include "suite.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"

static char root[] = "/tmp/eleanor-index-XXXXXX";
char suite_folder[64];

int suite_make_root(void **state) {
    (void)state;
    assert_non_null(mkdtemp(root));
    snprintf(suite_folder, sizeof suite_folder, "%s/docs", root);
    return 0;
}

int suite_remove_root(void **state) {
    (void)state;
    return rmdir(root);
}

int suite_remove_index(void **state) {
    (void)state;
    return suite.store->drop(suite_folder, suite.url);
}

int suite_make_index(enum el_metric metric) {
    const struct el_vector_facts facts = {.dim = SUITE_DIM, .metric = metric, .model = "tiny"};
    return suite.store->create(suite_folder, suite.url, &facts);
}

int suite_make_ip_index(void **state) {
    (void)state;
    return suite_make_index(EL_METRIC_IP);
}

struct el_index *suite_open(bool writable) {
    struct el_index *index = NULL;
    if (suite.store->open(suite_folder, suite.url, writable, &index) < 0) fail_msg("%s", el_error_detail());
    return index;
}

// A document of `chunks` chunks. Chunk i of document n has the vector (n, i, 1, 0) and the text "n.i".
int suite_put(struct el_index *index, int n, int chunks) {
    enum { MOST = 8, TEXT = 16 };
    char id[TEXT], bytes[MOST][TEXT];
    struct el_text texts[MOST];
    float vectors[MOST * SUITE_DIM];
    snprintf(id, sizeof id, "doc-%d", n);
    for (int i = 0; i < chunks; i++) {
        texts[i].length = (size_t)snprintf(bytes[i], TEXT, "%d.%d", n, i);
        texts[i].data = bytes[i];
        memcpy(vectors + i * SUITE_DIM, (float[SUITE_DIM]){(float)n, (float)i, 1, 0},
               SUITE_DIM * sizeof(float));
    }
    const struct el_index_document document = {.id = id,
                                               .metadata = suite.metadata,
                                               .hash = {{(uint64_t)n, (uint64_t)chunks}},
                                               .chunks = chunks,
                                               .texts = texts};
    return el_index_put(index, &document, 1, vectors);
}

void suite_expect_stats(struct el_index *index, int64_t documents, int64_t chunks, int64_t dead) {
    struct el_index_stats stats;
    assert_int_equal(el_index_stats(index, &stats), 0);
    assert_int_equal(stats.documents, documents);
    assert_int_equal(stats.chunks, chunks);
    assert_int_equal(stats.dead, suite.keeps_dead ? dead : 0);
    assert_true(stats.bytes > 4096);
}

static int search(struct el_index *index, const float *vector, int k, struct el_index_answer *ret_answer) {
    return el_index_search(index, &(struct el_index_query){.count = 1, .vectors = vector, .k = k},
                           ret_answer);
}

// The texts of the answer, best first: "2.1 2.0".
void suite_expect_found(struct el_index *index, const float *query, int k, const char *texts) {
    struct el_index_answer answer;
    struct el_str found el_auto(el_str_done) = {0};
    if (search(index, query, k, &answer) < 0) fail_msg("%s", el_error_detail());
    for (size_t i = 0; i < answer.lists[0].count; i++)
        assert_int_equal(el_str_printf(&found, "%s%s", i ? " " : "", answer.lists[0].hits[i].text), 0);
    assert_string_equal(found.data ? found.data : "", texts);
    el_index_answer_done(&answer);
}

const float suite_by_number[SUITE_DIM] = {10, 1}; // the highest document first, of it the last chunk

void what_was_put_is_found(void **state) {
    (void)state;
    struct el_index *index = suite_open(true);
    struct el_index_answer answer;
    struct el_hash128 hash;
    suite_expect_found(index, suite_by_number, 3, "");
    for (int n = 1; n <= 3; n++)
        assert_int_equal(suite_put(index, n, 2), 0);
    suite_expect_stats(index, 3, 6, 0);
    suite_expect_found(index, suite_by_number, 3, "3.1 3.0 2.1");
    suite_expect_found(index, suite_by_number, 100, "3.1 3.0 2.1 2.0 1.1 1.0");
    assert_int_equal(search(index, suite_by_number, 1, &answer), 0);
    assert_string_equal(answer.lists[0].hits[0].id, "doc-3");
    assert_string_equal(answer.lists[0].hits[0].metadata, suite.metadata);
    assert_int_equal(answer.lists[0].hits[0].part, 1);
    assert_true(answer.lists[0].hits[0].score == 31);
    el_index_answer_done(&answer);
    assert_int_equal(el_index_find(index, "doc-2", &hash), 1);
    assert_int_equal(hash.word[0], 2);
    assert_int_equal(el_index_find(index, "doc", &hash), 0);
    el_index_close(index);
    index = suite_open(false);
    suite_expect_found(index, suite_by_number, 1, "3.1");
    assert_string_equal(el_index_facts(index)->model, "tiny");
    assert_int_equal(suite_put(index, 4, 1), EL_EINVAL); // it may only read
    el_index_close(index);
}

void a_document_is_replaced_and_removed(void **state) {
    (void)state;
    struct el_index *index = suite_open(true), *reader = suite_open(false);
    int64_t removed;
    for (int n = 1; n <= 3; n++)
        assert_int_equal(suite_put(index, n, 3), 0);
    suite_expect_found(reader, suite_by_number, 2, "3.2 3.1");
    assert_int_equal(suite_put(index, 3, 1), 0);
    suite_expect_found(reader, suite_by_number, 3, "3.0 2.2 2.1");
    const char *const ids[] = {"doc-3", "doc-9", "doc-1"};
    assert_int_equal(el_index_remove(index, ids, 3, &removed), 0);
    assert_int_equal(removed, 2);
    suite_expect_found(reader, suite_by_number, 9, "2.2 2.1 2.0");
    suite_expect_stats(reader, 1, 3, 7);
    assert_int_equal(el_index_verify(reader), 0);
    assert_int_equal(el_index_compact(index), 0);
    suite_expect_stats(reader, 1, 3, 0);
    suite_expect_found(reader, suite_by_number, 9, "2.2 2.1 2.0"); // the reader has gone over to the new file
    assert_int_equal(suite_put(index, 5, 1), 0);
    suite_expect_found(reader, suite_by_number, 2, "5.0 2.2");
    assert_int_equal(el_index_compact(index), 0);
    assert_int_equal(el_index_verify(index), 0);
    assert_int_equal(suite_put(index, 2, 0), 0); // a document may have no chunk
    suite_expect_found(index, suite_by_number, 9, "5.0");
    el_index_close(reader);
    el_index_close(index);
    index = suite_open(true);
    suite_expect_found(index, suite_by_number, 9, "5.0");
    el_index_close(index);
}

static int count_id(void *context, const char *id) {
    (void)id;
    return ++*(int *)context < 0;
}

void ids_by_prefix(void **state) {
    (void)state;
    struct el_index *index = suite_open(true);
    static const char *const ids[] = {"/a/b", "/a/bc", "/a/%", "/A/b"};
    for (size_t i = 0; i < EL_COUNT(ids); i++)
        assert_int_equal(el_index_put(index, &(struct el_index_document){.id = ids[i]}, 1, NULL), 0);
    static const struct {
        const char *prefix;
        int count;
    } cases[] = {{"", 4}, {"/a/", 3}, {"/a/b", 2}, {"/a/%", 1}, {"/x", 0}};
    for (size_t i = 0; i < EL_COUNT(cases); i++) {
        int count = 0;
        assert_int_equal(el_index_each(index, cases[i].prefix, count_id, &count), 0);
        assert_int_equal(count, cases[i].count);
    }
    el_index_close(index);
}

// ---- reading and merging ----

// All that is read from `after` on, a line for each document: "doc-3 3:1 3.0@3,0".
static void expect_read(struct el_index *index, int64_t after, const char *lines) {
    struct el_str read el_auto(el_str_done) = {0};
    struct el_index_page page;
    if (el_index_read(index, after, &page) < 0) fail_msg("%s", el_error_detail());
    const float *vector = page.vectors;
    for (size_t i = 0; i < page.count; i++) {
        const struct el_index_document *document = &page.documents[i];
        assert_int_equal(el_str_printf(&read, "%s %d:%d", document->id, (int)document->hash.word[0],
                                       (int)document->hash.word[1]),
                         0);
        for (int64_t j = 0; j < document->chunks; j++, vector += SUITE_DIM)
            assert_int_equal(el_str_printf(&read, " %s@%g,%g",
                                           document->texts[j].data ? document->texts[j].data : "-", vector[0],
                                           vector[1]),
                             0);
        assert_int_equal(el_str_putc(&read, '\n'), 0);
        assert_string_equal(document->metadata ? document->metadata : suite.metadata, suite.metadata);
    }
    assert_string_equal(read.data ? read.data : "", lines);
    el_index_page_done(&page);
}

void documents_are_read_in_their_order(void **state) {
    (void)state;
    struct el_index *index = suite_open(true), *reader = suite_open(false);
    struct el_index_page page;
    const struct el_index_document bare = {.id = "bare", .chunks = 1};
    expect_read(reader, 0, "");
    assert_int_equal(suite_put(index, 2, 2), 0);
    assert_int_equal(el_index_put(index, &bare, 1, (float[SUITE_DIM]){7, 8}), 0);
    assert_int_equal(suite_put(index, 1, 0), 0);
    expect_read(reader, 0, "doc-2 2:2 2.0@2,0 2.1@2,1\nbare 0:0 -@7,8\ndoc-1 1:0\n");
    assert_int_equal(el_index_read(reader, 0, &page), 0);
    assert_int_equal(suite_put(index, 2, 1), 0); // comes anew
    expect_read(reader, page.last, "doc-2 2:1 2.0@2,0\n");
    expect_read(reader, 0, "bare 0:0 -@7,8\ndoc-1 1:0\ndoc-2 2:1 2.0@2,0\n");
    el_index_page_done(&page);
    el_index_close(reader);
    el_index_close(index);
}

void pages_end_where_they_are_full(void **state) {
    (void)state;
    enum { LARGE = 6 << 20, COUNT = 4 };
    struct el_index *index = suite_open(true);
    char *bytes el_auto_free = NULL;
    int64_t last = 0, read = 0, pages = 0;
    assert_int_equal(el_alloc(LARGE, 1, &bytes), 0);
    memset(bytes, 'x', LARGE);
    const struct el_text texts[2] = {{bytes, LARGE}, {bytes, 1}};
    for (int i = 0; i < COUNT; i++) {
        const struct el_index_document document = {
            .id = (char[]){(char)('a' + i), '\0'}, .chunks = 2, .texts = texts};
        assert_int_equal(el_index_put(index, &document, 1, (float[2 * SUITE_DIM]){(float)i}), 0);
    }
    for (size_t count = 1; count; pages++) {
        struct el_index_page page;
        assert_int_equal(el_index_read(index, last, &page), 0);
        for (size_t i = 0; i < page.count; i++, read++) {
            assert_int_equal(*page.documents[i].id, 'a' + read);
            assert_int_equal(page.documents[i].texts[0].length, LARGE);
            assert_int_equal(page.documents[i].texts[1].length, 1);
            assert_true(page.vectors[i * 2 * SUITE_DIM] == (float)read);
        }
        count = page.count;
        last = page.last;
        el_index_page_done(&page);
    }
    assert_int_equal(read, COUNT);
    assert_in_range(pages, 3, COUNT + 1); // with the empty one
    el_index_close(index);
}

static struct el_index *open_part(const struct el_index *whole, const char *folder) {
    struct el_index *part = NULL;
    if (el_index_create_part(folder, whole) < 0 || el_index_open(folder, true, &part) < 0)
        fail_msg("%s", el_error_detail());
    return part;
}

static void expect_merged(struct el_index *whole, struct el_index *part, int64_t wanted) {
    int64_t added = -1;
    if (el_index_merge(whole, &part, 1, NULL, NULL, &added) < 0) fail_msg("%s", el_error_detail());
    assert_int_equal(added, wanted);
}

// Into an index of this store, and out of it into one of the embedded store.
void parts_are_merged(void **state) {
    (void)state;
    char into[80], out[80];
    snprintf(into, sizeof into, "%s.into", suite_folder);
    snprintf(out, sizeof out, "%s.out", suite_folder);
    struct el_index *index = suite_open(true), *part = open_part(index, into), *copy = open_part(index, out);
    assert_int_equal(suite_put(index, 1, 1), 0);
    for (int n = 1; n <= 3; n++)
        assert_int_equal(suite_put(part, n, 2), 0);
    expect_merged(index, part, 3);
    expect_merged(index, part, 0);
    const char *all = "doc-1 1:2 1.0@1,0 1.1@1,1\ndoc-2 2:2 2.0@2,0 2.1@2,1\ndoc-3 3:2 3.0@3,0 3.1@3,1\n";
    expect_read(index, 0, all);
    suite_expect_found(index, suite_by_number, 3, "3.1 3.0 2.1");
    expect_merged(copy, index, 3);
    expect_merged(copy, index, 0);
    expect_read(copy, 0, all);
    struct el_index *const ends[] = {copy, part, index};
    for (size_t i = 0; i < EL_COUNT(ends); i++)
        el_index_close(ends[i]);
    assert_int_equal(el_index_delete(into), 0);
    assert_int_equal(el_index_delete(out), 0);
}

void vectors_that_cannot_be(void **state) {
    (void)state;
    assert_int_equal(suite_make_index(EL_METRIC_COSINE), 0);
    struct el_index *index = suite_open(true);
    struct el_index_answer answer;
    const struct el_index_document document = {.id = "x", .chunks = 2};
    float vectors[2 * SUITE_DIM] = {3, 4, 0, 0, 0, 0, 0, 0};
    assert_int_equal(el_index_put(index, &document, 1, vectors), EL_EINVAL);
    assert_non_null(strstr(el_error_detail(), "x: vector 1 is all zeros"));
    vectors[SUITE_DIM] = NAN;
    assert_int_equal(el_index_put(index, &document, 1, vectors), EL_EINVAL);
    assert_non_null(strstr(el_error_detail(), "not finite"));
    vectors[SUITE_DIM] = INFINITY;
    assert_int_equal(el_index_put(index, &document, 1, vectors), EL_EINVAL);
    assert_int_equal(search(index, vectors + SUITE_DIM, 1, &answer), EL_EINVAL);
    assert_int_equal(search(index, vectors, 0, &answer), EL_EINVAL);
    assert_int_equal(el_index_put(index, &(struct el_index_document){.id = ""}, 1, NULL), EL_EINVAL);
    suite_expect_stats(index, 0, 0, 0);
    vectors[SUITE_DIM] = -1;
    assert_int_equal(el_index_put(index, &document, 1, vectors), 0);
    assert_int_equal(search(index, (float[SUITE_DIM]){30, 40, 0, 0}, 2, &answer), 0);
    assert_true(fabsf(answer.lists[0].hits[0].score - 1) < 1e-6F); // cosine, whatever the lengths
    assert_true(fabsf(answer.lists[0].hits[1].score + 0.6F) < 1e-6F);
    el_index_answer_done(&answer);
    el_index_close(index);
}

// ---- kill -9 ----

enum { DOCUMENTS = 40 };

// Puts documents for ever, each time with another number of chunks, and now and then compacts. Says of each
// suite_put which document it was and how many chunks it has.
static void put_for_ever(int report, unsigned seed) {
    struct el_index *index = NULL;
    if (suite.store->open(suite_folder, suite.url, true, &index) < 0) _exit(1);
    for (;;) {
        const int told[2] = {rand_r(&seed) % DOCUMENTS, rand_r(&seed) % 8 + 1};
        if (suite_put(index, told[0], told[1]) < 0) _exit(1);
        if (write(report, told, sizeof told) != sizeof told) _exit(1);
        if (rand_r(&seed) % 16 == 0 && el_index_compact(index) < 0) _exit(1);
    }
}

// Every acknowledged suite_put holds, save that one more may have come through which was not acknowledged any
// more.
static int expect_documents(struct el_index *index, int chunks[DOCUMENTS]) {
    int others = 0;
    int64_t documents = 0, total = 0;
    for (int n = 0; n < DOCUMENTS; n++) {
        char id[16];
        struct el_hash128 hash = {{0}};
        snprintf(id, sizeof id, "doc-%d", n);
        const int found = el_index_find(index, id, &hash);
        assert_true(found >= 0);
        others += (int)hash.word[1] != chunks[n];
        chunks[n] = (int)hash.word[1];
        documents += found;
        total += chunks[n];
    }
    struct el_index_stats stats;
    assert_int_equal(el_index_stats(index, &stats), 0);
    assert_int_equal(stats.documents, documents);
    assert_int_equal(stats.chunks, total);
    return others;
}

// Each chunk is found once, with its own vector.
static void expect_vectors(struct el_index *index, const int chunks[DOCUMENTS]) {
    struct el_index_answer answer;
    bool seen[DOCUMENTS][8] = {{false}};
    size_t total = 0;
    assert_int_equal(search(index, suite_by_number, 1000, &answer), 0);
    for (size_t i = 0; i < answer.lists[0].count; i++) {
        const struct el_index_hit *hit = &answer.lists[0].hits[i];
        int64_t n;
        char text[32];
        assert_int_equal(el_parse_i64(hit->id + strlen("doc-"), 0, DOCUMENTS - 1, &n), 0);
        snprintf(text, sizeof text, "%d.%d", (int)n, (int)hit->part);
        assert_string_equal(hit->text, text);
        assert_true(hit->score == (float)(10 * n + hit->part));
        assert_false(seen[n][hit->part]);
        seen[n][hit->part] = true;
    }
    for (int n = 0; n < DOCUMENTS; n++)
        total += (size_t)chunks[n];
    assert_int_equal(answer.lists[0].count, total);
    el_index_answer_done(&answer);
}

static void kill_a_writer(unsigned seed, int chunks[DOCUMENTS]) {
    int pipe_ends[2], how, told[2];
    assert_int_equal(pipe(pipe_ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) put_for_ever(pipe_ends[1], seed);
    close(pipe_ends[1]);
    usleep(rand_r(&seed) % 60000);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how)); // it did not fail by itself
    if (suite.settle) suite.settle();
    while (read(pipe_ends[0], told, sizeof told) == sizeof told)
        chunks[told[0]] = told[1];
    close(pipe_ends[0]);
}

// EL_KILLS=1000 for the long run.
void writers_that_are_killed(void **state) {
    (void)state;
    const char *wish = getenv("EL_KILLS");
    int64_t kills = 30;
    int chunks[DOCUMENTS] = {0};
    if (wish) assert_int_equal(el_parse_i64(wish, 1, 1000000, &kills), 0);
    for (int64_t i = 0; i < kills; i++) {
        kill_a_writer((unsigned)i + 1, chunks);
        struct el_index *index = suite_open(i % 2); // one that writes sweeps up, one that reads does not
        assert_true(expect_documents(index, chunks) <= 1);
        expect_vectors(index, chunks);
        assert_int_equal(el_index_verify(index), 0);
        el_index_close(index);
    }
}

// ---- many questions ----

static void expect_same(const struct el_index_list *a, const struct el_index_list *b) {
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_string_equal(a->hits[i].id, b->hits[i].id);
        assert_string_equal(a->hits[i].text, b->hits[i].text);
        assert_int_equal(a->hits[i].part, b->hits[i].part);
        assert_true(a->hits[i].score == b->hits[i].score);
    }
}

// Question i has the vector (1, i, 0, 0) and the text "i.0", which one document has.
enum { QUESTIONS = 20 };
struct questions {
    float vectors[QUESTIONS][SUITE_DIM];
    char words[QUESTIONS][16];
    struct el_text texts[QUESTIONS];
};

static void make_questions(struct questions *questions) {
    memset(questions, 0, sizeof *questions);
    for (int i = 0; i < QUESTIONS; i++) {
        questions->vectors[i][0] = 1;
        questions->vectors[i][1] = (float)i;
        questions->texts[i].data = questions->words[i];
        questions->texts[i].length =
            (size_t)snprintf(questions->words[i], sizeof *questions->words, "%d.0", i);
    }
}

static void ask_together_and_alone(struct el_index *index, enum el_query_mode mode, const char *filter) {
    struct questions questions;
    struct el_index_answer together, alone;
    make_questions(&questions);
    struct el_index_query query = {.mode = mode,
                                   .count = QUESTIONS,
                                   .vectors = questions.vectors[0],
                                   .texts = questions.texts,
                                   .k = 7,
                                   .filter = filter};
    if (el_index_search(index, &query, &together) < 0) fail_msg("%s", el_error_detail());
    assert_int_equal(together.count, QUESTIONS);
    assert_int_equal(together.stats.asked, QUESTIONS);
    query.count = 1;
    for (int i = 0; i < QUESTIONS; i++) {
        query.vectors = questions.vectors[i];
        query.texts = &questions.texts[i];
        if (el_index_search(index, &query, &alone) < 0) fail_msg("%s", el_error_detail());
        assert_int_equal(alone.count, 1);
        expect_same(&together.lists[i], &alone.lists[0]);
        el_index_answer_done(&alone);
    }
    el_index_answer_done(&together);
}

void many_questions_are_one_query(void **state) {
    (void)state;
    struct el_index *index = suite_open(true);
    struct el_index_answer answer;
    const float vectors[2][SUITE_DIM] = {{1}, {NAN}};
    for (int n = 1; n <= 12; n++)
        assert_int_equal(suite_put(index, n, 1 + n % 3), 0);
    for (int mode = EL_QUERY_VECTOR; mode <= EL_QUERY_HYBRID; mode++) {
        ask_together_and_alone(index, (enum el_query_mode)mode, NULL);
        ask_together_and_alone(index, (enum el_query_mode)mode, "{\"a\":1}");
        ask_together_and_alone(index, (enum el_query_mode)mode, "{\"a\":2}"); // none passes
    }
    struct el_index_query query = {.count = 2, .vectors = vectors[0], .k = 1};
    assert_int_equal(el_index_search(index, &query, &answer), EL_EINVAL);
    assert_non_null(strstr(el_error_detail(), "vector 1 of the query"));
    query.count = 0;
    assert_int_equal(el_index_search(index, &query, &answer), EL_EINVAL);
    el_index_close(index);
}

// ---- readers beside a writer ----

void a_reader_beside_a_writer(void **state) {
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) put_for_ever(open("/dev/null", O_WRONLY), 7);
    struct el_index *index = suite_open(false);
    const uint64_t end = el_now_ns() + 700000000;
    int searches = 0;
    for (; el_now_ns() < end; searches++) {
        struct el_index_answer answer;
        if (search(index, suite_by_number, 1000, &answer) < 0) fail_msg("%s", el_error_detail());
        int64_t parts[DOCUMENTS] = {0};
        for (size_t i = 0; i < answer.lists[0].count; i++) {
            int64_t n;
            assert_int_equal(el_parse_i64(answer.lists[0].hits[i].id + 4, 0, DOCUMENTS - 1, &n), 0);
            assert_true(answer.lists[0].hits[i].score == (float)(10 * n + answer.lists[0].hits[i].part));
            parts[n] |= 1 << answer.lists[0].hits[i].part;
        }
        for (int n = 0; n < DOCUMENTS; n++)
            assert_int_equal(parts[n] & (parts[n] + 1), 0); // chunks 0, 1, 2 ... without a gap
        el_index_answer_done(&answer);
    }
    assert_true(searches > 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    el_index_close(index);
}
