#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The reference for token ids: the Hugging Face tokenizer, from the PyPI package tokenizers.

    pip install tokenizers
    tokens.py DATA    writes tokens.json, tokens_points.u32 and tokens_sts.u32 beside this script

DATA is the folder with minilm/tokenizer.json, eval/sts-test.csv and tokenizers/ggml-vocab-bert-bge.gguf.inp.

tokens.json       texts (hex bytes of UTF-8, or of what is not) and their ids, with MiniLM's tokenizer and with small
                  ones that are spelt out, for added tokens and their flags
tokens_points.u32 a hash per 256 code points and per tokenizer of POINTS: each code point alone, between letters, and
                  before combining marks. The vocabulary has every code point, so the ids tell the whole normal form
tokens_sts.u32    a hash per sentence of sts-test.csv and per text of the bert-bge file, which can't be copied here

A hash is FNV-1a over the ids, each as four bytes, little-endian.
"""
import json
import pathlib
import random
import struct
import sys

from tokenizers import Tokenizer, __version__

HERE = pathlib.Path(__file__).resolve().parent
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
UNKNOWN, CLS, SEP = 0xD800, 0xD801, 0xD802  # ids that no code point has
CONTINUED = 0x110000  # added to the id of a code point that continues a word

# The normalisers over which every code point is taken; test_tokens.c has the same.
POINTS = [
    dict(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True),
    dict(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False),
    dict(clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=True),
]

TEXTS = [
    "", " ", "\t\n\r", "hello", "Hello, World!", "don't stop-believing...", "unaffable", "ALL CAPS",
    "[CLS] is what [SEP] a user [MASK] may write [UNK]", "[cls] [ SEP ] [SEP][SEP]x[PAD]y", "[SEP", "]]][[[",
    "a\0b", "\0", "a\0[SEP]\0b", "bell\x07 and\x1b[31m escape\x7f", "no\u00adhy\u00adphen", "zero\u200bwidth\u200djoin\ufeffer",
    "line\u2028para\u2029nel\u0085x", "nb\u00a0sp\u2003em\u3000wide", "right\u202eto left", "\ufffd", "a\ufffdb",
    "café", "cafe\u0301", "e\u0301\u0327\u0316x", "\u0301\u0300alone", "A\u030a\u212b\u00c5", "o\u0302\u0301 \u1ed1",
    "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324\u031e\u0349\u035a\u032f\u031e\u0320\u034dA\u036b",
    "\u1e9b\u0323", "\u0344\u0345", "\u0f71\u0f72\u0f74\u0f73", "\U0001d15e\U0001d165\U0001d16d\U0001d165",
    "\u302f\u302e\u1baa\u302e", "İstanbul I ı i", "ΣΊΣΥΦΟΣ ς", "STRASSE straße ẞ", "ﬁﬂﬀ ĳ ǆ", "①②ⅣⅧ",
    "中文 without 空格", "ひらがなカタカナ漢字", "한국어 텍스트", "\u1112\u1161\u11ab\ud55c", "\uf900\U0002f800", "\u4dbf\u4e00\u9fff\ua000",
    "\U00020000\U0002a6df\U0002a6e0\U0002b73f\U0002b740\U0002b81f\U0002b820\U0002ceaf", "Ελληνικά", "Привет, мир! ЙЁ й\u0306",
    "עִבְרִית", "العَرَبِيَّة", "हिन्दी क्षि", "ไทยภาษา", "தமிழ்", "Việt Nam", "ქართული ᲥᲐ", "ᏣᎳᎩ ꭰ", "\U0001f44d\U0001f3fd\U0001f469\u200d\U0001f52c",
    "½ x² € £ ¥ © ™ § ¶ † ‡ ‰", "“smart” ‘quotes’ — dash … dots", "a_b-c.d/e\\f@g#h$i%j^k&l*m(n)o+p=q", "http://example.com/a?b=c&d=e#f",
    "1,234.56 -7 3e8 0x1F", "\U00010400\U0001e900\U00010d50", "\ua7cb\u1c89\ua7dc", "\u08d5\u08e0x\U0001e000", "\U000e0041\U000e007f",
    "\ue000\U000f0000\U0010ffff", "\ufdd0\ufffe\uffff", "a" * 100, "a" * 101, "é" * 100, "e\u0301" * 101, "##ing ##", "x" * 300 + " y",
]  # fmt: skip
BYTES = [
    b"\xff", b"a\xffb", b"\xc3", b"\xc3(", b"\xe2\x82", b"\xe2\x82x", b"\xf0\x9f\x98", b"\xf0\x9f\x98 \x80", b"\xc0\xaf", b"\xe0\x80\xaf",
    b"\xed\xa0\x80\xed\xb0\x80", b"\xf4\x90\x80\x80", b"\xf5\x80", b"\x80\x80", b"caf\xc3\xa9\xe9", b"\xf0\x80\x80\x41", b"[SEP\xff]",
]  # fmt: skip


def fnv(numbers):
    value = 0x811C9DC5
    for byte in struct.pack(f"<{len(numbers)}i", *numbers):
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def wordpiece(vocab, normalizer, added=(), prefix="##", most=100, special=True):
    ends = {"type": "BertProcessing", "sep": ["[SEP]", vocab["[SEP]"]], "cls": ["[CLS]", vocab["[CLS]"]]} if special else None
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": list(added),
        "normalizer": normalizer and {"type": "BertNormalizer", **normalizer}, "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": ends, "decoder": None,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": prefix, "max_input_chars_per_word": most,
                  "vocab": vocab},
    }  # fmt: skip


def points_tokenizer(normalizer):
    vocab = {"[UNK]": UNKNOWN, "[CLS]": CLS, "[SEP]": SEP}
    for c in CODE_POINTS:
        vocab[chr(c)] = c
        vocab["##" + chr(c)] = CONTINUED + c
    return Tokenizer.from_str(json.dumps(wordpiece(vocab, normalizer)))


def point_hashes(normalizer):
    """A hash per block of 256 code points."""
    tokenizer, hashes = points_tokenizer(normalizer), []
    for first in range(0, 0x110000, 256):
        block = [chr(c) for c in range(first, first + 256) if not 0xD800 <= c <= 0xDFFF]
        texts = [text for c in block for text in (c, f"A{c}b", f"e{c}\u0316\u0301{c}")]
        hashes.append(fnv([i for entry in tokenizer.encode_batch(texts) for i in entry.ids]))
    return hashes


def flag_cases(draw):
    """Small tokenizers with added tokens of all flags, and texts made of the same few characters."""
    alphabet, cases = "abcdeAB[]_ é\u0301中\t\u3000-", []
    while len(cases) < 60:
        prefix = draw.choice(["##", "##", "", "_", "x", "中"])
        words = ["[UNK]", "[CLS]", "[SEP]", *"abcde[]_é中-", *(prefix + c for c in "abcde_é"), "ab", "abc", "bcd", prefix + "bc",
                 prefix + "cde", prefix, "a" + prefix + "b"]  # fmt: skip
        vocab = {}
        for word in words:
            vocab.setdefault(word, len(vocab))
        contents = {"".join(draw.choices(alphabet, k=draw.randint(1, 4))) for _ in range(draw.randint(1, 5))}
        added = [
            {"id": 0, "content": content, **{flag: draw.random() < 0.4 for flag in ("single_word", "lstrip", "rstrip", "normalized", "special")}}
            for content in sorted(contents)
        ]
        flags = {flag: draw.random() < 0.7 for flag in ("clean_text", "handle_chinese_chars", "lowercase")}
        normalizer = draw.choice([None, {**flags, "strip_accents": draw.choice([None, True, False])}])
        file = wordpiece(vocab, normalizer, added, prefix, draw.choice([4, 10, 100]), draw.random() < 0.5)
        texts = ["".join(draw.choices(alphabet, k=draw.randint(0, 25))) for _ in range(12)]
        texts += [f"a {c} b{c}{c}  {c}_" for c in contents]
        try:
            case = encode_all(Tokenizer.from_str(json.dumps(file)), [text.encode() for text in texts])
            again = encode_all(Tokenizer.from_str(json.dumps(file)), [text.encode() for text in texts])
        except BaseException:  # tokens made of spaces can make the reference panic
            continue
        if case == again and not refused(added, normalizer):
            cases.append({"tokenizer": file, "texts": case})
    return cases


def refused(added, normalizer):
    """Whether two tokens have one normal form (the reference draws lots then), or one has none."""
    from tokenizers import normalizers

    form = normalizers.BertNormalizer(**normalizer).normalize_str if normalizer else str
    forms = [form(token["content"]) for token in added if token["normalized"]]
    return len(set(forms)) < len(forms) or "" in forms


def encode_all(tokenizer, texts):
    return [[text.hex(), tokenizer.encode(text.decode("utf-8", "replace")).ids] for text in texts]


def main():
    data = pathlib.Path(sys.argv[1])
    minilm = Tokenizer.from_file(str(data / "minilm/tokenizer.json"))
    minilm.no_truncation()
    minilm.no_padding()
    draw = random.Random(20260801)
    planes = ["".join(f"{chr(draw.randrange(plane << 16, (plane + 1) << 16))} " for _ in range(40)) for plane in range(1, 17)]
    planes += ["".join(chr(draw.choice([draw.randrange(0xD800), draw.randrange(0xE000, 0x10000)])) for _ in range(60)) for _ in range(8)]
    samples = [text.encode("utf-8", "surrogatepass") for text in TEXTS + planes] + BYTES
    golden = {"made_by": f"tokens.py, tokenizers {__version__}", "minilm": encode_all(minilm, samples), "cases": flag_cases(draw)}
    rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in golden["minilm"])
    cases = ",\n".join(json.dumps(case, separators=(",", ":")) for case in golden["cases"])
    text = f'{{"made_by": "{golden["made_by"]}",\n"minilm": [\n{rows}\n],\n"cases": [\n{cases}\n]}}\n'
    (HERE / "tokens.json").write_text(text)

    lines = (data / "eval/sts-test.csv").read_text(encoding="utf-8").splitlines()
    texts = [text for line in lines for text in line.split("\t")[5:7]]
    texts += (data / "tokenizers/ggml-vocab-bert-bge.gguf.inp").read_bytes().decode().split("\n__ggml_vocab_test__\n")
    hashes = [fnv(entry.ids) for entry in minilm.encode_batch(texts)]
    (HERE / "tokens_sts.u32").write_bytes(struct.pack(f"<{len(hashes)}I", *hashes))

    hashes = [value for normalizer in POINTS for value in point_hashes(normalizer)]
    (HERE / "tokens_points.u32").write_bytes(struct.pack(f"<{len(hashes)}I", *hashes))


if __name__ == "__main__":
    main()
