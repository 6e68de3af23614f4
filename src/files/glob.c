// SPDX-License-Identifier: Apache-2.0
// Matching without recursion: on a mismatch the last '*' takes one byte more, and when that is a slash, the
// last "**/" takes one folder more. Earlier ones need not be tried again: what they took least fits as well.
#include "files/glob.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

// ---- [...] ----

static const struct {
    const char *name;
    int (*holds)(int c);
} classes[] = {
    {"[:alnum:]", isalnum}, {"[:alpha:]", isalpha}, {"[:blank:]", isblank}, {"[:cntrl:]", iscntrl},
    {"[:digit:]", isdigit}, {"[:graph:]", isgraph}, {"[:lower:]", islower}, {"[:print:]", isprint},
    {"[:punct:]", ispunct}, {"[:space:]", isspace}, {"[:upper:]", isupper}, {"[:xdigit:]", isxdigit},
};

// The byte that stands at *pattern, which is moved behind it; -1 at the pattern's end.
static int take_byte(const char **pattern) {
    if (**pattern == '\\') ++*pattern;
    if (!**pattern) return -1;
    return (unsigned char)*(*pattern)++;
}

// One member of a set: a class, a range or a byte. Moves *pattern behind it; false when the pattern ends.
static bool take_member(const char **pattern, int c, bool *holds) {
    for (size_t i = 0; i < EL_COUNT(classes); i++) {
        if (!el_starts_with(*pattern, classes[i].name)) continue;
        *pattern += strlen(classes[i].name);
        *holds = *holds || classes[i].holds(c);
        return true;
    }
    if (el_starts_with(*pattern, "[:")) return false; // a class that is not there
    const int low = take_byte(pattern);
    int high = low;
    if (**pattern == '-' && (*pattern)[1] && (*pattern)[1] != ']') {
        ++*pattern;
        high = take_byte(pattern);
    }
    *holds = *holds || (low <= c && c <= high);
    return low >= 0 && high >= 0;
}

// *pattern stands behind '['; it is moved behind the ']'.
static bool match_set(const char **pattern, int c) {
    const bool negated = **pattern == '!' || **pattern == '^';
    bool holds = false;
    *pattern += negated;
    for (bool first = true; first || **pattern != ']'; first = false)
        if (!**pattern || !take_member(pattern, c, &holds)) return false;
    ++*pattern;
    return holds != negated && c != '/';
}

// ---- the whole ----

// One byte against what stands at *pattern, which is moved behind it.
static bool match_one(const char **pattern, char c) {
    switch (**pattern) {
    case '\0':
        return false;
    case '?':
        ++*pattern;
        return c != '/';
    case '[':
        ++*pattern;
        return match_set(pattern, (unsigned char)c);
    default:
        return take_byte(pattern) == (unsigned char)c;
    }
}

bool el_glob_match(const char *pattern, const char *path) {
    const char *const start = pattern;
    const char *star = NULL, *star_end = NULL; // behind the last '*', and what it has taken
    const char *deep = NULL, *deep_end = NULL; // behind the last "**/", likewise
    for (;;) {
        const bool at_name = pattern == start || pattern[-1] == '/';
        if (at_name && el_streq(pattern, "**")) return *path != '\0';
        if (at_name && el_starts_with(pattern, "**/")) {
            pattern = deep = pattern + 3;
            deep_end = path;
            star = NULL;
            continue;
        }
        if (*pattern == '*') {
            pattern = star = pattern + strspn(pattern, "*");
            star_end = path;
            continue;
        }
        if (!*path) return !*pattern;
        if (match_one(&pattern, *path)) {
            path++;
        } else if (star && *star_end != '/') {
            pattern = star;
            path = ++star_end;
        } else if (deep && strchr(deep_end, '/')) {
            pattern = deep;
            path = deep_end = strchr(deep_end, '/') + 1;
            star = NULL;
        } else {
            return false;
        }
    }
}
