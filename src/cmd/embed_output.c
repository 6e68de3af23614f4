// SPDX-License-Identifier: Apache-2.0
// Writes vectors in the three formats; every write is checked, the last one at the flush too.
#include "cmd/embed_output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "serve/vector_text.h"

enum {
    NPY_HEADER = 128
}; // bytes: magic, version, length, and a text padded to this, so that it can be rewritten

static int write_failed(const struct el_vector_sink *sink) {
    return el_fail(EL_EIO, "can't write to %s: %s", sink->path ? sink->path : "standard output",
                   strerror(errno));
}

static bool is_npy(const struct el_vector_sink *sink) {
    return sink->format == EL_VECTORS_NPY || sink->format == EL_NUMBERS_NPY;
}

// NumPy's format 1.0 (numpy.lib.format): a Python literal, padded with blanks, ended by a newline.
static int write_npy_header(struct el_vector_sink *sink) {
    char header[NPY_HEADER + 1];
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = NPY_HEADER - 10;
    header[9] = 0;
    int used = snprintf(header + 10, sizeof header - 10,
                        "{'descr': '%s', 'fortran_order': False, 'shape': (%" PRIu64 ", %d), }",
                        sink->format == EL_NUMBERS_NPY ? "<i8" : "<f4", sink->count, sink->dim);
    memset(header + 10 + used, ' ', (size_t)(NPY_HEADER - 10 - used));
    header[NPY_HEADER - 1] = '\n';
    return fwrite(header, NPY_HEADER, 1, sink->stream) == 1 ? 0 : write_failed(sink);
}

// A NumPy file is begun with a count of none, which the end corrects: it must be able to go back.
static int start_npy(struct el_vector_sink *sink) {
    int fd = fileno(sink->stream);
    off_t start = lseek(fd, 0, SEEK_CUR);
    if (start < 0 || (fcntl(fd, F_GETFL) & O_APPEND))
        return el_fail(EL_EINVAL,
                       "a NumPy file can't go to %s, since its header is written last; name a file with "
                       "--output, or take --format f32",
                       sink->path ? sink->path : "a pipe");
    sink->start = start;
    return write_npy_header(sink);
}

int el_vector_sink_open(enum el_vector_format format, const char *path, int dim,
                        struct el_vector_sink *ret_sink) {
    struct el_vector_sink sink = {.format = format, .path = path, .dim = dim, .stream = stdout};
    struct stat facts;
    if (path) sink.stream = fopen(path, "wbe");
    if (!sink.stream) return el_fail(EL_EIO, "%s: %s", path, strerror(errno));
    sink.remove_on_failure = path && fstat(fileno(sink.stream), &facts) == 0 && S_ISREG(facts.st_mode);
    int status = 0;
    if (format != EL_VECTORS_JSONL && isatty(fileno(sink.stream)))
        status = el_fail(EL_EINVAL, "binary vectors would garble the terminal; name a file with --output");
    else if (is_npy(&sink))
        status = start_npy(&sink);
    if (status < 0)
        el_vector_sink_close(&sink);
    else
        *ret_sink = sink;
    return status;
}

static int put_json(struct el_vector_sink *sink, const float *vector) {
    el_str_clear(&sink->line);
    int status =
        el_str_printf(&sink->line, "{\"index\":%" PRIu64 ",\"embedding\":", sink->first + sink->count);
    if (status == 0) status = el_vector_put_json(&sink->line, vector, (size_t)sink->dim);
    if (status == 0) status = el_str_puts(&sink->line, "}\n");
    if (status < 0) return status;
    return fwrite(sink->line.data, sink->line.length, 1, sink->stream) == 1 ? 0 : write_failed(sink);
}

int el_vector_sink_put(struct el_vector_sink *sink, const float *vectors, size_t count) {
    size_t dim = (size_t)sink->dim;
    int status = 0;
    for (size_t i = 0; i < count && status == 0; i++) {
        if (sink->format == EL_VECTORS_JSONL)
            status = put_json(sink, vectors + i * dim);
        else if (fwrite(vectors + i * dim, sizeof *vectors, dim, sink->stream) != dim)
            status = write_failed(sink);
        sink->count += status == 0;
    }
    return status;
}

int el_vector_sink_put_numbers(struct el_vector_sink *sink, const int64_t *numbers, size_t count) {
    const size_t dim = (size_t)sink->dim;
    if (fwrite(numbers, sizeof *numbers, count * dim, sink->stream) != count * dim) return write_failed(sink);
    sink->count += count;
    return 0;
}

int el_vector_sink_flush(struct el_vector_sink *sink) {
    return fflush(sink->stream) == 0 ? 0 : write_failed(sink);
}

int el_vector_sink_finish(struct el_vector_sink *sink) {
    int status = 0;
    if (is_npy(sink)) {
        if (fseeko(sink->stream, sink->start, SEEK_SET) != 0) status = write_failed(sink);
        if (status == 0) status = write_npy_header(sink);
        if (status == 0 && fseeko(sink->stream, 0, SEEK_END) != 0) status = write_failed(sink);
    }
    if (status == 0) status = el_vector_sink_flush(sink);
    if (status == 0) sink->remove_on_failure = false;
    return status;
}

void el_vector_sink_close(struct el_vector_sink *sink) {
    if (sink->path && sink->stream) fclose(sink->stream);
    if (sink->remove_on_failure) unlink(sink->path);
    el_str_done(&sink->line);
    *sink = (struct el_vector_sink){0};
}
