#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes char_class.def: what the Hugging Face tokenizer makes of every code point, asked of itself.

Its parts carry Unicode data of several ages (categories of Unicode 8, normal forms of 9, letter case and
words of its compiler), so no one Unicode library agrees with it. The mappings themselves (what a character
decomposes to, its lower case, its combining class) never change once assigned: they come from utf8proc at run
time, and this script checks that the two agree, or writes the difference down.

Needs the packages tokenizers and the shared library utf8proc:  ./char_class.py > char_class.def
"""
import ctypes
import sys

import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

SPACE, PUNCT, CHINESE, OTHER, MARK, NONSTARTER, WORD, DECOMPOSES, UPPER = (1 << i for i in range(9))
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]


def bert(**on):
    off = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return normalizers.BertNormalizer(**{**off, **on}).normalize_str


split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
clean, chinese, strip = bert(clean_text=True), bert(handle_chinese_chars=True), bert(strip_accents=True)
lower, nfd = normalizers.Lowercase().normalize_str, normalizers.NFD().normalize_str
word = Tokenizer(models.WordLevel({"unknown": 0}, unk_token="unknown"))
word.add_tokens([AddedToken("token", single_word=True, normalized=False)])


def classify(c):
    char = chr(c)
    between = "a" + char + "b"
    flags = 0
    pieces = [piece for piece, _ in split(between)]
    if pieces == ["a", "b"]:
        flags |= SPACE
    elif pieces == ["a", char, "b"]:
        flags |= PUNCT
    if clean(between) == "ab":
        flags |= OTHER
    if chinese(between) == "a " + char + " b":
        flags |= CHINESE
    if lower(char) != char:
        flags |= UPPER
    if len(word.encode("token" + char).ids) == 1:  # one unknown word: the added token did not match
        flags |= WORD
    if nfd(char) != char:
        return flags | DECOMPOSES
    if strip(between) == "ab":
        flags |= MARK
    # A combining class over 0 shows by trading places with U+0345 (class 240) or U+0334 (class 1).
    if nfd("\u0345" + char) != "\u0345" + char or nfd(char + "\u0334") != char + "\u0334":
        flags |= NONSTARTER
    return flags


def utf8proc_mappings():
    lib = ctypes.CDLL("libutf8proc.so.2")
    lib.utf8proc_get_property.restype = ctypes.POINTER(ctypes.c_uint16)
    buffer, boundary = (ctypes.c_int32 * 8)(), ctypes.c_int(0)

    def decompose(c):
        stable, compose_none, decomposed = 1 << 1, 0, 1 << 4
        n = lib.utf8proc_decompose_char(c, buffer, 8, stable | compose_none | decomposed, ctypes.byref(boundary))
        return "".join(map(chr, buffer[:n]))

    return decompose, lib.utf8proc_tolower, lambda c: lib.utf8proc_get_property(c)[1]


def main():
    classes = {c: classify(c) for c in CODE_POINTS}
    decompose, tolower, combining = utf8proc_mappings()
    for c, flags in classes.items():
        if flags & DECOMPOSES:
            assert nfd(chr(c)) == decompose(c), f"U+{c:04X} decomposes in another way: write a table for it"
    nonstarters = [c for c, flags in classes.items() if flags & NONSTARTER]
    assert nfd("".join(map(chr, nonstarters))) == "".join(map(chr, sorted(nonstarters, key=combining)))

    print("// SPDX-License-Identifier: Apache-2.0")
    print(f"// Made by char_class.py from tokenizers {tokenizers.__version__}: do not edit.")
    print("// RANGE(first code point << 9 | classes), up to the next; LOWER(first, last, lower case of first)")
    print("// where utf8proc may be older than the tokenizer.")
    row, last = [], None
    for c in range(0x110000):
        flags = classes.get(c, last)
        if flags != last:
            row.append(f"RANGE(0x{c << 9 | flags:08X})")
            last = flags
        if len(row) == 5:
            print(" ".join(row))
            row = []
    print(" ".join(row))

    runs = []
    for c, flags in classes.items():
        low = lower(chr(c))
        if not flags & UPPER or low == chr(tolower(c)):
            continue
        if len(low) > 1:
            assert c == 0x130 and low == "i\u0307", "char_class.c knows of no other"
            continue
        if runs and runs[-1][1] == c - 1 and ord(low) - runs[-1][2] == c - runs[-1][0]:
            runs[-1][1] = c
        else:
            runs.append([c, c, ord(low)])
    for first, final, low in runs:
        print(f"LOWER(0x{first:X}, 0x{final:X}, 0x{low:X})")


if __name__ == "__main__":
    sys.exit(main())
