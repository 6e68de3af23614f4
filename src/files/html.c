// SPDX-License-Identifier: Apache-2.0
// HTML by libxml2's parser, as it goes: no tree is built, so neither depth nor size costs memory.
#include "files/html.h"

#include <ctype.h>
#include <libxml/HTMLparser.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/mem.h"

// The parser looks through the open elements for each end tag, so that depth costs time.
enum { DEEPEST = 1000 };

struct page {
    htmlParserCtxtPtr parser;
    struct el_str *text, *title;
    int depth;
    int hidden; // depth of the element within which nothing is shown; 0: none
    bool in_title, is_preformatted;
    size_t wanted_lines; // newlines that stand before what comes next
    bool wants_blank;    // or a blank
    int status;
};

// ---- elements ----

enum layout {
    HIDDEN = 1,
    TITLE,
    LINE,      // begins a line
    PARAGRAPH, // stands between empty lines
    HEADING,
    ITEM,
    CELL,
    PREFORMATTED,
};

static const struct element {
    const char *name;
    enum layout layout;
    const char *begins; // what is put before it
} elements[] = {
    {"script", HIDDEN, ""},
    {"style", HIDDEN, ""},
    {"template", HIDDEN, ""},
    {"noscript", HIDDEN, ""},
    {"svg", HIDDEN, ""},
    {"select", HIDDEN, ""},
    {"title", TITLE, ""},
    {"br", LINE, ""},
    {"div", LINE, ""},
    {"tr", LINE, ""},
    {"dt", LINE, ""},
    {"dd", LINE, ""},
    {"p", PARAGRAPH, ""},
    {"ul", PARAGRAPH, ""},
    {"ol", PARAGRAPH, ""},
    {"dl", PARAGRAPH, ""},
    {"table", PARAGRAPH, ""},
    {"blockquote", PARAGRAPH, ""},
    {"section", PARAGRAPH, ""},
    {"article", PARAGRAPH, ""},
    {"header", PARAGRAPH, ""},
    {"footer", PARAGRAPH, ""},
    {"nav", PARAGRAPH, ""},
    {"main", PARAGRAPH, ""},
    {"hr", PARAGRAPH, ""},
    {"h1", HEADING, "# "},
    {"h2", HEADING, "## "},
    {"h3", HEADING, "### "},
    {"h4", HEADING, "#### "},
    {"h5", HEADING, "##### "},
    {"h6", HEADING, "###### "},
    {"li", ITEM, "- "},
    {"td", CELL, ""},
    {"th", CELL, ""},
    {"pre", PREFORMATTED, "```\n"},
};

static const struct element *find_element(const xmlChar *name) {
    for (size_t i = 0; i < EL_COUNT(elements); i++)
        if (el_streq(elements[i].name, (const char *)name)) return &elements[i];
    return NULL;
}

// ---- text ----

static void keep(struct page *page, int status) {
    if (status == 0 || page->status < 0) return;
    page->status = status;
    xmlStopParser(page->parser);
}

static void want_lines(struct page *page, size_t lines) {
    page->wanted_lines = EL_MAX(page->wanted_lines, lines);
}

// Puts the newlines or the blank that stand before what comes now.
static void begin_text(struct page *page) {
    struct el_str *text = page->text;
    size_t lines = 0;
    while (lines < text->length && text->data[text->length - 1 - lines] == '\n')
        lines++;
    if (text->length)
        for (; lines < page->wanted_lines; lines++)
            keep(page, el_str_putc(text, '\n'));
    const bool inside = text->length && lines == 0;
    if (page->wants_blank && inside) keep(page, el_str_putc(text, ' '));
    page->wanted_lines = 0;
    page->wants_blank = false;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

// Runs of blanks become one, and none where a line begins.
static void put_words(struct page *page, const char *text, size_t length) {
    for (size_t at = 0; at < length;) {
        size_t end = at;
        while (end < length && !is_blank(text[end]))
            end++;
        if (end > at) {
            begin_text(page);
            keep(page, el_str_append(page->text, text + at, end - at));
        } else {
            page->wants_blank = true;
            end++;
        }
        at = end;
    }
}

static void on_text(void *context, const xmlChar *text, int length) {
    struct page *page = context;
    const char *bytes = (const char *)text;
    if (page->hidden) return;
    if (page->in_title) {
        keep(page, el_str_append(page->title, bytes, (size_t)length));
    } else if (page->is_preformatted) {
        begin_text(page);
        keep(page, el_str_append(page->text, bytes, (size_t)length));
    } else {
        put_words(page, bytes, (size_t)length);
    }
}

// ---- tags ----

static void on_start(void *context, const xmlChar *name, const xmlChar **attributes) {
    struct page *page = context;
    const struct element *element = find_element(name);
    (void)attributes;
    if (++page->depth > DEEPEST)
        keep(page, el_fail(EL_EFORMAT, "damaged: elements are nested deeper than %d", DEEPEST));
    if (!element || page->hidden || page->is_preformatted) return;
    switch (element->layout) {
    case HIDDEN:
        page->hidden = page->depth;
        return;
    case TITLE:
        page->in_title = !page->title->length;
        return;
    case CELL:
        page->wants_blank = true;
        return;
    default:
        want_lines(page, element->layout == LINE || element->layout == ITEM ? 1 : 2);
    }
    if (!*element->begins) return;
    begin_text(page);
    keep(page, el_str_puts(page->text, element->begins));
    page->is_preformatted = element->layout == PREFORMATTED;
}

static void on_end(void *context, const xmlChar *name) {
    struct page *page = context;
    const struct element *element = find_element(name);
    const bool ends_hidden = page->hidden == page->depth;
    page->depth--;
    if (ends_hidden) page->hidden = 0;
    if (!element || page->hidden || ends_hidden) return;
    if (element->layout == TITLE) page->in_title = false;
    if (page->is_preformatted && element->layout != PREFORMATTED) return;
    if (element->layout == PREFORMATTED) {
        want_lines(page, 1);
        begin_text(page);
        keep(page, el_str_puts(page->text, "```"));
        page->is_preformatted = false;
    }
    if (element->layout == CELL)
        page->wants_blank = true;
    else if (element->layout != TITLE)
        want_lines(page, element->layout == LINE || element->layout == ITEM ? 1 : 2);
}

// ---- the page ----

// Runs of blanks become one, and none stand around.
static void tidy(struct el_str *title) {
    size_t length = 0;
    for (size_t i = 0; i < title->length; i++) {
        const bool skips = is_blank(title->data[i]) && (!length || title->data[length - 1] == ' ');
        if (!skips) title->data[length++] = is_blank(title->data[i]) ? ' ' : title->data[i];
    }
    length -= length && title->data[length - 1] == ' ';
    title->length = length;
    if (title->data) title->data[length] = '\0';
}

// Where memory is short the parser would go on, at worst for ever, if it were not stopped.
static void on_error(void *page, const xmlError *error) {
    if (error->code == XML_ERR_NO_MEMORY) keep(page, el_fail(EL_ENOMEM, "no memory to read HTML"));
}

static void parse(struct page *page, const char *bytes, size_t size) {
    enum { PIECE = 1 << 16 };
    htmlCtxtUseOptions(page->parser, HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING |
                                         HTML_PARSE_NONET | HTML_PARSE_IGNORE_ENC);
    for (size_t at = 0; at < size && page->status == 0; at += PIECE)
        htmlParseChunk(page->parser, bytes + at, (int)EL_MIN(size - at, (size_t)PIECE), 0);
    if (page->status == 0) htmlParseChunk(page->parser, NULL, 0, 1);
}

int el_html_text(const char *bytes, size_t size, struct el_str *text, struct el_str *title) {
    struct page page = {.text = text, .title = title};
    htmlSAXHandler handler = {
        .startElement = on_start, .endElement = on_end, .characters = on_text, .cdataBlock = on_text};
    handler.ignorableWhitespace = on_text;
    xmlSetStructuredErrorFunc(&page, (xmlStructuredErrorFunc)on_error); // of this thread
    page.parser = htmlCreatePushParserCtxt(&handler, &page, NULL, 0, NULL, XML_CHAR_ENCODING_UTF8);
    if (page.parser)
        parse(&page, bytes, size);
    else
        keep(&page, el_fail(EL_ENOMEM, "no memory to read HTML"));
    htmlFreeParserCtxt(page.parser);
    xmlSetStructuredErrorFunc(NULL, NULL);
    xmlResetLastError();
    tidy(title);
    return page.status;
}

// ---- signs ----

// The first place of `what`, small or capital, in the first 1,024 bytes.
static const char *find(const char *bytes, size_t size, const char *what) {
    enum { FIRST = 1024 };
    const size_t length = strlen(what);
    for (size_t at = 0; at + length <= EL_MIN(size, (size_t)FIRST); at++)
        if (strncasecmp(bytes + at, what, length) == 0) return bytes + at;
    return NULL;
}

bool el_is_html(const char *bytes, size_t size) {
    while (size && is_blank(*bytes)) {
        bytes++;
        size--;
    }
    return (size >= 14 && strncasecmp(bytes, "<!doctype html", 14) == 0) ||
           (size >= 5 && strncasecmp(bytes, "<html", 5) == 0) ||
           (size >= 5 && strncasecmp(bytes, "<?xml", 5) == 0 && find(bytes, size, "<html"));
}

bool el_html_encoding(const char *bytes, size_t size, char ret_name[EL_HTML_ENCODING]) {
    static const char key[] = "charset=";
    const char *at = find(bytes, size, key), *end = bytes + size;
    size_t length = 0;
    if (!at) return false;
    at += strlen(key);
    at += at < end && (*at == '"' || *at == '\'');
    while (at + length < end && (isalnum((unsigned char)at[length]) || memchr("-_.:", at[length], 4)))
        length++;
    // Whoever could read the name reads single bytes, so it isn't UTF-16.
    if (length == 0 || length >= EL_HTML_ENCODING || (length >= 4 && strncasecmp(at, "utf-", 4) == 0))
        return false;
    memcpy(ret_name, at, length);
    ret_name[length] = '\0';
    return true;
}
