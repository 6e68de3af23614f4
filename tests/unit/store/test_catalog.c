// SPDX-License-Identifier: Apache-2.0
// The catalog: look-ups, the shape of every row, and the sum of the default model's weights.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "store/catalog.h"
#include "store/names.h"
#include "store/sha256.h"
#include "store/store.h"

static const char weights_sum[] = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";

static void names_aliases_and_hub_ids_lead_to_a_model(void **state) {
    (void)state;
    static const char *const names[] = {"all-MiniLM-L6-v2", "ALL-minilm-l6-V2", "minilm", "all-minilm",
                                        "sentence-transformers/all-MiniLM-L6-v2"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct el_catalog_model *model = el_catalog_find(names[i]);
        assert_non_null(model);
        assert_string_equal(model->name, "all-MiniLM-L6-v2");
    }
    assert_null(el_catalog_find("all-MiniLM-L7"));
    assert_null(el_catalog_find(""));
    assert_string_equal(el_store_aliases("minilm")[0], "sentence-transformers/all-MiniLM-L6-v2");
    assert_null(el_store_aliases("unknown")[0]);
}

static void weights_lead_to_a_model(void **state) {
    (void)state;
    assert_string_equal(el_catalog_find_weights(weights_sum)->name, "all-MiniLM-L6-v2");
    assert_null(el_catalog_find_weights("00"));
}

static void every_row_is_well_formed(void **state) {
    (void)state;
    for (size_t i = 0; i < el_catalog_count; i++) {
        const struct el_catalog_model *model = &el_catalog[i];
        assert_int_equal(el_model_name_check(model->name), 0);
        assert_int_equal(el_model_name_check(model->hub), 0);
        assert_non_null(strchr(model->hub, '/'));
        // A name or alias leads to one model only.
        assert_ptr_equal(el_catalog_find(model->name), model);
        for (const char *const *alias = model->aliases; *alias; alias++)
            assert_ptr_equal(el_catalog_find(*alias), model);
        const struct el_catalog_file *file;
        for (size_t f = 0; (file = el_catalog_file(model, f)); f++) {
            assert_true(el_sha256_is_text(file->sha256));
            assert_int_equal(el_path_check(file->path), 0);
            assert_true(el_model_file_is_needed(file->path));
            assert_true(file->size > 0);
        }
    }
}

static void a_file_is_held_against_all_its_rows(void **state) {
    (void)state;
    const struct el_catalog_model *model = el_catalog_find("minilm");
    const char *old = "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7";
    const char *new = "2713ef7170fbb7e99cf4c4d8a1685642b0454b35f606b0f3b3b23b2786bc0c6c";
    assert_int_equal(el_catalog_check(model, "sentence_bert_config.json", 53, old), 0);
    assert_int_equal(el_catalog_check(model, "sentence_bert_config.json", 57, new), 0);
    assert_int_equal(el_catalog_check(model, "model.safetensors", 90868376, weights_sum), 0);
    assert_int_equal(el_catalog_check(model, "model.safetensors", 90868376, old), EL_ECHECKSUM);
    assert_non_null(strstr(el_error_detail(), weights_sum));
    assert_non_null(strstr(el_error_detail(), old));
    assert_int_equal(el_catalog_check(model, "other.json", 1, old), EL_EINVAL);
    assert_true(el_catalog_lists(model, "1_Pooling/config.json"));
    assert_false(el_catalog_lists(model, "added_tokens.json"));
}

static void sums_are_those_of_the_standard(void **state) {
    (void)state;
    // FIPS 180-2, appendix B.1 and B.2, and the empty text.
    static const struct {
        const char *text, *sum;
    } known[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct el_sha256 sha;
        char text[EL_SHA256_TEXT];
        el_sha256_init(&sha);
        for (const char *p = known[i].text; *p; p++)
            el_sha256_update(&sha, p, 1);
        el_sha256_text(&sha, text);
        assert_string_equal(text, known[i].sum);
        assert_true(el_sha256_is_text(text));
    }
    assert_false(el_sha256_is_text(NULL));
    assert_false(el_sha256_is_text("ba7816bf8f01cfea414140de5dae2223b00361a3")); // a git hash
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_aliases_and_hub_ids_lead_to_a_model),
        cmocka_unit_test(weights_lead_to_a_model),
        cmocka_unit_test(every_row_is_well_formed),
        cmocka_unit_test(a_file_is_held_against_all_its_rows),
        cmocka_unit_test(sums_are_those_of_the_standard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
