// SPDX-License-Identifier: Apache-2.0
// config.json of the BERT family, as Hugging Face transformers writes it. It may ask for far more than is
// done here; so each value is checked, and what is not done is refused by its name instead of giving vectors
// that are quietly wrong.
#include "format/hf_config.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

enum {
    CONFIG_LIMIT = 16 << 20, // bytes of the file
    MAX_SIZE = 1 << 20,      // of a layer, in elements: far over any model, far under overflow
    MAX_VOCAB = 1 << 24,
    MAX_LAYERS = 1024,
};

// Classes whose weights hold the plain encoder; what stands on top of it is not loaded.
static const char *const architectures[] = {"BertModel", "BertForMaskedLM", "BertForPreTraining"};
#define ARCHITECTURES "BertModel, BertForMaskedLM, BertForPreTraining"

static const struct {
    const char *name;
    enum el_act act;
} acts[] = {
    {"gelu", EL_ACT_GELU},
    {"gelu_new", EL_ACT_GELU_TANH},
    {"gelu_pytorch_tanh", EL_ACT_GELU_TANH},
    {"relu", EL_ACT_RELU},
};

static int check_architecture(const char *what, const json_t *root) {
    const json_t *list = json_object_get(root, "architectures");
    const char *name = json_string_value(json_array_get(list, 0));
    const char *type = NULL;
    EL_TRY(el_json_get_str_or(what, root, "model_type", name ? "bert" : NULL, &type));
    if (!type && !name)
        return el_fail(EL_EFORMAT, "%s: neither \"architectures\" nor \"model_type\" says what model it is",
                       what);
    if (name && json_array_size(list) != 1)
        return el_fail(EL_EUNSUPPORTED, "%s: \"architectures\" must hold one name", what);
    bool known = !name; // then the type decides
    for (size_t i = 0; i < EL_COUNT(architectures); i++)
        known = known || strcmp(name, architectures[i]) == 0;
    if (!known || strcmp(type, "bert") != 0)
        return el_fail(EL_EUNSUPPORTED,
                       "%s: architecture %s (model_type %s); supported are " ARCHITECTURES
                       " of model_type bert",
                       what, name ? name : "unnamed", type);
    return 0;
}

// Switches of BertConfig that change the arithmetic, and the only value that is done here.
static int check_switches(const char *what, const json_t *root) {
    const char *position = NULL;
    bool decoder = false, cross = false;
    EL_TRY(el_json_get_str_or(what, root, "position_embedding_type", "absolute", &position));
    EL_TRY(el_json_get_bool_or(what, root, "is_decoder", false, &decoder));
    EL_TRY(el_json_get_bool_or(what, root, "add_cross_attention", false, &cross));
    if (strcmp(position, "absolute") != 0)
        return el_fail(EL_EUNSUPPORTED, "%s: position_embedding_type \"%s\"; only \"absolute\" is supported",
                       what, position);
    if (decoder || cross)
        return el_fail(EL_EUNSUPPORTED, "%s: %s; only encoders are supported", what,
                       decoder ? "is_decoder" : "add_cross_attention");
    return 0;
}

static int read_act(const char *what, const json_t *root, enum el_act *ret_act) {
    const char *name = NULL;
    EL_TRY(el_json_get_str_or(what, root, "hidden_act", "gelu", &name));
    for (size_t i = 0; i < EL_COUNT(acts); i++) {
        if (strcmp(name, acts[i].name) != 0) continue;
        *ret_act = acts[i].act;
        return 0;
    }
    return el_fail(EL_EUNSUPPORTED,
                   "%s: hidden_act \"%s\"; supported are gelu, gelu_new, gelu_pytorch_tanh and relu", what,
                   name);
}

static int read_sizes(const char *what, const json_t *root, struct el_bert_config *c) {
    EL_TRY(el_json_get_i64(what, root, "vocab_size", 1, MAX_VOCAB, &c->vocab_size));
    EL_TRY(el_json_get_i64(what, root, "hidden_size", 1, MAX_SIZE, &c->hidden_size));
    EL_TRY(el_json_get_i64(what, root, "num_hidden_layers", 1, MAX_LAYERS, &c->layers));
    EL_TRY(el_json_get_i64(what, root, "num_attention_heads", 1, MAX_SIZE, &c->heads));
    EL_TRY(el_json_get_i64(what, root, "intermediate_size", 1, MAX_SIZE, &c->intermediate_size));
    EL_TRY(el_json_get_i64(what, root, "max_position_embeddings", 2, MAX_SIZE, &c->max_positions));
    EL_TRY(el_json_get_i64_or(what, root, "type_vocab_size", 1, MAX_SIZE, 2, &c->type_vocab_size));
    EL_TRY(el_json_get_f64_or(what, root, "layer_norm_eps", 1e-12, &c->layer_norm_epsilon));
    if (c->hidden_size % c->heads != 0)
        return el_fail(EL_EFORMAT, "%s: hidden_size %lld is no multiple of num_attention_heads %lld", what,
                       (long long)c->hidden_size, (long long)c->heads);
    if (!(c->layer_norm_epsilon > 0 && c->layer_norm_epsilon < 1))
        return el_fail(EL_EFORMAT, "%s: layer_norm_eps must be over 0 and under 1", what);
    return 0;
}

static int bert_config_from(const char *what, const json_t *root, struct el_bert_config *ret_config) {
    struct el_bert_config config = {0};
    if (!json_is_object(root)) return el_fail(EL_EFORMAT, "%s must hold a JSON object", what);
    EL_TRY(check_architecture(what, root));
    EL_TRY(check_switches(what, root));
    EL_TRY(read_sizes(what, root, &config));
    EL_TRY(read_act(what, root, &config.act));
    *ret_config = config;
    return 0;
}

int el_bert_config_parse(const char *what, const char *text, size_t length,
                         struct el_bert_config *ret_config) {
    el_auto_json json_t *root = NULL;
    EL_TRY(el_json_parse(what, text, length, &root));
    return bert_config_from(what, root, ret_config);
}

int el_bert_config_read(const char *dir, struct el_bert_config *ret_config) {
    el_auto_free char *path = NULL;
    el_auto_json json_t *root = NULL;
    EL_TRY(el_path_join(dir, "config.json", &path));
    EL_TRY(el_json_parse_file(path, CONFIG_LIMIT, &root));
    return bert_config_from(path, root, ret_config);
}
