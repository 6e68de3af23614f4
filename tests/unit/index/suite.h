// SPDX-License-Identifier: Apache-2.0
// The tests that every store must pass, and what they share. A program of tests is linked with the file that
// says which store it is: embedded_suite.c, or another that defines `suite` and suite_begin.
#ifndef EL_TESTS_SUITE_H
#define EL_TESTS_SUITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "index/store.h"

enum { SUITE_DIM = 4, SUITE_SKIPPED = 77 };

extern struct suite {
    const struct el_index_store *store;
    const char *url;
    bool keeps_dead;      // what was replaced or removed is counted until compaction
    const char *metadata; // {"a":1}, as the store writes it
    void (*settle)(void); // waits until a killed client's last word is heard; NULL: none is on its way
} suite;

// Fills in what is known only now; false: the store can't be had here, which it has said. Then a program
// returns SUITE_SKIPPED.
bool suite_begin(void);

extern char suite_folder[64]; // of the index

int suite_make_root(void **state);
int suite_remove_root(void **state);
int suite_make_index(enum el_metric metric);
int suite_make_ip_index(void **state);
int suite_remove_index(void **state);
struct el_index *suite_open(bool writable);

// A document of `chunks` chunks. Chunk i of document n has the vector (n, i, 1, 0) and the text "n.i".
int suite_put(struct el_index *index, int n, int chunks);
extern const float suite_by_number[SUITE_DIM]; // finds the highest document first, of it the last chunk
// The texts of the answer, best first: "2.1 2.0".
void suite_expect_found(struct el_index *index, const float *query, int k, const char *texts);
void suite_expect_stats(struct el_index *index, int64_t documents, int64_t chunks, int64_t dead);

void what_was_put_is_found(void **state);
void a_document_is_replaced_and_removed(void **state);
void ids_by_prefix(void **state);
void documents_are_read_in_their_order(void **state);
void pages_end_where_they_are_full(void **state);
void parts_are_merged(void **state);
void vectors_that_cannot_be(void **state);
void many_questions_are_one_query(void **state);
void writers_that_are_killed(void **state);
void a_reader_beside_a_writer(void **state);

#define ON_AN_INDEX(test) cmocka_unit_test_setup_teardown(test, suite_make_ip_index, suite_remove_index)
#define SUITE_TESTS                                                                      \
    ON_AN_INDEX(what_was_put_is_found), ON_AN_INDEX(a_document_is_replaced_and_removed), \
        ON_AN_INDEX(ids_by_prefix), ON_AN_INDEX(documents_are_read_in_their_order),      \
        ON_AN_INDEX(pages_end_where_they_are_full), ON_AN_INDEX(parts_are_merged),       \
        ON_AN_INDEX(many_questions_are_one_query),                                       \
        cmocka_unit_test_teardown(vectors_that_cannot_be, suite_remove_index),           \
        ON_AN_INDEX(writers_that_are_killed), ON_AN_INDEX(a_reader_beside_a_writer)

#endif
