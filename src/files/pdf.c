// SPDX-License-Identifier: Apache-2.0
// pdftotext: the PDF goes in by a file in memory, the text comes back by a pipe, and a clock runs.
#include "files/pdf.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/thread.h"

static const rlim_t most_memory = (rlim_t)2 << 30;

bool el_is_pdf(const void *bytes, size_t size) {
    return size >= 5 && memcmp(bytes, "%PDF-", 5) == 0;
}

// A converter on its way, and the two ends that are left here.
struct converter {
    pid_t pid;
    int pdf, text;
    int seconds; // that it may take
};

static int make_pdf(const void *bytes, size_t size, int *ret_fd) {
    const int fd = memfd_create("pdf", MFD_CLOEXEC);
    if (fd < 0) return el_fail(EL_EIO, "no file in memory for a PDF: %s", strerror(errno));
    const int status = el_write_at(fd, "a file in memory", bytes, size, 0);
    if (status == 0)
        *ret_fd = fd;
    else
        close(fd);
    return status;
}

// The PDF stands at its standard input, and has to be opened by name since it is read here and there.
static int spawn(struct converter *converter, int output) {
    extern char **environ;
    char *const argv[] = {"pdftotext", "-q", "-enc", "UTF-8", "-eol", "unix", "/dev/stdin", "-", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, converter->pdf, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    const int code = posix_spawnp(&converter->pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (code == ENOENT) return el_fail(EL_ENOENT, "pdftotext is not there: install poppler-utils");
    if (code) return el_fail(EL_EIO, "cannot run pdftotext: %s", strerror(code));
    const struct rlimit memory = {most_memory, most_memory};
    prlimit(converter->pid, RLIMIT_AS, &memory, NULL);
    return 0;
}

// Appends what comes, until the pipe ends, the clock has run down or it is too much.
static int read_text(const struct converter *converter, size_t limit, struct el_str *text) {
    enum { BLOCK = 65536, MS = 1000000, SECOND = 1000 * MS };
    const uint64_t deadline = el_now_ns() + (uint64_t)converter->seconds * SECOND;
    for (const size_t before = text->length;;) {
        const uint64_t now = el_now_ns();
        struct pollfd wait = {.fd = converter->text, .events = POLLIN};
        if (now >= deadline) return el_fail(EL_ECANCELED, "pdftotext took over %d s", converter->seconds);
        const int ready = poll(&wait, 1, (int)((deadline - now) / MS) + 1);
        if (ready <= 0) continue; // the clock decides
        EL_TRY(el_str_reserve(text, BLOCK));
        const ssize_t got = read(converter->text, text->data + text->length, BLOCK);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return el_fail(EL_EIO, "cannot read what pdftotext writes: %s", strerror(errno));
        if (got == 0) return 0;
        text->length += (size_t)got;
        text->data[text->length] = '\0';
        if (text->length - before > limit) return el_fail(EL_ETOOBIG, "holds over %zu bytes of text", limit);
    }
}

// What its end says: pdftotext has 0 and, for what it could not open or may not copy, other codes.
static int finish(const struct converter *converter, int status) {
    int how = 0;
    if (status < 0) kill(converter->pid, SIGKILL);
    while (waitpid(converter->pid, &how, 0) < 0 && errno == EINTR)
        ;
    if (status < 0) return status;
    if (WIFSIGNALED(how)) return el_fail(EL_EFORMAT, "damaged: pdftotext died of it (%d)", WTERMSIG(how));
    if (WEXITSTATUS(how) == 3) return el_fail(EL_EFORMAT, "damaged: its text may not be copied");
    if (WEXITSTATUS(how)) return el_fail(EL_EFORMAT, "damaged, or under a password: pdftotext can't read it");
    return 0;
}

int el_pdf_text(const void *bytes, size_t size, size_t limit, int seconds, struct el_str *text) {
    int ends[2];
    struct converter converter = {.seconds = seconds};
    EL_TRY(make_pdf(bytes, size, &converter.pdf));
    int status = pipe2(ends, O_CLOEXEC) < 0 ? el_fail(EL_EIO, "no pipe: %s", strerror(errno)) : 0;
    if (status == 0) {
        converter.text = ends[0];
        status = spawn(&converter, ends[1]);
        close(ends[1]); // so that the pipe ends with the process
        if (status == 0) status = finish(&converter, read_text(&converter, limit, text));
        close(ends[0]);
    }
    close(converter.pdf);
    return status;
}
