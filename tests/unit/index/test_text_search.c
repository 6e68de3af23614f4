// SPDX-License-Identifier: Apache-2.0
// Search by words and by both: what shares words with a question is found in any script, by stems and by
// names, ranked by BM25, through replacing, removing and compacting and in indexes of earlier versions; what
// users write is never syntax; lists are fused by rank.
#include "suite.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "index/fuse.h"
#include "index/words.h"

// A document of one chunk with the vector (x, 1, 0, 0).
static void put(struct el_index *index, const char *id, const char *words, float x) {
    const struct el_text text = {words, words ? strlen(words) : 0};
    const struct el_index_document document = {.id = id, .chunks = 1, .texts = words ? &text : NULL};
    if (el_index_put(index, &document, 1, (float[SUITE_DIM]){x, 1}) < 0) fail_msg("%s", el_error_detail());
}

static int search(struct el_index *index, enum el_query_mode mode, const char *question, int k,
                  struct el_index_answer *ret_answer) {
    const struct el_index_query query = {.mode = mode,
                                         .count = 1,
                                         .texts = &(struct el_text){question, strlen(question)},
                                         .vectors = (float[SUITE_DIM]){1, 0},
                                         .k = k};
    return el_index_search(index, &query, ret_answer);
}

// The ids of the answer, best first: "a b".
static void expect(struct el_index *index, enum el_query_mode mode, const char *question, const char *ids) {
    struct el_index_answer answer;
    struct el_str found el_auto(el_str_done) = {0};
    if (search(index, mode, question, 10, &answer) < 0) fail_msg("%s: %s", question, el_error_detail());
    for (size_t i = 0; i < answer.lists[0].count; i++)
        assert_int_equal(el_str_printf(&found, "%s%s", i ? " " : "", answer.lists[0].hits[i].id), 0);
    assert_string_equal(found.data ? found.data : "", ids);
    el_index_answer_done(&answer);
}

static void expect_text(struct el_index *index, const char *question, const char *ids) {
    expect(index, EL_QUERY_TEXT, question, ids);
}

static void words_of_any_script(void **state) {
    (void)state;
    struct el_index *index = suite_open(true);
    put(index, "en", "The naïve Café's e-mail, No. 42", 0);
    put(index, "decomposed", "cafe\xCC\x81 noir", 0); // an accent of its own
    put(index, "de", "Straße und Übermut", 0);
    put(index, "ru", "Привет, мир", 0);
    put(index, "hi", "नमस्ते दुनिया", 0);
    put(index, "zh", "我住在東京都的旁边", 0);
    put(index, "ja", "カタカナとtower東京", 0);
    put(index, "ko", "서울특별시에서 만나요", 0);
    put(index, "th", "สวัสดีชาวโลก", 0);
    expect_text(index, "NAIVE", "en");
    expect_text(index, "mail 42", "en");
    expect_text(index, "café", "decomposed en"); // the shorter text is better
    expect_text(index, "ubermut", "de");
    expect_text(index, "МИР", "ru");
    expect_text(index, "दुनिया", "hi");
    expect_text(index, "नम", ""); // a part of a word is none
    expect_text(index, "東京", "ja zh");
    expect_text(index, "京都", "zh");
    expect_text(index, "tower", "ja");
    expect_text(index, "東京都の天気", "zh ja");
    expect_text(index, "서울", "ko");
    expect_text(index, "โลก", "th");
    expect_text(index, "nothing of it", "");
    el_index_close(index);
}

static void nothing_is_syntax(void **state) {
    (void)state;
    static const char *const questions[] = {"\"",
                                            "'",
                                            "\"unbalanced",
                                            "a AND",
                                            "NEAR(a b, 2)",
                                            "text: a",
                                            "a*",
                                            "^a",
                                            "-a",
                                            "a OR OR b",
                                            "(",
                                            "a + b",
                                            "*",
                                            "{a}: b",
                                            "a'; DROP TABLE words; --",
                                            "words MATCH 1",
                                            "\xFF\xFE",
                                            "NOT",
                                            "?1",
                                            "\\"};
    struct el_index *index = suite_open(true);
    struct el_index_answer answer;
    put(index, "1", "a plain text", 0);
    for (size_t i = 0; i < EL_COUNT(questions); i++) {
        if (search(index, EL_QUERY_TEXT, questions[i], 10, &answer) < 0)
            fail_msg("%s: %s", questions[i], el_error_detail());
        el_index_answer_done(&answer);
    }
    expect_text(index, "NOT plain", "1"); // words as any other
    expect_text(index, "", "");
    expect_text(index, "?!.", "");
    el_index_close(index);
}

static void a_question_of_many_words(void **state) {
    (void)state;
    struct el_str question el_auto(el_str_done) = {0};
    struct el_index *index = suite_open(true);
    put(index, "1", "w0 w1 w2", 0);
    put(index, "2", "w2", 0);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(el_str_printf(&question, "w%d w0 ", i), 0);
    expect_text(index, question.data, "1 2");
    el_index_close(index);
}

static void scores_are_bm25(void **state) {
    (void)state;
    struct el_index *index = suite_open(true);
    struct el_index_answer answer;
    put(index, "1", "apple apple pear fig", 0);
    for (int i = 2; i <= 9; i++)
        put(index, (char[]){(char)('0' + i), '\0'}, "plum fig", 0);
    assert_int_equal(search(index, EL_QUERY_TEXT, "apple", 10, &answer), 0);
    assert_int_equal(answer.lists[0].count, 1);
    // Robertson and Zaragoza: k1 1.2, b 0.75; 9 texts of 20 words and names of 9, 1 holds the word, twice in
    // 5
    const double idf = log((9 - 1 + 0.5) / (1 + 0.5)), length = 1 - 0.75 + 0.75 * 5 / (29 / 9.0);
    assert_true(fabs((double)answer.lists[0].hits[0].score - idf * 2 * 2.2 / (2 + 1.2 * length)) < 1e-5);
    el_index_answer_done(&answer);
    expect_text(index, "plum", "2 3 4 5 6 7 8 9"); // alike: by who came first
    el_index_close(index);
}

static void stems_are_alike(void **state) {
    (void)state;
    struct el_index *index = suite_open(true);
    put(index, "1", "to renew a certificate", 0);
    put(index, "2", "relational databases", 0);
    expect_text(index, "renewing certificates", "1");
    expect_text(index, "RENEWED", "1");
    expect_text(index, "relate", "2"); // stemmed once: twice, "relat" would become "rel"
    expect_text(index, "certain", "");
    el_index_close(index);
}

static void put_named(struct el_index *index, const char *id, const char *metadata, const char *words) {
    const struct el_text text = {words, strlen(words)};
    const struct el_index_document document = {.id = id, .metadata = metadata, .chunks = 1, .texts = &text};
    if (el_index_put(index, &document, 1, (float[SUITE_DIM]){0, 1}) < 0) fail_msg("%s", el_error_detail());
}

static void names_count_more_than_texts(void **state) {
    (void)state;
    struct el_index *index = suite_open(true);
    put_named(index, "/doc/a/b", NULL, "the contributed pieces, pieces, pieces");
    put_named(index, "/doc/git/contrib/README", NULL, "what lies here");
    put_named(index, "c", "{\"title\":\"On Pieces\",\"other\":\"fig\"}", "what lies there");
    put_named(index, "d", "no JSON", "what lies there");
    expect_text(index, "readme", "/doc/git/contrib/README");
    expect_text(index, "pieces", "c /doc/a/b"); // once in a title, three times in a text
    expect_text(index, "fig", "");
    put_named(index, "c", "{\"title\":[\"plums\"]}", "what lies there");
    expect_text(index, "pieces", "/doc/a/b");
    el_index_close(index);
}

static void what_changes_is_found_as_it_is(void **state) {
    (void)state;
    struct el_index *index = suite_open(true);
    int64_t removed;
    put(index, "1", "old words", 0);
    put(index, "2", "other words", 0);
    put(index, "3", "more", 0);
    put(index, "1", "new words", 0);
    expect_text(index, "old", "");
    expect_text(index, "new", "1");
    assert_int_equal(el_index_remove(index, (const char *[]){"2"}, 1, &removed), 0);
    expect_text(index, "words", "1");
    assert_int_equal(el_index_compact(index), 0);
    expect_text(index, "words more", "3 1");
    put(index, "4", "words after compaction", 0);
    expect_text(index, "words", "1 4");
    put(index, "1", "gone", 0);
    expect_text(index, "words", "4");
    assert_int_equal(el_index_verify(index), 0);
    el_index_close(index);
}

static void an_index_without_texts(void **state) {
    (void)state;
    struct el_index *index = suite_open(true);
    struct el_index_answer answer;
    expect_text(index, "empty", "");
    put(index, "1", NULL, 0);
    for (int mode = EL_QUERY_TEXT; mode <= EL_QUERY_HYBRID; mode++) {
        assert_int_equal(search(index, (enum el_query_mode)mode, "a", 1, &answer), EL_EUNSUPPORTED);
        assert_non_null(strstr(el_error_detail(), "keeps no texts"));
    }
    put(index, "2", "a", 0);
    expect_text(index, "a", "2");
    expect_text(index, "b", "");
    el_index_close(index);
}

static void both_ways_are_fused(void **state) {
    (void)state;
    struct el_index *index = suite_open(true);
    struct el_index_answer answer;
    put(index, "far", "plum plum", 1);
    put(index, "near", "pear", 9);
    put(index, "second", "plum and other words", 8);
    put(index, "third", "fig", 7);
    expect(index, EL_QUERY_VECTOR, "plum", "near second third far");
    expect(index, EL_QUERY_TEXT, "plum", "far second");
    expect(index, EL_QUERY_HYBRID, "plum", "second far near third");
    assert_int_equal(search(index, EL_QUERY_HYBRID, "plum", 2, &answer), 0);
    assert_int_equal(answer.lists[0].count, 2);
    assert_true(answer.lists[0].hits[0].score == (float)(2.0 / 62));
    assert_true(answer.lists[0].hits[1].score == (float)(1.0 / 61 + 1.0 / 64));
    el_index_answer_done(&answer);
    el_index_close(index);
}

static void fusing(void **state) {
    (void)state;
    const struct el_hit a[] = {{5, 9}, {1, 8}, {3, 7}}, b[] = {{3, 2}, {1, 1}};
    struct el_hit fused[4];
    int count = -1;
    assert_int_equal(el_fuse(&(struct el_ranking){a, 3}, &(struct el_ranking){b, 2}, 4, fused, &count), 0);
    assert_int_equal(count, 3);
    assert_int_equal(fused[0].row, 3); // 1/63 + 1/61 is more than 2/62
    assert_int_equal(fused[1].row, 1);
    assert_int_equal(fused[2].row, 5);
    assert_int_equal(el_fuse(&(struct el_ranking){a, 1}, &(struct el_ranking){b, 1}, 4, fused, &count), 0);
    assert_int_equal(fused[0].row, 3); // equal: the lower row
    assert_int_equal(el_fuse(&(struct el_ranking){NULL, 0}, &(struct el_ranking){NULL, 0}, 4, fused, &count),
                     0);
    assert_int_equal(count, 0);
}

// ---- what no index does with its database ----

static void execute(const char *sql) {
    char path[96];
    struct el_sql database = {.path = path};
    snprintf(path, sizeof path, "%s/documents.db", suite_folder);
    assert_int_equal(sqlite3_open(path, &database.db), SQLITE_OK);
    assert_int_equal(el_words_register(&database), 0);
    if (el_sql_execute(&database, sql) < 0) fail_msg("%s", el_error_detail());
    sqlite3_close(database.db);
}

static void a_row_that_does_not_count(void **state) {
    (void)state;
    struct el_index *index = suite_open(true);
    struct el_index_answer answer;
    put(index, "1", "plum", 0);
    put(index, "2", "plum", 0);
    el_index_close(index);
    execute("UPDATE chunks SET row = 1000000000000 WHERE row = 0");
    index = suite_open(false);
    const struct el_index_query query = {
        .mode = EL_QUERY_TEXT, .count = 1, .texts = &(struct el_text){"plum", 4}, .k = 2, .filter = "{}"};
    if (el_index_search(index, &query, &answer) < 0) fail_msg("%s", el_error_detail());
    assert_int_equal(answer.lists[0].count, 1);
    assert_string_equal(answer.lists[0].hits[0].id, "2");
    el_index_answer_done(&answer);
    el_index_close(index);
}

// Earlier versions: chunks by their row, and no words.
static const char version_1[] = "BEGIN; DROP TRIGGER chunk_comes; DROP TRIGGER chunk_goes; DROP TABLE words;"
                                "ALTER TABLE chunks RENAME TO chunks_2; DROP INDEX chunks_of_document;"
                                "CREATE TABLE chunks(row INTEGER PRIMARY KEY, document INTEGER NOT NULL"
                                "  REFERENCES documents, part INTEGER NOT NULL, text TEXT);"
                                "CREATE INDEX chunks_of_document ON chunks(document);"
                                "INSERT INTO chunks SELECT row, document, part, text FROM chunks_2;"
                                "DROP TABLE chunks_2; PRAGMA user_version = 1; COMMIT";

// Words of the texts alone, without stems.
static const char version_2[] =
    "BEGIN; DROP TRIGGER chunk_comes; DROP TRIGGER chunk_goes; DROP TABLE words;"
    "CREATE VIRTUAL TABLE words USING fts5(text, content = '', tokenize = 'eleanor');"
    "CREATE TRIGGER chunk_comes AFTER INSERT ON chunks WHEN new.text IS NOT NULL BEGIN"
    "  INSERT INTO words(rowid, text) VALUES(new.chunk, new.text); END;"
    "CREATE TRIGGER chunk_goes AFTER DELETE ON chunks WHEN old.text IS NOT NULL BEGIN"
    "  INSERT INTO words(words, rowid, text) VALUES('delete', old.chunk, old.text); END;"
    "INSERT INTO words(rowid, text) SELECT chunk, text FROM chunks WHERE text IS NOT NULL;"
    "PRAGMA user_version = 2; COMMIT";

static void an_index_of_version_1(void **state) {
    (void)state;
    struct el_index *writer = suite_open(true), *reader;
    struct el_index_answer answer;
    int64_t removed;
    put(writer, "1", "plum", 2);
    put(writer, "2", "pear", 1);
    put(writer, "3", "plum and pear", 3);
    assert_int_equal(el_index_remove(writer, (const char *[]){"1"}, 1, &removed), 0);
    el_index_close(writer);
    execute(version_1);
    reader = suite_open(false);
    expect(reader, EL_QUERY_VECTOR, "", "3 2");
    assert_int_equal(search(reader, EL_QUERY_TEXT, "plum", 1, &answer), EL_EUNSUPPORTED);
    assert_non_null(strstr(el_error_detail(), "made before there was text search"));
    writer = suite_open(true);
    expect_text(writer, "plum", "3");
    expect_text(reader, "pear", "2 3"); // it sees what the writer did
    put(writer, "2", "fig", 1);
    expect_text(reader, "pear", "3");
    expect(reader, EL_QUERY_VECTOR, "", "3 2");
    el_index_close(reader);
    assert_int_equal(el_index_compact(writer), 0);
    assert_int_equal(el_index_verify(writer), 0);
    expect_text(writer, "fig plum", "2 3");
    el_index_close(writer);
}

static void an_index_of_version_2(void **state) {
    (void)state;
    struct el_index *writer = suite_open(true), *reader;
    int64_t removed;
    put(writer, "plums", "a tree", 2);
    put(writer, "pears", "trees", 1);
    put(writer, "none", NULL, 1);
    put(writer, "gone", "a house", 1);
    assert_int_equal(el_index_remove(writer, (const char *[]){"gone"}, 1, &removed), 0);
    el_index_close(writer);
    execute(version_2);
    reader = suite_open(false);
    expect_text(reader, "trees", "pears");
    expect_text(reader, "plums", "");
    writer = suite_open(true);
    expect_text(reader, "trees", "pears plums"); // it sees what the writer did
    expect_text(reader, "plums", "plums");
    put(writer, "pears", "a house", 1);
    expect_text(reader, "tree", "plums");
    expect_text(reader, "pear house", "pears");
    el_index_close(reader);
    assert_int_equal(el_index_verify(writer), 0);
    el_index_close(writer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_AN_INDEX(words_of_any_script),
        ON_AN_INDEX(nothing_is_syntax),
        ON_AN_INDEX(a_question_of_many_words),
        ON_AN_INDEX(scores_are_bm25),
        ON_AN_INDEX(stems_are_alike),
        ON_AN_INDEX(names_count_more_than_texts),
        ON_AN_INDEX(what_changes_is_found_as_it_is),
        ON_AN_INDEX(an_index_without_texts),
        ON_AN_INDEX(both_ways_are_fused),
        ON_AN_INDEX(a_row_that_does_not_count),
        ON_AN_INDEX(an_index_of_version_1),
        ON_AN_INDEX(an_index_of_version_2),
        cmocka_unit_test(fusing),
    };
    return cmocka_run_group_tests(tests, suite_make_root, suite_remove_root);
}
