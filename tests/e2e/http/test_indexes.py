# SPDX-License-Identifier: Apache-2.0
"""Indexes over HTTP: made, filled, asked, deleted; what is wrong is named; the command line sees the same."""
import fcntl
import json
import os
import random
import resource
import subprocess
import unittest

from harness import BINARY, TIMEOUT, HttpTest, environment, in_threads

TEXTS = ["the cat sat on the mat .", "a dog", "hello world", "the quick brown fox"]


class IndexesTest(HttpTest):
    def setUp(self):
        self.index = f"/v1/indexes/{self.id().rsplit('.', 1)[1][:90]}"
        self.addCleanup(lambda: self.server.ask("DELETE", self.index))

    def post(self, path, body):
        return self.server.ask("POST", path, body)

    def done(self, answer, status=200):
        self.assertEqual(answer.status, status, answer.body)
        return answer.json()

    def create(self, **facts):
        return self.done(self.post("/v1/indexes", {"name": self.index.rsplit("/", 1)[1], **facts}), 201)

    def add(self, documents):
        return self.done(self.post(self.index + "/documents", {"documents": documents}))

    def ask(self, **body):
        return self.done(self.post(self.index + "/query", body))["results"]

    def cli(self, *args):
        done = subprocess.run([BINARY, "index", *args, "--json"], stdout=subprocess.PIPE, check=True, timeout=TIMEOUT,
                              env={**environment(), "ELEANOR_HOME": self.server.home.name})
        return json.loads(done.stdout)


class Indexes(IndexesTest):
    def test_texts(self):
        made = self.create(metric="cosine")
        self.assertEqual((made["dim"], made["metric"], made["documents"]), (64, "cosine", 0))
        added = self.add([{"id": text, "text": text, "metadata": {"n": i, "s": "é", "x": 1.5}} for i, text in enumerate(TEXTS)])
        self.assertEqual((added["documents"], added["chunks"]), (4, 4))
        for i, text in enumerate(TEXTS):
            best = self.ask(text=text, k=2)[0]
            self.assertEqual((best["id"], best["part"], best["text"], best["metadata"]), (text, 0, text, {"n": i, "s": "é", "x": 1.5}))
            self.assertAlmostEqual(best["score"], 1, places=4)
        self.assertEqual(len(self.ask(text="a")), 4)
        self.add([{"id": TEXTS[0], "text": "something else"}])
        stats = self.done(self.server.ask("GET", self.index))
        self.assertEqual((stats["documents"], stats["chunks"], stats["dead"]), (4, 4, 1))
        self.assertIn(stats, self.done(self.server.ask("GET", "/v1/indexes"))["data"])

    def test_a_text_of_nothing(self):
        self.create()
        added = self.add([{"id": "empty", "text": ""}])
        self.assertEqual((added["documents"], added["chunks"]), (1, 0))
        self.assertEqual(self.ask(text="a dog"), [])

    def test_vectors(self):
        self.create(dim=2, metric="l2")
        self.add([{"id": "a", "vector": [0, 1]}, {"id": "b", "vector": [2.5, 0], "text": "told"}])
        self.assertEqual(self.ask(vector=[2, 0]), [
            {"id": "b", "part": 0, "score": -0.25, "text": "told", "metadata": None},
            {"id": "a", "part": 0, "score": -5, "text": None, "metadata": None}])

    def test_many_questions(self):
        self.create()
        self.add([{"id": text, "text": text, "metadata": {"n": i}} for i, text in enumerate(TEXTS)])
        for more in ({}, {"mode": "text"}, {"mode": "hybrid"}, {"filter": {"n": {"$gt": 1}}}):
            answer = self.done(self.post(self.index + "/query", {"texts": TEXTS, "k": 2, **more}))
            self.assertEqual(answer["results"], [self.ask(text=text, k=2, **more) for text in TEXTS])
            self.assertEqual(answer["stats"]["asked"], 4)
        self.assertEqual(self.ask(texts=["hello world"], k=1), [self.ask(text="hello world", k=1)])

    def test_many_vectors(self):
        self.create(dim=2, metric="l2")
        self.add([{"id": "a", "vector": [0, 1], "text": "plum"}, {"id": "b", "vector": [2.5, 0], "text": "pear"}])
        vectors = [[2, 0], [0, 2], [-1, 1]]
        self.assertEqual(self.ask(vectors=vectors), [self.ask(vector=vector) for vector in vectors])
        both = {"texts": ["plum", "pear", "none"], "vectors": vectors, "mode": "hybrid"}
        self.assertEqual(self.ask(**both), [self.ask(text=text, vector=vector, mode="hybrid")
                                            for text, vector in zip(both["texts"], vectors)])

    def test_who_waits_is_searched_together(self):
        self.create(dim=64, metric="ip")
        draw = random.Random(3)
        rows = [[draw.uniform(-1, 1) for _ in range(64)] for _ in range(2000)]
        self.add([{"id": str(i), "vector": row} for i, row in enumerate(rows)])
        bodies = [{"vector": rows[i], "k": 5} for i in range(24)]
        bodies += [{"vector": rows[i], "k": 7} for i in range(4)]  # that ask otherwise
        bodies += [{"vector": rows[0], "k": 5, "filter": {"a": 1}}, {"vectors": rows[:3], "k": 5}, {"vector": [1e38] * 64, "k": 5},
                   {"vector": [1]}, {"vector": rows[0], "mode": "text", "text": "a"}]
        alone = [self.post(self.index + "/query", body) for body in bodies]

        def work(i):
            return [self.post(self.index + "/query", bodies[i]) for _ in range(10)]
        asked = set()
        for answers, expected in zip(in_threads(len(bodies), work), alone):
            for answer in answers:
                self.assertEqual(answer.status, expected.status, answer.body)
                if answer.status == 200:
                    self.assertEqual(answer.json()["results"], expected.json()["results"])
                    asked.add(answer.json()["stats"]["asked"])
                else:
                    self.assertEqual(answer.json(), expected.json())
        self.assertGreater(max(asked), 3)

    def test_words_and_both(self):
        self.create(dim=2, metric="ip")
        self.add([{"id": "far", "text": "plum plum", "vector": [1, 0]}, {"id": "near", "text": "pear", "vector": [9, 0]},
                  {"id": "second", "text": "plum and other words", "vector": [8, 0]}])

        def ids(**body):
            answer = self.done(self.post(self.index + "/query", body))
            self.assertEqual((answer["stats"]["mode"], answer["stats"]["rows"]), (body.get("mode", "vector"), 3))
            self.assertGreater(answer["stats"]["ms"], 0)
            return [result["id"] for result in answer["results"]]
        self.assertEqual(ids(vector=[1, 0]), ["near", "second", "far"])
        self.assertEqual(ids(text="a plum?", mode="text"), ["far", "second"])  # the index has no model
        self.assertEqual(ids(text="plum", vector=[1, 0], mode="hybrid"), ["far", "second", "near"])
        self.assertEqual(ids(text='"plum OR *(', mode="text", k=1), ["far"])

    def test_filters(self):
        self.create()
        self.add([{"id": text, "text": text, "metadata": {"n": i, "tags": ["all", text[0]], "of": {"words": len(text.split())}}}
                  for i, text in enumerate(TEXTS)])
        for mode in ("vector", "text", "hybrid"):
            def ids(filter_):
                answer = self.done(self.post(self.index + "/query", {"text": " ".join(TEXTS), "mode": mode, "filter": filter_}))
                self.assertEqual(answer["stats"]["rows"], len(answer["results"]))
                return sorted(TEXTS.index(result["id"]) for result in answer["results"])
            self.assertEqual(ids({}), [0, 1, 2, 3])
            self.assertEqual(ids({"n": {"$gte": 1, "$ne": 2}}), [1, 3])
            self.assertEqual(ids({"tags": "t", "of.words": {"$lt": 5}}), [3])
            self.assertEqual(ids({"$or": [{"tags": {"$in": ["a", "h"]}}, {"n": 0}]}), [0, 1, 2])
            self.assertEqual(ids({"n": "0 OR 1=1"}), [])

    def test_removing(self):
        self.create(dim=2, metric="ip")

        def fill():
            self.add([{"id": str(i), "vector": [i, 1], "metadata": {"n": i, "odd": i % 2 == 1}} for i in range(6)])

        def left(body, removed):
            done = self.done(self.server.ask("DELETE", self.index + "/documents", body))
            self.assertEqual(done, {"index": self.index.rsplit("/", 1)[1], "removed": removed})
            return "".join(sorted(hit["id"] for hit in self.ask(vector=[1, 0])))
        fill()
        self.assertEqual(left({"ids": ["1", "5", "none", "1"]}, 2), "0234")
        fill()
        self.assertEqual(left({"filter": {"odd": True}}, 3), "024")
        self.assertEqual(left({"filter": {"odd": True}}, 0), "024")
        self.assertEqual(left({"filter": {"$or": [{"n": {"$lt": 1}}, {"n": {"$gt": 3}}]}, "ids": None}, 2), "2")
        self.assertEqual(left({"filter": {"n": "2 OR 1=1"}}, 0), "2")
        self.assertEqual(self.done(self.server.ask("GET", self.index))["documents"], 1)

    def test_the_command_line_and_the_server_share_an_index(self):
        name = self.create()["name"]
        self.add([{"id": "a", "text": "one"}])
        self.assertEqual(self.cli("query", name, "one")["results"], self.ask(text="one"))
        self.cli("delete", name, "--document", "a")
        self.cli("compact", name)
        self.assertEqual(self.ask(text="one"), [])  # a query sees what others did
        self.cli("delete", name)
        self.expect_error(self.server.ask("GET", self.index), 404, "index_not_found", "name")
        self.create(dim=3)  # another one in its place
        self.assertEqual(self.done(self.server.ask("GET", self.index))["dim"], 3)

    def test_many_ask_while_one_adds(self):
        self.create()
        self.add([{"id": text, "text": text} for text in TEXTS])

        def work(i):
            if i == 0:
                return [self.add([{"id": f"{j}-{k}", "text": f"number {j} {k}"} for k in range(20)]) for j in range(4)]
            return [self.ask(text=TEXTS[i % 4], k=1)[0]["id"] for _ in range(5)]
        results = in_threads(8, work)
        self.assertEqual(len(results[0]), 4)
        for i, found in enumerate(results[1:], 1):
            self.assertEqual(found, [TEXTS[i % 4]] * 5)
        self.assertEqual(self.done(self.server.ask("GET", self.index))["documents"], 84)


class Refusals(IndexesTest):
    flags = ("--max-inputs", "8")

    def refuse(self, path, body, status, code, param):
        return self.expect_error(self.post(path, body), status, code, param)

    def test_names(self):
        for name in ("", "../x", "a/b", "/", "a.b", "x" * 101, "-a", "a b"):
            self.refuse("/v1/indexes", {"name": name, "dim": 3}, 400, "invalid_value", "name")
        self.refuse("/v1/indexes", {"dim": 3}, 400, "missing_required_parameter", "name")
        for method, path in (("GET", "/v1/indexes/a.b"), ("DELETE", "/v1/indexes/..%2f..")):
            self.assertIn(self.server.ask(method, path).status, (400, 404))
        for method, path in (("GET", "/v1/indexes/none"), ("DELETE", "/v1/indexes/none")):
            self.expect_error(self.server.ask(method, path), 404, "index_not_found", "name")
        for path in ("/v1/indexes/none/query", "/v1/indexes/none/documents"):
            self.refuse(path, {}, 404, "index_not_found", "name")
        self.expect_error(self.server.ask("GET", "/v1/indexes/a/b"), 404, "not_found", None)
        self.expect_error(self.server.ask("PUT", "/v1/indexes/a"), 405, "method_not_allowed", None)

    def test_creating(self):
        self.create(dim=3)
        name = self.index.rsplit("/", 1)[1]
        self.refuse("/v1/indexes", {"name": name}, 409, "index_exists", "name")
        for facts, code, param in (({"dim": 0}, "invalid_value", "dim"), ({"dim": 1.5}, "invalid_type", "dim"),
                                   ({"dim": 70000}, "invalid_value", "dim"), ({"metric": "near"}, "invalid_value", "metric"),
                                   ({"metric": 1}, "invalid_type", "metric"),
                                   ({"kind": "hnsw"}, "invalid_value", "kind"), ({"recall": 0}, "invalid_value", "recall"),
                                   ({"name": 5}, "invalid_type", "name")):
            self.refuse("/v1/indexes", {"name": "other", **facts}, 400, code, param)
        self.refuse("/v1/indexes", {"name": "other", "dim": 3, "model": self.name}, 409, "index_mismatch", "dim")
        self.refuse("/v1/indexes", {"name": "other", "model": ""}, 404, "model_not_found", "model")
        self.refuse("/v1/indexes", {"name": "other", "model": "none"}, 404, "model_not_found", "model")
        self.refuse("/v1/indexes", b"{", 400, "invalid_json", None)
        self.expect_error(self.server.ask("POST", "/v1/indexes", "{}", {"Content-Type": "text/html"}), 415,
                          "unsupported_media_type", None)

    def test_documents(self):
        self.create(dim=2)
        path, good = self.index + "/documents", {"id": "a", "vector": [1, 0]}
        for document, code, param in (
                ({"vector": [1, 0]}, "invalid_value", "id"), ({"id": "", "vector": [1, 0]}, "invalid_value", "id"),
                ({"id": "x" * 4097, "vector": [1, 0]}, "invalid_value", "id"), ({"id": 5}, "invalid_type", "id"),
                ({"id": "b"}, "invalid_value", "vector"), ({"id": "b", "text": "t"}, "invalid_value", "vector"),
                ({"id": "b", "text": None}, "invalid_type", "text"), ({"id": "b", "vector": 1}, "invalid_type", "vector"),
                ({"id": "b", "vector": [1, "2"]}, "invalid_type", "vector"),
                ({"id": "b", "vector": [1, 1e300]}, "invalid_value", "vector"),
                ({"id": "b", "vector": [1, 0], "metadata": []}, "invalid_type", "metadata"), (5, "invalid_type", "documents")):
            self.refuse(path, {"documents": [good, document]}, 400, code, param)
        self.refuse(path, {"documents": []}, 400, "invalid_type", "documents")
        self.refuse(path, {}, 400, "missing_required_parameter", "documents")
        self.refuse(path, {"documents": [good] * 9}, 413, "too_many_inputs", "documents")
        self.refuse(path, '{"documents": [' + "0," * 10000 + "0]}", 413, "too_many_inputs", "documents")
        for document, param in (({"id": "a", "text": "x"}, "text"), ({"id": "a", "vector": [1]}, "vector"),
                                ({"id": "a", "vector": [0, 0]}, "documents")):  # no model; one number; no direction
            self.refuse(path, {"documents": [document]}, 409, "index_mismatch", param)
        self.assertEqual(self.done(self.server.ask("GET", self.index))["documents"], 0)

    def test_queries(self):
        self.create(dim=2)
        path = self.index + "/query"
        for body, code, param in (({}, "missing_required_parameter", "text"), ({"text": 1}, "invalid_type", "text"),
                                  ({"text": "a", "vector": [1, 0]}, "missing_required_parameter", "text"),
                                  ({"vector": [1, 0], "k": 0}, "invalid_value", "k"),
                                  ({"vector": [1, 0], "k": 10001}, "invalid_value", "k")):
            self.refuse(path, body, 400, code, param)
        for body, code, param in (({"text": "a", "mode": "words"}, "invalid_value", "mode"),
                                  ({"text": "a", "mode": 1}, "invalid_type", "mode"),
                                  ({"vector": [1, 0], "mode": "text"}, "missing_required_parameter", "text"),
                                  ({"vector": [1, 0], "mode": "hybrid"}, "missing_required_parameter", "text"),
                                  ({"text": "a", "vector": [1, 0], "mode": "text"}, "invalid_value", "vector"),
                                  ({"vector": [1, 0], "filter": []}, "invalid_type", "filter"),
                                  ({"vector": [1, 0], "filter": {"a": {"$gtt": 1}}}, "invalid_value", "filter"),
                                  ({"vector": [1, 0], "filter": {"a' OR '1'='1\"": 1}}, "invalid_value", "filter")):
            self.refuse(path, body, 400, code, param)
        many = [[1, 0]] * 9
        for body, status, code, param in (
                ({"vectors": many}, 413, "too_many_inputs", "vectors"), ({"texts": ["a"] * 9}, 413, "too_many_inputs", "texts"),
                ({"vectors": []}, 400, "invalid_type", "vectors"), ({"vectors": 1}, 400, "invalid_type", "vectors"),
                ({"vectors": [1, 0]}, 400, "invalid_type", "vectors"), ({"vectors": [[1, 0], [1]]}, 409, "index_mismatch", "vectors"),
                ({"vectors": [[1, 0], [0, 0]]}, 409, "index_mismatch", "vectors"), ({"texts": "a"}, 400, "invalid_type", "texts"),
                ({"texts": ["a", 1], "mode": "text"}, 400, "invalid_type", "texts"),
                ({"texts": ["a"], "vectors": many[:1]}, 400, "missing_required_parameter", "texts"),
                ({"texts": ["a"], "vectors": many[:2], "mode": "hybrid"}, 400, "invalid_value", "vectors"),
                ({"texts": ["a"], "text": "a"}, 400, "invalid_value", "texts"),
                ({"vectors": many[:1], "vector": [1, 0]}, 400, "invalid_value", "vectors"),
                ('{"vectors": [' + "0," * 10000 + "0]}", 413, "too_many_inputs", "vectors")):
            self.refuse(path, body, status, code, param)
        self.add([{"id": "a", "vector": [1, 0]}])
        message = self.refuse(path, {"text": "a", "mode": "text"}, 409, "index_mismatch", "text")
        self.assertIn("keeps no texts", message)
        self.refuse(path, {"text": "a", "mode": "hybrid"}, 409, "index_mismatch", "text")  # and no model
        for body, param in (({"vector": [1]}, "vector"), ({"vector": [0, 0]}, "vector"), ({"text": "a"}, "text")):
            self.refuse(path, body, 409, "index_mismatch", param)

    def test_removing(self):
        self.create(dim=2)
        path = self.index + "/documents"
        self.add([{"id": "a", "vector": [1, 0]}])
        for body, code, param in (({}, "missing_required_parameter", "filter"), ({"filter": None}, "missing_required_parameter", "filter"),
                                  ({"ids": ["a"], "filter": {"a": 1}}, "missing_required_parameter", "filter"),
                                  ({"ids": []}, "invalid_type", "ids"), ({"ids": "a"}, "invalid_type", "ids"),
                                  ({"ids": [1]}, "invalid_type", "ids"), ({"ids": ["a\0"]}, "invalid_value", "ids"),
                                  ({"filter": {}}, "invalid_value", "filter"), ({"filter": []}, "invalid_type", "filter"),
                                  ({"filter": {"$or": [{"a": 1}, {}]}}, "invalid_value", "filter"),
                                  ({"filter": {"a": {"$gtt": 1}}}, "invalid_value", "filter"), (b"{", "invalid_json", None), (None, "invalid_json", None)):
            self.expect_error(self.server.ask("DELETE", path, body), 400, code, param)
        self.expect_error(self.server.ask("DELETE", path, {"ids": ["a"] * 9}), 413, "too_many_inputs", "ids")
        self.expect_error(self.server.ask("DELETE", path, '{"ids": ["a"]}', {"Content-Type": "text/html"}), 415, "unsupported_media_type", None)
        self.expect_error(self.server.ask("DELETE", "/v1/indexes/none/documents", {"ids": ["a"]}), 404, "index_not_found", "name")
        self.assertEqual(self.done(self.server.ask("GET", self.index))["documents"], 1)

    def test_numbers_that_are_none(self):
        self.create(dim=2)
        for number in ("NaN", "Infinity", "-Infinity", "1e999"):
            self.refuse(self.index + "/query", '{"vector": [%s, 0]}' % number, 400, "invalid_json", None)
            self.refuse(self.index + "/documents", '{"documents": [{"id": "a", "vector": [%s, 0]}]}' % number, 400, "invalid_json", None)
        self.assertEqual(self.done(self.server.ask("GET", self.index))["documents"], 0)

    def test_a_disk_that_fills_up(self):
        self.create(dim=2)
        self.add([{"id": "a", "vector": [1, 0], "text": "before"}])
        before = self.done(self.server.ask("GET", self.index))
        much = [{"id": f"{i}", "vector": [1, i], "text": f"full {i} " * 500} for i in range(8)]
        unlimited = resource.prlimit(self.server.process.pid, resource.RLIMIT_FSIZE)
        for limit in (4096, 20000, 50000):
            resource.prlimit(self.server.process.pid, resource.RLIMIT_FSIZE, (limit, unlimited[1]))
            try:
                message = self.refuse(self.index + "/documents", {"documents": much}, 500, "storage_failed", "documents")
            finally:
                resource.prlimit(self.server.process.pid, resource.RLIMIT_FSIZE, unlimited)
            self.assertIn(self.index.rsplit("/", 1)[1], message)
            self.assertEqual([result["id"] for result in self.ask(vector=[1, 0])], ["a"])
            self.assertEqual(self.ask(text="full", mode="text"), [])
        self.add(much)
        self.assertEqual(len(self.ask(text="full", mode="text")), 8)
        self.assertEqual(self.done(self.server.ask("GET", self.index))["documents"], before["documents"] + 8)
        self.cli("verify", self.index.rsplit("/", 1)[1])

    def test_one_writes_at_a_time(self):
        self.create(dim=2)
        folder = os.open(os.path.join(self.server.home.name, self.index.replace("/v1/", "")), os.O_RDONLY)
        self.addCleanup(os.close, folder)
        fcntl.flock(folder, fcntl.LOCK_EX)
        message = self.refuse(self.index + "/documents", {"documents": [{"id": "a", "vector": [1, 0]}]}, 409, "index_busy", "name")
        self.assertIn("try again", message)
        self.assertEqual(self.ask(vector=[1, 0]), [])
        fcntl.flock(folder, fcntl.LOCK_UN)

    def test_damage(self):
        self.create(dim=2)
        self.add([{"id": "a", "vector": [1, 0]}])
        folder = os.path.join(self.server.home.name, self.index.replace("/v1/", ""))
        name = os.path.basename(folder)
        os.rename(folder, folder + "-2")  # so that the server opens it anew
        with open(os.path.join(folder + "-2", "vectors.1"), "r+b") as file:
            file.seek(4096)
            file.write(b"\xff")
        message = self.refuse(f"/v1/indexes/{name}-2/query", {"vector": [1, 0]}, 500, "index_damaged", "name")
        self.assertIn("rows 0 to 0", message)
        listed = [index for index in self.done(self.server.ask("GET", "/v1/indexes"))["data"] if index["name"] == name + "-2"]
        self.assertIn("damaged", listed[0]["error"])
        os.rename(folder + "-2", folder)


class Keys(HttpTest):
    flags = ("--api-key", "secret")

    def test_every_route_needs_the_key(self):
        for method, path in (("GET", "/v1/indexes"), ("POST", "/v1/indexes"), ("GET", "/v1/indexes/a"), ("DELETE", "/v1/indexes/a"),
                             ("POST", "/v1/indexes/a/documents"), ("POST", "/v1/indexes/a/query")):
            self.expect_error(self.server.ask(method, path, "{}" if method == "POST" else None), 401, "invalid_api_key")


if __name__ == "__main__":
    unittest.main()
