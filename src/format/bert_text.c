// SPDX-License-Identifier: Apache-2.0
// BERT's normal form and words. One pass takes each code point through all steps; only canonical reordering
// looks back, over the combining marks since the last starter.
#include "format/bert_text.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "format/utf8.h"

enum { MAX_GROWTH = 32 }; // bytes; more than a code point ever becomes: two spaces and four of four bytes

// The state of one normalisation. `run` is where the combining marks that may have to trade places begin.
struct pass {
    const struct el_bert_text *rules;
    struct el_str *out;
    size_t run;
    int last_combining; // of the run's last mark; 0: no run
    bool unsorted;
};

static uint16_t ascii_form(const struct el_bert_text *rules, uint32_t c) {
    unsigned class = el_char_class(&rules->chars, c);
    if (rules->clean_text && class & EL_CHAR_OTHER) return EL_BERT_DROPPED;
    if (rules->clean_text && class & EL_CHAR_SPACE) return ' ';
    return (uint16_t)(rules->lowercase && class & EL_CHAR_UPPER ? c + ('a' - 'A') : c);
}

int el_bert_text_init(struct el_bert_text *text) {
    EL_TRY(el_char_table_init(&text->chars));
    for (uint32_t c = 0; c < EL_COUNT(text->ascii); c++)
        text->ascii[c] = ascii_form(text, c);
    return 0;
}

void el_bert_text_done(struct el_bert_text *text) {
    el_char_table_done(&text->chars);
}

// Everything that is appended has had its room reserved.
static void put(struct pass *pass, uint32_t c) {
    pass->out->length += el_utf8_encode(c, (uint8_t *)pass->out->data + pass->out->length);
}

// Sorts the run by combining class, stably, in time that is linear in its length: one sweep per class, each
// appending that class behind the run, then the whole is moved over it.
static int sort_run(struct pass *pass) {
    struct el_str *out = pass->out;
    size_t size = out->length - pass->run;
    EL_TRY(el_str_reserve(out, size));
    for (int combining = 1, next; combining < 255; combining = next) {
        next = 255;
        for (size_t at = pass->run, length; at < pass->run + size; at += length) {
            uint32_t c = el_utf8_decode((uint8_t *)out->data + at, &length);
            int mine = el_char_combining(c);
            if (mine == combining) put(pass, c);
            if (mine > combining && mine < next) next = mine;
        }
    }
    memmove(out->data + pass->run, out->data + pass->run + size, size);
    out->length = pass->run + size;
    return 0;
}

static int end_run(struct pass *pass) {
    int status = pass->unsorted ? sort_run(pass) : 0;
    pass->last_combining = 0;
    pass->unsorted = false;
    return status;
}

// A code point of the canonical decomposition: dropped if it is a nonspacing mark, else put in canonical
// order. A mark that is dropped still separates runs if it is a starter.
static int put_decomposed(struct pass *pass, uint32_t c, unsigned class) {
    int combining = class & EL_CHAR_NONSTARTER ? el_char_combining(c) : 0;
    if (!combining && pass->last_combining) EL_TRY(end_run(pass));
    if (class & EL_CHAR_MARK) return 0;
    if (combining) {
        if (!pass->last_combining) pass->run = pass->out->length;
        if (combining < pass->last_combining) pass->unsorted = true;
        pass->last_combining = combining;
    }
    uint32_t lower[EL_CHAR_MAX_MAPPED] = {c};
    int count = pass->rules->lowercase && class & EL_CHAR_UPPER ? el_char_lower(c, lower) : 1;
    for (int i = 0; i < count; i++)
        put(pass, lower[i]);
    return 0;
}

static int put_char(struct pass *pass, uint32_t c, unsigned class) {
    uint32_t parts[EL_CHAR_MAX_MAPPED] = {c};
    int count = 1;
    if (!pass->rules->strip_accents)
        class &= ~(unsigned)(EL_CHAR_MARK | EL_CHAR_NONSTARTER | EL_CHAR_DECOMPOSES);
    if (!(class & EL_CHAR_DECOMPOSES)) return put_decomposed(pass, c, class);
    count = el_char_decompose(c, parts);
    for (int i = 0; i < count; i++)
        EL_TRY(put_decomposed(pass, parts[i], el_char_class(&pass->rules->chars, parts[i])));
    return 0;
}

// One code point, whatever it is.
static int normalize_char(struct pass *pass, uint32_t c) {
    const struct el_bert_text *rules = pass->rules;
    unsigned class = el_char_class(&rules->chars, c);
    if (rules->clean_text && class & EL_CHAR_OTHER) return 0;
    if (rules->clean_text && class & EL_CHAR_SPACE) {
        c = ' ';
        class = EL_CHAR_SPACE;
    }
    bool apart = rules->chinese_chars && class & EL_CHAR_CHINESE;
    if (apart) EL_TRY(put_char(pass, ' ', EL_CHAR_SPACE));
    EL_TRY(put_char(pass, c, class));
    return apart ? put_char(pass, ' ', EL_CHAR_SPACE) : 0;
}

// Plain ASCII up to the first byte that is not; the bytes that were read.
static size_t normalize_ascii(struct pass *pass, const uint8_t *text, size_t length) {
    uint8_t *to = (uint8_t *)pass->out->data + pass->out->length;
    size_t i = 0;
    for (; i < length && text[i] < 0x80; i++) {
        uint16_t form = pass->rules->ascii[text[i]];
        *to = (uint8_t)form;
        to += form != EL_BERT_DROPPED;
    }
    pass->out->length = (size_t)(to - (uint8_t *)pass->out->data);
    return i;
}

int el_bert_normalize(const struct el_bert_text *rules, const uint8_t *text, size_t length,
                      struct el_str *str) {
    struct pass pass = {.rules = rules, .out = str};
    for (size_t at = 0, size; at < length; at += size) {
        if (text[at] < 0x80 && !pass.last_combining) {
            EL_TRY(el_str_reserve(str, length - at));
            size = normalize_ascii(&pass, text + at, length - at);
        } else {
            uint32_t c = el_utf8_decode(text + at, &size);
            EL_TRY(el_str_reserve(str, MAX_GROWTH));
            EL_TRY(normalize_char(&pass, c));
        }
    }
    EL_TRY(end_run(&pass));
    EL_TRY(el_str_reserve(str, 1));
    str->data[str->length] = '\0';
    return 0;
}

static unsigned class_at(const struct el_bert_text *rules, const uint8_t *text, size_t at,
                         size_t *ret_length) {
    return el_char_class(&rules->chars, el_utf8_decode(text + at, ret_length));
}

bool el_bert_next_word(const struct el_bert_text *rules, const uint8_t *text, size_t length, size_t *position,
                       struct el_word *ret_word) {
    size_t at = *position, size = 1;
    unsigned class = EL_CHAR_SPACE;
    while (at < length && (class = class_at(rules, text, at, &size)) & EL_CHAR_SPACE)
        at += size;
    if (at == length) return false;
    struct el_word word = {.start = text + at};
    do {
        at += size;
        word.chars++;
        if (class & EL_CHAR_PUNCT) break;
    } while (at < length && !((class = class_at(rules, text, at, &size)) & (EL_CHAR_SPACE | EL_CHAR_PUNCT)));
    word.length = (size_t)(text + at - word.start);
    *position = at;
    *ret_word = word;
    return true;
}
