# SPDX-License-Identifier: Apache-2.0
"""What the tests of indexes share: an index of the tiny model, a tree of files, NumPy files."""
import json
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "cli"), os.path.join(HERE, "..")]
from common import real_model  # noqa: F401 (for its users)
from harness import BINARY, ROOT, SANITIZER, TIMEOUT, WITH_MACHINE, ModelTest  # noqa: F401

DIM = 64  # of the tiny model


def npy(rows, kind="<f4", order="False", shape=None):
    """A NumPy file, as numpy.save writes it."""
    columns = len(rows[0]) if rows else DIM
    shape = shape or f"({len(rows)}, {columns})"
    header = f"{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    code = {"<f4": "f", "<f8": "d"}[kind]
    data = b"".join(struct.pack(f"<{len(row)}{code}", *row) for row in rows)
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


class IndexTest(ModelTest):
    def index(self, *args, code=0, **kwargs):
        return self.expect(code, "index", *args, **kwargs).decode()

    def json(self, *args, **kwargs):
        return json.loads(self.index(*args, "--json", **kwargs))

    def create(self, name="docs", *args):
        self.index("create", name, "--model", self.model, *args)

    def add(self, *args, name="docs", **kwargs):
        """What the summary counts: (added, changed, unchanged, removed)."""
        summary = self.json("add", name, *args, **kwargs)
        return tuple(summary[key] for key in ("added", "changed", "unchanged", "removed"))

    def found(self, *args, name="docs"):
        """The names of the files that are nearest, best first."""
        return [os.path.basename(result["id"]) for result in self.json("query", name, *args)["results"]]

    def stats(self, name="docs"):
        return self.json("stats", name)

    def tree(self, **files):
        """A folder of files: name -> content, "__" in a name being a slash and "_" a dot."""
        for name, content in files.items():
            path = os.path.join("tree", name.replace("__", "/").replace("_", "."))
            os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
            self.path(path, content)
        return self.path("tree")
