# SPDX-License-Identifier: Apache-2.0
"""The embedding cache from outside: a text seen before, and one that many ask for at once, is computed once."""
import json
import time
import unittest

from harness import TIMEOUT, HttpTest, in_threads

CLIENTS = 200


class Cached(HttpTest):
    flags = None

    def count(self, name, server):
        return server.metrics()[f'{name}{{model="{self.name}"}}']

    def expect_batches(self, count, server):
        """A batch is counted after it was answered."""
        until = time.monotonic() + TIMEOUT
        while self.count("eleanor_batches_total", server) < count and time.monotonic() < until:
            time.sleep(0.01)
        self.assertEqual(self.count("eleanor_batches_total", server), count)

    def cache(self, name, server):
        return self.count(f"eleanor_embedding_cache_{name}", server)

    def test_the_second_time_makes_no_batch(self):
        body = json.dumps({"input": ["the cat sat", "a dog"], "encoding_format": "base64"})
        server = self.start("--threads", "1")
        first = server.ask("POST", "/v1/embeddings", body)
        for _ in range(3):
            again = server.ask("POST", "/v1/embeddings", body)
            self.assertEqual((again.status, again.body), (200, first.body))  # the same bytes, usage among them
        self.expect_batches(1, server)
        self.assertEqual((self.cache("misses_total", server), self.cache("hits_total", server)), (2, 6))
        self.assertEqual(self.cache("entries", server), 2)
        self.assertGreater(self.cache("bytes", server), 0)

    def test_many_clients_with_one_text(self):
        """They all are connected before the first of them asks."""
        server = self.start("--threads", "1", "--batch-wait-us", "200000")
        connections = [server.connect() for _ in range(CLIENTS)]
        for connection in connections:
            connection.connect()
        body = json.dumps({"input": "the cat sat on the mat"})

        def ask(index):
            answer = server.ask("POST", "/v1/embeddings", body, connection=connections[index])
            return answer.status, answer.body

        answers = in_threads(CLIENTS, ask)
        self.assertEqual(set(answers), {(200, server.ask("POST", "/v1/embeddings", body).body)})
        self.expect_batches(1, server)
        self.assertEqual(self.cache("misses_total", server), 1)
        self.assertEqual(self.count("te_batch_next_size_sum", server), 1)  # inputs computed
        self.assertGreater(self.cache("coalesced_total", server), 0)
        self.assertEqual(self.cache("coalesced_total", server) + self.cache("hits_total", server), CLIENTS)
        health = json.loads(server.ask("GET", "/health").body)["models"][0]["cache"]
        self.assertEqual((health["misses"], health["entries"]), (1, 1))

    def test_a_client_that_leaves_takes_no_other_with_it(self):
        """Whoever asked first computes; it leaves, and the others are answered."""
        server = self.start("--threads", "1", "--batch-wait-us", "500000")
        body = json.dumps({"input": "a mat"})
        first = server.connect()
        first.request("POST", "/v1/embeddings", body)
        while self.cache("misses_total", server) < 1:
            pass
        others = [server.connect() for _ in range(3)]
        for other in others:
            other.request("POST", "/v1/embeddings", body)
        while self.cache("coalesced_total", server) < 3:
            pass
        first.close()
        answers = [other.getresponse() for other in others]
        self.assertEqual([answer.status for answer in answers], [200] * 3)
        self.assertEqual(len({answer.read() for answer in answers}), 1)
        self.expect_batches(1, server)

    def test_off_is_off(self):
        server = self.start("--cache-mb", "0")
        for _ in range(2):
            self.assertEqual(server.embed(input="a cat").status, 200)
        self.expect_batches(2, server)
        self.assertEqual(self.cache("hits_total", server) + self.cache("bytes", server), 0)

    def test_it_keeps_to_its_limit(self):
        server = self.start("--cache-mb", "1", "--max-inputs", "10000")
        texts = [" ".join("abcdefgh"[int(digit)] for digit in f"{i:o}") for i in range(6000)]
        for begin in range(0, len(texts), 1000):
            self.assertEqual(server.embed(input=texts[begin:begin + 1000]).status, 200)
        self.assertGreater(self.cache("evictions_total", server), 0)
        self.assertLessEqual(self.cache("bytes", server), 1 << 20)


if __name__ == "__main__":
    unittest.main()
