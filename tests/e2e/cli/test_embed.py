# SPDX-License-Identifier: Apache-2.0
"""`eleanor embed`: formats agree, order holds, memory stays, and what is wrong is named."""
import json
import os
import random
import resource
import struct
import subprocess
import unittest

from harness import BINARY, SANITIZER, TIMEOUT, ModelTest

DIM = 64  # of the tiny model


class EmbedTest(ModelTest):
    def embed(self, *args, code=0, **kwargs):
        return self.expect(code, "embed", "--model", self.model, *args, **kwargs)

    def vectors(self, *args, **kwargs):
        """One bytes object per text: bits, not numbers, are compared."""
        raw = self.embed("--format", "f32", *args, **kwargs)
        size = 4 * DIM
        self.assertEqual(len(raw) % size, 0)
        return [raw[i:i + size] for i in range(0, len(raw), size)]


class Formats(EmbedTest):
    TEXTS = "hello\nthe quick brown fox\nhello world\n"

    def test_json_lines(self):
        lines = [json.loads(line) for line in self.embed(stdin=self.TEXTS).splitlines()]
        self.assertEqual([line["index"] for line in lines], [0, 1, 2])
        for line, raw in zip(lines, self.vectors(stdin=self.TEXTS)):
            self.assertEqual(set(line), {"index", "embedding"})
            self.assertEqual(struct.pack(f"<{DIM}f", *line["embedding"]), raw)  # each float reads back the same

    def test_numpy(self):
        path = self.path("v.npy")
        self.assertEqual(self.embed("--format", "npy", "--output", path, stdin=self.TEXTS), b"")
        with open(path, "rb") as file:
            content = file.read()
        self.assertEqual(content[:8], b"\x93NUMPY\x01\x00")
        length = struct.unpack("<H", content[8:10])[0]
        self.assertEqual((10 + length) % 64, 0)
        self.assertEqual(eval(content[10:10 + length], {}),
                         {"descr": "<f4", "fortran_order": False, "shape": (3, DIM)})
        self.assertEqual(content[10 + length:], b"".join(self.vectors(stdin=self.TEXTS)))

    def test_numpy_into_a_redirected_file(self):
        with open(self.path("v.npy"), "w+b") as file:
            self.embed("--format", "npy", stdin="a\nb\n", stdout=file)
            file.seek(0)
            self.assertIn(f"(2, {DIM})".encode(), file.read())

    def test_numpy_of_nothing(self):
        path = self.path("v.npy")
        self.embed("--format", "npy", "-o", path, stdin="")
        with open(path, "rb") as file:
            self.assertIn(f"(0, {DIM})".encode(), file.read())

    def test_numpy_into_a_pipe_is_refused(self):
        self.embed("--format", "npy", stdin="a\n", code=1, says=["pipe", "--output", "--format f32"])


class Inputs(EmbedTest):
    def test_files_arguments_and_standard_input_in_order(self):
        one, two = self.path("one", "b\nc\n"), self.path("two", "e")
        self.assertEqual(self.vectors("--text", "a", one, "-", two, stdin="d\n"), self.vectors(stdin="a\nb\nc\nd\ne\n"))

    def test_a_field_of_json_lines(self):
        lines = self.path("x.jsonl", '{"id": 1, "body": "a"}\n\n{"body": "b\\nc \\u00e9"}\r\n')
        whole = self.path("whole", "b\nc é")
        self.assertEqual(self.vectors("--field", "body", lines), self.vectors("--text", "a") +
                         self.vectors("--whole", whole))

    def test_whole_files(self):
        one, two = self.path("one", "a\nb\n"), self.path("two", "")
        self.assertEqual(len(self.vectors("--whole", one, two)), 2)
        self.assertEqual(self.vectors("--whole", stdin="a\nb\n"), self.vectors("--whole", one))

    def test_line_n_is_vector_n(self):
        got = self.vectors(stdin="a\n\nb\r\nc")
        self.assertEqual(len(got), 4)
        self.assertEqual([got[0], got[2], got[3]], [self.vectors("--text", t)[0] for t in "abc"])

    def test_odd_bytes_have_a_vector(self):
        self.assertEqual(len(self.vectors(stdin=b"\xff\xfe\n\x00\n\xed\xa0\x80\n" + "é\U0001f600\n".encode())), 4)

    def test_the_same_bits_in_any_company_and_order(self):
        words = [" ".join(random.Random(i).choices(["the", "quick", "brown", "fox", "x", "é"], k=1 + i % 60))
                 for i in range(500)]
        got = dict(zip(words, self.vectors(stdin="\n".join(words))))
        shuffled = random.Random(1).sample(words, len(words))
        for threads in ("1", "2", "3", "4"):
            self.assertEqual(self.vectors("--threads", threads, stdin="\n".join(shuffled)), [got[w] for w in shuffled])
        for word in words[:20]:
            self.assertEqual(self.vectors("--text", word), [got[word]])

    def test_a_slow_writer_gets_answers_at_once(self):
        process = subprocess.Popen([BINARY, "embed", "--model", self.model], env=self.env, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
        with process:
            for index in range(3):
                process.stdin.write(b"hello\n")
                process.stdin.flush()
                self.assertEqual(json.loads(process.stdout.readline())["index"], index)
            process.stdin.close()
        self.assertEqual(process.returncode, 0)

    @unittest.skipIf(SANITIZER, "a sanitizer's memory is not the program's")
    def test_memory_does_not_grow_with_the_input(self):
        def peak(count):
            lines = self.path("lines", "the quick brown fox jumps over the lazy dog\n" * count)
            pid = os.posix_spawn(BINARY, [BINARY, "embed", "--model", self.model, "--format", "f32", "--output",
                                          "/dev/null", lines], self.env)
            _, status, usage = os.wait4(pid, 0)
            self.assertEqual(status, 0)
            return usage.ru_maxrss  # KiB
        self.assertLess(peak(100_000), peak(5_000) + 8 * 1024)


class Shares(EmbedTest):
    """Each process takes a run of the texts: together, in the order of their ranks, they write what one writes."""

    def parts(self, size, *args):
        """What each share prints; and what one process does."""
        return [self.embed(*args, "--shard", f"{i}/{size}") for i in range(size)], self.embed(*args)

    def expect_whole(self, size, *args):
        parts, whole = self.parts(size, *args)
        self.assertEqual(b"".join(parts), whole)
        return parts

    def test_lines_of_files(self):
        first = self.path("a.txt", "".join(f"line {i}\n" for i in range(50)) + "\n\nno newline at the end")
        empty, second = self.path("empty.txt", ""), self.path("b.txt", "x\r\n" * 20)
        for size in (2, 5):
            parts = self.expect_whole(size, "--text", "before all", first, empty, second)
            self.assertTrue(all(parts))
        self.expect_whole(3, "--format", "f32", first, second)
        few = self.path("few.txt", "y\n" * 3)
        self.assertEqual(sum(1 for part in self.expect_whole(8, few) if part), 3)  # more shares than texts
        self.expect_whole(2, "--text", "no file")
        self.expect_whole(2, empty)

    def test_json_lines_and_whole_files(self):
        lines = self.path("a.jsonl", "".join(f'{{"body": "text {i}"}}\n\n' for i in range(30)))
        self.expect_whole(4, "--field", "body", lines)
        files = [self.path(f"{i}.txt", "text\n" * (i % 3)) for i in range(12)]
        self.expect_whole(5, "--whole", *files)

    def test_a_bad_line_of_another_share(self):
        lines = self.path("a.jsonl", "none\n" + "".join(f'{{"body": "text {i}"}}\n' for i in range(30)))
        self.embed("--field", "body", lines, "--shard", "0/2", code=1, says="a.jsonl:1")
        self.embed("--field", "body", lines, "--shard", "1/2")

    def test_files_of_a_launcher(self):
        texts = self.path("a.txt", "".join(f"line {i}\n" for i in range(40)))
        out = self.path("v.jsonl")
        for rank in range(11):
            env = {"PMI_RANK": str(rank), "PMI_SIZE": "11"}
            self.embed(texts, "-o", out, env=env, says=f"share {rank} of 11 (PMI)")
        parts = sorted(name for name in os.listdir(self.folder) if ".part-" in name)
        self.assertEqual((parts[2], parts[10]), ("v.jsonl.part-02-of-11", "v.jsonl.part-10-of-11"))
        self.assertEqual(subprocess.check_output(f"cat '{out}'.part-*", shell=True), self.embed(texts))
        self.embed(texts, env=env, code=1, says="--output")

    def test_what_cannot_be_shared(self):
        self.embed("--shard", "0/2", code=1, says="can't be shared", stdin="a\n")
        self.embed("--shard", "2/2", "--text", "x", code=1, says="from 0 to 1")


class BadInput(EmbedTest):
    def test_bad_json_lines_are_named(self):
        for line, says in [("{", ":2"), ("[1]", "a JSON object is wanted"), ('{"txt": "a"}', 'no field "text"'),
                           ('{"text": 1}', 'the field "text"'), ('{"text": "\\ud800"}', ":2"), ("nonsense", ":2")]:
            path = self.path("x.jsonl", '{"text": "a"}\n' + line + "\n")
            self.embed("--field", "text", path, code=1, says=[f"{path}:2", says])

    def test_standard_input_has_lines_too(self):
        self.embed("--field", "text", stdin="{\n", code=1, says="standard input:1")

    def test_a_missing_file_is_named_before_the_model_is_loaded(self):
        self.expect(1, "embed", "--model", "/nonexistent", "/no/such/file", says="/no/such/file: No such file")

    def test_a_folder_is_no_text(self):
        self.embed(self.folder, code=1, says=[self.folder, "folder"])

    def test_a_text_over_the_limit(self):
        path = self.path("long", b"x" * (65 << 20))
        self.embed(path, code=1, says=[f"{path}:1", "64 MiB"])

    def test_an_unknown_model_is_named(self):
        self.expect(1, "embed", "--model", "no-such-model", "--text", "a", says=["no-such-model", "eleanor pull"])

    def test_a_default_model_that_is_not_installed(self):
        self.expect(1, "embed", "--text", "a", says=["all-MiniLM-L6-v2", "eleanor pull"])

    def test_a_broken_model_is_named(self):
        for name, content, says in [("config.json", b"{", "config.json"),
                                    ("config.json", b'{"model_type": "mamba"}', "bert"),
                                    ("model.safetensors", b"short", "model.safetensors")]:
            copy = os.path.join(self.folder, "model")
            subprocess.run(["cp", "-r", self.model, copy], check=True)
            self.path(os.path.join("model", name), content)
            self.expect(1, "embed", "--model", copy, "--text", "a", says=says)
            subprocess.run(["rm", "-r", copy], check=True)

    def test_an_unknown_prompt(self):
        self.embed("--prompt", "nonsense", "--text", "a", code=1, says="nonsense")


class BadOutput(EmbedTest):
    def test_a_full_disk(self):
        for fmt in ("jsonl", "f32"):
            self.embed("--format", fmt, "--output", "/dev/full", stdin="a\n", code=1,
                       says="can't write to /dev/full: No space left on device")
            with open("/dev/full", "wb") as full:
                self.embed("--format", fmt, stdin="a\n", stdout=full, code=1,
                           says="can't write to standard output: No space left on device")

    def test_a_disk_that_fills_up_leaves_no_file(self):
        path = self.path("v.f32")

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        self.embed("--format", "f32", "--output", path, stdin="a b c\n" * 5000, code=1, preexec_fn=limit,
                   says=[path, "File too large"])
        self.assertFalse(os.path.exists(path))

    def test_a_reader_that_leaves(self):
        process = subprocess.Popen([BINARY, "embed", "--model", self.model], env=self.env, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.close()
        _, error = process.communicate(b"a b c\n" * 2000, timeout=TIMEOUT)
        self.assertEqual(process.returncode, 1)
        self.assertIn(b"Broken pipe", error)

    def test_a_folder_that_is_not_there(self):
        self.embed("--output", "/nonexistent/v", "--text", "a", code=1, says="/nonexistent/v")

    def test_a_failed_run_leaves_no_file(self):
        path = self.path("v.jsonl")
        self.embed("--field", "text", "--output", path, stdin='{"text":"a"}\n{', code=1)
        self.assertFalse(os.path.exists(path))

    def test_input_is_not_overwritten(self):
        path = self.path("x", "a\n")
        self.embed("--output", path, path, code=1, says="input and output at once")
        with open(path, "rb") as file:
            self.assertEqual(file.read(), b"a\n")


if __name__ == "__main__":
    unittest.main()
