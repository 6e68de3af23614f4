// SPDX-License-Identifier: Apache-2.0
// Fuzzes the body of POST /v1/embeddings: whatever the bytes, they are taken whole, with inputs that can be
// read to their last byte and id, or refused with a kind and a sentence that make a valid envelope.
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

#include "serve/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_fault(const struct el_fault *fault) {
    struct el_str text = {0};
    if (fault->kind <= EL_FAULT_NONE || fault->kind >= EL_FAULT_COUNT || !fault->message[0]) abort();
    if (el_fault_write(fault, &text) < 0) return;
    json_t *root = json_loadb(text.data, text.length, 0, NULL);
    if (!root) abort();
    json_decref(root);
    el_str_done(&text);
}

// Sums every byte and id, so that the sanitizer sees each read.
static unsigned read_all(const struct el_embeddings_body *body) {
    unsigned sum = 0;
    for (size_t i = 0; i < body->count; i++) {
        const struct el_embed_input *input = &body->inputs[i];
        if (!input->ids && input->text.length == 0) abort();
        if (input->ids && input->id_count < 1) abort();
        for (size_t b = 0; !input->ids && b < input->text.length; b++)
            sum += (unsigned char)input->text.data[b];
        for (int32_t id = 0; input->ids && id < input->id_count; id++)
            sum += (unsigned)input->ids[id];
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct el_body_limits limits = {.max_inputs = 8, .max_ids = 64};
    struct el_embeddings_body body;
    struct el_fault fault = {0};
    if (el_embeddings_body_parse((const char *)data, size, &limits, &body, &fault) < 0) {
        check_fault(&fault);
        return 0;
    }
    if (body.count < 1 || body.count > limits.max_inputs) abort();
    volatile unsigned sum = read_all(&body);
    (void)sum;
    el_embeddings_body_done(&body);
    return 0;
}
