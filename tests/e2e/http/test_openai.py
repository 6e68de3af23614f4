# SPDX-License-Identifier: Apache-2.0
"""The official OpenAI client for Python against this server: what it lists, embeds and raises."""
import base64
import json
import struct
import unittest

from harness import HttpTest, need_venv

need_venv("openai")
import openai  # noqa: E402

TEXTS = ["the cat sat on the mat", "a dog"]


class OpenAi(HttpTest):
    flags = ("--api-key", "test-key", "--max-inputs", "10")

    def client(self, key="test-key", **options):
        client = openai.OpenAI(base_url=self.server.url + "/v1", api_key=key, max_retries=0, **options)
        self.addCleanup(client.close)
        return client

    def test_models(self):
        client = self.client()
        self.assertEqual([model.id for model in client.models.list()], [self.name])
        self.assertEqual(client.models.retrieve(self.name).owned_by, "eleanor")

    def test_float_and_base64_are_the_same(self):
        client = self.client()
        plain = client.embeddings.create(model=self.name, input=TEXTS, encoding_format="float")
        default = client.embeddings.create(model=self.name, input=TEXTS)  # asks for base64 and decodes it
        coded = client.embeddings.create(model=self.name, input=TEXTS, encoding_format="base64")
        for a, b, c in zip(plain.data, default.data, coded.data):
            self.assertEqual(single(a.embedding), list(b.embedding))
            data = base64.b64decode(c.embedding)
            self.assertEqual(single(a.embedding), list(struct.unpack(f"<{len(data) // 4}f", data)))
        self.assertEqual([item.index for item in plain.data], [0, 1])
        self.assertEqual(plain.model, self.name)
        self.assertGreater(plain.usage.prompt_tokens, 0)
        self.assertEqual(plain.usage.total_tokens, plain.usage.prompt_tokens)

    def test_forms_of_input(self):
        client = self.client()
        for value, count in (("one", 1), (["one", "two"], 2), ([2, 5, 3], 1), ([[2, 5, 3], [2, 3]], 2)):
            self.assertEqual(len(client.embeddings.create(model=self.name, input=value).data), count)
        cut = client.embeddings.create(model=self.name, input="one", dimensions=5, user="someone")
        self.assertEqual(len(cut.data[0].embedding), 5)

    def test_errors_are_its_typed_exceptions(self):
        client = self.client()
        with self.assertRaises(openai.NotFoundError) as caught:
            client.embeddings.create(model="gpt-9", input="a")
        self.assertEqual((caught.exception.code, caught.exception.param), ("model_not_found", "model"))
        with self.assertRaises(openai.BadRequestError) as caught:
            client.embeddings.create(model=self.name, input="")
        self.assertEqual((caught.exception.code, caught.exception.type), ("invalid_value", "invalid_request_error"))
        with self.assertRaises(openai.AuthenticationError) as caught:
            self.client(key="wrong").models.list()
        self.assertEqual(caught.exception.code, "invalid_api_key")
        with self.assertRaises(openai.APIStatusError) as caught:
            client.embeddings.create(model=self.name, input=["a"] * 11)
        self.assertEqual((caught.exception.status_code, caught.exception.code), (413, "too_many_inputs"))
        with self.assertRaises(openai.NotFoundError):
            client.chat.completions.create(model=self.name, messages=[{"role": "user", "content": "hi"}])


class Overloaded(HttpTest):
    flags = ("--max-queue-tokens", "1", "--max-inputs", "100000", "--threads", "1", "--cache-mb", "0")

    def test_a_full_queue_is_a_rate_limit_that_it_waits_for(self):
        busy = self.server.connect()
        busy.request("POST", "/v1/embeddings", '{"input":[' + ",".join(['"the cat sat on the mat"'] * 50000) + "]}")
        while self.server.metrics()[f'eleanor_queue_tokens{{model="{self.name}"}}'] < 1:
            pass
        with openai.OpenAI(base_url=self.server.url + "/v1", api_key="none", max_retries=0) as client:
            self.assertEqual(len(client.embeddings.create(model=self.name, input="a").data), 1)  # before bulk
            with self.assertRaises(openai.RateLimitError) as caught:
                client.embeddings.create(model=self.name, input=["a"] * 9)
            self.assertGreater(int(caught.exception.response.headers["retry-after"]), 0)
        with openai.OpenAI(base_url=self.server.url + "/v1", api_key="none", max_retries=20) as client:
            self.assertEqual(len(client.embeddings.create(model=self.name, input=["a"] * 9).data), 9)
        self.assertEqual(len(json.load(busy.getresponse())["data"]), 50000)


def single(numbers):
    """As 32-bit floats hold them."""
    return list(struct.unpack(f"<{len(numbers)}f", struct.pack(f"<{len(numbers)}f", *numbers)))


if __name__ == "__main__":
    unittest.main()
