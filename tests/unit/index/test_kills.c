// SPDX-License-Identifier: Apache-2.0
// kill -9 of a process that adds, replaces, removes and compacts, at random moments, with and without a disk
// that forgets what was not synced: every acknowledged document is there as it was acknowledged, once, and
// nothing else. What was under way is there whole or not at all.
//
// EL_KILLS says how many kills there are in each of both tests (default 40).
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/tree.h"
#include "forgetful.h"
#include "index/index.h"

enum { DIM = 4, DOCUMENTS = 40, MOST_CHUNKS = 5, MOST_AT_ONCE = 4, TEXT = 32, STEP_US = 30000 };

static char root[] = "/tmp/eleanor-kills-XXXXXX";
static char folder[64], stash[64];

// What a writer does at once: documents first .. first + count - 1 (round and round) get this version, or go.
struct change {
    int first, count, version;
    int chunks; // of each; -1: they are removed
    bool done;  // said again when it was acknowledged
};

// What the documents are: version 0 is not there.
struct expected {
    int version, chunks;
};

static void id_of(int n, char id[TEXT]) {
    snprintf(id, TEXT, "doc-%d", n);
}

// ---- the writer ----

static int put(struct el_index *index, const struct change *change) {
    struct el_index_document documents[MOST_AT_ONCE] = {{0}};
    struct el_text texts[MOST_AT_ONCE][MOST_CHUNKS];
    char ids[MOST_AT_ONCE][TEXT], bytes[MOST_AT_ONCE][MOST_CHUNKS][TEXT];
    float vectors[MOST_AT_ONCE * MOST_CHUNKS][DIM];
    size_t row = 0;
    for (int i = 0; i < change->count; i++) {
        const int n = (change->first + i) % DOCUMENTS;
        id_of(n, ids[i]);
        for (int part = 0; part < change->chunks; part++, row++) {
            texts[i][part].length =
                (size_t)snprintf(bytes[i][part], TEXT, "%d.%d.%d", n, change->version, part);
            texts[i][part].data = bytes[i][part];
            memcpy(vectors[row], (float[DIM]){(float)n, (float)part, (float)change->version, 1},
                   sizeof vectors[row]);
        }
        documents[i] =
            (struct el_index_document){.id = ids[i],
                                       .hash = {{(uint64_t)change->version, (uint64_t)change->chunks}},
                                       .chunks = change->chunks,
                                       .texts = texts[i]};
    }
    return el_index_put(index, documents, (size_t)change->count, vectors[0]);
}

static int take_out(struct el_index *index, const struct change *change) {
    char ids[MOST_AT_ONCE][TEXT];
    const char *list[MOST_AT_ONCE];
    int64_t removed;
    for (int i = 0; i < change->count; i++) {
        id_of((change->first + i) % DOCUMENTS, ids[i]);
        list[i] = ids[i];
    }
    return el_index_remove(index, list, (size_t)change->count, &removed);
}

static void tell(int report, const struct change *change) {
    if (write(report, change, sizeof *change) != (ssize_t)sizeof *change) _exit(1);
}

// Changes the index until it is killed, and tells of each change before it and when it was acknowledged.
static void write_for_ever(int report, unsigned seed, int version) {
    struct el_index *index = NULL;
    if (el_index_open(folder, true, &index) < 0) {
        fprintf(stderr, "a writer: %s\n", el_error_detail());
        _exit(1);
    }
    for (;; version++) {
        struct change change = {.first = rand_r(&seed) % DOCUMENTS,
                                .count = rand_r(&seed) % MOST_AT_ONCE + 1,
                                .version = version,
                                .chunks = rand_r(&seed) % (MOST_CHUNKS + 2) - 1};
        tell(report, &change);
        if ((change.chunks < 0 ? take_out(index, &change) : put(index, &change)) < 0) _exit(1);
        change.done = true;
        tell(report, &change);
        if (rand_r(&seed) % 8 == 0 && el_index_compact(index) < 0) _exit(1);
    }
}

// ---- what must hold ----

static void apply(const struct change *change, struct expected expected[DOCUMENTS]) {
    for (int i = 0; i < change->count; i++)
        expected[(change->first + i) % DOCUMENTS] =
            change->chunks < 0 ? (struct expected){0} : (struct expected){change->version, change->chunks};
}

static struct expected look_up(struct el_index *index, int n) {
    char id[TEXT];
    struct el_hash128 hash = {{0}};
    id_of(n, id);
    const int found = el_index_find(index, id, &hash);
    if (found < 0) fail_msg("%s", el_error_detail());
    return found ? (struct expected){(int)hash.word[0], (int)hash.word[1]} : (struct expected){0};
}

static bool are_there(struct el_index *index, const struct expected expected[DOCUMENTS]) {
    for (int n = 0; n < DOCUMENTS; n++) {
        const struct expected is = look_up(index, n);
        if (is.version != expected[n].version || is.chunks != expected[n].chunks) return false;
    }
    return true;
}

// Each chunk is found once, with its text and its own vector, and no other.
static void expect_chunks(struct el_index *index, const struct expected expected[DOCUMENTS]) {
    const float by_all[DIM] = {100, 10, 0, 1};
    struct el_index_answer answer;
    bool seen[DOCUMENTS][MOST_CHUNKS] = {{false}};
    size_t total = 0;
    const struct el_index_query query = {.count = 1, .vectors = by_all, .k = 1000};
    if (el_index_search(index, &query, &answer) < 0) fail_msg("%s", el_error_detail());
    for (size_t i = 0; i < answer.lists[0].count; i++) {
        const struct el_index_hit *hit = &answer.lists[0].hits[i];
        int64_t n;
        char text[TEXT];
        assert_int_equal(el_parse_i64(hit->id + strlen("doc-"), 0, DOCUMENTS - 1, &n), 0);
        assert_in_range(hit->part, 0, expected[n].chunks - 1);
        snprintf(text, sizeof text, "%d.%d.%d", (int)n, expected[n].version, (int)hit->part);
        assert_string_equal(hit->text, text);
        assert_true(hit->score == (float)(100 * n + 10 * hit->part + 1));
        assert_false(seen[n][hit->part]);
        seen[n][hit->part] = true;
    }
    for (int n = 0; n < DOCUMENTS; n++)
        total += (size_t)expected[n].chunks;
    assert_int_equal(answer.lists[0].count, total);
    el_index_answer_done(&answer);
}

// The change that was under way, if any, holds whole or not at all; `expected` is what there is then.
static void expect_all(bool writable, const struct change *under_way, struct expected expected[DOCUMENTS]) {
    struct el_index *index = NULL;
    struct expected either[DOCUMENTS];
    if (el_index_open(folder, writable, &index) < 0) fail_msg("%s", el_error_detail());
    memcpy(either, expected, sizeof either);
    if (under_way) apply(under_way, either);
    if (are_there(index, either))
        memcpy(expected, either, sizeof either);
    else
        assert_true(are_there(index, expected));
    expect_chunks(index, expected);
    if (el_index_verify(index) < 0) fail_msg("%s", el_error_detail());
    el_index_close(index);
}

// ---- kills ----

static int kill_a_writer(unsigned seed, bool forgets, int version, struct expected expected[DOCUMENTS]) {
    int ends[2], how;
    struct change change = {0};
    if (forgets) forgetful_start(folder, stash);
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        if (forgets) forgetful_watch();
        write_for_ever(ends[1], seed, version);
    }
    close(ends[1]);
    usleep((useconds_t)(rand_r(&seed) % STEP_US));
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how)); // it did not fail by itself
    while (read(ends[0], &change, sizeof change) == (ssize_t)sizeof change)
        if (change.done) apply(&change, expected);
    close(ends[0]);
    const int lost = forgets ? (int)forgetful_cut(seed) : 0;
    expect_all(seed % 2, change.version && !change.done ? &change : NULL, expected);
    return lost;
}

static void kill_many(bool forgets) {
    struct expected expected[DOCUMENTS] = {{0}};
    const char *wish = getenv("EL_KILLS");
    int64_t kills = 40;
    int cuts = 0;
    if (wish) assert_int_equal(el_parse_i64(wish, 1, 1000000, &kills), 0);
    for (int64_t i = 0; i < kills; i++) {
        // Versions rise, over all writers, by more than one writer makes.
        const int lost = kill_a_writer((unsigned)i + 1, forgets, (int)i * 100000 + 1, expected);
        cuts += lost > 0;
    }
    print_message("%d kills, at %d of which the disk forgot something\n", (int)kills, cuts);
    assert_true(!forgets || cuts > kills / 20); // else it tests nothing
}

static void killed_on_a_disk_that_keeps_all(void **state) {
    (void)state;
    kill_many(false);
}

static void killed_on_a_disk_that_forgets(void **state) {
    (void)state;
    kill_many(true);
}

static int make_index(void **state) {
    (void)state;
    const struct el_vector_facts facts = {.dim = DIM, .metric = EL_METRIC_IP};
    return el_index_create(folder, &facts);
}

static int remove_index(void **state) {
    (void)state;
    return el_index_delete(folder);
}

static int make_root(void **state) {
    (void)state;
    assert_non_null(mkdtemp(root));
    snprintf(folder, sizeof folder, "%s/docs", root);
    snprintf(stash, sizeof stash, "%s/stash", root);
    return mkdir(stash, 0700);
}

static int remove_root(void **state) {
    (void)state;
    return el_tree_remove(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(killed_on_a_disk_that_keeps_all, make_index, remove_index),
        cmocka_unit_test_setup_teardown(killed_on_a_disk_that_forgets, make_index, remove_index),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
