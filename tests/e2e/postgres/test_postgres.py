# SPDX-License-Identifier: Apache-2.0
"""Indexes in PostgreSQL: the same as embedded ones, on a server that misbehaves too."""
import json
import math
import os
import random
import subprocess
import sys
import time
import unittest
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "index"), os.path.join(HERE, "..")]
from common import need_venv  # noqa: E402

need_venv("pgserver")
from indextest import BINARY, TIMEOUT, IndexTest, npy  # noqa: E402
from server import Server  # noqa: E402

TESTS = os.environ["POSTGRES_TESTS"]  # folder of the programs
BATCH = 8192  # rows that `index add --vectors` puts at once


def setUpModule():
    global SERVER
    SERVER = Server()
    unittest.addModuleCleanup(SERVER.done)
    SERVER.sql("CREATE ROLE plain LOGIN")


def draw_rows(draw, count, columns):
    return [[draw.gauss(0, 1) for _ in range(columns)] for _ in range(count)]


class PostgresTest(IndexTest):
    def setUp(self):
        super().setUp()
        schemas = SERVER.sql("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'eleanor\\_%'").split()
        for schema in schemas:
            SERVER.sql(f'DROP SCHEMA "{schema}" CASCADE')

    def answers(self, name, path, *args):
        """Of each query its results; all but the ids' folder is compared."""
        lines = self.index("query", name, "--vectors", path, "--json", *args).splitlines()
        return [json.loads(line)["results"] for line in lines]


class TheSuiteOfAllStores(unittest.TestCase):
    def run_program(self, name):
        result = subprocess.run([os.path.join(TESTS, name)], env={**os.environ, "EL_POSTGRES_URL": SERVER.url()},
                                timeout=TIMEOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual(result.returncode, 0, result.stdout.decode())

    def test_indexes(self):
        self.run_program("test_postgres")

    def test_filters(self):
        self.run_program("test_postgres_filter")


class SameAsEmbedded(PostgresTest):
    def test_vectors_of_each_metric(self):
        draw = random.Random(3)
        rows = draw_rows(draw, 1500, 24)
        rows += rows[:40]  # ties
        rows_path, queries = self.path("rows.npy", npy(rows)), self.path("q.npy", npy(draw_rows(draw, 20, 24)))
        for metric in ("ip", "cosine", "l2"):
            for name, store in (("e-" + metric, ()), ("p-" + metric, ("--store", SERVER.url()))):
                self.index("create", name, "--dim", "24", "--metric", metric, *store)
                self.assertEqual(self.json("add", name, "--vectors", rows_path)["added"], len(rows))
            for k in ("1", "10", "600"):
                self.assertEqual(self.answers("e-" + metric, queries, "-k", k),
                                 self.answers("p-" + metric, queries, "-k", k))
            self.index("compact", "p-" + metric)  # from here on HNSW
            self.index("verify", "p-" + metric)
            exact, near = (self.answers(name + metric, queries, "-k", "10") for name in ("e-", "p-"))
            hits = sum(hit in found for wanted, found in zip(exact, near) for hit in wanted)
            self.assertGreaterEqual(hits / 200, 0.9)
            self.assertTrue(all(len(found) == 10 for found in near))

    def test_export_and_merge(self):
        rows = self.path("rows.npy", npy(draw_rows(random.Random(4), 5000, 8)))  # more than a page
        files = {}
        for name, store, shares in (("e", (), ["0/1"]), ("p", ("--store", SERVER.url()), ["0/1"]),
                                    ("merged", ("--store", SERVER.url()), ["0/2", "1/2"])):
            self.index("create", name, "--dim", "8", *store)
            for share in shares:
                self.index("add", name, "--vectors", rows, "--shard", share)
            if len(shares) > 1:
                self.assertEqual(self.json("merge", name)["added"], 5000)
            written = self.json("export", name, "-o", self.path(name))
            self.assertEqual((written["documents"], written["vectors"]), (5000, 5000))
            files[name] = []
            for end in (".npy", ".jsonl"):
                with open(self.path(name + end), "rb") as file:
                    files[name].append(file.read())
        self.assertEqual(files["e"], files["p"])
        self.assertEqual(files["e"], files["merged"])

    def test_files(self):
        tree = self.tree(a_txt="alpha alpha", b_md="beta 'quoted' \"text\"", c__d_txt="gamma delta", e_bin="\0")
        self.create()
        self.create("pg", "--store", SERVER.url())
        for name in ("docs", "pg"):
            self.assertEqual(self.add(tree, name=name), (3, 0, 0, 0))
            self.assertEqual(self.add(tree, name=name), (0, 0, 3, 0))
        wanted, got = (self.json("query", name, "gamma", "-k", "9")["results"] for name in ("docs", "pg"))
        self.assertEqual(wanted, got)
        os.remove(os.path.join(tree, "a.txt"))
        self.path("tree/b.md", "new")
        self.assertEqual(self.add(tree, "--update", name="pg"), (0, 1, 1, 1))
        self.assertEqual(self.stats("pg")["documents"], 2)
        self.assertEqual(self.json("delete", "pg", "--filter", '{"a":1}')["removed"], 0)
        self.index("delete", "pg", "--document", os.path.join(tree, "b.md"))
        self.assertEqual(self.found("new", "-k", "9", name="pg"), ["d.txt"])
        self.assertIn(SERVER.url(), self.index("list"))
        self.index("delete", "pg")
        self.assertEqual(SERVER.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'eleanor_pg'"), "0")
        self.assertEqual([row["name"] for row in self.json("list")["indexes"]], ["docs"])


class OverHttp(PostgresTest):
    def ask(self, path, body=None, method=None):
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(self.url + "/v1/indexes" + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return json.load(answer)

    def test_by_name(self):
        self.create("pg", "--store", SERVER.url())
        process = subprocess.Popen([BINARY, "serve", "--port", "0", "--model", self.model], env=self.env,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait, TIMEOUT)
        self.addCleanup(process.kill)
        self.url = process.stdout.readline().decode().strip()
        documents = [{"id": "a", "text": "a dog", "metadata": {"n": 1}}, {"id": "b", "text": "a cat"}]
        self.assertEqual(self.ask("/pg/documents", {"documents": documents})["chunks"], 2)
        self.assertEqual(self.ask("/pg")["store"], "postgres")
        self.assertNotIn(SERVER.folder, json.dumps(self.ask("")))  # whither is not for clients
        for mode in ("vector", "text", "hybrid"):
            self.assertEqual(self.ask("/pg/query", {"text": "a dog", "mode": mode})["results"][0]["id"], "a")
        SERVER.stop()
        SERVER.start()
        found = self.ask("/pg/query", {"text": "dog", "filter": {"n": {"$gt": 0}}})
        self.assertEqual([hit["id"] for hit in found["results"]], ["a"])
        self.assertIsNone(found["stats"]["rows"])
        self.assertEqual(self.ask("/pg/documents", {"filter": {"n": {"$gt": 0}}}, "DELETE"), {"index": "pg", "removed": 1})
        self.assertEqual([hit["id"] for hit in self.ask("/pg/query", {"text": "dog"})["results"]], ["b"])


class Refusals(PostgresTest):
    def refuse(self, url, *says):
        self.index("create", "x", "--dim", "3", "--store", url, code=1, says=says)
        self.assertFalse(os.path.exists(self.path("indexes/x")))

    def test_urls(self):
        self.refuse("mysql://localhost/x", "postgres://USER@HOST")
        self.refuse("postgres://u:geheim@localhost/x", "PGPASSWORD")
        self.refuse(SERVER.url(database="nowhere"), 'database "nowhere" does not exist')
        self.refuse(SERVER.url(user="nobody-here"), "nobody-here")
        self.refuse("postgres://u@/x?host=/nowhere", "/nowhere")
        self.index("create", "n" * 56, "--dim", "3", "--store", SERVER.url(), code=1, says="at most 55")

    def test_rights(self):
        SERVER.sql("CREATE EXTENSION IF NOT EXISTS vector")
        self.refuse(SERVER.url(user="plain"), "permission denied for database", "docs/postgres.md")
        SERVER.sql("GRANT CREATE ON DATABASE postgres TO plain")
        self.index("create", "x", "--dim", "3", "--store", SERVER.url(user="plain"))
        self.index("delete", "x")
        SERVER.sql("REVOKE CREATE ON DATABASE postgres FROM plain")

    def test_no_extension(self):
        SERVER.sql("CREATE DATABASE bare OWNER plain")
        self.refuse(SERVER.url(user="plain", database="bare"), "CREATE EXTENSION vector")
        SERVER.sql("DROP DATABASE bare")

    def test_vectors(self):
        self.index("create", "x", "--dim", "3", "--store", SERVER.url())
        path = self.path("v.npy", npy([[1, 2, 3], [1, math.nan, 3]]))
        self.index("add", "x", "--vectors", path, code=1, says="not finite")
        self.assertEqual(self.stats("x")["documents"], 0)
        self.index("add", "x", "--vectors", self.path("w.npy", npy([[1, 2]])), code=1, says="index x has 3")
        self.index("query", "x", "--vectors", path, code=1, says="not finite")


class AServerThatGoesAway(PostgresTest):
    """An `add` of some batches, in whose middle the server is stopped as by a crash: once for good, once for half a
    second."""
    ROWS = 3 * BATCH

    def setUp(self):
        super().setUp()
        self.server = Server()
        self.addCleanup(self.server.done)
        self.rows = self.path("v.npy", npy([[1.0, float(i), *[0.5] * 62] for i in range(self.ROWS)]))
        self.create_with_patience()

    def create_with_patience(self):
        self.index("create", "x", "--dim", "64", "--store", self.server.url() + "?connect_timeout=3")

    def stop_in_the_middle(self):
        """The server is gone when at least one batch is there."""
        process = subprocess.Popen([BINARY, "index", "add", "x", "--vectors", self.rows], env=self.env,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while self.server.sql("SELECT EXISTS(SELECT FROM eleanor_x.documents)") == "f":
            self.assertIsNone(process.poll())
        self.server.stop()
        self.assertIsNone(process.poll())  # it was in the middle
        return process

    def expect_documents(self, count):
        self.index("verify", "x")
        stats = self.stats("x")
        self.assertEqual((stats["documents"], stats["chunks"]), (count, count))

    def test_and_comes_back(self):
        process = self.stop_in_the_middle()
        _, error = process.communicate(timeout=TIMEOUT)
        self.assertEqual(process.returncode, 1)
        self.assertIn("given up after 3 seconds", error.decode())
        self.index("stats", "x", code=1, says=self.server.folder)  # the first connection is not waited for
        self.server.start()
        there = self.stats("x")["documents"]
        self.assertEqual(there % BATCH, 0)  # batches are whole
        self.expect_documents(there)
        self.index("delete", "x")
        self.create_with_patience()
        process = self.stop_in_the_middle()
        time.sleep(0.5)
        self.server.start()
        _, error = process.communicate(timeout=TIMEOUT)
        self.assertEqual(process.returncode, 0, error.decode())
        self.expect_documents(self.ROWS)
        self.assertEqual(self.json("add", "x", "--vectors", self.rows)["added"], 0)


if __name__ == "__main__":
    unittest.main()
