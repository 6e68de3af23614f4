// SPDX-License-Identifier: Apache-2.0
// Fuzzes the readers of tokenizer.json and of vocab.txt with tokenizer_config.json (input "v", vocab.txt, a
// NUL, the config): refused with a reason, or what was read encodes text to ids in range.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "format/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] =
    "[CLS] Hello, WORLD! unaffable caf\xC3\xA9 e\xCC\x81\xCC\xA7 \xE4\xB8\xAD\xFF [SEP]x";

static int parse(const char *bytes, size_t size, struct el_tokenizer **ret_tokenizer) {
    if (!size || bytes[0] != 'v') return el_tokenizer_parse("fuzz", bytes, size, ret_tokenizer);
    const char *end = memchr(bytes, '\0', size);
    const size_t vocab = end ? (size_t)(end - bytes) - 1 : size - 1;
    return el_tokenizer_parse_vocab("fuzz", bytes + 1, vocab, end ? end + 1 : NULL,
                                    end ? size - vocab - 2 : 0, ret_tokenizer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct el_tokenizer *tokenizer = NULL;
    struct el_tokens tokens = {0};
    if (parse((const char *)data, size, &tokenizer) < 0) {
        if (tokenizer || !*el_error_detail()) abort();
        return 0;
    }
    for (int32_t limit = 0; limit < 8; limit++) {
        if (el_tokenizer_encode(tokenizer, text, sizeof text - 1, limit, &tokens) < 0) abort();
        if (limit && tokens.count > limit) abort();
    }
    if (el_tokenizer_encode(tokenizer, (const char *)data, size, 0, &tokens) < 0) abort();
    if (tokens.total != tokens.count) abort();
    el_tokens_done(&tokens);
    el_tokenizer_close(tokenizer);
    return 0;
}
