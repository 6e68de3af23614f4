// SPDX-License-Identifier: Apache-2.0
// Spans of a stream. After a sync the stream is idle, so an event that is recorded then is done at once: it
// ties the times between events to the host's clock, and anew after each sync, so that clocks do not drift
// apart.
#include "device/stream_trace.h"

#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "device/trace.h"

struct span {
    enum el_track track;
    const char *name; // borrowed
    uint64_t bytes;
    struct el_event begin, end;
    struct span *next;
};

struct el_stream_trace {
    int tracks[EL_TRACKS]; // 0: no span yet
    struct el_event base;
    uint64_t base_ns;             // when `base` was recorded; 0: not since the last sync
    struct span *current;         // begun
    struct span *pending, **tail; // ended, oldest first
    struct span *spare;
};

// ---- spans ----

static void close_span(struct span *span) {
    el_event_close(&span->begin);
    el_event_close(&span->end);
    el_free(span);
}

static int new_span(struct el_device *device, struct span **ret_span) {
    struct span *span = NULL;
    EL_TRY(el_zalloc(1, sizeof *span, &span));
    int status = el_event_open(device, &span->begin);
    if (status == 0) status = el_event_open(device, &span->end);
    if (status < 0) {
        close_span(span);
        return status;
    }
    *ret_span = span;
    return 0;
}

static int take_spare(struct el_stream *stream, struct span **ret_span) {
    struct span *spare = stream->trace->spare;
    if (!spare) return new_span(stream->device, ret_span);
    stream->trace->spare = spare->next;
    *ret_span = spare;
    return 0;
}

static void put_spare(struct el_stream_trace *trace, struct span *span) {
    span->next = trace->spare;
    trace->spare = span;
}

static void close_spans(struct span *span) {
    while (span) {
        struct span *next = span->next;
        close_span(span);
        span = next;
    }
}

// ---- what the header says ----

static int open_trace(struct el_stream *stream) {
    struct el_stream_trace *trace = NULL;
    EL_TRY(el_zalloc(1, sizeof *trace, &trace));
    trace->tail = &trace->pending;
    int status = el_event_open(stream->device, &trace->base);
    if (status < 0) {
        el_free(trace);
        return status;
    }
    stream->trace = trace;
    return 0;
}

void el_stream_trace_close(struct el_stream *stream) {
    struct el_stream_trace *trace = stream->trace;
    if (!trace) return;
    close_spans(trace->current);
    close_spans(trace->pending);
    close_spans(trace->spare);
    el_event_close(&trace->base);
    el_free(trace);
    stream->trace = NULL;
}

void el_stream_trace_touch(struct el_stream *stream) {
    if (!stream->trace && open_trace(stream) < 0) return;
    struct el_stream_trace *trace = stream->trace;
    if (!trace->base_ns && el_stream_record(stream, &trace->base) == 0) trace->base_ns = el_now_ns();
}

void el_stream_trace_begin(struct el_stream *stream, enum el_track track, const char *name, size_t bytes) {
    struct span *span = NULL;
    el_stream_trace_touch(stream);
    if (!stream->trace || !stream->trace->base_ns || take_spare(stream, &span) < 0) return;
    span->track = track;
    span->name = name;
    span->bytes = bytes;
    span->next = NULL;
    if (el_stream_record(stream, &span->begin) == 0)
        stream->trace->current = span;
    else
        put_spare(stream->trace, span);
}

void el_stream_trace_end(struct el_stream *stream, int status) {
    struct el_stream_trace *trace = stream->trace;
    struct span *span = el_steal(trace->current);
    if (!span) return;
    if (status < 0 || el_stream_record(stream, &span->end) < 0) {
        put_spare(trace, span);
        return;
    }
    *trace->tail = span;
    trace->tail = &span->next;
}

static int track_of(struct el_stream *stream, enum el_track track) {
    static const char *const kinds[] = {[EL_TRACK_COMPUTE] = "compute", [EL_TRACK_COPY] = "copy"};
    int *number = &stream->trace->tracks[track];
    char name[64];
    snprintf(name, sizeof name, "%s stream %d %s", stream->device->id, stream->number, kinds[track]);
    if (*number == 0) *number = el_trace_track(stream->device->trace, name);
    return *number;
}

static void write_span(struct el_stream *stream, struct span *span) {
    struct el_stream_trace *trace = stream->trace;
    uint64_t begin_ns, end_ns; // since the base
    if (el_event_elapsed(&trace->base, &span->begin, &begin_ns) < 0) return;
    if (el_event_elapsed(&trace->base, &span->end, &end_ns) < 0) return;
    el_trace_span(stream->device->trace, track_of(stream, span->track), span->name, trace->base_ns + begin_ns,
                  trace->base_ns + end_ns, span->bytes);
}

void el_stream_trace_resolve(struct el_stream *stream, int status) {
    struct el_stream_trace *trace = stream->trace;
    while (trace->pending) {
        struct span *span = trace->pending;
        trace->pending = span->next;
        if (status == 0 && stream->device->trace) write_span(stream, span);
        put_spare(trace, span);
    }
    trace->tail = &trace->pending;
    trace->base_ns = 0;
}
