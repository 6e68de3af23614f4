#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-embed: text to vector, eleanor beside sentence-transformers and onnxruntime, taking turns.

    embed.py MODEL_DIR STS_CSV BENCH_EMBED BENCH_MATMUL [--rounds N] [--out FILE]

All use every core. onnxruntime gets the graph that its own transformer optimizer makes and batches sorted by
length; its int8 is quantize_dynamic. Each figure is the best and the median of the rounds; ratios are taken
within this run. The last line is one JSON object.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden"))
from vectors import join_long, read_sts  # noqa: E402

CORES = len(os.sched_getaffinity(0))
ONE_TEXT = "A man with a hard hat is dancing on the roof of a house."
FLOP_PER_TOKEN = 21233664  # the products of MiniLM's six layers: 6 * 2 * (4 * 384^2 + 2 * 384 * 1536)


class Eleanor:
    """Our bench program, kept open and told what to do line by line."""

    def __init__(self, program, model_dir, sts, precision):
        self.process = subprocess.Popen([program, model_dir, sts, precision], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def run(self, work, _texts):
        return self.ask(work)["seconds"]


class SentenceTransformers:
    def __init__(self, model_dir):
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(CORES)
        self.model = SentenceTransformer(model_dir, device="cpu")

    def run(self, work, texts):
        return timed(lambda batch: self.model.encode(batch, batch_size=64), work, texts)


class OnnxRuntime:
    def __init__(self, model_dir, graph):
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = CORES
        self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.names = [entry.name for entry in self.session.get_inputs()]
        self.tokenizer = Tokenizer.from_file(f"{model_dir}/tokenizer.json")
        self.tokenizer.enable_truncation(256)
        self.tokenizer.enable_padding()

    def encode(self, texts, batch_size=32):
        order = np.argsort([-len(text) for text in texts], kind="stable")
        vectors = np.empty((len(texts), 384), np.float32)
        for first in range(0, len(texts), batch_size):
            rows = order[first : first + batch_size]
            encoded = self.tokenizer.encode_batch([texts[row] for row in rows])
            mask = np.array([entry.attention_mask for entry in encoded], np.int64)
            feed = {"input_ids": np.array([entry.ids for entry in encoded], np.int64), "attention_mask": mask,
                    "token_type_ids": np.zeros_like(mask)}
            hidden = self.session.run(None, {name: feed[name] for name in self.names})[0]
            pooled = (hidden * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]
            vectors[rows] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return vectors

    def run(self, work, texts):
        return timed(self.encode, work, texts)


def timed(encode, work, texts):
    """Seconds of one pass; for "one" the median of many calls."""
    if work != "one":
        began = time.perf_counter()
        encode(texts)
        return time.perf_counter() - began
    seconds = []
    for _ in range(60):
        began = time.perf_counter()
        encode(texts)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def export_onnx(model_dir, folder):
    """fp32 graph, fused by onnxruntime's optimizer, and its dynamically quantised form."""
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer
    from transformers import AutoModel

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = AutoModel.from_pretrained(model_dir, attn_implementation="eager").eval()

        def forward(self, input_ids, attention_mask, token_type_ids):
            return self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state

    names = ["input_ids", "attention_mask", "token_type_ids"]
    sample = (torch.ones(2, 8, dtype=torch.int64), torch.ones(2, 8, dtype=torch.int64), torch.zeros(2, 8, dtype=torch.int64))
    plain, fused, int8 = (f"{folder}/{name}.onnx" for name in ("plain", "fused", "int8"))
    axes = {name: {0: "batch", 1: "length"} for name in names + ["last_hidden_state"]}
    torch.onnx.export(Encoder(), sample, plain, input_names=names, output_names=["last_hidden_state"], dynamic_axes=axes,
                      opset_version=17, dynamo=False)
    optimizer.optimize_model(plain, model_type="bert", num_heads=12, hidden_size=384).save_model_to_file(fused)
    quantize_dynamic(fused, int8, weight_type=QuantType.QInt8, extra_options={"DefaultTensorType": 1})
    return fused, int8


def measure(runners, works, rounds):
    """seconds[work][runner] = list, the runners taking turns."""
    seconds = {work: {name: [] for name in runners} for work in works}
    for work, texts in works.items():
        for name, runner in runners.items():
            runner.run(work, texts)  # warm
        for _ in range(rounds):
            for name, runner in runners.items():
                seconds[work][name].append(runner.run(work, texts))
    return seconds


def onednn_rate(program):
    """GFLOP/s of oneDNN's fp32 products on MiniLM's shapes, hot, all cores; 0 where it is not built in."""
    out = subprocess.run([program, "--limit"], stdout=subprocess.PIPE, text=True).stdout.strip().splitlines()
    return json.loads(out[-1]).get("onednn_gflops", 0) if out else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model_dir", "sts", "bench_embed", "bench_matmul"):
        parser.add_argument(name)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    sentences, _ = read_sts(arguments.sts)
    works = {"short": sentences, "long": join_long(sentences), "one": [ONE_TEXT]}

    runners = {}
    for precision in ("fp32", "bf16", "int8"):
        try:
            ours = Eleanor(arguments.bench_embed, arguments.model_dir, arguments.sts, precision)
            ours.ask("memory")
            runners[f"eleanor {precision}"] = ours
        except (json.JSONDecodeError, BrokenPipeError):
            print(f"eleanor {precision}: not on this processor")
    with tempfile.TemporaryDirectory() as folder:
        fused, int8 = export_onnx(arguments.model_dir, folder)
        runners["sentence-transformers fp32"] = SentenceTransformers(arguments.model_dir)
        runners["onnxruntime fp32"] = OnnxRuntime(arguments.model_dir, fused)
        runners["onnxruntime int8"] = OnnxRuntime(arguments.model_dir, int8)
        seconds = measure(runners, works, arguments.rounds)
        limit = onednn_rate(arguments.bench_matmul)

    tokens = {work: runners["eleanor fp32"].ask(work)["tokens"] for work in works}
    report(runners, works, seconds, tokens, limit, arguments.out)


def share_of_limit(tokens, seconds, limit):
    """How near the products alone would come, at oneDNN's hot fp32 rate."""
    return tokens * FLOP_PER_TOKEN / seconds * 1e-9 / limit if limit else None


def report(runners, works, seconds, tokens, limit, out):
    result = {"bench": "embed", "cores": CORES, "onednn_fp32_gflops": limit}
    memory = {name: runner.ask("memory") for name, runner in runners.items() if isinstance(runner, Eleanor)}
    for work, texts in works.items():
        print(f"\n{work}: {len(texts)} texts, {tokens[work]} tokens")
        best = {name: min(values) for name, values in seconds[work].items()}
        median = {name: statistics.median(values) for name, values in seconds[work].items()}
        for name in runners:
            rate = tokens[work] * FLOP_PER_TOKEN / median[name] * 1e-9
            print(f"  {name:28s} {len(texts) / median[name]:9.1f} texts/s (best {len(texts) / best[name]:9.1f}) "
                  f"{tokens[work] / median[name]:9.0f} tokens/s {median[name] / len(texts) * 1e3:8.3f} ms/text {rate:6.0f} GFLOP/s")
        fp32_peers = {name: value for name, value in median.items() if name in ("sentence-transformers fp32", "onnxruntime fp32")}
        peer = min(fp32_peers, key=fp32_peers.get)
        result[work] = {
            "texts": len(texts),
            "tokens": tokens[work],
            "ours": {name: {"texts_per_s": len(texts) / median[name], "best": len(texts) / best[name]} for name in memory},
            "peers": {name: {"texts_per_s": len(texts) / median[name], "best": len(texts) / best[name]} for name in runners if name not in memory},
            "ratio_vs_best": {name: median[peer] / median[name] for name in memory},
            "ratio_vs_best_by_best": {name: min(best[p] for p in fp32_peers) / best[name] for name in memory},
            "ratio_vs_onnxruntime_int8": {name: median["onnxruntime int8"] / median[name] for name in memory},
            "share_of_limit": share_of_limit(tokens[work], best["eleanor fp32"], limit),
            "share_of_limit_by_median": share_of_limit(tokens[work], median["eleanor fp32"], limit),
        }
        print("  against the best fp32 peer: " + ", ".join(f"{name[8:]} {value:.2f}x" for name, value in result[work]["ratio_vs_best"].items()))
    result["memory"] = memory
    result.update({key: result["short"][key] for key in ("ours", "peers", "ratio_vs_best", "share_of_limit")})
    if out:
        pathlib.Path(out).write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
