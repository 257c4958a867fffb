"""Against dumps, rankings and candidates that the original ANCE and DANCE code wrote."""

from __future__ import annotations

import json
import pickle
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anisotropy.collection import Collection, open_collection
from anisotropy.opening import EncoderOptions, open_space
from anisotropy.spaces import EmbeddingSpace
from anisotropy.spaces.dumps.base import DumpOptions
from anisotropy.spaces.dumps.opening import open_dump
from tests.encoders.test_oracle import read_documents, read_queries

pytestmark = pytest.mark.oracle

PLAIN, UNIT = 1e-5, 1e-6
ROBERTA = {  # dump -> its preprocessed folder, recipe, tolerance
    "dance_firstp_dot": ("dance_doc_L128_Q16", "ance", PLAIN),
    "dance_firstp_l2_dual": ("dance_doc_L128_Q16", "dance", UNIT),
    "dance_maxp_dot": ("dance_doc_L2048_Q64", "ance-maxp", PLAIN),
    "dance_maxp_l2": ("dance_doc_L2048_Q64", "dance-maxp", UNIT),
    "ance_d8a62a7_pb": ("ance_d8a62a7_doc_L128_Q16", "ance", PLAIN),
    "ance_head_npy": ("ance_head_doc_L128_Q16", "ance-head", PLAIN),
}
DPR = {"ance_head_dpr_npy": "ance_dpr_nq_L64", "dance_dpr_dual_pb": "dance_dpr_nq_L64"}
SPLITS = {"real-dev_query": "dev", "dev_query": "test", "query": "train"}


def unpickled(path: Path) -> Any:
    """By the standard library, which our own reading does not use; the files are upstream's."""
    return pickle.loads(path.read_bytes())


def folder_of(oracle: Path, dump: str, split: str | None = None) -> Collection:
    cache = ROBERTA[dump][0] if dump in ROBERTA else DPR[dump]
    return open_collection(oracle / "cache" / cache, split=split)


def opened(oracle: Path, dump: str, split: str) -> EmbeddingSpace:
    return open_dump(
        oracle / "dumps" / dump,
        DumpOptions(split=split),
        collection=folder_of(oracle, dump, split),
    )


def literal(folder: Path, name: str) -> dict[int, list[np.ndarray]]:
    """Vectors of each offset in the order of the files, as upstream's own merging reads them."""
    found = defaultdict(list)
    for path in sorted(folder.glob(f"{name}_*__emb_p__data_obj_*")):
        rows = path.with_name(path.name.replace("__emb_p__", "__embid_p__"))
        pair = [np.load(one) if one.suffix == ".npy" else unpickled(one) for one in (path, rows)]
        for vector, offset in zip(*pair, strict=True):
            found[int(offset)].append(vector)
    return found


def named(space: EmbeddingSpace) -> dict[str, np.ndarray]:
    """Vectors of each document in the order of its chunks."""
    rows = np.asarray(space.documents[:])
    owner = space.document_of_row
    owner = np.arange(len(rows)) if owner is None else owner
    return {name: rows[owner == place] for place, name in enumerate(space.doc_ids)}


@pytest.mark.parametrize("dump", sorted(ROBERTA))
def test_vectors_and_ids(oracle: Path, dump: str) -> None:
    folder, cache = oracle / "dumps" / dump, oracle / "cache" / ROBERTA[dump][0]
    offsets = unpickled(cache / "pid2offset.pickle")
    compared = 0
    for name, split in SPLITS.items():
        if not list(folder.glob(f"{name}_20__emb_p*")):
            continue
        space = opened(oracle, dump, split)
        documents, wanted = named(space), literal(folder, "passage")
        assert len(documents) == len(offsets) == 12
        for doc_id, offset in offsets.items():
            assert np.array_equal(documents[str(doc_id)], np.array(wanted[offset]))
        own = list(cache.glob(f"{name.replace('_', '-')}_qid2offset.pickle"))
        own += list(cache.glob("train-query_qid2offset.pickle")) if name == "query" else []
        shared = cache / "qid2offset.pickle"
        queries = unpickled(own[0]) if own else unpickled(shared) if name == "dev_query" else None
        vectors = literal(folder, name)
        queries = queries or {offset: offset for offset in vectors}
        assert set(space.query_ids) == {str(query) for query in queries}
        rows = dict(zip(space.query_ids, np.asarray(space.queries[:]), strict=True))
        for query, offset in queries.items():
            assert np.array_equal(rows[str(query)], vectors[offset][0])
        assert space.similarity == "dot"
        assert space.recipe["normalize"] == (ROBERTA[dump][2] == UNIT)
        compared += 1
    assert compared == (3 if dump.startswith("dance") else 2)


@pytest.mark.parametrize(
    ("dump", "file", "split"),
    [
        ("dance_firstp_dot", "dev_query_20", "test"),
        ("dance_firstp_dot", "real-dev_query_20", "dev"),
        ("dance_firstp_dot", "ann_training_query_retrieval_0", "train"),
        ("dance_firstp_dot", "ann_training_query_retrieval_1", "train"),
        ("dance_firstp_l2_dual", "dev_query_20", "test"),
        ("dance_firstp_l2_dual", "real-dev_query_20", "dev"),
        ("dance_firstp_l2_dual", "ann_training_query_retrieval_0", "train"),
        ("dance_firstp_l2_dual", "ann_training_query_retrieval_1", "train"),
        ("dance_dpr_dual_pb", "nq-test_checkpointsdprnq.cp", "test"),
        ("dance_dpr_dual_pb", "nq-dev_checkpointsdprnq.cp", "dev-qas"),
    ],
)
def test_rankings(oracle: Path, dump: str, file: str, split: str) -> None:
    space = opened(oracle, dump, split)
    names = folder_of(oracle, dump).preprocessed
    assert names is not None
    queries = next(one.ids for one in names.sets if one.split == split)
    wanted = defaultdict(list)
    for line in (oracle / "dumps" / dump / f"{file}.trec").read_text().splitlines():
        query, _, document, _, score, _ = line.split()
        if names.doc_ids[int(document)] not in [pair[0] for pair in wanted[queries[int(query)]]]:
            wanted[queries[int(query)]].append((names.doc_ids[int(document)], float(score)))
    assert len(wanted) >= 2
    for query, ranked in wanted.items():
        found = space.neighbors(query, k=len(ranked))
        assert list(found.doc_id) == [name for name, _ in ranked]
        assert np.allclose(found.score, [score for _, score in ranked], rtol=1e-4, atol=1e-6)


def test_the_ranking_of_queries_by_documents(oracle: Path) -> None:
    dump, file = "dance_firstp_l2_dual", "d2q-dual-task_real-dev_query_20.trec"
    space = opened(oracle, dump, "dev")
    names = folder_of(oracle, dump).preprocessed
    assert names is not None
    queries = next(one.ids for one in names.sets if one.split == "dev")
    wanted = defaultdict(list)
    for line in (oracle / "dumps" / dump / file).read_text().splitlines():
        document, _, query, _, score, _ = line.split()
        wanted[names.doc_ids[int(document)]].append((queries[int(query)], float(score)))
    documents = named(space)
    for document, ranked in wanted.items():
        scores = np.asarray(space.queries[:]) @ documents[document][0]
        order = np.argsort(-scores)
        assert [space.query_ids[row] for row in order] == [name for name, _ in ranked]
        assert np.allclose(scores[order], [score for _, score in ranked], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("records", "dump"),
    [
        ("dance_firstp_dot", "dance_firstp_dot"),
        ("dance_firstp_l2_dual", "dance_firstp_l2_dual"),
        ("dance_firstp_l2_dual_grouped", "dance_firstp_l2_dual"),
        ("dance_firstp_dot_dual_bm25", "dance_firstp_dot"),
        ("ance_d8a62a7_pb", "ance_d8a62a7_pb"),
        ("ance_head_npy", "ance_head_npy"),
    ],
)
def test_candidates_of_negatives(oracle: Path, records: str, dump: str) -> None:
    space = opened(oracle, dump, "train")
    names = folder_of(oracle, dump).preprocessed
    assert names is not None
    queries = next(one.ids for one in names.sets if one.split == "train")
    documents = named(space)
    paths = sorted((oracle / "dumps" / records).glob("_recorded_negatives_*.json"))
    assert paths
    for path in paths:
        calls = json.loads(path.read_text())["calls"]
        mined = calls["GenerateNegativePassaageID"]
        rows = zip(mined["query_embedding2id"], mined["I_nearest_neighbor"], strict=True)
        for query, found in rows:
            ids = [names.doc_ids[mined["passage_embedding2id"][column]] for column in found]
            assert list(space.neighbors(queries[query], k=len(ids)).doc_id) == ids
        both = calls.get("GenerateNegativeQueryID")
        if not both or both.get("I_nearest_neighbor") is None or "bm25" in records:
            continue
        for document, lists in both["pid2pos_pas_embs_idxs"].items():
            (found,) = {tuple(both["I_nearest_neighbor"][row]) for row in lists}
            scores = np.asarray(space.queries[:]) @ documents[names.doc_ids[int(document)]][0]
            best = [space.query_ids[row] for row in np.argsort(-scores)[: len(found)]]
            assert best == [queries[both["query_embedding2id"][column]] for column in found]


@pytest.mark.parametrize("dump", sorted(ROBERTA))
def test_encoding_the_token_ids_gives_the_dump(oracle: Path, dump: str) -> None:
    cache, recipe, tolerance = ROBERTA[dump]
    collection = open_collection(oracle / "cache" / cache)
    encoded = open_space(
        oracle / "checkpoints" / "roberta", collection, encoder=EncoderOptions(recipe=recipe)
    )
    wanted = open_dump(oracle / "dumps" / dump, collection=collection)
    assert encoded.counts == wanted.counts
    assert (encoded.qrels, encoded.recipe["doubts"]) == (wanted.qrels, [])
    got, documents = named(encoded), named(wanted)
    assert set(got) == set(documents)
    error = max(float(np.abs(got[name] - documents[name]).max()) for name in got)
    for one, other in ((encoded, wanted), (encoded.training, wanted.training)):
        assert one is not None
        assert other is not None
        assert one.qrels == other.qrels
        rows = [other.query_ids.index(name) for name in one.query_ids]
        error = max(error, float(np.abs(one.queries[:] - other.queries[rows]).max()))
    print(f"largest error {dump}: {error:.2e}")
    assert error <= tolerance
    if encoded.padding is not None or wanted.padding is not None:
        order = np.argsort([wanted.doc_ids.index(name) for name in encoded.doc_ids])
        marks = np.asarray(encoded.padding).reshape(12, -1)[order]
        assert np.array_equal(marks, np.asarray(wanted.padding).reshape(12, -1))
        assert 0 < marks.sum() < marks.size


@pytest.mark.parametrize(
    ("cache", "raw", "recipe"),
    [
        ("dance_passage_L128_Q16", "passage", "ance"),
        ("ance_head_passage_L128_Q16", "passage", "ance-head"),
        ("dance_custom_type1_L128_Q16", "passage", "ance"),
        ("dance_custom_type-11_norel_L128_Q16", "custom", "ance"),
    ],
)
def test_other_folders_give_the_vectors_of_their_texts(
    oracle: Path, cache: str, raw: str, recipe: str
) -> None:
    overrides = {"max_document_length": 128, "max_query_length": 16}
    encoder = EncoderOptions(recipe=recipe, overrides=overrides).open(
        oracle / "checkpoints" / "roberta"
    )
    collection = open_collection(oracle / "cache" / cache)
    given = list(collection.documents())
    texts = read_documents(oracle / "raw" / raw)
    same: list[Any] = [texts[int(document.doc_id)] for document in given]
    assert encoder.tokenize("documents", given) == encoder.tokenize("documents", same)
    asked = [query for query in collection.queries() if query.query_id.isdecimal()]
    known = read_queries(oracle / "raw" / raw)
    assert encoder.tokenize("queries", asked) == encoder.tokenize(
        "queries", [known[int(query.query_id)] for query in asked]
    )
    a, b = (
        encoder.encode_tokens("documents", encoder.tokenize("documents", items))[0]
        for items in (given, same)
    )
    assert np.array_equal(a, b)


@pytest.mark.parametrize("dump", sorted(DPR))
def test_dpr(oracle: Path, dump: str) -> None:
    space = opened(oracle, dump, "train")
    vectors = literal(oracle / "dumps" / dump, "query")
    assert space.query_ids == [str(offset) for offset in vectors]
    assert np.array_equal(space.queries[:], [rows[0] for rows in vectors.values()])
    documents = literal(oracle / "dumps" / dump, "passage")
    assert space.doc_ids == [str(offset + 1) for offset in documents]
    assert np.array_equal(space.documents[:], [rows[0] for rows in documents.values()])
    assert len(space.qrels) == 6


@pytest.mark.parametrize(
    ("dump", "split"),
    [
        ("ance_head_dpr_npy", "trivia-test"),
        ("dance_dpr_dual_pb", "test"),
        ("dance_dpr_dual_pb", "dev-qas"),
        ("dance_dpr_dual_pb", "trivia-test"),
        ("dance_dpr_dual_pb", "trivia-dev-qas"),
    ],
)
def test_encoding_the_token_ids_of_dpr_gives_the_dump(oracle: Path, dump: str, split: str) -> None:
    folder = oracle / "checkpoints" / "dpr"
    options = EncoderOptions(backbone=str(folder / "bert-base-uncased"))
    collection = folder_of(oracle, dump, split)
    encoded = open_space(folder / "nq.cp", collection, encoder=options)
    wanted = open_dump(oracle / "dumps" / dump, collection=collection)
    assert encoded.training is not None
    assert wanted.training is not None
    pairs = [(encoded.queries, encoded.query_ids, wanted.queries, wanted.query_ids)]
    pairs += [(encoded.documents, encoded.doc_ids, wanted.documents, wanted.doc_ids)]
    a, b = encoded.training, wanted.training
    pairs += [(a.queries, a.query_ids, b.queries, b.query_ids)]
    for got, ids, vectors, names in pairs:
        assert sorted(ids) == sorted(names)
        rows = [names.index(name) for name in ids]
        assert float(np.abs(got[:] - vectors[rows]).max()) <= PLAIN


def test_the_dev_queries_of_dpr_in_ance_are_those_of_trivia(oracle: Path) -> None:
    ance = opened(oracle, "ance_head_dpr_npy", "trivia-test")
    dance = opened(oracle, "dance_dpr_dual_pb", "trivia-test")
    assert any("dev_query is read as trivia-test-query" in line for line in ance.warnings)
    assert np.allclose(ance.queries[:], dance.queries[:], atol=1e-5)


def test_maps_alone_give_the_same_ids(oracle: Path) -> None:
    cache = oracle / "cache" / "dance_doc_L128_Q16"
    whole = opened(oracle, "dance_firstp_dot", "dev")
    for offsets in (cache, cache / "pid2offset.pickle"):
        space = open_dump(oracle / "dumps" / "dance_firstp_dot", DumpOptions(offsets=offsets))
        assert space.doc_ids == whole.doc_ids
        assert space.step == 20
    texts = open_collection(oracle / "raw" / "doc")
    space = open_dump(
        oracle / "dumps" / "dance_firstp_dot", DumpOptions(offsets=cache), collection=texts
    )
    assert space.doc_ids == [f"D{name}" for name in whole.doc_ids]
    judged = {q: {f"D{d}": g for d, g in grades.items()} for q, grades in whole.qrels.items()}
    assert space.qrels == judged
    assert space.distances(query_id="77").text.iloc[0]
