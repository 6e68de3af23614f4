// SPDX-License-Identifier: Apache-2.0
// Choosing among the devices that there are, and saying of each why.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "device/manager/candidates.h"
#include "device/manager/device_list.h"
#include "eleanor/status.h"

static const char *const default_preference[] = {"cuda", "opencl", "mps", "cpu", NULL};

static void warn(struct el_candidates *candidates, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void warn(struct el_candidates *candidates, const char *format, ...) {
    va_list args;
    if (candidates->warning_count == EL_MANAGER_WARNINGS) return;
    char *warning = candidates->warnings[candidates->warning_count++];
    va_start(args, format);
    vsnprintf(warning, sizeof candidates->warnings[0], format, args);
    va_end(args);
}

static struct el_candidate *find(struct el_candidates *candidates, const char *kind, int index) {
    for (int i = 0; i < candidates->count; i++)
        if (el_streq(candidates->all[i].kind, kind) && candidates->all[i].index == index)
            return &candidates->all[i];
    return NULL;
}

// The first of the kind that can be used and is not the processor in disguise, unless that
// `may_be_processor`.
static struct el_candidate *default_of(struct el_candidates *candidates, const char *kind,
                                       bool may_be_processor) {
    for (int i = 0; i < candidates->count; i++) {
        struct el_candidate *candidate = &candidates->all[i];
        if (el_streq(candidate->kind, kind) && candidate->usable &&
            (may_be_processor || !candidate->facts.is_processor))
            return candidate;
    }
    return NULL;
}

static void choose(struct el_candidates *candidates, struct el_candidate *candidate, const char *why) {
    if (candidate->chosen || candidates->chosen_count == EL_MANAGER_DEVICES) return;
    candidate->chosen = true;
    candidate->device = candidates->chosen_count++;
    if (candidate->device == 0) candidates->mode = candidate->kind;
    snprintf(candidate->reason, sizeof candidate->reason, "%s", why);
}

// Why none of the kind can be used: the reason of its first.
static const char *reason_of(const struct el_candidates *candidates, const char *kind) {
    for (int i = 0; i < candidates->count; i++) {
        const struct el_candidate *candidate = &candidates->all[i];
        if (!el_streq(candidate->kind, kind)) continue;
        return candidate->usable ? "its devices are the processor itself" : candidate->reason;
    }
    return "there is none";
}

// Device `index` of the kind, or the default one with a warning.
static int choose_index(struct el_candidates *candidates, const char *kind, int index, const char *why) {
    struct el_candidate *candidate = index >= 0 ? find(candidates, kind, index) : NULL, *instead;
    if (candidate && candidate->usable) {
        choose(candidates, candidate, why);
        return 0;
    }
    if (candidate) return el_fail(EL_EUNSUPPORTED, "%s cannot be used: %s", candidate->id, candidate->reason);
    instead = default_of(candidates, kind, true);
    if (!instead) return el_fail(EL_ENOENT, "no %s device: %s", kind, reason_of(candidates, kind));
    warn(candidates, "there is no %s:%d; %s is used instead", kind, index, instead->id);
    choose(candidates, instead, why);
    return 0;
}

// All usable devices of the kind.
static int choose_all(struct el_candidates *candidates, const char *kind, bool may_be_processor,
                      const char *why) {
    int count = 0;
    for (int i = 0; i < candidates->count; i++) {
        struct el_candidate *candidate = &candidates->all[i];
        if (!el_streq(candidate->kind, kind) || !candidate->usable ||
            (candidate->facts.is_processor && !may_be_processor))
            continue;
        choose(candidates, candidate, why);
        count++;
    }
    return count > 0 ? 0 : el_fail(EL_ENOENT, "no %s device: %s", kind, reason_of(candidates, kind));
}

static int choose_named(const struct el_manager_options *options, struct el_candidates *candidates) {
    struct el_device_wish wishes[EL_MANAGER_DEVICES];
    int count = 0;
    EL_TRY(el_parse_devices(options->devices, wishes, &count));
    for (int i = 0; i < count; i++) {
        const struct el_device_wish *wish = &wishes[i];
        const struct el_candidate *first = default_of(candidates, wish->kind, true);
        const bool all = wish->parts > 0 || (wish->index < 0 && options->multi);
        const int index = wish->index < 0 && first ? first->index : wish->index;
        EL_TRY(all ? choose_all(candidates, wish->kind, true, "asked for")
                   : choose_index(candidates, wish->kind, index, "asked for"));
    }
    return 0;
}

// The indices of the kind that are usable; an unusable one is passed over with a warning.
static int choose_indices(const struct el_manager_options *options, struct el_candidates *candidates,
                          const char *kind) {
    for (int i = 0; i < options->index_count; i++)
        if (choose_index(candidates, kind, options->indices[i], "among the preferred devices") < 0)
            warn(candidates, "%s", el_error_detail());
    return 0;
}

static void explain_the_others(const struct el_manager_options *options, struct el_candidates *candidates) {
    const char *const *preference = options->preference ? options->preference : default_preference;
    for (int i = 0; i < candidates->count; i++) {
        struct el_candidate *candidate = &candidates->all[i];
        bool is_listed = false;
        if (candidate->chosen || !candidate->usable) continue;
        for (int k = 0; preference[k]; k++)
            is_listed |= el_streq(preference[k], candidate->kind);
        if (!el_is_auto(options))
            snprintf(candidate->reason, sizeof candidate->reason, "not asked for");
        else if (el_streq(candidate->kind, candidates->mode))
            snprintf(candidate->reason, sizeof candidate->reason,
                     options->index_count ? "not among the preferred devices"
                                          : "multi_gpu is off, so one is used");
        else if (!is_listed)
            snprintf(candidate->reason, sizeof candidate->reason, "not in device_preference");
        else if (candidate->facts.is_processor && !el_streq(candidate->kind, "cpu") && !options->preference)
            snprintf(candidate->reason, sizeof candidate->reason,
                     "it is the processor itself, so cpu is used; ask for %s to have it", candidate->id);
        else
            snprintf(candidate->reason, sizeof candidate->reason, "%s comes before it", candidates->mode);
    }
}

static void fall_back(const struct el_manager_options *options, struct el_candidates *candidates) {
    const char *const *preference = options->preference ? options->preference : default_preference;
    struct el_candidate *processor = find(candidates, "cpu", 0);
    char *text = candidates->fallback;
    const size_t size = sizeof candidates->fallback;
    size_t length = 0;
    snprintf(text, size, "no GPU can be used, so the processor computes");
    for (int k = 0; preference[k] && (length = strlen(text)) + 1 < size; k++)
        if (!el_streq(preference[k], "cpu") && el_device_kind(preference[k], strlen(preference[k])))
            snprintf(text + length, size - length, "%s%s: %s", k ? "; " : " (", preference[k],
                     reason_of(candidates, preference[k]));
    length = strlen(text);
    if (length + 1 < size && strchr(text, '(')) snprintf(text + length, size - length, ")");
    choose(candidates, processor, "no GPU can be used");
}

static int choose_auto(const struct el_manager_options *options, struct el_candidates *candidates) {
    const char *const *preference = options->preference ? options->preference : default_preference;
    const bool named = options->preference != NULL;
    bool gpu_wanted = false;
    for (int k = 0; preference[k]; k++) {
        const char *kind = el_device_kind(preference[k], strlen(preference[k]));
        if (!kind)
            return el_fail(EL_EINVAL, "device_preference: \"%s\" is none of cuda, opencl, mps, cpu",
                           preference[k]);
        struct el_candidate *first = default_of(candidates, kind, named || el_streq(kind, "cpu"));
        if (el_streq(kind, "cpu") && gpu_wanted) break; // the processor comes with its reason
        gpu_wanted = true;
        if (!first) continue;
        if (options->index_count > 0 && !el_streq(kind, "cpu"))
            return choose_indices(options, candidates, kind);
        if (options->multi && !el_streq(kind, "cpu"))
            return choose_all(candidates, kind, named, "the first kind of device_preference that is there");
        choose(candidates, first, "the first kind of device_preference that is there");
        return 0;
    }
    fall_back(options, candidates);
    return 0;
}

int el_candidates_choose(const struct el_manager_options *options, struct el_candidates *candidates) {
    candidates->mode = NULL;
    candidates->fallback[0] = '\0';
    candidates->chosen_count = candidates->warning_count = 0;
    for (int i = 0; i < candidates->count; i++) {
        candidates->all[i].chosen = false;
        candidates->all[i].device = -1;
    }
    EL_TRY(el_is_auto(options) ? choose_auto(options, candidates) : choose_named(options, candidates));
    if (!candidates->mode) fall_back(options, candidates); // each of the preferred devices is unusable
    explain_the_others(options, candidates);
    return 0;
}
