#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-files: a real tree of files into an index with the real model, and questions whose file is known.

    files.py ELEANOR MODEL [--tree DIR] [--max-file SIZE] [--mode vector|text|hybrid] [--home DIR] [--out FILE] [--note TEXT]

The tree is the machine's documentation, /usr/share/doc; the questions are about files of Debian packages there (bash,
git, util-linux, libboost1.74-doc and others), and those whose file is absent are left out. Beside the tree stands a
folder with one file of our own, which is changed. Runs in turn: the first `index add`; a second, which reads nothing;
one after the file has changed, which reads that alone; then the questions, whose file is to be among the first five.
With --home the index stays there, and a run that was stopped goes on. The last line is one JSON object.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

INDEX, NEAREST = "doc", 5
QUESTIONS = [
    ("What is forbidden in a restricted shell, rbash?", "bash/RBASH"),
    ("How does cal find out the day of the week of a date?", "util-linux/cal.txt"),
    ("Which PAM configuration files do login and su expect?", "util-linux/PAM-configuration.txt"),
    ("How do I run gdb on a program that libtool has wrapped in a script?", "util-linux/howto-debug.txt"),
    ("How are the regression tests of util-linux run?", "util-linux/howto-tests.txt"),
    ("How do I set up agetty for dialing in over a modem?", "util-linux/modems-with-agetty.txt"),
    ("Which commands of util-linux are deprecated and will be removed?", "util-linux/deprecated.txt"),
    ("How often is there a new release of util-linux?", "util-linux/release-schedule.txt"),
    ("How can I add a certificate authority of my own to the trusted ones?", "ca-certificates/README.Debian"),
    ("How do I let others fetch my repositories with a git-daemon on Debian?", "git/README.Debian"),
    ("Which Emacs modules for git are there, now that git-el is gone?", "git/README.emacs"),
    ("Where are shared libraries optimized for my CPU looked for, in the case of openssl?", "openssl/README.optimization"),
    ("Where have the text log files in /var/log gone?", "systemd/README.logs"),
    ("Why should I use man-db instead of the other man program?", "man-db/FAQ"),
    ("In what format does a keyserver answer a search for machines to read?", "gnupg/KEYSERVER"),
    ("What is in the contrib folder of git, and who looks after it?", "git/contrib/README"),
    ("How does mawk differ from other implementations of awk?", "mawk/README"),
    ("What is Boost.Move for?", "libboost1.74-doc/doc/html/move/what_is_boost_move.html"),
    ("On which other libraries does Boost.DLL depend?", "libboost1.74-doc/doc/html/boost_dll/dependencies.html"),
    ("With which compilers was Boost.Align tested?", "libboost1.74-doc/doc/html/align/compatibility.html"),
]


class Index:
    def __init__(self, arguments, home):
        self.program, self.env = arguments.eleanor, {**os.environ, "ELEANOR_HOME": home}
        self.mode = arguments.mode
        self.extra = ["--max-file", arguments.max_file]
        if not os.path.exists(os.path.join(home, "indexes", INDEX)):
            self.call("create", INDEX, "--model", arguments.model)

    def call(self, *words):
        result = subprocess.run([self.program, "index", *words, "--json"], env=self.env, stdout=subprocess.PIPE, check=False)
        if result.returncode > 1 or not result.stdout:
            sys.exit(f"eleanor index {words[0]} failed")
        return json.loads(result.stdout)

    def add(self, what, *paths):
        """The summary of `index add`, with the failures counted by kind."""
        begin = time.monotonic()
        summary = self.call("add", INDEX, *paths, "--update", *self.extra)
        summary["seconds"] = round(time.monotonic() - begin, 2)
        kinds = [failure["kind"] for failure in summary["failed"]]
        summary["failed"] = {kind: kinds.count(kind) for kind in set(kinds)}
        print(f"{what}: {json.dumps(summary)}", flush=True)
        return summary

    def rank(self, question, path):
        """The place of the first part of that file among the results, from 1; None when it is not there."""
        found = self.call("query", INDEX, question, "-k", "50", "--mode", self.mode)
        ids = [result["id"] for result in found["results"]]
        return ids.index(path) + 1 if path in ids else None


def ask(index, tree):
    ranks = {}
    for question, name in QUESTIONS:
        path = os.path.join(tree, name)
        if not os.path.exists(path):
            print(f"  left out, {name} is not here")
            continue
        ranks[name] = index.rank(question, os.path.realpath(path))
        print(f"  {ranks[name] or '-':>2}  {question}", flush=True)
    return ranks


def measure(arguments, home):
    tree, own = os.path.realpath(arguments.tree), os.path.join(home, "own")
    os.makedirs(own, exist_ok=True)
    changing = pathlib.Path(own, "changing.txt")
    changing.write_text("Before it was changed.")
    index = Index(arguments, home)
    first = index.add("first", tree, own)
    time.sleep(1.1)  # until the clock tells that file's last change from the next
    settled = index.add("stamps", tree, own)
    second = index.add("second", tree, own)
    changing.write_text("After it was changed.")
    changed = index.add("one changed", tree, own)
    ranks = ask(index, tree)
    found = sum(1 for rank in ranks.values() if rank and rank <= NEAREST)
    print(f"{found} of {len(ranks)} among the first {NEAREST}")
    result = {"bench": "files", "note": arguments.note, "tree": tree, "max_file": arguments.max_file, "mode": arguments.mode,
              "first": first,
              "settled": settled, "second": second, "changed": changed, "questions": len(ranks), "nearest": NEAREST,
              "found": found, "ranks": ranks}
    good = second["read"] == 0 and changed["read"] == 1 and changed["changed"] == 1 and found == len(ranks)
    return result, good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("eleanor")
    parser.add_argument("model")
    parser.add_argument("--tree", default="/usr/share/doc")
    parser.add_argument("--max-file", default="4k")
    parser.add_argument("--mode", default="hybrid", choices=["vector", "text", "hybrid"])
    parser.add_argument("--home")
    parser.add_argument("--out")
    parser.add_argument("--note", default="")
    arguments = parser.parse_args()
    if not os.path.isdir(arguments.tree):
        sys.exit(f"SKIPPED: {arguments.tree} is not here")
    with tempfile.TemporaryDirectory() as folder:
        result, good = measure(arguments, arguments.home or folder)
    text = json.dumps(result)
    if arguments.out:
        pathlib.Path(arguments.out).write_text(text + "\n")
    print(text)
    sys.exit(not good)


if __name__ == "__main__":
    main()
