"""Converted reference checkpoints against what the original code computed; errors printed (-s)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anisotropy.encoders import Encoder, open_encoder
from anisotropy.encoders.converting import convert_checkpoint
from anisotropy.encoders.texts import document_text, query_text
from tests.encoders import building
from tests.encoders.test_converting import DOCUMENTS, HEADS, QUERIES, tensors, vectors
from tests.encoders.test_dpr_oracle import dpr, passages, questions
from tests.encoders.test_dpr_oracle import ranks as dpr_ranks
from tests.encoders.test_oracle import PLAIN, UNIT, inputs, ranks, report
from tests.making import make_checkpoint

pytestmark = pytest.mark.oracle

PROGRAM = Path(__file__).with_name("upstream_program.py")
READINGS = [("ance", ""), ("dance", "_l2")]
SETS = [("queries", "query_ids", "query_emb"), ("documents", "pos_ids", "pos_body_emb")]
SETS += [("queries", "neg_query_ids", "neg_query_emb"), ("documents", "neg_ids", "neg_body_emb")]
#: In a process that has not heard of us: token ids through the modules, texts through encode.
STRANGER = """
import json, sys
import numpy as np, torch
from sentence_transformers import SentenceTransformer
folder, asked, out = sys.argv[1:]
asked = json.load(open(asked))
model = SentenceTransformer(folder, device="cpu")
found = {}
for name, (side, rows) in asked["ids"].items():
    task = {"queries": "query", "documents": "document"}[side]
    vectors = []
    for row in rows:
        ids = torch.tensor([row])
        features = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "modality": "text"}
        with torch.inference_mode():
            vectors.append(model({**features, "task": task}, task=task)["sentence_embedding"][0])
    found[name] = torch.stack(vectors).numpy()
ids = [model.tokenizer(text)["input_ids"] for text in asked["cases"]]
json.dump(ids, open(out + ".json", "w"))
found["queries"] = model.encode_query(asked["queries"])
found["documents"] = model.encode_document(asked["documents"])
np.savez(out, **found)
assert not any(name.startswith("anisotropy") for name in sys.modules)
"""


def checkpoint(oracle: Path, recipe: str) -> Encoder:
    lengths = {"max_query_length": 16, "max_document_length": 128}
    return open_encoder(oracle / "checkpoints/roberta", recipe=recipe, overrides=lengths)


def raw_texts(oracle: Path) -> tuple[list[str], list[str]]:
    """Texts of queries and documents as upstream makes them of its raw files."""
    queries, documents = (
        (oracle / "raw/doc" / name).read_text(encoding="utf-8").split("\n")[:-1]
        for name in ("msmarco-doctrain-queries.tsv", "msmarco-docs.tsv")
    )
    return [line.split("\t")[1].rstrip() for line in queries], [
        "<sep>".join(part.rstrip() for part in line.split("\t")[1:])[:10_000] for line in documents
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "suffix"), READINGS)
def test_plain_sentence_transformers(
    oracle: Path, tmp_path: Path, recipe: str, suffix: str
) -> None:
    convert_checkpoint(checkpoint(oracle, recipe), "sentence-transformers", tmp_path / "st")
    cases = json.loads((oracle / "tokenization/roberta_cases.json").read_text())["cases"]
    queries, documents = raw_texts(oracle)
    asked = {
        "ids": {output: (side, inputs(oracle, ids)) for side, ids, output in SETS},
        "cases": [case["text"] for case in cases],
        "queries": queries,
        "documents": documents,
    }
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    words = [str(tmp_path / name) for name in ("st", "asked.json", "out.npz")]
    subprocess.run([sys.executable, "-c", STRANGER, *words], check=True, cwd=tmp_path)
    ids = json.loads((tmp_path / "out.npz.json").read_text())
    assert ids == [case["ids_do_lower_case_true"] for case in cases]
    found, limit = np.load(tmp_path / "out.npz"), UNIT if suffix else PLAIN
    outputs = np.load(oracle / "model/forward_outputs_dance.npz")
    for _, _, output in SETS:
        report(f"sentence-transformers {output}", found[output], outputs[output + suffix], limit)
    dump = oracle / "dumps" / ("dance_firstp_l2_dual" if suffix else "dance_firstp_dot")
    for name, side in (("passage", "documents"), ("query", "queries")):
        compare_with_dump(dump, name, found[side], limit)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["", "_l2"])
def test_plain_sentence_transformers_on_a_bi_encoder(
    oracle: Path, tmp_path: Path, suffix: str
) -> None:
    convert_checkpoint(
        dpr(oracle, normalize=bool(suffix)), "sentence-transformers", tmp_path / "st"
    )
    given = np.load(oracle / "model/dpr_inputs.npz")
    documents = [f"{item.title} [SEP] {item.text}" for item in passages(oracle).values()]
    queries = [query.text.removesuffix("?") for query in questions(oracle / "raw/dpr/nq-test.csv")]
    sets = {"query_emb": ("queries", "query_ids"), "pos_body_emb": ("documents", "pos_ids")}
    asked = {
        "ids": {
            output: (side, [[id for id in row if id] for row in given[ids].tolist()])
            for output, (side, ids) in sets.items()
        },
        "cases": [],
        "queries": queries,
        "documents": documents,
    }
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    words = [str(tmp_path / name) for name in ("st", "asked.json", "out.npz")]
    subprocess.run([sys.executable, "-c", STRANGER, *words], check=True, cwd=tmp_path)
    found, limit = np.load(tmp_path / "out.npz"), UNIT if suffix else PLAIN
    outputs = np.load(oracle / "model/dpr_outputs_dance.npz")
    for output in sets:
        report(f"bi-encoder {output}", found[output], outputs[output + suffix], limit)
    if not suffix:
        dump = oracle / "dumps/ance_head_dpr_npy"
        wanted = dpr_ranks(dump, "passage", "0", "emb")
        order = dpr_ranks(dump, "passage", "0", "embid").argsort()
        lines = (oracle / "cache/ance_dpr_nq_L64/pid2offset").read_text().splitlines()
        offsets = dict(map(int, line.split("\t")) for line in lines)
        rows = [order[offsets[name]] for name in passages(oracle)]
        report("bi-encoder, texts of a dump", found["documents"], wanted[rows], limit)


def compare_with_dump(dump: Path, name: str, found: np.ndarray, limit: float) -> None:
    """Rows of the dump, each of which must be the vector of one text and of no other."""
    wanted, offsets = ranks(dump, name, "emb"), ranks(dump, name, "embid")
    assert len(set(offsets.tolist())) == len(wanted) <= len(found)
    distances = np.abs(wanted[:, None] - found[None]).max(axis=2)
    places = distances.argmin(axis=1)
    assert len(set(places.tolist())) == len(places)
    report(f"texts of {dump.name} {name}", found[places], wanted, limit)


@pytest.mark.parametrize("head", HEADS)
def test_the_round_trip_keeps_every_bit(oracle: Path, tmp_path: Path, head: str) -> None:
    convert_checkpoint(checkpoint(oracle, head), "sentence-transformers", tmp_path / "st")
    convert_checkpoint(open_encoder(tmp_path / "st"), "upstream", tmp_path / "up")
    before, after = tensors(oracle / "checkpoints/roberta"), tensors(tmp_path / "up")
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
    for name in ("config.json", "vocab.json", "merges.txt"):
        original = (oracle / "checkpoints/roberta" / name).read_bytes()
        assert (tmp_path / "up" / name).read_bytes() == original, name


def upstream_program(site: Path, folder: Path, dim: int, asked: dict[str, Any]) -> dict[str, Any]:
    source, target = folder.parent / "asked.json", folder.parent / "found.json"
    source.write_text(json.dumps(asked))
    subprocess.run(
        [sys.executable, str(PROGRAM), str(folder), str(dim), str(source), str(target)],
        check=True,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
    )
    found: dict[str, Any] = json.loads(target.read_text())
    return found


@pytest.mark.slow
@pytest.mark.parametrize("way", ["straight", "by sentence-transformers"])
def test_the_pinned_transformers_loads_it(
    oracle: Path, transformers_230: Path, tmp_path: Path, way: str
) -> None:
    encoder = checkpoint(oracle, "dance")
    if way != "straight":
        convert_checkpoint(encoder, "sentence-transformers", tmp_path / "st")
        encoder = open_encoder(tmp_path / "st")
    convert_checkpoint(encoder, "upstream", tmp_path / "up")
    outputs = np.load(oracle / "model/forward_outputs_dance.npz")
    asked = {side: inputs(oracle, ids) for side, ids, _ in SETS[:2]}
    found = upstream_program(transformers_230, tmp_path / "up", 768, asked)
    assert found["report"] == {"missing_keys": [], "unexpected_keys": [], "error_msgs": []}
    for side, _, output in SETS[:2]:
        report(f"2.3.0 {output}", np.array(found[side]["plain"]), outputs[output], PLAIN)
        report(f"2.3.0 {output}_l2", np.array(found[side]["l2"]), outputs[output + "_l2"], UNIT)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["made by us", "re-saved in half precision"])
def test_the_pinned_transformers_gives_our_vectors(
    transformers_230: Path, tmp_path: Path, kind: str
) -> None:
    """Texts in, vectors out, where there is no recorded answer: theirs against ours."""
    if kind == "made by us":
        encoder = open_encoder(make_checkpoint(tmp_path / "ours", "dance"))
    else:
        state = {name: tensor.half() for name, tensor in building.make_state(4).items()}
        encoder = open_encoder(building.write_upstream(tmp_path / "half", state), recipe="dance")
    convert_checkpoint(encoder, "upstream", tmp_path / "up")
    recipe = encoder.recipe
    asked = {
        "lengths": {side: recipe.max_length(side) for side in ("queries", "documents")},
        "queries": [query_text(query, recipe) for query in QUERIES],
        "documents": [document_text(document, recipe) for document in DOCUMENTS],
    }
    found = upstream_program(transformers_230, tmp_path / "up", encoder.dim, asked)
    assert found["report"]["unexpected_keys"] == []
    absent = found["report"]["missing_keys"]
    assert all(name.startswith(("roberta.pooler.", "classifier.")) for name in absent)
    assert bool(absent) == (kind == "made by us")
    queries, documents = vectors(encoder)
    assert found["queries"]["ids"] == encoder.tokenize("queries", QUERIES)
    assert found["documents"]["ids"] == encoder.tokenize("documents", DOCUMENTS)
    report(f"2.3.0 {kind} queries", np.array(found["queries"]["l2"]), queries, UNIT)
    report(f"2.3.0 {kind} documents", np.array(found["documents"]["l2"]), documents, UNIT)
