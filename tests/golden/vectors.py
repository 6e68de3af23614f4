#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The reference for sentence vectors: sentence-transformers in fp32, from PyPI packages.

    pip install sentence-transformers scipy
    vectors.py write MODEL_DIR STS_CSV    writes minilm.f16 and minilm.json beside this script
    vectors.py check MODEL_DIR STS_CSV ELEANOR [PRECISION...]
                                          compares every text with `ELEANOR embed`, at each precision

minilm.f16 holds the vectors of a sample of the texts ([sample][384] float16, little-endian): every ninth
sentence of sts-test.csv in reading order, then every tenth of the long texts (sixteen sentences joined by
spaces). Half precision moves a cosine by about 1e-8, a thousandth of what the test allows.
"""
import csv
import json
import pathlib
import subprocess
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
SENTENCE_STEP, LONG_STEP, LONG_JOIN = 9, 10, 16


def read_sts(path):
    """Sentences in reading order (two a line), and the human score of each pair."""
    rows = list(csv.reader(open(path, encoding="utf-8"), delimiter="\t", quoting=csv.QUOTE_NONE))
    return [sentence for row in rows for sentence in row[5:7]], [float(row[4]) for row in rows]


def join_long(sentences):
    return [" ".join(sentences[i : i + LONG_JOIN]) for i in range(0, len(sentences) - LONG_JOIN + 1, LONG_JOIN)]


def spearman(vectors, scores):
    from scipy.stats import spearmanr

    return float(spearmanr((vectors[0::2] * vectors[1::2]).sum(1), scores).statistic)


def reference(model_dir, texts):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(model_dir, device="cpu").encode(texts, batch_size=64).astype(np.float32)


def write(model_dir, sts):
    sentences, scores = read_sts(sts)
    long_texts = join_long(sentences)
    vectors = reference(model_dir, sentences + long_texts)
    short, long = vectors[: len(sentences)], vectors[len(sentences) :]
    sample = np.concatenate([short[::SENTENCE_STEP], long[::LONG_STEP]])
    sample.astype("<f2").tofile(HERE / "minilm.f16")
    import sentence_transformers
    import torch

    facts = {
        "model": "all-MiniLM-L6-v2",
        "sentences": len(sentences),
        "long_texts": len(long_texts),
        "spearman": spearman(short, scores),
        "made_with": f"sentence-transformers {sentence_transformers.__version__}, torch {torch.__version__}, fp32",
    }
    (HERE / "minilm.json").write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps(facts))


def ours(eleanor, model_dir, precision, texts):
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    command = [eleanor, "embed", "--model", model_dir, "--precision", precision, "--format", "f32", "--field", "text"]
    out = subprocess.run(command, input=lines.encode(), stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(out, "<f4").reshape(len(texts), -1)


def check(model_dir, sts, eleanor, precisions):
    sentences, scores = read_sts(sts)
    texts = sentences + join_long(sentences)
    expected = reference(model_dir, texts)
    rank = spearman(expected[: len(sentences)], scores)
    failed = 0
    for precision in precisions:
        got = ours(eleanor, model_dir, precision, texts)
        cosine = (got * expected).sum(1) / np.linalg.norm(got, axis=1) / np.linalg.norm(expected, axis=1)
        worst, shift = float(cosine.min()), abs(spearman(got[: len(sentences)], scores) - rank)
        passed = worst >= (0.99999 if precision == "fp32" else 0.999) and shift <= 0.0005
        failed += not passed
        print(f"{precision}: worst cosine {worst:.7f}, mean {cosine.mean():.7f}, Spearman off by {shift:.6f}: "
              f"{'pass' if passed else 'FAIL'}")
    print(f"{len(precisions) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "write":
        write(*sys.argv[2:])
    elif len(sys.argv) >= 5 and sys.argv[1] == "check":
        sys.exit(check(*sys.argv[2:5], sys.argv[5:] or ["fp32"]))
    else:
        sys.exit(__doc__)
