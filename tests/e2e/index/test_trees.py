# SPDX-License-Identifier: Apache-2.0
"""Trees of files: what .gitignore leaves out, as git itself says; each kind of file; and files that no program
should trust."""
import bz2
import gzip
import lzma
import os
import random
import shutil
import subprocess
import unittest

from indextest import IndexTest

TEXT = "the cat sat on the mat ."


class Trees(IndexTest):
    def setUp(self):
        super().setUp()
        self.create()

    def would_add(self, *args):
        """The paths below the tree that `--dry-run` names, sorted."""
        lines = self.index("add", "docs", *args, "--dry-run").splitlines()
        root = os.path.realpath(self.path("tree")) + "/"
        return sorted(line[len("add " + root):] for line in lines if line.startswith("add " + root))

    def left_out(self, *args, **kwargs):
        summary = self.json("add", "docs", *args, **kwargs)
        return {reason: count for reason, count in summary["skipped"].items() if count}, summary

    # ---- what is taken ----

    def test_include_exclude_and_ext(self):
        tree = self.tree(a_md="a", b_txt="b", c_c="c", sub__d_md="d", sub__deep__e_txt="e", build__f_txt="f")
        self.path("tree/g.md.gz", gzip.compress(b"g"))
        self.assertEqual(self.would_add(tree, "--ext", "md"), ["a.md", "g.md.gz", "sub/d.md"])
        self.assertEqual(self.would_add(tree, "--ext", "md,c", "--exclude", "sub/"), ["a.md", "c.c", "g.md.gz"])
        self.assertEqual(self.would_add(tree, "--include", "sub/**"), ["sub/d.md", "sub/deep/e.txt"])
        self.assertEqual(self.would_add(tree, "--include", "*.txt", "--exclude", "/build", "--exclude", "e.*"), ["b.txt"])
        self.assertEqual(self.left_out(tree, "--ext", "md")[0], {"excluded": 4})
        self.assertEqual(self.would_add(os.path.join(tree, "c.c"), "--ext", "md"), ["c.c"])  # it was given itself

    def test_hidden_and_ignored(self):
        tree = self.tree(a_txt="a", _b_txt="b", _git__config="c", d_log="d")
        self.path("tree/.gitignore", "*.log\n")
        self.assertEqual(self.would_add(tree), ["a.txt"])
        self.assertEqual(self.would_add(tree, "--hidden"), [".b.txt", ".gitignore", "a.txt"])
        self.assertEqual(self.would_add(tree, "--no-ignore"), ["a.txt", "d.log"])
        self.tree(sub__e_log="e", sub__f_txt="f")
        self.assertEqual(self.would_add(os.path.join(tree, "sub")), ["sub/f.txt"])  # the repository's rules hold in it

    @unittest.skipUnless(shutil.which("git"), "SKIPPED: git is not here")
    def test_gitignore_as_git_reads_it(self):
        draw = random.Random(4)
        names = ["a", "b", "ab", "a.o", "b.o", "x y", "#c", "!d", "build", "docs", "[e]"]
        parts = ["a", "b", "*", "**", "?", "*.o", "a*", "[ab]", "[!a]*", "build", "docs", "x\\ y", "\\#c", "\\!d", "\\[e\\]", "***"]

        def pattern():
            text = "/".join(draw.choice(parts) for _ in range(draw.choice([1, 1, 1, 2, 2, 3])))
            return draw.choice(["", "", "", "!", "/"]) + text + draw.choice(["", "", "", "/", "  "])

        for _ in range(12):
            shutil.rmtree(self.path("tree"), ignore_errors=True)
            for _ in range(60):
                path = [draw.choice(names) for _ in range(draw.randint(1, 4))]
                full = self.path("tree/" + "/".join(path))
                try:
                    os.makedirs(os.path.dirname(full), exist_ok=True)
                    with open(full, "x", encoding="utf-8") as file:
                        file.write("text")
                except OSError:
                    pass  # one of the names is a file already, or a folder
            tree = self.path("tree")
            for folder, _, _ in list(os.walk(tree)):
                if folder == tree or draw.random() < 0.3:
                    with open(os.path.join(folder, ".gitignore"), "w", encoding="utf-8") as file:
                        file.write("".join(pattern() + "\n" for _ in range(draw.randint(1, 5))))
            env = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "GIT_CONFIG_NOSYSTEM": "1"}
            subprocess.run(["git", "init", "-q", tree], env=env, check=True)
            listed = subprocess.run(["git", "-C", tree, "ls-files", "-z", "--others", "--exclude-standard"], env=env,
                                    check=True, stdout=subprocess.PIPE).stdout.decode().split("\0")
            expected = sorted(path for path in listed if path and not os.path.basename(path) == ".gitignore")
            self.assertEqual(self.would_add(tree), expected)

    # ---- kinds ----

    def test_each_kind_gives_its_text(self):
        tree = self.tree(page_html="<title>T</title><script>no</script><p>the cat sat<p>on the mat .")
        for name, pack in (("a.txt.gz", gzip.compress), ("b.txt.bz2", bz2.compress), ("c.txt.xz", lzma.compress)):
            self.path("tree/" + name, pack(f"{name} {TEXT}".encode()))
        self.path("tree/d.txt", "\ufeff" + TEXT)
        self.path("tree/e.txt", (TEXT + " é").encode("utf-16"))
        left, summary = self.left_out(tree)
        self.assertEqual((left, summary["added"], summary["unpacked"], summary["converted"]), ({}, 6, 3, 2))
        texts = {os.path.basename(result["id"]): result["text"] for result in self.json("query", "docs", "cat")["results"]}
        self.assertEqual(texts["a.txt.gz"], f"a.txt.gz {TEXT}")
        self.assertEqual(texts["e.txt"], TEXT + " é")
        self.assertIn("the cat sat", texts["page.html"])
        self.assertNotIn("no", texts["page.html"])

    @unittest.skipUnless(shutil.which("pdftotext"), "SKIPPED: pdftotext is not here")
    def test_pdf(self):
        content = b"BT /A 9 Tf 9 9 Td (the quick brown fox) Tj ET"
        pdf = (b"%%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
               b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R/Resources<</Font<</A 5 0 R>>>>>>endobj\n"
               b"4 0 obj<</Length %d>>stream\n%s\nendstream endobj\n"
               b"5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\ntrailer<</Root 1 0 R>>\n" % (len(content), content))
        tree = self.tree(a_pdf=pdf, broken_pdf=b"%PDF-1.4 no more")
        self.path("tree/b.pdf.gz", gzip.compress(pdf))
        summary = self.json("add", "docs", tree, code=1, says="broken.pdf: damaged")
        self.assertEqual((summary["added"], summary["kinds"]["pdf"]), (2, 2))
        self.assertEqual([(os.path.basename(one["path"]), one["kind"]) for one in summary["failed"]], [("broken.pdf", "damaged")])
        self.assertEqual({r["text"] for r in self.json("query", "docs", "fox")["results"]}, {"the quick brown fox"})
        self.env["PATH"] = "/nowhere"
        self.create("other")
        summary = self.json("add", "other", tree)
        self.assertEqual((summary["added"], summary["skipped"]["no_pdftotext"], summary["failed"]), (0, 3, []))
        self.assertIn("package poppler-utils", self.index("add", "other", tree))

    def test_each_kind_is_cut_by_its_structure(self):
        code = "int a;\n\nint f(void) {\n    return 1;\n}\n"
        tree = self.tree(a_md="# Cats\none\n## Dogs\ntwo\n", b_html="<title>T</title><h1>Cats</h1>one<h2>Dogs</h2>two", c_c=code)

        def parts(name, *flags):
            self.json("add", "docs", tree, *flags)
            results = self.json("query", "docs", "cats", "-k", "100")["results"]
            return [r["text"] for r in sorted(results, key=lambda r: r["part"]) if r["id"].endswith(name)]

        self.assertEqual(parts("a.md"), ["Cats\n\none", "Cats > Dogs\n\ntwo"])
        self.assertEqual(parts("b.html"), ["T > Cats\n\none", "T > Cats > Dogs\n\ntwo"])
        self.assertEqual(parts("c.c"), [code.strip()])
        self.assertEqual(parts("a.md", "--chunk", "paragraph"), ["# Cats\none\n## Dogs\ntwo"])  # cut anew, by other rules
        self.assertEqual(parts("c.c", "--chunk", "tokens", "--chunk-tokens", "4", "--chunk-overlap", "0")[0], "int a;\n\nint")
        self.index("add", "docs", tree, "--chunk-tokens", "10000", code=1, says="chunks of 10000 tokens: the model takes")
        self.index("add", "docs", tree, "--chunk-tokens", "4", "--chunk-overlap", "4", code=1, says="an overlap of 4 tokens")
        self.index("add", "docs", tree, "--chunk", "page", code=2, says="--chunk")

    # ---- what has not changed is not read ----

    def test_nothing_is_read_twice(self):
        tree = self.tree(a_txt=TEXT, b_txt="b", c_bin=b"\0\1")
        first = self.json("add", "docs", tree)
        self.assertEqual((first["read"], first["added"]), (3, 2))
        past = os.stat(tree).st_ctime  # a stamp counts once the clock has moved on by a second
        while os.stat(self.path("clock", "x")).st_ctime < past + 1.1:
            subprocess.run(["sleep", "0.1"], check=True)
        self.assertEqual(self.json("add", "docs", tree)["read"], 3)
        again = self.json("add", "docs", tree, "--update")
        self.assertEqual((again["read"], again["unchanged"], again["skipped"]["binary"]), (0, 2, 1))
        self.path("tree/b.txt", "c")  # as long as before
        changed = self.json("add", "docs", tree, "--update")
        self.assertEqual((changed["read"], changed["changed"], changed["unchanged"]), (1, 1, 1))
        self.assertEqual(self.json("add", "docs", tree, "--max-file", "1M")["read"], 3)  # other rules
        self.index("delete", "docs", "--document", os.path.realpath(os.path.join(tree, "a.txt")))
        self.assertEqual(self.json("add", "docs", tree)["added"], 1)  # the index has the last word
        self.path("indexes/docs/files.stamps", "damaged")
        self.assertEqual(self.json("add", "docs", tree)["read"], 3)

    def test_dry_run_changes_nothing(self):
        tree = self.tree(a_txt=TEXT, b_txt="b", c_bin=b"\0\1")
        self.add(tree)
        before = self.stats()
        self.tree(b_txt="changed", d_txt="new")
        os.remove(os.path.join(tree, "a.txt"))
        said = self.index("add", "docs", tree, "--dry-run", "--update")
        root = os.path.realpath(tree)
        self.assertEqual(sorted(said.splitlines()[:4]), [f"add {root}/d.txt", f"change {root}/b.txt", f"remove {root}/a.txt",
                                                         f"skip {root}/c.bin: binary"])
        self.assertIn("1 added, 1 changed, 0 unchanged, 1 removed if this were no --dry-run", said)
        self.assertEqual(self.stats(), before)
        self.assertEqual(self.add(tree, "--update"), (1, 1, 0, 1))

    # ---- files that no program should trust ----

    def test_bombs_pipes_and_endless_files(self):
        tree = self.tree(a_txt=TEXT)
        self.path("tree/bomb.gz", gzip.compress(b"x" * 50_000_000))
        self.path("tree/twice.gz", gzip.compress(gzip.compress(b"twice " + TEXT.encode())))
        self.path("tree/cut.gz", gzip.compress(random.Random(3).randbytes(1000))[:500])
        self.path("tree/deep.html", "<html>" + "<div>" * 100_000)
        os.mkfifo(os.path.join(tree, "pipe"))
        os.mkfifo(os.path.join(tree, ".gitignore"))
        left, summary = self.left_out(tree, "--max-file", "1M", code=1, says=["cut.gz: damaged", "deep.html: damaged",
                                                                             ".gitignore is not a regular file"])
        self.assertEqual(left, {"unpacks_too_large": 1, "links": 1, "hidden": 1})
        self.assertEqual((summary["added"], len(summary["failed"])), (2, 3))
        self.assertEqual(self.left_out("/proc/self/status", "/proc/kallsyms", "--max-file", "10k")[0], {"too_large": 1})

    @unittest.skipUnless(os.geteuid(), "root reads every folder")
    def test_a_folder_that_cannot_be_read_loses_nothing(self):
        tree = self.tree(a_txt=TEXT, sub__b_txt="b")
        self.add(tree)
        os.chmod(os.path.join(tree, "sub"), 0)
        self.addCleanup(os.chmod, os.path.join(tree, "sub"), 0o700)
        summary = self.json("add", "docs", tree, "--update", code=1, says="Permission denied")
        self.assertEqual((summary["unchanged"], summary["removed"], len(summary["failed"])), (1, 0, 1))


if __name__ == "__main__":
    unittest.main()
