"""Write a space in layouts that other tools read: Parquet, or one NumPy archive. No pickle.

Rows are written block by block, so memory does not grow with their number.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.collection.judgments import judgments_text
from anisotropy.collection.lines import BAD_ID, is_bad_id
from anisotropy.errors import EmbeddingsError, StoreError, UsageError, one_of
from anisotropy.files import check_new, dump_json, new_file, new_folder, write_text
from anisotropy.spaces.dumps.stated import ARRAY, KEY
from anisotropy.spaces.rows import chunk_numbers
from anisotropy.spaces.space import EmbeddingSpace, Qrels
from anisotropy.spaces.store import save_space

LAYOUTS = ("store", "parquet", "npz")
EXPORT_FORMAT = "anisotropy.space/1"
#: Numbers in memory at a time.
BLOCK_VALUES = 2**22


@dataclass(frozen=True)
class SideRows:
    """One side, as its rows are written.

    Attributes
    ----------
    name
        ``queries``, ``documents`` or ``training-queries``.
    rows
        Shape (n, dim).
    ids
        One a row.
    chunks, padding
        Number of each row within its document, and whether it stands for padding alone; None
        where documents have one vector.
    """

    name: str
    rows: Any
    ids: Sequence[str]
    chunks: np.ndarray | None = None
    padding: np.ndarray | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the numbers in the file: float16 is widened, which loses nothing."""
        return np.dtype("<f8" if np.dtype(self.rows.dtype).itemsize > 4 else "<f4")

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Where each block of rows lies, and its numbers."""
        step = max(1, BLOCK_VALUES // int(self.rows.shape[1]))
        for start in range(0, len(self.rows), step):
            place = slice(start, min(start + step, len(self.rows)))
            yield place, np.ascontiguousarray(self.rows[place], dtype=self.dtype)


def convert_space(space: EmbeddingSpace, layout: str, target: str | Path) -> tuple[str, ...]:
    """Write a space in another layout, whole or not at all.

    Parameters
    ----------
    space
        The space; its training queries go along where it has them.
    layout
        ``store``; ``parquet``: a folder with ``queries.parquet``, ``documents.parquet`` and
        ``qrels.tsv``; or ``npz``: one file, with ``<name>.qrels.tsv`` beside it.
    target
        New folder or file.

    Returns
    -------
    tuple of str
        What the layout does not hold, a sentence each.

    Raises
    ------
    UsageError
        If the layout is unknown.
    InputError
        If something is at `target`, it cannot be written, or an id does not fit into a line.
    """
    target = Path(target)
    if layout not in LAYOUTS:
        raise UsageError(f"layout: {one_of(layout, LAYOUTS)}")
    _check_ids(space, layout)
    if layout == "npz":
        _write_npz(space, target)
    else:
        write: Callable[[EmbeddingSpace, Path], None] = (
            _write_store if layout == "store" else _write_parquet
        )
        with new_folder(target) as folder:
            write(space, folder)
    return _notes(space, layout)


def sides_of(space: EmbeddingSpace) -> list[SideRows]:
    """Queries, documents, and training queries where there are any."""
    owner = space.document_of_row
    chunks = chunk_numbers(owner) if owner is not None else None
    ids = space.doc_ids if owner is None else [space.doc_ids[number] for number in owner]
    sides = [
        SideRows("queries", space.queries, space.query_ids),
        SideRows("documents", space.documents, ids, chunks, space.padding),
    ]
    pool = space.training
    if pool is not None:
        sides.append(SideRows("training-queries", pool.queries, pool.query_ids))
    return [side for side in sides if len(side.rows)]


def _judgments(space: EmbeddingSpace) -> dict[str, Qrels]:
    found = {"qrels": space.qrels}
    if space.training is not None:
        found["training-qrels"] = space.training.qrels
    return {name: qrels for name, qrels in found.items() if qrels}


def _check_ids(space: EmbeddingSpace, layout: str) -> None:
    """Refuse ids that the files cannot hold, or that no reader takes back."""
    for side in sides_of(space):
        for name in side.ids:
            cut = layout == "npz" and name.endswith("\0")
            if cut or is_bad_id(name):
                reason = "ends with NUL, which an npz drops" if cut else BAD_ID
                raise EmbeddingsError(
                    f"{space.label}: {side.name}: id {name[:60]!r} {reason}; rename it"
                )


def _about(space: EmbeddingSpace) -> dict[str, Any]:
    """What a space is of: what the manifest of a store says, without files."""
    recipe = {"similarity": space.similarity, "temperature": space.temperature, **space.recipe}
    checkpoint = {"label": space.label, "fingerprint": space.fingerprint, "step": space.step}
    return {
        "format": EXPORT_FORMAT,
        "recipe": recipe,
        "checkpoint": checkpoint,
        "collection": space.collection_info,
    }


def _write_store(space: EmbeddingSpace, folder: Path) -> None:
    try:
        save_space(space, folder)
    except StoreError as error:
        if isinstance(error.__context__, OSError):  # here nothing is kept to go on with
            raise error.__context__ from None
        raise


def _write_parquet(space: EmbeddingSpace, folder: Path) -> None:
    about = _about(space)
    for side in sides_of(space):
        _write_side(folder / f"{side.name}.parquet", side, {**about, "side": side.name})
    for name, qrels in _judgments(space).items():
        write_text(folder / f"{name}.tsv", judgments_text(qrels))


def _write_side(path: Path, side: SideRows, about: dict[str, Any]) -> None:
    """Columns ``id``, ``vector``, and ``chunk`` and ``padding`` where the side has them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    dim = int(side.rows.shape[1])
    value = pa.float64() if side.dtype.itemsize == 8 else pa.float32()
    fields = [("id", pa.string()), ("vector", pa.list_(value, dim))]
    extra = {"chunk": (side.chunks, pa.int32()), "padding": (side.padding, pa.bool_())}
    extra = {name: pair for name, pair in extra.items() if pair[0] is not None}
    fields += [(name, kind) for name, (_, kind) in extra.items()]
    schema = pa.schema(fields, metadata={KEY: dump_json(about)})
    with pq.ParquetWriter(path, schema, use_dictionary=False) as writer:
        for place, block in side.blocks():
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(block.reshape(-1)), dim)
            columns = [pa.array(list(side.ids[place]), pa.string()), vectors]
            columns += [pa.array(array[place], kind) for array, kind in extra.values()]  # type: ignore[index]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _write_npz(space: EmbeddingSpace, target: Path) -> None:
    beside = {
        target.with_name(f"{target.name.removesuffix('.npz')}.{name}.tsv"): judgments_text(qrels)
        for name, qrels in _judgments(space).items()
    }
    for path in beside:
        check_new(path)
    with new_file(target) as temporary:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            for side in sides_of(space):
                _add_side(archive, side)
            _add_array(archive, ARRAY, [np.array(dump_json(_about(space)))], ())
        for path, text in beside.items():
            with new_file(path) as file:
                file.write_text(text, encoding="utf-8", newline="\n")


def _add_side(archive: zipfile.ZipFile, side: SideRows) -> None:
    """Arrays of a side: ``queries`` and ``query_ids``, ``documents`` and ``doc_ids``, ..."""
    name = side.name.replace("-", "_")
    prefix = {"queries": "query", "documents": "doc"}.get(
        name, name.removesuffix("queries") + "query"
    )
    shape = (len(side.rows), int(side.rows.shape[1]))
    _add_array(archive, name, (block for _, block in side.blocks()), shape)
    ids = np.array(list(side.ids), dtype=np.str_)
    _add_array(archive, f"{prefix}_ids", [ids], ids.shape)
    if side.chunks is not None:
        _add_array(archive, "chunks", [side.chunks.astype(np.int32)], side.chunks.shape)
    if side.padding is not None:
        _add_array(archive, "padding", [side.padding], side.padding.shape)


def _add_array(archive: zipfile.ZipFile, name: str, blocks: Any, shape: tuple[int, ...]) -> None:
    """Add one ``.npy`` in blocks of rows, of which the first tells the dtype."""
    header: dict[str, Any] = {"fortran_order": False, "shape": shape}
    entry = zipfile.ZipInfo(f"{name}.npy")  # no time of day: the same bytes for the same content
    with archive.open(entry, "w", force_zip64=True) as file:
        for number, block in enumerate(blocks):
            if number == 0:
                header["descr"] = np.lib.format.dtype_to_descr(block.dtype)
                np.lib.format.write_array_header_1_0(file, header)
            file.write(block.tobytes())


def _notes(space: EmbeddingSpace, layout: str) -> tuple[str, ...]:
    notes = [str(doubt) for doubt in space.recipe.get("doubts", ())]
    if space.query_texts is not None or space.doc_texts is not None:
        notes.append("texts are not kept: embeddings, ids and judgments are")
    if layout != "store" and any(np.dtype(s.rows.dtype).itemsize < 4 for s in sides_of(space)):
        notes.append("float16 is written as float32, which loses nothing")
    if layout == "npz" and _judgments(space):
        notes.append("judgments are beside the file: an npz has arrays alone")
    return tuple(notes)
