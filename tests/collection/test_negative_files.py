"""Files of negatives as upstream wrote them: what is one, its lines, groups and marks."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from anisotropy.collection.negative_files import (
    all_sets,
    complete_sets,
    drawn_lines,
    is_negatives,
    mark_of,
    negatives_file,
    read_mark,
    read_set,
    roles_in,
    set_number,
)
from anisotropy.errors import AnisotropyError, CollectionError
from anisotropy.measures import observed_negatives

GROUP = {
    "pos_q_group": {"0": 2, "1": 3},
    "pos_d_group": {"0": 5, "1": 3},
    "neg_D_group": {"0": [8, 6], "1": [9]},
    "neg_Q_group": {"0": [3], "1": []},
}


def written(path: Path, *lines: str) -> Path:
    path.write_text("".join(line + "\n" for line in lines))
    return path


def test_plain_and_grouped_lines(tmp_path: Path) -> None:
    plain = written(tmp_path / "p", "2\t5\t8,6\t3", "3\t3\t9\t")
    grouped = written(tmp_path / "g", json.dumps(GROUP))
    for role in ("documents", "queries"):
        both = [[line[1:] for line in drawn_lines(path, role)] for path in (plain, grouped)]
        assert both[0] == both[1]
    assert [line.negatives for line in drawn_lines(grouped, "documents")] == [["8", "6"], ["9"]]
    assert roles_in(plain) == roles_in(grouped) == ("documents", "queries")
    one_way = {key: value for key, value in GROUP.items() if key != "neg_Q_group"}
    assert roles_in(written(tmp_path / "d", json.dumps(one_way))) == ("documents",)
    with pytest.raises(CollectionError, match="d, line 1: no neg_Q_group"):
        list(drawn_lines(tmp_path / "d", "queries"))


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"neg_D_group": {"0": [8, 8], "1": [9]}}, "an item twice"),
        ({"neg_D_group": {"0": [8]}}, "no group; needed"),
        ({"neg_D_group": {"0": "8,6", "1": [9]}}, "no group; needed"),
        ({"neg_D_group": {"0": [8.5], "1": [9]}}, "no group; needed"),
        ({"neg_D_group": {"0": [True], "1": [9]}}, "no group; needed"),
        ({"pos_q_group": {"0": {}, "1": 1}}, "no group; needed"),
        ({"pos_q_group": []}, ""),
    ],
)
def test_damaged_groups(tmp_path: Path, change: dict[str, object], part: str) -> None:
    path = written(tmp_path / "g", json.dumps(GROUP), json.dumps({**GROUP, **change}))
    if not part:
        assert len(list(drawn_lines(path, "documents"))) == 2  # a group of no pairs
        return
    with pytest.raises(CollectionError, match="g, line 2: ") as caught:
        list(drawn_lines(path, "documents"))
    assert part in str(caught.value)


def test_deep_json_and_mixed_lines(tmp_path: Path) -> None:
    deep = written(tmp_path / "deep", '{"pos_q_group":' + "[" * 100_000)
    with pytest.raises(CollectionError, match="line 1: no group"):
        list(drawn_lines(deep, "documents"))
    mixed = written(tmp_path / "m", json.dumps(GROUP), "2\t5\t8")
    with pytest.raises(CollectionError, match="line 2: plain lines among grouped data"):
        list(drawn_lines(mixed, "documents"))


def test_what_is_a_file_or_folder_of_negatives(tmp_path: Path) -> None:
    assert is_negatives(written(tmp_path / "any", "2\t5\t8,6"))
    assert is_negatives(written(tmp_path / "ann_training_data_0", "2\t5\t8"))
    assert is_negatives(tmp_path)
    assert not is_negatives(written(tmp_path / "run", "2\t5\t8"))
    assert not is_negatives(written(tmp_path / "empty"))
    assert not is_negatives(written(tmp_path / "json", "{}"))
    assert not is_negatives(written(tmp_path / "qrels", "2 0 5 1"))
    assert not is_negatives(tmp_path / "absent")
    (tmp_path / "passage_0__emb_p__data_obj_0.pb").touch()
    assert not is_negatives(tmp_path)  # a dump, whose negatives stand beside it


def test_numbers_of_sets(tmp_path: Path) -> None:
    for name in ("ann_training_data_2", "ann_training_data_10", "ann_grouped_training_data_3"):
        written(tmp_path / name, "2\t5\t8")
    written(tmp_path / "ann_training_data_2.split_loading_0", "2\t5\t8")
    assert all_sets(tmp_path) == [2, 3, 10]
    with pytest.raises(CollectionError, match="ann_training_data_10 has no ann_ndcg_10"):
        negatives_file(tmp_path)
    written(tmp_path / "ann_ndcg_3", '{"ndcg": 0.5}')
    assert complete_sets(tmp_path) == [3]
    file = negatives_file(tmp_path)
    assert file.name == "ann_grouped_training_data_3"
    assert mark_of(file) == {"ndcg": 0.5}
    assert mark_of(tmp_path / "ann_training_data_2") is None
    assert set_number(tmp_path / "ann_training_data_2.split_loading_0") is None
    with pytest.raises(CollectionError, match="no ann_training_data_N"):
        negatives_file(tmp_path / "..")
    with pytest.raises(AnisotropyError, match="no such file or folder"):
        negatives_file(tmp_path / "absent")


@pytest.mark.oracle
def test_every_file_of_upstream_holds_what_was_recorded(oracle: Path) -> None:
    """Negatives of every line, and counts of every item, against the samplers' own results."""
    checked = 0
    for record in sorted(oracle.glob("dumps/*/_recorded_negatives_*.json")):
        number, folder = int(record.stem.rsplit("_", 1)[1]), record.parent
        found = json.loads(record.read_text())
        calls = found["calls"]
        positives = found["training_query_positive_id"]
        documents = calls["GenerateNegativePassaageID"]["result"]
        queries = calls.get("GenerateNegativeQueryID", {}).get("result")
        lines = read_set(folder, number)
        assert lines
        for line in lines:
            assert str(line.positive) == str(positives[str(line.query)])
            assert list(line.documents) == [str(x) for x in documents[str(line.query)]]
            if queries is not None and line.queries is not None:
                assert list(line.queries) == [str(x) for x in queries[str(line.positive)]]
        assert {str(line.query) for line in lines} == set(documents)
        _check_counts(folder, number, documents, queries)
        checked += 1
    assert checked >= 7


def _check_counts(folder: Path, number: int, documents, queries) -> None:
    names = (f"ann_training_data_{number}", f"ann_grouped_training_data_{number}")
    path = next(folder / name for name in names if (folder / name).is_file())
    assert is_negatives(path)
    for role, lists in (("documents", documents), ("queries", queries)):
        if lists is None:  # none were drawn, or with BM25 and not recorded
            assert (role in roles_in(path)) == folder.name.endswith("bm25")
            continue
        counts = Counter(str(item) for own in lists.values() for item in own)
        found = observed_negatives(path, role=role)  # type: ignore[arg-type]
        drawn = {n: c for n, c in zip(found.ids, found.counts.tolist(), strict=True) if c}
        assert drawn == counts
        assert found.anchors == len(lists)
        rows = {str(item): row for row, item in enumerate(range(12))}
        mapped = observed_negatives(path, role=role, offsets=rows)  # type: ignore[arg-type]
        assert len(mapped.ids) == 12
        assert np.array_equal(mapped.counts, [counts[str(i)] for i in range(12)])


@pytest.mark.oracle
def test_every_mark_of_upstream_is_read(oracle: Path) -> None:
    marks = sorted(oracle.glob("dumps/*/ann_ndcg_*"))
    assert len(marks) >= 9
    for path in marks:
        number = int(path.name.rsplit("_", 1)[1])
        assert number in complete_sets(path.parent)
        mark = read_mark(path.parent, number)
        assert "checkpoint" in mark
        assert any("ndcg" in key or "top20" in key for key in mark)


@pytest.mark.oracle
def test_negatives_of_open_questions(oracle: Path) -> None:
    """Lists may be empty there, on either side."""
    path = oracle / "dumps/dance_dpr_dual_pb/ann_training_data_0"
    assert roles_in(path) == ("documents", "queries")
    lists = [line.negatives for line in drawn_lines(path, "queries")]
    assert [] in lists
    assert observed_negatives(path).counts.sum() > 0
