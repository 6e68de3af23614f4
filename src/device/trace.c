// SPDX-License-Identifier: Apache-2.0
// Traces. Each flush writes over the closing bracket that the one before has left, and leaves one again.
#include "device/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"

#define FLUSH_NS UINT64_C(1000000000)
enum { FLUSH_BYTES = 1 << 16 };

struct el_trace {
    char *path;
    int file;
    uint64_t start_ns; // the trace's zero

    pthread_mutex_t lock; // guards all below
    struct el_str buffer; // events that are not written yet
    off_t offset;         // where they go
    uint64_t flushed_ns;
    int tracks;
    int status; // of the first failure
};

static int write_all(const struct el_trace *trace, const char *bytes, size_t length, off_t offset) {
    while (length > 0) {
        ssize_t written = pwrite(trace->file, bytes, length, offset);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0)
            return el_fail(EL_EIO, "cannot write the trace %s: %s", trace->path,
                           written < 0 ? strerror(errno) : "nothing was taken");
        bytes += written;
        offset += written;
        length -= (size_t)written;
    }
    return 0;
}

static int remember(struct el_trace *trace, int status) {
    if (trace->status == 0) trace->status = status;
    return status;
}

// Locked.
static void flush(struct el_trace *trace) {
    static const char closing[] = "\n]\n";
    struct el_str *buffer = &trace->buffer;
    const size_t length = buffer->length;
    trace->flushed_ns = el_now_ns();
    if (length == 0 || remember(trace, el_str_puts(buffer, closing)) < 0) return;
    if (remember(trace, write_all(trace, buffer->data, buffer->length, trace->offset)) == 0)
        trace->offset += (off_t)length;
    el_str_clear(buffer);
}

static void flush_when_due(struct el_trace *trace) {
    if (trace->buffer.length >= FLUSH_BYTES || el_now_ns() - trace->flushed_ns >= FLUSH_NS) flush(trace);
}

// An event is appended whole or not at all. Locked.
static void take_back(struct el_trace *trace, size_t length, int status) {
    if (remember(trace, status) == 0) return;
    trace->buffer.length = length;
}

// ---- events ----

// "eleanor" names the process, the others name tracks.
static int put_name(struct el_str *str, const char *separator, const char *what, int track,
                    const char *name) {
    EL_TRY(el_str_printf(str, "%s{\"name\":\"%s\",\"ph\":\"M\",\"pid\":1,\"tid\":%d,\"args\":{\"name\":",
                         separator, what, track));
    EL_TRY(el_str_put_json(str, name, strlen(name)));
    return el_str_puts(str, "}}");
}

static int put_us(struct el_str *str, const char *key, uint64_t ns) {
    return el_str_printf(str, ",\"%s\":%llu.%03llu", key, (unsigned long long)(ns / 1000),
                         (unsigned long long)(ns % 1000));
}

static int put_span(struct el_str *str, int track, const char *name, uint64_t begin_ns, uint64_t length_ns,
                    uint64_t bytes) {
    EL_TRY(el_str_puts(str, ",\n{\"name\":"));
    EL_TRY(el_str_put_json(str, name, strlen(name)));
    EL_TRY(el_str_printf(str, ",\"ph\":\"X\",\"pid\":1,\"tid\":%d", track));
    EL_TRY(put_us(str, "ts", begin_ns));
    EL_TRY(put_us(str, "dur", length_ns));
    if (bytes) EL_TRY(el_str_printf(str, ",\"args\":{\"bytes\":%llu}", (unsigned long long)bytes));
    return el_str_putc(str, '}');
}

int el_trace_track(struct el_trace *trace, const char *name) {
    pthread_mutex_lock(&trace->lock);
    const int track = ++trace->tracks;
    const size_t length = trace->buffer.length;
    take_back(trace, length, put_name(&trace->buffer, ",\n", "thread_name", track, name));
    pthread_mutex_unlock(&trace->lock);
    return track;
}

void el_trace_span(struct el_trace *trace, int track, const char *name, uint64_t begin_ns, uint64_t end_ns,
                   uint64_t bytes) {
    const uint64_t begin = EL_MAX(begin_ns, trace->start_ns), end = EL_MAX(end_ns, begin);
    pthread_mutex_lock(&trace->lock);
    const size_t length = trace->buffer.length;
    take_back(trace, length,
              put_span(&trace->buffer, track, name, begin - trace->start_ns, end - begin, bytes));
    flush_when_due(trace);
    pthread_mutex_unlock(&trace->lock);
}

// ---- opening, closing ----

static int open_parts(struct el_trace *trace, const char *path) {
    EL_TRY(el_strdup(path, &trace->path));
    trace->file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (trace->file < 0) return el_fail(EL_EIO, "cannot open the trace %s: %s", path, strerror(errno));
    EL_TRY(put_name(&trace->buffer, "[\n", "process_name", 0, "eleanor"));
    return el_trace_flush(trace);
}

int el_trace_open(const char *path, struct el_trace **ret_trace) {
    struct el_trace *trace = NULL;
    EL_TRY(el_zalloc(1, sizeof *trace, &trace));
    trace->file = -1;
    trace->start_ns = el_now_ns();
    pthread_mutex_init(&trace->lock, NULL);
    int status = open_parts(trace, path);
    if (status < 0) {
        el_trace_close(trace);
        return status;
    }
    *ret_trace = trace;
    return 0;
}

int el_trace_flush(struct el_trace *trace) {
    pthread_mutex_lock(&trace->lock);
    flush(trace);
    const int status = trace->status;
    pthread_mutex_unlock(&trace->lock);
    return status < 0 ? el_fail(status, "the trace %s is not whole: %s", trace->path, el_status_text(status))
                      : 0;
}

void el_trace_close(struct el_trace *trace) {
    if (!trace) return;
    if (trace->file >= 0) {
        flush(trace);
        close(trace->file);
    }
    pthread_mutex_destroy(&trace->lock);
    el_str_done(&trace->buffer);
    el_free(trace->path);
    el_free(trace);
}
