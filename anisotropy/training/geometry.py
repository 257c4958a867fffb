"""What `GeometryCallback` looks at: a fixed sample of texts, and the measures of its vectors."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from anisotropy.encoders import Recipe
from anisotropy.encoders.texts import document_text, query_text
from anisotropy.errors import CollectionError, UsageError
from anisotropy.files import hash_ids
from anisotropy.measures import definition_of, measure_space, parse
from anisotropy.results import Measurement, Withheld

if TYPE_CHECKING:
    from anisotropy.collection import Collection, Document, Query
    from anisotropy.spaces import EmbeddingSpace

Judgments = Mapping[str | int, Mapping[str | int, int]]
#: Rows that are logged when none are asked for.
ROWS = (
    "queries.unit.mean_cosine",
    "documents.unit.mean_cosine",
    "queries.unit.uniformity(t=2)",
    "documents.unit.uniformity(t=2)",
    "queries.unit.participation_ratio",
    "documents.unit.participation_ratio",
    "positives.unit.relative_positive_distance",
    "ranking.recipe.nDCG@10",
)
SUBCOLLECTION = "subcollection"
_BLOCK = 8192  # ids hashed at once
#: A document as sentence-transformers users write it: title and text with a space between.
_PLAIN = Recipe(
    separator=" ", fields=("title", "text"), tokenization="tokenizer", max_document_characters=0
)


@dataclass(frozen=True, eq=False)
class Sample:
    """Texts that are encoded again and again.

    Attributes
    ----------
    queries, documents
        Texts.
    query_ids, doc_ids
        Their ids.
    qrels
        Judgments among them.
    partial
        Whether documents of the collection were left out, so that ranking is easier than in all
        of it.
    """

    queries: list[str]
    documents: list[str]
    query_ids: list[str]
    doc_ids: list[str]
    qrels: dict[str, dict[str, int]]
    partial: bool = False


def sample_of(collection: Collection, n_queries: int, n_documents: int, seed: int) -> Sample:
    """Choose judged queries, all their positives, and random documents beside them.

    Parameters
    ----------
    collection
        Its evaluated split gives the queries.
    n_queries, n_documents
        How many queries, and how many documents beside the positives, at most.
    seed
        Of the choice, which is a hash of the ids: the order of the files does not matter.

    Returns
    -------
    Sample
        In the order of the hash.

    Raises
    ------
    CollectionError
        If no query of the split has a positive.
    """
    collection.require_texts("logging the geometry of a sample")
    qrels = {q: _positive(grades) for q, grades in collection.qrels().items()}
    judged = {q.query_id: q for q in collection.queries() if qrels.get(q.query_id)}
    if not judged:
        raise CollectionError(
            f"{collection.name}: split {collection.split!r} has no query with a positive; needed: "
            "one at least"
        )
    chosen = [judged[query_id] for query_id in _first(judged, n_queries, seed)]
    kept = {query.query_id: qrels[query.query_id] for query in chosen}
    positives = list(dict.fromkeys(d for grades in kept.values() for d in grades))
    known = set(positives)
    others = (d.doc_id for d in collection.documents() if d.doc_id not in known)
    documents = collection.texts([*positives, *_first(others, n_documents, seed)])
    return _sample(chosen, documents, kept, len(documents) < collection.n_documents)


def _positive(grades: Mapping[str, int]) -> dict[str, int]:
    return {document: grade for document, grade in grades.items() if grade > 0}


def _first(ids: Iterable[str], n: int, seed: int) -> list[str]:
    return [name for _, name in heapq.nsmallest(n, _hashed(ids, seed))]


def _hashed(ids: Iterable[str], seed: int) -> Iterator[tuple[int, str]]:
    iterator = iter(ids)
    while block := list(islice(iterator, _BLOCK)):
        yield from zip(hash_ids(block, seed).tolist(), block, strict=True)


def _sample(
    queries: Sequence[Query],
    documents: Mapping[str, Document],
    qrels: dict[str, dict[str, int]],
    partial: bool,
) -> Sample:
    return Sample(
        queries=[query_text(query, _PLAIN) for query in queries],
        documents=[document_text(document, _PLAIN) for document in documents.values()],
        query_ids=[query.query_id for query in queries],
        doc_ids=list(documents),
        qrels=qrels,
        partial=partial,
    )


def sample_of_texts(
    queries: Sequence[str], documents: Sequence[str], qrels: Judgments | None
) -> Sample:
    """Take the caller's own texts, all of them.

    Parameters
    ----------
    queries, documents
        Texts; their numbers are their ids.
    qrels
        ``{query number: {document number: grade}}``; None where nothing is judged.

    Raises
    ------
    UsageError
        If a side has fewer than two texts or something else than text, or a judgment names a
        number that is not there.
    """
    for side, texts in (("queries", queries), ("documents", documents)):
        if isinstance(texts, str) or len(texts) < 2 or not all(isinstance(t, str) for t in texts):
            raise UsageError(f"{side}: got {texts!r:.60}; allowed: a list of two texts or more")
    query_ids, doc_ids = ([str(n) for n in range(len(texts))] for texts in (queries, documents))
    judged = {
        _known(query, len(queries), "query"): {
            _known(document, len(documents), "document"): int(grade)
            for document, grade in grades.items()
        }
        for query, grades in (qrels or {}).items()
    }
    return Sample(list(queries), list(documents), query_ids, doc_ids, judged)


def _known(number: str | int, n: int, side: str) -> str:
    if not str(number).isdecimal() or int(number) >= n:
        raise UsageError(f"qrels: got {side} {number!r}; allowed: 0 to {n - 1}")
    return str(int(number))


@dataclass(frozen=True)
class Wanted:
    """A measure, at one place or at all of its places.

    Attributes
    ----------
    measure
        Text identity.
    place
        Side and transform chain; None for every place.
    """

    measure: str
    place: tuple[str, str] | None = None

    def covers(self, row: Measurement | Withheld) -> bool:
        """Whether a row was asked for."""
        return row.measure == self.measure and self.place in (None, (row.side, row.on))


def wanted_rows(texts: Sequence[str] | None, *, judged: bool) -> tuple[Wanted, ...]:
    """Read ``mean_cosine`` (every place) and ``queries.unit.mean_cosine`` (one place).

    Parameters
    ----------
    texts
        None for `ROWS`, those that need positives left out where nothing is judged.
    judged
        Whether the sample has judgments.

    Raises
    ------
    UsageError
        If a measure or place is unknown, or needs positives that are not there.
    """
    if isinstance(texts, str) or (texts is not None and not texts):
        raise UsageError(f"measures: got {texts!r}; allowed: a list of text identities, or None")
    found = [_wanted(text) for text in (ROWS if texts is None else texts)]
    lacking = [] if judged else [w for w in found if "positives" in definition_of(w.measure).needs]
    if lacking and texts is not None:
        raise UsageError(f"measures: {lacking[0].measure} needs positives; give qrels")
    return tuple(wanted for wanted in found if wanted not in lacking)


def _wanted(text: str) -> Wanted:
    if not isinstance(text, str):
        raise UsageError(f"measures: got {text!r}; allowed: text identities")
    side, _, rest = text.partition(".")
    placed = side.isidentifier() and "." in rest
    on, _, name = rest.partition(".") if placed else ("", "", text)
    measure = parse(name)
    definition = definition_of(measure)
    if definition.compute is None:
        raise UsageError(f"measures: {measure} compares two spaces; allowed: measures of one")
    if not placed:
        return Wanted(measure.text)
    places = definition.places_of(measure)
    if (side, on) not in places:
        allowed = ", ".join(".".join(place) for place in places)
        raise UsageError(f"measures: {measure} on {side}.{on}; allowed: {allowed}")
    return Wanted(measure.text, (side, on))


def measured(
    space: EmbeddingSpace, wanted: Sequence[Wanted], *, seed: int = 0, partial: bool = False
) -> tuple[dict[str, float], dict[str, str]]:
    """Values of the wanted rows; one that fails takes no other down.

    Parameters
    ----------
    space
        Vectors of the sample.
    wanted
        Rows.
    seed
        Of anchors and simulated nulls.
    partial
        Whether ranking is marked as that of a subcollection.

    Returns
    -------
    tuple of dict
        Name such as ``queries.unit.mean_cosine`` to value, and name to the reason why there is
        none.
    """
    names = list(dict.fromkeys(one.measure for one in wanted))
    values: dict[str, float] = {}
    problems: dict[str, str] = {}
    for group in _groups(space, names, seed, problems):
        for row in group[0]:
            if any(one.covers(row) for one in wanted):
                values[_name(row, partial)] = float(row.value)
        for gone in group[1]:
            if any(one.covers(gone) for one in wanted):
                problems[f"{gone.side}.{gone.on}.{gone.measure}"] = gone.reason
    return values, problems


def _groups(
    space: EmbeddingSpace, names: list[str], seed: int, problems: dict[str, str]
) -> Iterator[tuple[list[Measurement], list[Withheld]]]:
    """All measures at once, which shares their work; one by one where that fails."""
    try:
        found = measure_space(space, names, seed=seed)
    except Exception as error:
        if len(names) == 1:
            problems[names[0]] = first_line(error)
            return
        for name in names:
            yield from _groups(space, [name], seed, problems)
    else:
        yield found.rows, found.withheld


def _name(row: Measurement, partial: bool) -> str:
    marked = partial and row.side in ("ranking", "dual_ranking")
    return f"{row.side}.{row.on}.{row.measure}" + f".{SUBCOLLECTION}" * marked


def first_line(error: BaseException) -> str:
    """What an exception says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
