#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`eleanor import` of folders and archives, kind and hostile."""
import gzip
import io
import json
import os
import resource
import struct
import tarfile
import unittest
import zipfile

from storetest import StoreTest, default_model, model_files, safetensors, sha256


def zip_of(files, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return out.getvalue()


def tar_of(files, mode="w:gz", extra=()):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for entry in extra:
            archive.addfile(entry)
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def below(folder, files):
    return {f"{folder}/{path}": content for path, content in files.items()}


class ImportTest(StoreTest):
    def setUp(self):
        super().setUp()
        self.files = model_files()

    def write_folder(self, name, files):
        for path, content in files.items():
            os.makedirs(os.path.dirname(self.path(f"{name}/{path}")), exist_ok=True)
            self.path(f"{name}/{path}", content)
        return self.path(name)

    def refuse(self, name, content, says, *args, **kwargs):
        path = self.path(name, content)
        self.expect(1, "import", path, *args, says=says, **kwargs)
        self.assert_nothing_left()
        self.assertFalse(os.path.exists(self.path("evil")))


class Kinds(ImportTest):
    def test_folder(self):
        self.expect(0, "import", self.write_folder("tiny", self.files))
        self.assert_installed("tiny", self.files)

    def test_folder_far_below_with_other_files(self):
        self.write_folder("outer/x/y/tiny", {**self.files, "notes.doc": b"x", "onnx/model.onnx": b"x"})
        self.expect(0, "import", self.path("outer"))
        self.assert_installed("tiny", self.files)

    def test_folder_of_links_as_hub_caches_have(self):
        blobs = self.write_folder("cache/blobs", {sha256(v): v for v in self.files.values()})
        for path, content in self.files.items():
            link = self.path(f"cache/snapshots/tiny/{path}")
            os.makedirs(os.path.dirname(link), exist_ok=True)
            os.symlink(os.path.join(blobs, sha256(content)), link)
        self.expect(0, "import", self.path("cache"))
        self.assert_installed("tiny", self.files)

    def test_archives(self):
        for name, content in {"a.zip": zip_of(self.files), "b.zip": zip_of(self.files, zipfile.ZIP_STORED),
                              "c.tar.gz": tar_of(self.files), "d.tgz": tar_of(self.files),
                              "e.tar": tar_of(self.files, "w"), "f-0.1-py3-none-any.whl":
                              zip_of(below("package/model", self.files)),
                              "g.tgz": tar_of(below(".", self.files))}.items():
            with self.subTest(name):
                self.expect(0, "import", self.path(name, content))
                self.assert_installed(name.split(".")[0] if name[0] != "f" else "f-0.1-py3-none-any", self.files)

    def test_name_and_json(self):
        path = self.path("a.zip", zip_of(below("x", self.files)))
        facts = json.loads(self.expect(0, "import", path, "--name", "me/mine", "--json"))
        self.assertEqual((facts["name"], facts["verified"], facts["source"]), ("me/mine", False, f"import:{path}"))
        self.assert_installed("me/mine", self.files)

    def test_licence_of_the_readme(self):
        self.files["README.md"] = b"---\nlanguage: en\nlicense: bsd-3-clause\n---\nlicense: none\n"
        facts = json.loads(self.expect(0, "import", self.path("a.zip", zip_of(self.files)), "--json"))
        self.assertEqual(facts["license"], "bsd-3-clause")

    def test_nearest_to_the_top_is_the_model(self):
        """A Dense step of sentence-transformers has config and weights of its own."""
        self.files["2_Dense/config.json"] = b"{}"
        self.files["2_Dense/model.safetensors"] = safetensors(1000)
        self.expect(0, "import", self.path("a.zip", zip_of(self.files)))
        self.assert_installed("a", self.files)

    def test_installed_already(self):
        path = self.path("a.zip", zip_of(self.files))
        self.expect(0, "import", path)
        self.expect(1, "import", path, says=["a is installed already", "--replace"])
        self.assertEqual(self.staged(), [])
        self.files["config.json"] = b"{}"
        self.expect(0, "import", self.path("a.zip", zip_of(self.files)), "--replace")
        self.assert_installed("a", self.files)
        self.assertEqual(self.staged(), [])

    def test_left_overs_of_a_killed_import_are_swept(self):
        self.write_folder("models/.staging/import-dead01", {"model.safetensors": b"x"})
        self.expect(0, "import", self.path("a.zip", zip_of(self.files)))
        self.assertEqual(self.staged(), [])

    def test_known_weights_are_known_under_any_name(self):
        """The default model, where this machine has it, by its weights alone."""
        link = self.path("anything")
        os.symlink(default_model(self), link)
        facts = json.loads(self.expect(0, "import", link, "--json"))
        self.assertEqual((facts["name"], facts["verified"]), ("all-MiniLM-L6-v2", True))
        facts = json.loads(self.expect(0, "import", link, "--json", "--name", "mine"))
        self.assertEqual((facts["name"], facts["verified"]), ("mine", True))


class Wrong(ImportTest):
    def test_catalog_name_with_other_weights(self):
        self.refuse("all-MiniLM-L6-v2.zip", zip_of(self.files),
                    ["config.json", "wrong checksum", sha256(self.files["config.json"]), "--name"])

    def test_catalog_name_asked_for(self):
        self.refuse("a.zip", zip_of(self.files), ["all-MiniLM-L6-v2", "wrong checksum"], "--name", "minilm")

    def test_no_model(self):
        self.refuse("a.zip", zip_of({"x.txt": b"x"}), ["holds no model", "config.json and model.safetensors"])
        self.refuse("b.zip", zip_of({"config.json": b"{}", "pytorch_model.bin": b"x"}),
                    ["pytorch_model.bin", "safetensors alone"])

    def test_model_without_tokenizer(self):
        del self.files["tokenizer.json"]
        self.refuse("a.zip", zip_of(self.files), "neither tokenizer.json nor vocab.txt")

    def test_weights_that_were_cut_off(self):
        self.files["model.safetensors"] = self.files["model.safetensors"][:-1000]
        self.refuse("a.zip", zip_of(self.files), "model.safetensors")

    def test_several_models(self):
        self.refuse("a.zip", zip_of({**below("x", self.files), **below("y", self.files)}),
                    ["several models", "x/ and y/"])

    def test_not_there(self):
        self.expect(1, "import", self.path("none.zip"), says=["cannot open", "No such file"])

    def test_no_archive(self):
        self.refuse("a.zip", b"hello" * 1000, "no archive that eleanor reads")
        self.refuse("b.zip", b"", "damaged or truncated")

    def test_bad_name(self):
        for name in ["../x", "a/b/c", "/etc", ".hidden", "a--b", ""]:
            with self.subTest(name):
                self.refuse("a.zip", zip_of(self.files), "is no model name", "--name", name)


class Damaged(ImportTest):
    def test_truncated_zip(self):
        whole = zip_of(self.files)
        for size in [len(whole) - 10, len(whole) // 2, 100]:
            with self.subTest(size):
                self.refuse("a.zip", whole[:size], "damaged or truncated")

    def test_truncated_tar(self):
        for whole in [tar_of(self.files), tar_of(self.files, "w")]:
            with self.subTest():
                self.refuse("a.tgz", whole[:len(whole) // 2], "damaged or truncated")

    def test_changed_byte_in_a_zip(self):
        whole = bytearray(zip_of(self.files))
        whole[len(whole) // 2] ^= 1
        self.refuse("a.zip", bytes(whole), "damaged or truncated")

    def test_every_cut_of_a_small_zip_is_refused(self):
        files = model_files(weights=500)
        whole = zip_of(files)
        for size in range(0, len(whole) - 1, 37):
            self.refuse("a.zip", whole[:size], "damaged or truncated")


class Hostile(ImportTest):
    CLIMBING = {"../evil": "climbs out", "a/../../evil": "climbs out", "/tmp/evil": "is absolute",
                "x/..": "climbs out"}

    def test_paths_in_zip(self):
        for path, says in self.CLIMBING.items():
            with self.subTest(path):
                self.refuse("a.zip", zip_of({**self.files, path: b"x"}), ["is refused", says])

    def test_paths_in_tar(self):
        for path, says in self.CLIMBING.items():
            with self.subTest(path):
                self.refuse("a.tgz", tar_of({**self.files, path: b"x"}), ["is refused", says])

    def test_paths_with_backslashes(self):
        self.refuse("a.zip", zip_of({**self.files, "a\\..\\..\\evil": b"x"}), "climbs out")  # libarchive turns them
        self.refuse("a.tgz", tar_of({**self.files, "a\\..\\..\\evil": b"x"}), "backslash")

    def test_links_and_devices_in_tar(self):
        for kind, says in [(tarfile.SYMTYPE, "a symbolic link"), (tarfile.LNKTYPE, "a hard link"),
                           (tarfile.CHRTYPE, "neither a file nor a folder"),
                           (tarfile.FIFOTYPE, "neither a file nor a folder")]:
            entry = tarfile.TarInfo("vocab.txt")
            entry.type, entry.linkname = kind, "/etc/passwd"
            with self.subTest(says):
                self.refuse("a.tgz", tar_of(self.files, extra=[entry]), ["vocab.txt", says])

    def test_link_that_a_later_entry_writes_through(self):
        entry = tarfile.TarInfo("1_Pooling")
        entry.type, entry.linkname = tarfile.SYMTYPE, self.folder
        self.refuse("a.tgz", tar_of(self.files, extra=[entry]), ["1_Pooling", "a symbolic link"])
        self.assertFalse(os.path.exists(self.path("config.json")))

    def test_link_in_zip(self):
        out = io.BytesIO(zip_of(self.files))
        with zipfile.ZipFile(out, "a") as archive:
            entry = zipfile.ZipInfo("vocab.txt")
            entry.create_system, entry.external_attr = 3, 0o120777 << 16
            archive.writestr(entry, "/etc/passwd")
        self.refuse("a.zip", out.getvalue(), ["vocab.txt", "a symbolic link"])

    def test_same_file_twice(self):
        out = io.BytesIO(zip_of(self.files))
        with self.assertWarns(UserWarning), zipfile.ZipFile(out, "a") as archive:
            archive.writestr("config.json", b"{}")
        self.refuse("a.zip", out.getvalue(), "config.json comes twice")

    def test_zip_bomb(self):
        self.files["model.safetensors"] = bytes(100 << 20)
        self.refuse("a.zip", zip_of(self.files), ["100 times", "zip bomb"])

    def test_tar_bomb(self):
        self.files["model.safetensors"] = bytes(100 << 20)
        self.refuse("a.tgz", tar_of(self.files), ["100 times", "zip bomb"])

    def test_zip_that_hides_its_size(self):
        """The directory says that the weights are small; they unpack to 100 MB."""
        self.files["model.safetensors"] = bytes(100 << 20)
        whole = bytearray(zip_of(self.files))
        size = struct.pack("<I", 100 << 20)
        at = whole.find(size)
        while at >= 0:
            whole[at:at + 4] = struct.pack("<I", 1000)
            at = whole.find(size, at)
        self.refuse("a.zip", bytes(whole), "a.zip")

    def test_tar_that_states_an_absurd_size(self):
        entry = tarfile.TarInfo("model.safetensors")
        entry.size = 1 << 50
        content = gzip.compress(entry.tobuf(tarfile.GNU_FORMAT) + b"x" * 10_000)
        self.refuse("a.tgz", content, "the limit")

    def test_many_entries(self):
        files = {f"d/{i}": b"" for i in range(100_001)}
        self.refuse("a.zip", zip_of({**self.files, **files}, zipfile.ZIP_STORED), "more than 100000 entries")

    def test_limit_of_the_user(self):
        self.refuse("a.zip", zip_of(self.files), ["more than 100000 bytes", "--max-size"], "--max-size", "100kB")
        self.expect(2, "import", self.path("a.zip"), "--max-size", "big", says=["--max-size", "big"])


class FullDisk(ImportTest):
    def test_write_that_fails(self):
        self.refuse("a.zip", zip_of(self.files), ["cannot write", "model.safetensors", "ulimit"],
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)))

    def test_store_that_can_not_be_written(self):
        self.path("models", b"a file where the folder should be")
        self.expect(1, "import", self.path("a.zip", zip_of(self.files)), says=self.path("models"))


if __name__ == "__main__":
    unittest.main()
