// SPDX-License-Identifier: Apache-2.0
// Reads texts through one buffer of fixed size; what a line or file holds beyond EL_TEXT_LIMIT is refused.
#include "cmd/embed_input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"

enum { BUFFER_SIZE = 1 << 18 }; // bytes

static bool is_stdin(const char *path) {
    return el_streq(path, "-");
}

static const char *shown(const char *path) {
    return is_stdin(path) ? "standard input" : path;
}

// Adds the size of a regular file to the total; *inout_known turns false for anything else.
static int check_path(struct el_text_source *source, const char *path, bool *inout_known) {
    struct stat facts;
    int failed = is_stdin(path) ? fstat(STDIN_FILENO, &facts) : stat(path, &facts);
    if (failed) return el_fail(errno == ENOENT ? EL_ENOENT : EL_EIO, "%s: %s", shown(path), strerror(errno));
    if (S_ISDIR(facts.st_mode)) return el_fail(EL_EINVAL, "%s is a folder; name files", path);
    if (!is_stdin(path) && access(path, R_OK) != 0) return el_fail(EL_EIO, "%s: %s", path, strerror(errno));
    *inout_known &= S_ISREG(facts.st_mode);
    source->bytes_total += (uint64_t)facts.st_size;
    return 0;
}

// The share is a run of bytes; a text belongs where it begins. The last one has what begins at the end too:
// an empty file, or a text that is in no file where there is none.
static int find_share(struct el_text_source *source, bool known) {
    const struct el_shard *shard = &source->shard;
    const int64_t next = shard->rank + 1;
    source->until = UINT64_MAX;
    if (shard->size <= 1) return 0;
    if (!known)
        return el_fail(EL_EINVAL, "standard input and pipes can't be shared among processes; name files");
    source->from = el_shard_start(shard, shard->rank, source->bytes_total);
    if (next < shard->size) source->until = el_shard_start(shard, next, source->bytes_total);
    return 0;
}

int el_text_source_open(struct el_text_source *source) {
    bool known = true;
    int status = 0;
    for (size_t i = 0; i < source->path_count && status == 0; i++)
        status = check_path(source, source->paths[i], &known);
    if (status == 0) status = find_share(source, known);
    if (!known) source->bytes_total = 0;
    return status < 0 ? status : el_alloc(BUFFER_SIZE, 1, &source->buffer);
}

static void close_file(struct el_text_source *source) {
    if (source->is_open && source->fd != STDIN_FILENO) close(source->fd);
    source->is_open = false;
}

void el_text_source_close(struct el_text_source *source) {
    close_file(source);
    el_free(source->buffer);
    source->buffer = NULL;
}

static const char *open_path(const struct el_text_source *source) {
    return source->paths[source->next_path - 1];
}

// Opens the next file: 1, 0 when there is none.
static int open_next(struct el_text_source *source) {
    if (source->next_path == source->path_count) return 0;
    const char *path = source->paths[source->next_path++];
    int fd = is_stdin(path) ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return el_fail(EL_EIO, "%s: %s", path, strerror(errno));
    source->fd = fd;
    source->is_open = true;
    source->line = source->begin = source->end = 0;
    return 1;
}

// Fills the empty buffer: 1, 0 at the end of the file.
static int refill(struct el_text_source *source) {
    ssize_t count;
    do
        count = read(source->fd, source->buffer, BUFFER_SIZE);
    while (count < 0 && errno == EINTR);
    if (count < 0) return el_fail(EL_EIO, "%s: %s", shown(open_path(source)), strerror(errno));
    source->begin = 0;
    source->end = (size_t)count;
    source->bytes_read += (uint64_t)count;
    return count > 0;
}

// Appends up to the next newline (or all, with `whole`): 1, 0 when the file held nothing more.
static int read_text(struct el_text_source *source, struct el_str *text) {
    bool found = false, any = false;
    while (!found) {
        int more = source->begin < source->end ? 1 : refill(source);
        if (more < 0) return more;
        if (more == 0) return any || source->whole;
        const char *start = source->buffer + source->begin;
        size_t length = source->end - source->begin;
        const char *newline = source->whole ? NULL : memchr(start, '\n', length);
        found = newline != NULL;
        if (found) length = (size_t)(newline - start);
        if (text->length + length > EL_TEXT_LIMIT)
            return el_fail(EL_ETOOBIG, "%s:%zu: a text of more than %d MiB", shown(open_path(source)),
                           source->line + 1, EL_TEXT_LIMIT >> 20);
        int status = el_str_append(text, start, length);
        if (status < 0) return status;
        source->begin += length + found;
        any = true;
    }
    return 1;
}

// Replaces a line of JSON in *text by the text in its field.
static int take_field(const struct el_text_source *source, struct el_str *text) {
    struct el_str place el_auto(el_str_done) = {0};
    json_t *line el_auto_json = NULL;
    int status = el_str_printf(&place, "%s:%zu", shown(open_path(source)), source->line);
    if (status == 0) status = el_json_parse(place.data, text->data, text->length, &line);
    if (status < 0) return status;
    if (!json_is_object(line)) return el_fail(EL_EFORMAT, "%s: a JSON object is wanted", place.data);
    const json_t *value = json_object_get(line, source->field);
    if (!json_is_string(value))
        return el_fail(EL_EFORMAT, "%s: %s \"%s\"", place.data,
                       value ? "not a text: the field" : "there is no field", source->field);
    el_str_clear(text);
    return el_str_append(text, json_string_value(value), json_string_length(value));
}

static bool is_blank(const struct el_str *text) {
    for (size_t i = 0; i < text->length; i++)
        if (!strchr(" \t\r", text->data[i]) || !text->data[i]) return false;
    return true;
}

// One text of the open file: 1, 0 at its end. A line of JSON is not looked into when it is another's share.
static int next_in_file(struct el_text_source *source, bool is_ours, struct el_str *text) {
    for (;;) {
        el_str_clear(text);
        int more = read_text(source, text);
        if (more <= 0) return more;
        if (source->whole) return 1;
        source->line++;
        if (!source->field) {
            if (text->length && text->data[text->length - 1] == '\r') text->data[--text->length] = '\0';
            return 1;
        }
        if (is_blank(text)) continue; // JSON lines may be set apart by blank ones
        int status = is_ours ? take_field(source, text) : 0;
        return status < 0 ? status : 1;
    }
}

static int next_of_all(struct el_text_source *source, bool is_ours, struct el_str *text) {
    if (source->next_text < source->text_count) {
        el_str_clear(text);
        int status = el_str_puts(text, source->texts[source->next_text++]);
        return status < 0 ? status : 1;
    }
    for (;;) {
        int more = source->is_open ? 1 : open_next(source);
        if (more <= 0) return more;
        more = next_in_file(source, is_ours, text);
        if (more < 0) return more;
        if (more == 0 || source->whole) close_file(source);
        if (more > 0) return 1;
    }
}

int el_text_source_next(struct el_text_source *source, struct el_str *text) {
    for (;; source->skipped++) {
        const uint64_t at = source->bytes_read - (source->end - source->begin);
        if (at >= source->until) return 0;
        const bool is_ours = at >= source->from;
        const int more = next_of_all(source, is_ours, text);
        if (more <= 0 || is_ours) return more;
    }
}

bool el_text_source_would_block(const struct el_text_source *source) {
    if (source->next_text < source->text_count || !source->is_open || source->begin < source->end)
        return false;
    struct pollfd ready = {.fd = source->fd, .events = POLLIN};
    return poll(&ready, 1, 0) == 0;
}
