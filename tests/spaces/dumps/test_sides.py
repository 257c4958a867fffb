"""What all layouts have in common: blocks and shards put together, ids given, options used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from anisotropy.errors import EmbeddingsError
from anisotropy.spaces.dumps.base import DumpOptions
from anisotropy.spaces.dumps.buffers import RowBuffer
from anisotropy.spaces.dumps.opening import open_dump


@pytest.mark.parametrize("spill", [1, 10**6])
@pytest.mark.parametrize("other", [np.full((2, 2), 7.0, "f8"), np.full((2, 4), 7.0, "f4")])
def test_blocks_of_another_kind(spill: int, other: np.ndarray) -> None:
    buffer = RowBuffer("x", 10**6, spill)
    buffer.append(np.ones((2, 2), "f4"))
    with pytest.raises(EmbeddingsError, match="needed: all alike"):
        buffer.append(other)


def saved_dataset(folder: Path, *types: pa.DataType) -> Path:
    """A folder as `datasets` saves it, each shard with vectors of its own type."""
    folder.mkdir()
    names = [f"data-0000{number}-of-0000{len(types)}.arrow" for number in range(len(types))]
    for name, kind in zip(names, types, strict=True):
        values = pa.array([[1, 2], [100, 101]], pa.list_(kind, 2))
        batch = pa.record_batch([pa.array([f"{name}a", f"{name}b"]), values], ["id", "vector"])
        with pa.OSFile(str(folder / name), "wb") as file:
            with pa.ipc.new_stream(file, batch.schema) as writer:
                writer.write(batch)
    listed = [{"filename": name} for name in names]
    (folder / "state.json").write_text(json.dumps({"_data_files": listed}))
    return folder


def test_shards_of_a_dataset_of_another_type(tmp_path: Path) -> None:
    options = DumpOptions(scale=1.0)
    alike = open_dump(saved_dataset(tmp_path / "alike", pa.int8(), pa.int8()), options)
    assert np.asarray(alike.documents[:]).tolist() == [[1, 2], [100, 101]] * 2
    with pytest.raises(EmbeddingsError, match=r"data-00001-of-00002.*uint8.*int8"):
        open_dump(saved_dataset(tmp_path / "mixed", pa.int8(), pa.uint8()), options)
