// SPDX-License-Identifier: Apache-2.0
// A filter over the metadata of documents: a JSON object in the language that Chroma, Pinecone and MongoDB
// share (docs/search.md), parsed once to a tree, from which each store makes its own SQL.
//
//     {"lang": "en", "year": {"$gte": 2020}, "$or": [{"tag": {"$in": ["a", "b"]}}, {"tag": {"$exists":
//     false}}]}
#ifndef EL_INDEX_FILTER_H
#define EL_INDEX_FILTER_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

enum {
    EL_FILTER_DEPTH = 16,        // of filters within filters, at most
    EL_FILTER_CONDITIONS = 256,  // of all kinds
    EL_FILTER_VALUES = 1000,     // in all of them together
    EL_FILTER_BYTES = 64 * 1024, // of the text
};

// $ne, $nin and "$exists": false are a NOT of another; $in is an EQUAL.
enum el_filter_op {
    EL_FILTER_AND, // of its children: none of them is true of all documents
    EL_FILTER_OR,
    EL_FILTER_NOT,    // of its one child
    EL_FILTER_EXISTS, // the key is there, be it as null
    EL_FILTER_EQUAL,  // to any of the values
    EL_FILTER_LESS,   // these four have one value, a number or a string
    EL_FILTER_LESS_EQUAL,
    EL_FILTER_GREATER,
    EL_FILTER_GREATER_EQUAL,
};

enum el_filter_type {
    EL_FILTER_NULL,
    EL_FILTER_FALSE,
    EL_FILTER_TRUE,
    EL_FILTER_INTEGER,
    EL_FILTER_REAL,
    EL_FILTER_STRING
};
struct el_filter_value {
    enum el_filter_type type;
    int64_t integer;
    double real;
    const char *string; // UTF-8
};

// A comparison is true of a value, or of an array that has such an element; never of an object, nor of values
// of different types, whole numbers and others being one.
struct el_filter {
    enum el_filter_op op;
    const char *const *path; // [path_length] of a comparison: names of objects within objects, then the key
    size_t path_length;
    const struct el_filter_value *values; // [value_count]
    size_t value_count;
    const struct el_filter *children; // [child_count] of AND, OR, NOT
    size_t child_count;
};

// "<" and so on, as SQL has it; of LESS to GREATER_EQUAL.
const char *el_filter_sign(enum el_filter_op op);

// The tree lies in the arena. EL_EINVAL names the key or operator that is wrong; EL_ENOMEM.
int el_filter_parse(const char *json, struct el_arena *arena, const struct el_filter **ret_filter);

// Of a filter that says what to remove. EL_EINVAL: it is empty, or one within it, which passes every
// document.
int el_filter_check_removal(const struct el_filter *filter);

#endif
