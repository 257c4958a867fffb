"""The page docs/planning.md from the numbers of docs/planning.json; nothing is measured here."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from anisotropy.neighbors import NeighborIndex

TEMPLATE = Path(__file__).with_name("planning.md")
DIM, BYTES, ANCHORS, QUERIES = 768, 2, 5_000, 5_000
COUNTS, WORKERS = (1_000_000, 100_000_000, 1_000_000_000), (2, 64, 512)
#: Rows and rounds from which the means of lists are learned, see `neighbors.approximate`.
LEARNED = 64 * 10
PURPOSES = {
    "looks": "lengths, means and total variances",
    "scatter": "covariance",
    "_sums_of_exponentials": "partition functions",
    "_moved": "slopes at the extreme directions",
    "_first": "repeated rows",
    "Sides.once": "products with the means",
    "centered_squares": "distances to the mean",
    "sweep of within": "sweep among documents",
    "sweep of across": "sweep of queries",
}
Found = dict[str, Any]


def page(found: Found) -> str:
    """The page."""
    parts = _parts(found)
    text = TEMPLATE.read_text("utf-8")
    for name, part in parts.items():
        assert f"<!-- {name} -->" in text, name  # noqa: S101
        text = text.replace(f"<!-- {name} -->", part)
    left = re.findall(r"<!-- (\w+) -->", text)
    assert not left, left  # noqa: S101
    return text


def _parts(found: Found) -> dict[str, str]:
    cosine, dot = found["passes"]
    cost, held = costs(found), found["held"]
    records = found["approximate"]["records"]
    made = [r for r in records if r["data"].startswith("made")]
    machine = found["machine"]
    return {
        "machine": f"{machine['processor'] or 'an unnamed processor'}, {machine['cores']} core(s) "
        f"used, Python {machine['python']}, numpy {machine['numpy']}, faiss {machine['faiss']}"
        + " (**a small run, of no use for planning**)" * found["small"],
        "signs": "\n".join(_signs(cost)),
        "sizes": " and ".join(f"{n:,}" for n in dot["sizes"]),
        "dim": str(dot["dim"]),
        "passes": "\n".join(_passes(dot)),
        "cosine": f"{sum(r['passes'] for r in cosine['rows']):.0f}",
        "times": "\n".join(_times(cost)),
        "covariance": _size(8 * DIM**2),
        "uniformity": " and ".join(
            f"{_duration(2.0 * n * DIM * ANCHORS / cost['within'])} for {_count(n)}"
            for n in COUNTS[1:]
        ) + " on one core",
        "encoding": f"{4.4e10 / cost['R_mm']:.2g} s on one core at R_mm, "
        f"{_duration(1e8 * 4.4e10 / cost['R_mm'] / 512)} for 100 million on 512 of them",
        "held": f"{held['bytes_a_row']:.0f}",
        "heldsizes": " against ".join(f"{n:,}" for n in reversed(held["sizes"])),
        "memory": "\n".join(_memory(held["bytes_a_row"])),
        "breakeven": "\n".join(_break_even()),
        "ivfrate": f"{ivf_rate(made) / cost['R_mm']:.0%}",
        "builds": "\n".join(_builds(records)),
        "negatives": "\n".join(_changes(records, "negatives", NEGATIVES)),
        "hubs": "\n".join(_changes(records, "hubs", HUBS)),
        "popularity": "\n".join(_popularity(records)),
        "direction": direction(records),
        "kept": kept(records),
        "data": "; ".join(dict.fromkeys(
            f"{r['data']}, {r['use']}: {r['anchors']:,} and {r['targets']:,}" for r in records
        )),
        "needed": needed(records),
        "indexbytes": " and ".join(
            f"{name.upper()} {_index_bytes(records, name):.0f} bytes a row beside 2 d"
            for name in ("ivf", "hnsw")
        ),
    }  # fmt: skip


def costs(found: Found) -> dict[str, float]:
    """Rates and what a document costs, by sign."""
    rates, rows = found["rates"], found["passes"][1]["rows"]
    return {
        "P": sum(r["passes"] for r in rows),
        "R_read": rates["read_bytes_s"],
        "R_mm": rates["float32_flop_s"],
        "R_64": rates["float64_flop_s"],
        "within": rates["within_flop_s"],
        "across": rates["across_flop_s"],
        "c": sum(r["cpu_s_a_row"] for r in rows if not r["purpose"].startswith("sweep")),
        "h": found["held"]["cpu_s_a_row"],
    }


def analysis(cost: dict[str, float], n: int, workers: int) -> dict[str, float]:
    """Seconds of the default set for n documents: reading, rows, sweeps, ids."""
    return {
        "read": cost["P"] * n * DIM * BYTES / cost["R_read"],
        "rows": n * cost["c"] / workers,
        "sweeps": 2.0 * n * DIM * (ANCHORS / cost["within"] + QUERIES / cost["across"]) / workers,
        "ids": n * cost["h"],
    }


def _signs(cost: dict[str, float]) -> list[str]:
    return [
        _row(["n, d, b", "documents, dimensions, bytes a number", ""]),
        _row(["A, Q", "anchors among documents, queries", f"{ANCHORS:,}, {QUERIES:,} by default"]),
        _row(["w", "cores", ""]),
        _row(["P", "passes over the documents", f"{cost['P']:.0f}"]),
        _row(["R_read", "bytes read a second from disk (wall clock)", _size(cost["R_read"])]),
        _row(["R_mm", "FLOP a second of a float32 product, 256 × d by d × 4,096",
              f"{cost['R_mm'] / 1e9:.0f}e9"]),
        _row(["R_64", "the same of a covariance in float64, whose symmetry saves half",
              f"{cost['R_64'] / 1e9:.0f}e9"]),
        _row(["e_A, e_Q", "share of R_mm that the sweeps of anchors and of queries reach, with "
              "exponentials and lists",
              f"{cost['within'] / cost['R_mm']:.2f}, {cost['across'] / cost['R_mm']:.2f}"]),
        _row(["c", "seconds a document of all passes but the sweeps", f"{cost['c']:.1e}"]),
        _row(["h", "seconds a document of the whole command at 8 dimensions",
              f"{cost['h']:.1e}"]),
    ]  # fmt: skip


def _passes(counted: Found) -> list[str]:
    lines = _head("needed first by", "what is read for", "passes", "products", "µs a document")
    for row in counted["rows"]:
        purpose, anchors = row["purpose"], row["products"]
        products = ""
        if anchors:
            products = "A" if purpose == "sweep of within" else "Q"
        lines.append(_row([
            f"`{row['measure']}`" if "(" in row["measure"] or "_" in row["measure"]
            else row["measure"],
            PURPOSES.get(purpose, f"`{purpose}`" if purpose else "single rows"),
            f"{row['passes']:.1f}".removesuffix(".0"), products,
            f"{max(row['cpu_s_a_row'], 0) * 1e6:.1f}",
        ]))  # fmt: skip
    total = sum(r["passes"] for r in counted["rows"])
    seconds = sum(r["cpu_s_a_row"] for r in counted["rows"])
    lines.append(_row(["**all**", "", f"**{total:.0f}**",
                       f"A = {counted['anchors']}, Q = {counted['queries']}",
                       f"**{seconds * 1e6:.0f}**"]))  # fmt: skip
    return lines


def _times(cost: dict[str, float]) -> list[str]:
    lines = _head(
        "documents", "one copy", "read, one disk", "cores", "rows", "sweeps", "ids", "all"
    )
    for n in COUNTS:
        for workers in WORKERS:
            parts = analysis(cost, n, workers)
            lines.append(_row([
                _count(n), _size(n * DIM * BYTES), _duration(parts["read"]), workers,
                *(_duration(parts[name]) for name in ("rows", "sweeps", "ids")),
                _duration(sum(parts.values())),
            ]))  # fmt: skip
    return lines


def _memory(held: float) -> list[str]:
    lines = _head("documents", "beside the vectors", "ids of 9 bytes on disk")
    return lines + [_row([_count(n), _size(n * held), _size(10 * n)]) for n in COUNTS]


def break_even(n: int) -> tuple[int, int, float]:
    """Lists, lists probed, and anchors from which an index is cheaper, all at equal rates."""
    how = NeighborIndex.parse("ivf").filled(n, 10)
    lists, probed = how.nlist or 1, how.nprobe or 1
    build = n * lists + LEARNED * lists**2
    return lists, probed, build / (n - lists - probed * n / lists)


def _break_even() -> list[str]:
    lines = _head(
        "documents", "L", "p", "pays from", "exact, 5,000 anchors", "index, 5,000 anchors"
    )
    for n in (100_000, *COUNTS):
        lists, probed, anchors = break_even(n)
        exact = 2.0 * 5_000 * n * DIM
        index = 2.0 * DIM * (n * lists + LEARNED * lists**2 + 5_000 * (lists + probed * n / lists))
        lines.append(_row([_count(n), f"{lists:,}", f"{probed:,}", f"{anchors:,.0f} anchors",
                           f"{exact:.1e} FLOP", f"{index:.1e} FLOP"]))  # fmt: skip
    return lines


def ivf_rate(records: list[Found]) -> float:
    """FLOP a second at which IVF indexes were built."""
    one = next(r for r in records if r["kind"] == "ivf")
    lists = NeighborIndex.parse(one["index"]).nlist or 1
    return 2 * one["dim"] * (one["targets"] * lists + LEARNED * lists**2) / one["build_cpu_s"]


def is_default(record: Found) -> bool:
    """Whether the index is what is taken where nothing is said."""
    filled = NeighborIndex.parse(record["kind"]).filled(record["targets"], record["k"])
    return str(filled) == record["index"]


def _builds(records: list[Found]) -> list[str]:
    lines = _head("targets", "index", "built in", "bytes a row", "a search, exact",
                  "with the index", "pays from")  # fmt: skip
    for record in records:
        if not is_default(record):
            continue
        saved = record["exact_cpu_s_an_anchor"] - record["search_cpu_s_an_anchor"]
        pays = f"{record['build_cpu_s'] / saved:,.0f} anchors" if saved > 0 else "never"
        lines.append(_row([
            record["data"], f"`{record['index']}`, k={record['k']}",
            f"{record['build_cpu_s']:.1f} s", f"{record['index_bytes_a_row']:.0f}",
            f"{record['exact_cpu_s_an_anchor'] * 1e3:.2f} ms",
            f"{record['search_cpu_s_an_anchor'] * 1e3:.2f} ms", pays,
        ]))  # fmt: skip
    return lines


NEGATIVES = {f"negative_probability_{name}(k=200, role=documents)": name
             for name in ("entropy", "kl", "gini", "effective", "coverage")}  # fmt: skip
HUBS = {f"{name}(k=10)": name.removeprefix("hubness_")
        for name in ("hubness_skewness", "hubness_gini", "hubness_robin_hood",
                     "antihub_share")}  # fmt: skip


def worst(record: Found, names: Iterable[str]) -> float:
    """The largest change of some measures, in standard errors."""
    return max(abs(record["measures"][name]["change_in_se"] or 0.0) for name in names)


def _changes(records: list[Found], use: str, names: dict[str, str]) -> list[str]:
    lines = _head("data", "index", "recall@10", "recall" if use == "hubs" else "recall@200",
                  "times as fast", "off (se)", *names.values())  # fmt: skip
    before = ""
    for record in (r for r in records if r["use"] == use):
        if record["data"] != before:
            before, first = record["data"], record["measures"]
            lines.append(_row([before, "exact", 1, 1, 1, "",
                               *(_pair(first[name]) for name in names)]))  # fmt: skip
        lines.append(_row([
            "", f"`{_short(record['index'])}`" + " *" * is_default(record),
            f"{record['recall_at_10']:.3f}", f"{record['recall']:.3f}", f"{record['ratio']:.1f}",
            f"{worst(record, names):.1f}",
            *(_signed(record["measures"][name]) for name in names),
        ]))  # fmt: skip
    return [*lines, "", "\\* what is taken where nothing is said. Exact: value ± standard error."]


def _short(index: str) -> str:
    how = NeighborIndex.parse(index)
    if how.kind == "ivf":
        return f"ivf(nlist={how.nlist}, nprobe={how.nprobe})"
    return f"hnsw(ef_search={how.ef_search})"


def _pair(measure: Found) -> str:
    return f"{measure['exact']:.4g} ± {measure['se']:.1g}"


def _signed(measure: Found) -> str:
    change = measure["approximate"] - measure["exact"]
    return "0" if abs(change) < 1e-12 else f"{change:+.2g}"


def _popularity(records: list[Found]) -> list[str]:
    names = ("hubs", "popular", "others", "start", "end", "hubs_hold", "wrong_in_hubs")
    lines = _head("data", "index", "recall", "hubs", "next 9%", "others", "start", "end",
                  "hubs hold", "of wrong ones")  # fmt: skip
    for record in records:
        if 0.15 < record["recall"] < 0.995:
            shares = [record["found_of"][name] for name in names]
            lines.append(_row([
                f"{record['data']}, {record['use']}", f"`{_short(record['index'])}`",
                f"{record['recall']:.3f}",
                *("" if share is None else f"{share:.3f}" for share in shares),
            ]))  # fmt: skip
    return lines


def direction(records: list[Found]) -> str:
    """Which way measures move where recall is below 0.9, and which neighbors that follows from."""
    lines = []
    uses = (("negatives", NEGATIVES), ("hubs", HUBS))
    for kind, (use, names) in itertools.product(("ivf", "hnsw"), uses):
        chosen = [r for r in records
                  if (r["kind"], r["use"]) == (kind, use) and r["recall"] < 0.995]  # fmt: skip
        if not chosen:
            continue
        less = sum(r["found_of"]["hubs"] < r["found_of"]["others"] for r in chosen)
        moves = "; ".join(f"{short} {_ways([r['measures'][name] for r in chosen])}"
                          for name, short in names.items())  # fmt: skip
        lines.append(
            f"* {kind.upper()}, {use}, {len(chosen)} searches of a recall below 0.995: "
            f"hubs are found less often than the others in {less} of them. {moves}."
        )
    return "\n".join(lines)


def _ways(measures: list[Found]) -> str:
    up = sum(m["approximate"] > m["exact"] for m in measures)
    down = sum(m["approximate"] < m["exact"] for m in measures)
    return f"up in {up}, down in {down}"


def kept(records: list[Found]) -> str:
    """How far the change with `kept=20` is from that without, in se, at a recall above 0.9."""
    apart = []
    for record in (r for r in records if r["use"] == "negatives" and r["recall"] > 0.9):
        for name in NEGATIVES:
            plain = record["measures"][name]
            drawn = record["measures"][name.replace("role=documents", "role=documents, kept=20")]
            if plain["se"] > 0:
                moves = [m["approximate"] - m["exact"] for m in (plain, drawn)]
                apart.append(abs(moves[0] - moves[1]) / plain["se"])
    return f"{sorted(apart)[len(apart) // 2]:.1f} (median), {max(apart):.1f} (largest)"


def needed(records: list[Found]) -> str:
    """The recall from which everything stays within one standard error, a use at a time."""
    lines = []
    for use, names in (("negatives", NEGATIVES), ("hubs", HUBS)):
        ordered = sorted((r for r in records if r["use"] == use), key=lambda r: r["recall"])
        off = [r["recall"] for r in ordered if worst(r, names) > 1]
        within = [r["recall"] for r in ordered if not off or r["recall"] > off[-1]]
        text = (
            f"{use}: all within one standard error from a recall of {within[0]:.3f} on"
            if within
            else f"{use}: never within one standard error"
        )
        if off:
            text += f"; the best search that was off had {off[-1]:.3f}"
        lines.append(text)
    return "In these searches, " + ". ".join(lines) + "."


def _index_bytes(records: list[Found], kind: str) -> float:
    one = next(r for r in records if r["kind"] == kind)
    return float(one["index_bytes_a_row"]) - 2 * int(one["dim"])


def _count(n: int) -> str:
    return f"{n // 10**9} billion" if n >= 10**9 else (
        f"{n // 10**6} million" if n >= 10**6 else f"{n:,}")  # fmt: skip


def _size(size: float) -> str:
    step = min(int(math.log(max(size, 1), 1000)), 4)
    return f"{size / 1000**step:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[step]}"


def _duration(seconds: float) -> str:
    for name, unit in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.2g} {name}" if seconds < 99 * unit else (
                f"{seconds / unit:.0f} {name}")  # fmt: skip
    return f"{seconds:.2g} s" if seconds < 99 else f"{seconds:.0f} s"


def _row(cells: Iterable[object]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _head(*names: str) -> list[str]:
    return [_row(names), _row("---" for _ in names)]
