# SPDX-License-Identifier: Apache-2.0
"""What the tests of the store share: the files of a model that never was, and what the store holds afterwards."""
import hashlib
import json
import os
import random
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
from harness import BINARY, CliTest  # noqa: E402  (the path comes first)

__all__ = ["BINARY", "StoreTest", "default_model", "model_files", "safetensors", "sha256"]


def safetensors(size, content=None):
    """A file of `size` bytes with one tensor, of random bytes (which do not pack) or `content` over and over."""
    header = 128
    count = (size - header) // 4
    table = {"w": {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]}}
    text = json.dumps(table).encode().ljust(header - 8)
    data = content * (4 * count // len(content)) if content else random.Random(size).randbytes(4 * count)
    return struct.pack("<Q", len(text)) + text + data


def model_files(weights=300_000):
    """The store looks at names, sizes, sums, and whether the weights are whole."""
    return {
        "config.json": b'{"model_type": "bert"}',
        "tokenizer.json": b'{"model": {}}',
        "modules.json": b"[]",
        "1_Pooling/config.json": b"{}",
        "model.safetensors": safetensors(weights),
    }


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def default_model(test):
    """The folder of all-MiniLM-L6-v2 in the store of who runs the tests; skips where it is not."""
    found = subprocess.run([BINARY, "models", "path", "all-MiniLM-L6-v2"], stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, check=False, text=True)
    if found.returncode:
        test.skipTest("all-MiniLM-L6-v2 is not installed: eleanor pull all-MiniLM-L6-v2")
    return found.stdout.strip()


class StoreTest(CliTest):
    def installed(self):
        """Names of the installed models, as `models --json` says."""
        return [model["name"] for model in json.loads(self.expect(0, "models", "--json"))["installed"]]

    def staged(self):
        """Files that wait in the staging folder, relative to it."""
        staging = self.path("models/.staging")
        return sorted(os.path.relpath(os.path.join(folder, name), staging)
                      for folder, _, names in os.walk(staging) for name in names)

    def assert_nothing_installed(self):
        self.assertEqual(self.installed(), [])
        if os.path.isdir(self.path("models")):
            self.assertEqual([name for name in os.listdir(self.path("models")) if name != ".staging"], [])

    def assert_nothing_left(self):
        self.assert_nothing_installed()
        self.assertEqual(self.staged(), [])

    def assert_installed(self, name, files):
        folder = self.expect(0, "models", "path", name).decode().strip()
        for path, content in files.items():
            with open(os.path.join(folder, path), "rb") as file:
                self.assertEqual(file.read(), content, path)
        found = sorted(os.path.relpath(os.path.join(at, entry), folder)
                       for at, _, entries in os.walk(folder) for entry in entries)
        self.assertEqual(found, sorted([*files, "eleanor-model.json"]))
