// SPDX-License-Identifier: Apache-2.0
// Doctor's "info": what requirement 4's get_info() would say of the first model on the default device. The
// model is not loaded: its batch size is the one that it would start with.
#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/doctor/doctor.h"
#include "device/manager/manager.h"
#include "format/hf_config.h"
#include "model/bert.h"
#include "ops/exec.h"
#include "serve/backend_info.h"
#include "service/batch_size.h"
#include "service/tuned.h"
#include "store/store.h"

// What the tuner found for the model on that device; 0: nothing. A damaged file is a warning.
static int64_t find_tuned(struct el_doctor *doctor, const char *model, struct el_device *device) {
    el_auto_free char *path = NULL;
    enum el_precision precision;
    struct el_target target;
    int64_t tokens = 0;
    if (el_precision_parse(doctor->config->precision, &precision) < 0) return 0;
    if (el_target_init(device, precision, &target) < 0) return 0;
    const struct el_tuned_key key = {.model = model,
                                     .device = device->facts.name,
                                     .driver = device->facts.driver,
                                     .precision = el_precision_text(target.precision)};
    int status = el_store_beside(EL_TUNED_FILE, &path);
    if (status == 0) status = el_tuned_read(path, &key, &tokens);
    if (status < 0 && status != EL_ENOENT)
        el_doctor_check(doctor, EL_CHECK_WARN, "`eleanor bench embed --tune` writes it anew", "%s",
                        el_error_detail());
    return tokens;
}

// The batch that the model at `path` would start with; its facts too.
static int choose_batch(struct el_doctor *doctor, const char *path, struct el_manager *manager,
                        struct el_backend_info *info) {
    const struct el_config *config = doctor->config;
    struct el_device *device = el_manager_device(manager, 0);
    struct el_bert_config bert;
    el_auto(el_sentence_config_done) struct el_sentence_config sentence = {0};
    struct el_batch_choice choice;
    if (!device) return el_fail(EL_ELOST, "the default device is not open");
    EL_TRY(el_bert_config_read(path, &bert));
    EL_TRY(el_sentence_config_read(path, &bert, &sentence));
    const struct el_batch_facts facts = {
        .tokens = config->batch_tokens,
        .texts = (int)config->max_batch_size,
        .tuned = find_tuned(doctor, path, device),
        .on_host = el_device_is_host(device),
        .parameters = el_bert_parameters(&bert),
        .memory = el_device_memory(device),
        .reserved = (uint64_t)config->vram_reserved,
        .max_tokens = (int)EL_MIN(sentence.max_seq_length, bert.max_positions),
        .streams = (int)config->streams,
    };
    el_batch_choose(&facts, &choice);
    info->embedding_dim = (int)bert.hidden_size;
    info->batch_size = info->max_batch_size = choice.texts;
    info->batch_tokens = choice.tokens;
    info->batch_source = choice.source;
    return 0;
}

void el_doctor_info(struct el_doctor *doctor, struct el_manager *manager, const struct el_health *health) {
    el_auto(el_str_done) struct el_str text = {0};
    el_auto_free char *path = NULL;
    struct el_backend_info info = {
        .config = doctor->config,
        .model = doctor->config->model.count ? doctor->config->model.item[0] : NULL,
        .device_id = el_manager_candidate(manager, 0)->id,
        .device = &el_manager_candidate(manager, 0)->facts,
        .device_count = el_manager_count(manager),
        .health = health->count > 0 ? &health->devices[0] : NULL,
    };
    // A model that is not installed, or no model that eleanor can run, has a check of its own.
    if (info.model && el_store_find(info.model, &path) == 0) choose_batch(doctor, path, manager, &info);
    if (el_backend_info_put_json(&info, &text) == 0)
        json_object_set_new(doctor->root, "info", json_loadb(text.data, text.length, 0, NULL));
}
