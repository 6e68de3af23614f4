# SPDX-License-Identifier: Apache-2.0
"""HTTP itself: what is no HTTP, pipelining, HEAD, OPTIONS, chunks, 100-continue, connections kept and closed."""
import http.client
import io
import json
import random
import unittest

from harness import Answer, HttpTest

BODY = b'{"input":"the cat"}'


class Received:
    """As much as http.client needs of a socket to read answers from bytes."""

    def __init__(self, data):
        self.file = io.BytesIO(data)

    def makefile(self, *_args):
        return self.file


def answers(data, count, method="POST"):
    stream = Received(data)
    found = []
    for _ in range(count):
        response = http.client.HTTPResponse(stream, method=method)
        stream.file.close = lambda: None  # http.client closes it after each
        response.begin()
        found.append(Answer(response))
    return found


class Protocol(HttpTest):
    def talk(self, data):
        """Sends bytes, and returns all that comes until the server closes."""
        with self.server.socket(timeout=20) as sock:
            sock.sendall(data)
            received = b""
            while True:
                part = sock.recv(65536)
                received += part
                if not part:
                    return received

    def request(self, method="POST", path="/v1/embeddings", body=BODY, *headers):
        lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def test_what_is_no_request_gets_the_envelope_too(self):
        for data, status in ((b"GET / HTTP/9.1\r\nHost: x\r\n\r\n", 505),
                             (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 40000 + b"\r\n\r\n", 431),
                             (b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", 400)):
            (answer,) = answers(self.talk(data), 1)
            self.expect_error(answer, status, "malformed_request")

    def test_pipelined_requests_are_answered_in_order(self):
        data = b"".join(self.request(body=json.dumps({"input": ["a"] * n}).encode()) for n in (1, 200, 3, 50))
        data += self.request("GET", "/livez", b"", "Connection: close")
        found = answers(self.talk(data), 5)
        self.assertEqual([len(answer.json()["data"]) for answer in found[:4]], [1, 200, 3, 50])
        self.assertEqual(found[4].json(), {"status": "ok"})

    def test_a_request_that_comes_byte_by_byte(self):
        with self.server.socket() as sock:
            for byte in self.request(body=BODY):
                sock.sendall(bytes([byte]))
            response = http.client.HTTPResponse(sock)
            response.begin()
            self.assertEqual(len(json.load(response)["data"]), 1)

    def test_head_gives_the_header_of_get(self):
        for path in ("/", "/health", "/v1/models", "/metrics", "/openapi.json"):
            connection = self.server.connect()
            head = self.server.ask("HEAD", path, connection=connection)
            self.assertEqual((head.status, head.body), (200, b""))
            get = self.server.ask("GET", path, connection=connection)
            self.assertEqual(head.headers["Content-Type"], get.headers["Content-Type"])
        self.assertEqual(self.server.ask("HEAD", "/v1/embeddings").status, 405)
        self.assertEqual(self.server.ask("HEAD", "/nothing").status, 404)

    def test_options_says_what_is_allowed(self):
        answer = self.server.ask("OPTIONS", "/v1/embeddings")
        self.assertEqual((answer.status, answer.headers["Allow"], answer.body), (204, "POST, OPTIONS", b""))
        self.assertEqual(self.server.ask("OPTIONS", "/health").headers["Allow"], "GET, HEAD, OPTIONS")

    def test_a_chunked_body(self):
        connection = self.server.connect()
        connection.request("POST", "/v1/embeddings", iter([BODY[:5], BODY[5:]]), {"Content-Type": "application/json"},
                           encode_chunked=True)
        self.assertEqual(connection.getresponse().status, 200)

    def test_100_continue(self):
        with self.server.socket() as sock:
            sock.sendall(self.request(body=BODY)[:-len(BODY)].replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
            self.assertTrue(sock.recv(100).startswith(b"HTTP/1.1 100"))
            sock.sendall(BODY)
            response = http.client.HTTPResponse(sock)
            response.begin()
            self.assertEqual(response.status, 200)

    def test_100_continue_is_not_given_to_what_is_refused(self):
        with self.server.socket() as sock:
            sock.sendall(b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n")
            self.assertTrue(sock.recv(100).startswith(b"HTTP/1.1 404"))

    def test_http_1_0_closes(self):
        (answer,) = answers(self.talk(b"GET /livez HTTP/1.0\r\n\r\n"), 1)
        self.assertEqual(answer.status, 200)

    def test_a_get_with_a_body(self):
        connection = self.server.connect()
        self.assertEqual(self.server.ask("GET", "/livez", "ignored", connection=connection).status, 200)
        self.assertEqual(self.server.ask("GET", "/livez", connection=connection).status, 200)

    def test_queries_are_ignored(self):
        self.assertEqual(self.server.ask("GET", "/livez?a=b").status, 200)
        self.assertEqual(self.server.ask("POST", "/v1/embeddings?api-version=1", {"input": "a"}).status, 200)


class Noise(HttpTest):
    def test_random_bytes_do_no_harm(self):
        draw = random.Random(7)
        pieces = [b"GET ", b"POST ", b"/v1/embeddings", b" HTTP/1.1", b"\r\n", b"\r\n\r\n", b"Content-Length: ", b"5", b"-1",
                  b"99999999999999999999", b"Transfer-Encoding: chunked", b"Host: x", b"{\"input\":", b"\0", b"\xff", b":", b" "]
        for _ in range(300):
            with self.server.socket() as sock:
                sock.sendall(b"".join(draw.choice(pieces) for _ in range(draw.randrange(1, 30))))
        self.assertEqual(self.server.ask("GET", "/livez").status, 200)


if __name__ == "__main__":
    unittest.main()
