"""The functions of ``import anisotropy as an`` that take a path or a space."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Unpack

from anisotropy import engine, workflow
from anisotropy.errors import UsageError
from anisotropy.opening import (
    EncoderOptions,
    distinct_labels,
    holds_vectors,
    open_space,
    side_names,
)
from anisotropy.progress import notebook_bars, notebook_job, notebook_lines
from anisotropy.spaces import EmbeddingSpace
from anisotropy.spaces.dumps.base import DumpOptions
from anisotropy.workflow import AnalysisOptions, Settings

if TYPE_CHECKING:
    import pandas as pd

    from anisotropy.collection import Collection
    from anisotropy.collection.runs import Run
    from anisotropy.conversion import Conversion
    from anisotropy.explorer import Explorer
    from anisotropy.projection.maps import Method
    from anisotropy.results import Curve, Results

Source = str | Path | EmbeddingSpace
RunSource: TypeAlias = "str | Path | Run"
Judgments = Mapping[str, Mapping[str, int]]
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
    from anisotropy.spaces.encoding import EncodeOptions

    options = EncoderOptions(recipe, tokenizer, backbone, dict(overrides or {}), device, dtype)
    return open_space(
        source,
        _collection_for(source, data, split),
        encoder=options,
        encode=EncodeOptions(documents=documents),
        dump=_dump_options(
            queries, ids, query_ids, qrels, offsets, scale=scale, field=field, split=split
        ),
        label=label,
        progress=notebook_bars(),
        tell=notebook_lines() or warnings.warn,
        verify=verify,
    )


def _dump_options(
    *files: str | Path | None, scale: float | None, field: str | None, split: str | None = None
) -> DumpOptions:
    """Options about a dump; `files` are its queries, ids, query_ids, qrels and offsets."""
    queries, ids, query_ids, qrels, offsets = (f if f is None else Path(f) for f in files)
    places = (queries, ids, query_ids, qrels, offsets)
    return DumpOptions(*places, scale=scale, field=field, split=split)


def _collection_for(
    source: str | Path, data: str | Path | None, split: str | None
) -> Collection | None:
    from anisotropy.collection import open_collection

    if data is None or (data == "docstrings" and holds_vectors(source)):
        return None
    return open_collection(data, split=split, progress=notebook_lines())


def convert(
    source: str | Path,
    to: str,
    out: str | Path,
    *,
    recipe: str | None = None,
    tokenizer: str | None = None,
    backbone: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    queries: str | Path | None = None,
    ids: str | Path | None = None,
    query_ids: str | Path | None = None,
    qrels: str | Path | None = None,
    offsets: str | Path | None = None,
    scale: float | None = None,
    field: str | None = None,
    data: str | Path | None = None,
    split: str | None = None,
    verify: bool = False,
) -> Conversion:
    """Write a checkpoint, or embeddings, in another layout, whole or not at all.

    Parameters
    ----------
    source
        A checkpoint or hub id; or a store, or a dump of vectors.
    to
        ``sentence-transformers`` or ``upstream`` for a checkpoint; ``store``, ``parquet`` or
        ``npz`` for embeddings.
    out
        New folder (``npz``: new file).
    recipe, tokenizer, backbone, overrides
        How a checkpoint is read, as for :func:`open`.
    queries, ids, query_ids, qrels, offsets, scale, field, split
        What the files of a dump do not say, as for :func:`open`.
    data
        The collection of a dump, for ids of its rows and for judgments.
    verify
        Check every checksum of a store.

    Returns
    -------
    Conversion
        ``.path``, and ``.notes``: what the layout does not hold, a sentence each.

    Raises
    ------
    AnisotropyError
        One line that says what is wrong and what to do.
    """
    from anisotropy import conversion

    options = EncoderOptions(recipe, tokenizer, backbone, dict(overrides or {}))
    dump = _dump_options(
        queries, ids, query_ids, qrels, offsets, scale=scale, field=field, split=split
    )
    return conversion.convert(
        source, to, out, encoder=options, dump=dump, data=data, verify=verify
    )


def compare(
    a: Source | Sequence[Source],
    b: Source | Sequence[Source],
    *,
    data: str | Path | None = "docstrings",
    measures: Sequence[str] | None = None,
    projections: Sequence[Method] = ("tsne",),
    seed: int = 0,
    on_mismatch: Literal["error", "intersect"] = "error",
    scheduler: Any = None,
    device: str = "auto",
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
    scheduler
        Address of a Dask scheduler such as ``tcp://host:8786``, or a connected
        ``distributed.Client``: its workers read the vectors and compute (extra ``cluster``). The
        results are the same.
    device
        Where checkpoints are encoded and, of CUDA devices, where large products are made:
        ``auto`` (a CUDA device where there is one), ``cpu``, ``cuda:1``, ``mps``. Neighbors follow
        the same rules everywhere; sums have other last digits.
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
    options = _options(measures, projections, seed, on_mismatch, settings)
    with engine.on(scheduler), engine.on_device(device, notebook_lines() or warnings.warn):
        spaces = _distinct([_opened(source, data, device) for side in sides for source in side])
        first, second = spaces[: len(sides[0])], spaces[len(sides[0]) :]
        with notebook_job(f"comparing {_named(spaces)}") as share:
            return workflow.compare(
                first,
                second,
                options,
                collection=_collection(spaces),
                config=_config(scheduler),
                share=share,
            )


def analyze(
    spaces: Source | Sequence[Source],
    *,
    data: str | Path | None = "docstrings",
    measures: Sequence[str] | None = None,
    projections: Sequence[Method] = ("tsne",),
    seed: int = 0,
    baseline: str | None = None,
    on_mismatch: Literal["error", "intersect"] = "error",
    scheduler: Any = None,
    device: str = "auto",
    **settings: Unpack[Settings],
) -> Results:
    """Measure one or many spaces, and test each against the one labeled `baseline`, if any.

    The other parameters are those of :func:`compare`.
    """
    options = _options(measures, projections, seed, on_mismatch, settings)
    sources = [spaces] if isinstance(spaces, str | Path | EmbeddingSpace) else spaces
    with engine.on(scheduler), engine.on_device(device, notebook_lines() or warnings.warn):
        opened = _distinct([_opened(source, data, device) for source in sources])
        with notebook_job(f"measuring {_named(opened)}") as share:
            return workflow.analyze(
                opened,
                options,
                baseline=baseline,
                collection=_collection(opened),
                config=_config(scheduler),
                share=share,
            )


def analyze_runs(
    runs: RunSource | Sequence[RunSource],
    qrels: str | Path | Judgments | None = None,
    *,
    data: str | Path | None = None,
    split: str | None = None,
    dual: bool = False,
    order: Literal["scores", "ranks"] = "scores",
    measures: Sequence[str] | None = None,
    relevance_level: int = 1,
    seed: int = 0,
    baseline: str | None = None,
) -> Results:
    """Effectiveness and negatives of ranked lists, without any embeddings.

    Parameters
    ----------
    runs
        TREC or MS MARCO files, or what :func:`anisotropy.read_run` gives.
    qrels
        File of judgments, or ``{query_id: {doc_id: grade}}``; None takes those of `data`.
    data, split
        Collection whose documents negatives are drawn from; None: those that runs and judgments
        name.
    dual
        The runs rank queries for documents.
    order
        What decides where a file has both: ``scores``, as trec_eval, or its ``ranks``.
    measures
        Text identities of effectiveness and negatives; None for the default set.
    relevance_level
        Smallest grade of a positive, 1 or more.
    seed
        Of blocks and simulated nulls.
    baseline
        Name of the run that every other one is tested against.

    Returns
    -------
    Results
        Curves ``positive_ranks``, ``negative_profile``, ``negative_probability`` and others;
        what is deeper than the lists is in ``withheld``.
    """
    from anisotropy.workflow import ranking

    opened = _runs(runs, order)
    judged = ranking.judgments_of(qrels, _of_data(data, split), dual=dual)
    options = _options(measures, (), seed, "error", {"relevance_level": relevance_level})
    return ranking.analyze_runs(opened, judged, options, baseline=baseline)


def compare_runs(
    a: RunSource | Sequence[RunSource],
    b: RunSource | Sequence[RunSource],
    qrels: str | Path | Judgments | None = None,
    *,
    data: str | Path | None = None,
    split: str | None = None,
    dual: bool = False,
    order: Literal["scores", "ranks"] = "scores",
    measures: Sequence[str] | None = None,
    relevance_level: int = 1,
    seed: int = 0,
) -> Results:
    """Measure two runs (or seeds of two searches) and test their differences, b minus a.

    The parameters are those of :func:`analyze_runs`.
    """
    from anisotropy.workflow import ranking

    first = _listed_runs(a)
    opened = list(_runs([*first, *_listed_runs(b)], order).items())
    sides = [dict(opened[: len(first)]), dict(opened[len(first) :])]
    judged = ranking.judgments_of(qrels, _of_data(data, split), dual=dual)
    options = _options(measures, (), seed, "error", {"relevance_level": relevance_level})
    names = side_names([list(side) for side in sides])
    return ranking.compare_two_runs(sides[0], sides[1], judged, options, names=names)


def _listed_runs(runs: RunSource | Sequence[RunSource]) -> list[RunSource]:
    from anisotropy.collection.runs import Run

    return [runs] if isinstance(runs, str | Path | Run) else list(runs)


def _runs(runs: RunSource | Sequence[RunSource], order: str) -> dict[str, Run]:
    """Label to run; labels that occur more than once are numbered."""
    from anisotropy.collection.runs import Run, label_of, read_run

    opened = [x if isinstance(x, Run) else read_run(x, order) for x in _listed_runs(runs)]
    if not opened:
        raise UsageError("runs: got none; needed: one or more files of TREC or MS MARCO")
    return dict(zip(distinct_labels([label_of(run.name) for run in opened]), opened, strict=True))


def _of_data(data: str | Path | None, split: str | None) -> Collection | None:
    from anisotropy.collection import open_collection

    return None if data is None else open_collection(data, split=split)


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


def _config(scheduler: Any) -> dict[str, str] | None:
    """What results say of where they were computed."""
    if scheduler is None:
        return None
    address = scheduler if isinstance(scheduler, str) else scheduler.scheduler.address
    return {"scheduler": address}


def _sources(side: Source | Sequence[Source]) -> list[Source]:
    return [side] if isinstance(side, str | Path | EmbeddingSpace) else list(side)


def _opened(source: Source, data: str | Path | None, device: str = "auto") -> EmbeddingSpace:
    return source if isinstance(source, EmbeddingSpace) else open(source, data, device=device)


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


__all__ = [
    "analyze",
    "analyze_runs",
    "compare",
    "compare_runs",
    "convert",
    "explore",
    "negative_probability",
    "open",
    "project",
]
