// SPDX-License-Identifier: Apache-2.0
// gpu.yaml: the table of its nested keys, and how each comes to a setting or is refused.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "config/settings.h"

const struct el_gpu_key el_gpu_keys[] = {
#define KEY(path_, setting_) {.path = path_, .setting = #setting_},
#define KEY_TIMES(path_, setting_, factor_) {.path = path_, .setting = #setting_, .factor = factor_},
#define KEY_ONLY(path_, taken_, text_) {.path = path_, .taken = taken_, .text = text_},
#include "config/gpu.def"
};
const size_t el_gpu_key_count = EL_COUNT(el_gpu_keys);

const struct el_gpu_key *el_gpu_key_find(const char *path) {
    for (size_t i = 0; i < el_gpu_key_count; i++)
        if (el_streq(el_gpu_keys[i].path, path)) return &el_gpu_keys[i];
    return NULL;
}

bool el_gpu_key_is_block(const char *path) {
    const size_t length = strlen(path);
    for (size_t i = 0; i < el_gpu_key_count; i++)
        if (el_starts_with(el_gpu_keys[i].path, path) && el_gpu_keys[i].path[length] == '.') return true;
    return false;
}

int el_gpu_key_unknown(const char *place, const char *path) {
    const char *candidates[EL_COUNT(el_gpu_keys)];
    for (size_t i = 0; i < el_gpu_key_count; i++)
        candidates[i] = el_gpu_keys[i].path;
    const char *near = el_nearest(path, candidates, el_gpu_key_count);
    return el_fail(EL_EINVAL, "%s: unknown setting \"%s\"%s%s%s", place, path, near ? ", did you mean " : "",
                   near ? near : "", near ? "?" : "; docs/config.md lists the keys of gpu.yaml");
}

// Is `value` one of the words of `taken`, "a|b"? A boolean may be spelled in any way.
static bool is_taken(const char *taken, const char *value) {
    bool no = true;
    if (el_streq(taken, "false") && el_parse_bool(value, &no) == 0) return !no;
    const size_t length = strlen(value);
    for (const char *word = taken; length; word++) {
        const size_t word_length = strcspn(word, "|");
        if (word_length == length && memcmp(word, value, length) == 0) return true;
        word += word_length;
        if (!*word) break;
    }
    return false;
}

static int check_taken(const struct el_gpu_key *key, const char *const *values, size_t count,
                       const char *place) {
    if (count == 1 && is_taken(key->taken, values[0])) return 0;
    return el_fail(EL_EUNSUPPORTED, "%s: %s: not yet supported: %s; %s%s", place, key->path, key->text,
                   *key->taken ? "it may only be " : "take the line out", key->taken);
}

int el_gpu_key_assign(struct el_config *config, const struct el_gpu_key *key, const char *const *values,
                      size_t count, const char *place) {
    if (!key->setting) return check_taken(key, values, count, place);
    const struct el_setting *setting = el_setting_row(key->setting);
    char scaled[32];
    const char *text = scaled;
    if (key->factor > 0 && count == 1) {
        double value;
        int status = el_parse_f64(values[0], (double)setting->min / key->factor,
                                  (double)setting->max / key->factor, &value);
        if (status < 0) return el_fail_in(status, "%s: %s", place, key->path);
        snprintf(scaled, sizeof scaled, "%" PRId64, (int64_t)llround(value * key->factor));
        values = &text;
    }
    return el_config_assign(config, setting, values, count, EL_FROM_FILE, place, false);
}
