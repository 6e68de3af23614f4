// SPDX-License-Identifier: Apache-2.0
// One file: its bytes, what they unpack to, and the text in them.
#include "files/read.h"

#include <stdio.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "files/encoding.h"
#include "files/html.h"
#include "files/pdf.h"
#include "files/unpack.h"

enum { PDF_SECONDS = 60 }; // that a PDF may take

const struct el_file_outcome_info el_file_outcomes[EL_FILE_OUTCOMES] = {
#define X(outcome, key, text, fails, lasts) [EL_FILE_##outcome] = {key, text, fails, lasts},
#include "files/outcome.def"
#undef X
};

// File systems tell the time of a change as exactly as their clock ticks, the coarsest by the second: what is
// changed twice within one tick shows once. So a change from `begin` on, before which the file was not read,
// has to be in another tick than the last one before it.
static bool is_settled(const struct el_file_stamp *stamp, const struct timespec *begin) {
    const int64_t second = 1000000000;
    const int64_t latest = begin->tv_sec * second + begin->tv_nsec - second;
    return stamp->mtime_ns < latest && stamp->ctime_ns < latest;
}

// ---- outcomes ----

// Turns what went wrong into an outcome; only a want of memory stays an error.
static int settle(struct el_file_text *text, int status, enum el_file_outcome outcome) {
    if (status == 0 || status == EL_ENOMEM) return status;
    text->outcome = outcome;
    snprintf(text->why, sizeof text->why, "%s", el_error_detail());
    el_str_clear(&text->text);
    return 0;
}

static enum el_file_outcome of_file(int status) {
    return status == EL_ETOOBIG  ? EL_FILE_TOO_LARGE
           : status == EL_ENOENT ? EL_FILE_VANISHED
                                 : EL_FILE_UNREADABLE;
}

static enum el_file_outcome of_pdf(int status) {
    return status == EL_ENOENT      ? EL_FILE_NO_PDFTOTEXT
           : status == EL_ETOOBIG   ? EL_FILE_BOMB
           : status == EL_ECANCELED ? EL_FILE_TOO_SLOW
           : status == EL_EFORMAT   ? EL_FILE_DAMAGED
                                    : EL_FILE_UNREADABLE;
}

// ---- from bytes to text ----

static int read_html(const struct el_str *bytes, struct el_file_text *text) {
    struct el_str page el_auto(el_str_done) = {0};
    char encoding[EL_HTML_ENCODING];
    const bool named = el_html_encoding(bytes->data, bytes->length, encoding);
    int status =
        el_text_decode(bytes->data, bytes->length, named ? encoding : NULL, &page, &text->is_converted);
    if (status < 0) return settle(text, status, EL_FILE_BINARY);
    return settle(text, el_html_text(page.data, page.length, &text->text, &text->title), EL_FILE_DAMAGED);
}

static int read_pdf(const struct el_str *bytes, size_t limit, struct el_file_text *text) {
    struct el_str made el_auto(el_str_done) = {0};
    bool unused;
    int status = el_pdf_text(bytes->data, bytes->length, limit, PDF_SECONDS, &made);
    if (status < 0 || !made.length) return settle(text, status, of_pdf(status));
    status = el_text_decode(made.data, made.length, NULL, &text->text, &unused);
    return settle(text, status, EL_FILE_BINARY);
}

static int read_text(const char *path, const struct el_str *bytes, size_t limit, struct el_file_text *text) {
    if (!bytes->length) return 0;
    text->kind = el_file_kind(path, bytes->data, bytes->length);
    if (text->kind == EL_KIND_HTML) return read_html(bytes, text);
    if (text->kind == EL_KIND_PDF) return read_pdf(bytes, limit, text);
    int status = el_text_decode(bytes->data, bytes->length, NULL, &text->text, &text->is_converted);
    return settle(text, status, EL_FILE_BINARY);
}

static int unpack_and_read(const char *path, const struct el_str *bytes, size_t limit,
                           struct el_file_text *text) {
    struct el_str unpacked el_auto(el_str_done) = {0};
    if (!el_is_packed(bytes->data, bytes->length)) return read_text(path, bytes, limit, text);
    text->is_unpacked = true;
    int status = el_unpack(bytes->data, bytes->length, limit, &unpacked);
    if (status < 0) return settle(text, status, status == EL_ETOOBIG ? EL_FILE_BOMB : EL_FILE_DAMAGED);
    return read_text(path, &unpacked, limit, text);
}

static int write_metadata(struct el_file_text *text) {
    struct el_str *json = &text->metadata;
    EL_TRY(el_str_printf(json, "{\"kind\":\"%s\"", el_file_kind_name(text->kind)));
    if (text->title.length) {
        EL_TRY(el_str_puts(json, ",\"title\":"));
        EL_TRY(el_str_put_json(json, text->title.data, text->title.length));
    }
    return el_str_putc(json, '}');
}

int el_file_read(const char *path, size_t limit, struct el_file_text *ret_text) {
    struct el_str bytes el_auto(el_str_done) = {0};
    struct el_file_text text = {.outcome = EL_FILE_READ};
    struct timespec begin;
    clock_gettime(CLOCK_REALTIME, &begin);
    int status = el_file_bytes(path, limit, &bytes, &text.stamp);
    if (status < 0) {
        status = settle(&text, status, of_file(status));
    } else {
        text.is_settled = is_settled(&text.stamp, &begin);
        status = unpack_and_read(path, &bytes, limit, &text);
    }
    if (status == 0 && text.outcome == EL_FILE_READ) status = write_metadata(&text);
    if (status == 0)
        *ret_text = text;
    else
        el_file_text_done(&text);
    return status;
}

void el_file_text_done(struct el_file_text *text) {
    el_str_done(&text->text);
    el_str_done(&text->title);
    el_str_done(&text->metadata);
}
