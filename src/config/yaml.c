// SPDX-License-Identifier: Apache-2.0
// Settings from a YAML file: one mapping of names to values. It is read with libyaml rather than libcyaml on
// top of it, since an error here names the line of the key, and a setting remembers its line; libcyaml gives
// neither.
#include <string.h>
#include <yaml.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "config/settings.h"

enum { FILE_LIMIT = 1 << 20, LIST_LIMIT = 256 };

static size_t line_of(const yaml_node_t *node) {
    return node->start_mark.line + 1;
}

// `null`, `~` or nothing after the colon: the setting is left as it is.
static bool is_null(const yaml_node_t *node) {
    const char *text = (const char *)node->data.scalar.value;
    return node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (el_streq(text, "") || el_streq(text, "~") || el_streq(text, "null"));
}

static int scalar_text(const yaml_node_t *node, const char *place, const char *name, const char **ret_text) {
    if (node->type != YAML_SCALAR_NODE)
        return el_fail(EL_EINVAL, "%s: %s: takes plain values, not a mapping or a nested list", place, name);
    if (strlen((const char *)node->data.scalar.value) != node->data.scalar.length)
        return el_fail(EL_EINVAL, "%s: %s: the value holds a NUL character", place, name);
    *ret_text = (const char *)node->data.scalar.value;
    return 0;
}

static int read_pair(struct el_config *config, const char *what, yaml_document_t *document,
                     const yaml_node_t *key, const yaml_node_t *value) {
    struct el_str place el_auto(el_str_done) = {0};
    const char *name = NULL, *values[LIST_LIMIT];
    int status = el_str_printf(&place, "%s:%zu", what, line_of(key));
    if (status == 0) status = scalar_text(key, place.data, "a key", &name);
    if (status < 0) return status;
    const struct el_setting *setting = el_setting_row(name);
    if (!setting || strchr(name, '-')) return el_setting_unknown(place.data, name, EL_FROM_FILE);
    const struct el_config_origin *origin = &config->origin[setting - el_settings];
    if (origin->source == EL_FROM_FILE)
        return el_fail(EL_EINVAL, "%s: %s is set twice, first at %s", place.data, name, origin->place);
    if (is_null(value)) return 0;

    size_t count = 0;
    if (value->type == YAML_SEQUENCE_NODE) {
        const yaml_node_item_t *top = value->data.sequence.items.top;
        for (const yaml_node_item_t *item = value->data.sequence.items.start; item < top && status == 0;
             item++) {
            if (count == LIST_LIMIT)
                return el_fail(EL_ETOOBIG, "%s: %s: more than %d items", place.data, name, LIST_LIMIT);
            status = scalar_text(yaml_document_get_node(document, *item), place.data, name, &values[count++]);
        }
    } else {
        status = scalar_text(value, place.data, name, &values[count++]);
    }
    return status < 0 ? status
                      : el_config_assign(config, setting, values, count, EL_FROM_FILE, place.data, false);
}

static int read_document(struct el_config *config, const char *what, yaml_document_t *document) {
    const yaml_node_t *root = yaml_document_get_root_node(document);
    if (!root || is_null(root)) return 0; // an empty file sets nothing
    if (root->type != YAML_MAPPING_NODE)
        return el_fail(EL_EINVAL, "%s:%zu: a list of \"setting: value\" lines is wanted", what,
                       line_of(root));
    int status = 0;
    const yaml_node_pair_t *top = root->data.mapping.pairs.top;
    for (const yaml_node_pair_t *pair = root->data.mapping.pairs.start; pair < top && status == 0; pair++)
        status = read_pair(config, what, document, yaml_document_get_node(document, pair->key),
                           yaml_document_get_node(document, pair->value));
    return status;
}

static int syntax_error(const char *what, const yaml_parser_t *parser) {
    if (parser->error == YAML_MEMORY_ERROR) return el_fail(EL_ENOMEM, "%s: no memory to read it", what);
    if (parser->error == YAML_READER_ERROR)
        return el_fail(EL_EFORMAT, "%s: byte %zu: %s", what, parser->problem_offset, parser->problem);
    return el_fail(EL_EFORMAT, "%s:%zu: %s", what, parser->problem_mark.line + 1,
                   parser->problem ? parser->problem : "not YAML");
}

int el_config_read_yaml(struct el_config *config, const char *what, const void *bytes, size_t length) {
    yaml_parser_t parser;
    yaml_document_t document;
    if (!yaml_parser_initialize(&parser)) return el_fail(EL_ENOMEM, "%s: no memory to read it", what);
    yaml_parser_set_input_string(&parser, bytes, length);
    int status = 0;
    for (bool more = true, first = true; more && status == 0; first = false) {
        if (!yaml_parser_load(&parser, &document)) {
            status = syntax_error(what, &parser);
            break;
        }
        const yaml_node_t *root = yaml_document_get_root_node(&document);
        more = root != NULL; // libyaml ends with a document that has none
        if (more && !first)
            status = el_fail(EL_EINVAL, "%s:%zu: a second document; put all settings into one", what,
                             line_of(root));
        else
            status = read_document(config, what, &document);
        yaml_document_delete(&document);
    }
    yaml_parser_delete(&parser);
    return status;
}

int el_config_read_file(struct el_config *config, const char *path) {
    struct el_str text el_auto(el_str_done) = {0};
    int status = el_read_file(path, FILE_LIMIT, &text);
    if (status < 0) return status;
    return el_config_read_yaml(config, path, text.data ? text.data : "", text.length);
}
