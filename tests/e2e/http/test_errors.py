# SPDX-License-Identifier: Apache-2.0
"""What a client is told when something is wrong: always OpenAI's envelope, with the status that fits."""
import json
import unittest

from harness import HttpTest


class Errors(HttpTest):
    def post(self, body, **headers):
        return self.server.ask("POST", "/v1/embeddings", body, {k.replace("_", "-"): v for k, v in headers.items()})

    def test_bodies_that_are_no_json(self):
        for body in (b"", b"{", b"nonsense", b'{"input":"\xff"}', b'{"input":"\\ud800"}', b'{"input":"a","input":"b"}',
                     b"\xef\xbb\xbf{}", b'{"input": NaN}', b"{" * 5000):
            self.expect_error(self.post(body), 400, "invalid_json")

    def test_wrong_types(self):
        for body, param in (({"input": 5}, "input"), ({"input": ["a", 1]}, "input"), ({"input": [1.5]}, "input"),
                            ({"input": "a", "model": 1}, "model"), ({"input": "a", "dimensions": "8"}, "dimensions"),
                            ({"input": "a", "encoding_format": []}, "encoding_format"), ({"input": "a", "user": 1}, "user"),
                            ({"input": "a", "truncate": "yes"}, "truncate"), ([], None), ("text", None)):
            answer = self.server.ask("POST", "/v1/embeddings", body) if body != "text" else self.post('["text"]')
            self.expect_error(answer, 400, "invalid_type", param)

    def test_wrong_values(self):
        for body, param in (({"input": ""}, "input"), ({"input": []}, "input"), ({"input": ["a", ""]}, "input"),
                            ({"input": [-1]}, "input"), ({"input": [10 ** 6]}, "input"), ({"input": [[2], [10 ** 9]]}, "input"),
                            ({"input": "a", "dimensions": 0}, "dimensions"), ({"input": "a", "dimensions": 10 ** 6}, "dimensions"),
                            ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
                            ({"input": "a", "prompt_name": "nope"}, "prompt_name")):
            self.expect_error(self.post(json.dumps(body)), 400, "invalid_value", param)
        self.expect_error(self.post("{}"), 400, "missing_required_parameter", "input")

    def test_an_unknown_model_names_those_served(self):
        message = self.expect_error(self.server.embed(input="a", model="gpt-9"), 404, "model_not_found", "model")
        self.assertIn("gpt-9", message)
        self.assertIn(self.name, message)
        self.expect_error(self.server.ask("GET", "/v1/models/gpt-9"), 404, "model_not_found", "model")

    def test_no_such_path(self):
        for path in ("/nothing", "/v1", "/v1/models/", "/v1/embeddings/x", "/%00", "/..%2f..%2fetc/passwd"):
            self.expect_error(self.server.ask("GET", path), 404, "not_found")
        self.expect_error(self.server.ask("POST", "/v1/completions", {"input": "a"}), 404, "not_found")

    def test_wrong_methods_say_what_is_allowed(self):
        for method, path, allowed in (("GET", "/v1/embeddings", "POST, OPTIONS"), ("PUT", "/v1/embeddings", "POST, OPTIONS"),
                                      ("POST", "/v1/models", "GET, HEAD, OPTIONS"), ("DELETE", "/v1/models/x", "GET, HEAD, OPTIONS"),
                                      ("POST", "/health", "GET, HEAD, OPTIONS"), ("PATCH", "/", "GET, HEAD, OPTIONS")):
            answer = self.server.ask(method, path)
            self.expect_error(answer, 405, "method_not_allowed")
            self.assertEqual(answer.headers["Allow"], allowed)

    def test_media_types(self):
        self.expect_error(self.post("<a/>", Content_Type="application/xml"), 415, "unsupported_media_type")
        self.expect_error(self.post("x", Content_Type="multipart/form-data; boundary=x"), 415, "unsupported_media_type")
        self.expect_error(self.post("x", Content_Encoding="gzip"), 415, "unsupported_media_type")

    def test_a_refusal_leaves_the_connection_open(self):
        connection = self.server.connect()
        for _ in range(3):
            self.assertEqual(self.server.ask("POST", "/nothing", {"a": "b" * 10000}, connection=connection).status, 404)
            self.assertEqual(self.server.ask("POST", "/v1/embeddings", {"input": "a"}, connection=connection).status, 200)


if __name__ == "__main__":
    unittest.main()
