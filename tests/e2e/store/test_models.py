#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`eleanor models`: listing, paths, verification, removal."""
import json
import os
import unittest

from storetest import StoreTest, model_files


class ModelsTest(StoreTest):
    def add(self, name):
        for path, content in model_files().items():
            os.makedirs(os.path.dirname(self.path(f"in/{path}")), exist_ok=True)
            self.path(f"in/{path}", content)
        self.expect(0, "import", self.path("in"), "--name", name)

    def test_empty_store(self):
        self.assertIn(b"No model is installed", self.expect(0, "models"))
        self.assertEqual(json.loads(self.expect(0, "models", "--json")), {"installed": []})

    def test_lists_by_name_and_what_the_catalog_has(self):
        self.add("zebra")
        self.add("owner/ape")
        self.assertEqual(self.installed(), ["owner/ape", "zebra"])
        text = self.expect(0, "models", "--all").decode()
        self.assertIn("unverified", text)
        self.assertIn("sentence-transformers/all-MiniLM-L6-v2", text)
        available = json.loads(self.expect(0, "models", "--all", "--json"))["available"]
        by_name = {model["name"]: model for model in available}
        self.assertTrue(by_name["all-MiniLM-L6-v2"]["has_checksums"])
        self.assertFalse(by_name["bge-small-en-v1.5"]["has_checksums"])

    def test_path_ignores_case(self):
        self.add("Zebra")
        self.assertEqual(self.expect(0, "models", "path", "zebra").decode().strip(), self.path("models/Zebra"))

    def test_path_of_what_is_not_there(self):
        self.expect(1, "models", "path", "MiniLM", says="`eleanor pull all-MiniLM-L6-v2` gets it")
        self.expect(1, "models", "path", "all-minilm-l6-v3", says="did you mean")
        self.expect(1, "models", "path", "./nowhere", says="no model in folder ./nowhere")

    def test_remove(self):
        self.add("zebra")
        self.assertIn(b"zebra removed, 0.3 MB freed", self.expect(0, "models", "rm", "zebra"))
        self.assert_nothing_left()
        self.expect(1, "models", "rm", "zebra", says="not installed")

    def test_remove_stays_within_the_store(self):
        self.add("zebra")
        for name in [self.path("in"), "../in", ".", "..", ".staging", "models/../zebra"]:
            with self.subTest(name):
                self.expect(1, "models", "rm", name)
        self.assertTrue(os.path.exists(self.path("in/config.json")))
        self.assertEqual(self.installed(), ["zebra"])

    def test_verify_finds_a_changed_byte(self):
        self.add("zebra")
        self.assertIn(b"is as it was installed", self.expect(0, "models", "verify", "zebra"))
        with open(self.path("models/zebra/model.safetensors"), "r+b") as file:
            file.seek(1000)
            file.write(b"?")
        self.expect(1, "models", "verify", "zebra", says=["model.safetensors has changed", "expected sha256", "got"])

    def test_folder_put_there_by_hand(self):
        self.path("x")
        os.makedirs(self.path("models/mine"))
        self.path("models/mine/config.json", "{}")
        self.assertEqual(self.installed(), ["mine"])
        self.expect(1, "models", "verify", "mine", says="was not installed by eleanor")

    def test_record_that_is_damaged(self):
        self.add("zebra")
        self.path("models/zebra/eleanor-model.json", "{")
        self.expect(1, "models", says=["eleanor-model.json", "invalid JSON"])

    def test_wrong_usage(self):
        self.expect(2, "models", "remove", "x", says=["remove", "models rm NAME"])
        self.expect(2, "models", "rm")
        self.expect(2, "pull", says="NAME is missing")


if __name__ == "__main__":
    unittest.main()
