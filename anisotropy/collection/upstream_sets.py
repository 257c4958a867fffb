"""Sets of queries in preprocessed folders: their names, splits and judgments.

Splits: ``train-query`` is ``train``, ``real-dev-query`` (MS MARCO dev) is ``dev``. ``dev-query``
is TREC 2019, ``test``, where there is a ``real-dev-query`` or its judgments are graded, else
``dev``. Other sets keep their prefix, ``dev-query-trivia`` is ``trivia-dev``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from anisotropy.collection.judgments import Judgments, collect, read_judgments
from anisotropy.collection.lines import broken, read_lines
from anisotropy.collection.offsets import read_offsets
from anisotropy.collection.token_cache import META
from anisotropy.errors import shown

PASSAGES = "passages"
_SET = re.compile(r"(?P<prefix>.+)-query(?:-(?P<more>.+))?")


def set_names(files: Iterable[str]) -> list[str]:
    """Names of the sets of queries in a folder, in the order of the alphabet."""
    names = (name.removesuffix(META) for name in files if name.endswith(META))
    return sorted(name for name in names if name != PASSAGES and _SET.fullmatch(name))


def set_parts(name: str) -> tuple[str, str]:
    """Prefix of a set, and what stands behind ``-query-``."""
    prefix, more = next(iter(_SET.findall(name)))
    return prefix, more


def split_of(name: str, files: Iterable[str], judgments: Judgments | None) -> str:
    """The split that a set of queries is."""
    prefix, more = set_parts(name)
    if more:
        return f"{more}-{prefix}"
    if prefix == "real-dev":
        return "dev"
    if prefix == "dev" and (f"real-dev-query{META}" in files or _is_graded(judgments)):
        return "test"
    return prefix


def owner_of_map(path: Path, counts: Mapping[str, int]) -> tuple[str | None, list[str]]:
    """The set that ANCE's one map of queries belongs to: the last it wrote, by the rows.

    Parameters
    ----------
    path
        The map, which each set wrote over that of the one before.
    counts
        Rows of each set without a map of its own, such as ``real-dev-query``.

    Returns
    -------
    tuple of str or None and list of str
        The set, None where none has as many rows; and what a reader must know.
    """
    size = read_offsets(path, "queries").size
    fitting = [name for name, n in counts.items() if n == size]
    if not fitting:
        return None, [f"{path.name}: ends at row {size - 1}, as no set of queries does"]
    # Upstream writes the training set first, so of equal sets it is not the last.
    owner = next((name for name in fitting if not name.startswith("train")), fitting[0])
    others = ", ".join(name for name in counts if name != owner)
    if not others:
        return owner, []
    doubt = f" ({' and '.join(fitting)} have as many queries)" if len(fitting) > 1 else ""
    return owner, [
        f"{path.name} is taken for the map of {owner}, the last set written{doubt}; "
        f"that of {others} was overwritten"
    ]


def _is_graded(judgments: Judgments | None) -> bool:
    """Whether judgments are those of TREC: MS MARCO's own know the grade 1 alone."""
    grades = judgments.qrels.values() if judgments else []
    return any(grade != 1 for one in grades for grade in one.values())


def judgments_of(
    files: Mapping[str, Path], name: str, query_ids: Sequence[str], doc_ids: Sequence[str]
) -> Judgments | None:
    """Judgments of a set, rows turned into ids; None where there are none."""
    prefix, more = set_parts(name)
    qrels, answers = f"{prefix}-qrel.tsv", "-".join(filter(None, (prefix, "ann", more)))
    if not more and qrels in files:
        rows = read_judgments(files[qrels])
    elif answers in files:
        path = files[answers]
        rows = collect(str(path), path.name, _positives(path))
    else:
        return None
    named = {
        _of_row(query, query_ids): {_of_row(doc, doc_ids): g for doc, g in grades.items()}
        for query, grades in rows.qrels.items()
    }
    return Judgments(rows.name, named, rows.warnings)


def _of_row(row: str, ids: Sequence[str]) -> str:
    number = int(row) if row.isdecimal() and len(row) < 19 else len(ids)
    # Rows that there are not become ids that there are not: they are dropped with a warning.
    return ids[number] if number < len(ids) else f"#{row}"


def _positives(path: Path) -> Iterator[tuple[int, str, str, int]]:
    """Pairs of a DPR file; the third column, a Python list of answers, is not looked at."""
    for line in read_lines(path):
        fields = line.text.split("\t")
        if len(fields) < 2 or not all(field.isdecimal() for field in fields[:2]):
            problem = f"{shown(line.text)}; needed: query row, document row, answers"
            raise broken(path, line.number, problem)
        yield line.number, fields[0], fields[1], 1
