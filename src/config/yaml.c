// SPDX-License-Identifier: Apache-2.0
// Settings from a YAML file: one mapping of names to values, with the blocks of gpu.yaml and MBED's names
// beside them. It is read with libyaml rather than libcyaml on top of it, since an error here names the line
// of the key, and a setting remembers its line; libcyaml gives neither.
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

// The texts of a plain value or of a list of them. values[LIST_LIMIT]
static int value_texts(yaml_document_t *document, const yaml_node_t *value, const char *place,
                       const char *name, const char **values, size_t *ret_count) {
    if (value->type != YAML_SEQUENCE_NODE) {
        *ret_count = 1;
        return scalar_text(value, place, name, &values[0]);
    }
    size_t count = 0;
    const yaml_node_item_t *top = value->data.sequence.items.top;
    for (const yaml_node_item_t *item = value->data.sequence.items.start; item < top; item++) {
        if (count == LIST_LIMIT)
            return el_fail(EL_ETOOBIG, "%s: %s: more than %d items", place, name, LIST_LIMIT);
        EL_TRY(scalar_text(yaml_document_get_node(document, *item), place, name, &values[count++]));
    }
    *ret_count = count;
    return 0;
}

// A file that is being read: `place` is where, "eleanor.yaml:12"; `path` the key, "gpu.memory.precision".
struct reader {
    struct el_config *config;
    const char *what;
    yaml_document_t *document;
    struct el_str place, path;
};

static int check_once(const struct reader *reader, const struct el_setting *setting) {
    const struct el_config_origin *origin = &reader->config->origin[setting - el_settings];
    if (origin->source != EL_FROM_FILE || origin->file != reader->config->files) return 0;
    return el_fail(EL_EINVAL, "%s: %s is set twice, first at %s", reader->place.data, setting->name,
                   origin->place);
}

static int read_key(struct reader *reader, const struct el_setting *setting, const struct el_alias *alias,
                    const yaml_node_t *value) {
    const char *values[LIST_LIMIT];
    size_t count;
    if (setting) EL_TRY(check_once(reader, setting));
    if (is_null(value)) return 0;
    EL_TRY(value_texts(reader->document, value, reader->place.data, reader->path.data, values, &count));
    if (alias) return el_alias_assign(reader->config, alias, values, count, EL_FROM_FILE, reader->place.data);
    return el_config_assign(reader->config, setting, values, count, EL_FROM_FILE, reader->place.data, false);
}

static int read_mapping(struct reader *reader, const yaml_node_t *mapping);

// Reads what reader->path names: a setting, an alias of one, or a block of those.
static int read_value(struct reader *reader, const yaml_node_t *value) {
    const char *path = reader->path.data;
    if (el_alias_is_block(path)) {
        if (value->type == YAML_MAPPING_NODE) return read_mapping(reader, value);
        if (is_null(value)) return 0;
        return el_fail(EL_EINVAL, "%s: %s: holds further keys, each on a line of its own", reader->place.data,
                       path);
    }
    const struct el_alias *alias = el_alias_find(path);
    const char *name = alias ? alias->setting : path;
    const struct el_setting *setting = name && !strchr(name, '-') ? el_setting_row(name) : NULL;
    if (alias || setting) return read_key(reader, setting, alias, value);
    return strchr(path, '.') ? el_alias_unknown(reader->place.data, path)
                             : el_setting_unknown(reader->place.data, path, EL_FROM_FILE);
}

// The keys of a mapping; reader->path is the path of the mapping, "" for the whole file.
static int read_mapping(struct reader *reader, const yaml_node_t *mapping) {
    const size_t above = reader->path.length;
    const yaml_node_pair_t *top = mapping->data.mapping.pairs.top;
    for (const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start; pair < top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(reader->document, pair->key);
        const char *name = "";
        el_str_clear(&reader->place);
        EL_TRY(el_str_printf(&reader->place, "%s:%zu", reader->what, line_of(key)));
        EL_TRY(scalar_text(key, reader->place.data, "a key", &name));
        EL_TRY(el_str_printf(&reader->path, "%s%s", above ? "." : "", name));
        EL_TRY(read_value(reader, yaml_document_get_node(reader->document, pair->value)));
        reader->path.length = above;
        reader->path.data[above] = '\0';
    }
    return 0;
}

static int read_document(struct el_config *config, const char *what, yaml_document_t *document) {
    const yaml_node_t *root = yaml_document_get_root_node(document);
    if (!root || is_null(root)) return 0; // an empty file sets nothing
    if (root->type != YAML_MAPPING_NODE)
        return el_fail(EL_EINVAL, "%s:%zu: a list of \"setting: value\" lines is wanted", what,
                       line_of(root));
    struct reader reader = {.config = config, .what = what, .document = document};
    int status = read_mapping(&reader, root);
    el_str_done(&reader.place);
    el_str_done(&reader.path);
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
    config->files++;
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
