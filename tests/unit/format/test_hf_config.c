// SPDX-License-Identifier: Apache-2.0
// The JSON files of a model folder: what MiniLM, bge, e5 and gte have in them, and what must be refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "format/hf_config.h"

#define SIZES                                                                                      \
    "\"vocab_size\":30522,\"hidden_size\":384,\"num_hidden_layers\":6,\"num_attention_heads\":12," \
    "\"intermediate_size\":1536,\"max_position_embeddings\":512"
#define BERT "{\"architectures\":[\"BertModel\"],\"model_type\":\"bert\"," SIZES "}"

static const struct el_bert_config minilm = {.vocab_size = 30522, .hidden_size = 384, .max_positions = 512};

static void bert_config(void **state) {
    (void)state;
    struct el_bert_config config;
    assert_int_equal(el_bert_config_parse("config.json", BERT, strlen(BERT), &config), 0);
    assert_int_equal(config.vocab_size, 30522);
    assert_int_equal(config.hidden_size, 384);
    assert_int_equal(config.layers, 6);
    assert_int_equal(config.heads, 12);
    assert_int_equal(config.intermediate_size, 1536);
    assert_int_equal(config.max_positions, 512);
    assert_int_equal(config.type_vocab_size, 2);
    assert_true(config.layer_norm_epsilon == 1e-12);
    assert_int_equal(config.act, EL_ACT_GELU);

    static const char tanh_form[] =
        "{\"architectures\":[\"BertForMaskedLM\"],\"model_type\":\"bert\",\"hidden_act\":\"gelu_new\","
        "\"layer_norm_eps\":1e-5,\"type_vocab_size\":1,\"position_embedding_type\":\"absolute\"," SIZES "}";
    assert_int_equal(el_bert_config_parse("config.json", tanh_form, strlen(tanh_form), &config), 0);
    assert_int_equal(config.act, EL_ACT_GELU_TANH);
    assert_int_equal(config.type_vocab_size, 1);
    assert_true(config.layer_norm_epsilon == 1e-5);

    static const char typed[] = "{\"model_type\":\"bert\",\"hidden_act\":\"relu\"," SIZES "}";
    assert_int_equal(el_bert_config_parse("config.json", typed, strlen(typed), &config), 0);
    assert_int_equal(config.act, EL_ACT_RELU);
}

static void bert_config_refused(void **state) {
    (void)state;
#define WITH(more) "{\"architectures\":[\"BertModel\"]," more "," SIZES "}"
    static const struct {
        const char *text;
        int status;
        const char *detail;
    } cases[] = {
        {"", EL_EFORMAT, "invalid JSON"},
        {"[]", EL_EFORMAT, "must hold a JSON object"},
        {"{}", EL_EFORMAT, "neither"},
        {"{" SIZES "}", EL_EFORMAT, "neither"},
        {"{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\"," SIZES "}", EL_EUNSUPPORTED,
         "LlamaForCausalLM (model_type llama); supported are BertModel"},
        {"{\"architectures\":[\"BertModel\"],\"model_type\":\"nomic_bert\"," SIZES "}", EL_EUNSUPPORTED,
         "nomic_bert"},
        {"{\"model_type\":\"xlm-roberta\"," SIZES "}", EL_EUNSUPPORTED, "xlm-roberta"},
        {"{\"architectures\":[\"BertModel\",\"BertModel\"]," SIZES "}", EL_EUNSUPPORTED, "one name"},
        {WITH("\"position_embedding_type\":\"relative_key\""), EL_EUNSUPPORTED, "relative_key"},
        {WITH("\"is_decoder\":true"), EL_EUNSUPPORTED, "is_decoder"},
        {WITH("\"add_cross_attention\":true"), EL_EUNSUPPORTED, "add_cross_attention"},
        {WITH("\"hidden_act\":\"swish\""), EL_EUNSUPPORTED, "swish"},
        {WITH("\"hidden_act\":1"), EL_EFORMAT, "hidden_act"},
        {WITH("\"layer_norm_eps\":0"), EL_EFORMAT, "layer_norm_eps"},
        {WITH("\"layer_norm_eps\":2"), EL_EFORMAT, "layer_norm_eps"},
        {WITH("\"type_vocab_size\":0"), EL_EFORMAT, "type_vocab_size"},
        {"{\"model_type\":\"bert\"}", EL_EFORMAT, "\"vocab_size\" is missing"},
        {"{\"model_type\":\"bert\",\"vocab_size\":-1}", EL_EFORMAT, "vocab_size"},
        {"{\"model_type\":\"bert\",\"vocab_size\":1e3}", EL_EFORMAT, "vocab_size"},
        {"{\"model_type\":\"bert\",\"vocab_size\":9,\"hidden_size\":4611686018427387904}", EL_EFORMAT,
         "hidden_size"},
        {"{\"model_type\":\"bert\",\"vocab_size\":9,\"hidden_size\":10,\"num_hidden_layers\":1,"
         "\"num_attention_heads\":3,\"intermediate_size\":4,\"max_position_embeddings\":8}",
         EL_EFORMAT, "hidden_size 10 is no multiple of num_attention_heads 3"},
    };
    for (size_t i = 0; i < EL_COUNT(cases); i++) {
        struct el_bert_config config;
        const int status = el_bert_config_parse("config.json", cases[i].text, strlen(cases[i].text), &config);
        if (status != cases[i].status || !strstr(el_error_detail(), cases[i].detail))
            fail_msg("%s: got %d \"%s\", wanted \"%s\"", cases[i].text, status, el_error_detail(),
                     cases[i].detail);
    }
}

#define MODULE(type, path) "{\"idx\":0,\"name\":\"0\",\"path\":\"" path "\",\"type\":\"" type "\"}"
#define TRANSFORMER MODULE("sentence_transformers.models.Transformer", "")
#define POOLING MODULE("sentence_transformers.models.Pooling", "1_Pooling")
#define NORMALIZE MODULE("sentence_transformers.models.Normalize", "2_Normalize")
#define MODULES "[" TRANSFORMER "," POOLING "]"
#define MEAN "{\"word_embedding_dimension\":384,\"pooling_mode_mean_tokens\":true}"

static struct el_config_text text(const char *json) {
    return (struct el_config_text){.text = json, .length = json ? strlen(json) : 0};
}

static struct el_sentence_texts texts(const char *modules, const char *pooling, const char *bert,
                                      const char *transformers, const char *tokenizer) {
    return (struct el_sentence_texts){.modules = text(modules),
                                      .pooling = text(pooling),
                                      .sentence_bert = text(bert),
                                      .sentence_transformers = text(transformers),
                                      .tokenizer = text(tokenizer)};
}

static void nothing_means_the_defaults(void **state) {
    (void)state;
    struct el_sentence_config config;
    const struct el_sentence_texts none = {0};
    assert_int_equal(el_sentence_config_parse(&none, &minilm, &config), 0);
    assert_int_equal(config.pool, EL_POOL_MEAN);
    assert_false(config.normalize);
    assert_int_equal(config.max_seq_length, 512);
    assert_int_equal(config.prompt_count, 0);
    assert_null(config.default_prompt);
    el_sentence_config_done(&config);
}

// As bge-small-en-v1.5 has it, with the prompt that its card asks for.
static void bge(void **state) {
    (void)state;
    struct el_sentence_config config;
    const struct el_sentence_texts files = texts(
        "[" TRANSFORMER "," POOLING "," NORMALIZE "]",
        "{\"word_embedding_dimension\":384,\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":"
        "false,"
        "\"pooling_mode_max_tokens\":false,\"pooling_mode_mean_sqrt_len_tokens\":false}",
        "{\"max_seq_length\":512,\"do_lower_case\":true}",
        "{\"__version__\":{\"pytorch\":\"1.13.0\"},\"prompts\":{\"query\":\"Represent this: \",\"document\":"
        "\"\",\"none\":null},\"default_prompt_name\":\"query\"}",
        NULL);
    assert_int_equal(el_sentence_config_parse(&files, &minilm, &config), 0);
    assert_int_equal(config.pool, EL_POOL_CLS);
    assert_true(config.normalize);
    assert_int_equal(config.prompt_count, 2);
    assert_string_equal(config.prompts[0].name, "query");
    assert_string_equal(config.prompts[0].text, "Represent this: ");
    assert_string_equal(config.default_prompt, "query");
    el_sentence_config_done(&config);
}

static void lengths(void **state) {
    (void)state;
    static const struct {
        const char *bert, *tokenizer;
        int32_t expected;
    } cases[] = {
        {"{\"max_seq_length\":256}", "{\"model_max_length\":128}", 256},
        {"{\"max_seq_length\":4096}", NULL, 512},
        {"{\"max_seq_length\":null}", "{\"model_max_length\":128}", 128},
        {NULL, "{\"model_max_length\":1000000000000000019884624838656}", 512},
        {NULL, "{\"model_max_length\":1e30}", 512},
        {NULL, "{\"model_max_length\":-3}", 512},
        {"{}", "{}", 512},
    };
    for (size_t i = 0; i < EL_COUNT(cases); i++) {
        struct el_sentence_config config;
        const struct el_sentence_texts files = texts(NULL, NULL, cases[i].bert, NULL, cases[i].tokenizer);
        if (el_sentence_config_parse(&files, &minilm, &config) < 0) fail_msg("%zu: %s", i, el_error_detail());
        assert_int_equal(config.max_seq_length, cases[i].expected);
        el_sentence_config_done(&config);
    }
}

static void poolings(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum el_pool pool;
    } cases[] = {
        {"{\"word_embedding_dimension\":384,\"pooling_mode_max_tokens\":true}", EL_POOL_MAX},
        {"{\"embedding_dimension\":384,\"pooling_mode\":\"cls\",\"include_prompt\":true}", EL_POOL_CLS},
        {"{\"embedding_dimension\":384,\"pooling_mode\":[\"max\"]}", EL_POOL_MAX},
        {"{\"embedding_dimension\":384,\"pooling_mode\":\"mean\",\"pooling_mode_cls_token\":true}",
         EL_POOL_MEAN},
        {"{\"word_embedding_dimension\":384,\"pooling_mode_mean_tokens\":false}", EL_POOL_MEAN},
    };
    for (size_t i = 0; i < EL_COUNT(cases); i++) {
        struct el_sentence_config config;
        const struct el_sentence_texts files = texts(MODULES, cases[i].text, NULL, NULL, NULL);
        if (el_sentence_config_parse(&files, &minilm, &config) < 0) fail_msg("%zu: %s", i, el_error_detail());
        assert_int_equal(config.pool, cases[i].pool);
        el_sentence_config_done(&config);
    }
}

static void sentence_config_refused(void **state) {
    (void)state;
#define DENSE MODULE("sentence_transformers.models.Dense", "2_Dense")
#define POOL(mode) "{\"word_embedding_dimension\":384,\"pooling_mode_mean_tokens\":false,\"" mode "\":true}"
    const struct {
        struct el_sentence_texts files;
        int status;
        const char *detail;
    } cases[] = {
        {texts("{}", MEAN, NULL, NULL, NULL), EL_EFORMAT, "list of modules"},
        {texts("[]", MEAN, NULL, NULL, NULL), EL_EUNSUPPORTED, "0 modules"},
        {texts("[1,2]", MEAN, NULL, NULL, NULL), EL_EFORMAT, "must have type and path"},
        {texts("[" TRANSFORMER "," POOLING "," DENSE "]", MEAN, NULL, NULL, NULL), EL_EUNSUPPORTED,
         "is Dense"},
        {texts("[" TRANSFORMER "," POOLING "," NORMALIZE "," NORMALIZE "]", MEAN, NULL, NULL, NULL),
         EL_EUNSUPPORTED, "module 3 is Normalize"},
        {texts("[" POOLING "," TRANSFORMER "]", MEAN, NULL, NULL, NULL), EL_EUNSUPPORTED,
         "module 0 is Pooling"},
        {texts("[" MODULE("x.Transformer", "0_Transformer") "," POOLING "]", MEAN, NULL, NULL, NULL),
         EL_EUNSUPPORTED, "0_Transformer"},
        {texts("[" TRANSFORMER "," MODULE("Pooling", "../x") "]", MEAN, NULL, NULL, NULL), EL_EFORMAT,
         "leaves"},
        {texts("[" TRANSFORMER "," MODULE("Pooling", "x/..") "]", MEAN, NULL, NULL, NULL), EL_EFORMAT,
         "leaves"},
        {texts("[" TRANSFORMER "," MODULE("Pooling", "/etc") "]", MEAN, NULL, NULL, NULL), EL_EFORMAT,
         "leaves"},
        {texts(MODULES, NULL, NULL, NULL, NULL), EL_ENOENT, "1_Pooling"},
        {texts(MODULES, "[]", NULL, NULL, NULL), EL_EFORMAT, "JSON object"},
        {texts(MODULES, POOL("pooling_mode_weightedmean_tokens"), NULL, NULL, NULL), EL_EUNSUPPORTED,
         "weightedmean"},
        {texts(MODULES, POOL("pooling_mode_lasttoken"), NULL, NULL, NULL), EL_EUNSUPPORTED, "lasttoken"},
        {texts(MODULES, POOL("pooling_mode_mean_sqrt_len_tokens"), NULL, NULL, NULL), EL_EUNSUPPORTED,
         "mean_sqrt"},
        {texts(MODULES, "{\"pooling_mode_mean_tokens\":true,\"pooling_mode_cls_token\":true}", NULL, NULL,
               NULL),
         EL_EUNSUPPORTED, "at once"},
        {texts(MODULES, "{\"pooling_mode\":[\"mean\",\"max\"]}", NULL, NULL, NULL), EL_EUNSUPPORTED,
         "pooling_mode"},
        {texts(MODULES, "{\"pooling_mode\":\"best\"}", NULL, NULL, NULL), EL_EUNSUPPORTED, "\"best\""},
        {texts(MODULES, "{\"word_embedding_dimension\":768}", NULL, NULL, NULL), EL_EFORMAT, "768"},
        {texts(MODULES, "{\"include_prompt\":false}", NULL, NULL, NULL), EL_EUNSUPPORTED, "include_prompt"},
        {texts(NULL, NULL, "[]", NULL, NULL), EL_EFORMAT, "sentence_bert_config.json must"},
        {texts(NULL, NULL, "{\"max_seq_length\":0}", NULL, NULL), EL_EFORMAT, "max_seq_length"},
        {texts(NULL, NULL, "{\"max_seq_length\":\"9\"}", NULL, NULL), EL_EFORMAT, "max_seq_length"},
        {texts(NULL, NULL, "{\"transformer_task\":\"fill-mask\"}", NULL, NULL), EL_EUNSUPPORTED, "fill-mask"},
        {texts(NULL, NULL, NULL, "{\"prompts\":[]}", NULL), EL_EFORMAT, "prompts"},
        {texts(NULL, NULL, NULL, "{\"prompts\":{\"a\":\"b\",\"q\":1}}", NULL), EL_EFORMAT, "\"q\""},
        {texts(NULL, NULL, NULL, "{\"prompts\":{\"a\":\"x\\u0000\"}}", NULL), EL_EUNSUPPORTED, "NUL"},
        {texts(NULL, NULL, NULL, "{\"default_prompt_name\":\"q\"}", NULL), EL_EFORMAT, "not among"},
        {texts(NULL, NULL, NULL, "{\"model_type\":\"CrossEncoder\"}", NULL), EL_EUNSUPPORTED, "CrossEncoder"},
    };
    for (size_t i = 0; i < EL_COUNT(cases); i++) {
        struct el_sentence_config config;
        const int status = el_sentence_config_parse(&cases[i].files, &minilm, &config);
        if (status != cases[i].status || !strstr(el_error_detail(), cases[i].detail))
            fail_msg("case %zu: got %d \"%s\", wanted \"%s\"", i, status, el_error_detail(), cases[i].detail);
    }
}

static void write_file(const char *dir, const char *name, const char *content) {
    char *path = NULL;
    assert_int_equal(el_path_join(dir, name, &path), 0);
    if (content)
        assert_int_equal(el_write_file(path, content, strlen(content)), 0);
    else
        unlink(path);
    el_free(path);
}

static void folder(void **state) {
    (void)state;
    static const char *const names[] = {"config.json", "modules.json", "1_Pooling/config.json",
                                        "sentence_bert_config.json", "config_sentence_transformers.json"};
    static const char *const contents[] = {BERT, MODULES, POOL("pooling_mode_max_tokens"),
                                           "{\"max_seq_length\":64}",
                                           "{\"prompts\":{\"query\":\"query: \"}}"};
    char dir[] = "/tmp/eleanor-config-XXXXXX";
    char *pooling = NULL;
    struct el_bert_config bert;
    struct el_sentence_config config;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(el_path_join(dir, "1_Pooling", &pooling), 0);
    assert_int_equal(el_mkdirs(pooling), 0);
    assert_int_equal(el_bert_config_read(dir, &bert), EL_ENOENT);
    for (size_t i = 0; i < EL_COUNT(names); i++)
        write_file(dir, names[i], contents[i]);
    assert_int_equal(el_bert_config_read(dir, &bert), 0);
    assert_int_equal(el_sentence_config_read(dir, &bert, &config), 0);
    assert_int_equal(config.pool, EL_POOL_MAX);
    assert_int_equal(config.max_seq_length, 64);
    assert_string_equal(config.prompts[0].text, "query: ");
    el_sentence_config_done(&config);
    write_file(dir, names[2], NULL);
    assert_int_equal(el_sentence_config_read(dir, &bert, &config), EL_ENOENT);
    assert_non_null(strstr(el_error_detail(), dir));
    for (size_t i = 0; i < EL_COUNT(names); i++)
        write_file(dir, names[i], NULL);
    rmdir(pooling);
    rmdir(dir);
    el_free(pooling);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bert_config),
        cmocka_unit_test(bert_config_refused),
        cmocka_unit_test(nothing_means_the_defaults),
        cmocka_unit_test(bge),
        cmocka_unit_test(lengths),
        cmocka_unit_test(poolings),
        cmocka_unit_test(sentence_config_refused),
        cmocka_unit_test(folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
