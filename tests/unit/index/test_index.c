// SPDX-License-Identifier: Apache-2.0
// An index: what was put is found, once, through replacing, removing, compacting, kills and damage; readers
// see one state of the whole.
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "index/index.h"

enum { DIM = 4 };

static char root[] = "/tmp/eleanor-index-XXXXXX";
static char folder[64];

static int make_root(void **state) {
    (void)state;
    assert_non_null(mkdtemp(root));
    snprintf(folder, sizeof folder, "%s/docs", root);
    return 0;
}

static int remove_root(void **state) {
    (void)state;
    return rmdir(root);
}

static int remove_index(void **state) {
    (void)state;
    return el_index_delete(folder);
}

static int make_index(enum el_metric metric) {
    const struct el_vector_facts facts = {.dim = DIM, .metric = metric, .model = "tiny"};
    return el_index_create(folder, &facts);
}

static int make_ip_index(void **state) {
    (void)state;
    return make_index(EL_METRIC_IP);
}

static struct el_index *open_index(bool writable) {
    struct el_index *index = NULL;
    if (el_index_open(folder, writable, &index) < 0) fail_msg("%s", el_error_detail());
    return index;
}

// A document of `chunks` chunks. Chunk i of document n has the vector (n, i, 1, 0) and the text "n.i".
static int put(struct el_index *index, int n, int chunks) {
    enum { MOST = 8, TEXT = 16 };
    char id[TEXT], bytes[MOST][TEXT];
    struct el_text texts[MOST];
    float vectors[MOST * DIM];
    snprintf(id, sizeof id, "doc-%d", n);
    for (int i = 0; i < chunks; i++) {
        texts[i].length = (size_t)snprintf(bytes[i], TEXT, "%d.%d", n, i);
        texts[i].data = bytes[i];
        memcpy(vectors + i * DIM, (float[DIM]){(float)n, (float)i, 1, 0}, DIM * sizeof(float));
    }
    const struct el_index_document document = {.id = id,
                                               .metadata = "{\"a\":1}",
                                               .hash = {{(uint64_t)n, (uint64_t)chunks}},
                                               .chunks = chunks,
                                               .texts = texts};
    return el_index_put(index, &document, 1, vectors);
}

static void expect_stats(struct el_index *index, int64_t documents, int64_t chunks, int64_t dead) {
    struct el_index_stats stats;
    assert_int_equal(el_index_stats(index, &stats), 0);
    assert_int_equal(stats.documents, documents);
    assert_int_equal(stats.chunks, chunks);
    assert_int_equal(stats.dead, dead);
    assert_true(stats.bytes > 4096);
}

static int search(struct el_index *index, const float *vector, int k, struct el_index_answer *ret_answer) {
    return el_index_search(index, &(struct el_index_query){.vector = vector, .k = k}, ret_answer);
}

// The texts of the answer, best first: "2.1 2.0".
static void expect_found(struct el_index *index, const float *query, int k, const char *texts) {
    struct el_index_answer answer;
    struct el_str found el_auto(el_str_done) = {0};
    if (search(index, query, k, &answer) < 0) fail_msg("%s", el_error_detail());
    for (size_t i = 0; i < answer.count; i++)
        assert_int_equal(el_str_printf(&found, "%s%s", i ? " " : "", answer.hits[i].text), 0);
    assert_string_equal(found.data ? found.data : "", texts);
    el_index_answer_done(&answer);
}

static const float by_number[DIM] = {10, 1}; // the highest document first, of it the last chunk

static void what_was_put_is_found(void **state) {
    (void)state;
    struct el_index *index = open_index(true);
    struct el_index_answer answer;
    struct el_hash128 hash;
    expect_found(index, by_number, 3, "");
    for (int n = 1; n <= 3; n++)
        assert_int_equal(put(index, n, 2), 0);
    expect_stats(index, 3, 6, 0);
    expect_found(index, by_number, 3, "3.1 3.0 2.1");
    expect_found(index, by_number, 100, "3.1 3.0 2.1 2.0 1.1 1.0");
    assert_int_equal(search(index, by_number, 1, &answer), 0);
    assert_string_equal(answer.hits[0].id, "doc-3");
    assert_string_equal(answer.hits[0].metadata, "{\"a\":1}");
    assert_int_equal(answer.hits[0].part, 1);
    assert_true(answer.hits[0].score == 31);
    el_index_answer_done(&answer);
    assert_int_equal(el_index_find(index, "doc-2", &hash), 1);
    assert_int_equal(hash.word[0], 2);
    assert_int_equal(el_index_find(index, "doc", &hash), 0);
    el_index_close(index);
    index = open_index(false);
    expect_found(index, by_number, 1, "3.1");
    assert_string_equal(el_index_facts(index)->model, "tiny");
    assert_int_equal(put(index, 4, 1), EL_EINVAL); // it may only read
    el_index_close(index);
}

static void a_document_is_replaced_and_removed(void **state) {
    (void)state;
    struct el_index *index = open_index(true), *reader = open_index(false);
    int64_t removed;
    for (int n = 1; n <= 3; n++)
        assert_int_equal(put(index, n, 3), 0);
    expect_found(reader, by_number, 2, "3.2 3.1");
    assert_int_equal(put(index, 3, 1), 0);
    expect_found(reader, by_number, 3, "3.0 2.2 2.1");
    const char *const ids[] = {"doc-3", "doc-9", "doc-1"};
    assert_int_equal(el_index_remove(index, ids, 3, &removed), 0);
    assert_int_equal(removed, 2);
    expect_found(reader, by_number, 9, "2.2 2.1 2.0");
    expect_stats(reader, 1, 3, 7);
    assert_int_equal(el_index_verify(reader), 0);
    assert_int_equal(el_index_compact(index), 0);
    expect_stats(reader, 1, 3, 0);
    expect_found(reader, by_number, 9, "2.2 2.1 2.0"); // the reader has gone over to the new file
    assert_int_equal(put(index, 5, 1), 0);
    expect_found(reader, by_number, 2, "5.0 2.2");
    assert_int_equal(el_index_compact(index), 0);
    assert_int_equal(el_index_verify(index), 0);
    assert_int_equal(put(index, 2, 0), 0); // a document may have no chunk
    expect_found(index, by_number, 9, "5.0");
    el_index_close(reader);
    el_index_close(index);
    index = open_index(true);
    expect_found(index, by_number, 9, "5.0");
    el_index_close(index);
}

static int count_id(void *context, const char *id) {
    (void)id;
    return ++*(int *)context < 0;
}

static void ids_by_prefix(void **state) {
    (void)state;
    struct el_index *index = open_index(true);
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

static void vectors_that_cannot_be(void **state) {
    (void)state;
    assert_int_equal(make_index(EL_METRIC_COSINE), 0);
    struct el_index *index = open_index(true);
    struct el_index_answer answer;
    const struct el_index_document document = {.id = "x", .chunks = 2};
    float vectors[2 * DIM] = {3, 4, 0, 0, 0, 0, 0, 0};
    assert_int_equal(el_index_put(index, &document, 1, vectors), EL_EINVAL);
    assert_non_null(strstr(el_error_detail(), "x: vector 1 is all zeros"));
    vectors[DIM] = NAN;
    assert_int_equal(el_index_put(index, &document, 1, vectors), EL_EINVAL);
    assert_non_null(strstr(el_error_detail(), "not finite"));
    vectors[DIM] = INFINITY;
    assert_int_equal(el_index_put(index, &document, 1, vectors), EL_EINVAL);
    assert_int_equal(search(index, vectors + DIM, 1, &answer), EL_EINVAL);
    assert_int_equal(search(index, vectors, 0, &answer), EL_EINVAL);
    assert_int_equal(el_index_put(index, &(struct el_index_document){.id = ""}, 1, NULL), EL_EINVAL);
    expect_stats(index, 0, 0, 0);
    vectors[DIM] = -1;
    assert_int_equal(el_index_put(index, &document, 1, vectors), 0);
    assert_int_equal(search(index, (float[DIM]){30, 40, 0, 0}, 2, &answer), 0);
    assert_true(fabsf(answer.hits[0].score - 1) < 1e-6F); // cosine, whatever the lengths
    assert_true(fabsf(answer.hits[1].score + 0.6F) < 1e-6F);
    el_index_answer_done(&answer);
    el_index_close(index);
}

static void one_writer(void **state) {
    (void)state;
    struct el_index *index = open_index(true), *other = NULL;
    assert_int_equal(el_index_open(folder, true, &other), EL_EBUSY);
    assert_int_equal(el_index_delete(folder), EL_EBUSY);
    assert_null(other);
    el_index_close(index);
    el_index_close(open_index(true));
    assert_int_equal(make_index(EL_METRIC_IP), EL_EINVAL); // there is one
    assert_non_null(strstr(el_error_detail(), "there already"));
}

static void folders_that_are_none(void **state) {
    (void)state;
    struct el_index *index = NULL;
    assert_int_equal(el_index_open(folder, false, &index), EL_ENOENT);
    assert_int_equal(el_index_open("/etc", false, &index), EL_EFORMAT);
    assert_int_equal(el_index_delete("/etc"), EL_EFORMAT);
    assert_null(index);
}

static void flip(const char *name, size_t at) {
    char path[128];
    struct el_str bytes el_auto(el_str_done) = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(el_read_file(path, 1 << 20, &bytes), 0);
    assert_true(at < bytes.length);
    bytes.data[at] ^= 4;
    assert_int_equal(el_write_file(path, bytes.data, bytes.length), 0);
}

static void damage_is_told(void **state) {
    (void)state;
    struct el_index *index = open_index(true);
    for (int n = 1; n <= 3; n++)
        assert_int_equal(put(index, n, 2), 0);
    el_index_close(index);
    flip("vectors.1", 4096 + 5); // rows 0 and 1
    index = open_index(true);
    assert_int_equal(el_index_verify(index), EL_ECHECKSUM);
    assert_non_null(strstr(el_error_detail(), "rows 0 to 1"));
    assert_int_equal(el_index_compact(index), EL_ECHECKSUM); // which would give it a new sum
    el_index_close(index);
    flip("vectors.1", 4096 + 5);
    flip("vectors.1.log", 64 + 2 * 48 + 9); // the last record: to the file alone it looks torn
    index = NULL;
    assert_int_equal(el_index_open(folder, false, &index), EL_ECHECKSUM);
    assert_non_null(strstr(el_error_detail(), "4 rows, its documents have 6"));
    flip("vectors.1.log", 64 + 2 * 48 + 9);
    flip("documents.db", 3);
    assert_true(el_index_open(folder, false, &index) < 0);
    assert_non_null(strstr(el_error_detail(), "documents.db"));
    assert_null(index);
    flip("documents.db", 3);
    index = open_index(false);
    assert_int_equal(el_index_verify(index), 0);
    el_index_close(index);
}

// Whatever file may not grow, nothing is half there, and it goes on when there is room.
static void a_full_disk(void **state) {
    (void)state;
    struct rlimit old;
    int refused = 0;
    struct el_index *index = open_index(true);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_IGN);
    for (int n = 1; n <= 60; n++) {
        const struct rlimit tight = {(rlim_t)(n * 1800), old.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        int status = put(index, n, 2);
        if (status == 0 && n % 7 == 0) status = el_index_compact(index);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        if (status < 0) {
            refused++;
            assert_int_equal(status, EL_EIO);
            assert_int_equal(put(index, n, 2), 0);
        }
        expect_stats(index, n, n * 2, 0);
        assert_int_equal(el_index_verify(index), 0);
    }
    assert_true(refused > 0);
    el_index_close(index);
}

// ---- kill -9 ----

enum { DOCUMENTS = 40 };

// Puts documents for ever, each time with another number of chunks, and now and then compacts. Says of each
// put which document it was and how many chunks it has.
static void put_for_ever(int report, unsigned seed) {
    struct el_index *index = NULL;
    if (el_index_open(folder, true, &index) < 0) _exit(1);
    for (;;) {
        const int told[2] = {rand_r(&seed) % DOCUMENTS, rand_r(&seed) % 8 + 1};
        if (put(index, told[0], told[1]) < 0) _exit(1);
        if (write(report, told, sizeof told) != sizeof told) _exit(1);
        if (rand_r(&seed) % 16 == 0 && el_index_compact(index) < 0) _exit(1);
    }
}

// Every acknowledged put holds, save that one more may have come through which was not acknowledged any more.
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
    assert_int_equal(search(index, by_number, 1000, &answer), 0);
    for (size_t i = 0; i < answer.count; i++) {
        const struct el_index_hit *hit = &answer.hits[i];
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
    assert_int_equal(answer.count, total);
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
    while (read(pipe_ends[0], told, sizeof told) == sizeof told)
        chunks[told[0]] = told[1];
    close(pipe_ends[0]);
}

// EL_KILLS=1000 for the long run.
static void writers_that_are_killed(void **state) {
    (void)state;
    const char *wish = getenv("EL_KILLS");
    int64_t kills = 30;
    int chunks[DOCUMENTS] = {0};
    if (wish) assert_int_equal(el_parse_i64(wish, 1, 1000000, &kills), 0);
    for (int64_t i = 0; i < kills; i++) {
        kill_a_writer((unsigned)i + 1, chunks);
        struct el_index *index = open_index(i % 2); // one that writes sweeps up, one that reads does not
        assert_true(expect_documents(index, chunks) <= 1);
        expect_vectors(index, chunks);
        assert_int_equal(el_index_verify(index), 0);
        el_index_close(index);
    }
}

// ---- readers beside a writer ----

static void a_reader_beside_a_writer(void **state) {
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) put_for_ever(open("/dev/null", O_WRONLY), 7);
    struct el_index *index = open_index(false);
    const uint64_t end = el_now_ns() + 700000000;
    int searches = 0;
    for (; el_now_ns() < end; searches++) {
        struct el_index_answer answer;
        if (search(index, by_number, 1000, &answer) < 0) fail_msg("%s", el_error_detail());
        int64_t parts[DOCUMENTS] = {0};
        for (size_t i = 0; i < answer.count; i++) {
            int64_t n;
            assert_int_equal(el_parse_i64(answer.hits[i].id + 4, 0, DOCUMENTS - 1, &n), 0);
            assert_true(answer.hits[i].score == (float)(10 * n + answer.hits[i].part));
            parts[n] |= 1 << answer.hits[i].part;
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

#define ON_AN_INDEX(test) cmocka_unit_test_setup_teardown(test, make_ip_index, remove_index)

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_AN_INDEX(what_was_put_is_found),
        ON_AN_INDEX(a_document_is_replaced_and_removed),
        ON_AN_INDEX(ids_by_prefix),
        cmocka_unit_test_teardown(vectors_that_cannot_be, remove_index),
        ON_AN_INDEX(one_writer),
        cmocka_unit_test(folders_that_are_none),
        ON_AN_INDEX(damage_is_told),
        ON_AN_INDEX(a_full_disk),
        ON_AN_INDEX(writers_that_are_killed),
        ON_AN_INDEX(a_reader_beside_a_writer),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
