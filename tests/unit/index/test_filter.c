// SPDX-License-Identifier: Apache-2.0
// Filters by metadata: what passes, through every operator, type and nesting; what is refused, by name; and
// that nothing a user writes is SQL or a path of another key. Of every store.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "index/filter.h"
#include "suite.h"

static struct el_index *docs; // of a document for each of:
static const char *const metadata[] = {
    ['a'] =
        "{\"lang\":\"en\",\"year\":2020,\"tag\":[\"x\",\"y\"],\"draft\":true,\"author\":{\"name\":\"Bo\"}}",
    ['b'] = "{\"lang\":\"de\",\"year\":2021.5,\"tag\":[],\"draft\":false,\"n\":1}",
    ['c'] = "{\"lang\":\"EN\",\"year\":\"2020\",\"tag\":\"x\",\"draft\":null,\"author\":\"Bo\",\"n\":true}",
    ['d'] = "{\"year\":[1990,2025],\"a.b\":1,\"é\":\"ü\",\"x y\":\"' OR 1=1 --\",\"n\":\"1\",\"\":1}",
    ['e'] = NULL,
    ['f'] = "{}",
    ['g'] = "{\"year\":9007199254740993,\"nested\":{\"deep\":{\"er\":[1,2,3]}}}",
};

static void put_all(void) {
    for (size_t i = 'a'; i < EL_COUNT(metadata); i++) {
        const struct el_text text = {"word", 4};
        const struct el_index_document document = {
            .id = (char[]){(char)i, '\0'}, .chunks = 1, .metadata = metadata[i], .texts = &text};
        if (el_index_put(docs, &document, 1, (float[]){(float)-i}) < 0) fail_msg("%s", el_error_detail());
    }
}

static int make(void **state) {
    const struct el_vector_facts facts = {.dim = 1, .metric = EL_METRIC_IP};
    suite_make_root(state);
    assert_int_equal(suite.store->create(suite_folder, suite.url, &facts), 0);
    docs = suite_open(true);
    put_all();
    return 0;
}

static int done(void **state) {
    el_index_close(docs);
    assert_int_equal(suite_remove_index(state), 0);
    return suite_remove_root(state);
}

static int search(enum el_query_mode mode, const char *filter, struct el_index_answer *ret_answer) {
    const struct el_index_query query = {.mode = mode,
                                         .count = 1,
                                         .vectors = (float[]){1},
                                         .texts = &(struct el_text){"word", 4},
                                         .k = 10,
                                         .filter = filter};
    return el_index_search(docs, &query, ret_answer);
}

// The ids of the documents that pass, in their order, in every mode.
static void expect(const char *filter, const char *ids) {
    for (int mode = EL_QUERY_VECTOR; mode <= EL_QUERY_HYBRID; mode++) {
        struct el_index_answer answer;
        char found[16] = "";
        if (search((enum el_query_mode)mode, filter, &answer) < 0)
            fail_msg("%s: %s", filter, el_error_detail());
        for (size_t i = 0; i < answer.lists[0].count; i++)
            found[i] = *answer.lists[0].hits[i].id;
        if (!el_streq(found, ids)) fail_msg("%s finds \"%s\", not \"%s\"", filter, found, ids);
        if (answer.stats.rows >= 0) assert_int_equal(answer.stats.rows, strlen(ids));
        el_index_answer_done(&answer);
    }
}

static void operators(void **state) {
    (void)state;
    expect("{\"lang\":\"en\"}", "a");
    expect("{\"lang\":{\"$eq\":\"en\"}}", "a");
    expect("{\"lang\":{\"$ne\":\"en\"}}", "bcdefg"); // also where there is none
    expect("{\"lang\":{\"$in\":[\"en\",\"de\",5]}}", "ab");
    expect("{\"lang\":{\"$nin\":[\"en\",\"de\"]}}", "cdefg");
    expect("{\"lang\":{\"$in\":[]}}", "");
    expect("{\"year\":{\"$gt\":2020}}", "bdg");
    expect("{\"year\":{\"$gte\":2020}}", "abdg");
    expect("{\"year\":{\"$lt\":2020}}", "d");
    expect("{\"year\":{\"$lte\":2020.0}}", "ad");
    expect("{\"year\":{\"$gte\":2020,\"$lt\":2022}}", "abd"); // d by two of its elements
    expect("{\"year\":{\"$gte\":\"2\"}}", "c");               // a string with strings
    expect("{\"lang\":{\"$gt\":\"a\",\"$lt\":\"e\"}}", "b");
    expect("{\"author\":{\"$exists\":true}}", "ac");
    expect("{\"draft\":{\"$exists\":false}}", "defg");
}

static void types(void **state) {
    (void)state;
    expect("{\"year\":2020}", "a");
    expect("{\"year\":2020.0}", "a");
    expect("{\"year\":2021.5}", "b");
    expect("{\"year\":\"2020\"}", "c");
    expect("{\"year\":9007199254740993}", "g"); // beyond what a double tells apart
    expect("{\"year\":9007199254740992}", "");
    expect("{\"n\":1}", "b");
    expect("{\"n\":true}", "c");
    expect("{\"n\":\"1\"}", "d");
    expect("{\"draft\":true}", "a");
    expect("{\"draft\":false}", "b");
    expect("{\"draft\":null}", "c");
    expect("{\"draft\":{\"$in\":[null,true]}}", "ac");
}

static void arrays_and_objects(void **state) {
    (void)state;
    expect("{\"tag\":\"x\"}", "ac");
    expect("{\"tag\":{\"$in\":[\"y\",\"z\"]}}", "a");
    expect("{\"tag\":{\"$ne\":\"x\"}}", "bdefg");
    expect("{\"tag\":{\"$exists\":true}}", "abc"); // b's is empty
    expect("{\"author\":\"Bo\"}", "c");            // a's is an object, which equals nothing
    expect("{\"author.name\":\"Bo\"}", "a");
    expect("{\"author.name.first\":\"Bo\"}", "");
    expect("{\"nested.deep.er\":{\"$gt\":2}}", "g");
    expect("{\"a.b\":1}", ""); // a dot parts names
    expect("{\"é\":\"ü\"}", "d");
}

static void nesting(void **state) {
    (void)state;
    expect("{}", "abcdefg");
    expect("{\"lang\":\"en\",\"year\":2020}", "a");
    expect("{\"lang\":\"en\",\"year\":2021}", "");
    expect("{\"$or\":[{\"lang\":\"de\"},{\"draft\":true}]}", "ab");
    expect("{\"$and\":[{\"tag\":\"x\"},{\"$not\":{\"lang\":\"en\"}}]}", "c");
    expect("{\"$not\":{\"$or\":[{\"lang\":{\"$exists\":true}},{\"year\":{\"$gt\":0}}]}}", "ef");
    expect("{\"$not\":{}}", "");
    expect("{\"year\":{\"$gt\":0},\"$or\":[{\"lang\":\"en\"},{\"n\":1}],\"$not\":{\"draft\":true}}", "b");
}

static void nothing_is_sql(void **state) {
    (void)state;
    expect("{\"x y\":\"' OR 1=1 --\"}", "d");
    expect("{\"lang\":\"' OR 1=1 --\"}", "");
    expect("{\"x') OR 1=1 --\":1}", "");
    expect("{\"lang?1\":\"en\"}", "");
    expect("{\"[0]\":1}", "");
    expect("{\"lang\":\"?1\"}", "");
}

// What a filter is refused with.
static void refuse(const char *filter, const char *says) {
    struct el_index_answer answer;
    assert_int_equal(search(EL_QUERY_VECTOR, filter, &answer), EL_EINVAL);
    if (!strstr(el_error_detail(), says)) fail_msg("%s: %s, not %s", filter, el_error_detail(), says);
}

static void refusals(void **state) {
    (void)state;
    refuse("", "can't be read");
    refuse("{", "can't be read");
    refuse("{\"a\":1,\"a\":2}", "duplicate");
    refuse("[]", "a filter takes a JSON object");
    refuse("\"a\"", "can't be read");
    refuse("{\"a\":\"b\\u0000\"}", "\"a\" is compared with a string that holds a NUL");
    refuse("{\"year\":{\"$gtt\":1}}", "\"year\" has the operator \"$gtt\"");
    refuse("{\"author\":{\"name\":\"Bo\"}}", "\"author\" holds \"name\"");
    refuse("{\"author\":{}}", "\"author\" has no operator");
    refuse("{\"tag\":[\"x\"]}", "\"tag\" is an array");
    refuse("{\"tag\":{\"$in\":\"x\"}}", "\"tag\": $in takes an array");
    refuse("{\"tag\":{\"$eq\":[\"x\"]}}", "\"tag\": $eq takes one value");
    refuse("{\"tag\":{\"$in\":[[1]]}}", "\"tag\" is compared with");
    refuse("{\"tag\":{\"$exists\":1}}", "\"tag\": $exists takes true or false");
    refuse("{\"year\":{\"$gt\":null}}", "\"year\": $gt takes a number or a string");
    refuse("{\"$and\":[]}", "$and takes an array");
    refuse("{\"$or\":{\"a\":1}}", "$or takes an array");
    refuse("{\"$or\":[1]}", "$or takes a JSON object");
    refuse("{\"$not\":[]}", "$not takes a JSON object");
    refuse("{\"$nor\":[]}", "\"$nor\" stands where a key");
    refuse("{\"$.lang\":1}", "\"$.lang\" stands where a key");
    refuse("{\"a\\\"b\":1}", "a quote");
    refuse("{\"a\\\\b\":1}", "a backslash");
    refuse("{\"a\\nb\":1}", "a control character");
    refuse("{\"\":1}", "an empty name");
    refuse("{\"a..b\":1}", "an empty name");
    refuse("{\"a.\":1}", "an empty name");
    refuse("{\".a\":1}", "an empty name");
}

// Repeats a piece within a beginning and an end.
static void build(const char *begin, const char *piece, const char *between, const char *end, int times,
                  struct el_str *filter) {
    assert_int_equal(el_str_puts(filter, begin), 0);
    for (int i = 0; i < times; i++)
        assert_int_equal(el_str_printf(filter, "%s%s", i ? between : "", piece), 0);
    assert_int_equal(el_str_puts(filter, end), 0);
}

static void limits(void **state) {
    (void)state;
    static const struct {
        const char *begin, *piece, *between, *end, *expected, *says;
        int most;
    } rows[] = {
        {"{\"year\":{\"$in\":[", "2020", ",", "]}}", "a", "over 1000 values", EL_FILTER_VALUES},
        // the filter, and each of the list with its condition
        {"{\"$or\":[", "{\"year\":2020}", ",", "]}", "a", "over 256 conditions",
         (EL_FILTER_CONDITIONS - 1) / 2},
        {"{\"$and\":[", "{\"year\":2020}", ",", "]}", "a", "over 256 conditions",
         (EL_FILTER_CONDITIONS - 1) / 2},
    };
    for (size_t i = 0; i < EL_COUNT(rows); i++) {
        struct el_str most el_auto(el_str_done) = {0}, more el_auto(el_str_done) = {0};
        build(rows[i].begin, rows[i].piece, rows[i].between, rows[i].end, rows[i].most, &most);
        build(rows[i].begin, rows[i].piece, rows[i].between, rows[i].end, rows[i].most + 1, &more);
        expect(most.data, rows[i].expected);
        refuse(more.data, rows[i].says);
    }
    struct el_str deep el_auto(el_str_done) = {0}, long_one el_auto(el_str_done) = {0};
    build("", "{\"$not\":", "", "{}", EL_FILTER_DEPTH, &deep);
    build("", "}", "", "", EL_FILTER_DEPTH, &deep);
    refuse(deep.data, "nested over 16 deep");
    build("{\"", "x", "", "\":1}", EL_FILTER_BYTES, &long_one);
    refuse(long_one.data, "over 65536 bytes");
}

// What was found out for one filter is not taken for another, nor for another state of the documents.
static void one_filter_after_the_other(void **state) {
    (void)state;
    const struct el_index_document more = {
        .id = "h", .chunks = 1, .metadata = "{\"lang\":\"en\"}", .texts = &(struct el_text){"word", 4}};
    int64_t removed;
    expect("{\"lang\":\"en\"}", "a");
    expect("{\"lang\":\"de\"}", "b");
    expect("{\"lang\":\"en\"}", "a");
    assert_int_equal(el_index_put(docs, &more, 1, (float[]){-'h'}), 0);
    expect("{\"lang\":\"en\"}", "ah");
    assert_int_equal(el_index_remove(docs, (const char *[]){"h"}, 1, &removed), 0);
    expect("{\"lang\":\"en\"}", "a");
    expect("{}", "abcdefg");
    assert_int_equal(el_index_compact(docs), 0);
    expect("{\"lang\":\"en\"}", "a");
}

// ---- removing ----

// Removes what passes from all documents, of which `left` stay.
static void expect_removed(const char *filter, const char *left) {
    int64_t removed = -1;
    if (el_index_remove_passing(docs, filter, &removed) < 0) fail_msg("%s: %s", filter, el_error_detail());
    assert_int_equal(removed, strlen("abcdefg") - strlen(left));
    expect("{}", left);
    assert_int_equal(el_index_verify(docs), 0);
    put_all();
}

static void what_passes_is_removed(void **state) {
    (void)state;
    expect_removed("{\"lang\":\"en\"}", "bcdefg");
    expect_removed("{\"year\":{\"$gte\":2020}}", "cef");
    expect_removed("{\"$or\":[{\"author.name\":\"Bo\"},{\"tag\":\"x\"}]}", "bdefg");
    expect_removed("{\"lang\":{\"$exists\":false}}", "abc"); // those without metadata too
    expect_removed("{\"lang\":\"xx\"}", "abcdefg");
    expect_removed("{\"lang\":{\"$in\":[]}}", "abcdefg");
    assert_int_equal(el_index_compact(docs), 0);
    expect("{}", "abcdefg");
}

static void what_is_removed_is_no_sql(void **state) {
    (void)state;
    expect_removed("{\"x y\":\"' OR 1=1 --\"}", "abcefg");
    expect_removed("{\"lang\":\"' OR 1=1 --\"}", "abcdefg");
    expect_removed("{\"lang\":\"en'; DELETE FROM documents; --\"}", "abcdefg");
    expect_removed("{\"x') OR 1=1 --\":1}", "abcdefg");
    expect_removed("{\"lang?1\":\"en\"}", "abcdefg");
    expect_removed("{\"lang\":\"$1\"}", "abcdefg");
}

static void refuse_removal(struct el_index *index, const char *filter, const char *says) {
    int64_t removed = -1;
    assert_int_equal(el_index_remove_passing(index, filter, &removed), EL_EINVAL);
    if (!strstr(el_error_detail(), says)) fail_msg("%s: %s, not %s", filter, el_error_detail(), says);
    assert_int_equal(removed, -1);
    expect("{}", "abcdefg");
}

static void removals_that_are_refused(void **state) {
    (void)state;
    static const char *const empty[] = {"{}", "{\"$and\":[{}]}", "{\"$or\":[{\"lang\":\"en\"},{}]}",
                                        "{\"$not\":{}}", "{\"lang\":\"en\",\"$not\":{\"$not\":{}}}"};
    for (size_t i = 0; i < EL_COUNT(empty); i++)
        refuse_removal(docs, empty[i], "an empty filter passes every document");
    refuse_removal(docs, "", "can't be read");
    refuse_removal(docs, "[]", "a filter takes a JSON object");
    refuse_removal(docs, "{\"year\":{\"$gtt\":1}}", "\"year\" has the operator \"$gtt\"");
    struct el_index *reader = suite_open(false);
    refuse_removal(reader, "{\"lang\":\"en\"}", "opened for reading");
    el_index_close(reader);
}

int main(void) {
    if (!suite_begin()) return SUITE_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operators),
        cmocka_unit_test(types),
        cmocka_unit_test(arrays_and_objects),
        cmocka_unit_test(nesting),
        cmocka_unit_test(nothing_is_sql),
        cmocka_unit_test(refusals),
        cmocka_unit_test(limits),
        cmocka_unit_test(one_filter_after_the_other),
        cmocka_unit_test(what_passes_is_removed),
        cmocka_unit_test(what_is_removed_is_no_sql),
        cmocka_unit_test(removals_that_are_refused),
    };
    return cmocka_run_group_tests(tests, make, done);
}
