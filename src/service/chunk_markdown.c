// SPDX-License-Identifier: Apache-2.0
// Markdown by its headings (CommonMark's two forms of them): a chunk lies within a section, and the titles
// that lead to it stand before it: "Manual > Installing > On Debian".
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "service/chunk_parts.h"

enum { LEVELS = 6, HEAD_SHARE = 4 }; // titles take at most a quarter of a chunk

struct heading {
    int level; // 1 to 6; 0: there is none
    struct el_text title;
    size_t end; // behind its lines
};

struct document {
    const struct el_text *text;
    const struct el_chunk_rules *rules;
    struct el_chunks *chunks;
    struct el_text titles[LEVELS + 1]; // that hold; of length 0: none. 0: of the whole
};

// ---- headings ----

static struct el_text trim(const char *data, size_t begin, size_t end) {
    while (begin < end && el_chunk_blank(data[begin]))
        begin++;
    while (end > begin && el_chunk_blank(data[end - 1]))
        end--;
    return (struct el_text){data + begin, end - begin};
}

// "## Title ##"
static struct heading read_atx(const struct el_text *text, size_t at) {
    const size_t end = el_line_end(text, at, text->length);
    size_t begin = at, marks = 0;
    while (begin < end && begin < at + 3 && text->data[begin] == ' ')
        begin++;
    while (begin + marks < end && text->data[begin + marks] == '#')
        marks++;
    const size_t behind = begin + marks;
    if (marks < 1 || marks > LEVELS || (behind < end && !el_chunk_blank(text->data[behind])))
        return (struct heading){0};
    struct el_text title = trim(text->data, behind, end);
    while (title.length && title.data[title.length - 1] == '#')
        title.length--;
    return (struct heading){(int)marks, trim(title.data, 0, title.length), end};
}

// A line, and under it a line of "===" or "---".
static struct heading read_setext(const struct el_text *text, size_t at) {
    const size_t line = el_line_end(text, at, text->length);
    const size_t end = el_line_end(text, line, text->length);
    const struct el_text title = trim(text->data, at, line), under = trim(text->data, line, end);
    if (!title.length || under.length < 2 || (*under.data != '=' && *under.data != '-'))
        return (struct heading){0};
    for (size_t i = 1; i < under.length; i++)
        if (under.data[i] != *under.data) return (struct heading){0};
    return (struct heading){*under.data == '=' ? 1 : 2, title, end};
}

static struct heading read_heading(const struct el_text *text, size_t at, bool behind_empty) {
    const struct heading atx = read_atx(text, at);
    return atx.level || !behind_empty ? atx : read_setext(text, at);
}

// ---- sections ----

static bool is_repeated(const struct el_text *titles, int level) {
    for (int i = 0; i < level; i++)
        if (titles[i].length == titles[level].length &&
            memcmp(titles[i].data, titles[level].data, titles[level].length) == 0)
            return true;
    return false;
}

// The titles that hold, the outermost left out until they are short enough.
static int make_head(const struct document *document, struct el_str *head, int64_t *ret_tokens) {
    const struct el_chunk_rules *rules = document->rules;
    int64_t tokens = 0;
    for (int first = 0; first <= LEVELS + 1; first++) {
        el_str_clear(head);
        for (int i = first; i <= LEVELS; i++) {
            const struct el_text *title = &document->titles[i];
            if (!title->length || is_repeated(document->titles, i)) continue;
            if (head->length) EL_TRY(el_str_puts(head, " > "));
            EL_TRY(el_str_append(head, title->data, title->length));
        }
        if (!head->length) break;
        EL_TRY(rules->count(rules->context, &(struct el_text){head->data, head->length}, &tokens));
        if (tokens <= rules->tokens / HEAD_SHARE) break;
    }
    *ret_tokens = head->length ? tokens : 0;
    return 0;
}

// text[begin .. end) under the titles that hold. One that has nothing under it, not even a deeper one, is a
// chunk itself.
static int put_section(const struct document *document, size_t begin, size_t end, bool has_deeper) {
    struct el_str head el_auto(el_str_done) = {0};
    struct el_chunk_rules rules = *document->rules;
    int64_t tokens;
    int lines;
    const bool is_blank = el_chunk_skip(document->text, begin, end, &lines) == end;
    if (is_blank && has_deeper) return 0;
    EL_TRY(make_head(document, &head, &tokens));
    const struct el_text before = {head.length ? head.data : "", head.length};
    if (is_blank && !head.length) return 0;
    if (is_blank) return el_chunks_put(document->chunks, &before, (struct el_text){"", 0});
    rules.tokens = EL_MAX(1, rules.tokens - tokens);
    rules.overlap = EL_MIN(rules.overlap, rules.tokens / 2);
    return el_chunk_part(document->text, begin, end, &rules, &before, document->chunks);
}

// Behind the metadata between "---" lines that a file may begin with.
static size_t skip_front_matter(const struct el_text *text) {
    if (text->length < 4 || memcmp(text->data, "---\n", 4) != 0) return 0;
    for (size_t at = 4; at < text->length; at = el_line_end(text, at, text->length))
        if (text->length - at >= 4 && memcmp(text->data + at, "---\n", 4) == 0) return at + 4;
    return 0;
}

int el_chunk_markdown(const struct el_text *text, const struct el_chunk_rules *rules,
                      struct el_chunks *chunks) {
    struct document document = {.text = text, .rules = rules, .chunks = chunks};
    const size_t first = skip_front_matter(text);
    size_t begin = 0;
    int level = 0;
    bool behind_empty = true;
    if (rules->title) document.titles[0] = trim(rules->title, 0, strlen(rules->title));
    for (size_t at = first; at < text->length;) {
        const struct heading heading = read_heading(text, at, behind_empty);
        const size_t fence = heading.level ? at : el_fence_skip(text, at, text->length);
        const size_t next = fence > at ? fence : el_line_end(text, at, text->length);
        behind_empty = heading.level || !trim(text->data, at, next).length;
        if (heading.level) {
            EL_TRY(put_section(&document, begin, at, begin == 0 || heading.level > level));
            level = heading.level;
            begin = heading.end;
            document.titles[level] = heading.title;
            memset(&document.titles[level + 1], 0, (size_t)(LEVELS - level) * sizeof *document.titles);
        }
        at = heading.level ? heading.end : next;
    }
    return put_section(&document, begin, text->length, begin == 0);
}
