// SPDX-License-Identifier: Apache-2.0
// Writes a tiny random BERT: config.json, vocab.txt, tokenizer_config.json, modules and model.safetensors.
#include "common/tiny_model.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/str.h"

static const char *const words[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "a",
                                    "cat",   "dog",   "sat",   "on",    "mat",    "b",   "c",
                                    "d",     "##s",   "##b",   "##c",   "##d",    "."};
enum { VOCABULARY = sizeof words / sizeof *words };

static void must(bool good, const char *what) {
    if (good) return;
    fprintf(stderr, "tiny model: cannot %s: %s\n", what, el_error_detail());
    abort();
}

// A value in -0.5 .. 0.5 from a linear congruential generator (Knuth, MMIX).
static float draw(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)(*state >> 40) / (float)(1 << 24) - 0.5f;
}

// IEEE binary16, cut off rather than rounded; what is under its normal range becomes zero.
static uint16_t to_half(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const int32_t exponent = (int32_t)(bits >> 23 & 0xFF) - 127 + 15;
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    return exponent <= 0 ? sign : (uint16_t)(sign | exponent << 10 | (bits >> 13 & 0x3FF));
}

static uint16_t to_bfloat(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)(bits >> 16);
}

// header and data of a safetensors file under way
struct writer {
    struct el_str header, data;
    enum el_dtype dtype;
    uint64_t random;
};

static void put(struct writer *w, const char *name, int64_t rows, int64_t columns, float scale,
                float offset) {
    static const char *const text[] = {[EL_F32] = "F32", [EL_F16] = "F16", [EL_BF16] = "BF16"};
    const size_t begin = w->data.length;
    for (int64_t i = 0; i < rows * (columns ? columns : 1); i++) {
        const float value = draw(&w->random) * scale + offset;
        const uint16_t half = w->dtype == EL_F16 ? to_half(value) : to_bfloat(value);
        const bool whole = w->dtype == EL_F32;
        must(el_str_append(&w->data, whole ? (const void *)&value : &half,
                           whole ? sizeof value : sizeof half) == 0,
             "grow");
    }
    must(el_str_printf(&w->header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%" PRId64,
                       w->header.length > 1 ? "," : "", name, text[w->dtype], rows) == 0,
         "grow");
    if (columns) must(el_str_printf(&w->header, ",%" PRId64, columns) == 0, "grow");
    must(el_str_printf(&w->header, "],\"data_offsets\":[%zu,%zu]}", begin, w->data.length) == 0, "grow");
}

static void put_dense(struct writer *w, const char *where, int64_t rows, int64_t columns) {
    char name[128];
    snprintf(name, sizeof name, "%s.weight", where);
    put(w, name, rows, columns, 0.4f, 0);
    snprintf(name, sizeof name, "%s.bias", where);
    put(w, name, rows, 0, 0.1f, 0);
}

static void put_norm(struct writer *w, const char *where) {
    char name[128];
    snprintf(name, sizeof name, "%s.LayerNorm.weight", where);
    put(w, name, TINY_HIDDEN, 0, 0.2f, 1);
    snprintf(name, sizeof name, "%s.LayerNorm.bias", where);
    put(w, name, TINY_HIDDEN, 0, 0.2f, 0);
}

static void put_layer(struct writer *w, int layer) {
    static const char *const square[] = {"attention.self.query", "attention.self.key", "attention.self.value",
                                         "attention.output.dense"};
    char where[96];
    for (size_t i = 0; i < sizeof square / sizeof *square; i++) {
        snprintf(where, sizeof where, "encoder.layer.%d.%s", layer, square[i]);
        put_dense(w, where, TINY_HIDDEN, TINY_HIDDEN);
    }
    snprintf(where, sizeof where, "encoder.layer.%d.attention.output", layer);
    put_norm(w, where);
    snprintf(where, sizeof where, "encoder.layer.%d.intermediate.dense", layer);
    put_dense(w, where, TINY_INTERMEDIATE, TINY_HIDDEN);
    snprintf(where, sizeof where, "encoder.layer.%d.output.dense", layer);
    put_dense(w, where, TINY_HIDDEN, TINY_INTERMEDIATE);
    snprintf(where, sizeof where, "encoder.layer.%d.output", layer);
    put_norm(w, where);
}

static void write_weights(const char *path, enum el_dtype dtype) {
    struct writer w = {.dtype = dtype, .random = 1};
    must(el_str_putc(&w.header, '{') == 0, "grow");
    put(&w, "embeddings.word_embeddings.weight", VOCABULARY, TINY_HIDDEN, 1, 0);
    put(&w, "embeddings.position_embeddings.weight", TINY_POSITIONS, TINY_HIDDEN, 1, 0);
    put(&w, "embeddings.token_type_embeddings.weight", 2, TINY_HIDDEN, 1, 0);
    put_norm(&w, "embeddings");
    for (int layer = 0; layer < TINY_LAYERS; layer++)
        put_layer(&w, layer);
    must(el_str_putc(&w.header, '}') == 0, "grow");
    while (w.header.length % 8)
        must(el_str_putc(&w.header, ' ') == 0, "grow");
    struct el_str file = {0};
    const uint64_t length = w.header.length;
    must(el_str_append(&file, &length, sizeof length) == 0, "grow");
    must(el_str_append(&file, w.header.data, w.header.length) == 0, "grow");
    must(el_str_append(&file, w.data.data, w.data.length) == 0, "grow");
    tiny_model_put(path, "model.safetensors", file.data, file.length);
    el_str_done(&file);
    el_str_done(&w.header);
    el_str_done(&w.data);
}

void tiny_model_put(const char *path, const char *file, const void *bytes, size_t size) {
    char whole[256];
    snprintf(whole, sizeof whole, "%s/%s", path, file);
    must(el_write_file(whole, bytes, size) == 0, "write");
}

char *tiny_model_write(enum el_dtype dtype) {
    char *path = strdup("/tmp/eleanor-tiny-XXXXXX");
    must(path && mkdtemp(path), "make a folder");
    char config[512];
    snprintf(
        config, sizeof config,
        "{\"architectures\":[\"BertModel\"],\"model_type\":\"bert\",\"vocab_size\":%d,\"hidden_size\":%d,"
        "\"num_hidden_layers\":%d,\"num_attention_heads\":%d,\"intermediate_size\":%d,"
        "\"max_position_embeddings\":%d,\"type_vocab_size\":2,\"hidden_act\":\"gelu\",\"layer_norm_eps\":1e-"
        "12}",
        VOCABULARY, TINY_HIDDEN, TINY_LAYERS, TINY_HEADS, TINY_INTERMEDIATE, TINY_POSITIONS);
    tiny_model_put(path, "config.json", config, strlen(config));
    static const char tokenizer[] = "{\"do_lower_case\":true,\"tokenizer_class\":\"BertTokenizer\"}";
    tiny_model_put(path, "tokenizer_config.json", tokenizer, strlen(tokenizer));
    struct el_str vocabulary = {0};
    for (int i = 0; i < VOCABULARY; i++)
        must(el_str_printf(&vocabulary, "%s\n", words[i]) == 0, "grow");
    tiny_model_put(path, "vocab.txt", vocabulary.data, vocabulary.length);
    el_str_done(&vocabulary);
    write_weights(path, dtype);
    return path;
}

void tiny_model_remove(char *path) {
    char whole[512];
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        snprintf(whole, sizeof whole, "%s/%s", path, entry->d_name);
        unlink(whole);
    }
    if (dir) closedir(dir);
    rmdir(path);
    free(path);
}

const char *real_model_path(void) {
    static char path[512];
    const char *named = getenv("ELEANOR_TEST_MODEL"), *root = getenv("ELEANOR_HOME"), *home = getenv("HOME");
    const char *data = getenv("XDG_DATA_HOME");
    if (named)
        snprintf(path, sizeof path, "%s", named);
    else if (root)
        snprintf(path, sizeof path, "%s/models/all-MiniLM-L6-v2", root);
    else if (data && *data)
        snprintf(path, sizeof path, "%s/eleanor/models/all-MiniLM-L6-v2", data);
    else
        snprintf(path, sizeof path, "%s/.local/share/eleanor/models/all-MiniLM-L6-v2", home ? home : "");
    if (el_path_exists(path)) return path;
    printf("SKIPPED: all-MiniLM-L6-v2 is not at %s; ./run installs it, or set ELEANOR_TEST_MODEL\n", path);
    return NULL;
}
