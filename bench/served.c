// SPDX-License-Identifier: Apache-2.0
// The server as a process, and its requests.
#include "served.h"

#include <errno.h>
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
#include "serve/vector_text.h"

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
    if (pipe(out) < 0) return el_fail(EL_EIO, "no pipe");
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

int make_request(const struct el_text *texts, size_t count, const float *vectors, size_t dim,
                 struct el_str *text, struct el_str *expected, struct load_request *ret_request) {
    el_auto(el_str_done) struct el_str body = {0};
    EL_TRY(put_input(texts, count, &body));
    EL_TRY(put_expected(vectors, count, dim, expected));
    EL_TRY(
        el_str_printf(text,
                      "POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                      "Content-Length: %zu\r\n\r\n",
                      body.length));
    EL_TRY(el_str_append(text, body.data, body.length));
    *ret_request = (struct load_request){text->data, text->length, expected->data, expected->length};
    return 0;
}

void shuffle(size_t *order, size_t count) {
    uint64_t random = 1;
    for (size_t i = 0; i < count; i++) { // Fisher and Yates, from the inside out
        random = random * 6364136223846793005u + 1442695040888963407u; // Knuth, MMIX
        size_t other = (size_t)(random >> 33) % (i + 1);
        order[i] = order[other];
        order[other] = i;
    }
}

// ---- figures ----

double median(double *values, size_t count) {
    el_sort_f64(values, count);
    return values[count / 2];
}

double rate_of(const struct load_result *result) {
    return (double)result->accepted / result->seconds;
}
