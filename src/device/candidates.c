// SPDX-License-Identifier: Apache-2.0
// Finding devices and choosing among them.
#include "device/candidates.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "eleanor/status.h"

static const char *const kinds[] = {"cuda", "opencl", "mps", "cpu"};
static const char *const default_preference[] = {"cuda", "opencl", "mps", "cpu", NULL};

static void say(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void say(char *text, size_t size, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(text, size, format, args);
    va_end(args);
}
#define SAY(text, ...) say(text, sizeof(text), __VA_ARGS__)

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

// The kind of this name; NULL when there is none.
static const char *kind_of(const char *name, size_t length) {
    for (size_t i = 0; i < EL_COUNT(kinds); i++)
        if (strlen(kinds[i]) == length && memcmp(kinds[i], name, length) == 0) return kinds[i];
    return NULL;
}

// ---- what --device says ----

// One item of the list: "cuda:1", "cuda", "cpu=4".
struct wish {
    const char *kind;
    int index; // -1: not given
    int parts; // of "cpu=4"; else 0
};

static bool is_auto(const struct el_manager_options *options) {
    return !options->devices || el_streq(options->devices, "auto");
}

static int bad_item(const char *item, size_t length) {
    return el_fail(
        EL_EINVAL,
        "\"%.*s\" names no device; devices are auto, or a list of cuda, cuda:N, opencl:N, cpu, cpu=PARTS",
        (int)length, item);
}

static int parse_item(const char *item, size_t length, struct wish *ret_wish) {
    struct wish wish = {.index = -1};
    size_t name = 0;
    while (name < length && item[name] != ':' && item[name] != '=')
        name++;
    wish.kind = kind_of(item, name);
    if (!wish.kind) return bad_item(item, length);
    if (name < length) {
        char *end;
        const long number = strtol(item + name + 1, &end, 10);
        const bool is_parts = item[name] == '=';
        if (end != item + length || end == item + name + 1 || number < 0 || number > INT32_MAX)
            return bad_item(item, length);
        if (is_parts && (!el_streq(wish.kind, "cpu") || number < 1 || number > EL_MANAGER_DEVICES))
            return el_fail(EL_EINVAL, "\"%.*s\": cpu alone can be split, into 1 to %d devices", (int)length,
                           item, EL_MANAGER_DEVICES);
        *(is_parts ? &wish.parts : &wish.index) = (int)number;
    }
    *ret_wish = wish;
    return 0;
}

static int parse_devices(const char *text, struct wish *ret_wishes, int *ret_count) {
    int count = 0;
    for (const char *item = text;; item++) {
        const size_t length = strcspn(item, ",");
        if (count == EL_MANAGER_DEVICES)
            return el_fail(EL_ETOOBIG, "\"%s\" names more than %d devices", text, EL_MANAGER_DEVICES);
        EL_TRY(parse_item(item, length, &ret_wishes[count++]));
        item += length;
        if (!*item) break;
    }
    *ret_count = count;
    return 0;
}

// ---- finding ----

static struct el_candidate *add(struct el_candidates *candidates, const char *kind, int index) {
    if (candidates->count == EL_MANAGER_CANDIDATES) return NULL;
    struct el_candidate *candidate = &candidates->all[candidates->count++];
    *candidate = (struct el_candidate){.kind = kind, .index = index, .gpu = -1, .device = -1};
    if (index < 0)
        SAY(candidate->id, "%s", kind);
    else
        SAY(candidate->id, "%s:%d", kind, index);
    return candidate;
}

static void add_missing(struct el_candidates *candidates, const char *kind, const char *reason) {
    struct el_candidate *candidate = add(candidates, kind, -1);
    if (candidate) SAY(candidate->reason, "%s", reason);
}

static void describe(struct el_candidate *candidate, const struct el_backend *backend, int index,
                     const struct el_nvml *nvml) {
    if (backend->describe(index, &candidate->facts) < 0) {
        SAY(candidate->reason, "%s", el_error_detail());
        return;
    }
    const struct el_device_facts *facts = &candidate->facts;
    if (nvml && el_streq(candidate->kind, "cuda"))
        candidate->gpu = el_nvml_find(nvml, facts->uuid, facts->pci);
    candidate->usable = !facts->unfit[0];
    if (!candidate->usable) SAY(candidate->reason, "%s", facts->unfit);
}

static const char *why_none(const char *kind) {
    return el_streq(kind, "cuda") && getenv("CUDA_VISIBLE_DEVICES")
               ? "CUDA_VISIBLE_DEVICES is set, and leaves no device"
               : "its driver is there, but offers no device";
}

static void find_kind(struct el_candidates *candidates, const char *kind, const struct el_nvml *nvml) {
    const struct el_backend *backend = el_backend_find(kind);
    int count = 0;
    if (!backend) {
        add_missing(candidates, kind, "not in this build");
        return;
    }
    if (backend->count(&count) < 0) {
        add_missing(candidates, kind, el_error_detail());
        return;
    }
    for (int i = 0; i < count; i++) {
        struct el_candidate *candidate = add(candidates, kind, i);
        if (candidate) describe(candidate, backend, i, nvml);
    }
    if (count == 0) add_missing(candidates, kind, why_none(kind));
}

// GPUs that NVML knows and CUDA does not offer.
static void find_hidden(struct el_candidates *candidates, const struct el_nvml *nvml) {
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    const int found = candidates->count;
    for (int gpu = 0; gpu < el_nvml_count(nvml); gpu++) {
        bool is_offered = false;
        for (int i = 0; i < found; i++)
            is_offered |= candidates->all[i].gpu == gpu;
        struct el_candidate *candidate = is_offered ? NULL : add(candidates, "cuda", -1);
        if (!candidate) continue;
        const struct el_gpu *facts = el_nvml_gpu(nvml, gpu);
        candidate->gpu = gpu;
        candidate->facts = (struct el_device_facts){.memory = facts->memory, .capability = facts->capability};
        SAY(candidate->facts.name, "%s", facts->name);
        SAY(candidate->facts.uuid, "%s", facts->uuid);
        SAY(candidate->facts.pci, "%s", facts->pci);
        if (visible)
            SAY(candidate->reason, "not in CUDA_VISIBLE_DEVICES (\"%s\")", visible);
        else
            SAY(candidate->reason, "NVML knows it, but the CUDA driver does not offer it");
    }
}

static void find_processor(struct el_candidates *candidates) {
    for (int i = 0; i < candidates->cpu_parts; i++) {
        struct el_candidate *candidate = add(candidates, "cpu", i);
        if (candidate) describe(candidate, el_backend_find("host"), 0, NULL);
    }
}

// Loading a driver takes time and memory: a list is served by the drivers it names.
static bool is_wanted(const struct wish *wishes, int count, const char *kind) {
    for (int i = 0; i < count; i++)
        if (el_streq(wishes[i].kind, kind)) return true;
    return count == 0;
}

int el_candidates_find(const struct el_manager_options *options, const struct el_nvml *nvml,
                       struct el_candidates *ret_candidates) {
    static const char *const drivers[] = {"cuda", "opencl"};
    struct wish wishes[EL_MANAGER_DEVICES];
    int count = 0;
    *ret_candidates = (struct el_candidates){.cpu_parts = 1};
    if (!is_auto(options)) EL_TRY(parse_devices(options->devices, wishes, &count));
    for (int i = 0; i < count; i++)
        ret_candidates->cpu_parts = EL_MAX(ret_candidates->cpu_parts, wishes[i].parts);
    for (size_t i = 0; i < EL_COUNT(drivers); i++)
        if (is_wanted(wishes, count, drivers[i]))
            find_kind(ret_candidates, drivers[i], nvml);
        else
            add_missing(ret_candidates, drivers[i], "not looked for, since --device names others");
    if (nvml && is_wanted(wishes, count, "cuda")) find_hidden(ret_candidates, nvml);
    add_missing(ret_candidates, "mps", "Apple's Metal is not available on Linux");
    find_processor(ret_candidates);
    return 0;
}

// ---- choosing ----

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
    SAY(candidate->reason, "%s", why);
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
    struct wish wishes[EL_MANAGER_DEVICES];
    int count = 0;
    EL_TRY(parse_devices(options->devices, wishes, &count));
    for (int i = 0; i < count; i++) {
        const struct wish *wish = &wishes[i];
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
        if (!is_auto(options))
            SAY(candidate->reason, "not asked for");
        else if (el_streq(candidate->kind, candidates->mode))
            SAY(candidate->reason, options->index_count ? "not among the preferred devices"
                                                        : "multi_gpu is off, so one is used");
        else if (!is_listed)
            SAY(candidate->reason, "not in device_preference");
        else if (candidate->facts.is_processor && !el_streq(candidate->kind, "cpu") && !options->preference)
            SAY(candidate->reason, "it is the processor itself, so cpu is used; ask for %s to have it",
                candidate->id);
        else
            SAY(candidate->reason, "%s comes before it", candidates->mode);
    }
}

static void fall_back(const struct el_manager_options *options, struct el_candidates *candidates) {
    const char *const *preference = options->preference ? options->preference : default_preference;
    struct el_candidate *processor = find(candidates, "cpu", 0);
    char *text = candidates->fallback;
    const size_t size = sizeof candidates->fallback;
    size_t length = 0;
    say(text, size, "no GPU can be used, so the processor computes");
    for (int k = 0; preference[k] && (length = strlen(text)) + 1 < size; k++)
        if (!el_streq(preference[k], "cpu") && kind_of(preference[k], strlen(preference[k])))
            say(text + length, size - length, "%s%s: %s", k ? "; " : " (", preference[k],
                reason_of(candidates, preference[k]));
    length = strlen(text);
    if (length + 1 < size && strchr(text, '(')) say(text + length, size - length, ")");
    choose(candidates, processor, "no GPU can be used");
}

static int choose_auto(const struct el_manager_options *options, struct el_candidates *candidates) {
    const char *const *preference = options->preference ? options->preference : default_preference;
    const bool named = options->preference != NULL;
    bool gpu_wanted = false;
    for (int k = 0; preference[k]; k++) {
        const char *kind = kind_of(preference[k], strlen(preference[k]));
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
    EL_TRY(is_auto(options) ? choose_auto(options, candidates) : choose_named(options, candidates));
    if (!candidates->mode) fall_back(options, candidates); // each of the preferred devices is unusable
    explain_the_others(options, candidates);
    return 0;
}
