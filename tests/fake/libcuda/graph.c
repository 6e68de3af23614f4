// SPDX-License-Identifier: Apache-2.0
// Graphs of the fake driver: copies and launches that a capturing stream took instead of doing them, queued
// again by cuGraphLaunch, each then failing as the machine says. EL_FAKE_NO_GRAPHS=1 is a driver that
// captures nothing. Waits, events and a sync spoil a capture here; CUDA can capture more than eleanor asks
// for.
#include <stdlib.h>

#include "fake_cuda.h"

static void free_work(CUgraph graph) {
    while (graph->first) {
        struct work *work = graph->first;
        graph->first = work->next;
        free(work);
    }
    graph->last = &graph->first;
}

CUresult fake_graph_add(CUgraph graph, const struct work *work) {
    struct work *fresh = malloc(sizeof *fresh);
    if (!fresh) return CUDA_ERROR_OUT_OF_MEMORY;
    *fresh = *work;
    fresh->next = NULL;
    *graph->last = fresh;
    graph->last = &fresh->next;
    return CUDA_SUCCESS;
}

CUresult fake_capture_spoil(CUstream stream) {
    stream->capture->unfit = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode) {
    CUcontext context;
    CUresult result = fake_enter_stream(CALL_cuStreamBeginCapture, stream, &context);
    if (result != CUDA_SUCCESS) return result;
    if (getenv("EL_FAKE_NO_GRAPHS")) return CUDA_ERROR_NOT_SUPPORTED;
    if (stream->capture || mode != CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_ERROR_INVALID_VALUE;
    CUgraph graph = calloc(1, sizeof *graph);
    if (!graph) return CUDA_ERROR_OUT_OF_MEMORY;
    graph->context = context;
    graph->last = &graph->first;
    stream->capture = graph;
    return CUDA_SUCCESS;
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) {
    CUcontext context;
    CUresult result = fake_enter_stream(CALL_cuStreamEndCapture, stream, &context);
    if (!stream || !stream->capture) return CUDA_ERROR_INVALID_VALUE;
    CUgraph captured = stream->capture;
    stream->capture = NULL;
    if (result == CUDA_SUCCESS && captured->unfit) result = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (result == CUDA_SUCCESS) {
        *graph = captured;
        return result;
    }
    free_work(captured);
    free(captured);
    *graph = NULL;
    return result;
}

CUresult cuGraphInstantiate_v2(CUgraphExec *executable, CUgraph graph, CUgraphNode *error_node, char *log,
                               size_t log_size) {
    (void)error_node, (void)log, (void)log_size;
    CUcontext context;
    CUresult result = fake_enter(CALL_cuGraphInstantiate, &context);
    if (result != CUDA_SUCCESS) return result;
    CUgraphExec fresh = calloc(1, sizeof *fresh);
    if (!fresh) return CUDA_ERROR_OUT_OF_MEMORY;
    fresh->graph.context = graph->context;
    fresh->graph.last = &fresh->graph.first;
    for (const struct work *work = graph->first; work && result == CUDA_SUCCESS; work = work->next)
        result = fake_graph_add(&fresh->graph, work);
    pthread_mutex_lock(&fake_lock);
    fresh->graph.next = graph->context->graphs;
    graph->context->graphs = &fresh->graph;
    pthread_mutex_unlock(&fake_lock);
    *executable = fresh;
    return result;
}

CUresult cuGraphLaunch(CUgraphExec executable, CUstream stream) {
    CUcontext context;
    CUresult result = fake_enter_stream(CALL_cuGraphLaunch, stream, &context);
    if (result != CUDA_SUCCESS) return result;
    if (executable->graph.destroyed || executable->graph.context != context || stream->capture) {
        fake_blame(
            "a graph was launched that is destroyed or of another context, or on a stream that captures");
        return CUDA_ERROR_INVALID_HANDLE;
    }
    for (const struct work *kept = executable->graph.first; kept && result == CUDA_SUCCESS;
         kept = kept->next) {
        struct work work = *kept;
        work.next = NULL;
        result = fake_machine_work(context, work.kind == WORK_COPY ? MACHINE_COPY : MACHINE_LAUNCH, &work);
        if (result == CUDA_SUCCESS) result = fake_queue(stream, &work);
    }
    return result;
}

CUresult cuGraphDestroy(CUgraph graph) {
    fake_begin(CALL_cuGraphDestroy);
    free_work(graph);
    free(graph);
    return CUDA_SUCCESS;
}

// The handle stays, so that its use is seen.
CUresult cuGraphExecDestroy(CUgraphExec executable) {
    CUcontext context;
    CUresult result = fake_enter(CALL_cuGraphExecDestroy, &context);
    if (executable->graph.destroyed) {
        fake_blame("a graph was destroyed twice");
        return CUDA_ERROR_INVALID_HANDLE;
    }
    free_work(&executable->graph);
    executable->graph.destroyed = true;
    return result;
}

long fake_graphs_close(CUcontext context) {
    long left = 0;
    while (context->graphs) {
        CUgraph graph = context->graphs;
        context->graphs = graph->next;
        left += !graph->destroyed;
        free_work(graph);
        free(graph); // the executable begins with it
    }
    return left;
}
