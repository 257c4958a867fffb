"""Against arrays that the original ANCE and DANCE code wrote; largest errors are printed (-s)."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anisotropy.collection import Document, Query
from anisotropy.encoders import Encoder, open_encoder, open_tokenizer
from anisotropy.untrusted.arrays import open_pickled

pytestmark = pytest.mark.oracle

PLAIN, UNIT = 1e-5, 1e-6
CACHES = {  # cache -> raw folder, recipe
    "ance_d8a62a7_doc_L128_Q16": ("doc", "ance"),
    "ance_head_doc_L128_Q16": ("doc", "ance-head"),
    "ance_head_passage_L128_Q16": ("passage", "ance-head"),
    "dance_custom_type-11_norel_L128_Q16": ("custom", "ance"),
    "dance_custom_type1_L128_Q16": ("passage", "ance"),
    "dance_doc_L128_Q16": ("doc", "ance"),
    "dance_doc_L2048_Q64": ("doc", "ance-maxp"),
    "dance_passage_L128_Q16": ("passage", "ance"),
}
# ANCE overwrites its one query map; the offsets are those DANCE's caches name
QUERY_MAPS = {
    ("doc", "train-query"): "dance_doc_L128_Q16/train-query",
    ("doc", "dev-query"): "dance_doc_L128_Q16/dev-query",
    ("doc", "real-dev-query"): "dance_doc_L128_Q16/real-dev-query",
    ("passage", "train-query"): "dance_passage_L128_Q16/train-query",
    ("passage", "dev-query"): "dance_passage_L128_Q16/real-dev-query",
    ("passage", "real-dev-query"): "dance_passage_L128_Q16/real-dev-query",
}


def embedding_cache(path: Path) -> tuple[list[list[int]], list[list[int]]]:
    """Ids and padding of each record: big-endian length, then little-endian int32 ids."""
    meta = json.loads(path.with_name(path.name + "_meta").read_text())
    width, data = meta["embedding_size"], path.read_bytes()
    assert len(data) == meta["total_number"] * (4 * width + 4)
    ids, padding = [], []
    for start in range(0, len(data), 4 * width + 4):
        (length,) = struct.unpack(">I", data[start : start + 4])
        row = np.frombuffer(data, "<i4", width, start + 4).tolist()
        ids.append(row[:length])
        padding.append(row[length:])
    return ids, padding


def read_documents(raw: Path) -> dict[int, Document]:
    name = {"doc": "msmarco-docs.tsv", "passage": "collection.tsv", "custom": "docs.tsv"}[raw.name]
    found = {}
    for line in (raw / name).read_text(encoding="utf-8").split("\n"):
        columns = line.split("\t")
        if len(columns) == 4:
            doc_id, url, title, text = columns
            item = Document(doc_id, text, title, url)
        elif len(columns) == 2:
            item = Document(columns[0], columns[1])
        else:
            continue
        found[int(item.doc_id.removeprefix("D"))] = item
    return found


def read_queries(raw: Path) -> dict[int, Query]:
    found = {}
    for path in sorted(raw.glob("*quer*.tsv")):
        for line in path.read_text(encoding="utf-8").split("\n"):
            if "\t" in line:
                number, text = line.split("\t")[:2]
                found[int(number)] = Query(number, text)
    return found


def in_order(offsets: dict[int, int], items: dict[int, Any]) -> list[Any]:
    return [items[key] for key, _ in sorted(offsets.items(), key=lambda pair: pair[1])]


def query_sets(folder: Path, kind: str) -> Iterator[tuple[Path, dict[int, int]]]:
    for meta in sorted(folder.glob("*query_meta")):
        path = meta.with_name(meta.name.removesuffix("_meta"))
        own = sorted(folder.glob(f"{path.name}_qid2offset.pickle"))
        own += sorted(folder.glob(f"{path.name.removesuffix('-query')}_qid2offset.pickle"))
        named = QUERY_MAPS.get((kind, path.name))
        source = own[0] if own else folder.parent / f"{named}_qid2offset.pickle"
        yield path, open_pickled(source)


def report(name: str, got: np.ndarray, wanted: np.ndarray, tolerance: float) -> None:
    assert got.shape == wanted.shape
    error = float(np.abs(got - wanted).max())
    print(f"largest error {name}: {error:.2e}")
    assert error <= tolerance, name


def test_every_text_case(oracle: Path) -> None:
    tokenizer = open_tokenizer(oracle / "checkpoints" / "roberta")
    cases = json.loads((oracle / "tokenization" / "roberta_cases.json").read_text())["cases"]
    assert len(cases) == 28
    for case in cases:
        text = [case["text"]]
        assert tokenizer.encode(text, 10_000) == [case["ids_do_lower_case_true"]]
        assert tokenizer.encode(text, 10_000, False) == [case["ids_do_lower_case_false"]]
        assert tokenizer.encode(text, 6) == [case["ids_max_length_6"]]


@pytest.mark.parametrize("name", sorted(CACHES))
def test_every_roberta_cache(oracle: Path, name: str) -> None:
    kind, recipe = CACHES[name]
    folder, raw = oracle / "cache" / name, oracle / "raw" / kind
    lengths = name.rsplit("_", 2)[1:]
    overrides = {
        "max_document_length": int(lengths[0][1:]),
        "max_query_length": int(lengths[1][1:]),
    }
    encoder = open_encoder(oracle / "checkpoints" / "roberta", recipe=recipe, overrides=overrides)
    pad = encoder.recipe.pad_token_id
    offsets = open_pickled(folder / "pid2offset.pickle")
    documents = in_order(offsets, read_documents(raw))
    ids, padding = embedding_cache(folder / "passages")
    assert encoder.tokenize("documents", documents) == ids
    assert {index for row in padding for index in row} <= {pad}
    sets = list(query_sets(folder, kind))
    assert sets
    for path, query_offsets in sets:
        ids, padding = embedding_cache(path)
        queries = in_order(query_offsets, read_queries(raw))
        assert encoder.tokenize("queries", queries) == ids
        assert {index for row in padding for index in row} <= {pad}


def test_the_caches_are_all_there(oracle: Path) -> None:
    there = {path.name for path in (oracle / "cache").iterdir() if "dpr" not in path.name}
    assert there == set(CACHES)


def encoder_for(oracle: Path, recipe: str, **overrides: Any) -> Encoder:
    return open_encoder(oracle / "checkpoints" / "roberta", recipe=recipe, overrides=overrides)


def inputs(oracle: Path, name: str) -> list[list[int]]:
    arrays = np.load(oracle / "model" / "forward_inputs.npz")
    mask = arrays[name.replace("_pad1", "").replace("_ids", "_mask")]
    rows = zip(arrays[name], mask, strict=True)
    return [row[: int(real.sum())].tolist() for row, real in rows]


@pytest.mark.parametrize("repo", ["dance", "ance"])
@pytest.mark.parametrize(("recipe", "suffix"), [("ance", ""), ("dance", "_l2")])
def test_firstp_vectors(oracle: Path, repo: str, recipe: str, suffix: str) -> None:
    outputs = np.load(oracle / "model" / f"forward_outputs_{repo}.npz")
    encoder = encoder_for(oracle, recipe)
    compared = 0
    for ids, output, side in (
        ("query_ids", "query_emb", "queries"),
        ("neg_query_ids", "neg_query_emb", "queries"),
        ("pos_ids", "pos_body_emb", "documents"),
        ("neg_ids", "neg_body_emb", "documents"),
        ("query_ids", "query_as_body", "documents"),
        ("maxp_query_ids", "maxp_query_emb", "queries"),
    ):
        if output + suffix in outputs:
            got = encoder.encode_tokens(side, inputs(oracle, ids))[0]  # type: ignore[arg-type]
            tolerance = UNIT if suffix else PLAIN
            report(f"{repo} {output}{suffix}", got, outputs[output + suffix], tolerance)
            compared += 1
    assert compared >= 4 or (repo == "ance" and suffix)


@pytest.mark.parametrize("pad", [0, 1])
@pytest.mark.parametrize(("recipe", "suffix"), [("ance-maxp", ""), ("dance-maxp", "_l2")])
def test_maxp_vectors_with_padding_chunks(
    oracle: Path, recipe: str, suffix: str, pad: int
) -> None:
    outputs = np.load(oracle / "model" / "forward_outputs_dance.npz")
    encoder = encoder_for(oracle, recipe, pad_token_id=pad)
    for name in ("pos", "neg") if pad == 0 else ("pos",):
        ids = inputs(oracle, f"maxp_{name}_ids")
        output = f"maxp_{name}_body_emb" + ("_pad1" if pad else "") + suffix
        got = encoder.encode_tokens("documents", ids)[0]
        report(output, got, outputs[output].reshape(-1, 768), UNIT if suffix else PLAIN)
        assert encoder.padding_chunks(ids).sum() in (8, 9, 10)


def test_both_readings_of_the_checkpoint_without_its_arguments(
    oracle: Path, tmp_path: Path
) -> None:
    for path in (oracle / "checkpoints" / "roberta").iterdir():
        if path.name != "training_args.bin":
            (tmp_path / path.name).symlink_to(path)
    doubtful = open_encoder(tmp_path)
    assert [reading.name for reading in doubtful.readings] == ["ance", "dance"]
    outputs = np.load(oracle / "model" / "forward_outputs_dance.npz")
    plain, unit = doubtful.encode_tokens("documents", inputs(oracle, "pos_ids"))
    report("doubt, dot product", plain, outputs["pos_body_emb"], PLAIN)
    report("doubt, L2", unit, outputs["pos_body_emb_l2"], UNIT)
    told = open_encoder(oracle / "checkpoints" / "roberta")
    assert [reading.name for reading in told.readings] == ["dance"]


def ranks(folder: Path, name: str, kind: str) -> np.ndarray:
    paths = sorted(folder.glob(f"{name}_20__{kind}_p__data_obj_*"))
    assert len(paths) == 2
    parts = [np.load(p) if p.suffix == ".npy" else open_pickled(p) for p in paths]
    return np.concatenate(parts)


@pytest.mark.parametrize(
    ("dump", "cache", "recipe", "tolerance"),
    [
        ("dance_firstp_dot", "dance_doc_L128_Q16", "ance", PLAIN),
        ("dance_firstp_l2_dual", "dance_doc_L128_Q16", "dance", UNIT),
        ("dance_maxp_dot", "dance_doc_L2048_Q64", "ance-maxp", PLAIN),
        ("dance_maxp_l2", "dance_doc_L2048_Q64", "dance-maxp", UNIT),
        ("ance_d8a62a7_pb", "ance_d8a62a7_doc_L128_Q16", "ance", PLAIN),
        ("ance_head_npy", "ance_head_doc_L128_Q16", "ance-head", PLAIN),
    ],
)
def test_dumps(oracle: Path, dump: str, cache: str, recipe: str, tolerance: float) -> None:
    encoder = encoder_for(oracle, recipe)
    folder = oracle / "dumps" / dump
    sets = {"passage": "passages", "query": "train-query", "dev_query": "dev-query"}
    sets["real-dev_query"] = "real-dev-query"
    compared = 0
    for name, file in sets.items():
        if not list(folder.glob(f"{name}_20__emb_p*")):
            continue
        wanted, offsets = ranks(folder, name, "emb"), ranks(folder, name, "embid")
        ids, _ = embedding_cache(oracle / "cache" / cache / file)
        side = "documents" if name == "passage" else "queries"
        got = encoder.encode_tokens(side, ids)[0]  # type: ignore[arg-type]
        each = encoder.vectors_per_document() if name == "passage" else 1
        seen: Counter[int] = Counter()  # upstream writes chunk after chunk of a batch
        rows = []
        for offset in offsets.tolist():
            rows.append(offset * each + seen[offset])
            seen[offset] += 1
        assert set(seen.values()) == {each}
        report(f"{dump} {name}", got[rows], wanted, tolerance)
        compared += 1
    assert compared >= 3
