// SPDX-License-Identifier: Apache-2.0
// The texts that `eleanor bench embed` embeds: lines of files, or the documents' own benchmark.
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "cmd/bench/bench.h"
#include "cmd/embed_input.h"

enum { MOST_TEXTS = 1 << 20 };

// Texts laid end to end while they are gathered: the bytes may still move.
struct gathering {
    struct el_str bytes;
    size_t *start; // [count + 1]
    size_t count;
};

static void gathering_done(struct gathering *gathering) {
    el_str_done(&gathering->bytes);
    el_free(gathering->start);
}

// What was appended to the bytes since the last text is one.
static int end_text(struct gathering *gathering) {
    EL_TRY(el_realloc(&gathering->start, gathering->count + 2, sizeof *gathering->start));
    gathering->start[0] = 0;
    gathering->start[++gathering->count] = gathering->bytes.length;
    return 0;
}

static int read_files(struct el_text_source *source, size_t most, struct gathering *gathering) {
    el_auto(el_str_done) struct el_str text = {0};
    int more;
    while (gathering->count < most && (more = el_text_source_next(source, &text)) != 0) {
        if (more < 0) return more;
        if (!text.length) continue;
        EL_TRY(el_str_append(&gathering->bytes, text.data, text.length));
        EL_TRY(end_text(gathering));
    }
    if (!gathering->count)
        return el_fail(EL_EINVAL, "%s: there is no text in it", source->paths[source->path_count - 1]);
    return 0;
}

static int gather_files(const struct el_bench_options *options, struct gathering *gathering) {
    struct el_text_source source = {
        .paths = options->paths, .path_count = options->path_count, .field = options->field};
    int status = el_text_source_open(&source);
    if (status == 0)
        status = read_files(&source, options->docs ? (size_t)options->docs : MOST_TEXTS, gathering);
    el_text_source_close(&source);
    return status;
}

static int make_texts(size_t count, int64_t words, bool varied, struct gathering *gathering) {
    for (size_t i = 0; i < count; i++) {
        const int64_t own = varied ? 1 + (int64_t)(i * 7919 % (size_t)(2 * words)) : words;
        EL_TRY(el_str_printf(&gathering->bytes, "Document %zu:", i));
        for (int64_t w = 0; w < own; w++)
            EL_TRY(el_str_puts(&gathering->bytes, " test"));
        EL_TRY(end_text(gathering));
    }
    return 0;
}

int el_bench_texts_open(const struct el_bench_options *options, size_t count, bool varied,
                        struct el_bench_texts *ret_texts) {
    el_auto(gathering_done) struct gathering gathering = {0};
    struct el_text *text;
    EL_TRY(options->path_count ? gather_files(options, &gathering)
                               : make_texts(count, options->words, varied, &gathering));
    EL_TRY(el_alloc(gathering.count, sizeof *text, &text));
    for (size_t i = 0; i < gathering.count; i++)
        text[i] = (struct el_text){.data = gathering.bytes.data + gathering.start[i],
                                   .length = gathering.start[i + 1] - gathering.start[i]};
    *ret_texts = (struct el_bench_texts){.text = text, .count = gathering.count};
    ret_texts->bytes = el_steal(gathering.bytes.data);
    return 0;
}

void el_bench_texts_close(struct el_bench_texts *texts) {
    el_free(texts->text);
    el_free(texts->bytes);
    *texts = (struct el_bench_texts){0};
}
