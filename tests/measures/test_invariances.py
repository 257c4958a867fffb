"""What must not change a value, its error or its interval, for every registered measure.

A measure that is added is covered by itself: the tests go through the registry. Where a change
is meant to change a value, the measure stands in a list with the reason.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import anisotropy.measures
from anisotropy import backend, neighbors
from anisotropy.measures import measure_space, parse, registry
from anisotropy.spaces import EmbeddingSpace
from anisotropy.spaces.rows import ShardedRows
from tests.measures.everything import Table, changed, chunked, noisy, plain, possible, same, table
from tests.measures.making import remade, rotation, space

KINDS: dict[str, tuple[Callable[[], EmbeddingSpace], dict[str, int]]] = {
    "plain": (plain, {}),
    "sampled": (plain, {"anchors": 20}),
    "chunked": (chunked, {}),
}
#: Not measurable in the small spaces of these tests, with the reason.
UNCOVERED: dict[str, str] = {}
#: Rows (name, transform) that a rotation changes, with the reason.
TURNED = {"rogue_dimensions": "names the axes that carry the cone, which a rotation mixes"}
#: Rows (name, transform) that a common factor changes, with the reason.
SCALED = {
    ("partition_isotropy", "raw"): "the exponent has the scale of the rows",
    ("norm_mean", "raw"): "is the scale of the rows",
}
#: With scores that are dot products, those in units of the score, with the reason.
SCALED_SCORES = {
    "margin": "a difference of scores",
    "law=softmax": "the temperature is in units of the score",
}


@pytest.fixture(scope="module", params=KINDS)
def case(request) -> tuple[EmbeddingSpace, EmbeddingSpace, dict[str, int], Table]:
    """A space, another encoding of it, options, and the table to which others are compared."""
    make, options = KINDS[request.param]
    made = make()
    other = noisy(made)
    return made, other, options, table(made, other, **options)


def without(rows: Table, *left_out: Callable[[str, str, str], bool]) -> Table:
    return {key: row for key, row in rows.items() if not any(skip(*key) for skip in left_out)}


def test_everything_is_covered(case) -> None:
    measured = {parse(measure).name for _, measure, _ in case[3]}
    assert measured == {d.name for d in registry() if not d.counted} - set(UNCOVERED)
    assert len(possible()) > len(registry())


def test_every_list_names_measures_that_exist_or_are_of_the_contract() -> None:
    names = {d.name for d in registry()} | {"rogue_dimensions", "norm_mean", "margin"}
    assert {*UNCOVERED, *TURNED, *(name for name, _ in SCALED)} <= names


def test_rotation(case) -> None:
    made, other, options, expected = case
    turn = rotation(8)
    turned = table(
        changed(made, lambda x: x @ turn), changed(other, lambda x: x @ turn), **options
    )
    moved = lambda side, measure, on: parse(measure).name in TURNED  # noqa: E731
    same(without(expected, moved), without(turned, moved), 1e-5)


def test_a_rotation_of_one_space_leaves_the_similarity(case) -> None:
    made, other, options, expected = case
    turn = rotation(8, seed=1)
    turned = table(made, changed(other, lambda x: x @ turn), **options)
    alone = lambda side, measure, on: on != "both"  # noqa: E731
    same(without(expected, alone), without(turned, alone), 1e-5)


def shuffled(made: EmbeddingSpace, seed: int) -> EmbeddingSpace:
    """Rows, ids and judgments in another order; the chunks of a document keep theirs."""
    rng = np.random.default_rng(seed)
    training = made.training and shuffled(made.training, 0)
    q, d = rng.permutation(len(made.query_ids)), rng.permutation(len(made.doc_ids))
    rows, parts = d, {}
    if made.document_of_row is not None:
        of_row = np.asarray(made.document_of_row)
        rows = np.concatenate([np.flatnonzero(of_row == document) for document in d])
        parts = {
            "document_of_row": np.repeat(np.arange(len(d)), np.bincount(of_row)[d]),
            "padding": np.asarray(made.padding)[rows],
        }
    return remade(
        made,
        made.queries[q],
        made.documents[rows],
        query_ids=[made.query_ids[i] for i in q],
        doc_ids=[made.doc_ids[i] for i in d],
        qrels=dict(reversed(made.qrels.items())),
        training=training,
        **parts,
    )


def test_order_of_rows_ids_and_judgments(case) -> None:
    made, other, options, expected = case
    found = table(shuffled(made, 1), shuffled(other, 1), **options)
    same(expected, found, 1e-8)
    same(expected, table(made, shuffled(other, 2), **options), 1e-8)


@pytest.mark.parametrize("factor", [0.125, 3.0])
def test_scale(case, factor) -> None:
    made, other, options, expected = case
    scaled = table(changed(made, lambda x: factor * x), other, **options)
    moved = lambda side, measure, on: (parse(measure).name, on) in SCALED  # noqa: E731
    same(without(expected, moved), without(scaled, moved), 1e-7)
    for key in set(expected) - set(without(expected, moved)):
        assert expected[key][0] != pytest.approx(scaled[key][0]), key


@pytest.mark.parametrize("similarity", ["dot", "euclidean"])
def test_scale_of_other_scores(similarity) -> None:
    made = space(similarity=similarity)
    other = noisy(made)
    found = table(made, other)
    scaled = table(changed(made, lambda x: 4 * x), other)
    moved = lambda side, measure, on: on != "recipe" or any(w in measure for w in SCALED_SCORES)  # noqa: E731
    assert len(without(found, moved)) > 15
    same(without(found, moved), without(scaled, moved), 1e-7)


def doubled(made: EmbeddingSpace, *, documents: bool) -> EmbeddingSpace:
    """Every query twice, under another id; with `documents` the whole collection twice."""
    qrels = dict(made.qrels)
    for query, judged in made.qrels.items():
        qrels[f"{query}+"] = {f"{d}+" * documents or d: grade for d, grade in judged.items()}
    ids = [*made.doc_ids, *(f"{d}+" for d in made.doc_ids)] if documents else made.doc_ids
    return remade(
        made,
        np.concatenate([made.queries, made.queries]),
        np.concatenate([made.documents, made.documents]) if documents else made.documents,
        query_ids=[*made.query_ids, *(f"{q}+" for q in made.query_ids)],
        doc_ids=ids,
        qrels=qrels,
    )


#: Plain formulas over all pairs or over moments: a collection written twice is the same law.
OF_THE_LAW = {
    "mean_norm(corrected=False)",
    "partition_isotropy",
    "participation_ratio(corrected=False)",
    "isoscore(corrected=False)",
    "effective_rank(n=all)",
    "stable_rank(n=all)",
    "norm_mean",
    "gap(corrected=False)",
    "centroid_cosine(corrected=False)",
    "alignment(alpha=2)",
    "positive_distance",
    "relative_positive_distance",
    "nearest_document_distance",
}
#: Means over queries or over judged pairs: queries asked twice change nothing.
OVER_QUERIES = {
    "alignment(alpha=2)",
    "positive_distance",
    "relative_positive_distance",
    "positive_percentile",
    "nearest_document_distance",
    "margin",
    "nDCG@10",
    "RR@10",
    "R@100",
}


def test_a_collection_written_twice() -> None:
    made = plain()
    names = [text for text in possible() if text in OF_THE_LAW]
    assert len(names) >= 9
    both = [measure_space(m, [*names, "uniformity(t=2)"])
            for m in (made, doubled(made, documents=True))]  # fmt: skip
    for row in both[0].rows:
        # Uniformity drops pairs of a row with itself within a side, and has none across. In the
        # joint covariance the spread within has the divisor n - 1 and the offset has none.
        if row.side == "joint" or (row.measure.startswith("uniformity") and row.side != "cross"):
            continue
        again = both[1].row(row.side, row.measure, row.on)
        assert again is not None
        assert again.value == pytest.approx(row.value, rel=1e-7), (row.side, row.measure, row.on)


def test_queries_asked_twice() -> None:
    made = plain()
    names = [text for text in possible() if text in OVER_QUERIES]
    assert len(names) >= 7
    once, twice = (measure_space(m, names) for m in (made, doubled(made, documents=False)))
    checked = [r for r in once.rows if r.side in ("positives", "ranking", "cross")]
    assert len(checked) >= len(names)
    for row in checked:
        again = twice.row(row.side, row.measure, row.on)
        assert again is not None
        assert again.value == pytest.approx(row.value, rel=1e-7), (row.side, row.measure, row.on)
        assert again.se == pytest.approx(row.se * np.sqrt(59 / 119), rel=1e-6), row.measure


def block_sizes() -> Iterator[tuple[ModuleType, str]]:
    """Every constant of the modules that measure which says how much is read at once."""
    rooms = [importlib.import_module(f"anisotropy.measures.{found.name}")
             for found in pkgutil.iter_modules(anisotropy.measures.__path__)]  # fmt: skip
    for module in (backend, neighbors, *rooms):
        for name, value in vars(module).items():
            if re.fullmatch(r"_?([A-Z]+_)*(BLOCK|TILE)(_(BYTES|ROWS|ITEMS))?", name):
                assert isinstance(value, int)
                yield module, name


def test_block_sizes_are_found() -> None:
    assert len(list(block_sizes())) >= 3


# Without shrinking: an example reads the whole space row by row.
@settings(max_examples=3, deadline=None, database=None, phases=[Phase.generate],
          derandomize=True)  # fmt: skip
@given(data=st.data())
def test_blocks(case, data) -> None:
    made, other, options, expected = case
    with pytest.MonkeyPatch.context() as patch:
        for module, name in block_sizes():
            rows = data.draw(st.integers(5, 80), label=name)
            patch.setattr(module, name, rows * 64 if name.endswith("BYTES") else rows)
        same(expected, table(made, other, **options), 1e-8)


def test_float32_rows(case) -> None:
    made, other, options, expected = case
    narrow = (changed(m, lambda x: x.astype("f4")) for m in (made, other))
    same(expected, table(*narrow, **options), 3e-4)


def test_float16_storage_is_its_float64_copy(case) -> None:
    made, other, options, _ = case
    half = [changed(m, lambda x: x.astype("f2")) for m in (made, other)]
    wide = [changed(m, lambda x: x.astype("f2").astype("f8")) for m in (made, other)]
    same(table(*wide, **options), table(*half, **options), 3e-4)


def test_number_of_threads() -> None:
    """Larger than the other spaces, so that products are shared among the threads."""
    from threadpoolctl import threadpool_limits

    made = space(120, 260, 64, seed=4)
    other = noisy(made)
    with threadpool_limits(1):
        one = table(made, other)
    with threadpool_limits(2):
        two = table(made, other)
    same(one, two, 1e-9)


@pytest.mark.parametrize("how", ["shards", "memory map"])
def test_shards_and_memory_maps(case, how, tmp_path: Path) -> None:
    made, other, options, expected = case
    files = iter(range(9))

    def stored(rows: np.ndarray) -> np.ndarray | ShardedRows:
        if how == "shards":
            return ShardedRows([rows[:17], rows[17:40], rows[40:]])
        path = tmp_path / f"{next(files)}.npy"
        np.save(path, rows)
        return np.load(path, mmap_mode="r")

    same(expected, table(changed(made, stored), changed(other, stored), **options), 1e-9)
