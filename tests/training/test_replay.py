"""Upstream's negatives, file lines and instances, from seeds and searches that it recorded."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anisotropy.errors import CollectionError, UsageError
from anisotropy.neighbors import top_neighbors
from anisotropy.training.negative_files import (
    TrainingLine,
    format_line,
    grouped_instances,
    groups,
    instances,
    read_groups,
    read_set,
)
from anisotropy.training.replay import (
    replay_bm25_queries,
    replay_documents,
    replay_lines,
    replay_queries,
)

DUMPS = [
    ("ance_d8a62a7_pb", 0),
    ("ance_head_npy", 0),
    ("dance_firstp_dot", 0),
    ("dance_firstp_dot", 1),
    ("dance_firstp_l2_dual", 0),
    ("dance_firstp_l2_dual", 1),
    ("dance_firstp_l2_dual_grouped", 0),
    ("dance_firstp_dot_dual_bm25", 0),
]


def numbered(values: dict[str, Any]) -> dict[int, Any]:
    return {int(key): value for key, value in values.items()}


def replayed(
    folder: Path, number: int, bm25: Path
) -> tuple[list[TrainingLine], list[list[TrainingLine]], dict[str, Any]]:
    """Lines replayed from recorded searches, and the recorded results."""
    record = json.loads((folder / f"_recorded_negatives_{number}.json").read_text())
    calls, kept = record["calls"], record["negative_sample"]
    positives = numbered(record["training_query_positive_id"])
    generator = random.Random(record["python_random_seed_before_generate_new_ann"])
    call = calls["GenerateNegativePassaageID"]
    # Columns of the search are row numbers of the dump.
    ids = np.array(call["passage_embedding2id"])
    queries = call["query_embedding2id"]
    ranked = ids[np.array(call["I_nearest_neighbor"])]
    documents = replay_documents(ranked, queries, positives, kept=kept, generator=generator)
    found, recorded = [documents], [numbered(call["result"])]
    others = None
    if "GenerateNegativeQueryID" in calls:
        call = calls["GenerateNegativeQueryID"]
        ids = np.array(call["query_embedding2id"])
        ranked = ids[np.array(call["I_nearest_neighbor"])]
        others = replay_queries(
            ranked, call["passage_embedding2id"], positives, kept=kept, generator=generator
        )
        found.append(others)
        recorded.append(numbered(call["result"]))
    elif "bm25" in folder.name:
        rows = [line.split() for line in bm25.read_text().splitlines()]
        others = replay_bm25_queries(
            [(int(d), int(q)) for d, q, _ in rows],
            [positives[query] for query in queries],
            positives,
            depth=record["topk_training_d2q"],
            kept=kept,
            generator=generator,
        )
    lines = replay_lines(documents, positives, others, generator)
    return lines, [found, recorded], record


@pytest.mark.oracle
@pytest.mark.parametrize(("name", "number"), DUMPS)
def test_recorded_negatives_and_files_come_out_exactly(
    oracle: Path, name: str, number: int
) -> None:
    folder = oracle / "dumps" / name
    (bm25,) = (oracle / "bm25").glob("*.tsv")
    lines, (found, recorded), record = replayed(folder, number, bm25)
    assert record["python_random_seed_before_generate_new_ann"] == 1234 + number
    assert found == recorded
    # Of a document that stands in several rows, upstream's result is at the place of the first.
    assert [list(lists) for lists in found] == [list(lists) for lists in recorded]
    plain, grouped = (
        folder / f"{kind}_{number}" for kind in ("ann_training_data", "ann_grouped_training_data")
    )
    if grouped.exists():
        texts = [json.dumps(group) for group in groups(lines, 2)]
        assert texts == grouped.read_text().splitlines()
    else:
        assert [format_line(line) for line in lines] == plain.read_text().splitlines()


@pytest.mark.oracle
def test_from_vectors_to_the_file(oracle: Path) -> None:
    """ANCE's own dump: rows by rank, exact search, shuffles, lines."""
    folder = oracle / "dumps/ance_head_npy"

    def loaded(name: str, kind: str) -> np.ndarray:
        return np.concatenate(
            [np.load(folder / f"{name}_20__{kind}_p__data_obj_{rank}.npy") for rank in range(2)]
        )

    record = json.loads((folder / "_recorded_negatives_0.json").read_text())
    positives = numbered(record["training_query_positive_id"])
    ids, queries = loaded("passage", "embid"), loaded("query", "embid")
    in_force = len(queries) // record["ann_chunk_factor"]
    ranked = top_neighbors(
        loaded("query", "emb")[:in_force], loaded("passage", "emb"), record["topk_training"]
    ).index
    generator = random.Random(1234)
    documents = replay_documents(
        ids[ranked],
        queries[:in_force].tolist(),
        positives,
        kept=record["negative_sample"],
        generator=generator,
    )
    lines = replay_lines(documents, positives, None, generator)
    expected = (folder / "ann_training_data_0").read_text().splitlines()
    assert [format_line(line) for line in lines] == expected


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["triplets", "quadruplets"])
def test_instances_come_in_upstreams_order(oracle: Path, kind: str) -> None:
    record = json.loads((oracle / "train/instance_order.json").read_text())[kind]
    file = oracle / record["file"]
    lines = read_set(file.parent, int(file.name.rsplit("_", 1)[1]))
    found = [[int(name) for name in instance] for instance in instances(lines)]
    assert found == record["instances"]


@pytest.mark.oracle
@pytest.mark.parametrize("order", ["origin", "polling"])
def test_grouped_instances_come_in_upstreams_order(oracle: Path, order: str) -> None:
    """As far as upstream got before a list of unequal length stopped it."""
    record = json.loads((oracle / "train/instance_order.json").read_text())[f"grouped_{order}"]
    expected = [
        [str(row[key]) for key in ("q_pos", "d_pos", "d_neg", "q_neg")]
        for row in record["instances_before_error"]
    ]
    found = [list(row) for row in grouped_instances(read_groups(oracle / record["file"]), order)]
    assert found[: len(expected)] == expected
    assert "IndexError" in record["error"]
    assert len(found) > len(expected)


def test_a_walk_by_hand() -> None:
    """Positives are skipped, repeats taken once, and it stops at `kept`."""
    ranked = np.array([[4, 4, 7, 2, 9]])
    found = replay_documents(
        ranked, [3], {3: 7}, kept=2, generator=random.Random(0), shuffle=False
    )
    assert found == {3: [4, 2]}
    columns = list(range(5))
    random.Random(8).shuffle(columns)
    walked = [ranked[0, column] for column in columns if ranked[0, column] != 7]
    found = replay_documents(ranked, [3], {3: 7}, kept=9, generator=random.Random(8))
    assert found == {3: list(dict.fromkeys(walked))}


def test_a_document_that_no_list_names() -> None:
    with pytest.raises(CollectionError, match="BM25 lists: document 5 has no line"):
        replay_bm25_queries(
            [(2, 1)], [2, 5], {0: 2, 1: 5}, depth=3, kept=2, generator=random.Random(0)
        )


def test_an_unknown_order_of_groups() -> None:
    with pytest.raises(UsageError, match=r"order: got 'pollin'; .*did you mean 'polling'"):
        list(grouped_instances([], "pollin"))
