"""Methods of the page: formula and source of what is shown, with links where there are any."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from anisotropy.plots.words import definition
from anisotropy.report.cells import Table, cell, column, row, table
from anisotropy.results import Results

Segment = tuple[str, str]
_LINK = re.compile(
    r"arXiv (?P<arxiv>\d{4}\.\d{4,5})|doi:(?P<doi>10\.\d{4,9}/[\w.;()/:-]*\w)"
    r"|(?P<url>https://[\w./%#?=&~+-]*[\w/])"
)


@dataclass(frozen=True)
class Method:
    """A statistic of the page.

    Attributes
    ----------
    name, what, source
        What it is called, what it does here, and where it is from.
    used
        Whether results used it.
    """

    name: str
    what: str
    source: str
    used: Callable[[Results], bool]


def _method(name: str) -> Callable[[Results], bool]:
    return lambda results: (
        name
        in {found.method for found in results.rows}
        | {found.method for found in results.deltas}
        | {found.method for found in results.links}
    )


def _test(name: str) -> Callable[[Results], bool]:
    return lambda results: any(found.test == name for found in results.deltas)


def _map(name: str) -> Callable[[Results], bool]:
    return lambda results: any(
        name in set(curve.columns["method"]) for curve in results.find_curves("coordinates")
    )


_METHODS = (
    Method(
        "closed form",
        "intervals of a mean, from the spread of its independent values",
        "textbook",
        _method("closed_form"),
    ),
    Method(
        "jackknife",
        "intervals from values with units, or blocks of units, left out",
        "Efron and Stein, Ann. Statist. 9:586–596, 1981 (doi:10.1214/aos/1176345462)",
        _method("jackknife"),
    ),
    Method(
        "subsampling",
        "values and intervals at a common number of rows, drawn without replacement",
        "Politis and Romano, Ann. Statist. 22:2031–2050, 1994 (doi:10.1214/aos/1176325770)",
        _method("subsample"),
    ),
    Method(
        "bootstrap",
        "intervals of correlations over the queries, from the bootstrap standard "
        "error on Fisher’s z scale",
        "Efron, Ann. Statist. 7:1–26, 1979 (doi:10.1214/aos/1176344552)",
        _method("bootstrap"),
    ),
    Method(
        "randomization test",
        "p of differences of means over queries: signs of the per-query changes flipped",
        "Smucker, Allan and Carterette, CIKM 2007 (doi:10.1145/1321440.1321528)",
        _test("randomization"),
    ),
    Method(
        "Student’s t",
        "p of other differences, on paired influence values; over seeds with "
        "Satterthwaite’s degrees of freedom",
        "Student, Biometrika 6:1–25, 1908 (doi:10.1093/biomet/6.1.1); Satterthwaite, "
        "Biometrics Bulletin 2:110–114, 1946 (doi:10.2307/3002019)",
        _test("t"),
    ),
    Method(
        "Holm’s correction",
        "p over the fixed list of headline rows, geometry and ranking apart, all "
        "comparisons together",
        "Holm, Scand. J. Statist. 6:65–70, 1979",
        lambda results: any(found.p_holm == found.p_holm for found in results.deltas),
    ),
    Method(
        "effect size",
        "difference over the spread of one unit’s paired difference; over seeds "
        "over the pooled spread between them",
        "Cohen, Statistical Power Analysis for the Behavioral Sciences, 2nd ed., 1988",
        lambda results: any(found.effect_size == found.effect_size for found in results.deltas),
    ),
    Method(
        "Spearman’s correlation",
        "associations of changes over the queries",
        "Spearman, Am. J. Psychol. 15:72–101, 1904 (doi:10.2307/1412159)",
        lambda results: bool(results.links),
    ),
    Method(
        "intersection-union test",
        "a claim is supported where every measure of it is",
        "Berger, Technometrics 24:295–300, 1982",
        lambda results: any("parts" in claim for claim in results.claims),
    ),
    Method(
        "t-SNE",
        "map; shows neighborhoods, not sizes, distances or uniformity",
        "van der Maaten and Hinton, JMLR 9:2579–2605, 2008 "
        "(https://www.jmlr.org/papers/v9/vandermaaten08a.html); how to misread it: "
        "https://distill.pub/2016/misread-tsne/",
        _map("tsne"),
    ),
    Method(
        "UMAP",
        "map; shows neighborhoods, not sizes, distances or uniformity",
        "McInnes, Healy and Melville 2018 (arXiv 1802.03426)",
        _map("umap"),
    ),
    Method(
        "PCA",
        "map: the two directions of most variance",
        "Pearson, Phil. Mag. 2:559–572, 1901 (doi:10.1080/14786440109462720)",
        _map("pca"),
    ),
)


def linked(text: str) -> list[Segment]:
    """Pieces of a text, each with the address it links to, or none.

    Examples
    --------
    >>> linked("Fang 2024 (arXiv 2403.00642)")[1]
    ('arXiv 2403.00642', 'https://arxiv.org/abs/2403.00642')
    """
    pieces: list[Segment] = []
    place = 0
    for match in _LINK.finditer(text):
        pieces += [(text[place : match.start()], ""), (match[0], _address(match))]
        place = match.end()
    return [piece for piece in [*pieces, (text[place:], "")] if piece[0]]


def _address(match: re.Match[str]) -> str:
    if match["arxiv"]:
        return f"https://arxiv.org/abs/{match['arxiv']}"
    return f"https://doi.org/{match['doi']}" if match["doi"] else match["url"]


def _source(text: str) -> dict[str, object]:
    return {**cell(text, kind="wrap"), "linked": linked(text)}


def reference_table(results: Results) -> Table:
    """Measure, formula and source, once a measure that is shown."""
    rows = {}
    names = [found.measure for found in results.rows]
    for measure in [*names, *(found.measure for found in results.likenesses)]:
        known = definition(measure)
        if known is not None and known.name not in rows:
            rows[known.name] = row(
                cell(known.name, kind="code"), cell(known.formula, kind="wrap"),
                _source(known.reference),
            )  # fmt: skip
    head = [column("measure"), column("formula"), column("source")]
    return table("references", head, rows.values())


def statistics_table(results: Results) -> Table:
    """The statistics that these results used, and the maps."""
    head = [column("statistic"), column("what it does here"), column("source")]
    rows = [
        row(cell(one.name), cell(one.what, kind="wrap"), _source(one.source))
        for one in _METHODS
        if one.used(results)
    ]
    return table("statistics", head, rows)
