"""Negatives as files of a mining run hold them."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest

import anisotropy as an
from anisotropy.errors import AnisotropyError, UsageError
from anisotropy.measures.observed import draws_null, observed_negatives
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


def test_repeated_lists_are_repeated_in_the_null(made, tmp_path: Path) -> None:
    """One list shared by many queries is as uneven as chance makes it, not more."""
    rng = np.random.default_rng(0)
    lists = [",".join(f"q{i}" for i in rng.choice(60, 5, replace=False)) for _ in range(12)]
    lines = [(f"q{i}", f"d{i % 12}", "d3", lists[i % 12]) for i in range(60)]
    path = written(tmp_path / "ann_training_data_0", lines)
    found = an.observed_negatives(path, made, "queries", anchors="pairs").statistics()
    kl = found.set_index("measure").loc["negative_probability_kl"]
    assert abs(kl.value - kl.null_mean) < 4 * kl.null_sd
