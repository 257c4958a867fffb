"""Dumps of ANCE and DANCE as spaces: shards, ids, chunks, splits and steps."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from anisotropy.collection import open_collection
from anisotropy.errors import AnisotropyError, EmbeddingsError, UsageError
from anisotropy.opening import default_label, holds_vectors, open_space
from anisotropy.spaces import EmbeddingSpace
from anisotropy.spaces.dumps import upstream
from anisotropy.spaces.dumps.base import DumpOptions
from anisotropy.spaces.dumps.opening import open_dump
from anisotropy.spaces.rows import chunk_numbers
from tests.collection.preprocessed import (
    DEV,
    DOCUMENT_IDS,
    TRAIN,
    ance,
    dance,
    dpr,
    write_cache,
    write_map,
)
from tests.spaces.dumps.upstream_files import (
    DIM,
    dance_dump,
    vectors_of,
    write_set,
    write_shard,
)

DEV_IDS, TRAIN_IDS = {8: 1, 6: 0}, {7: 0, 2: 1, 90: 2}


def opened(tmp_path: Path, split: str | None = None, **options: object) -> EmbeddingSpace:
    data = open_collection(dance(tmp_path / "data"), split=split)
    return open_dump(
        tmp_path / "dump",
        DumpOptions(split=split, **options),
        collection=data,  # type: ignore[arg-type]
    )


def by_id(space: EmbeddingSpace) -> dict[str, np.ndarray]:
    rows = np.asarray(space.documents[:])
    owner = np.arange(len(rows)) if space.document_of_row is None else space.document_of_row
    return {name: rows[owner == place] for place, name in enumerate(space.doc_ids)}


@pytest.mark.parametrize("form", ["pb", "pb1", "npy"])
@pytest.mark.parametrize("chunks", [1, 4])
def test_vectors_come_back_under_their_ids(tmp_path: Path, form: str, chunks: int) -> None:
    dance_dump(tmp_path / "dump", chunks=chunks, form=form)
    space = opened(tmp_path)
    documents = by_id(space)
    for doc_id, row in DOCUMENT_IDS.items():
        assert np.array_equal(documents[str(doc_id)], vectors_of("passage", 5, chunks)[row])
    queries = dict(zip(space.query_ids, space.queries[:], strict=True))
    for query_id, row in DEV_IDS.items():
        assert np.array_equal(queries[str(query_id)], vectors_of("real-dev_query", 2)[row, 0])
    assert space.training is not None
    pool = dict(zip(space.training.query_ids, space.training.queries[:], strict=True))
    for query_id, row in TRAIN_IDS.items():
        assert np.array_equal(pool[str(query_id)], vectors_of("query", 3)[row, 0])
    assert space.qrels == {"6": {"3": 1}, "8": {"1009": 1}}
    assert space.training.qrels["2"] == {"41": 1, "5": 1}
    assert (space.similarity, space.step) == ("dot", 20)
    assert space.counts["documents"] == 5
    assert space.counts["document_vectors"] == 5 * chunks


def test_padding_is_marked_by_the_lengths_of_the_folder(tmp_path: Path) -> None:
    """Documents of 4, 3, 6, 2 and 5 tokens in chunks of 2."""
    dance_dump(tmp_path / "dump", chunks=4)
    space = opened(tmp_path)
    assert space.padding is not None
    marks = dict(zip(space.doc_ids, space.padding.reshape(5, 4).sum(axis=1).tolist(), strict=True))
    assert marks == {"70": 2, "3": 2, "41": 1, "1009": 3, "5": 1}
    assert not space.padding.reshape(5, 4)[:, 0].any()


def test_rows_stay_in_the_files_until_asked_for(tmp_path: Path) -> None:
    write_set(tmp_path / "dump", "passage", 5000, chunks=2, form="pb")
    write_map(tmp_path / "dump" / "pid2offset.pickle", {9 * row: row for row in range(5000)})
    space = open_dump(tmp_path / "dump")
    assert not isinstance(space.documents, np.ndarray)
    shards = space.documents.base.shards
    assert all(isinstance(shard, np.memmap) for shard in shards)
    wanted = vectors_of("passage", 5000, 2)
    row = space.doc_ids.index("27")
    assert np.array_equal(space.documents[2 * row : 2 * row + 2], wanted[3])


def test_chunk_numbers_count_how_often_a_row_came() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        rows = rng.integers(0, 6, size=rng.integers(0, 40))
        seen: dict[int, int] = {}
        slow = []
        for row in rows.tolist():
            slow.append(seen.get(row, 0))
            seen[row] = slow[-1] + 1
        assert chunk_numbers(rows).tolist() == slow


@pytest.mark.parametrize(
    ("split", "ids"), [("dev", ["6", "8"]), ("test", ["501"]), ("train", ["7", "90", "2"])]
)
def test_splits(tmp_path: Path, split: str, ids: list[str]) -> None:
    dance_dump(tmp_path / "dump")
    space = opened(tmp_path, split)
    assert space.query_ids == ids
    assert (space.training is None) == (split == "train")
    assert space.collection_info["split"] == split


def test_ranks_are_numbers_not_text(tmp_path: Path) -> None:
    """Twelve ranks: file 10 comes after file 9, which sorted names would not give."""
    write_set(tmp_path / "dump", "passage", 24, ranks=12)
    write_map(tmp_path / "dump" / "pid2offset.pickle", {row: row for row in range(24)})
    space = open_dump(tmp_path / "dump")
    assert space.doc_ids[:6] == ["0", "12", "1", "13", "2", "14"]
    assert np.array_equal(by_id(space)["23"][0], vectors_of("passage", 24)[23, 0])


def test_numbers_with_gaps_are_no_missing_shard(tmp_path: Path) -> None:
    made = vectors_of("passage", 5)[:, 0]
    for number, rows in ((0, [0, 2]), (3, [4]), (8, [1, 3])):
        write_shard(tmp_path / "dump", "passage_nq", number, made[rows], np.array(rows))
    for name, n in (("query", 2), ("dev_query", 2)):
        write_set(tmp_path / "dump", name, n, step="nq")
    data = open_collection(dpr(tmp_path / "data"), split="test")
    space = open_dump(tmp_path / "dump", collection=data)
    assert np.array_equal(by_id(space)["5"][0], made[4])
    assert (space.query_ids, space.step) == (["0", "1"], None)


def test_dev_of_dpr_is_trivia_where_ance_wrote_over_it(tmp_path: Path) -> None:
    folder = dpr(tmp_path / "data")
    write_cache(folder / "trivia-test-query", [[101, 9, 102]] * 2, 8)
    for name, n in (("passage", 5), ("dev_query", 2), ("query", 2)):
        write_set(tmp_path / "dump", name, n)
    data = open_collection(folder, split="trivia-test")
    space = open_dump(tmp_path / "dump", collection=data)
    assert "dev_query is read as trivia-test-query" in space.warnings[-1]
    write_set(tmp_path / "dump", "trivia_dev_query", 2)
    space = open_dump(tmp_path / "dump", DumpOptions(split="test"), collection=data)
    assert np.array_equal(space.queries[:], vectors_of("dev_query", 2)[:, 0])


def test_sets_of_custom_data(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    write_cache(folder / "passages", [[0, 2]] * 4, 8)
    write_map(folder / "pid2offset.pickle", {row + 50: row for row in range(4)})
    write_cache(folder / "my_blind-query", [[0, 2]] * 3, 8)
    write_map(folder / "my_blind_qid2offset.pickle", {row + 5: row for row in range(3)})
    for name, n in (("passages", 4), ("my_blind", 3)):
        write_set(tmp_path / "dump", name, n, step="checkpoint_dir")
    space = open_dump(tmp_path / "dump", collection=open_collection(folder))
    assert sorted(space.query_ids) == ["5", "6", "7"]
    assert sorted(space.doc_ids) == ["50", "51", "52", "53"]


def test_several_steps(tmp_path: Path) -> None:
    for step in (100, 20, 3000):
        dance_dump(tmp_path / "dump", step=step)
    with pytest.raises(
        UsageError, match=r"dumps of 3 steps \(20, 100, 3000\); name one by a file"
    ):
        opened(tmp_path)
    files = upstream.series(tmp_path / "dump")
    assert [default_label(path) for path in files] == ["dump/20", "dump/100", "dump/3000"]
    data = open_collection(tmp_path / "data")
    for path, step in zip(files, (20, 100, 3000), strict=True):
        space = open_space(path, data)
        assert (space.step, space.label) == (step, f"dump/{step}")
        assert np.array_equal(by_id(space)["70"][0], vectors_of("passage", 5, step=step)[0, 0])
    dance_dump(tmp_path / "other")
    assert upstream.series(tmp_path / "other") == upstream.series(tmp_path / "data") == []


def test_analyze_takes_the_steps_as_a_series(tmp_path: Path) -> None:
    from anisotropy.opening import expand

    for step in (100, 20):
        dance_dump(tmp_path / "dump", step=step)
    names = [Path(path).name for path in expand([str(tmp_path / "dump")])[0]]
    assert names == [f"passage_{step}__emb_p__data_obj_0.pb" for step in (20, 100)]


def test_the_one_map_of_ance_names_one_set_alone(tmp_path: Path) -> None:
    """Of two sets of as many queries the training set was written first, and its map lost."""
    folder = tmp_path / "dump"
    for name, n in (("passage", 6), ("query", 3), ("dev_query", 3)):
        write_set(folder, name, n)
    write_map(folder / "pid2offset.pickle", {100 + row: row for row in range(6)})
    write_map(folder / "qid2offset.pickle", {900 + row: row for row in range(3)})
    space = open_dump(folder)
    assert sorted(space.query_ids) == ["900", "901", "902"]
    assert space.training is not None
    assert sorted(space.training.query_ids) == ["0", "1", "2"]
    said = " ".join(space.warnings)
    assert "taken for the map of dev-query, the last set written" in said
    assert "that of train-query was overwritten" in said
    assert "no map of ids belongs to query:" in said


def test_maps_in_place_of_the_folder(tmp_path: Path) -> None:
    dance_dump(tmp_path / "dump", chunks=2)
    data, maps = dance(tmp_path / "data"), tmp_path / "maps"
    maps.mkdir()
    for path in data.glob("*.pickle"):
        (maps / path.name).write_bytes(path.read_bytes())
    space = open_dump(tmp_path / "dump", DumpOptions(offsets=maps))
    whole = open_dump(tmp_path / "dump", collection=open_collection(data))
    assert (space.doc_ids, space.query_ids) == (whole.doc_ids, whole.query_ids)
    assert (space.padding, space.qrels) == (None, {})
    assert space.training is not None
    assert any("padding alone only the preprocessed folder tells" in w for w in space.warnings)
    assert open_dump(tmp_path / "dump", DumpOptions(offsets=data)).padding is not None
    qrels = tmp_path / "qrels.tsv"
    qrels.write_text("6 0 D3 1\n8 0 41 2\n8 0 D1 1\n")
    judged = open_dump(tmp_path / "dump", DumpOptions(offsets=maps, qrels=qrels))
    assert judged.qrels == {"6": {"3": 1}, "8": {"41": 2}}
    assert [line for line in judged.warnings if "1 of 3 judgments left out" in line]


def test_the_one_map_of_ance_is_of_the_set_with_as_many_rows(tmp_path: Path) -> None:
    for name, n in (("passage", 5), ("query", 3), ("dev_query", 2)):
        write_set(tmp_path / "dump", name, n)
    write_map(tmp_path / "dump" / "pid2offset.pickle", DOCUMENT_IDS)
    write_map(tmp_path / "dump" / "qid2offset.pickle", {31: 0, 32: 1})
    space = open_dump(tmp_path / "dump")
    assert sorted(space.query_ids) == ["31", "32"]
    assert space.training is not None
    assert sorted(space.training.query_ids) == ["0", "1", "2"]
    assert "no map of ids belongs to query: its queries are called by their row" in space.warnings
    data = open_collection(ance(tmp_path / "data"))
    assert sorted(open_dump(tmp_path / "dump", collection=data).query_ids) == ["100", "101"]


def test_documents_alone_and_queries_alone(tmp_path: Path) -> None:
    write_set(tmp_path / "d", "passage", 5)
    write_set(tmp_path / "q", "real-dev_query", 2)
    maps = DumpOptions(offsets=dance(tmp_path / "data"))
    documents, queries = (open_dump(tmp_path / name, maps) for name in "dq")
    assert (len(documents.queries), len(documents.documents)) == (0, 5)
    assert (queries.query_ids, len(queries.documents)) == (["6", "8"], 0)


@pytest.mark.parametrize(("scale", "unit"), [(1.0, True), (3.0, False)])
def test_whether_l2_was_on_is_said(tmp_path: Path, scale: float, unit: bool) -> None:
    for name, n in (("passage", 5), ("real-dev_query", 2)):
        made = vectors_of(name, n)[:, 0]
        made *= scale / np.linalg.norm(made, axis=1, keepdims=True)
        write_shard(tmp_path / "dump", f"{name}_20", 0, made, np.arange(n))
    space = opened(tmp_path)
    assert space.recipe["normalize"] is unit
    assert "unit length" in space.recipe["sources"]["normalize"]
    assert space.recipe["sources"]["similarity"] == "upstream searches by inner product"
    assert opened(tmp_path, similarity="cosine").similarity == "cosine"


def test_found_by_name_alone_and_never_by_accident(tmp_path: Path) -> None:
    dance_dump(tmp_path / "dump")
    assert upstream.find(tmp_path / "dump")
    assert holds_vectors(next((tmp_path / "dump").iterdir()))
    dance(tmp_path / "data")
    (tmp_path / "data" / "passage_20__emb_p__data_obj_x.pb").write_bytes(b"")
    for other in (tmp_path / "data", tmp_path / "none", tmp_path / "data" / "passages"):
        assert not upstream.find(other)


def shard(dump: Path, name: str, number: int, kind: str = "emb") -> Path:
    return dump / f"{name}_20__{kind}_p__data_obj_{number}.pb"


class Planted:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("called",)


DAMAGE: list[tuple[Callable[[Path], object], str]] = [
    (lambda d: [shard(d, "passage", 1, k).unlink() for k in ("emb", "embid")],
     "passage_20: 2 of 5 rows are in no shard (row 1 is the first); there are shards 0: one is"),
    (lambda d: shard(d, "passage", 1).unlink(),
     "passage_20__embid_p__data_obj_1.pb: passage_20__emb_p__data_obj_1.pb is missing"),
    (lambda d: shard(d, "query", 0, "embid").unlink(),
     "query_20__emb_p__data_obj_0.pb: query_20__embid_p__data_obj_0.pb is missing"),
    (lambda d: shard(d, "passage", 1).write_bytes(shard(d, "passage", 0).read_bytes()),
     "passage_20__emb_p__data_obj_1.pb: 3 vectors; passage_20__embid_p__data_obj_1.pb has 2 rows"),
    (lambda d: write_shard(d, "passage_20", 1, np.ones((2, 4), np.float32), np.array([1, 3])),
     "passage_20: vectors of 4 x float32 and 6 x float32; shards of two runs"),
    (lambda d: write_shard(d, "passage_20", 1, np.ones((2, DIM), int), np.array([1, 3])),
     "int64 of shape (2, 6); needed: floating-point vectors"),
    (lambda d: write_shard(d, "passage_20", 1, np.ones((2, DIM)), np.array([1.0, 3])),
     "float64 of shape (2,); needed: whole numbers"),
    (lambda d: write_shard(d, "passage_20", 2, np.ones((1, DIM), np.float32), np.array([5])),
     "passage_20: has a vector of row 5; rows that ids are known for: 0 to 4"),
    (lambda d: write_shard(d, "passage_20", 2, np.ones((1, DIM), np.float32), np.array([-1])),
     "has a vector of row -1"),
    (lambda d: write_shard(d, "passage_20", 2, np.ones((1, DIM), np.float32), np.array([2**62])),
     "has a vector of row 4611686018427387904"),
    (lambda d: write_shard(d, "passage_20", 2, np.ones((1, DIM), np.float32), np.array([2])),
     "passage_20: row 0 has 1 vectors, row 2 has 2; needed: as many for each"),
    (lambda d: shard(d, "query", 0).write_bytes(shard(d, "query", 0).read_bytes()[:-20]),
     "query_20__emb_p__data_obj_0.pb: not readable as a pickle"),
    (lambda d: shard(d, "query", 0).write_bytes(pickle.dumps(Planted())),
     "query_20__emb_p__data_obj_0.pb: not readable as a pickle (it names"),
    (lambda d: shard(d, "query", 0).write_bytes(pickle.dumps({"a": 1})),
     "query_20__emb_p__data_obj_0.pb: holds a dict; needed: one array"),
    (lambda d: np.save(d / "query_20__emb_p__data_obj_0.npy", np.ones((2, DIM))),
     "holds both query_20__emb_p__data_obj_0.npy and query_20__emb_p__data_obj_0.pb; keep one"),
    (lambda d: write_set(d, "passages", 5), "documents of both passage and passages; keep one"),
    (lambda d: write_set(d, "blind", 5), "the queries of blind-query, which"),
    (lambda d: write_shard(d, "real-dev_query_20", 2, np.ones((1, DIM)), np.array([1])),
     "real-dev_query_20: vectors of 6 x float32 and 6 x float64"),
    (lambda d: write_shard(d, "query_20", 2, np.full((1, DIM), np.nan, np.float32), np.array([2])),
     "query_20: row 0 has 1 vectors, row 2 has 2"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "expected"), DAMAGE)
def test_damage_is_named(
    tmp_path: Path, damage: Callable[[Path], object], expected: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    damage(dance_dump(tmp_path / "dump"))
    with pytest.raises(AnisotropyError) as caught:
        opened(tmp_path)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "called" not in capsys.readouterr().out


def test_without_any_map_one_line_asks_for_it(tmp_path: Path) -> None:
    dance_dump(tmp_path / "dump")
    with pytest.raises(EmbeddingsError, match=r"nothing says their ids; give .* --data or --off"):
        open_dump(tmp_path / "dump")


def test_a_folder_of_other_counts_or_lengths(tmp_path: Path) -> None:
    dance_dump(tmp_path / "dump", chunks=3)
    with pytest.raises(EmbeddingsError, match="documents of 8 tokens do not make 3 chunks"):
        opened(tmp_path)
    maps = tmp_path / "maps"
    maps.mkdir()
    write_map(maps / "pid2offset.pickle", {1: 0, 2: 9})
    with pytest.raises(EmbeddingsError, match="5 of 10 rows are in no shard"):
        open_dump(tmp_path / "dump", DumpOptions(offsets=maps))
    write_map(maps / "pid2offset.pickle", {1: 0, 2: 10**15})
    with pytest.raises(EmbeddingsError, match="of 1000000000000001 rows are in no shard"):
        open_dump(tmp_path / "dump", DumpOptions(offsets=maps))


def test_a_split_that_the_dump_has_not(tmp_path: Path) -> None:
    write_set(tmp_path / "dump", "passage", 5)
    write_set(tmp_path / "dump", "real-dev_query", 2)
    with pytest.raises(UsageError, match="split of the queries: got 'test'; allowed: dev"):
        opened(tmp_path, "test")


@pytest.mark.parametrize(
    ("sets", "split"),
    [
        (("query", "dev_query"), "test"),
        (("query", "real-dev_query", "dev_query"), "dev"),
        (("query",), "train"),
    ],
)
def test_the_default_split_is_one_that_the_dump_has(
    tmp_path: Path, sets: tuple[str, ...], split: str
) -> None:
    """The collection's default is dev, whatever was dumped."""
    counts = {"query": 3, "dev_query": 1, "real-dev_query": 2}
    for name, n in (("passage", 5), *((one, counts[one]) for one in sets)):
        write_set(tmp_path / "dump", name, n)
    space = opened(tmp_path)
    assert space.qrels
    assert space.collection_info["split"] == split
    assert space.collection is not None
    assert {query.query_id for query in space.collection.queries()} == set(space.query_ids)


def test_the_default_split_of_dpr_is_the_one_evaluated(tmp_path: Path) -> None:
    folder = dpr(tmp_path / "data")
    write_cache(folder / "trivia-test-query", [[101, 9, 102]] * 2, 8)
    for name, n in (("passage", 5), ("dev_query", 2), ("query", 2)):
        write_set(tmp_path / "dump", name, n)
    space = open_dump(tmp_path / "dump", collection=open_collection(folder))
    assert space.collection_info["split"] == "trivia-test"


def test_counts_of_the_fixtures(tmp_path: Path) -> None:
    """The dump belongs to the folder: what the other tests stand on."""
    found = open_collection(dance(tmp_path / "data"))
    assert found.n_documents == len(DOCUMENT_IDS)
    assert len(found.queries("train")) == len(TRAIN)
    assert len(found.queries("dev")) == len(DEV)
