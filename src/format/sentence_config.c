// SPDX-License-Identifier: Apache-2.0
// What sentence-transformers lays around an encoder: modules.json, the pooling's config.json,
// sentence_bert_config.json and config_sentence_transformers.json. Modules and modes that are not done here
// are refused by name.
#include "format/hf_config.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "format/big_json.h"

enum {
    CONFIG_LIMIT = 16 << 20, // bytes of a file
    MAX_SIZE = 1 << 20,      // of a vector, in elements
};

// The files, parsed; NULL where missing.
struct sentence_files {
    json_t *modules, *pooling, *sentence_bert, *sentence_transformers, *tokenizer;
};

static void files_done(struct sentence_files *files) {
    json_decref(files->modules);
    json_decref(files->pooling);
    json_decref(files->sentence_bert);
    json_decref(files->sentence_transformers);
    json_decref(files->tokenizer);
}

// The class of a module: the last part of "sentence_transformers.models.Pooling".
static const char *module_class(const json_t *module) {
    const char *type = json_string_value(json_object_get(module, "type"));
    if (!type) return NULL;
    const char *dot = strrchr(type, '.');
    return dot ? dot + 1 : type;
}

// A path of modules.json must stay inside the model's folder.
static bool path_is_inside(const char *path) {
    if (path[0] == '/') return false;
    for (const char *p = path; *p; p += *p == '/') {
        size_t part = strcspn(p, "/");
        if (part == 2 && p[0] == '.' && p[1] == '.') return false;
        p += part;
    }
    return true;
}

// modules.json: Transformer, Pooling, and Normalize or not, in this order. Tells the pooling's folder
// (borrowed from `modules`).
static int read_modules(const json_t *modules, bool *ret_normalize, const char **ret_pooling_dir) {
    static const char *const order[] = {"Transformer", "Pooling", "Normalize"};
    size_t count = json_array_size(modules);
    const char *pooling_dir = NULL;
    if (!json_is_array(modules)) return el_fail(EL_EFORMAT, "modules.json must hold a list of modules");
    if (count < 2)
        return el_fail(EL_EUNSUPPORTED, "modules.json: %zu modules; a Transformer and a Pooling are needed",
                       count);
    for (size_t i = 0; i < count; i++) {
        const json_t *module = json_array_get(modules, i);
        const char *class = module_class(module);
        const char *path = json_string_value(json_object_get(module, "path"));
        if (!class || !path)
            return el_fail(EL_EFORMAT, "modules.json: module %zu must have type and path", i);
        if (i >= EL_COUNT(order) || strcmp(class, order[i]) != 0)
            return el_fail(EL_EUNSUPPORTED,
                           "modules.json: module %zu is %s; supported are Transformer, Pooling and "
                           "then Normalize or nothing",
                           i, class);
        if (!path_is_inside(path))
            return el_fail(EL_EFORMAT, "modules.json: path \"%s\" leaves the model's folder", path);
        if (i == 0 && *path)
            return el_fail(EL_EUNSUPPORTED,
                           "modules.json: the Transformer lies in \"%s\"; only the model's own "
                           "folder is supported",
                           path);
        if (i == 1) pooling_dir = path;
    }
    *ret_normalize = count == 3;
    *ret_pooling_dir = pooling_dir;
    return 0;
}

static const struct {
    const char *name; // as "pooling_mode" has it
    const char *flag; // as older files have it
    int pool;         // enum el_pool, or -1: not done
} pools[] = {
    {"mean", "pooling_mode_mean_tokens", EL_POOL_MEAN},
    {"cls", "pooling_mode_cls_token", EL_POOL_CLS},
    {"max", "pooling_mode_max_tokens", EL_POOL_MAX},
    {"mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens", -1},
    {"weightedmean", "pooling_mode_weightedmean_tokens", -1},
    {"lasttoken", "pooling_mode_lasttoken", -1},
};

static int pool_of(const char *what, const char *name, enum el_pool *ret_pool) {
    for (size_t i = 0; i < EL_COUNT(pools); i++) {
        if (strcmp(name, pools[i].name) != 0 || pools[i].pool < 0) continue;
        *ret_pool = (enum el_pool)pools[i].pool;
        return 0;
    }
    return el_fail(EL_EUNSUPPORTED, "%s: pooling \"%s\"; supported are mean, cls and max", what, name);
}

// The one mode that the older flags turn on; mean when none is, as sentence-transformers has it.
static int flagged_pool(const char *what, const json_t *root, const char **ret_name) {
    const char *name = NULL;
    for (size_t i = 0; i < EL_COUNT(pools); i++) {
        bool on = false;
        EL_TRY(el_json_get_bool_or(what, root, pools[i].flag, false, &on));
        if (on && name)
            return el_fail(EL_EUNSUPPORTED,
                           "%s: pooling by %s and %s at once; one of mean, cls, max is supported", what, name,
                           pools[i].name);
        if (on) name = pools[i].name;
    }
    *ret_name = name ? name : "mean";
    return 0;
}

static int read_pooling(const json_t *root, const struct el_bert_config *bert, enum el_pool *ret_pool) {
    const char *what = "pooling config.json";
    const json_t *mode = json_object_get(root, "pooling_mode");
    const char *name = NULL;
    bool include_prompt = true;
    int64_t size = 0;
    if (!json_is_object(root)) return el_fail(EL_EFORMAT, "%s must hold a JSON object", what);
    if (json_array_size(mode) == 1) mode = json_array_get(mode, 0);
    if (mode && !json_is_string(mode))
        return el_fail(EL_EUNSUPPORTED, "%s: pooling_mode must be one of mean, cls, max", what);
    name = json_string_value(mode);
    if (!name) EL_TRY(flagged_pool(what, root, &name));
    EL_TRY(el_json_get_bool_or(what, root, "include_prompt", true, &include_prompt));
    if (!include_prompt) return el_fail(EL_EUNSUPPORTED, "%s: include_prompt false is not supported", what);
    const char *key =
        json_object_get(root, "embedding_dimension") ? "embedding_dimension" : "word_embedding_dimension";
    EL_TRY(el_json_get_i64_or(what, root, key, 1, MAX_SIZE, bert->hidden_size, &size));
    if (size != bert->hidden_size)
        return el_fail(EL_EFORMAT, "%s: %s is %lld, but the encoder's hidden_size is %lld", what, key,
                       (long long)size, (long long)bert->hidden_size);
    return pool_of(what, name, ret_pool);
}

// sentence_bert_config.json wins; else what the tokenizer says of its model; never more than the encoder has
// positions for.
static int read_max_length(const struct sentence_files *files, const struct el_bert_config *bert,
                           int32_t *ret_length) {
    int64_t length = 0;
    const char *task = NULL;
    const json_t *stated = json_object_get(files->tokenizer, "model_max_length"); // often 1e30: "no limit"
    double fallback = json_is_number(stated) ? json_number_value(stated) : HUGE_VAL;
    if (!(fallback >= 2 && fallback < bert->max_positions)) fallback = (double)bert->max_positions;
    const char *what = "sentence_bert_config.json";
    if (files->sentence_bert && !json_is_object(files->sentence_bert))
        return el_fail(EL_EFORMAT, "%s must hold a JSON object", what);
    EL_TRY(el_json_get_i64_or(what, files->sentence_bert, "max_seq_length", 2, INT32_MAX, (int64_t)fallback,
                              &length));
    EL_TRY(el_json_get_str_or(what, files->sentence_bert, "transformer_task", "feature-extraction", &task));
    if (strcmp(task, "feature-extraction") != 0)
        return el_fail(EL_EUNSUPPORTED, "%s: transformer_task \"%s\"; only feature-extraction is supported",
                       what, task);
    *ret_length = (int32_t)EL_MIN(length, bert->max_positions);
    return 0;
}

static int read_prompts(const char *what, const json_t *prompts, struct el_sentence_config *config) {
    const char *name;
    json_t *text;
    if (json_is_null(prompts) || !prompts) return 0;
    if (!json_is_object(prompts)) return el_fail(EL_EFORMAT, "%s: \"prompts\" must be an object", what);
    EL_TRY(el_zalloc(json_object_size(prompts), sizeof *config->prompts, &config->prompts));
    json_object_foreach((json_t *)(uintptr_t)prompts, name, text) {
        struct el_prompt *prompt = &config->prompts[config->prompt_count];
        if (json_is_null(text)) continue;
        if (!json_is_string(text))
            return el_fail(EL_EFORMAT, "%s: prompt \"%s\" must be a string", what, name);
        if (strlen(json_string_value(text)) != json_string_length(text))
            return el_fail(EL_EUNSUPPORTED, "%s: prompt \"%s\" holds a NUL", what, name);
        config->prompt_count++; // so that done() frees what is there
        EL_TRY(el_strdup(name, &prompt->name));
        EL_TRY(el_strdup(json_string_value(text), &prompt->text));
    }
    return 0;
}

static int read_sentence_transformers(const json_t *root, struct el_sentence_config *config) {
    const char *what = "config_sentence_transformers.json";
    const char *type = NULL, *name = NULL;
    if (!json_is_object(root)) return el_fail(EL_EFORMAT, "%s must hold a JSON object", what);
    EL_TRY(el_json_get_str_or(what, root, "model_type", "SentenceTransformer", &type));
    if (strcmp(type, "SentenceTransformer") != 0)
        return el_fail(EL_EUNSUPPORTED, "%s: model_type %s; only SentenceTransformer is supported", what,
                       type);
    EL_TRY(read_prompts(what, json_object_get(root, "prompts"), config));
    EL_TRY(el_json_get_str_or(what, root, "default_prompt_name", NULL, &name));
    if (!name) return 0;
    bool known = false;
    for (int i = 0; i < config->prompt_count; i++)
        known = known || strcmp(config->prompts[i].name, name) == 0;
    if (!known)
        return el_fail(EL_EFORMAT, "%s: default_prompt_name \"%s\" is not among the prompts", what, name);
    return el_strdup(name, &config->default_prompt);
}

static int sentence_config_from(const struct sentence_files *files, const struct el_bert_config *bert,
                                struct el_sentence_config *ret_config) {
    el_auto(el_sentence_config_done) struct el_sentence_config config = {.pool = EL_POOL_MEAN};
    const char *pooling_dir = NULL;
    if (files->modules) EL_TRY(read_modules(files->modules, &config.normalize, &pooling_dir));
    if (files->modules && !files->pooling)
        return el_fail(EL_ENOENT, "modules.json names a Pooling in \"%s\", but it has no config.json",
                       pooling_dir);
    if (files->modules) EL_TRY(read_pooling(files->pooling, bert, &config.pool));
    EL_TRY(read_max_length(files, bert, &config.max_seq_length));
    if (files->sentence_transformers)
        EL_TRY(read_sentence_transformers(files->sentence_transformers, &config));
    *ret_config = config;
    config = (struct el_sentence_config){0};
    return 0;
}

static int parse_text(const char *what, const struct el_config_text *text, json_t **ret_root) {
    return text->text ? el_big_json_parse(what, text->text, text->length, ret_root) : 0;
}

int el_sentence_config_parse(const struct el_sentence_texts *texts, const struct el_bert_config *bert,
                             struct el_sentence_config *ret_config) {
    el_auto(files_done) struct sentence_files files = {0};
    EL_TRY(parse_text("modules.json", &texts->modules, &files.modules));
    EL_TRY(parse_text("pooling config.json", &texts->pooling, &files.pooling));
    EL_TRY(parse_text("sentence_bert_config.json", &texts->sentence_bert, &files.sentence_bert));
    EL_TRY(parse_text("config_sentence_transformers.json", &texts->sentence_transformers,
                      &files.sentence_transformers));
    EL_TRY(parse_text("tokenizer_config.json", &texts->tokenizer, &files.tokenizer));
    return sentence_config_from(&files, bert, ret_config);
}

// *ret_root stays NULL when the file is missing.
static int parse_file(const char *dir, const char *name, json_t **ret_root) {
    el_auto_free char *path = NULL;
    EL_TRY(el_path_join(dir, name, &path));
    return el_path_exists(path) ? el_big_json_parse_file(path, CONFIG_LIMIT, ret_root) : 0;
}

static int parse_pooling_file(const char *dir, const json_t *modules, json_t **ret_root) {
    el_auto_free char *pooling_dir = NULL;
    const char *name = NULL;
    bool normalize = false;
    if (!modules) return 0;
    int status = read_modules(modules, &normalize, &name);
    if (status < 0) return el_fail_in(status, "%s", dir);
    EL_TRY(el_path_join(dir, name, &pooling_dir));
    return parse_file(pooling_dir, "config.json", ret_root);
}

static int read_files(const char *dir, struct sentence_files *files) {
    EL_TRY(parse_file(dir, "modules.json", &files->modules));
    EL_TRY(parse_pooling_file(dir, files->modules, &files->pooling));
    EL_TRY(parse_file(dir, "sentence_bert_config.json", &files->sentence_bert));
    EL_TRY(parse_file(dir, "config_sentence_transformers.json", &files->sentence_transformers));
    return parse_file(dir, "tokenizer_config.json", &files->tokenizer);
}

int el_sentence_config_read(const char *dir, const struct el_bert_config *bert,
                            struct el_sentence_config *ret_config) {
    el_auto(files_done) struct sentence_files files = {0};
    EL_TRY(read_files(dir, &files));
    int status = sentence_config_from(&files, bert, ret_config);
    return status < 0 ? el_fail_in(status, "%s", dir) : 0;
}

void el_sentence_config_done(struct el_sentence_config *config) {
    for (int i = 0; i < config->prompt_count; i++) {
        el_free(config->prompts[i].name);
        el_free(config->prompts[i].text);
    }
    el_free(config->prompts);
    el_free(config->default_prompt);
    *config = (struct el_sentence_config){0};
}
