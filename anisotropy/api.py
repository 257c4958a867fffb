"""The functions of ``import anisotropy as an`` that take a path or a space."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from anisotropy import workflow
from anisotropy.errors import UsageError
from anisotropy.opening import EncoderOptions, distinct_labels, holds_vectors, open_space
from anisotropy.progress import notebook_bars, notebook_job, notebook_lines
from anisotropy.spaces import EmbeddingSpace
from anisotropy.workflow import AnalysisOptions, Settings

if TYPE_CHECKING:
    import pandas as pd

    from anisotropy.collection import Collection
    from anisotropy.explorer import Explorer
    from anisotropy.projection.maps import Method
    from anisotropy.results import Curve, Results

Source = str | Path | EmbeddingSpace
#: Spaces whose labels fit beside a bar.
FEW = 3


def open(
    source: str | Path,
    data: str | Path | None = "docstrings",
    *,
    recipe: str | None = None,
    split: str | None = None,
    label: str | None = None,
    tokenizer: str | None = None,
    backbone: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    device: str = "auto",
    dtype: str = "float32",
    documents: int | None = None,
    queries: str | Path | None = None,
    ids: str | Path | None = None,
    query_ids: str | Path | None = None,
    qrels: str | Path | None = None,
    offsets: str | Path | None = None,
    scale: float | None = None,
    field: str | None = None,
    verify: bool = False,
) -> EmbeddingSpace:
    """Open a store or a dump as it is; encode a checkpoint, or find its vectors in the cache.

    Parameters
    ----------
    source
        A store, a dump of vectors, checkpoint folder, zip or file, or a hub id ``org/name``.
    data
        Collection to encode: ``docstrings``, a BEIR or MS MARCO folder, ``irds:<id>``. Of a dump:
        where judgments and texts come from; ``docstrings`` is then none.
    recipe
        Name or file of the recipe; None resolves it from the checkpoint.
    split
        Split to evaluate; default dev, else test, else train.
    label
        Name in tables; default: from the source.
    tokenizer, backbone
        Of a single-file checkpoint.
    overrides
        Single parts of the recipe, such as ``{"normalize": True}``.
    device, dtype
        Where and in what precision to encode.
    documents
        None for all, or how many random ones beside the judged.
    queries, ids, query_ids, qrels, offsets, scale, field
        Of a dump, what its files do not say: vectors of the queries, ids in row order, judgments,
        upstream's maps from ids to offsets, the scale of int8 values, and the column, array or
        key that holds the vectors. How vectors are compared: ``overrides={"similarity": "dot"}``.
    verify
        Compare every checksum of a store; of the cache, what is damaged is encoded again.

    Returns
    -------
    EmbeddingSpace
        Vectors stay on disk, memory-mapped. In a notebook a bar shows how far encoding is. What
        another process is encoding is waited for, with a warning.

    Raises
    ------
    AnisotropyError
        One line that says what is wrong and what to do.
    """
    from anisotropy.spaces.dumps.base import DumpOptions
    from anisotropy.spaces.encoding import EncodeOptions

    options = EncoderOptions(recipe, tokenizer, backbone, dict(overrides or {}), device, dtype)
    return open_space(
        source,
        _collection_for(source, data, split),
        encoder=options,
        encode=EncodeOptions(documents=documents),
        dump=DumpOptions(
            queries=_path(queries),
            ids=_path(ids),
            query_ids=_path(query_ids),
            qrels=_path(qrels),
            offsets=_path(offsets),
            scale=scale,
            field=field,
            split=split,
        ),
        label=label,
        progress=notebook_bars(),
        tell=notebook_lines() or warnings.warn,
        verify=verify,
    )


def _path(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value)


def _collection_for(
    source: str | Path, data: str | Path | None, split: str | None
) -> Collection | None:
    from anisotropy.collection import open_collection

    if data is None or (data == "docstrings" and holds_vectors(source)):
        return None
    return open_collection(data, split=split, progress=notebook_lines())


def compare(
    a: Source | Sequence[Source],
    b: Source | Sequence[Source],
    *,
    data: str | Path | None = "docstrings",
    measures: Sequence[str] | None = None,
    projections: Sequence[Method] = ("tsne",),
    seed: int = 0,
    on_mismatch: Literal["error", "intersect"] = "error",
    **settings: Unpack[Settings],
) -> Results:
    """Measure two sides of one collection and test their differences, b minus a.

    Parameters
    ----------
    a, b
        Spaces, or what :func:`open` opens: one a side, or two or more a side, which are then
        seeds of one method, and the test is over seeds and queries.
    data
        Collection, where a checkpoint has to be encoded.
    measures
        Text identities; None for the default set.
    projections
        Maps to draw: any of ``tsne``, ``pca``, ``umap``.
    seed
        Of every random choice.
    on_mismatch
        For ids that differ: ``error``, or ``intersect`` to use the common ones.
    **settings
        ``sample``, ``exact``, ``relative_error``, ``relevance_level``, ``perplexity``: fields of
        :class:`anisotropy.workflow.AnalysisOptions`.

    Returns
    -------
    Results
        ``.measurements``, ``.differences``, ``.similarities``, ``.associations``,
        ``.queries()``, ``.distances()``, ``.report(path)``. In a notebook it shows as the
        headline table.
    """
    sides = [_sources(side) for side in (a, b)]
    spaces = _distinct([_opened(source, data) for side in sides for source in side])
    options = _options(measures, projections, seed, on_mismatch, settings)
    first, second = spaces[: len(sides[0])], spaces[len(sides[0]) :]
    with notebook_job(f"comparing {_named(spaces)}") as share:
        return workflow.compare(
            first, second, options, collection=_collection(spaces), share=share
        )


def analyze(
    spaces: Sequence[Source],
    *,
    data: str | Path | None = "docstrings",
    measures: Sequence[str] | None = None,
    projections: Sequence[Method] = ("tsne",),
    seed: int = 0,
    baseline: str | None = None,
    on_mismatch: Literal["error", "intersect"] = "error",
    **settings: Unpack[Settings],
) -> Results:
    """Measure one or many spaces, and test each against the one labeled `baseline`, if any.

    The other parameters are those of :func:`compare`.
    """
    opened = _distinct([_opened(source, data) for source in spaces])
    options = _options(measures, projections, seed, on_mismatch, settings)
    with notebook_job(f"measuring {_named(opened)}") as share:
        return workflow.analyze(
            opened, options, baseline=baseline, collection=_collection(opened), share=share
        )


def explore(
    a: Source,
    b: Source | None = None,
    *,
    data: str | Path | None = "docstrings",
    points: int = 5000,
    neighbors: int = 20,
    projections: Sequence[Method] = ("tsne", "pca"),
    perplexity: float = 30.0,
    relevance_level: int = 1,
    seed: int = 0,
    on_mismatch: Literal["error", "intersect"] = "error",
) -> Explorer:
    """Linked maps of one space, or of two of the same texts, to look around in.

    Parameters
    ----------
    a, b
        Spaces, or what :func:`open` opens; `b` may be left out.
    data
        Collection, where a checkpoint has to be encoded.
    points
        Points on a map, 5 or more; of more queries and documents a seeded sample is shown.
    neighbors
        Documents in the list of each query, 1 to 200.
    projections
        Maps: any of ``tsne``, ``pca``, ``umap``; the first is shown first.
    perplexity
        Of t-SNE, above 1.
    relevance_level
        Smallest grade of a positive, 1 or more.
    seed
        Of every random choice.
    on_mismatch
        For ids that differ: ``error``, or ``intersect`` to use the common ones.

    Returns
    -------
    Explorer
        ``.save(path)`` writes one offline HTML file. In Jupyter (extra ``jupyter``) it shows
        itself as a widget, and ``.selected`` is a DataFrame of what the lasso holds.
    """
    from anisotropy.explorer import Explorer, ExplorerOptions, build

    options = ExplorerOptions(
        points, neighbors, tuple(projections), perplexity, seed, relevance_level, on_mismatch
    )
    spaces = _distinct([_opened(source, data) for source in ([a] if b is None else [a, b])])
    with notebook_job(f"exploring {_named(spaces)}") as share:
        return Explorer(build(spaces, options, share=share))


def project(
    space: EmbeddingSpace,
    method: Method = "tsne",
    *,
    n: int = 1500,
    perplexity: float = 30.0,
    random_state: int = 0,
    relevance_level: int = 1,
) -> Curve:
    """Map queries and documents of one space to the plane, in one fit, on unit vectors.

    Parameters
    ----------
    space
        The space. Of a document with several vectors the first that is not padding is shown.
    method
        ``tsne``, ``pca`` or ``umap``.
    n
        Points, 5 or more; of more queries and documents a seeded sample is shown.
    perplexity
        Of t-SNE, above 1.
    random_state
        Seed of the sample and of the optimizer.
    relevance_level
        Smallest grade of a positive, 1 or more.

    Returns
    -------
    Curve
        ``coordinates``; its columns, how faithful the map is among them, and the errors are those
        of :func:`anisotropy.projection.project`. ``.frame()`` is a DataFrame.
    """
    from anisotropy.projection import project

    if isinstance(space, Sequence):
        raise UsageError(
            f"project: got a list of {len(space)}; allowed: one space; "
            "anisotropy.projection.project_pair(a, b) makes an aligned pair"
        )
    settings = {"n": n, "random_state": random_state, "relevance_level": relevance_level}
    with notebook_job(f"drawing the {method} map of {space.label}"):
        return project(space, method, perplexity=perplexity, **settings)


def negative_probability(
    space: EmbeddingSpace,
    role: Literal["queries", "documents"] = "queries",
    *,
    k: int = 200,
    center: Literal["none", "sides"] = "none",
    law: Literal["uniform", "softmax", "softmax_standardized"] = "uniform",
    anchors: Literal["documents", "pairs"] = "documents",
) -> pd.DataFrame:
    """Probability of each item to be drawn as a negative; by default ANCE's mining law.

    Parameters
    ----------
    space
        Its training queries are the pool where it has them.
    role
        ``queries`` as negatives of documents, or ``documents`` as negatives of queries.
    k
        Depth from which an anchor's negatives are drawn; 1 or more.
    center
        ``sides`` subtracts each side's mean first.
    law
        How an anchor spreads its probability over its list: evenly, or by a softmax of scores.
    anchors
        Whether an anchor counts once, or as often as it is judged.

    Returns
    -------
    pandas.DataFrame
        Columns ``id`` and ``probability``, one row an item of the role, summing to 1.
    """
    import pandas as pd

    from anisotropy.measures import negative_probabilities

    ids, probability = negative_probabilities(
        space, role, k=k, center=center, law=law, anchors=anchors
    )
    return pd.DataFrame({"id": ids, "probability": probability})


def _options(
    measures: Sequence[str] | None,
    projections: Sequence[Method],
    seed: int,
    on_mismatch: str,
    settings: Settings,
) -> AnalysisOptions:
    chosen = tuple(measures) if measures is not None else None
    return AnalysisOptions(chosen, tuple(projections), seed, on_mismatch, **settings)


def _sources(side: Source | Sequence[Source]) -> list[Source]:
    return [side] if isinstance(side, str | Path | EmbeddingSpace) else list(side)


def _opened(source: Source, data: str | Path | None) -> EmbeddingSpace:
    return source if isinstance(source, EmbeddingSpace) else open(source, data)


def _distinct(spaces: list[EmbeddingSpace]) -> list[EmbeddingSpace]:
    """Copies with numbered labels where labels occur more than once."""
    labels = distinct_labels([space.label for space in spaces])
    if labels == [space.label for space in spaces]:
        return spaces
    copies = [copy.copy(space) for space in spaces]
    for one, label in zip(copies, labels, strict=True):
        one.label = label
    return copies


def _named(spaces: Sequence[EmbeddingSpace]) -> str:
    """Labels of a few spaces, or how many there are."""
    if len(spaces) > FEW:
        return f"{len(spaces)} spaces"
    return " and ".join(space.label for space in spaces)


def _collection(spaces: Sequence[EmbeddingSpace]) -> Collection | None:
    return next((s.collection for s in spaces if s.collection is not None), None)


__all__ = ["analyze", "compare", "explore", "negative_probability", "open", "project"]
