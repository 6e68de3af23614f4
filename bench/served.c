// SPDX-License-Identifier: Apache-2.0
// The server as a process, and its requests.
#include "served.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/sort.h"
#include "common/sts.h"
#include "serve/vector_text.h"
#include "service/embed.h"

// ---- the process ----

// The path of `eleanor` in the folder of this program.
static int find_binary(char *path, size_t size) {
    ssize_t length = readlink("/proc/self/exe", path, size - sizeof "/eleanor");
    path[EL_MAX(length, (ssize_t)0)] = '\0';
    char *slash = strrchr(path, '/');
    if (slash) snprintf(slash, size - (size_t)(slash - path), "/eleanor");
    if (slash && access(path, X_OK) == 0) return 0;
    return el_fail(EL_ENOENT, "the program eleanor is not beside this one; build it first");
}

int use_processor(int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (processor < 0 || processor == i) CPU_SET(i, &set);
    if (sched_setaffinity(0, sizeof set, &set) == 0) return 0;
    return el_fail(EL_EIO, "cannot run on processor %d alone: %s", processor, strerror(errno));
}

static void run_server(const char *binary, const struct served_options *options, int out) {
    dup2(out, STDOUT_FILENO);
    if (use_processor(options->processor) < 0) _exit(126);
    execl(binary, binary, "serve", "--port", "0", "--model", options->model, "--precision",
          options->precision, "--max-queue-tokens", options->queue_tokens, "--cache-mb", "0",
          "--batch-tuning=no", "--log-level", "warn", (char *)NULL);
    _exit(127);
}

int served_start(const struct served_options *options, struct served *ret_served) {
    int out[2];
    char binary[4096], line[256] = "";
    EL_TRY(find_binary(binary, sizeof binary));
    if (pipe2(out, O_CLOEXEC) < 0) return el_fail(EL_EIO, "no pipe: %s", strerror(errno));
    const pid_t pid = fork();
    if (pid == 0) run_server(binary, options, out[1]);
    close(out[1]);
    FILE *stream = fdopen(out[0], "r");
    const char *got = stream ? fgets(line, sizeof line, stream) : NULL;
    if (stream) fclose(stream);
    const char *colon = got ? strrchr(line, ':') : NULL;
    if (pid < 0 || !colon) return el_fail(EL_EIO, "%s serve does not start", binary);
    *ret_served = (struct served){pid, (int)strtol(colon + 1, NULL, 10)};
    return 0;
}

void served_stop(const struct served *served) {
    kill(served->pid, SIGTERM);
    waitpid(served->pid, NULL, 0);
}

void raise_file_limit(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0) return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

double cpu_seconds(pid_t pid) {
    struct rusage own;
    unsigned long user = 0, system = 0;
    char path[64];
    getrusage(RUSAGE_SELF, &own);
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = pid ? fopen(path, "re") : NULL;
    if (file &&
        fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        user = 0;
    if (file) fclose(file);
    return (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec) +
           (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec) * 1e-6 +
           (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

// ---- requests ----

static int put_input(const struct el_text *texts, size_t count, struct el_str *body) {
    EL_TRY(el_str_puts(body, "{\"encoding_format\":\"base64\",\"input\":["));
    for (size_t i = 0; i < count; i++) {
        if (i > 0) EL_TRY(el_str_putc(body, ','));
        EL_TRY(el_str_put_json(body, texts[i].data, texts[i].length));
    }
    return el_str_puts(body, "]}");
}

static int put_expected(const float *vectors, size_t count, size_t dim, struct el_str *expected) {
    for (size_t i = 0; i < count; i++) {
        EL_TRY(el_str_printf(expected,
                             "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i ? "," : "", i));
        EL_TRY(el_vector_put_base64(expected, vectors + i * dim, dim));
        EL_TRY(el_str_putc(expected, '}'));
    }
    return 0;
}

static int make_request(struct el_embedder *embedder, const struct el_text *texts, size_t each,
                        const float *vectors, struct request_set *set, size_t at) {
    struct el_str *bytes = &set->bytes[at], *answer = &set->answers[at];
    el_auto(el_str_done) struct el_str body = {0};
    EL_TRY(put_input(texts, each, &body));
    EL_TRY(put_expected(vectors, each, (size_t)el_embedder_dim(embedder), answer));
    EL_TRY(
        el_str_printf(bytes,
                      "POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                      "Content-Length: %zu\r\n\r\n",
                      body.length));
    EL_TRY(el_str_append(bytes, body.data, body.length));
    set->request[at] = (struct load_request){bytes->data, bytes->length, answer->data, answer->length, 0};
    set->texts[at] = texts;
    for (size_t i = 0; i < each; i++) {
        int64_t tokens = 0;
        EL_TRY(el_embedder_count_tokens(embedder, &texts[i], &tokens));
        set->request[at].tokens += tokens;
    }
    return 0;
}

// Fills `order` with 0 to count - 1, mixed: the texts come short ones first and long ones last, and a
// measurement that ends within them is to meet its like all the same.
static void shuffle(size_t *order, size_t count) {
    uint64_t random = 1;
    for (size_t i = 0; i < count; i++) { // Fisher and Yates, from the inside out
        random = random * 6364136223846793005u + 1442695040888963407u; // Knuth, MMIX
        size_t other = (size_t)(random >> 33) % (i + 1);
        order[i] = order[other];
        order[other] = i;
    }
}

static int fill_set(struct el_embedder *embedder, const struct el_text *texts, size_t each,
                    const float *vectors, struct request_set *set) {
    const size_t dim = (size_t)el_embedder_dim(embedder);
    el_auto_free size_t *order = NULL;
    EL_TRY(el_alloc(set->count, sizeof *order, &order));
    EL_TRY(el_zalloc(set->count, sizeof *set->request, &set->request));
    EL_TRY(el_zalloc(set->count, sizeof *set->texts, &set->texts));
    EL_TRY(el_zalloc(set->count, sizeof *set->bytes, &set->bytes));
    EL_TRY(el_zalloc(set->count, sizeof *set->answers, &set->answers));
    shuffle(order, set->count);
    for (size_t i = 0; i < set->count; i++) {
        const size_t first = order[i] * each;
        EL_TRY(make_request(embedder, texts + first, each, vectors + first * dim, set, i));
    }
    return 0;
}

// Requests of `each` of the texts; computes the vectors. What is left over of `texts` stays out.
static int make_requests(struct el_embedder *embedder, const struct el_text *texts, size_t count, size_t each,
                         struct request_set *ret_set) {
    const size_t dim = (size_t)el_embedder_dim(embedder);
    struct request_set set = {.count = count / each};
    el_auto_free float *vectors = NULL;
    EL_TRY(el_alloc(count, dim * sizeof *vectors, &vectors));
    EL_TRY(el_embed(embedder, texts, count, vectors));
    int status = fill_set(embedder, texts, each, vectors, &set);
    if (status < 0)
        requests_done(&set);
    else
        *ret_set = set;
    return status;
}

void requests_done(struct request_set *set) {
    for (size_t i = 0; set->answers && i < set->count; i++) {
        el_str_done(&set->bytes[i]);
        el_str_done(&set->answers[i]);
    }
    el_free(set->request);
    el_free(set->texts);
    el_free(set->bytes);
    el_free(set->answers);
}

const char *const request_size_names[REQUEST_SIZES] = {"one_short", "one_long", "eight_short"};

int requests_of_size(struct el_embedder *embedder, const struct sts *sts, enum request_size size,
                     struct request_set *ret_set) {
    if (size == ONE_LONG) return make_requests(embedder, sts->long_text, STS_LONG, 1, ret_set);
    return make_requests(embedder, sts->sentence, STS_SENTENCES, size == ONE_SHORT ? 1 : 8, ret_set);
}

// ---- figures ----

double median(double *values, size_t count) {
    el_sort_f64(values, count);
    return values[count / 2];
}

double rate_of(const struct load_result *result) {
    return (double)result->accepted / result->seconds;
}

double token_rate_of(const struct load_result *result) {
    return (double)result->tokens / result->seconds;
}
