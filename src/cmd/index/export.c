// SPDX-License-Identifier: Apache-2.0
// `eleanor index export NAME -o BASE`: BASE.npy, a row for each chunk, and BASE.jsonl, a line for each
// document in the order of its rows; what `index add --vectors BASE.npy --lines BASE.jsonl` takes back.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/embed_output.h"
#include "cmd/index/index.h"

struct exporting {
    struct el_index *index;
    struct el_str vectors_path, lines_path;
    struct el_vector_sink vectors;
    FILE *lines;
    bool has_lines; // a file was made of them
    struct el_str line;
    int64_t documents;
};

static int put_texts(const struct el_index_document *document, struct el_str *line) {
    for (int64_t i = 0; i < document->chunks; i++) {
        const struct el_text *text = &document->texts[i];
        if (i) EL_TRY(el_str_putc(line, ','));
        EL_TRY(text->data ? el_str_put_json(line, text->data, text->length) : el_str_puts(line, "null"));
    }
    return el_str_putc(line, ']');
}

static int fail_lines(const struct exporting *exporting) {
    return el_fail(EL_EIO, "can't write to %s: %s", exporting->lines_path.data, strerror(errno));
}

static int put_line(struct exporting *exporting, const struct el_index_document *document) {
    struct el_str *line = &exporting->line;
    el_str_clear(line);
    EL_TRY(el_str_puts(line, "{\"id\":"));
    EL_TRY(el_str_put_json(line, document->id, strlen(document->id)));
    if (document->metadata) EL_TRY(el_str_printf(line, ",\"metadata\":%s", document->metadata));
    EL_TRY(el_str_puts(line, ",\"texts\":["));
    EL_TRY(put_texts(document, line));
    EL_TRY(el_str_puts(line, "}\n"));
    return fwrite(line->data, line->length, 1, exporting->lines) == 1 ? 0 : fail_lines(exporting);
}

static int put_page(struct exporting *exporting, const struct el_index_page *page) {
    size_t rows = 0;
    for (size_t i = 0; i < page->count; i++) {
        EL_TRY(put_line(exporting, &page->documents[i]));
        rows += (size_t)page->documents[i].chunks;
    }
    exporting->documents += (int64_t)page->count;
    return el_vector_sink_put(&exporting->vectors, page->vectors, rows);
}

static int put_all(struct exporting *exporting) {
    int64_t last = 0;
    for (size_t count = 1; count > 0;) {
        struct el_index_page page;
        EL_TRY(el_index_read(exporting->index, last, &page));
        count = page.count;
        last = page.last;
        const int status = put_page(exporting, &page);
        el_index_page_done(&page);
        EL_TRY(status);
    }
    if (fclose(el_steal(exporting->lines)) != 0) return fail_lines(exporting);
    return el_vector_sink_finish(&exporting->vectors);
}

static int open_files(struct exporting *exporting, const char *base) {
    EL_TRY(el_str_printf(&exporting->vectors_path, "%s.npy", base));
    EL_TRY(el_str_printf(&exporting->lines_path, "%s.jsonl", base));
    exporting->lines = fopen(exporting->lines_path.data, "wbe");
    if (!exporting->lines) return el_fail(EL_EIO, "%s: %s", exporting->lines_path.data, strerror(errno));
    exporting->has_lines = true;
    return el_vector_sink_open(EL_VECTORS_NPY, exporting->vectors_path.data,
                               el_index_facts(exporting->index)->dim, &exporting->vectors);
}

static void close_files(struct exporting *exporting, bool failed) {
    el_vector_sink_close(&exporting->vectors);
    if (exporting->lines) fclose(exporting->lines);
    if (failed && exporting->has_lines) unlink(exporting->lines_path.data);
    el_str_done(&exporting->vectors_path);
    el_str_done(&exporting->lines_path);
    el_str_done(&exporting->line);
}

int el_index_export(const struct el_index_wish *wish) {
    struct exporting exporting = {0};
    EL_TRY(el_search_open(wish->root, wish->name, false, &exporting.index));
    int status = open_files(&exporting, wish->output ? wish->output : wish->name);
    if (status == 0) status = put_all(&exporting);
    if (status == 0)
        printf(wish->json ? "{\"index\":\"%s\",\"documents\":%" PRId64 ",\"vectors\":%" PRIu64 "}\n"
                          : "%s: %" PRId64 " documents, %" PRIu64 " vectors written\n",
               wish->name, exporting.documents, exporting.vectors.count);
    close_files(&exporting, status < 0);
    el_index_close(exporting.index);
    return status;
}
