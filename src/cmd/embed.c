// SPDX-License-Identifier: Apache-2.0
// `eleanor embed`: texts in, vectors out, in order, as a stream. A window of requests is in flight, so that
// reading and tokenising, computing, and writing go on at once while memory stays the same for any number of
// texts.
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/embed_input.h"
#include "cmd/embed_output.h"
#include "cmd/model.h"
#include "service/embed.h"

enum {
    CHUNK_TEXTS = 32,       // texts of one request
    CHUNK_BYTES = 64 << 10, // or bytes, whichever comes first
    WINDOW = 64,            // requests in flight
};

struct options {
    struct el_text_source source;
    enum el_vector_format format;
    const char *output; // the share's own, or the wish
    char *share_output; // owned, or NULL
    const char *shard;
    const char *prompt;
    const char **words; // --text and operands; owned
};

// A request on its way; the worker that finishes it fills the second group.
struct slot {
    struct window *window;
    struct el_embed_request *request;
    uint64_t input_end; // bytes of input up to the end of its texts

    bool done;
    int status;
    char detail[512];
};

// Requests in the order of the texts: slot[first] is the oldest of `count`.
struct window {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct slot slot[WINDOW];
    size_t first, count;
    uint64_t input_done; // bytes of input whose vectors are written
};

// The texts of the next request, laid end to end.
struct chunk {
    struct el_str bytes;
    size_t start[CHUNK_TEXTS + 1];
    size_t count;
    uint64_t input_end; // bytes of input up to here
};

static void on_done(void *context, struct el_embed_request *request, int status) {
    struct slot *slot = context;
    (void)request;
    pthread_mutex_lock(&slot->window->lock);
    slot->status = status;
    if (status < 0) snprintf(slot->detail, sizeof slot->detail, "%s", el_error_detail());
    slot->done = true;
    pthread_cond_signal(&slot->window->changed);
    pthread_mutex_unlock(&slot->window->lock);
}

static int submit(struct window *window, struct el_embedder *embedder, const struct chunk *chunk) {
    struct el_embed_input inputs[CHUNK_TEXTS] = {0};
    for (size_t i = 0; i < chunk->count; i++) {
        size_t length = chunk->start[i + 1] - chunk->start[i];
        // An empty line keeps its place: a blank has the tokens of the empty text, which a request may not
        // hold.
        inputs[i].text.data = length ? chunk->bytes.data + chunk->start[i] : " ";
        inputs[i].text.length = length ? length : 1;
    }
    struct slot *slot = &window->slot[(window->first + window->count) % WINDOW];
    *slot = (struct slot){.window = window, .input_end = chunk->input_end};
    int status = el_embed_submit(embedder, inputs, chunk->count, NULL, on_done, slot, &slot->request, NULL);
    if (status == 0) window->count++;
    return status;
}

// Waits for the oldest request and writes its vectors; a NULL sink drops them.
static int take_oldest(struct window *window, struct el_vector_sink *sink) {
    struct slot *slot = &window->slot[window->first];
    pthread_mutex_lock(&window->lock);
    while (!slot->done)
        pthread_cond_wait(&window->changed, &window->lock);
    pthread_mutex_unlock(&window->lock);
    int status = slot->status < 0 ? el_fail_copy(slot->status, slot->detail) : 0;
    if (status == 0 && sink)
        status = el_vector_sink_put(sink, el_embed_request_vectors(slot->request),
                                    el_embed_request_count(slot->request));
    el_embed_request_close(slot->request);
    window->input_done = slot->input_end;
    window->first = (window->first + 1) % WINDOW;
    window->count--;
    return status;
}

static int take_all(struct window *window, struct el_vector_sink *sink) {
    int status = 0;
    while (window->count && status == 0)
        status = take_oldest(window, sink);
    return status < 0 ? status : el_vector_sink_flush(sink);
}

// Reads texts into the empty chunk until it is full or the next would have to be waited for: 1, 0 at the end.
static int fill(struct chunk *chunk, struct el_text_source *source, struct el_str *text) {
    el_str_clear(&chunk->bytes);
    chunk->count = 0;
    while (chunk->count < CHUNK_TEXTS && chunk->bytes.length < CHUNK_BYTES) {
        if (chunk->count && el_text_source_would_block(source)) break;
        int more = el_text_source_next(source, text);
        if (more <= 0) return more;
        chunk->start[chunk->count++] = chunk->bytes.length;
        int status = el_str_append(&chunk->bytes, text->data, text->length);
        if (status < 0) return status;
        chunk->start[chunk->count] = chunk->bytes.length;
        chunk->input_end = source->bytes_read - (source->end - source->begin);
    }
    return 1;
}

// In bytes read when all input is files, else in texts done. Not over vectors on the same terminal.
static void start_progress(struct el_progress *progress, const struct el_text_source *source,
                           const struct el_vector_sink *sink) {
    bool mixes = isatty(STDERR_FILENO) && isatty(fileno(sink->stream));
    el_progress_open(progress, mixes ? NULL : stderr);
    el_progress_start(progress, "embedding", source->bytes_total ? NULL : "texts",
                      EL_MIN(source->until, source->bytes_total), source->from);
}

static int pump(struct window *window, struct chunk *chunk, struct el_embedder *embedder,
                struct el_text_source *source, struct el_vector_sink *sink) {
    struct el_str text el_auto(el_str_done) = {0};
    struct el_progress progress;
    int more = 1, status = 0;
    start_progress(&progress, source, sink);
    while (more > 0 && status == 0) {
        if (el_text_source_would_block(source))
            status = take_all(window, sink); // a slow writer gets its answers
        if (status == 0) more = fill(chunk, source, &text);
        if (status < 0 || more < 0) break;
        sink->first = source->skipped;
        if (chunk->count && window->count == WINDOW) status = take_oldest(window, sink);
        if (chunk->count && status == 0) status = submit(window, embedder, chunk);
        el_progress_set(&progress, source->bytes_total ? window->input_done : sink->count);
    }
    if (more < 0) status = more;
    if (status == 0) status = take_all(window, sink);
    if (status == 0)
        el_progress_set(&progress,
                        source->bytes_total ? EL_MIN(source->until, source->bytes_total) : sink->count);
    el_progress_finish(&progress);
    return status;
}

// What is still in flight after a failure must come back before the window may go; the first error stands.
static void abandon(struct window *window) {
    char detail[512];
    snprintf(detail, sizeof detail, "%s", el_error_detail());
    for (size_t i = 0; i < window->count; i++)
        el_embed_request_cancel(window->slot[(window->first + i) % WINDOW].request);
    while (window->count)
        take_oldest(window, NULL);
    el_fail_copy(0, detail);
}

static int embed_stream(struct el_embedder *embedder, struct el_text_source *source,
                        struct el_vector_sink *sink) {
    struct window window = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct chunk chunk = {0};
    int status = pump(&window, &chunk, embedder, source, sink);
    if (status < 0) abandon(&window);
    el_str_done(&chunk.bytes);
    return status < 0 ? status : el_vector_sink_finish(sink);
}

// Finds the share. Each writes FILE.part-I-of-N, whose numbers have the same length, so that the shell lists
// them in order: `cat FILE.part-*` is what one process writes.
static int choose_share(struct options *options) {
    struct el_shard *shard = &options->source.shard;
    struct el_str path el_auto(el_str_done) = {0};
    char size[32];
    EL_TRY(el_shard_find(options->shard, shard));
    if (shard->size == 1) return 0;
    fprintf(stderr, "eleanor embed: share %" PRId64 " of %" PRId64 " (%s)\n", shard->rank, shard->size,
            shard->from);
    if (!options->output)
        return options->shard ? 0
                              : el_fail(EL_EINVAL,
                                        "the processes of %s would write into each other's standard output; "
                                        "name a file with --output: each adds its number to the name",
                                        shard->from);
    const int width = snprintf(size, sizeof size, "%" PRId64, shard->size);
    EL_TRY(el_str_printf(&path, "%s.part-%0*" PRId64 "-of-%s", options->output, width, shard->rank, size));
    options->output = options->share_output = el_steal(path.data);
    return 0;
}

// Truncating the output may not destroy an input.
static int check_output(const struct options *options) {
    struct stat output, input;
    if (!options->output || stat(options->output, &output) != 0 || !S_ISREG(output.st_mode)) return 0;
    for (size_t i = 0; i < options->source.path_count; i++) {
        const char *path = options->source.paths[i];
        if (stat(path, &input) == 0 && input.st_dev == output.st_dev && input.st_ino == output.st_ino)
            return el_fail(EL_EINVAL, "%s is input and output at once", path);
    }
    return 0;
}

static int embed(const struct el_config *config, struct options *options) {
    struct el_cmd_model model = {0};
    struct el_vector_sink sink = {0};
    int status = choose_share(options);
    if (status == 0) status = check_output(options);
    if (status == 0) status = el_text_source_open(&options->source);
    if (status == 0 && config->model.count == 0) status = el_fail(EL_EINVAL, "no model is named");
    if (status == 0) status = el_cmd_model_open(config, config->model.item[0], options->prompt, &model);
    if (status == 0)
        status =
            el_vector_sink_open(options->format, options->output, el_embedder_dim(model.embedder), &sink);
    if (status == 0) status = embed_stream(model.embedder, &options->source, &sink);
    el_vector_sink_close(&sink);
    el_cmd_model_close(&model);
    el_text_source_close(&options->source);
    return status;
}

static enum el_vector_format parse_format(const char *text) {
    return el_streq(text, "npy") ? EL_VECTORS_NPY : el_streq(text, "f32") ? EL_VECTORS_F32 : EL_VECTORS_JSONL;
}

// Sorts the arguments into options->words: texts from the front, paths behind them, each in the order given.
static int parse(struct el_args args, struct options *options) {
    struct el_text_source *source = &options->source;
    size_t count = 0, models = 0;
    while (args.argv[count])
        count++;
    int status = el_alloc(count + 1, sizeof *options->words, &options->words);
    if (status < 0) return status;
    struct el_args again = args;
    for (const char *flag, *value; el_args_next(&again, &flag, &value) > 0;)
        if (el_streq(flag, "text")) options->words[source->text_count++] = value;
    const char **paths = options->words + source->text_count;
    for (const char *flag, *value; el_args_next(&args, &flag, &value) > 0;) {
        if (!flag) paths[source->path_count++] = value;
        if (el_streq(flag, "field")) source->field = value;
        if (el_streq(flag, "whole")) source->whole = true;
        if (el_streq(flag, "format")) options->format = parse_format(value);
        if (el_streq(flag, "output")) options->output = value;
        if (el_streq(flag, "prompt")) options->prompt = value;
        if (el_streq(flag, "shard")) options->shard = value;
        models += el_streq(flag, "model");
    }
    if (source->text_count + source->path_count == 0) paths[source->path_count++] = "-";
    source->texts = options->words;
    source->paths = paths;
    if (models > 1) return el_fail(EL_EINVAL, "--model may stand only once here");
    if (source->whole && source->field) return el_fail(EL_EINVAL, "--whole and --field exclude each other");
    return 0;
}

static int run(struct el_args *args) {
    struct el_config config el_auto(el_config_done) = {0};
    struct options options = {0};
    int status = parse(*args, &options);
    if (status == 0) status = el_args_config(args, &config);
    int code = status < 0                     ? el_cmd_usage(args)
               : embed(&config, &options) < 0 ? el_cmd_failed(args)
                                              : EL_EXIT_DONE;
    el_free(options.words);
    el_free(options.share_output);
    return code;
}

const struct el_verb el_verb_embed = {
    .name = "embed",
    .operands = "[FILE...]",
    .summary = "turn texts into vectors",
    .details =
        "Texts are the lines of the FILEs, or of standard input when neither FILE nor --text is given; \"-\" "
        "is\n"
        "standard input too. Vectors come in the order of the texts, one JSON object a line:\n"
        "  {\"index\":0,\"embedding\":[0.0123,...]}\n"
        "npy is a NumPy array of one row per text, f32 bare little-endian floats. An empty line gets the\n"
        "vector of the empty text, so that line n is vector n.\n"
        "Started by Open MPI, Slurm or another that sets PMI_RANK, each process takes a run of the texts "
        "and\n"
        "writes FILE.part-I-of-N; in order they are what one process writes (npy: numpy.concatenate).",
    .flags =
        (const struct el_flag[]){{"text", 't', "TEXT", "a text; may be repeated, stands before all files"},
                                 {"field", 0, "NAME", "input is JSON lines with the text in this field"},
                                 {"whole", 0, NULL, "a whole file is one text, not each line"},
                                 {"format", 'f', "jsonl|npy|f32", "what to write (default jsonl)"},
                                 {"output", 'o', "FILE", "write there, not to standard output"},
                                 {"prompt", 0, "NAME", "put this prompt of the model before each text"},
                                 {"shard", 0, "I/N", "take share I (from 0) of N; \"/N\": the launcher's"},
                                 {0}},
    .settings = (const char *const[]){"model", "device", "precision", "threads", "pin", "batch_tokens",
                                      "max_batch_size", "streams", "trace", "log_level", "log_format", NULL},
    .max_operands = -1,
    .run = run,
};
