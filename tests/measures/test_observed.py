"""Negatives as files of a mining run hold them."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

import anisotropy as an
from anisotropy.errors import AnisotropyError, UsageError
from anisotropy.measures.observed import draws_null, measure_negatives, observed_negatives
from tests.measures import twins
from tests.measures.making import remade, space

LINES = [
    ("q0", "d1", "d2,d3", "q2,q3"),
    ("q1", "d1", "d3,d4", "q2,q3"),
    ("q2", "d5", "d3", "q1"),
]


def written(path: Path, lines=LINES) -> Path:
    path.write_text("".join("\t".join(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def made():
    return space(query_texts=[f"text {i}" for i in range(60)])


@pytest.mark.parametrize(
    ("draws", "expected"),
    [
        (1, (0.574, 0.955, 0.524, 0.564, 0.632)),
        (4, (0.133, 0.990, 0.278, 0.875, 0.982)),
        (20, (0.025, 0.998, 0.126, 0.975, 1)),
        (40, (0.013, 0.999, 0.089, 0.988, 1)),
        (200, (0.0025, 0.9998, 0.040, 0.998, 1)),
    ],
)
def test_null_at_a_number_of_draws(draws, expected) -> None:
    """The project's table, N = 367,013, within its last digit; the entropy at that N."""
    n = 40_000
    names = ("kl", "entropy", "gini", "effective", "coverage")
    found = dict(
        zip(
            names,
            (draws_null(name, n, {(1, 1): round(n * draws)})[0] for name in names),
            strict=True,
        )
    )
    table = dict(zip(names, expected, strict=True))
    # KL and the shares do not depend on N; entropy/log N does, through log N alone.
    table["entropy"] = 1 - table["kl"] / np.log(n)
    for name in names:
        assert found[name] == pytest.approx(table[name], abs=2e-3), name


def test_counts_and_statistics(made, tmp_path: Path) -> None:
    path = written(tmp_path / "ann_training_data_0")
    documents = an.observed_negatives(path, made, "documents")
    counts = dict(zip(documents.ids, documents.counts, strict=True))
    assert {name: n for name, n in counts.items() if n} == {"d2": 1, "d3": 3, "d4": 1}
    assert (documents.anchors, documents.draws) == (3, 5 / 150)
    table = documents.statistics().set_index("measure")
    p = documents.counts / 5
    assert table.value["negative_probability_kl"] == pytest.approx(twins.kl(p))
    assert table.value["negative_probability_gini"] == pytest.approx(twins.gini(p))
    assert table.value["negative_probability_coverage"] == 3 / 150
    assert table.most_uneven["negative_probability_coverage"] == 1 / 150
    assert np.all(np.isfinite(table.null_mean))
    items = documents.items()
    assert list(items.columns) == ["item_id", "count", "probability", "rank", "text"]
    assert items.item_id[0] == "d3"


def test_the_list_of_a_document_counts_once_unless_pairs_do(made, tmp_path: Path) -> None:
    path = written(tmp_path / "data")
    once, pairs = (observed_negatives(path, made, "queries", anchors=a)
                   for a in ("documents", "pairs"))  # fmt: skip
    assert (once.counts.sum(), pairs.counts.sum()) == (3, 5)
    assert (once.anchors, pairs.anchors) == (2, 3)
    assert once.items().text[0] == f"text {once.items().item_id[0][1:]}"


def test_what_our_sampler_draws_is_read_back_as_its_law(made, tmp_path: Path) -> None:
    """Many rounds of the trainer's own negatives approach the expected probabilities."""
    from anisotropy.training.negatives import mine

    unit = made.queries / np.linalg.norm(made.queries, axis=1, keepdims=True)
    documents = made.documents / np.linalg.norm(made.documents, axis=1, keepdims=True)
    own = [[int(d[1:]) for d in made.qrels[q]] for q in made.query_ids]
    lines = []
    for seed in range(60):
        drawn = mine(unit, documents, own, depth=12, kept=4,
                     generator=np.random.default_rng(seed))  # fmt: skip
        for q, items in enumerate(drawn.items):
            negatives = ",".join(f"d{i}" for i in items if i >= 0)
            lines.append((f"q{q}", f"d{own[q][0]}", negatives))
    found = observed_negatives(written(tmp_path / "ours", lines), made, "documents")
    law = an.negative_probability(made, "documents", k=12).probability.to_numpy()
    assert np.abs(found.probability - law).sum() / 2 < 0.05


@pytest.mark.parametrize("form", ["pickle", "npy", "mapping", "gzip"])
def test_row_numbers_are_turned_back(made, tmp_path: Path, form) -> None:
    rows = {int(name[1:]): 149 - i for i, name in enumerate(made.doc_ids)}
    plain = [("0", "1", "149,148", ""), ("1", "2", "149", "")]
    path = written(tmp_path / "data", [line[:3] for line in plain])
    renamed = remade(made, made.queries, made.documents, qrels={},
                     doc_ids=[f"D{name[1:]}" for name in made.doc_ids])  # fmt: skip
    offsets: object = rows
    if form in ("pickle", "gzip"):
        offsets = tmp_path / "pid2offset.pickle"
        Path(str(offsets)).write_bytes(pickle.dumps(rows, protocol=4))
    if form == "npy":
        offsets = tmp_path / "ids.npy"
        np.save(str(offsets), np.array(sorted(rows, key=rows.__getitem__)))
    if form == "gzip":
        path.write_bytes(gzip.compress(path.read_bytes()))
    found = observed_negatives(path, renamed, "documents", offsets=offsets)  # type: ignore[arg-type]
    drawn = {name: n for name, n in zip(found.ids, found.counts, strict=True) if n}
    assert drawn == {"D0": 2, "D1": 1}


def test_a_folder_of_maps(made, tmp_path: Path) -> None:
    for name, ids in (("pid2offset", made.doc_ids), ("train-query_qid2offset", made.query_ids)):
        rows = {name: row for row, name in enumerate(ids)}
        (tmp_path / f"{name}.pickle").write_bytes(pickle.dumps(rows, protocol=4))
    path = written(tmp_path / "data", [("0", "1", "2,3", "4,5"), ("1", "2", "3", "5")])
    for role, counts in (("documents", {"d2": 1, "d3": 2}), ("queries", {"q4": 1, "q5": 2})):
        found = observed_negatives(path, made, role, offsets=tmp_path)
        assert {i: n for i, n in zip(found.ids, found.counts, strict=True) if n} == counts


class Planted:
    def __reduce__(self):
        return print, ("called",)


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("q0\td1", "line 2: 2 tab-separated"),
        ("q0\td1\td2", "line 2: no column of negative queries"),
        ("q0\td1\td2\tq1,,q2", "line 2: an empty id"),
        ("q0\td1\td2\tq1,q1", "line 2: an item twice"),
        ("q0\td1\td2\tnobody", "line 2: 'nobody' is none of the 60 queries"),
        ("\td1\td2\tq1", "line 2: an empty query"),
        ('{"pos_q_group": 1}', "line 2: grouped data in JSON"),
    ],
)
def test_bad_lines_are_named(made, tmp_path: Path, line, part) -> None:
    path = tmp_path / "data"
    path.write_text("q0\td9\td2\tq1\n" + line + "\n")
    with pytest.raises(AnisotropyError) as caught:
        observed_negatives(path, made)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_files_are_named(made, tmp_path: Path, capsys) -> None:
    path = written(tmp_path / "data")
    with pytest.raises(AnisotropyError, match="no such file"):
        observed_negatives(tmp_path / "missing", made)
    (tmp_path / "empty").write_text("")
    with pytest.raises(AnisotropyError, match="no negatives of role queries"):
        observed_negatives(tmp_path / "empty", made)
    for content in (b"junk", pickle.dumps([1]), pickle.dumps(Planted()), pickle.dumps({"a": "b"})):
        (tmp_path / "map.pickle").write_bytes(content)
        with pytest.raises(AnisotropyError, match=r"map"):
            observed_negatives(path, made, offsets=tmp_path / "map.pickle")
    assert "called" not in capsys.readouterr().out
    with pytest.raises(AnisotropyError, match="no such file"):
        observed_negatives(path, made, offsets=tmp_path / "none.pickle")
    with pytest.raises(AnisotropyError, match="none of its 1 ids"):
        observed_negatives(path, made, offsets={"other": 3})
    with pytest.raises(UsageError, match="role"):
        observed_negatives(path, made, "querys")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="anchors"):
        observed_negatives(path, made, anchors="all")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("offsets", "named"),
    [({"d1": "x"}, "'x'"), ({"d1": 3, "d2": 3}, "two ids"), (5, "row order")],
)
def test_bad_maps_of_offsets_are_one_line(made, tmp_path: Path, offsets, named) -> None:
    path = written(tmp_path / "ann_training_data_0")
    with pytest.raises(AnisotropyError, match=named):
        an.observed_negatives(path, made, "documents", offsets=offsets)


def test_without_a_space_the_file_says_what_there_is(tmp_path: Path) -> None:
    path = written(tmp_path / "ann_training_data_0")
    documents = observed_negatives(path, role="documents")
    assert sorted(documents.ids) == ["d1", "d2", "d3", "d4", "d5"]  # positives are there as well
    assert dict(zip(documents.ids, documents.counts.tolist(), strict=True))["d1"] == 0
    queries = observed_negatives(path)
    assert sorted(queries.ids) == ["q0", "q1", "q2", "q3"]
    assert (queries.counts.sum(), queries.source) == (3, "that the file names")
    offsets = {f"d{i}": 10 - i for i in range(11)}
    rows = written(tmp_path / "rows", [("5", "6", "10,9", "1")])
    mapped = observed_negatives(rows, role="documents", offsets=offsets)
    assert len(mapped.ids) == 11
    assert {n for n, c in zip(mapped.ids, mapped.counts, strict=True) if c} == {"d0", "d1"}


def test_grouped_files_and_folders_say_the_same(made, tmp_path: Path) -> None:
    from anisotropy.training.negative_files import TrainingLine, write_set

    lines = [TrainingLine(q, d, ds.split(","), qs.split(",")) for q, d, ds, qs in LINES[:2]]
    write_set(tmp_path, 0, lines, {"checkpoint": "x"}, grouping=2)
    plain = written(tmp_path / "plain", LINES[:2])
    for role in ("documents", "queries"):
        one, other = (observed_negatives(p, made, role) for p in (tmp_path, plain))  # type: ignore[arg-type]
        np.testing.assert_array_equal(one.counts, other.counts)
        assert (one.anchors, one.lists) == (other.anchors, other.lists)
    assert one.file == tmp_path / "ann_grouped_training_data_0"


def test_maps_beside_the_file_and_in_a_folder(made, tmp_path: Path) -> None:
    folder = tmp_path / "preprocessed"
    folder.mkdir()
    for name, side in (("pid2offset", made.doc_ids), ("train-query_qid2offset", made.query_ids)):
        rows = {item: place for place, item in enumerate(side)}
        (folder / f"{name}.pickle").write_bytes(pickle.dumps(rows, protocol=4))
    path = written(tmp_path / "ann_training_data_0", [("0", "1", "2,3", "4,5")])
    for role, names in (("documents", {"d2", "d3"}), ("queries", {"q4", "q5"})):
        found = observed_negatives(path, made, role, offsets=folder)  # type: ignore[arg-type]
        assert {n for n, c in zip(found.ids, found.counts, strict=True) if c} == names
    with pytest.raises(AnisotropyError, match="is none of the 150 documents"):
        observed_negatives(path, made, "documents")
    content = {"documents": made.doc_ids[::-1], "queries": made.query_ids}
    (tmp_path / "offsets.json").write_text(json.dumps(content))
    found = observed_negatives(path, made, "documents")
    drawn = {n for n, c in zip(found.ids, found.counts, strict=True) if c}
    assert drawn == {"d147", "d146"}
    (folder / "train-query_qid2offset.pickle").unlink()
    with pytest.raises(AnisotropyError, match=r"no map of the queries .*offsets\.json"):
        observed_negatives(path, made, "queries", offsets=folder)


def test_rows_and_curves(made, tmp_path: Path) -> None:
    path = written(tmp_path / "data")
    observed = [
        observed_negatives(path, made, "documents"),
        observed_negatives(path, made, "queries", anchors="pairs"),
    ]
    found = measure_negatives("made", observed)
    rows = {row.measure: row for row in found.rows}
    assert len(rows) == 10
    kl = rows["observed_negatives_kl(anchors=pairs)"]
    table = observed[1].statistics().set_index("measure")
    assert kl.value == table.value["negative_probability_kl"]
    assert (kl.side, kl.n, kl.headline) == ("queries", 60, True)
    sorted_curve = next(c for c in found.curves if c.name == "observed_probability")
    assert sorted_curve.columns["probability"][0] == 0.6  # d3 stands in all three lists of five
    assert {curve.name for curve in found.curves} == {"observed_probability", "observed_items"}


def test_repeated_lists_are_repeated_in_the_null(made, tmp_path: Path) -> None:
    """One list shared by many queries is as uneven as chance makes it, not more."""
    rng = np.random.default_rng(0)
    lists = [",".join(f"q{i}" for i in rng.choice(60, 5, replace=False)) for _ in range(12)]
    lines = [(f"q{i}", f"d{i % 12}", "d3", lists[i % 12]) for i in range(60)]
    path = written(tmp_path / "ann_training_data_0", lines)
    found = an.observed_negatives(path, made, "queries", anchors="pairs").statistics()
    kl = found.set_index("measure").loc["negative_probability_kl"]
    assert abs(kl.value - kl.null_mean) < 4 * kl.null_sd
