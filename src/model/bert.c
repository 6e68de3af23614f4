// SPDX-License-Identifier: Apache-2.0
// The BERT encoder. forward() reads as the paper: embeddings, then layers of attention and feed-forward, each
// with a residual and a norm behind it.
#include "model/bert.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "format/safetensors.h"
#include "ops/weights.h"

struct norm {
    struct el_tensor gamma, beta; // f32 [hidden]
};

struct layer {
    struct el_linear *qkv;              // [3 hidden][hidden]: query, key and value as one product
    struct el_linear *attention_output; // [hidden][hidden]
    struct norm attention_norm;
    struct el_linear *up;   // [intermediate][hidden]
    struct el_linear *down; // [hidden][intermediate]
    struct norm output_norm;
};

struct el_bert {
    struct el_bert_config config;
    struct el_target target;
    struct el_safetensors *file; // tables of the processor may lie there
    struct el_weights weights;   // the tables
    struct el_tensor words;      // [vocab][hidden]
    struct el_tensor places;     // [max_positions][hidden]
    struct el_tensor kind;       // [hidden]: token type 0
    struct norm embedding_norm;
    struct layer *layers; // [config.layers]
};

// ---- forward ----

// Activations of one batch; T tokens, H hidden.
struct activations {
    struct el_tensor qkv;     // [T][3 H]
    struct el_tensor context; // [T][H]: what attention found
    struct el_tensor sum;     // [T][H]: a block's output and its residual, before the norm
    struct el_tensor inner;   // [T][intermediate]
};

static int alloc_activations(struct el_exec *x, const struct el_bert_config *config, int64_t tokens,
                             struct activations *ret) {
    EL_TRY(el_exec_alloc(x, x->activations, tokens, 3 * config->hidden_size, &ret->qkv));
    EL_TRY(el_exec_alloc(x, x->activations, tokens, config->hidden_size, &ret->context));
    EL_TRY(el_exec_alloc(x, x->activations, tokens, config->hidden_size, &ret->sum));
    EL_TRY(el_exec_alloc(x, x->activations, tokens, config->intermediate_size, &ret->inner));
    return 0;
}

static int embed(const struct el_bert *bert, struct el_exec *x, const struct el_batch *batch,
                 struct el_tensor *hidden) {
    const struct el_tensor ids = el_tensor_1d(EL_I32, (void *)(uintptr_t)batch->ids, batch->tokens);
    const struct el_tensor positions =
        el_tensor_1d(EL_I32, (void *)(uintptr_t)batch->positions, batch->tokens);
    return x->ops->embed_norm(x, &ids, &positions, &bert->words, &bert->places, &bert->kind,
                              &bert->embedding_norm.gamma, &bert->embedding_norm.beta,
                              (float)bert->config.layer_norm_epsilon, hidden);
}

static int run_layer(const struct el_bert *bert, const struct layer *layer, struct el_exec *x,
                     const struct el_seqs *seqs, struct activations *a, struct el_tensor *hidden) {
    const struct el_ops *ops = x->ops;
    const struct el_bert_config *config = &bert->config;
    const int heads = (int)config->heads;
    const float scale = 1.0f / sqrtf((float)config->hidden_size / (float)heads);
    const float epsilon = (float)config->layer_norm_epsilon;

    EL_TRY(ops->linear(x, hidden, layer->qkv, EL_ACT_NONE, NULL, &a->qkv));
    EL_TRY(ops->attention(x, &a->qkv, seqs, heads, scale, &a->context));
    EL_TRY(ops->linear(x, &a->context, layer->attention_output, EL_ACT_NONE, hidden, &a->sum));
    EL_TRY(ops->layer_norm(x, &a->sum, &layer->attention_norm.gamma, &layer->attention_norm.beta, epsilon,
                           hidden));

    EL_TRY(ops->linear(x, hidden, layer->up, config->act, NULL, &a->inner));
    EL_TRY(ops->linear(x, &a->inner, layer->down, EL_ACT_NONE, hidden, &a->sum));
    EL_TRY(ops->layer_norm(x, &a->sum, &layer->output_norm.gamma, &layer->output_norm.beta, epsilon, hidden));
    return 0;
}

static int forward(const struct el_bert *bert, struct el_exec *x, const struct el_batch *batch,
                   struct el_tensor *hidden) {
    struct activations a;
    EL_TRY(alloc_activations(x, &bert->config, batch->tokens, &a));
    EL_TRY(embed(bert, x, batch, hidden));
    for (int64_t i = 0; i < bert->config.layers; i++)
        EL_TRY(run_layer(bert, &bert->layers[i], x, &batch->seqs, &a, hidden));
    return 0;
}

int el_batch_upload(struct el_exec *exec, const struct el_batch *batch, struct el_batch *ret_batch) {
    struct el_tensor ids = el_tensor_1d(EL_I32, (void *)(uintptr_t)batch->ids, batch->tokens);
    struct el_tensor positions = el_tensor_1d(EL_I32, (void *)(uintptr_t)batch->positions, batch->tokens);
    struct el_tensor start =
        el_tensor_1d(EL_I32, (void *)(uintptr_t)batch->seqs.start, batch->seqs.count + 1);
    struct el_batch there = *batch;
    EL_TRY(el_exec_upload(exec, &ids, &ids));
    EL_TRY(el_exec_upload(exec, &positions, &positions));
    EL_TRY(el_exec_upload(exec, &start, &start));
    there.ids = el_i32(&ids);
    there.positions = el_i32(&positions);
    there.seqs.there = el_i32(&start);
    *ret_batch = there;
    return 0;
}

int el_bert_forward(const struct el_bert *bert, struct el_exec *exec, const struct el_batch *batch,
                    struct el_tensor *hidden) {
    const struct el_exec_mark mark = el_exec_mark(exec);
    int status = forward(bert, exec, batch, hidden);
    el_exec_release(exec, mark);
    return status;
}

// ---- loading ----

// What loading needs beside the model itself.
struct loader {
    struct el_bert *bert;
    const char *prefix; // "bert." in checkpoints with a head, else ""
};

static int find(const struct loader *loader, const char *name, int rank, int64_t rows, int64_t columns,
                struct el_tensor *ret_tensor) {
    char full[256];
    struct el_tensor tensor;
    snprintf(full, sizeof full, "%s%s", loader->prefix, name);
    EL_TRY(el_safetensors_find(loader->bert->file, full, &tensor));
    const bool fits = tensor.rank == rank && tensor.dim[0] == rows && (rank == 1 || tensor.dim[1] == columns);
    if (!fits && rank == 1)
        return el_fail(EL_EFORMAT,
                       "tensor %s: config.json asks for shape [%" PRId64 "], the file has another", full,
                       rows);
    if (!fits)
        return el_fail(EL_EFORMAT,
                       "tensor %s: config.json asks for shape [%" PRId64 ", %" PRId64
                       "], the file has another",
                       full, rows, columns);
    *ret_tensor = tensor;
    return 0;
}

// A table where operations read it, as `dtype`.
static int find_table(const struct loader *loader, const char *name, enum el_dtype dtype, int rank,
                      int64_t rows, int64_t columns, struct el_tensor *ret_tensor) {
    struct el_tensor tensor;
    EL_TRY(find(loader, name, rank, rows, columns, &tensor));
    return el_weights_put(&loader->bert->weights, &tensor, dtype, ret_tensor);
}

static int load_norm(const struct loader *loader, const char *where, struct norm *ret_norm) {
    const int64_t hidden = loader->bert->config.hidden_size;
    char name[192];
    snprintf(name, sizeof name, "%s.LayerNorm.weight", where);
    EL_TRY(find_table(loader, name, EL_F32, 1, hidden, 0, &ret_norm->gamma));
    snprintf(name, sizeof name, "%s.LayerNorm.bias", where);
    return find_table(loader, name, EL_F32, 1, hidden, 0, &ret_norm->beta);
}

// The linear layers `part[0 .. parts - 1]` of layer `index`, each [rows][columns], packed as one product.
static int load_linear(const struct loader *loader, int64_t index, const char *const *part, int parts,
                       int64_t rows, int64_t columns, struct el_linear **ret_linear) {
    el_auto_free float *weight = NULL, *bias = NULL;
    EL_TRY(el_alloc((size_t)(parts * rows), (size_t)columns * sizeof *weight, &weight));
    EL_TRY(el_alloc((size_t)(parts * rows), sizeof *bias, &bias));
    for (int i = 0; i < parts; i++) {
        char name[192];
        struct el_tensor tensor;
        snprintf(name, sizeof name, "encoder.layer.%" PRId64 ".%s.weight", index, part[i]);
        EL_TRY(find(loader, name, 2, rows, columns, &tensor));
        el_to_f32(tensor.dtype, tensor.data, rows * columns, weight + i * rows * columns);
        snprintf(name, sizeof name, "encoder.layer.%" PRId64 ".%s.bias", index, part[i]);
        EL_TRY(find(loader, name, 1, rows, 0, &tensor));
        el_to_f32(tensor.dtype, tensor.data, rows, bias + i * rows);
    }
    const struct el_tensor w = el_tensor_2d(EL_F32, weight, parts * rows, columns);
    const struct el_tensor b = el_tensor_1d(EL_F32, bias, parts * rows);
    return el_linear_open(&loader->bert->target, &w, &b, ret_linear);
}

static int load_layer_products(const struct loader *loader, int64_t index, struct layer *layer) {
    static const char *const qkv[] = {"attention.self.query", "attention.self.key", "attention.self.value"};
    static const char *const attention_output[] = {"attention.output.dense"};
    static const char *const up[] = {"intermediate.dense"}, *const down[] = {"output.dense"};
    const int64_t hidden = loader->bert->config.hidden_size, inner = loader->bert->config.intermediate_size;
    EL_TRY(load_linear(loader, index, qkv, 3, hidden, hidden, &layer->qkv));
    EL_TRY(load_linear(loader, index, attention_output, 1, hidden, hidden, &layer->attention_output));
    EL_TRY(load_linear(loader, index, up, 1, inner, hidden, &layer->up));
    return load_linear(loader, index, down, 1, hidden, inner, &layer->down);
}

static int load_layer_norms(const struct loader *loader, int64_t index, struct layer *layer) {
    char where[96];
    snprintf(where, sizeof where, "encoder.layer.%" PRId64 ".attention.output", index);
    EL_TRY(load_norm(loader, where, &layer->attention_norm));
    snprintf(where, sizeof where, "encoder.layer.%" PRId64 ".output", index);
    return load_norm(loader, where, &layer->output_norm);
}

static int load_embeddings(const struct loader *loader) {
    struct el_bert *bert = loader->bert;
    const struct el_bert_config *config = &bert->config;
    const enum el_dtype dtype = el_weights_dtype(&bert->target);
    const int64_t hidden = config->hidden_size;
    struct el_tensor kinds;
    EL_TRY(find_table(loader, "embeddings.word_embeddings.weight", dtype, 2, config->vocab_size, hidden,
                      &bert->words));
    EL_TRY(find_table(loader, "embeddings.position_embeddings.weight", dtype, 2, config->max_positions,
                      hidden, &bert->places));
    EL_TRY(find_table(loader, "embeddings.token_type_embeddings.weight", dtype, 2, config->type_vocab_size,
                      hidden, &kinds));
    bert->kind = el_tensor_1d(dtype, kinds.data, hidden); // a text alone is all of type 0
    return load_norm(loader, "embeddings", &bert->embedding_norm);
}

// Layers' products are packed side by side; the first failure is handed from its thread to the caller's.
struct layer_tasks {
    const struct loader *loader;
    int status; // of the first failure
    char detail[512];
};

static void load_layer_task(void *context, int task, int worker) {
    (void)worker;
    struct layer_tasks *tasks = context;
    int status = load_layer_products(tasks->loader, task, &tasks->loader->bert->layers[task]), expected = 0;
    if (status < 0 && __atomic_compare_exchange_n(&tasks->status, &expected, status, false, __ATOMIC_RELAXED,
                                                  __ATOMIC_RELAXED))
        snprintf(tasks->detail, sizeof tasks->detail, "%s", el_error_detail());
}

static int load(const struct loader *loader, struct el_team *team) {
    struct el_bert *bert = loader->bert;
    struct layer_tasks tasks = {.loader = loader};
    EL_TRY(load_embeddings(loader));
    EL_TRY(el_zalloc((size_t)bert->config.layers, sizeof *bert->layers, &bert->layers));
    for (int64_t i = 0; i < bert->config.layers; i++)
        EL_TRY(load_layer_norms(loader, i, &bert->layers[i]));
    el_team_run(team, (int)bert->config.layers, load_layer_task, &tasks);
    return tasks.status < 0 ? el_fail_copy(tasks.status, tasks.detail) : 0;
}

int el_bert_open(const char *dir, const struct el_bert_config *config, const struct el_target *target,
                 struct el_team *team, struct el_bert **ret_bert) {
    el_auto_free char *path = NULL;
    struct el_bert *bert = NULL;
    EL_TRY(el_path_join(dir, "model.safetensors", &path));
    EL_TRY(el_zalloc(1, sizeof *bert, &bert));
    bert->config = *config;
    bert->target = *target;
    el_weights_init(&bert->weights, &bert->target);
    struct loader loader = {.bert = bert, .prefix = ""};
    int status = el_safetensors_open(path, &bert->file);
    if (status == 0) {
        struct el_tensor probe;
        if (el_safetensors_find(bert->file, "bert.embeddings.word_embeddings.weight", &probe) == 0)
            loader.prefix = "bert.";
        status = load(&loader, team);
        if (status < 0) el_fail_in(status, "%s", path);
    }
    if (status < 0) {
        el_bert_close(bert);
        return status;
    }
    *ret_bert = bert;
    return 0;
}

void el_bert_close(struct el_bert *bert) {
    if (!bert) return;
    for (int64_t i = 0; bert->layers && i < bert->config.layers; i++) {
        el_linear_close(bert->layers[i].qkv);
        el_linear_close(bert->layers[i].attention_output);
        el_linear_close(bert->layers[i].up);
        el_linear_close(bert->layers[i].down);
    }
    el_free(bert->layers);
    el_weights_done(&bert->weights);
    el_safetensors_close(bert->file);
    el_free(bert);
}

size_t el_bert_bytes(const struct el_bert *bert) {
    size_t bytes = bert->weights.bytes;
    for (int64_t i = 0; i < bert->config.layers; i++) {
        const struct layer *layer = &bert->layers[i];
        bytes += el_linear_bytes(layer->qkv) + el_linear_bytes(layer->attention_output) +
                 el_linear_bytes(layer->up) + el_linear_bytes(layer->down);
    }
    return bytes;
}

size_t el_bert_gpu_bytes(const struct el_bert_config *config, const struct el_target *target) {
    const enum el_precision precision = target->precision;
    const int64_t hidden = config->hidden_size, up = config->intermediate_size;
    const size_t row = (size_t)hidden * el_dtype_size(el_weights_dtype(target));
    const size_t norm = 2 * el_buffer_bytes((size_t)hidden * sizeof(float)); // gamma and beta
    const size_t tables = el_buffer_bytes((size_t)config->vocab_size * row) +
                          el_buffer_bytes((size_t)config->max_positions * row) +
                          el_buffer_bytes((size_t)config->type_vocab_size * row);
    const size_t layer =
        el_gpu_linear_bytes(precision, 3 * hidden, hidden) + el_gpu_linear_bytes(precision, hidden, hidden) +
        el_gpu_linear_bytes(precision, up, hidden) + el_gpu_linear_bytes(precision, hidden, up) + 2 * norm;
    return tables + norm + (size_t)config->layers * layer;
}

int64_t el_bert_parameters(const struct el_bert_config *config) {
    const int64_t hidden = config->hidden_size, up = config->intermediate_size;
    const int64_t tables = (config->vocab_size + config->max_positions + config->type_vocab_size) * hidden;
    const int64_t attention = 4 * (hidden + 1) * hidden, norm = 2 * hidden;
    const int64_t layer = attention + (hidden + 1) * up + (up + 1) * hidden + 2 * norm;
    return tables + norm + config->layers * layer;
}
