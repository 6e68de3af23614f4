// SPDX-License-Identifier: Apache-2.0
// Which batch an embedder takes: the user's, the tuned one, its own; and a damaged file is told and passed
// over.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "common/tiny_model.h"
#include "service/embed.h"
#include "service/tuned.h"

static char *model; // folder of the tiny model
static char tuned[256];

static int write_model(void **state) {
    (void)state;
    model = tiny_model_write(EL_F32);
    snprintf(tuned, sizeof tuned, "%s/tuned.json", model);
    return 0;
}

static int remove_model(void **state) {
    (void)state;
    unlink(tuned);
    tiny_model_remove(model);
    return 0;
}

static void keep_notice(void *context, const char *text) {
    snprintf(context, 256, "%s", text);
}

// What `options` come to on the processor in fp32; *ret_info is without its strings.
static struct el_batch_choice fit(struct el_embedder_options options, struct el_embed_info *ret_info) {
    struct el_embedder *embedder = NULL;
    struct el_embed_info info;
    options.device = "cpu";
    options.precision = "fp32";
    options.threads = 1;
    assert_int_equal(el_embedder_open(model, &options, &embedder), 0);
    el_embedder_info(embedder, &info);
    if (ret_info) *ret_info = info;
    el_embedder_close(embedder);
    return info.batch;
}

static void assert_fit(struct el_embedder_options options, int64_t tokens, const char *source) {
    const struct el_batch_choice choice = fit(options, NULL);
    assert_int_equal(choice.tokens, tokens);
    assert_string_equal(choice.source, source);
}

static void what_was_measured_here_is_taken(void **state) {
    (void)state;
    struct el_embed_info info;
    char told[256] = "";
    const struct el_embedder_options options = {
        .tuned = tuned, .notice = keep_notice, .notice_context = told};
    assert_int_equal(fit(options, &info).tokens, 128); // no file
    const struct el_tuned_key key = {model, info.place.facts.name, info.place.facts.driver, "fp32"};
    struct el_tuned_key other = key;
    other.precision = "bf16";
    assert_int_equal(el_tuned_write(tuned, &other, 256, 1), 0);
    assert_fit(options, 128, "default");
    assert_int_equal(el_tuned_write(tuned, &key, 64, 1), 0);
    assert_fit(options, 64, "tuned");
    assert_fit((struct el_embedder_options){.tuned = tuned, .batch_tokens = 96}, 96, "set");
    assert_fit((struct el_embedder_options){0}, 128, "default");
    assert_string_equal(told, "");
}

static void a_damaged_file_is_told_and_passed_over(void **state) {
    (void)state;
    char told[256] = "";
    assert_int_equal(el_write_file(tuned, "[", 1), 0);
    assert_fit((struct el_embedder_options){.tuned = tuned, .notice = keep_notice, .notice_context = told},
               128, "default");
    assert_non_null(strstr(told, "passed over"));
    assert_non_null(strstr(told, "tuned.json:1:1"));
    assert_fit((struct el_embedder_options){.tuned = tuned}, 128, "default"); // nobody to tell
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_measured_here_is_taken),
        cmocka_unit_test(a_damaged_file_is_told_and_passed_over),
    };
    return cmocka_run_group_tests(tests, write_model, remove_model);
}
