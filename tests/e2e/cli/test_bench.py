# SPDX-License-Identifier: Apache-2.0
"""bench embed and bench --compare, on a model of a few kilobytes: the figures hang together, and so does the picture."""
import copy
import json
import os
import subprocess
import unittest
import xml.etree.ElementTree as ElementTree

from harness import BINARY, BUILD, TIMEOUT, WITH_MACHINE, CliTest, ModelTest
from test_devices import FAKE_DRIVERS

SVG = "{http://www.w3.org/2000/svg}"


def picture_of(path):
    """The texts of a picture and how many points it has."""
    root = ElementTree.parse(path).getroot()
    texts = [element.text for element in root.iter(SVG + "text")]
    return texts, sum(1 for circle in root.iter(SVG + "circle") if circle.find(SVG + "title") is not None)


class BenchEmbed(ModelTest):
    def measure(self, *args, **kwargs):
        quick = ["--sizes", "1,4,32", "--docs", "24", "--rounds", "2", "--words", "10"]
        return self.expect(0, "bench", "embed", "--model", self.model, *quick, *args, **kwargs)

    def test_figures_hang_together(self):
        found = json.loads(self.measure("--json", "--device", "cpu", "--precision", "fp32", "--threads", "2"))
        self.assertEqual([row["batch_size"] for row in found["results"]], [0, 1, 4, 32])
        for row in found["results"]:
            self.assertEqual((row["docs"], row["rounds"]), (24, 2))
            self.assertAlmostEqual(row["docs_per_minute"] / 60 / row["docs_per_second"], 1, 5)
            self.assertAlmostEqual(row["ms_per_doc"] * row["docs_per_second"] / 1000, 1, 5)
            self.assertLessEqual(row["worst_docs_per_second"], row["docs_per_second"] * 1.00001)
            self.assertGreaterEqual(row["best_docs_per_second"], row["docs_per_second"] / 1.00001)
        self.assertEqual((found["bench"], found["precision"], found["threads"]), ("embed", "fp32", 2))
        self.assertEqual((found["device"]["id"], found["model"]["dimensions"]), ("cpu:0", 64))
        self.assertEqual(found["texts"]["source"], "built-in")
        self.assertGreater(found["texts"]["mean_tokens"], 10)
        self.assertTrue(found["machine"]["processor"] and found["commit"] and found["version"])
        fastest = max(row["docs_per_minute"] for row in found["results"])
        self.assertEqual([row["hardware"] for row in found["targets"]],
                         ["RTX 3060", "RTX 3070", "RTX 3080", "RTX 3090", "RTX 4070", "RTX 4080", "RTX 4090", "A100 40GB"])
        for row in found["targets"]:
            self.assertEqual(row["verdict"], "not this hardware")
            self.assertAlmostEqual(row["times"] * row["docs_per_minute"] / fastest, 1, 5)

    def test_texts_of_files_and_a_picture(self):
        lines = self.path("lines.jsonl", '{"body": "the cat"}\n{"body": "a dog sat on the mat"}\n')
        svg = self.path("a<b>&.svg")
        text = self.measure("--field", "body", "--svg", svg, lines).decode()
        self.assertIn(lines, text)
        self.assertIn("A100 40GB    5000 docs/min   12 ms/doc", text)
        self.assertIn("own: 128 tokens a batch (default)", text)
        self.assertRegex(text, r"\n +own +[\d.]+ +[\d.]+ +\d+ +[\d.]+ +[\d.]+ %\n +1 ")
        texts, points = picture_of(svg)
        self.assertEqual(points, 3)
        for label in ("texts in a batch", "documents per second", "1", "2", "4", "8", "16", "32", "0"):
            self.assertIn(label, texts)
        self.assertIn(os.path.basename(self.model), texts[0])
        self.assertIn("\n       1 ", self.measure("-", stdin="one\n\ntwo\n").decode())

    def test_tuning_is_remembered(self):
        tune = ["bench", "embed", "--tune", "--docs", "16", "--rounds", "1", "--model", self.model, "--precision", "fp32"]
        found = json.loads(self.expect(0, *tune, "--json"))
        trials = {trial["batch_tokens"]: trial["docs_per_second"] for trial in found["trials"]}
        self.assertEqual(found["trials"][0]["batch_tokens"], 128)
        self.assertIn(found["batch_tokens"], trials)
        self.assertEqual(found["file"], self.path("tuned.json"))
        with open(found["file"], encoding="utf-8") as file:
            row = json.load(file)["tuned"][0]
        self.assertEqual((row["model"], row["precision"], row["batch_tokens"]), (self.model, "fp32", found["batch_tokens"]))
        own = json.loads(self.measure("--json", "--precision", "fp32"))["own_batch"]
        self.assertEqual(own, {"tokens": found["batch_tokens"], "source": "tuned"})
        own = json.loads(self.measure("--json", "--precision", "fp32", "--batch-tokens", "96"))["own_batch"]
        self.assertEqual(own, {"tokens": 96, "source": "set"})
        self.assertIn("fastest", self.expect(0, *tune).decode())
        self.path("tuned.json", "{")
        self.expect(0, "embed", "--model", self.model, "--text", "a", "--precision", "fp32", says="tuned.json:1:1: invalid")

    @unittest.skipUnless(FAKE_DRIVERS, "this build has no CUDA driver that is not there")
    def test_a_gpu_of_the_table_is_held_to_its_row(self):
        command = [WITH_MACHINE, "rtx4090", BINARY, "bench", "embed", "--model", self.model, "--json", "--sizes", "2",
                   "--docs", "4", "--rounds", "1", "--words", "5"]
        found = json.loads(subprocess.run(command, env={**self.env, "EL_BUILD": BUILD}, stdout=subprocess.PIPE,
                                          timeout=TIMEOUT, check=True).stdout)
        self.assertEqual(found["own_batch"], {"tokens": 512 * 48 // 4, "source": "formula"})
        for row in found["targets"]:
            verdict = "PASS" if row["times"] >= 1 else "below"
            self.assertEqual(row["verdict"], verdict if row["hardware"] == "RTX 4090" else "not this hardware")

    def test_refusals(self):
        embed = ["bench", "embed", "--model", self.model]
        self.expect(2, *embed, "--sizes", "4,2", says="larger than the one before")
        self.expect(2, *embed, "--sizes", "1,,2", says="--sizes")
        self.expect(2, *embed, "--sizes", "0", says="from 1 to")
        self.expect(2, *embed, "--rounds", "65", says="--rounds")
        self.expect(1, *embed, self.path("empty.txt", "\n\n"), says="there is no text")
        self.expect(1, *embed, self.path("missing.txt"), says="missing.txt")
        self.expect(1, "bench", "embed", "--model", "no-such", says="no-such")
        self.expect(2, "bench", "device", "extra", says="takes no file")
        self.expect(1, *embed, "--sizes", "1", "--docs", "8", "--rounds", "1", "--svg", "/no/such/folder/a.svg",
                    says="/no/such/folder")


RESULT = {
    "bench": "embed", "version": "0.1.0", "commit": "abc", "machine": {"processor": "p"}, "precision": "fp16",
    "device": {"name": "NVIDIA A100-SXM4-40GB"}, "model": {"name": "m<1>"}, "threads": 4, "texts": {"mean_tokens": 104.5},
    "results": [{"batch_size": size, "docs_per_second": rate, "spread_pct": spread, "best_docs_per_second": rate,
                 "worst_docs_per_second": rate} for size, rate, spread in
                [(0, 500.0, 2.0), (1, 100.0, 1.0), (8, 400.0, 12.0), (64, 480.0, 0.5)]],
}


class Compare(CliTest):
    def write(self, name, rates, **changes):
        result = {**copy.deepcopy(RESULT), **changes}
        for row, rate in zip(result["results"], rates):
            row["docs_per_second"] = rate
        return self.path(name, json.dumps(result))

    def setUp(self):
        super().setUp()
        self.a = self.write("a.json", [500, 100, 400, 480])
        self.b = self.write("b.json", [600, 60, 440, 482])

    def test_ratios_noise_and_verdicts(self):
        found = json.loads(self.expect(0, "bench", "--compare", "--json", self.a, self.b))
        rows = {row["batch_size"]: row for row in found["results"]}
        self.assertEqual({size: row["verdict"] for size, row in rows.items()},
                         {0: "faster", 1: "slower", 8: "same", 64: "same"})
        self.assertAlmostEqual(rows[1]["ratio"], 0.6)
        self.assertEqual([rows[size]["noise_pct"] for size in (0, 1, 8, 64)], [2, 1, 12, 1])
        self.assertEqual(found["differences"], [])

    def test_fail_below(self):
        self.expect(0, "bench", "--compare", self.a, self.b)
        self.expect(0, "bench", "--compare", "--fail-below", "50", self.a, self.b)
        self.expect(1, "bench", "--compare", "--fail-below", "90", self.a, self.b)
        # What noise alone can explain fails nothing, however high the bar.
        noisy = self.write("noisy.json", [499, 99.5, 380, 479])
        self.expect(0, "bench", "--compare", "--fail-below", "100", self.a, noisy)

    def test_the_text_and_the_picture(self):
        other = self.write("other.json", [500, 100, 400, 480], precision="bf16", threads=8)
        svg = self.path("both.svg")
        text = self.expect(0, "bench", "--compare", self.a, other, "--svg", svg).decode()
        self.assertIn('not the same precision: A "fp16", B "bf16"', text)
        self.assertIn("not the same threads: A 4, B 8", text)
        self.assertRegex(text, r"\n +own +500\.0 +500\.0 +1\.000 +2\.0 %  same\n")
        texts, points = picture_of(svg)
        self.assertEqual(points, 6)
        self.assertIn("m<1>: throughput by batch size", texts)
        self.assertIn(self.a, texts)
        self.assertIn(other, texts)

    def test_what_is_no_result_is_refused(self):
        for text, says in [("{", "invalid JSON"), ("[]", "not what"), ('{"bench": "device", "results": []}', "not what"),
                           ('{"bench": "embed", "results": [3]}', "no object"),
                           ('{"bench": "embed", "results": [{"batch_size": 1}]}', "docs_per_second"),
                           ('{"bench": "embed", "results": [{"batch_size": 1, "docs_per_second": 0, "spread_pct": 0}]}',
                            "is 0"),
                           ('{"bench": "embed", "results": []}', "no batch size in common")]:
            self.expect(1, "bench", "--compare", self.a, self.path("bad.json", text), says=says)
        self.expect(1, "bench", "--compare", self.a, self.path("none.json"), says="none.json")
        self.expect(2, "bench", "--compare", self.a, says="two results")


if __name__ == "__main__":
    unittest.main()
