// SPDX-License-Identifier: Apache-2.0
// .gitignore: a line to a rule, and rules to a verdict.
#include "files/ignore.h"

#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "files/glob.h"

struct rule {
    char *pattern;
    bool negated;      // "!x": what an earlier rule ignored is not
    bool folders_only; // "x/"
    bool any_depth;    // without a slash within: the name alone is held against it
};

struct el_ignore {
    char *folder;
    const struct el_ignore *above;
    struct rule *rules;
    size_t count, capacity;
};

// ---- lines ----

// Blanks at the end do not count, unless a backslash stands before them.
static size_t trim(const char *line, size_t length) {
    if (length && line[length - 1] == '\r') length--;
    while (length && line[length - 1] == ' ' && !(length > 1 && line[length - 2] == '\\'))
        length--;
    return length;
}

static int add_rule(struct el_ignore *rules, const char *line, size_t length) {
    struct rule rule = {0};
    EL_TRY(el_grow(&rules->rules, sizeof *rules->rules, rules->count, &rules->capacity));
    rule.negated = *line == '!';
    line += rule.negated;
    length -= rule.negated;
    rule.folders_only = length && line[length - 1] == '/';
    length -= rule.folders_only;
    rule.any_depth = !memchr(line, '/', length);
    if (length && *line == '/') {
        line++;
        length--;
    }
    if (!length) return 0;
    EL_TRY(el_strndup(line, length, &rule.pattern));
    rules->rules[rules->count++] = rule;
    return 0;
}

static int add_rules(struct el_ignore *rules, const char *text, size_t length) {
    static const char mark[] = "\xEF\xBB\xBF";
    const char *end = text + length;
    if (length >= 3 && memcmp(text, mark, 3) == 0) text += 3;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const size_t line = trim(text, (size_t)((newline ? newline : end) - text));
        if (line && *text != '#') EL_TRY(add_rule(rules, text, line));
        text = newline ? newline + 1 : end;
    }
    return 0;
}

static void free_p(struct el_ignore **rules) {
    el_ignore_free(*rules);
}

int el_ignore_parse(const char *text, size_t length, const char *folder, const struct el_ignore *above,
                    struct el_ignore **ret_rules) {
    el_auto(free_p) struct el_ignore *rules = NULL;
    EL_TRY(el_zalloc(1, sizeof *rules, &rules));
    EL_TRY(el_strdup(folder, &rules->folder));
    rules->above = above;
    if (length) EL_TRY(add_rules(rules, text, length));
    *ret_rules = el_steal(rules);
    return 0;
}

void el_ignore_free(struct el_ignore *rules) {
    if (!rules) return;
    for (size_t i = 0; i < rules->count; i++)
        el_free(rules->rules[i].pattern);
    el_free(rules->rules);
    el_free(rules->folder);
    el_free(rules);
}

// ---- judging ----

enum el_ignore_verdict el_ignore_judge(const struct el_ignore *rules, const char *path, bool is_folder) {
    for (; rules; rules = rules->above) {
        const char *rest = el_path_below(path, rules->folder);
        if (!rest || !*rest) continue;
        const char *name = strrchr(rest, '/');
        for (size_t i = rules->count; i-- > 0;) {
            const struct rule *rule = &rules->rules[i];
            if (rule->folders_only && !is_folder) continue;
            if (el_glob_match(rule->pattern, rule->any_depth && name ? name + 1 : rest))
                return rule->negated ? EL_IGNORE_NO : EL_IGNORE_YES;
        }
    }
    return EL_IGNORE_SILENT;
}
