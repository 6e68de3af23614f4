// SPDX-License-Identifier: Apache-2.0
// SHA-256 as text, of bytes and of files.
#include "store/sha256.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

void el_sha256_init(struct el_sha256 *sha) {
    sha256_init(&sha->context);
}

void el_sha256_update(struct el_sha256 *sha, const void *bytes, size_t length) {
    sha256_update(&sha->context, length, bytes);
}

void el_sha256_text(struct el_sha256 *sha, char ret_text[EL_SHA256_TEXT]) {
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(&sha->context, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        ret_text[2 * i] = digits[digest[i] >> 4];
        ret_text[2 * i + 1] = digits[digest[i] & 15];
    }
    ret_text[2 * sizeof digest] = '\0';
}

int el_sha256_file(const char *path, uint64_t *ret_size, char ret_text[EL_SHA256_TEXT]) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return el_fail(errno == ENOENT ? EL_ENOENT : EL_EIO, "cannot open %s: %s", path, strerror(errno));
    struct el_sha256 sha;
    el_sha256_init(&sha);
    uint8_t bytes[65536];
    uint64_t size = 0;
    ssize_t got;
    while ((got = read(fd, bytes, sizeof bytes)) > 0 || (got < 0 && errno == EINTR)) {
        if (got < 0) continue;
        el_sha256_update(&sha, bytes, (size_t)got);
        size += (uint64_t)got;
    }
    int error = errno;
    close(fd);
    if (got < 0) return el_fail(EL_EIO, "cannot read %s: %s", path, strerror(error));
    el_sha256_text(&sha, ret_text);
    *ret_size = size;
    return 0;
}

bool el_sha256_is_text(const char *text) {
    return text && strspn(text, "0123456789abcdefABCDEF") == EL_SHA256_TEXT - 1 && !text[EL_SHA256_TEXT - 1];
}

void el_sha256_copy(const char *text, char ret_text[EL_SHA256_TEXT]) {
    ret_text[0] = '\0';
    if (!el_sha256_is_text(text)) return;
    for (size_t i = 0; i < EL_SHA256_TEXT; i++)
        ret_text[i] = (char)tolower((unsigned char)text[i]);
}
