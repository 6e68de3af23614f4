#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make gpu-check's golden test and first answer on speed: a model's vectors from the device beside torch's.

    gpu_vectors.py BARE_BERT DEVICE MODEL [--torch cuda:0] [--out FILE] [--note TEXT]

MODEL is a folder as Hugging Face has it (all-MiniLM-L6-v2; weights in fp32 or fp16). The texts are the paragraphs of
this repository's pages. The reference is torch in fp32 on the processor: the least cosine must be 0.99999 in fp32 and
tf32 0.9999, 0.9995 in fp16, 0.999 in bf16. Speed, token ids to vectors: ours in packed batches, torch's BertModel in
the same precision in batches padded and sorted by length, as sentence-transformers makes them, the best of several
sizes; both one batch after the other. The last line is one JSON object; exit 1 when a cosine is too low.
"""
import argparse
import json
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import numpy
import torch
import transformers

LEAST = {"fp32": 0.99999, "tf32": 0.9999, "fp16": 0.9995, "bf16": 0.999}
DTYPES = {"F32": ("f32", 4), "F16": ("f16", 2), "BF16": ("bf16", 2)}
BATCH_TOKENS = 8192
PADDED_SIZES = [32, 128, 512]
COPIES = 8  # of the texts, so that the GPU has something to do


def write_model(model, folder):
    """The weights as tests/golden/bare/plain_tensors.c reads them: the same bytes, an index in plain text."""
    raw = (model / "model.safetensors").read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + size])
    lines, offset = [], 0
    with open(folder / "model.safetensors.bin", "wb") as data:
        for name, entry in header.items():
            if name == "__metadata__" or entry["dtype"] not in DTYPES:
                continue
            begin, end = entry["data_offsets"]
            dtype = DTYPES[entry["dtype"]][0]
            lines.append(f"{name} {dtype} {offset} " + " ".join(map(str, entry["shape"])))
            padding = -(end - begin) % 64
            data.write(raw[8 + size + begin:8 + size + end] + bytes(padding))
            offset += end - begin + padding
    (folder / "model.safetensors.txt").write_text("\n".join(lines) + "\n")
    config = json.loads((model / "config.json").read_text())
    keys = ["vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
            "max_position_embeddings", "type_vocab_size", "layer_norm_eps"]
    (folder / "config.txt").write_text(" ".join(str(config[key]) for key in keys) + "\n")


def read_texts():
    root = pathlib.Path(__file__).resolve().parents[3]
    pages = sorted(root.glob("docs/**/*.md")) + [root / "README.md"]
    return [part for page in pages for part in page.read_text().split("\n\n") if len(part) > 20]


def write_batches(sequences, folder):
    """Packed batches of up to BATCH_TOKENS tokens, in order."""
    batches, tokens = [[]], 0
    for ids in sequences:
        if tokens + len(ids) > BATCH_TOKENS and batches[-1]:
            batches.append([])
            tokens = 0
        batches[-1].append(ids)
        tokens += len(ids)
    flat = []
    for batch in batches:
        flat += [len(batch)] + [len(ids) for ids in batch] + [i for ids in batch for i in ids]
    numpy.array(flat, numpy.int32).tofile(folder / "batches.i32")


class Peer:
    """torch's encoder with mean pooling."""

    def __init__(self, model, device, dtype):
        self.device = torch.device(device)
        self.bert = transformers.BertModel.from_pretrained(model, torch_dtype=dtype, add_pooling_layer=False)
        self.bert.to(self.device).eval()

    @torch.inference_mode()
    def vectors(self, sequences, size):
        order = sorted(range(len(sequences)), key=lambda i: -len(sequences[i]))
        out = [None] * len(sequences)
        for first in range(0, len(order), size):
            rows = order[first:first + size]
            length = max(len(sequences[i]) for i in rows)
            ids = torch.zeros(len(rows), length, dtype=torch.long)
            mask = torch.zeros(len(rows), length, dtype=torch.long)
            for row, i in enumerate(rows):
                ids[row, :len(sequences[i])] = torch.tensor(sequences[i])
                mask[row, :len(sequences[i])] = 1
            ids, mask = ids.to(self.device), mask.to(self.device)
            hidden = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
            weight = mask.unsqueeze(-1).to(hidden.dtype)
            mean = torch.nn.functional.normalize(((hidden * weight).sum(1) / weight.sum(1)).float(), dim=1).cpu().numpy()
            for row, i in enumerate(rows):
                out[i] = mean[row]
        return numpy.stack(out)

    def seconds(self, sequences, size, rounds):
        taken = []
        for _ in range(rounds + 1):
            began = time.perf_counter()
            self.vectors(sequences, size)
            taken.append(time.perf_counter() - began)
        return min(taken[1:]), statistics.median(taken[1:])


def ours(args, precision, folder, rounds):
    done = subprocess.run([args.program, args.device, precision, folder, str(rounds)], capture_output=True, text=True)
    if done.returncode:
        return {"error": done.stderr.strip()}, None
    dim = int((folder / "config.txt").read_text().split()[1])
    return json.loads(done.stdout), numpy.fromfile(folder / "vectors.f32", numpy.float32).reshape(-1, dim)


def compare(args, precision, folder, texts, many, reference):
    write_batches(texts, folder)
    result, vectors = ours(args, precision, folder, 1)
    if vectors is None:
        print(f"{precision}: {result['error']}")
        return {"precision": precision, **result}
    least = float((vectors * reference).sum(1).min())
    row = {"precision": precision, "least_cosine": least, "right": least >= LEAST[precision]}
    print(f"{precision}: least cosine {least:.8f} ({'right' if row['right'] else 'WRONG, must be ' + str(LEAST[precision])})")
    if args.rounds == 0:
        return row
    write_batches(many, folder)
    result, _ = ours(args, precision, folder, args.rounds)
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    peer = Peer(args.model, args.torch, {"fp16": torch.float16, "bf16": torch.bfloat16}.get(precision, torch.float32))
    theirs = {size: peer.seconds(many, size, args.rounds) for size in PADDED_SIZES}
    size = min(theirs, key=lambda key: theirs[key][0])
    row |= {"texts": len(many), "tokens": sum(map(len, many)), "ours": result, "torch_batch": size,
            "torch": {"best": theirs[size][0], "median": theirs[size][1]},
            "ratio": theirs[size][0] / result["best"], "ratio_median": theirs[size][1] / result["median"]}
    print(f"{precision}: {len(many) / result['best']:.0f} texts/s, torch {len(many) / theirs[size][0]:.0f} (batches of "
          f"{size}): {row['ratio']:.2f}x (median {row['ratio_median']:.2f}x)", flush=True)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("device")
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--torch", default="cuda:0")
    parser.add_argument("--rounds", type=int, default=15, help="0: the golden test alone")
    parser.add_argument("--texts", type=int, default=10000, help="at most so many")
    parser.add_argument("--precision", action="append", choices=LEAST)
    parser.add_argument("--out")
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model)
    texts = [tokenizer(text, truncation=True, max_length=256)["input_ids"] for text in read_texts()[:args.texts]]
    reference = Peer(args.model, "cpu", torch.float32).vectors(texts, 32)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_model(args.model, folder)
        rows = [compare(args, precision, folder, texts, texts * COPIES, reference)
                for precision in args.precision or LEAST]
    result = {"bench": "gpu_vectors", "note": args.note, "device": args.device, "rows": rows}
    if args.out:
        pathlib.Path(args.out).write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))
    sys.exit(not all(row.get("right") for row in rows))


if __name__ == "__main__":
    main()
