"""Results of a run, in memory and in a folder; numbers are never rounded."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from anisotropy.errors import InputError, UsageError
from anisotropy.files import read_json, replacing, write_json
from anisotropy.records import Association, Difference, Measurement, Similarity, Withheld
from anisotropy.results.curve import Curve
from anisotropy.results.reading import SCHEMA, read_folder

if TYPE_CHECKING:
    import pandas as pd

    from anisotropy.spaces import EmbeddingSpace


@dataclass(eq=False, repr=False)
class Results:
    """Everything one run found out.

    Attributes
    ----------
    spaces
        One mapping a space: ``label``, ``step``, ``recipe``, ``counts``, ``fingerprint``; in a
        comparison also ``side`` (``a`` or ``b``) and ``method``, the name of that side, which
        several checkpoints (seeds) share.
    collection, config, versions
        Provenance, as in ``results.json``.
    warnings
        One line each.
    rows, deltas, likenesses, links, claims, withheld
        Records; the DataFrames of the properties below come from them.
    curves
        The arrays behind the figures.
    opened
        Label to the space that was measured, for :meth:`distances`; not written to files.
    """

    spaces: list[dict[str, Any]]
    collection: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    rows: list[Measurement] = field(default_factory=list)
    deltas: list[Difference] = field(default_factory=list)
    likenesses: list[Similarity] = field(default_factory=list)
    links: list[Association] = field(default_factory=list)
    claims: list[dict[str, Any]] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    opened: dict[str, EmbeddingSpace] = field(default_factory=dict)

    def __repr__(self) -> str:
        compared = f", {len(self.deltas)} differences" if self.comparisons else ""
        return (
            f"<Results of {', '.join(map(repr, self.labels))}: {len(self.rows)} measurements"
            f"{compared}, {len(self.withheld)} withheld>"
        )

    def _repr_html_(self) -> str:
        """The headline rows as the terminal shows them, for notebooks; every text is escaped."""
        from anisotropy.report.notebook import results_html

        return results_html(self)

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
        """One row a similarity between two spaces."""
        return _frame(self.likenesses, Similarity)

    @property
    def associations(self) -> pd.DataFrame:
        """One row an association of a change in geometry with a change in ranking."""
        return _frame(self.links, Association)

    @property
    def comparisons(self) -> list[tuple[str, str]]:
        """What was compared: label of the baseline and of the other, in order."""
        rows: list[Difference | Similarity] = [*self.deltas, *self.likenesses]
        found = dict.fromkeys((row.baseline, row.space) for row in rows)
        if ("", "") in found and len(self.labels) == 2:  # a file from before these labels
            return [(self.labels[0], self.labels[1])]
        return list(found)

    def find_curves(self, name: str, side: str | None = None) -> list[Curve]:
        """Curves called `name`, in the order of the spaces."""
        return [c for c in self.curves if c.name == name and side in (None, c.side)]

    def queries(self) -> pd.DataFrame:
        """Query by query: what changed, the largest gain in nDCG@10 first.

        Returns
        -------
        pandas.DataFrame
            Of compared spaces one row a query with the columns of the curve ``changes``: the
            text of the query where it is known, and every value in A, in B and their
            difference. Where several spaces were compared with a baseline, one comparison
            after the other, named by the columns ``space`` and ``baseline``. Of spaces that
            were not compared, that of :meth:`query_values`.
        """
        curves = self.find_curves("changes")
        if not curves:
            return self.query_values()
        if len(self.comparisons) == 1:
            return _stacked([curve.frame() for curve in curves])
        baseline = {space: name for name, space in self.comparisons}
        return _stacked(
            [c.frame().assign(space=c.space, baseline=baseline.get(c.space, "")) for c in curves]
        )

    def distances(
        self,
        query_id: str | None = None,
        to: Literal["positives", "nearest", "random", "all"] = "positives",
        *,
        on: Literal["unit", "raw"] = "unit",
        metric: Literal["euclidean", "cosine", "dot"] = "euclidean",
        random_state: int = 0,
    ) -> pd.DataFrame:
        """Distances from queries to documents in A and B side by side, one row a pair.

        Parameters
        ----------
        query_id, to, on, metric, random_state
            As in :meth:`anisotropy.EmbeddingSpace.distances`. With ``to="nearest"`` what is
            among the ten best of either side.

        Returns
        -------
        pandas.DataFrame
            Columns query_id, doc_id, distance_a, distance_b, score_a, score_b, rank_a, rank_b,
            change (distance in B minus that in A), grade, text (of the document) and query_text.
            Sorted by query, then document, as judged pairs are everywhere (``nearest``: by rank
            in A, then in B). Where a side has several seeds, means over them. Where several
            spaces were compared with a baseline, one comparison after the other, named by the
            columns ``space`` and ``baseline``.

        Raises
        ------
        UsageError
            If nothing was compared, a word is not allowed, there is no such query, or the
            results were read from files, which hold no embeddings.
        NotComparable
            If raw rows are asked for and have length 1 on one side only.

        Notes
        -----
        Absolute distances shrink with any common direction: that a pair is closer in B says
        little unless random pairs (``to="random"``) are not, or its rank is better.
        """
        from anisotropy.comparison import paired_distances
        from anisotropy.spaces.pairs import Asked

        asked = Asked(query_id, to, on, metric, random_state)
        pairs = self.comparisons
        if not pairs:
            raise UsageError(
                "distances: nothing is compared in these results; use an.compare(a, b), "
                "an.analyze(spaces, baseline=LABEL), or the distances of a space"
            )
        frames = [paired_distances(self._side(a), self._side(b), asked) for a, b in pairs]
        if len(pairs) == 1:
            return frames[0]
        named = zip(frames, pairs, strict=True)
        return _stacked([frame.assign(space=b, baseline=a) for frame, (a, b) in named])

    def _side(self, name: str) -> list[EmbeddingSpace]:
        """The spaces of a side: the one of that label, or the seeds of that method."""
        own = [s["label"] for s in self.spaces if name in (s["label"], s.get("method"))]
        if not own or any(label not in self.opened for label in own):
            raise UsageError(
                "distances: these results were read from files, which hold no embeddings; "
                "compare the spaces again in this session"
            )
        return [self.opened[label] for label in own]

    def query_values(self) -> pd.DataFrame:
        """Per-query values of every space, one row a space and query.

        Returns
        -------
        pandas.DataFrame
            The columns of the curve ``queries``, the label of the ``space``, and behind
            ``query_id`` the ``text`` of the query, where a space knows texts. Results that were
            read from files have no spaces, and the texts only where spaces were compared.
        """
        frame = _stacked([c.frame().assign(space=c.space) for c in self.find_curves("queries")])
        texts = self._query_texts() if len(frame) else {}
        if texts:
            frame.insert(1, "text", frame["query_id"].map(texts))
        return frame

    def _query_texts(self) -> dict[str, str]:
        """Text of each query by id, from the spaces or from a curve that has texts."""
        from anisotropy.spaces.pairs import query_texts

        of_spaces = (query_texts(space) for space in self.opened.values())
        changes = (c.columns for c in self.find_curves("changes") if "text" in c.columns)
        of_curves = (dict(zip(c["query_id"], c["text"], strict=True)) for c in changes)
        return next((texts for found in (of_spaces, of_curves) for texts in found if texts), {})

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
            "associations": [dataclasses.asdict(row) for row in self.links],
            "claims": self.claims,
            "withheld": [dataclasses.asdict(row) for row in self.withheld],
            "curves": [
                {"name": c.name, "space": c.space, "side": c.side, "file": c.file}
                for c in self.curves
            ],
        }

    def write(self, folder: str | Path) -> None:
        """Write ``results.json``, ``results.csv`` and the curve files into `folder`.

        Of compared spaces also ``differences.csv``.

        Curve files of results that were there before and are not written again are removed.
        """
        folder = Path(folder)
        before = _curve_files(folder / "results.json")
        for curve in self.curves:
            with replacing(folder / curve.file) as temporary:
                curve.frame().to_parquet(temporary, index=False)
        with replacing(folder / "results.csv") as temporary:
            self.measurements.to_csv(temporary, index=False)
        differences = folder / "differences.csv"
        if self.deltas or differences.exists():  # those of an earlier run do not stay
            with replacing(differences) as temporary:
                self.differences.to_csv(temporary, index=False)
        write_json(folder / "results.json", self.as_dict())
        _remove_curves(folder, before - {curve.file for curve in self.curves})

    @classmethod
    def read(cls, folder: str | Path) -> Results:
        """Read what :meth:`write` wrote.

        Raises
        ------
        InputError
            If the folder has no results of this schema, or anything in it is not as
            :meth:`write` writes it: the file, the entry and what is allowed are named.
        """
        return cls(**read_folder(Path(folder)))


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


def _stacked(frames: list[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _frame(rows: Iterable[Any], kind: type) -> pd.DataFrame:
    import pandas as pd

    names = [f.name for f in dataclasses.fields(kind)]
    return pd.DataFrame([dataclasses.asdict(row) for row in rows], columns=names)
