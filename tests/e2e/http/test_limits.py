# SPDX-License-Identifier: Apache-2.0
"""Limits: what is too large, too much or too slow is refused before any work is done for it."""
import http.client
import json
import resource
import time
import unittest

from harness import SANITIZER, Answer, HttpTest, in_threads


class Sizes(HttpTest):
    flags = ("--max-body", "1MB", "--max-inputs", "100")

    def test_a_body_that_is_too_large_by_its_header(self):
        for size in (1_000_001, 3_000_000, 30_000_000):
            message = self.expect_error(self.server.ask("POST", "/v1/embeddings", b"x" * size), 413, "body_too_large")
            self.assertIn("1000000 bytes", message)

    def test_it_is_refused_before_it_is_sent(self):
        with self.server.socket(timeout=10) as sock:
            sock.sendall(b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: 99000000000\r\n\r\n")
            response = http.client.HTTPResponse(sock)
            response.begin()
            self.assertEqual(response.status, 413)

    def test_a_body_that_is_too_large_in_chunks(self):
        connection = self.server.connect()
        connection.request("POST", "/v1/embeddings", iter([b"x" * 100_000] * 15), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})
        self.assertEqual(connection.getresponse().status, 413)

    def test_chunks_without_end_are_cut(self):
        with self.server.socket(timeout=30) as sock:
            sock.sendall(b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
            with self.assertRaises(OSError):
                for _ in range(100):
                    sock.sendall(chunk)

    def test_too_many_inputs(self):
        self.assertEqual(self.server.embed(input=["a"] * 100).status, 200)
        message = self.expect_error(self.server.embed(input=["a"] * 101), 413, "too_many_inputs", "input")
        self.assertIn("101 inputs", message)
        self.expect_error(self.server.embed(input=[[2]] * 101), 413, "too_many_inputs", "input")

    def test_too_many_token_ids(self):
        self.expect_error(self.server.embed(input=[2] * 200_000), 413, "too_many_tokens", "input")


class Million(HttpTest):
    def test_a_million_inputs_are_refused_without_using_memory(self):
        body = json.dumps({"input": ["a"] * 10 ** 6})
        before = self.server.metrics()["process_resident_memory_bytes"]
        began = time.monotonic()
        self.expect_error(self.server.ask("POST", "/v1/embeddings", body), 413, "too_many_inputs", "input")
        took = time.monotonic() - began
        grown = self.server.metrics()["process_resident_memory_bytes"] - before
        if not SANITIZER:
            self.assertLess(took, 1)
            self.assertLess(grown, 4 * len(body))


class Overload(HttpTest):
    flags = ("--max-queue-tokens", "500", "--max-inputs", "100000", "--threads", "1", "--cache-mb", "0")

    def test_a_full_queue_says_when_to_come_back(self):
        inputs = ["the cat sat on the mat " * 4] * 3000

        def ask(_):
            began = time.monotonic()
            return self.server.embed(input=inputs), time.monotonic() - began

        answers = [result for result in in_threads(12, ask)]
        statuses = [answer.status for answer, _ in answers]
        self.assertEqual(set(statuses), {200, 429})
        for answer, _ in answers:
            if answer.status == 200:
                self.assertEqual(len(answer.json()["data"]), len(inputs))
                continue
            message = self.expect_error(answer, 429, "queue_full")
            self.assertRegex(message, r"tokens are waiting")
            self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)
            self.assertGreaterEqual(int(answer.headers["retry-after-ms"]), 1)
            self.assertLessEqual(int(answer.headers["retry-after-ms"]), 1000 * int(answer.headers["Retry-After"]))
        self.assertGreaterEqual(self.server.metrics()['te_request_failure{err="overloaded"}'], statuses.count(429))
        self.assertEqual(self.server.embed(input="a").status, 200)  # later it has room again


class Promise(HttpTest):
    """A batch waits a second for company: so long is the queue full after one request."""
    flags = ("--max-queue-tokens", "5", "--batch-wait-us", "1000000", "--cache-mb", "0")

    @staticmethod
    def send(connection):
        connection.request("POST", "/v1/embeddings", '{"input":"the cat sat on the mat"}')

    def wait_until_running(self, count):
        while self.server.metrics()["eleanor_requests_running"] < count:
            time.sleep(0.01)

    def test_who_comes_back_when_told_has_room(self):
        self.assertEqual(self.server.embed(input="a").status, 200)  # the speed is learned
        first, told, other = (self.server.connect() for _ in range(3))
        self.send(first)
        self.wait_until_running(1)
        self.send(told)
        refused = Answer(told.getresponse())
        self.expect_error(refused, 429, "queue_full")
        time.sleep(int(refused.headers["retry-after-ms"]) / 1000)
        self.send(told)
        self.wait_until_running(2)  # it waits for the same batch
        self.send(other)
        self.expect_error(Answer(other.getresponse()), 429, "queue_full")  # it is full for others
        self.assertEqual([told.getresponse().status, first.getresponse().status], [200, 200])


class Connections(HttpTest):
    flags = ("--max-connections", "8")

    def test_more_clients_than_connections_wait_for_their_turn(self):
        def ask(_):
            return self.server.ask("GET", "/livez", headers={"Connection": "close"}).status
        self.assertEqual(in_threads(40, ask), [200] * 40)


class ManyConnections(HttpTest):
    def test_a_thousand_at_once(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        connections = [self.server.connect() for _ in range(1000)]
        for connection in connections:
            connection.request("POST", "/v1/embeddings", '{"input":"a cat"}')
        self.assertEqual({connection.getresponse().status for connection in connections}, {200})


class Slow(HttpTest):
    def test_a_body_that_dribbles_is_cut(self):
        with self.server.socket(timeout=30) as sock:
            sock.sendall(b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
            began = time.monotonic()
            with self.assertRaises(OSError):
                while time.monotonic() - began < 25:
                    sock.sendall(b"x")
                    time.sleep(0.2)
            self.assertGreater(time.monotonic() - began, 8)  # not too soon
        self.assertEqual(self.server.ask("GET", "/livez").status, 200)

    def test_a_slow_client_holds_up_no_other(self):
        with self.server.socket() as sock:
            sock.sendall(b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\n" + b'{"input"')
            self.assertEqual(self.server.embed(input="a").status, 200)
            time.sleep(2)
            sock.sendall(b':"a cat"}')
            response = http.client.HTTPResponse(sock)
            response.begin()
            self.assertEqual(response.status, 200)


if __name__ == "__main__":
    unittest.main()
