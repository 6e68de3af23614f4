#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make bench-ndcg: how good the answers are: nDCG@10 of search by vectors, by words and by both (hybrid).

    ndcg.py ELEANOR MODEL [--sts FILE] [--cranfield FOLDER] [--out FILE] [--note TEXT]

Retrieval sets: from the pairs of STS-Benchmark, where the second sentence of each pair is a document, and a first
sentence asks for those that people found to say the same (a score of 4 or 5); and Cranfield (Cleverdon, 1967: 1,400
abstracts, 225 questions with judgements), a folder with cran.all.1400, cran.qry and cranqrel. Its documents' titles are
metadata, as users would have them.

Documents go to a server's /v1/indexes as texts, questions to its query route. A document's place is that of its best
chunk. By vector, the chunks found are also compared with those that faiss finds among the vectors of the index's own
file. The last line is one JSON object.
"""
import argparse
import csv
import itertools
import json
import math
import os
import pathlib
import re
import sqlite3
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODES = ("vector", "text", "hybrid")
AT = 10
SAME = 4.0  # score of a pair, from 0 to 5
DEPTH = 50  # chunks that are asked for, so that they are of ten documents


class RetrievalSet:
    """documents: {id: text}; questions: [(text, {id: gain})], with at least one document each; titles: {id: title}."""

    def __init__(self, name, documents, questions, titles=None):
        self.name, self.documents, self.questions = name, documents, [(text, of) for text, of in questions if of]
        self.titles = titles or {}


def sts(path, pairs=None):
    """Of the first so many pairs of the file, or of all."""
    documents, questions = {}, {}
    with open(path, encoding="utf-8") as file:
        for row in itertools.islice(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE), pairs):
            score, question, document = float(row[4]), row[5], row[6]
            name = documents.setdefault(document, f"s{len(documents)}")
            if score >= SAME:
                questions.setdefault(question, {})[name] = 1
    return RetrievalSet("sts", {name: text for text, name in documents.items()}, questions.items())


def cranfield(folder):
    def records(name, field):
        text = (pathlib.Path(folder) / name).read_text(encoding="utf-8")
        for record in re.split(r"^\.I ", text, flags=re.MULTILINE)[1:]:
            behind = re.split(rf"^\.{field}\n", record, flags=re.MULTILINE)[1]
            yield record.split("\n", 1)[0].strip(), " ".join(re.split(r"^\.[A-Z]\n", behind, flags=re.MULTILINE)[0].split())

    relevant = {}
    for line in (pathlib.Path(folder) / "cranqrel").read_text(encoding="utf-8").splitlines():
        question, document, grade = line.split()[:3]
        if 1 <= int(grade) <= 4:  # 5 is of no interest
            relevant.setdefault(int(question), {})[document] = 1
    # The judgements count the questions from 1 on, whatever their numbers.
    questions = [(text, relevant.get(i, {})) for i, (_, text) in enumerate(records("cran.qry", "W"), 1)]
    return RetrievalSet("cranfield", dict(records("cran.all.1400", "W")), questions, dict(records("cran.all.1400", "T")))


def ndcg(found, relevant):
    gains = [relevant.get(document, 0) for document in found[:AT]]
    ideal = sorted(relevant.values(), reverse=True)[:AT]
    sums = [sum(gain / math.log2(rank + 2) for rank, gain in enumerate(list_)) for list_ in (gains, ideal)]
    return sums[0] / sums[1]


class Index:
    """A retrieval set in an index of a server (tests/e2e/http/harness.py)."""

    def __init__(self, server, retrieval_set):
        self.server, self.set = server, retrieval_set
        self.post("/v1/indexes", {"name": retrieval_set.name})
        documents = [{"id": name, "text": text, "metadata": {"title": retrieval_set.titles.get(name, "")}}
                     for name, text in retrieval_set.documents.items()]
        for first in range(0, len(documents), 100):
            self.post(f"/v1/indexes/{retrieval_set.name}/documents", {"documents": documents[first : first + 100]})

    def post(self, path, body):
        answer = self.server.ask("POST", path, body)
        if answer.status not in (200, 201):
            raise RuntimeError(answer.body.decode())
        return answer.json()

    def chunks(self, question, mode, k=DEPTH):
        """(document, part) of the chunks that are found, best first."""
        answer = self.post(f"/v1/indexes/{self.set.name}/query", {"text": question, "mode": mode, "k": k})
        return [(result["id"], result["part"]) for result in answer["results"]]

    def ndcg(self, mode):
        found = ((dict.fromkeys(name for name, _ in self.chunks(question, mode)), relevant)
                 for question, relevant in self.set.questions)
        return sum(ndcg(list(documents), relevant) for documents, relevant in found) / len(self.set.questions)


def faiss_lists(index, questions):
    """The chunks that faiss finds for each question, among the vectors of the index's file."""
    import faiss
    import numpy as np

    folder = pathlib.Path(index.server.home.name) / "indexes" / index.set.name
    with sqlite3.connect(folder / "documents.db") as database:
        names = database.execute("SELECT id, part FROM chunks JOIN documents ON number = document ORDER BY row").fetchall()
    asked = index.post("/v1/embeddings", {"input": [question for question, _ in questions]})
    vectors = np.array([entry["embedding"] for entry in asked["data"]], np.float32)
    rows = np.fromfile(folder / "vectors.1", np.float32, offset=4096).reshape(-1, vectors.shape[1])
    flat = faiss.IndexFlatIP(rows.shape[1])
    flat.add(rows[: len(names)])
    return [[names[row] for row in found] for found in flat.search(vectors, AT)[1]], f"faiss {faiss.__version__}"


def measure(server, retrieval_set):
    index, questions = Index(server, retrieval_set), retrieval_set.questions
    lists, peer = faiss_lists(index, questions)
    same = sum(theirs == index.chunks(question, "vector", AT) for (question, _), theirs in zip(questions, lists))
    return {"set": retrieval_set.name, "documents": len(retrieval_set.documents), "questions": len(questions),
            **{f"ndcg@{AT}_{mode}": round(index.ndcg(mode), 4) for mode in MODES},
            "peer": peer, "lists_as_the_peer": same}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("eleanor")
    parser.add_argument("model")
    parser.add_argument("--sts")
    parser.add_argument("--cranfield")
    parser.add_argument("--out")
    parser.add_argument("--note", default="")
    arguments = parser.parse_args()
    os.environ["HTTP_BINARY"] = os.path.abspath(arguments.eleanor)
    sys.path.insert(0, str(ROOT / "tests" / "e2e" / "http"))
    from harness import Server

    sets = [read(path) for read, path in ((sts, arguments.sts), (cranfield, arguments.cranfield)) if path]
    server = Server(arguments.model, "--log-level", "warn")
    try:
        rows = []
        for retrieval_set in sets:
            rows.append(measure(server, retrieval_set))
            print("  ".join(f"{key} {value}" for key, value in rows[-1].items()))
    finally:
        server.close()
    result = json.dumps({"bench": "ndcg", "model": os.path.basename(arguments.model.rstrip("/")), "note": arguments.note,
                         "sets": rows})
    print(result)
    if arguments.out:
        pathlib.Path(arguments.out).write_text(result + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
