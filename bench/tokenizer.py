#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Text to token ids: eleanor beside Hugging Face tokenizers (Rust), taking turns.

    tokenizer.py MODEL_DIR STS_CSV BENCH_TOKENIZER [--rounds N] [--out FILE]

Ours runs on one thread; tokenizers by encode_batch_fast on one thread and on all. Both must give as many
tokens. Each figure is the median of the rounds, ratios are taken within this run; the limit is a loop that
looks each byte up in a table and does no more. The last line is one JSON object.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "golden"))
from vectors import join_long, read_sts  # noqa: E402


class Eleanor:
    def __init__(self, program, model_dir, sts):
        self.process = subprocess.Popen([program, model_dir, sts, str(HERE / "tokenizer.txt")], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def run(self, work, _texts):
        self.process.stdin.write(work + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


class HuggingFace:
    def __init__(self, model_dir, parallel):
        from tokenizers import Tokenizer

        self.path, self.parallel = f"{model_dir}/tokenizer.json", parallel
        self.tokenizer = Tokenizer.from_file(self.path)
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()

    def run(self, work, texts):
        os.environ["TOKENIZERS_PARALLELISM"] = self.parallel
        passes, tokens = 0, 0
        began = time.perf_counter()
        while time.perf_counter() - began < 0.2:
            if work == "open":
                type(self.tokenizer).from_file(self.path)
            else:
                encoded = self.tokenizer.encode_batch_fast(texts)
            passes += 1
        seconds = (time.perf_counter() - began) / passes
        if work != "open":
            tokens = sum(len(entry.ids) for entry in encoded)
        return {"seconds": seconds, "tokens": tokens}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model_dir", "sts", "bench_tokenizer"):
        parser.add_argument(name)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    sentences, _ = read_sts(arguments.sts)
    works = {"open": [], "short": sentences, "long": join_long(sentences),
             "world": (HERE / "tokenizer.txt").read_text(encoding="utf-8").splitlines()}
    ours = Eleanor(arguments.bench_tokenizer, arguments.model_dir, arguments.sts)
    runners = {"eleanor, one thread": ours, "tokenizers, one thread": HuggingFace(arguments.model_dir, "false"),
               "tokenizers, all threads": HuggingFace(arguments.model_dir, "true")}

    result = {"bench": "tokenizer", "threads": len(os.sched_getaffinity(0))}
    for work, texts in works.items():
        rounds = [{name: runner.run(work, texts) for name, runner in runners.items()} for _ in range(arguments.rounds)]
        seconds = {name: statistics.median(one[name]["seconds"] for one in rounds) for name in runners}
        tokens = {name: rounds[0][name]["tokens"] for name in runners}
        if work != "open":
            assert len(set(tokens.values())) == 1, f"{work}: token counts differ: {tokens}"
        peer = seconds["tokenizers, one thread"]
        rates = {name: tokens[name] / value if work != "open" else value for name, value in seconds.items()}
        result[work] = {"unit": "seconds" if work == "open" else "tokens/s", "ours": rates["eleanor, one thread"],
                        "peers": {name: rate for name, rate in rates.items() if not name.startswith("eleanor")},
                        "ratio_vs_best": peer / seconds["eleanor, one thread"]}
        for name, value in seconds.items():
            detail = f"{value * 1e3:10.2f} ms" if work == "open" else f"{rates[name] * 1e-6:10.2f} M tokens/s"
            print(f"{work:6s} {name:24s} {detail}")
        print(f"       against one thread of the peer {peer / seconds['eleanor, one thread']:.1f}x, "
              f"against all {seconds['tokenizers, all threads'] / seconds['eleanor, one thread']:.1f}x")
    limit = statistics.median(ours.run("limit", [])["seconds"] for _ in range(arguments.rounds))
    short = ours.run("short", [])
    result["share_of_limit"] = limit / short["seconds"]
    result.update({key: result["short"][key] for key in ("ours", "peers", "ratio_vs_best")})
    if arguments.out:
        pathlib.Path(arguments.out).write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
