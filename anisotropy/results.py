"""Results: values and curves, the one thing plots and reports are drawn from.

The columns are those of ``results.csv`` and of the DataFrames; numbers are never rounded.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anisotropy.errors import InputError
from anisotropy.files import fingerprint, read_json, replacing, write_json

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = "anisotropy.results/1"


@dataclass(frozen=True)
class Measurement:
    """One value of one measure on one side of one space, with what it estimates.

    Attributes
    ----------
    space, side, family, measure, on
        Label of the space; side; family; text identity; transform chain.
    value, se, ci_low, ci_high, level
        Estimate, standard error, interval and its level; NaN where there is none.
    n, unit, population
        Number of units resampled, what a unit is (``query``, ``document``, ``pair``, ``seed``
        or None), and the population meant (``queries``, ``documents``, ``both``, ``none``).
    estimator
        ``exact``, ``sampled``, ``corrected`` or ``subsampled``.
    method
        ``closed_form``, ``jackknife``, ``subsample``, ``bootstrap`` or None.
    null_mean, null_sd, null_p
        The value under the measure's null, its spread, and a two-sided p.
    headline
        Whether the row opens the report.
    """

    space: str
    side: str
    family: str
    measure: str
    on: str
    value: float
    se: float = math.nan
    ci_low: float = math.nan
    ci_high: float = math.nan
    level: float = 0.95
    n: int = 0
    unit: str | None = None
    population: str = "none"
    estimator: str = "exact"
    method: str | None = None
    null_mean: float = math.nan
    null_sd: float = math.nan
    null_p: float = math.nan
    headline: bool = False


@dataclass(frozen=True)
class Difference:
    """Value of b minus value of a, with the uncertainty of the paired difference."""

    side: str
    family: str
    measure: str
    on: str
    a: float
    b: float
    delta: float
    se: float = math.nan
    ci_low: float = math.nan
    ci_high: float = math.nan
    effect_size: float = math.nan
    p: float = math.nan
    p_holm: float = math.nan
    n: int = 0
    unit: str | None = None
    method: str | None = None
    headline: bool = False


@dataclass(frozen=True)
class Similarity:
    """How alike the two spaces are on one side.

    Attributes
    ----------
    side, measure
        Side and text identity.
    value, ci_low, ci_high
        The value, and its 95% interval; NaN where there is none.
    null_mean, null_sd, null_p
        The value where the items of one space are matched at random with those of the other,
        its spread, and a two-sided p.
    n
        Number of items compared.
    """

    side: str
    measure: str
    value: float
    ci_low: float = math.nan
    ci_high: float = math.nan
    null_mean: float = math.nan
    n: int = 0
    null_sd: float = math.nan
    null_p: float = math.nan


@dataclass(frozen=True)
class Withheld:
    """A row that is not given, and why."""

    side: str
    measure: str
    on: str
    reason: str


@dataclass(frozen=True, eq=False)
class Curve:
    """Arrays of equal length behind a figure.

    Attributes
    ----------
    name
        What the columns are: ``spectrum``, ``distances``, ``negative_probability``,
        ``queries``, ``items``, ``coordinates``.
    space, side
        Label of the space (empty for a curve of both) and the side.
    columns
        Column name to array of shape (n,).
    """

    name: str
    space: str
    side: str
    columns: Mapping[str, np.ndarray]

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


@dataclass(eq=False)
class Results:
    """Everything one run found out.

    Attributes
    ----------
    spaces
        One mapping a space: ``label``, ``step``, ``recipe``, ``counts``, ``fingerprint``.
    collection, config, versions
        Provenance, as in ``results.json``.
    warnings
        One line each.
    rows, deltas, likenesses, associations, claims, withheld
        Records; the DataFrames of the properties below come from them.
    curves
        The arrays behind the figures.
    """

    spaces: list[dict[str, Any]]
    collection: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    rows: list[Measurement] = field(default_factory=list)
    deltas: list[Difference] = field(default_factory=list)
    likenesses: list[Similarity] = field(default_factory=list)
    associations: list[dict[str, Any]] = field(default_factory=list)
    claims: list[dict[str, Any]] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)

    @property
    def labels(self) -> list[str]:
        """Labels of the spaces, in order."""
        return [str(space["label"]) for space in self.spaces]

    @property
    def measurements(self) -> pd.DataFrame:
        """One row a measurement, with the columns of ``results.csv``."""
        return _frame(self.rows, Measurement)

    @property
    def differences(self) -> pd.DataFrame:
        """One row a difference, b minus a."""
        return _frame(self.deltas, Difference)

    @property
    def similarities(self) -> pd.DataFrame:
        """One row a similarity between the two spaces."""
        return _frame(self.likenesses, Similarity)

    def find_curves(self, name: str, side: str | None = None) -> list[Curve]:
        """Curves called `name`, in the order of the spaces."""
        return [c for c in self.curves if c.name == name and side in (None, c.side)]

    def queries(self) -> pd.DataFrame:
        """Per-query values of every space, one row a space and query."""
        import pandas as pd

        frames = [c.frame().assign(space=c.space) for c in self.find_curves("queries")]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def report(self, path: str | Path) -> Path:
        """Write the offline HTML report to `path` and return it."""
        from anisotropy.report import write_html

        return write_html(self, Path(path))

    def as_dict(self) -> dict[str, Any]:
        """The content of ``results.json``."""
        return {
            "schema": SCHEMA,
            "spaces": self.spaces,
            "collection": self.collection,
            "config": self.config,
            "versions": self.versions,
            "warnings": self.warnings,
            "measurements": [dataclasses.asdict(row) for row in self.rows],
            "differences": [dataclasses.asdict(row) for row in self.deltas],
            "similarities": [dataclasses.asdict(row) for row in self.likenesses],
            "associations": self.associations,
            "claims": self.claims,
            "withheld": [dataclasses.asdict(row) for row in self.withheld],
            "curves": [
                {"name": c.name, "space": c.space, "side": c.side, "file": c.file}
                for c in self.curves
            ],
        }

    def write(self, folder: str | Path) -> None:
        """Write ``results.json``, ``results.csv`` and the curve files into `folder`.

        Curve files of results that were there before and are not written again are removed.
        """
        folder = Path(folder)
        before = _curve_files(folder / "results.json")
        for curve in self.curves:
            with replacing(folder / curve.file) as temporary:
                curve.frame().to_parquet(temporary, index=False)
        with replacing(folder / "results.csv") as temporary:
            self.measurements.to_csv(temporary, index=False)
        write_json(folder / "results.json", self.as_dict())
        _remove_curves(folder, before - {curve.file for curve in self.curves})

    @classmethod
    def read(cls, folder: str | Path) -> Results:
        """Read what :meth:`write` wrote.

        Raises
        ------
        InputError
            If the folder has no results of this schema.
        """
        folder = Path(folder)
        path = folder / "results.json"
        content = read_json(path)
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            raise InputError(f"{path}: not results of schema {SCHEMA!r}")
        return cls(
            spaces=content["spaces"],
            collection=content["collection"],
            config=content["config"],
            versions=content["versions"],
            warnings=content["warnings"],
            rows=[Measurement(**_numbers(row)) for row in content["measurements"]],
            deltas=[Difference(**_numbers(row)) for row in content["differences"]],
            likenesses=[Similarity(**_numbers(row)) for row in content["similarities"]],
            associations=content["associations"],
            claims=content["claims"],
            withheld=[Withheld(**row) for row in content["withheld"]],
            curves=[_read_curve(folder, entry) for entry in content["curves"]],
        )


def _curve_files(path: Path) -> set[str]:
    """Curve files named by results of our schema; nothing where there are none."""
    try:
        content = read_json(path)
    except InputError:
        return set()
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        return set()
    entries = content.get("curves")
    named = [e for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
    return {entry["file"] for entry in named if isinstance(entry.get("file"), str)}


def _remove_curves(folder: Path, names: set[str]) -> None:
    """Remove curve files by name: only entries of the folder's own ``curves`` are looked at."""
    curves = folder / "curves"
    if curves.is_symlink():
        return
    for path in curves.glob("*.parquet"):
        if f"curves/{path.name}" in names and path.is_file():
            path.unlink()


_TEXT = {"unit", "method"}


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: a null number is one."""
    return {k: math.nan if v is None and k not in _TEXT else v for k, v in row.items()}


def _read_curve(folder: Path, entry: dict[str, str]) -> Curve:
    import pandas as pd

    frame = pd.read_parquet(folder / entry["file"])
    columns = {str(name): frame[name].to_numpy() for name in frame.columns}
    return Curve(entry["name"], entry["space"], entry["side"], columns)


def _frame(rows: Iterable[Any], kind: type) -> pd.DataFrame:
    import pandas as pd

    names = [f.name for f in dataclasses.fields(kind)]
    return pd.DataFrame([dataclasses.asdict(row) for row in rows], columns=names)
