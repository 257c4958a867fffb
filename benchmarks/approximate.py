"""What an approximate index changes: neighbors missed, time, measures of hubs and negatives.

Run: ``python -m benchmarks.approximate [--small] [--store STORE ...] [--out FILE]``.

Two uses of neighbor lists: the 200 nearest documents of every query, from which negatives are
drawn, and the 10 nearest documents of every document, which make hubs. For each the exact lists
are found once; then an IVF and an HNSW index are built once and searched with rising effort.
Every measure is computed from both lists by the code that ``analyze`` runs, and the difference
stands in units of the standard error of the exact value: where the results carry an interval
that of the queries, else (coverage, and everything among documents) that of a jackknife over 20
blocks of anchors.

The collection is made up (``speed.Made``); stores given with ``--store`` are measured as well.
Seconds are CPU seconds of searches of the same anchors in turn, medians of three.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.backend import Rows, cores
from anisotropy.measures.counts import STATISTICS, occurrences
from anisotropy.measures.facts import Facts, OneSet, Plan
from anisotropy.measures.families.negatives import law_of
from anisotropy.measures.mining import Mined, is_pair, mined, probabilities
from anisotropy.measures.registry import definition_of, parse
from anisotropy.measures.unevenness import PREFIX
from anisotropy.measures.unevenness import STATISTICS as OF_LAWS
from anisotropy.neighbors import FaissIndex, NeighborIndex, Neighbors, recall
from anisotropy.spaces import EmbeddingSpace
from anisotropy.spaces.store import open_store
from anisotropy.statistics import interval
from benchmarks.made import Made

NEGATIVES_K, HUBS_K, KEPT, BLOCKS, TURNS = 200, 10, 20, 20, 3
#: Shares of the lists searched, candidates kept.
PROBED, KEPT_CANDIDATES = (1 / 128, 1 / 32, 1 / 16, 1 / 8, 1 / 2), (16, 64, 256)
TIMED = 500


@dataclass(eq=False)
class Use:
    """Neighbor lists for a purpose.

    Attributes
    ----------
    name
        ``negatives`` or ``hubs``.
    anchors, targets
        Unit rows, or rows as they are where the recipe is a dot product.
    k, others
        Depth, and whether an anchor is a target itself.
    exact
        The exact lists.
    values
        Measures of lists: text identity to value.
    errors
        Standard error of each exact value, and where it is from.
    """

    name: str
    anchors: Rows
    targets: Rows
    k: int
    others: bool
    ties: np.ndarray
    exact: Neighbors
    values: Callable[[Neighbors], dict[str, float]]
    errors: dict[str, tuple[float, str]]


def made_space(queries: int, documents: int, dim: int) -> EmbeddingSpace:
    """A made collection: clusters around a common direction, queries beside their positives."""
    made = Made(queries, documents, dim)
    rows = np.concatenate(list(made.document_shards())).astype(np.float16)
    asked = np.concatenate(list(made.query_shards())).astype(np.float16)
    return EmbeddingSpace(
        asked, rows, qrels={q[1:]: {d[1:]: 1 for d in found} for q, found in made.qrels().items()},
        similarity="cosine", label=f"made {documents:,} x {dim}",
    )  # fmt: skip


def negatives_use(facts: Facts) -> Use:
    """Queries of the mining pool against documents, under the recipe's scores."""
    pool = facts.mining
    found = mined(facts, "documents", "none")
    measures = [parse(f"{PREFIX}{name}(k={NEGATIVES_K}, role=documents{more})")
                for name in OF_LAWS for more in ("", f", kept={KEPT}")]  # fmt: skip

    def with_lists(lists: Neighbors) -> Mined:
        positive = is_pair(pool, found.anchors[:, None], lists.index)
        return replace(found, index=lists.index, score=lists.scores, positive=positive)

    def values(lists: Neighbors) -> dict[str, float]:
        other = _facts(facts.space)
        other.mining.once(("mined", "documents", "none"), lambda: with_lists(lists))
        return {m.text: _estimate(other, m.text, "documents", "recipe").value for m in measures}

    law = law_of(facts, measures[0])
    errors = {}
    for measure in measures:
        plain = measure.text.replace(f", kept={KEPT}", "")
        estimate = _estimate(facts, plain, "documents", "recipe")
        statistic = OF_LAWS[measure.name.removeprefix(PREFIX)]
        if estimate.influences:
            errors[measure.text] = interval(estimate, 0.95).se, "queries"
        else:
            block = np.arange(len(found.anchors)) % BLOCKS
            left = [statistic(probabilities(_without(found, block == b), law))
                    for b in range(BLOCKS)]  # fmt: skip
            errors[measure.text] = _jackknife(left), "blocks of anchors"
    queries = pool.scored("queries").rows
    anchors = replace(queries, keep=found.anchors, scale=_at(queries.scale, found.anchors))
    exact = Neighbors(np.arange(len(anchors)), found.index, found.score, found.n)
    return Use("negatives", anchors, pool.scored("documents").rows, NEGATIVES_K, False,
               pool.ties("documents"), exact, values, errors)  # fmt: skip


def _at(values: np.ndarray | None, index: np.ndarray) -> np.ndarray | None:
    return None if values is None else values[index]


def _without(found: Mined, out: np.ndarray) -> Mined:
    return replace(found, there=found.there & ~out[:, None])


def hubs_use(facts: Facts) -> Use:
    """Documents among themselves, as unit rows."""
    rows, ties = facts.rows("documents", "unit"), facts.ties("documents", rows=True)
    found = facts.one_set("documents", "unit").neighbors
    exact = Neighbors(found.anchors, found.index[:, :HUBS_K], found.scores[:, :HUBS_K], len(rows))
    names = [f"{name}(k={HUBS_K})" for name in STATISTICS]

    def values(lists: Neighbors) -> dict[str, float]:
        other = _facts(facts.space)
        one = OneSet(lists.anchors, np.zeros((len(rows), 0)), False, lists)
        other.once(("within", "documents", ("unit", "center>unit")), lambda: {"unit": one})
        return {name: _estimate(other, name, "documents", "unit").value for name in names}

    block = np.arange(len(rows)) % BLOCKS
    counts = [occurrences(exact.index[block != b], HUBS_K, len(rows)) for b in range(BLOCKS)]
    errors = {f"{name}(k={HUBS_K})": (_jackknife([statistic(c) for c in counts]),
                                      "blocks of anchors")
              for name, statistic in STATISTICS.items()}  # fmt: skip
    return Use("hubs", rows, rows, HUBS_K, True, ties, exact, values, errors)


def _jackknife(left: list[float]) -> float:
    values = np.array(left)
    return float(np.sqrt((len(values) - 1) * np.mean((values - values.mean()) ** 2)))


def _facts(space: EmbeddingSpace) -> Facts:
    return Facts(space, Plan((), HUBS_K, NEGATIVES_K), exact=True)


def _estimate(facts: Facts, text: str, side: str, on: str) -> Any:
    measure = parse(text)
    compute = definition_of(measure).compute
    assert compute is not None  # noqa: S101
    return compute(facts, measure, side, on)


def efforts(n: int, k: int) -> Iterator[tuple[str, list[NeighborIndex]]]:
    """Each kind of index with the ladder of its search."""
    ivf = NeighborIndex.parse("ivf").filled(n, k)
    lists = ivf.nlist or 1
    probes = sorted({max(1, round(share * lists)) for share in PROBED} | {ivf.nprobe or 1})
    yield "ivf", [replace(ivf, nprobe=p) for p in probes]
    hnsw = NeighborIndex.parse("hnsw").filled(n, k)
    kept = sorted({*KEPT_CANDIDATES, hnsw.ef_search or 1})
    # faiss keeps at least as many candidates as are asked for.
    yield "hnsw", [replace(hnsw, ef_search=e) for e in kept if e >= k]


def measured(use: Use) -> Iterator[dict[str, Any]]:
    """A record for every index and effort."""
    exact = use.values(use.exact)
    every = np.arange(min(TIMED, len(use.anchors)))
    few = replace(use.anchors, keep=every if use.anchors.keep is None else use.anchors.keep[every],
                  scale=_at(use.anchors.scale, every))  # fmt: skip
    left, right = few.take(slice(None)), use.targets
    for _, ladder in efforts(len(use.targets), use.k):
        start = time.process_time(), time.perf_counter()
        built = FaissIndex(use.targets, ladder[0], "dot")
        build = time.process_time() - start[0], time.perf_counter() - start[1]
        for how in ladder:
            found = built.search(use.anchors, use.k, ties=use.ties, others=use.others, how=how)
            again = functools.partial(built.search, few, use.k, how=how)
            times = np.median([
                (_cpu(lambda: _sweep(left, right, use.k)), _cpu(again)) for _ in range(TURNS)
            ], axis=0)  # fmt: skip
            yield {
                "use": use.name, "k": use.k, "index": str(how), "kind": how.kind,
                "anchors": len(use.anchors),
                "targets": len(use.targets), "dim": use.targets.dim,
                "recall": recall(found.index, use.exact.index[:, : use.k]),
                "recall_at_10": recall(found.index, use.exact.index[:, :10]),
                "build_cpu_s": build[0], "build_s": build[1],
                "index_bytes_a_row": built.n_bytes / len(use.targets),
                "exact_cpu_s_an_anchor": times[0] / len(few),
                "search_cpu_s_an_anchor": times[1] / len(few),
                "ratio": times[0] / times[1],
                "found_of": popularity(use, found),
                "measures": _changes(exact, use.values(found), use.errors),
            }  # fmt: skip


def _sweep(left: np.ndarray, right: Rows, k: int) -> None:
    from anisotropy.neighbors import Items, TopK, sweep

    chosen = np.arange(len(left))
    kept = TopK(len(left), k, np.arange(len(right)))
    sweep(Items(Rows(left)), chosen, Items(right), [kept])
    kept.neighbors(chosen)


def _cpu(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _changes(
    exact: dict[str, float], found: dict[str, float], errors: dict[str, tuple[float, str]]
) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "exact": value, "approximate": found[name], "se": errors[name][0],
            "se_over": errors[name][1],
            "change_in_se": _over(found[name] - value, errors[name][0]),
        }
        for name, value in exact.items()
    }  # fmt: skip


def _over(change: float, error: float) -> float | None:
    """None where the exact value has no error at all, such as a coverage of 1."""
    return change / error if error > 0 else None


def popularity(use: Use, found: Neighbors) -> dict[str, float | None]:
    """Share found of the places in exact lists that targets of each popularity hold.

    Targets by their exact number of occurrences: the first 1% (hubs), the next 9%, the others.
    ``end`` and ``start``: the share found of the last and the first tenth of the lists.
    ``wrong_in_hubs``: the share that hubs hold of the places that other targets took.
    """
    exact, k, n = use.exact.index[:, : use.k], use.k, len(use.targets)
    order = np.argsort(-occurrences(exact, k, n), kind="stable")
    group = np.full(n, 2)
    group[order[: n // 10]], group[order[: max(n // 100, 1)]] = 1, 0
    row = np.arange(len(exact))[:, None] * n
    hit = np.isin((row + exact).ravel(), (row + found.index)[found.index >= 0]).reshape(
        exact.shape
    )
    wrong = found.index[(found.index >= 0)
                        & ~np.isin(row + found.index, row + exact)]  # fmt: skip
    shares = {name: float(hit[group[exact] == number].mean())
              for number, name in enumerate(("hubs", "popular", "others"))}  # fmt: skip
    tenth = max(k // 10, 1)
    return shares | {
        "start": float(hit[:, :tenth].mean()),
        "end": float(hit[:, -tenth:].mean()),
        "hubs_hold": float(np.mean(group[exact] == 0)),
        "wrong_in_hubs": float(np.mean(group[wrong] == 0)) if len(wrong) else None,
        "empty": float(np.mean(found.index < 0)),
    }


def measure(space: EmbeddingSpace) -> list[dict[str, Any]]:
    """All records of a space."""
    facts = _facts(space)
    found = []
    for use in (negatives_use(facts), hubs_use(facts)):
        for record in measured(use):
            found.append({"data": space.label, "similarity": space.similarity, **record})
            worst = max(abs(m["change_in_se"] or 0) for m in record["measures"].values())
            print(
                f"{space.label}: {use.name} {record['index']}: recall {record['recall']:.4f}, "
                f"{record['ratio']:.1f} times as fast, off by up to {worst:.1f} se",
                flush=True,
            )
    return found


def run(small: bool, stores: list[Path]) -> dict[str, Any]:
    """Everything, as one value."""
    sizes = (400, 5_000, 48) if small else (2_000, 40_000, 96)
    records = measure(made_space(*sizes))
    for store in stores:
        records += measure(open_store(store))
    return {"small": small, "cores": cores(), "records": records}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--store", type=Path, nargs="*", default=[], help="real vectors")
    parser.add_argument("--out", type=Path, help="file for the records (JSON)")
    given = parser.parse_args()
    found = run(given.small, given.store)
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
