# SPDX-License-Identifier: Apache-2.0
"""From the first answer to the last: loading, clients that leave, draining, two signals, no leaks."""
import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import time
import unittest

from harness import BINARY, SANITIZER, TIMEOUT, HttpTest, environment, in_threads

LARGE = {"input": ["the cat sat on the mat " * 8] * (2000 if SANITIZER else 20000)}
FLAGS = ("--max-inputs", "100000", "--max-queue-tokens", "100000000", "--threads", "1", "--cache-mb", "0")


def wait_until(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(what)
        time.sleep(0.02)


class Lifecycle(HttpTest):
    flags = None

    def running(self, server):
        return server.metrics()["eleanor_requests_running"]

    def send_large(self, server):
        connection = server.connect()
        connection.request("POST", "/v1/embeddings", json.dumps(LARGE))
        return connection

    def test_it_answers_while_it_loads(self):
        """A port is known only once ready, so this takes one of its own and asks until something answers."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server = self.start("--port", str(port), wait=False)
        server.port = port
        seen = set()

        def ready():
            try:
                answer = server.ask("GET", "/readyz")
                seen.add((answer.status, answer.json()["status"]))
                if answer.status == 503:
                    self.assertEqual(server.ask("GET", "/livez").status, 200)
                return answer.status == 200
            except ConnectionError:
                return False

        wait_until(ready, "it never became ready")
        self.assertLessEqual(seen, {(503, "loading"), (200, "ok")})

    def test_the_work_of_a_client_that_leaves_is_dropped(self):
        server = self.start(*FLAGS)
        for how in ("close", "reset"):
            before = server.metrics()
            connection = self.send_large(server)
            wait_until(lambda: self.running(server) == 1, "it was never taken on")
            if how == "reset":
                connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
            wait_until(lambda: self.running(server) == 0, f"{how}: it was not dropped", 10)
            after = server.metrics()
            name = f'eleanor_requests_canceled_total{{model="{self.name}"}}'
            self.assertEqual(after[name], before[name] + 1)
            self.assertEqual(after[f'te_queue_size{{model="{self.name}"}}'], 0)
        self.assertEqual(server.embed(input="a").status, 200)

    def test_a_client_that_leaves_harms_no_other(self):
        server = self.start("--threads", "2")
        body = json.dumps({"input": ["the cat", "a dog"]})
        expected = server.ask("POST", "/v1/embeddings", body).json()["data"]

        def ask(index):
            for _ in range(30):
                connection = server.connect()
                connection.request("POST", "/v1/embeddings", body)
                if index % 2:
                    if json.loads(connection.getresponse().read())["data"] != expected:
                        return "wrong"
                connection.close()
            return "right"

        self.assertEqual(in_threads(8, ask), ["right"] * 8)

    def test_sigterm_finishes_what_is_in_flight(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server = self.start(*FLAGS, "--drain-timeout-s", "100")  # long: a sanitizer computes slowly
            idle = server.connect()
            self.assertEqual(server.ask("GET", "/livez", connection=idle).status, 200)
            busy = [self.send_large(server) for _ in range(2)]
            wait_until(lambda: self.running(server) == 2, "they were never taken on")
            server.process.send_signal(number)
            wait_until(lambda: refused(server.port), "it still accepts")
            for connection in busy:
                response = connection.getresponse()
                self.assertEqual((response.status, response.headers["Connection"]), (200, "close"))
                self.assertEqual(len(json.load(response)["data"]), len(LARGE["input"]))
            self.assertEqual(server.process.wait(timeout=TIMEOUT), 0)

    def test_a_request_whose_body_is_on_its_way_is_in_flight(self):
        server = self.start()
        body = b'{"input":"a cat"}'
        with server.socket() as sock:
            sock.sendall(f"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:4])
            time.sleep(0.2)
            server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: refused(server.port), "it still accepts")
            sock.sendall(body[4:])
            response = http.client.HTTPResponse(sock)
            response.begin()
            self.assertEqual(response.status, 200)
        self.assertEqual(server.process.wait(timeout=TIMEOUT), 0)

    def test_draining_has_an_end(self):
        server = self.start(*FLAGS, "--drain-timeout-s", "1")
        with server.socket() as sock:  # a body that never comes
            sock.sendall(b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
            time.sleep(0.2)
            began = time.monotonic()
            self.assertEqual(server.stop(), 0)
            self.assertLess(time.monotonic() - began, 20 if SANITIZER else 6)

    def test_what_takes_longer_than_that_is_told_so(self):
        server = self.start(*FLAGS, "--drain-timeout-s", "0")
        connection = self.send_large(server)
        wait_until(lambda: self.running(server) == 1, "it was never taken on")
        self.assertEqual(server.stop(), 0)
        response = connection.getresponse()
        self.assertEqual(response.status, 503)
        self.assertEqual(json.load(response)["error"]["code"], "shutting_down")

    def test_a_second_signal_ends_at_once(self):
        server = self.start(*FLAGS)
        with server.socket() as sock:
            sock.sendall(b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
            time.sleep(0.2)
            server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: refused(server.port), "it still accepts")
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(server.process.wait(timeout=5), -signal.SIGTERM)

    def test_an_idle_server_ends_at_once(self):
        server = self.start()
        self.assertEqual(server.ask("GET", "/livez", connection=server.connect()).status, 200)
        began = time.monotonic()
        self.assertEqual(server.stop(), 0)
        self.assertLess(time.monotonic() - began, 5)

    def test_nothing_is_left_open(self):
        server = self.start()
        before = server.metrics()["process_open_fds"]
        in_threads(20, lambda _: [server.embed(input="a").status for _ in range(5)])
        for size in (10, 3_000_000, 40_000_000):
            server.ask("POST", "/nothing", b"x" * size)
        wait_until(lambda: server.metrics()["process_open_fds"] <= before, "descriptors were left open")
        self.assertEqual(server.metrics()["eleanor_connections"], 1)  # the one that asks

    def test_ipv6(self):
        if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
            self.skipTest("no IPv6 here")
        for host in ("::1", "[::1]"):
            server = self.start("--host", host)
            self.assertRegex(server.url, r"^http://\[::1\]:[0-9]+$")
            with socket.create_connection(("::1", server.port), timeout=TIMEOUT) as sock:
                sock.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertTrue(sock.recv(100).startswith(b"HTTP/1.1 200"))

    def test_a_port_in_use(self):
        server = self.start()
        second = subprocess.run([BINARY, "serve", "--port", str(server.port), "--model", self.model], env=environment(),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT, check=False)
        self.assertEqual((second.returncode, second.stdout), (1, b""))
        self.assertIn(f"port {server.port} of 127.0.0.1 is in use", second.stderr.decode())


def refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return False
    except (ConnectionRefusedError, ConnectionResetError):  # reset: the door closed on this very connection
        return True


if __name__ == "__main__":
    unittest.main()
