"""One curve: the arrays behind a figure, and the file they are in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anisotropy.files import fingerprint

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class Curve:
    """Arrays of equal length behind a figure.

    Attributes
    ----------
    name
        What the columns are: ``spectrum``, ``distances``, ``cosines``, ``k_occurrence``,
        ``negative_probability``, ``negative_profile``, ``queries``, ``items``, ``coordinates``,
        ``history``, ``changes`` (query by query, of two spaces), and so on: ``docs/curves.md``.
    space, side
        Label of the space (of b for a curve of two) and the side.
    columns
        Column name to array of shape (n,).
    """

    name: str
    space: str
    side: str
    columns: Mapping[str, np.ndarray]

    def __repr__(self) -> str:
        rows = len(next(iter(self.columns.values()), ()))
        return (
            f"<Curve {self.name!r} of {self.space!r}, {self.side}: {rows:,} rows of "
            f"{', '.join(self.columns)}; .frame() gives a DataFrame>"
        )

    def _repr_html_(self) -> str:
        """What it is and its first and last rows, for notebooks; every text is escaped."""
        from anisotropy.report.notebook import curve_html

        return curve_html(self)

    @property
    def file(self) -> str:
        """Path of the curve inside a results folder."""
        parts = [self.name, _slug(self.space), _slug(self.side)]
        return f"curves/{'-'.join(part for part in parts if part)}.parquet"

    def frame(self) -> pd.DataFrame:
        """The columns as a DataFrame."""
        import pandas as pd

        return pd.DataFrame(dict(self.columns))


def _slug(text: str) -> str:
    """`text` as part of a file name; what had to be replaced leaves a mark of its own."""
    plain = "".join(c if (c.isascii() and c.isalnum()) or c in "._" else "_" for c in text)
    return plain if plain == text else f"{plain}_{fingerprint(text)[:4]}"
