# SPDX-License-Identifier: Apache-2.0
"""What each route gives when all is well."""
import array
import base64
import math
import os
import shutil
import subprocess
import unittest

from harness import BINARY, TIMEOUT, HttpTest, Server, environment, floats, real_model

TEXTS = ["the cat sat on the mat .", "a dog", "b c d", "The Dogs"]


def by_command_line(model):
    """The bytes of the vectors of TEXTS as `eleanor embed` writes them."""
    return subprocess.run([BINARY, "embed", "--model", model, "--format", "f32"], timeout=TIMEOUT, check=True, env=environment(),
                          input="\n".join(TEXTS).encode() + b"\n", stdout=subprocess.PIPE).stdout


class Embeddings(HttpTest):
    def vectors(self, **body):
        answer = self.server.embed(model=self.name, **body)
        self.assertEqual(answer.status, 200, answer.body)
        reply = answer.json()
        self.assertEqual(set(reply), {"object", "data", "model", "usage"})
        self.assertEqual((reply["object"], reply["model"]), ("list", self.name))
        self.assertEqual([(item["object"], item["index"]) for item in reply["data"]],
                         [("embedding", i) for i in range(len(reply["data"]))])
        self.assertEqual(reply["usage"]["prompt_tokens"], reply["usage"]["total_tokens"])
        return [item["embedding"] for item in reply["data"]]

    def test_a_text_alone_and_in_company(self):
        together = self.vectors(input=TEXTS)
        self.assertEqual(together, [self.vectors(input=text)[0] for text in TEXTS])
        self.assertEqual(together[::-1], self.vectors(input=TEXTS[::-1]))

    def test_base64_holds_the_same_bits(self):
        coded = self.vectors(input=TEXTS, encoding_format="base64")
        plain = self.vectors(input=TEXTS, encoding_format="float")
        self.assertEqual([floats(text) for text in coded], [list(array.array("f", vector)) for vector in plain])

    def test_dimensions_keep_the_first_and_normalise(self):
        whole, cut = self.vectors(input="a cat")[0], self.vectors(input="a cat", dimensions=8)[0]
        normalised = abs(math.hypot(*whole) - 1) < 1e-3  # the tiny model's are not
        length = math.hypot(*whole[:8]) if normalised else 1
        self.assertEqual(len(cut), 8)
        for a, b in zip(whole, cut):
            self.assertAlmostEqual(a / length, b, places=5)

    def test_token_ids(self):
        self.assertEqual(len(self.vectors(input=[2, 5, 7, 3])), 1)
        two = self.vectors(input=[[2, 5, 7, 3], [2, 6, 3]])
        self.assertEqual(two[0], self.vectors(input=[2, 5, 7, 3])[0])

    def test_usage_counts_every_token(self):
        usage = self.server.embed(input=[[2, 5, 7, 3], [2, 6, 3]]).json()["usage"]
        self.assertEqual(usage, {"prompt_tokens": 7, "total_tokens": 7})

    def test_members_that_change_nothing(self):
        plain = self.vectors(input="a cat")
        self.assertEqual(plain, self.vectors(input="a cat", user="me", truncate=True, metadata={"a": [1]}, dimensions=None))

    def test_the_model_may_be_left_out(self):
        self.assertEqual(self.server.embed(input="a cat").json()["model"], self.name)
        self.assertEqual(self.server.embed(input="a cat", model=self.model).json()["model"], self.name)

    def test_a_nul_within_a_text(self):
        self.assertEqual(len(self.vectors(input="a\0cat")), 1)

    def test_a_long_text_is_truncated_or_refused(self):
        long_text = "the cat sat on " * 600
        self.assertEqual(len(self.vectors(input=long_text)), 1)
        message = self.expect_error(self.server.embed(input=["a", long_text], truncate=False), 400, "context_length_exceeded",
                                    "input")
        self.assertRegex(message, r"input 1 has [0-9]+ tokens")

    def test_the_same_bits_by_http_and_by_command_line(self):
        by_http = b"".join(base64.b64decode(text) for text in self.vectors(input=TEXTS, encoding_format="base64"))
        self.assertEqual(by_http, by_command_line(self.model))

    def test_a_large_request(self):
        answer = self.server.embed(input=[f"cat {i}" for i in range(2048)])
        self.assertEqual([item["index"] for item in answer.json()["data"]], list(range(2048)))

    def test_other_media_types_that_clients_send(self):
        for kind in ("application/json; charset=utf-8", "application/x-www-form-urlencoded", "text/plain",
                     "application/vnd.api+json"):
            answer = self.server.ask("POST", "/v1/embeddings", '{"input":"a"}', {"Content-Type": kind})
            self.assertEqual(answer.status, 200, kind)


@unittest.skipUnless(real_model(), "SKIPPED: all-MiniLM-L6-v2 is not here; ./run obtains it")
class RealModel(HttpTest):
    flags = None

    def test_the_same_bits_by_http_and_by_command_line(self):
        server = Server(real_model())
        self.addCleanup(server.close)
        for texts in (TEXTS, TEXTS + TEXTS[::-1] * 50):  # alone, and in company
            data = server.embed(input=texts, encoding_format="base64").json()["data"]
            by_http = b"".join(base64.b64decode(item["embedding"]) for item in data[:len(TEXTS)])
            self.assertEqual(by_http, by_command_line(real_model()))


class TwoModels(HttpTest):
    flags = None

    def test_each_by_its_name(self):
        other = self.folder() + "/Other"
        shutil.copytree(self.model, other)
        server = self.start("--model", other)
        self.assertEqual([model["id"] for model in server.ask("GET", "/v1/models").json()["data"]], [self.name, "Other"])
        for asked, answers in ((self.name, self.name), ("Other", "Other"), ("other", "Other"), (None, self.name), (other, "Other")):
            self.assertEqual(server.embed(model=asked, input="a").json()["model"], answers)
        message = self.expect_error(server.embed(model="third", input="a"), 404, "model_not_found", "model")
        self.assertIn(f"{self.name}, Other", message)
        figures = server.metrics()
        self.assertEqual(figures['te_embed_count{model="Other"}'], 3)


class Facts(HttpTest):
    def test_models(self):
        listed = self.server.ask("GET", "/v1/models").json()
        self.assertEqual((listed["object"], [m["id"] for m in listed["data"]]), ("list", [self.name]))
        model = self.server.ask("GET", f"/v1/models/{self.name}").json()
        self.assertEqual(model, listed["data"][0])
        self.assertEqual(model["object"], "model")
        self.assertGreater(model["created"], 1_600_000_000)
        self.assertEqual(len(self.server.embed(input="a").json()["data"][0]["embedding"]), model["dimensions"])

    def test_health(self):
        for path in ("/livez", "/readyz"):
            self.assertEqual(self.server.ask("GET", path).json(), {"status": "ok"})
        health = self.server.ask("GET", "/health").json()
        self.assertEqual(health["status"], "ok")
        self.assertEqual([(m["name"], m["loaded"], m["arch"]) for m in health["models"]], [(self.name, True, "bert")])
        self.assertGreater(health["models"][0]["weight_bytes"], 0)
        info = health["models"][0]["info"]
        self.assertEqual((info["backend"], info["model"], info["oom_count"]), ("cpu", self.name, 0))
        self.assertEqual(info["batch_size"], info["max_batch_size"])
        self.assertEqual((info["batch_tokens"], info["gpu_name"]), (128, None))

    def test_the_page(self):
        answer = self.server.ask("GET", "/")
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, "text/html; charset=utf-8"))
        for part in (self.name, "/v1/embeddings", "curl", self.server.url):
            self.assertIn(part, answer.body.decode())

    def test_openapi_lists_every_route_of_the_table(self):
        document = self.server.ask("GET", "/openapi.json").json()
        table = os.path.join(os.path.dirname(__file__), "..", "..", "..", "src", "serve", "routes.def")
        with open(table, encoding="utf-8") as file:
            rows = [line[6:].split(", ") for line in file if line.startswith("ROUTE(")]
        self.assertEqual({(path.strip('"'), method.lower()) for _, method, path, *_ in rows},
                         {(path, method) for path, item in document["paths"].items() for method in item})


class Metrics(HttpTest):
    def test_figures_follow_what_was_asked(self):
        for _ in range(3):
            self.server.embed(input="the cat")
        self.server.embed(input=["a", "b"])
        self.server.embed(input=5)
        figures = self.server.metrics()
        model = f'model="{self.name}"'
        self.assertEqual(figures['te_request_count{method="single"}'], 3)
        self.assertEqual(figures['te_request_success{method="single"}'], 3)
        self.assertEqual(figures['te_request_success{method="batch"}'], 1)
        self.assertEqual(figures['te_request_failure{err="validation"}'], 1)
        self.assertEqual(figures["te_request_duration_count"], 4)
        self.assertEqual(figures[f"te_embed_count{{{model}}}"], 5)
        self.assertEqual(figures[f"te_request_input_length_count{{{model}}}"], 5)
        self.assertEqual(figures[f"te_queue_size{{{model}}}"], 0)
        self.assertEqual(figures['eleanor_http_responses_total{route="/v1/embeddings",status="200"}'], 4)
        self.assertEqual(figures['eleanor_http_responses_total{route="/v1/embeddings",status="400"}'], 1)
        self.assertGreater(figures["process_resident_memory_bytes"], 1e6)

    def test_the_format(self):
        """Prometheus' text format: each sample's family has one HELP and one TYPE before it; histograms rise."""
        text = self.server.ask("GET", "/metrics").body.decode()
        types, buckets = {}, {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                self.assertNotIn(name, types)
                types[name] = kind
            elif not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                family = name.split("{")[0]
                for suffix in ("_bucket", "_sum", "_count"):
                    if family not in types and family.endswith(suffix):
                        family = family[:-len(suffix)]
                self.assertIn(family, types, line)
                float(value)
                if "_bucket{" in name:
                    series = name.split('le="')[0]
                    self.assertGreaterEqual(float(value), buckets.get(series, 0), line)
                    buckets[series] = float(value)
        self.assertGreater(len(types), 20)
        for name in ("te_request_count", "te_request_success", "te_request_failure", "te_request_duration",
                     "te_request_queue_duration", "te_request_tokenization_duration", "te_request_inference_duration",
                     "te_request_input_length", "te_queue_size", "te_batch_next_size", "te_batch_next_tokens"):
            self.assertIn(name, types)


if __name__ == "__main__":
    unittest.main()
