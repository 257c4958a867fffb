"""DPR against what the original code wrote; largest errors are printed (-s)."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from anisotropy.collection import Document, Query
from anisotropy.encoders import Encoder, open_encoder
from anisotropy.encoders.wordpiece import WordPieceTokenizer
from anisotropy.untrusted.arrays import open_pickled
from tests.encoders.test_oracle import PLAIN, UNIT, embedding_cache, report

pytestmark = pytest.mark.oracle

LENGTHS = {"max_query_length": 64, "max_document_length": 64}
QUERIES = {
    "train-query": "nq-train.json",
    "dev-query": "nq-dev.json",
    "dev-query-trivia": "trivia-dev.json",
    "test-query": "nq-test.csv",
    "trivia-test-query": "trivia-test.csv",
    "dev-qas-query": "nq-dev.csv",
    "trivia-dev-qas-query": "trivia-dev.csv",
}


def bert(oracle: Path) -> Path:
    return oracle / "checkpoints" / "dpr" / "bert-base-uncased"


def dpr(oracle: Path, name: str = "nq.cp", **options: object) -> Encoder:
    path = oracle / "checkpoints" / "dpr" / name
    return open_encoder(path, backbone=bert(oracle), overrides={**LENGTHS, **options})


def passages(oracle: Path) -> dict[int, Document]:
    with (oracle / "raw" / "dpr" / "psgs_w100.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))[1:]
    return {int(name): Document(name, text, title) for name, text, title in rows}


def questions(path: Path) -> list[Query]:
    if path.suffix == ".json":
        values = [
            item["question"]
            for item in json.loads(path.read_text(encoding="utf-8"))
            if item["positive_ctxs"] and item["hard_negative_ctxs"]  # upstream drops the others
        ]
    else:
        with path.open(encoding="utf-8", newline="") as file:
            values = [row[0] for row in csv.reader(file, delimiter="\t")]
    return [Query(str(number), text) for number, text in enumerate(values)]


def test_every_text_case(oracle: Path) -> None:
    tokenizer = WordPieceTokenizer.from_file(bert(oracle) / "vocab.txt")
    cases = json.loads((oracle / "tokenization" / "bert_cases.json").read_text())
    assert len(cases) == 9
    for case in cases:
        for length in (20, 64):
            text, pair = [case["text"]], case["pair"]
            found = (
                tokenizer.encode(text, length)
                if pair is None
                else tokenizer.encode_pairs(text, [pair], length)
            )
            assert found == [case[f"ids_max{length}"]], case


@pytest.mark.parametrize("side", ["queries", "documents"])
@pytest.mark.parametrize("l2", [False, True])
def test_forward(oracle: Path, side: str, l2: bool) -> None:
    given = np.load(oracle / "model" / "dpr_inputs.npz")
    encoder = dpr(oracle, normalize=l2)
    compared = 0
    for repository in ("ance", "dance"):
        wanted = np.load(oracle / "model" / f"dpr_outputs_{repository}.npz")
        names = (
            {"query_ids": "query_emb", "neg_query_ids": "neg_query_emb"}
            if side == "queries"
            else {"pos_ids": "pos_body_emb", "neg_ids": "neg_body_emb"}
        )
        for ids, name in names.items():
            key = name + ("_l2" if l2 else "")
            if key in wanted:
                got = encoder.encode_tokens(side, given[ids].tolist())[0]  # type: ignore[arg-type]
                report(f"{repository} {key}", got, wanted[key], UNIT if l2 else PLAIN)
                compared += 1
    assert compared == (2 if l2 else 4)


@pytest.mark.parametrize("cache", ["ance_dpr_nq_L64", "dance_dpr_nq_L64"])
def test_caches(oracle: Path, cache: str) -> None:
    folder, raw = oracle / "cache" / cache, oracle / "raw" / "dpr"
    encoder = dpr(oracle)
    ids, padding = embedding_cache(folder / "passages")
    offsets = dict(
        map(int, line.split("\t")) for line in (folder / "pid2offset").read_text().splitlines()
    )
    found = passages(oracle)
    assert set(found) == set(offsets)
    assert {id for row in padding for id in row} == {0}
    for name, offset in offsets.items():
        assert encoder.tokenize("documents", [found[name]]) == [ids[offset]], name
    compared = 0
    for name, file in QUERIES.items():
        if (folder / name).is_file():
            wanted, _ = embedding_cache(folder / name)
            assert encoder.tokenize("queries", questions(raw / file)) == wanted, name
            compared += 1
    assert compared >= 4


def ranks(folder: Path, name: str, step: str, kind: str) -> np.ndarray:
    paths = sorted(folder.glob(f"{name}_{step}__{kind}_p__data_obj_*"))
    assert len(paths) == 2, paths
    return np.concatenate([np.load(p) if p.suffix == ".npy" else open_pickled(p) for p in paths])


ANCE_SETS = {"query": "train-query", "dev_query": "trivia-test-query"}  # written over NQ's
DANCE_SETS = {
    "query": "train-query",
    "dev_query": "test-query",
    "trivia_dev_query": "trivia-test-query",
    "real-dev_query": "dev-qas-query",
    "trivia_real-dev_query": "trivia-dev-qas-query",
}


@pytest.mark.parametrize(
    ("dump", "cache", "step", "sets"),
    [
        ("ance_head_dpr_npy", "ance_dpr_nq_L64", "0", ANCE_SETS),
        ("dance_dpr_dual_pb", "dance_dpr_nq_L64", "checkpointsdprnq.cp", DANCE_SETS),
    ],
)
def test_encoded_texts_are_the_dumped_vectors(
    oracle: Path, dump: str, cache: str, step: str, sets: dict[str, str]
) -> None:
    folder, raw, encoder = oracle / "dumps" / dump, oracle / "raw" / "dpr", dpr(oracle)
    lines = (oracle / "cache" / cache / "pid2offset").read_text().splitlines()
    by_offset = {int(offset): int(name) for name, offset in (line.split("\t") for line in lines)}
    items = {name: questions(raw / QUERIES[file]) for name, file in sets.items()}
    found = passages(oracle)
    items["passage"] = [found[name] for _, name in sorted(by_offset.items())]
    for name, texts in items.items():
        side = "documents" if name == "passage" else "queries"
        got = encoder.encode_tokens(side, encoder.tokenize(side, texts))[0]
        offsets = ranks(folder, name, step, "embid")
        assert len(offsets) == len(texts)
        report(f"{dump} {name}", got[offsets], ranks(folder, name, step, "emb"), PLAIN)


@pytest.mark.parametrize("name", ["nq.cp", "checkpoint-40"])
def test_both_files_of_the_original(oracle: Path, name: str) -> None:
    encoder = dpr(oracle, name)
    assert (encoder.files.layout, encoder.dim) == ("dpr", 48)
    assert encoder.step == (40 if name == "checkpoint-40" else None)
    keys = encoder.summary()["keys"]
    assert (len(keys["used"]), len(keys["unused"])) == (74, 4)
    assert not keys["unexpected"]
    assert not keys["missing"]


@pytest.mark.parametrize("cache", ["ance_dpr_nq_L64", "dance_dpr_nq_L64"])
def test_given_token_ids_are_those_of_the_texts(oracle: Path, cache: str) -> None:
    from anisotropy.collection import open_collection

    encoder = dpr(oracle)
    collection = open_collection(oracle / "cache" / cache)
    given, texts = list(collection.documents()), passages(oracle)
    own = [texts[int(document.doc_id)] for document in given]
    assert encoder.tokenize("documents", given) == encoder.tokenize("documents", own)
    asked = collection.queries("test")
    own_asked = questions(oracle / "raw" / "dpr" / "nq-test.csv")
    assert encoder.tokenize("queries", asked) == encoder.tokenize("queries", own_asked)
    short = dpr(oracle, max_document_length=20)
    assert short.tokenize("documents", given) == short.tokenize("documents", own)
