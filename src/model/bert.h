// SPDX-License-Identifier: Apache-2.0
// The BERT encoder (Devlin et al. 2018, https://arxiv.org/abs/1810.04805): token ids in, a vector per token
// out. Also MiniLM, bge, e5, gte, which differ in sizes and in what stands around the encoder.
#ifndef EL_MODEL_BERT_H
#define EL_MODEL_BERT_H

#include <stddef.h>
#include <stdint.h>

#include "format/hf_config.h"
#include "ops/ops.h"

struct el_bert; // weights; const after open, so any number of threads may run it at once

// A packed batch, never padded: `tokens` ids laid end to end.
struct el_batch {
    const int32_t *ids;       // [tokens]
    const int32_t *positions; // [tokens]: 0, 1, ... within each sequence
    struct el_seqs seqs;
    int64_t tokens;
};

// The same batch where `exec` computes, in its temporaries. EL_ENOMEM, EL_ELOST.
int el_batch_upload(struct el_exec *exec, const struct el_batch *batch, struct el_batch *ret_batch);

// Reads the weights of `dir`/model.safetensors and packs them for `target`, whose device must outlive the
// model; a tensor whose shape is not what config says is EL_EFORMAT and named. Packing is shared by `team`
// (may be NULL). EL_ENOENT, EL_EFORMAT, EL_EUNSUPPORTED, EL_ENOMEM, EL_ELOST.
int el_bert_open(const char *dir, const struct el_bert_config *config, const struct el_target *target,
                 struct el_team *team, struct el_bert **ret_bert);
void el_bert_close(struct el_bert *bert);

// What its weights take of a target that is a GPU.
size_t el_bert_gpu_bytes(const struct el_bert_config *config, const struct el_target *target);

size_t el_bert_bytes(const struct el_bert *bert);                // memory of the packed weights and tables
int64_t el_bert_parameters(const struct el_bert_config *config); // weights, without a pooler

// hidden [tokens][hidden_size] f32, the last layer's output. EL_ENOMEM changes nothing.
int el_bert_forward(const struct el_bert *bert, struct el_exec *exec, const struct el_batch *batch,
                    struct el_tensor *hidden);

#endif
