// SPDX-License-Identifier: Apache-2.0
// A whole server in this process, on a tiny random model: what the sanitizers should see of its threads. What
// a client sees is tested from outside (tests/e2e/http).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "common/tiny_model.h"
#include "config/config.h"
#include "serve/serve.h"

static char *model; // folder of the tiny model

// ---- a server on a thread ----

struct running {
    struct el_config config;
    struct el_server *server;
    pthread_t thread;
    sem_t ready;
    int status; // of el_server_run
};

static void set_ready(void *context, struct el_server *server) {
    struct running *running = context;
    assert_ptr_equal(server, running->server);
    sem_post(&running->ready);
}

static void *run_server(void *argument) {
    struct running *running = argument;
    running->status = el_server_run(running->server, set_ready, running);
    return NULL;
}

// `flags`: name, value, ..., NULL.
static void configure(struct el_config *config, const char *const *flags) {
    assert_int_equal(el_config_init(config), 0);
    assert_int_equal(el_config_set_flag(config, "port", "0"), 0);
    assert_int_equal(el_config_set_flag(config, "threads", "2"), 0);
    assert_int_equal(el_config_set_flag(config, "model", model), 0);
    for (; flags && flags[0]; flags += 2)
        assert_int_equal(el_config_set_flag(config, flags[0], flags[1]), 0);
}

static void start(struct running *running, const char *const *flags) {
    configure(&running->config, flags);
    int status = el_server_open(&running->config, &running->server);
    if (status < 0) fail_msg("%s: %s", el_status_text(status), el_error_detail());
    sem_init(&running->ready, 0, 0);
    assert_int_equal(pthread_create(&running->thread, NULL, run_server, running), 0);
    while (sem_wait(&running->ready) < 0 && errno == EINTR) {
    }
}

static void stop(struct running *running) {
    el_server_stop(running->server);
    pthread_join(running->thread, NULL);
    assert_int_equal(running->status, 0);
    el_server_close(running->server);
    el_config_done(&running->config);
    sem_destroy(&running->ready);
}

// ---- a client ----

static int dial(const struct el_server *server) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)el_server_port(server))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void send_text(int fd, const char *text, size_t length) {
    while (length) {
        ssize_t sent = send(fd, text, length, MSG_NOSIGNAL);
        if (sent < 0) fail_msg("send: %s", strerror(errno));
        text += sent;
        length -= (size_t)sent;
    }
}

static void post(int fd, const char *body) {
    struct el_str request el_auto(el_str_done) = {0};
    assert_int_equal(el_str_printf(&request,
                                   "POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s",
                                   strlen(body), body),
                     0);
    send_text(fd, request.data, request.length);
}

// One answer: its status, and its body into `body` (cleared first). 0 when the connection was closed.
static int receive(int fd, struct el_str *body) {
    char byte;
    struct el_str head el_auto(el_str_done) = {0};
    while (!head.data || !strstr(head.data, "\r\n\r\n")) {
        if (recv(fd, &byte, 1, 0) <= 0) return 0;
        assert_int_equal(el_str_putc(&head, byte), 0);
    }
    int status = 0;
    size_t length = 0;
    const char *header = strstr(head.data, "Content-Length: ");
    assert_int_equal(sscanf(head.data, "HTTP/1.1 %d", &status), 1);
    if (header) assert_int_equal(sscanf(header, "Content-Length: %zu", &length), 1);
    el_str_clear(body);
    assert_int_equal(el_str_reserve(body, length), 0);
    while (body->length < length) {
        ssize_t got = recv(fd, body->data + body->length, length - body->length, 0);
        if (got <= 0) return 0;
        body->length += (size_t)got;
    }
    body->data[body->length] = '\0';
    return status;
}

static int ask(const struct el_server *server, const char *request, struct el_str *body) {
    int fd = dial(server);
    send_text(fd, request, strlen(request));
    int status = receive(fd, body);
    close(fd);
    return status;
}

// {"input":["a cat sat","a cat sat",...]}
static char *many_inputs(int count) {
    struct el_str text = {0};
    assert_int_equal(el_str_puts(&text, "{\"input\":["), 0);
    for (int i = 0; i < count; i++)
        assert_int_equal(el_str_printf(&text, "%s\"a cat sat on the mat %d\"", i ? "," : "", i), 0);
    assert_int_equal(el_str_puts(&text, "]}"), 0);
    return text.data;
}

// ---- tests ----

static void answers(void **state) {
    (void)state;
    struct running running = {0};
    struct el_str body el_auto(el_str_done) = {0};
    start(&running, NULL);
    int fd = dial(running.server);
    for (int i = 0; i < 3; i++) { // one connection, several requests
        post(fd, "{\"input\":\"a cat\"}");
        assert_int_equal(receive(fd, &body), 200);
        assert_non_null(strstr(body.data, "\"object\":\"embedding\""));
    }
    close(fd);
    assert_int_equal(ask(running.server, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n", &body), 200);
    assert_int_equal(ask(running.server, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", &body), 200);
    assert_non_null(strstr(body.data, "te_request_success{method=\"single\"} 3\n"));
    stop(&running);
}

enum { CLIENTS = 6, REQUESTS = 20 };

// Small and large requests in turn, so that loop, clerk and service all have part of the work.
static void *be_client(void *argument) {
    const struct el_server *server = argument;
    struct el_str body el_auto(el_str_done) = {0};
    char *large el_auto_free = many_inputs(1500);
    int fd = dial(server);
    for (int i = 0; i < REQUESTS; i++) {
        post(fd, i % 5 == 4 ? large : "{\"input\":[\"the dog\",\"a mat\"]}");
        if (receive(fd, &body) != 200) return (void *)body.data;
    }
    close(fd);
    return NULL;
}

static void many_clients(void **state) {
    (void)state;
    struct running running = {0};
    pthread_t thread[CLIENTS];
    start(&running, NULL);
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, be_client, running.server), 0);
    for (int i = 0; i < CLIENTS; i++) {
        void *failure;
        pthread_join(thread[i], &failure);
        assert_null(failure);
    }
    stop(&running);
}

static void clients_that_leave(void **state) {
    (void)state;
    struct running running = {0};
    struct el_str body el_auto(el_str_done) = {0};
    char *large el_auto_free = many_inputs(2000), *medium el_auto_free = many_inputs(500);
    start(&running, NULL);
    for (int i = 0; i < 30; i++) {
        int fd = dial(running.server);
        post(fd, i % 3 ? medium : large);
        if (i % 2) usleep(1000 * (useconds_t)(i % 7));
        close(fd);
    }
    assert_int_equal(ask(running.server, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", &body), 200);
    stop(&running);
}

static void what_is_in_flight_is_finished(void **state) {
    (void)state;
    struct running running = {0};
    struct el_str body el_auto(el_str_done) = {0};
    char *large el_auto_free = many_inputs(2000);
    int fd[4];
    start(&running, NULL);
    for (int i = 0; i < 4; i++) {
        fd[i] = dial(running.server);
        post(fd[i], large);
    }
    usleep(20000); // they have been read
    el_server_stop(running.server);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(receive(fd[i], &body), 200);
        close(fd[i]);
    }
    stop(&running);
}

static void a_full_queue(void **state) {
    (void)state;
    static const char *const flags[] = {"max-queue-tokens", "1", NULL};
    struct running running = {0};
    struct el_str body el_auto(el_str_done) = {0};
    char *large el_auto_free = many_inputs(2000);
    int busy = 0, fd[3];
    start(&running, flags);
    for (int i = 0; i < 3; i++) {
        fd[i] = dial(running.server);
        post(fd[i], large);
    }
    for (int i = 0; i < 3; i++) {
        int status = receive(fd[i], &body);
        assert_true(status == 200 || status == 429);
        busy += status == 429;
        if (status == 429) assert_non_null(strstr(body.data, "\"code\":\"queue_full\""));
        close(fd[i]);
    }
    assert_true(busy >= 1);
    stop(&running);
}

static void a_model_that_cannot_be_loaded(void **state) {
    (void)state;
    char *broken = tiny_model_write(EL_F32);
    struct el_config config;
    struct el_server *server;
    tiny_model_put(broken, "model.safetensors", "none", 4);
    configure(&config, NULL);
    el_config_done(&config);
    assert_int_equal(el_config_init(&config), 0);
    assert_int_equal(el_config_set_flag(&config, "port", "0"), 0);
    assert_int_equal(el_config_set_flag(&config, "model", broken), 0);
    assert_int_equal(el_server_open(&config, &server), 0);
    assert_true(el_server_run(server, NULL, NULL) < 0);
    assert_non_null(strstr(el_error_detail(), "model "));
    el_server_close(server);
    el_config_done(&config);
    tiny_model_remove(broken);
}

static void closing_without_running(void **state) {
    (void)state;
    struct el_config config;
    struct el_server *server;
    configure(&config, NULL);
    assert_int_equal(el_server_open(&config, &server), 0);
    el_server_close(server);
    el_config_done(&config);
    el_server_close(NULL);
}

static void refused_settings(void **state) {
    (void)state;
    static const char *const rows[][3] = {{"host", "192.0.2.1", "no address of this machine"},
                                          {"host", "no such host", "has no address"},
                                          {"tls-cert", "/dev/null", "go together"},
                                          {"api-key-file", "/dev/null", "holds no API key"},
                                          {"api-key-file", "/nonexistent", "/nonexistent"}};
    for (size_t i = 0; i < EL_COUNT(rows); i++) {
        const char *const flags[] = {rows[i][0], rows[i][1], NULL};
        struct el_config config;
        struct el_server *server = NULL;
        configure(&config, flags);
        assert_true(el_server_open(&config, &server) < 0);
        if (!strstr(el_error_detail(), rows[i][2])) fail_msg("%s: %s", rows[i][1], el_error_detail());
        assert_null(server);
        el_config_done(&config);
    }
}

static int write_model(void **state) {
    (void)state;
    el_log_set_level(EL_LOG_ERROR);
    model = tiny_model_write(EL_F32);
    return 0;
}

static int remove_model(void **state) {
    (void)state;
    tiny_model_remove(model);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(many_clients),
        cmocka_unit_test(clients_that_leave),
        cmocka_unit_test(what_is_in_flight_is_finished),
        cmocka_unit_test(a_full_queue),
        cmocka_unit_test(a_model_that_cannot_be_loaded),
        cmocka_unit_test(closing_without_running),
        cmocka_unit_test(refused_settings),
    };
    return cmocka_run_group_tests(tests, write_model, remove_model);
}
