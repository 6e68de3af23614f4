// SPDX-License-Identifier: Apache-2.0
// oneDNN's matmul primitive (its C interface of version 2) as bench_matmul's peer.
#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "matmul_peer.h"

enum { MOST_LAYERS = 12 };

struct peer {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t product;
    dnnl_memory_t in, out, weights[MOST_LAYERS];
};

const char *peer_name(void) {
    static char name[32];
    const dnnl_version_t *version = dnnl_version();
    snprintf(name, sizeof name, "oneDNN %d.%d.%d", version->major, version->minor, version->patch);
    return name;
}

static int check(dnnl_status_t status, const char *what) {
    if (status == dnnl_success) return 0;
    return el_fail(EL_EUNSUPPORTED, "oneDNN: %s: status %d", what, (int)status);
}

// Everything is written once, so that no page is the shared zero page and no value is slow.
static int open_memory(struct peer *peer, const dnnl_memory_desc_t *desc, dnnl_memory_t *ret_memory) {
    int status = check(dnnl_memory_create(ret_memory, desc, peer->engine, DNNL_MEMORY_ALLOCATE), "memory");
    void *bytes = NULL;
    if (status == 0) status = check(dnnl_memory_get_data_handle(*ret_memory, &bytes), "data handle");
    if (status == 0)
        memset(bytes, 0x3c, dnnl_memory_desc_get_size(desc)); // 0.01 as float and as bf16, 60 as int8
    return status;
}

static dnnl_data_type_t input_type(enum el_precision precision) {
    return precision == EL_PRECISION_BF16 ? dnnl_bf16 : precision == EL_PRECISION_INT8 ? dnnl_u8 : dnnl_f32;
}

static dnnl_data_type_t weight_type(enum el_precision precision) {
    return precision == EL_PRECISION_INT8 ? dnnl_s8 : input_type(precision);
}

static int open_primitive(struct peer *peer, enum el_precision precision, const dnnl_dims_t in,
                          const dnnl_dims_t weights, const dnnl_dims_t out, dnnl_primitive_desc_t *ret_desc) {
    dnnl_memory_desc_t in_desc, weight_desc, out_desc;
    dnnl_matmul_desc_t matmul;
    dnnl_memory_desc_init_by_tag(&in_desc, 2, in, input_type(precision), dnnl_ab);
    dnnl_memory_desc_init_by_tag(&weight_desc, 2, weights, weight_type(precision), dnnl_format_tag_any);
    dnnl_memory_desc_init_by_tag(&out_desc, 2, out, dnnl_f32, dnnl_ab);
    int status = check(dnnl_matmul_desc_init(&matmul, &in_desc, &weight_desc, NULL, &out_desc), "matmul");
    if (status == 0)
        status = check(dnnl_primitive_desc_create(ret_desc, &matmul, NULL, peer->engine, NULL), "descriptor");
    if (status == 0) status = check(dnnl_primitive_create(&peer->product, *ret_desc), "primitive");
    return status;
}

int peer_open(enum el_precision precision, int64_t rows, int64_t depth, int64_t columns, int layers,
              struct peer **ret_peer) {
    struct peer *peer;
    dnnl_primitive_desc_t desc = NULL;
    int status = el_zalloc(1, sizeof *peer, &peer);
    if (status < 0) return status;
    status = check(dnnl_engine_create(&peer->engine, dnnl_cpu, 0), "engine");
    if (status == 0)
        status = check(dnnl_stream_create(&peer->stream, peer->engine, dnnl_stream_default_flags), "stream");
    if (status == 0)
        status =
            open_primitive(peer, precision, (const dnnl_dims_t){rows, depth},
                           (const dnnl_dims_t){depth, columns}, (const dnnl_dims_t){rows, columns}, &desc);
    if (status == 0)
        status = open_memory(peer, dnnl_primitive_desc_query_md(desc, dnnl_query_src_md, 0), &peer->in);
    if (status == 0)
        status = open_memory(peer, dnnl_primitive_desc_query_md(desc, dnnl_query_dst_md, 0), &peer->out);
    for (int i = 0; i < EL_MIN(layers, MOST_LAYERS) && status == 0; i++)
        status = open_memory(peer, dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0),
                             &peer->weights[i]);
    if (desc) dnnl_primitive_desc_destroy(desc);
    if (status < 0) {
        peer_close(peer);
        return status;
    }
    *ret_peer = peer;
    return 0;
}

void peer_close(struct peer *peer) {
    if (!peer) return;
    for (int i = 0; i < MOST_LAYERS; i++)
        if (peer->weights[i]) dnnl_memory_destroy(peer->weights[i]);
    if (peer->in) dnnl_memory_destroy(peer->in);
    if (peer->out) dnnl_memory_destroy(peer->out);
    if (peer->product) dnnl_primitive_destroy(peer->product);
    if (peer->stream) dnnl_stream_destroy(peer->stream);
    if (peer->engine) dnnl_engine_destroy(peer->engine);
    el_free(peer);
}

void peer_threads(int threads) {
    omp_set_num_threads(threads);
}

void peer_run(struct peer *peer, int layer) {
    const dnnl_exec_arg_t arguments[] = {
        {DNNL_ARG_SRC, peer->in},
        {DNNL_ARG_WEIGHTS, peer->weights[layer]},
        {DNNL_ARG_DST, peer->out},
    };
    dnnl_primitive_execute(peer->product, peer->stream, EL_COUNT(arguments), arguments);
    dnnl_stream_wait(peer->stream);
}
