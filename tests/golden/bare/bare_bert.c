// SPDX-License-Identifier: Apache-2.0
// Token ids to vectors on a device, from plain files (gpu_vectors.py writes them and reads the result):
//     bare_bert DEVICE PRECISION FOLDER ROUNDS
// FOLDER has the model (plain_tensors.c), config.txt with its eight numbers, and batches.i32: for each batch
// the number of sequences, their lengths, their ids; to its end. vectors.f32 gets a row per sequence: the
// mean of the last layer's rows, of length 1. One line of JSON says the seconds that all batches took, the
// best and the median of ROUNDS, one batch after the other on one stream.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sort.h"
#include "base/str.h"
#include "model/bert.h"

struct model {
    struct el_bert_config config;
    struct el_bert *bert;
    struct el_exec exec;
};

struct batches {
    struct el_batch *batch; // [count]
    int count, sequences;
};

static int read_config(const char *folder, struct el_bert_config *config) {
    el_auto_free char *path = NULL;
    el_auto(el_str_done) struct el_str text = {0};
    EL_TRY(el_path_join(folder, "config.txt", &path));
    EL_TRY(el_read_file(path, 4096, &text));
    const int found = sscanf(
        text.data, "%" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %lf",
        &config->vocab_size, &config->hidden_size, &config->layers, &config->heads,
        &config->intermediate_size, &config->max_positions, &config->type_vocab_size,
        &config->layer_norm_epsilon);
    config->act = EL_ACT_GELU;
    return found == 8 ? 0 : el_fail(EL_EFORMAT, "%s does not hold eight numbers", path);
}

// One batch from `at`; *ret_next is where the next begins. What it allocates lives as long as the program.
static int read_batch(const int32_t *at, struct el_batch *ret_batch, const int32_t **ret_next) {
    const int32_t count = *at++, *ids = at + count;
    int32_t *start = NULL, *positions = NULL;
    EL_TRY(el_zalloc((size_t)count + 1, sizeof *start, &start));
    for (int32_t i = 0; i < count; i++)
        start[i + 1] = start[i] + at[i];
    EL_TRY(el_alloc((size_t)start[count], sizeof *positions, &positions));
    for (int32_t i = 0; i < count; i++)
        for (int32_t row = start[i]; row < start[i + 1]; row++)
            positions[row] = row - start[i];
    *ret_batch = (struct el_batch){
        .ids = ids, .positions = positions, .seqs = {.count = count, .start = start}, .tokens = start[count]};
    *ret_next = ids + start[count];
    return 0;
}

static int read_batches(const char *folder, struct batches *batches) {
    el_auto_free char *path = NULL;
    struct el_map map;
    EL_TRY(el_path_join(folder, "batches.i32", &path));
    EL_TRY(el_map_open(path, &map));
    const int32_t *at = (const int32_t *)(const void *)map.data, *end = at + map.size / sizeof *at;
    EL_TRY(el_zalloc((size_t)(end - at), sizeof *batches->batch, &batches->batch));
    for (; at < end; batches->count++) {
        EL_TRY(read_batch(at, &batches->batch[batches->count], &at));
        batches->sequences += batches->batch[batches->count].seqs.count;
    }
    return 0;
}

// As the embedding service does it (src/service/embedder.c).
static int compute(const struct model *model, struct el_exec *exec, const struct el_batch *batch,
                   float *vectors) {
    const int64_t hidden_size = model->config.hidden_size;
    struct el_batch there;
    struct el_tensor hidden, out;
    EL_TRY(el_batch_upload(exec, batch, &there));
    EL_TRY(el_exec_alloc(exec, exec->activations, there.tokens, hidden_size, &hidden));
    EL_TRY(el_exec_alloc(exec, EL_F32, there.seqs.count, hidden_size, &out));
    EL_TRY(el_bert_forward(model->bert, exec, &there, &hidden));
    EL_TRY(exec->ops->pool(exec, &hidden, &there.seqs, EL_POOL_MEAN, &out));
    EL_TRY(exec->ops->l2_normalize(exec, &out));
    return el_exec_download(exec, &out, vectors);
}

static int compute_all(struct model *model, const struct batches *batches, float *vectors) {
    for (int i = 0; i < batches->count; i++) {
        const struct el_exec_mark mark = el_exec_mark(&model->exec);
        EL_TRY(compute(model, &model->exec, &batches->batch[i], vectors));
        el_exec_release(&model->exec, mark);
        vectors += batches->batch[i].seqs.count * model->config.hidden_size;
    }
    return 0;
}

static int measure(struct model *model, const struct batches *batches, int rounds, float *vectors) {
    el_auto_free double *seconds = NULL;
    EL_TRY(el_alloc((size_t)rounds, sizeof *seconds, &seconds));
    EL_TRY(compute_all(model, batches, vectors)); // warms up
    for (int i = 0; i < rounds; i++) {
        const uint64_t began = el_now_ns();
        EL_TRY(compute_all(model, batches, vectors));
        seconds[i] = (double)(el_now_ns() - began) * 1e-9;
    }
    el_sort_f64(seconds, (size_t)rounds);
    printf("{\"best\":%.9g,\"median\":%.9g}\n", seconds[0], seconds[rounds / 2]);
    return 0;
}

static int run(const char *device_id, const char *precision, const char *folder, int rounds) {
    struct el_device *device = NULL;
    struct el_target target;
    struct model model = {0};
    struct batches batches = {0};
    enum el_precision wanted;
    el_auto_free float *vectors = NULL;
    el_auto_free char *path = NULL;
    EL_TRY(el_precision_parse(precision, &wanted));
    EL_TRY(read_config(folder, &model.config));
    EL_TRY(read_batches(folder, &batches));
    EL_TRY(el_path_join(folder, "vectors.f32", &path));
    const size_t floats = (size_t)batches.sequences * (size_t)model.config.hidden_size;
    EL_TRY(el_alloc(floats, sizeof *vectors, &vectors));
    EL_TRY(el_device_open_id(device_id, NULL, &device));
    EL_TRY(el_target_init(device, wanted, &target));
    EL_TRY(el_bert_open(folder, &model.config, &target, NULL, &model.bert));
    EL_TRY(el_exec_open(&target, NULL, &model.exec));
    EL_TRY(measure(&model, &batches, rounds, vectors));
    el_exec_close(&model.exec);
    el_bert_close(model.bert);
    el_device_close(device);
    return el_write_file(path, vectors, floats * sizeof *vectors);
}

int main(int argc, char **argv) {
    const long rounds = argc == 5 ? strtol(argv[4], NULL, 10) : 0;
    if (rounds < 1 || rounds > 1000) {
        fprintf(stderr, "usage: bare_bert DEVICE PRECISION FOLDER ROUNDS   (cuda:0 fp16 FOLDER 15)\n");
        return 2;
    }
    int status = run(argv[1], argv[2], argv[3], (int)rounds);
    if (status < 0) fprintf(stderr, "bare_bert: %s: %s\n", el_status_text(status), el_error_detail());
    return status < 0;
}
