"""Rows that come in blocks, kept in memory or, where they are many, in a file without a name."""

from __future__ import annotations

import tempfile
from typing import IO, BinaryIO, cast

import numpy as np

from anisotropy.errors import EmbeddingsError
from anisotropy.untrusted.zips import MAX_RATIO, SMALL

#: Bytes beyond which blocks go to a temporary file (in ``$TMPDIR``).
SPILL = 512 * 2**20


def check_unpacked(origin: str, needed: int, size: int) -> None:
    """Refuse what unpacks to far more than its file.

    Parameters
    ----------
    origin
        The file.
    needed, size
        Bytes that it unpacks to, and that it has.

    Raises
    ------
    EmbeddingsError
        If it is more than a hundred times, and not small.
    """
    if needed > max(SMALL, MAX_RATIO * size):
        raise EmbeddingsError(
            f"{origin}: unpacks to {needed} bytes from {size}, more than {MAX_RATIO} times; "
            "refused"
        )


class RowBuffer:
    """Blocks of rows, put together at the end.

    Parameters
    ----------
    origin
        The file they come from.
    size
        Its bytes.
    spill
        Bytes that are kept in memory.
    """

    def __init__(self, origin: str, size: int, spill: int = SPILL) -> None:
        self._origin, self._size, self._spill = origin, size, spill
        self._blocks: list[np.ndarray] = []
        self._file: IO[bytes] | None = None
        self._bytes = 0
        self.rows = 0

    def append(self, block: np.ndarray) -> None:
        """Add rows of shape (n, ...), of the shape and type of those before.

        Raises
        ------
        EmbeddingsError
            If they are of another shape or type, or more than such a file can hold.
        """
        self._check_like_first(block)
        check_unpacked(self._origin, self._bytes + block.nbytes, self._size)
        self._blocks.append(np.ascontiguousarray(block))
        self._bytes += block.nbytes
        self.rows += len(block)
        if self._file is not None or self._bytes > self._spill:
            self._flush()

    def _check_like_first(self, block: np.ndarray) -> None:
        """Bytes of another type would be read as numbers of the first."""
        first = self._blocks[0] if self._blocks else block
        if (block.dtype, block.shape[1:]) != (first.dtype, first.shape[1:]):
            raise EmbeddingsError(
                f"{self._origin}: vectors of type {block.dtype} and shape {block.shape[1:]} after "
                f"{first.dtype} and {first.shape[1:]}; needed: all alike"
            )

    def _flush(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115
            for block in self._blocks:
                self._file.write(block.tobytes())
        except OSError as error:
            raise EmbeddingsError(
                f"{self._origin}: no room for {self._bytes} bytes of vectors in the temporary "
                f"folder ({error.strerror or error}); name another one with TMPDIR"
            ) from None
        self._blocks = [self._blocks[0][:0]]

    def whole(self) -> np.ndarray:
        """All rows, in one array or mapped from the temporary file.

        Raises
        ------
        EmbeddingsError
            If there are none.
        """
        if not self.rows:
            raise EmbeddingsError(f"{self._origin}: no vectors in it")
        if self._file is None:
            return np.concatenate(self._blocks) if len(self._blocks) != 1 else self._blocks[0]
        self._file.flush()
        first = self._blocks[0]
        shape = (self.rows, *first.shape[1:])
        mapped = np.memmap(cast(BinaryIO, self._file), first.dtype, "r", 0, shape)
        self._file.close()  # the map keeps its content
        return mapped
