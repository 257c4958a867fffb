"""Files that are damaged, lie or attack: one line that names them, and nothing else happens."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anisotropy.errors import AnisotropyError, InputError
from anisotropy.spaces.dumps import flex, opening
from anisotropy.spaces.dumps.base import DumpOptions
from tests.spaces.dumps.make.made_up import DOC_IDS, DOCUMENTS

FILES = Path(__file__).parent / "files"
OPTIONS = DumpOptions(similarity="dot")
#: Whole dumps, each with the file of it that is damaged.
TARGETS = [
    ("numpy/named.npy", "named.npy"),
    ("numpy/named.npy", "named.ids.txt"),
    ("numpy/inside.npz", "inside.npz"),
    ("numpy/compressed.npz", "compressed.npz"),
    ("arrow/fixed.parquet", "fixed.parquet"),
    ("arrow/lists.parquet", "lists.parquet"),
    ("arrow/file.arrow", "file.arrow"),
    ("arrow/stream.arrow", "stream.arrow"),
    ("arrow/pandas.feather", "pandas.feather"),
    ("arrow/datasets", "datasets/data-00000-of-00002.arrow"),
    ("arrow/datasets", "datasets/state.json"),
    ("faiss/idmap2.faiss", "idmap2.faiss"),
    ("faiss/hnsw_flat_ip.faiss", "hnsw_flat_ip.faiss"),
    ("faiss/ivf_flat_sparse.faiss", "ivf_flat_sparse.faiss"),
    ("faiss/ivf_flat_hash.faiss", "ivf_flat_hash.faiss"),
    ("faiss/sq_8bit.faiss", "sq_8bit.faiss"),
    ("faiss/refine.faiss", "refine.faiss"),
    ("pyserini/flat", "flat/index"),
    ("pyserini/flat", "flat/docid"),
    ("beir/float32/queries.pkl", "queries.pkl"),
    ("tevatron/new/chunked.pkl", "chunked.pkl"),
    ("flex/mixed", "mixed/vecs.f4"),
    ("flex/mixed", "mixed/docnos.npids"),
    ("flex/blocks", "blocks/docnos.npids"),
    ("flex/mixed", "mixed/pt_meta.json"),
    ("mteb", "mteb/vectors.npy"),
    ("mteb", "mteb/index.json"),
    ("safetensors/bfloat16.safetensors", "bfloat16.safetensors"),
    ("torch/dict.pt", "dict.pt"),
    ("torch/legacy.pt", "legacy.pt"),
    ("jsonl/documents.jsonl", "documents.jsonl"),
]


def copied(dump: str, tmp: Path) -> Path:
    """The folder in which a dump lies, copied; the path of the dump in it."""
    source = FILES / dump
    target = tmp / source.parent.name
    shutil.copytree(source.parent, target, dirs_exist_ok=True)
    return target / source.name


def opened(path: Path) -> tuple[np.ndarray, list[str]]:
    space = opening.open_dump(path, OPTIONS)
    side = "documents" if space.doc_ids else "queries"
    return np.asarray(getattr(space, side)[:]), list(space.doc_ids or space.query_ids)


#: Kept to the end: what was allocated from a pool may outlive the block that measures it.
POOLS: list[pa.MemoryPool] = []


@contextmanager
def little_memory(limit: int = 32 * 2**20) -> Iterator[None]:
    """The most that Python and Arrow hold at once, what is freed again included."""
    usual = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(usual)  # its highest mark is that of this block alone
    POOLS.append(pool)
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
        assert (pool.max_memory() or 0) < limit
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(usual)


@pytest.mark.parametrize("read", ["buffer", "parquet"])
def test_little_memory_can_fail(read: str, tmp_path: Path) -> None:
    """Also over what Arrow has given back by the end."""
    path = tmp_path / "zeros.parquet"
    pq.write_table(pa.table({"x": np.zeros(2**20)}), path)
    with pytest.raises(AssertionError), little_memory(2**20):
        pa.allocate_buffer(2**22) if read == "buffer" else pq.read_table(path)


def refused(path: Path, match: str = ".") -> str:
    """The one line with which a dump is refused; it names the file."""
    with little_memory(), pytest.raises(AnisotropyError, match=match) as caught:
        opening.open_dump(path, OPTIONS)
    text = str(caught.value)
    assert "\n" not in text
    assert path.name in text or path.parent.name in text
    return text


@pytest.mark.parametrize(("dump", "name"), TARGETS, ids=lambda value: value)
def test_cut_short(dump: str, name: str, tmp_path: Path) -> None:
    """Refused, or nothing that counts was cut off: never other vectors or ids without a word."""
    path = copied(dump, tmp_path)
    rows, ids = opened(path)
    target = path.parent / name
    whole = target.read_bytes()
    offsets = {0, 1, 3, 7, len(whole) - 1, len(whole) - 5}
    offsets |= {len(whole) * part // 23 for part in range(1, 23)}
    errors = 0
    for offset in sorted(offsets):
        target.write_bytes(whole[: max(offset, 0)])
        try:
            cut_rows, cut_ids = opened(path)
        except AnisotropyError:
            errors += 1
        else:
            same = len(cut_ids) == len(ids) and np.array_equal(cut_rows, rows)
            if name.endswith(("txt", "docid")):  # the last id of a text may have lost letters
                assert cut_ids[:-1] == ids[:-1]
            else:
                assert (same and cut_ids == ids) or name.endswith("jsonl"), offset
    assert errors >= len(offsets) / 5


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_damage(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Bytes changed, taken out or put in anywhere: opened, or one line."""
    dump, name = data.draw(st.sampled_from(TARGETS))
    path = copied(dump, tmp_path_factory.mktemp("damage"))
    target = path.parent / name
    whole = target.read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    length = data.draw(st.sampled_from([0, 1, 1, 4, 8, len(whole)]))
    numbers = [b"\xff" * 8, b"\0" * 8, struct.pack("<q", 2**40), struct.pack("<i", 2**31 - 1)]
    put = data.draw(
        st.sampled_from([*numbers, b"NaN", b"1e999", b"[" * 64]) | st.binary(max_size=9)
    )
    target.write_bytes(whole[:start] + put + whole[start + length :])
    said = ""
    try:
        opened(path)
    except AnisotropyError as error:
        said = str(error)
    assert "\n" not in said


@pytest.mark.parametrize(
    ("dump", "name"),
    [pair for pair in TARGETS if not pair[1].endswith(("txt", "docid", "json", "jsonl", "f4"))],
    ids=lambda value: value,
)
def test_wrong_magic(dump: str, name: str, tmp_path: Path) -> None:
    path = copied(dump, tmp_path)
    target = path.parent / name
    whole = target.read_bytes()
    if "vectors.npy" in name:
        pytest.skip("MTEB's vectors have no magic")
    target.write_bytes(b"\x01\x02\x03\x04\x05\x06" + whole[6:])
    refused(path)


# numbers that lie


def faiss_header(kind: bytes, dim: int, n: int, metric: int = 0) -> bytes:
    return kind + struct.pack("<iqqqBi", dim, n, 2**20, 2**20, 1, metric)


def scalar(kind: int, dim: int, width: int) -> bytes:
    return struct.pack("<iiiQQQQ", kind, 0, 0, dim, width, 0, 0)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (faiss_header(b"IxFI", 16, 2**60) + struct.pack("<Q", 2**62), "cut short"),
        (faiss_header(b"IxFI", 16, 2) + struct.pack("<Q", 8) + bytes(32), "needed: 32"),
        (faiss_header(b"IxFI", -4, 2), "-4 dimensions"),
        (faiss_header(b"IxFI", 0, 2), "0 dimensions"),
        (faiss_header(b"IxFI", 4, -2), "-2 vectors"),
        (faiss_header(b"IxFI", 4, 2) + struct.pack("<Q", 8) + bytes(33), "behind the end"),
        (faiss_header(b"IHNf", 4, 2) + struct.pack("<Q", 2**63), "cut short"),
        (faiss_header(b"IxM2", 4, 2) * 50, "inside each other"),
        (faiss_header(b"IwFl", 4, 2) + struct.pack("<QQ", 2**50, 1), "cut short"),
        (faiss_header(b"IxSQ", 4, 2) + scalar(1, 4, 2), "kind 1"),
        (faiss_header(b"IxSQ", 4, 2) + scalar(4, 4, 0), "0 bytes a vector"),
        (faiss_header(b"IxSQ", 4, 2) + scalar(4, 2**62, 2**63), "bytes a vector"),
    ],
)  # fmt: skip
def test_faiss_counts(content: bytes, match: str, tmp_path: Path) -> None:
    (tmp_path / "lying.faiss").write_bytes(content)
    refused(tmp_path / "lying.faiss", match)


def flat(rows: np.ndarray) -> bytes:
    head = faiss_header(b"IxFI", rows.shape[1], len(rows))
    return head + struct.pack("<Q", rows.size) + rows.tobytes()


def idmap(rows: np.ndarray, numbers: list[int]) -> bytes:
    head = faiss_header(b"IxMp", rows.shape[1], len(rows))
    return head + flat(rows) + struct.pack(f"<Q{len(numbers)}q", len(numbers), *numbers)


def test_faiss_ids(tmp_path: Path) -> None:
    path = tmp_path / "x.faiss"
    path.write_bytes(idmap(DOCUMENTS[:3], [7, 9, 7]))
    refused(path, "id 7 stands at rows 0 and 2")
    path.write_bytes(idmap(DOCUMENTS[:3], [7, 9]))
    refused(path, "2 ids")


@pytest.mark.parametrize("lines", [39, 41, 0])
def test_docid_of_another_length(lines: int, tmp_path: Path) -> None:
    path = copied("pyserini/flat", tmp_path)
    (path / "docid").write_text("".join(f"D{number}\n" for number in range(lines)))
    refused(path, f"docid: {lines} lines for 40 vectors")


def npids(*blocks: tuple[int, int, int, dict[str, Any], bytes]) -> bytes:
    """Blocks of kind, place of the next one, count, description and content."""
    whole = b""
    for kind, following, count, config, content in blocks:
        text = json.dumps(config).encode()
        whole += struct.pack("<IqqI", kind, following, count, len(text)) + text + content
    return whole


MAGIC = int.from_bytes(b"NPID", "little")
START = (MAGIC, 38, 0, {"version": 1}, b"")
SEQUENCE = {"format": "intsequence", "prefix": "D", "start": 0}


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (npids(START, (0, -1, 10**12, SEQUENCE, b"")), "more ids than the 40"),
        (npids(START, (0, -1, 39, SEQUENCE, b"")), "39 ids for 40"),
        (npids(START, (0, -1, -1, SEQUENCE, b"")), "do not fit"),
        (npids(START, (0, 38, 1, SEQUENCE, b"")), "do not fit"),
        (npids(START, (0, 2**62, 1, SEQUENCE, b"")), "do not fit"),
        (npids((MAGIC, 0, 0, {"version": 1}, b"")), "do not fit"),
        (npids((MAGIC, 38, 0, {"version": 7}, b"")), "version 7"),
        (npids(START, (0, -1, 40, {"format": "exec"}, b"")), "kind 'exec'"),
        (npids(START, (0, -1, 40, {**SEQUENCE, "start": "x"}, b"")), "start is no number"),
        (npids(START, (0, -1, 40, {**SEQUENCE, "format": "intsequencepad", "pad": 10**9}, b"")),
         "digits"),
        (npids(START, (0, -1, 40, {"format": "fixedbytes", "prefix": "", "length": 10**15}, b"")),
         "0 bytes for 40"),
    ],
)  # fmt: skip
def test_npids(content: bytes, match: str, tmp_path: Path) -> None:
    (tmp_path / "docnos.npids").write_bytes(content)
    with little_memory(), pytest.raises(InputError, match=match):
        flex.read_npids(tmp_path / "docnos.npids", 40)


def test_npids_as_here_are_right(tmp_path: Path) -> None:
    """The blocks that the lies above are made of, without a lie."""
    (tmp_path / "docnos.npids").write_bytes(npids(START, (0, -1, 40, SEQUENCE, b"")))
    expected = [f"D{number}" for number in range(40)]
    assert flex.read_npids(tmp_path / "docnos.npids", 40) == expected


def flex_meta(n: Any, dim: Any) -> dict[str, Any]:
    return {"type": "dense_index", "format": "flex", "doc_count": n, "vec_size": dim}


@pytest.mark.parametrize(
    ("dump", "name", "content", "match"),
    [
        ("flex/mixed", "pt_meta.json", flex_meta(2**40, 16), "1099511627776 documents"),
        ("flex/mixed", "pt_meta.json", flex_meta(10**9, 16), "says 1000000000 vectors"),
        ("flex/mixed", "pt_meta.json", flex_meta("40", 16), "'40' documents with 16"),
        ("flex/mixed", "pt_meta.json", flex_meta(40, 0), "with 0 dimensions"),
        ("flex/mixed", "pt_meta.json", {"format": "terrier"}, "not the description"),
        ("mteb", "dimension", 10**9, "needed: whole vectors"),
        ("mteb", "dimension", -16, "no number of dimensions"),
        ("mteb", "index.json", {"a": 0, "b": 2}, "row 2 where 1 is next"),
        ("mteb", "index.json", {"a": 0, "b": 0}, "row 0 where 1 is next"),
        ("mteb", "index.json", {str(n): n for n in range(65)}, "at least the 65"),
        ("mteb", "index.json", ["a"], "JSON object"),
        ("arrow/datasets", "state.json", {"_data_files": [{"filename": "../x"}]}, "'../x'"),
        ("arrow/datasets", "state.json", {"_data_files": []}, "without files"),
        ("arrow/datasets", "state.json", {}, "names no files"),
    ],
)  # fmt: skip
def test_descriptions(dump: str, name: str, content: Any, match: str, tmp_path: Path) -> None:
    path = copied(dump, tmp_path)
    (path / name).write_text(json.dumps(content))
    refused(path, match)


def test_deep_json(tmp_path: Path) -> None:
    path = copied("mteb", tmp_path)
    (path / "index.json").write_text("[" * 200_000)
    refused(path, "nested too deep")
    lines = tmp_path / "documents.jsonl"
    first = json.dumps({"id": "a", "vector": [1.0, 2.0]})
    lines.write_text(f'{first}\n{{"id": {"[" * 200_000}\n')
    refused(lines, "line 2")


# bombs


def constant(n: int, dim: int) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(n * dim, np.float32)), dim)


def write_bomb(path: Path) -> None:
    """120 MB of zeros, as small as each layout makes them."""
    n, dim = 30_000, 1000
    if path.suffix == ".npz":
        np.savez_compressed(path, ids=np.arange(n), vectors=np.zeros((n, dim), np.float32))
        return
    table = pa.table({"id": pa.array(range(n)), "embedding": constant(n, dim)})
    if path.suffix == ".parquet":
        pq.write_table(table, path, compression="zstd")
        return
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    make = pa.ipc.new_file if path.suffix == ".arrow" else pa.ipc.new_stream
    with make(str(path), table.schema, options=options) as out:
        out.write_table(table)


@pytest.mark.parametrize("name", ["x.npz", "x.parquet", "x.arrow", "x.stream"])
def test_bombs(name: str, tmp_path: Path) -> None:
    write_bomb(tmp_path / name)
    assert (tmp_path / name).stat().st_size < 400_000
    refused(tmp_path / name, "more than 100 times")


def test_parquet_pages_that_say_less_than_they_hold(tmp_path: Path) -> None:
    """The table of contents can say anything; the pages are asked themselves."""
    from anisotropy.spaces.dumps.arrow_format import parquet_bytes

    for name in ("fixed", "lists", "pandas", "polars", "datasets"):
        path = FILES / "arrow" / f"{name}.parquet"
        with pq.ParquetFile(path) as file:
            columns = file.schema_arrow.names
            metadata = file.metadata
        groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
        said = sum(
            g.column(c).total_uncompressed_size for g in groups for c in range(g.num_columns)
        )
        # it counts the headers of pages too, which are some dozen bytes each
        assert 0.5 * said < parquet_bytes(path, columns)


def test_a_table_of_contents_that_ends_the_process(tmp_path: Path) -> None:
    """Found by random edits: asked for this column, pyarrow 26 ends the whole process."""
    content = bytearray((FILES / "arrow" / "lists.parquet").read_bytes())
    content[4632] = 52
    (tmp_path / "x.parquet").write_bytes(content)
    refused(tmp_path / "x.parquet", "damaged table of contents")


def test_long_texts(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    vector = [[1.0, 2.0]]
    pq.write_table(pa.table({"id": ["x" * 5000], "embedding": vector}), path)
    refused(path, "a value of 5000 bytes near row 0; allowed: 4096")


# pickles that would run something


class Attack:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.mark),)


def write_attack(path: Path, mark: Path, protocol: int) -> None:
    evil = Attack(mark)
    if path.suffix == ".npz":
        array = np.empty(2, object)
        array[0] = evil
        np.savez(path, ids=array, embeddings=DOCUMENTS)
    elif path.suffix == ".npy":
        array = np.empty((2, 2), object)
        array[0, 0] = evil
        np.save(path, array)
    elif path.suffix == ".pt":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x/data.pkl", pickle.dumps({"embeddings": evil}, protocol=2))
    else:
        pair = {"queries": (DOCUMENTS, evil), "corpus": (evil, DOC_IDS)}[path.stem]
        path.write_bytes(pickle.dumps(pair, protocol=protocol))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("name", ["x.npz", "x.npy", "x.pt", "queries.pkl", "corpus.pkl"])
def test_no_code_runs(name: str, protocol: int, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    write_attack(tmp_path / name, mark, protocol)
    refused(tmp_path / name)
    assert not mark.exists()


def test_the_attack_would_work(tmp_path: Path) -> None:
    write_attack(tmp_path / "queries.pkl", tmp_path / "ran", 4)
    pickle.loads((tmp_path / "queries.pkl").read_bytes())
    assert (tmp_path / "ran").exists()


# ids and rows


def write_pair(path: Path, rows: np.ndarray, ids: list[Any]) -> None:
    if path.suffix == ".npz":
        np.savez(path, embeddings=rows, ids=np.array(ids))
    elif path.suffix == ".parquet":
        pq.write_table(pa.table({"id": ids, "embedding": list(rows)}), path)
    elif path.suffix == ".pkl":
        path.write_bytes(pickle.dumps((rows, ids)))
    elif path.suffix == ".jsonl":
        records = [{"id": i, "vector": r.tolist()} for i, r in zip(ids, rows, strict=True)]
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    else:
        np.save(path, rows)
        path.with_suffix(".ids.json").write_text(json.dumps(ids))


SUFFIXES = pytest.mark.parametrize("suffix", [".npz", ".parquet", ".pkl", ".jsonl", ".npy"])


@SUFFIXES
@pytest.mark.parametrize(
    ("odd", "match"),
    [
        ("", "row 2 is empty"),
        ("a\tb", "row 2 is empty or holds a tab"),
        ("a\nb", "row 2 .* line break"),
        ("D0", "'D0' stands at rows 0 and 2"),
    ],
)
def test_odd_ids(suffix: str, odd: str, match: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    write_pair(path, DOCUMENTS[:4], ["D0", "D1", odd, "D3"])
    refused(path, match)


@pytest.mark.parametrize("suffix", [".parquet", ".pkl", ".jsonl"])
def test_missing_id(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    write_pair(path, DOCUMENTS[:4], ["D0", "D1", None, "D3"])
    refused(path, "id of row 2 is")


@SUFFIXES
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_that_are_not_finite(suffix: str, value: float, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    rows = DOCUMENTS[:4].copy()
    rows[2, 5] = value
    write_pair(path, rows, DOC_IDS[:4])
    refused(path, rf"x{suffix}: documents row 2 has NaN")


@pytest.mark.parametrize("suffix", [".npz", ".pkl", ".npy"])
def test_counts_that_disagree(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    write_pair(path, DOCUMENTS[:4], DOC_IDS[:3])
    refused(path, "3 ids for 4 vectors")


def test_vectors_of_several_lengths(tmp_path: Path) -> None:
    vectors = [[1.0, 2.0], [1.0, 2.0, 3.0]]
    pq.write_table(pa.table({"id": ["a", "b"], "embedding": vectors}), tmp_path / "x.parquet")
    refused(tmp_path / "x.parquet", r"row 1 has 3 numbers.*row 0 has 2")
    records = [{"id": str(n), "vector": vector} for n, vector in enumerate(vectors)]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    refused(tmp_path / "x.jsonl", "line 2 has 3 values.*needed: 2 numbers")


def test_missing_vectors(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", "b"], "embedding": pa.array([[1.0, 2.0], None])})
    pq.write_table(table, tmp_path / "x.parquet")
    refused(tmp_path / "x.parquet", "row 1 has missing values")
    table = pa.table({"id": ["a", "b"], "embedding": pa.array([[1.0, 2.0], [1.0, None]])})
    pq.write_table(table, tmp_path / "x.parquet")
    refused(tmp_path / "x.parquet", "row 1 has missing values")


def test_odd_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    first = json.dumps({"id": "a", "vector": [1.0, 2.0]})
    for second, match in (
        ('{"id": "b", "vector": [1.0, "x"]}', "line 2"),
        ('{"id": "b", "vector": [1.0, true]}', "line 2"),
        ('{"id": "b", "vector": null}', "line 2 has NoneType"),
        ('{"id": "b"}', "line 2"),
        ("[1.0, 2.0]", "line 2 is no JSON object"),
        ("{", "line 2"),
    ):
        path.write_text(f"{first}\n{second}\n")
        refused(path, match)


def test_two_columns_of_vectors(tmp_path: Path) -> None:
    vector = [[1.0, 2.0]]
    pq.write_table(pa.table({"id": ["a"], "one": vector, "two": vector}), tmp_path / "x.parquet")
    refused(tmp_path / "x.parquet", r"is not clear \(got one, two\).*--field")


def test_several_id_files(tmp_path: Path) -> None:
    path = copied("numpy/named.npy", tmp_path)
    shutil.copy(path.with_suffix(".ids.txt"), path.with_suffix(".ids.tsv"))
    refused(path, r"several id files beside it \(named.ids.txt, named.ids.tsv\)")


def test_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.npy")
    (tmp_path / "y.npy").symlink_to(tmp_path / "y.npy")
    for path in (tmp_path / "x.npy", tmp_path / "y.npy", Path("/dev/zero"), tmp_path / "z.npy"):
        assert not opening.is_dump(path)
        with pytest.raises(AnisotropyError, match=path.name):
            opening.open_dump(path)
