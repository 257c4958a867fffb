"""What results mean, in plain sentences: rules over rows that are there, nothing is computed.

A rule says which way something moved only where its row was tested and is beyond its uncertainty;
it says *not shown* where a tested row is not, and *not tested* where there is no interval. Rows
outside the headline are exploratory and are called so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from anisotropy.measures.headline import DISTANCE, ISOTROPY, NEGATIVES, RANKING, UNIFORMITY
from anisotropy.plots.words import SIGNIFICANT, beyond, group_of
from anisotropy.report.numbers import interval, number
from anisotropy.results import Curve, Difference, Measurement, Results
from anisotropy.statistics import rounding

UP, DOWN, UNCLEAR, UNTESTED, ABSENT = "up", "down", "unclear", "untested", "absent"
GROUPS = (ISOTROPY, UNIFORMITY, DISTANCE, NEGATIVES, RANKING)
MEAN_COSINE, SPECTRUM = "mean_cosine", "participation_ratio"
SPREAD_OUT, ALIGNMENT = "uniformity(t=2)", "alignment(alpha=2)"
RELATIVE, PERCENTILE = "relative_positive_distance", "positive_percentile"
KL = "negative_probability_kl("
#: A list of more than this share of the pool decides nothing.
SATURATED = 0.05
_MOVED = (UP, DOWN)
_SIDES = ("queries", "documents")
_CHANGED = "the geometry changed"


@dataclass(frozen=True)
class Reading:
    """What the headline rows under one of the users' words say.

    Attributes
    ----------
    group
        The users' word.
    changed, unclear, untested
        Headline differences beyond their uncertainty; tested ones that are not; the others.
    meaning
        Sentences, the more important ones first.
    """

    group: str
    changed: tuple[Difference, ...]
    unclear: tuple[Difference, ...]
    untested: tuple[Difference, ...]
    meaning: tuple[str, ...]


class Found:
    """The rows of one comparison, by place.

    Parameters
    ----------
    pair
        View of two labels.
    mining
        Curves of that name, of the spaces of both sides.
    """

    def __init__(self, pair: Results, mining: Sequence[Curve] = ()) -> None:
        self.pair, self.mining = pair, mining
        self.a, self.b = pair.labels
        self.deltas = {(d.side, d.measure, d.on): d for d in pair.deltas}
        self.values = {(r.space, r.side, r.measure, r.on): r for r in pair.rows}

    def delta(self, side: str, measure: str, on: str = "unit") -> Difference | None:
        """The difference of a place, if there is one."""
        return self.deltas.get((side, measure, on))

    def state(self, side: str, measure: str, on: str = "unit") -> str:
        """Which way a place moved."""
        return state(self.delta(side, measure, on))

    def negatives(self, side: str) -> Difference | None:
        """The headline row on negative sampling of a side, at whatever depth."""
        rows = (d for d in self.pair.deltas if d.headline and d.measure.startswith(KL))
        return next((d for d in rows if d.side == side), None)


def state(row: Difference | None) -> str:
    """Which way a difference goes: ``up``, ``down``, or why that is not said."""
    if row is None:
        return ABSENT
    clear = beyond(row)
    if clear is None:
        return UNTESTED
    if not clear:
        return UNCLEAR
    return UP if row.delta > 0 else DOWN


def read_pair(pair: Results, mining: Sequence[Curve] = ()) -> list[Reading]:
    """One reading a group that has headline differences, in the users' order.

    Parameters
    ----------
    pair
        View of one comparison, with two labels.
    mining
        Curves ``mining`` of its spaces, which say how deep the mined lists are.
    """
    found = Found(pair, mining)
    readings = []
    for group in GROUPS:
        rows = [d for d in pair.deltas if d.headline and group_of(d) == group]
        if rows:
            changed, unclear, untested = (
                tuple(d for d in rows if beyond(d) is x) for x in (True, False, None)
            )
            meaning = tuple(filter(None, _RULES[group](found))) or ("Not tested.",)
            readings.append(Reading(group, changed, unclear, untested, meaning))
    return readings


def overall(pair: Results) -> str:
    """Whether the geometry moved, and whether ranking did; empty without a headline row."""
    rows = [d for d in pair.deltas if d.headline]
    if not rows:
        return ""
    states = [state(row) for row in rows]
    if UNCLEAR in states and not set(states) & set(_MOVED):
        return f"Of what was tested, no difference between {' and '.join(pair.labels)} is shown."
    ranking = [state(row) for row in rows if group_of(row) == RANKING]
    geometry = _geometry([state(row) for row in rows if group_of(row) != RANKING])
    text = _sentence("; ".join([geometry, *(_ranked(pair) or ["ranking was not compared"])]))
    both = geometry == _CHANGED and bool(set(ranking) & set(_MOVED))
    return f"{text} Whether the one causes the other is not shown." if both else text


def _geometry(states: Sequence[str]) -> str:
    if not states:
        return "the geometry was not compared"
    if set(states) & set(_MOVED):
        return _CHANGED
    return (
        "no change of the geometry is shown"
        if UNCLEAR in states
        else "the geometry was not tested"
    )


#: What ranking did: better, worse, both, not shown, not tested.
_RANKED = (
    "the ranking of {0} is better in {1}",
    "the ranking of {0} is worse in {1}",
    "measures of the ranking of {0} disagree",
    "no change in the ranking of {0} is shown",
    "the ranking of {0} was not tested",
)
_RANKINGS = {"ranking": "documents", "dual_ranking": "queries for documents"}


def _ranked(pair: Results) -> list[str]:
    """A phrase on the ranking of documents and on that of queries, or one where they agree."""
    rows = [d for d in pair.deltas if d.headline and group_of(d) == RANKING]
    found: dict[int, list[str]] = {}
    for side, words in _RANKINGS.items():
        states = {state(row) for row in rows if row.side == side}
        if states:
            found.setdefault(_place_of(states), []).append(words)
    return [
        _RANKED[place].format(" and of ".join(sides), pair.labels[1])
        for place, sides in found.items()
    ]


def _place_of(states: set[str]) -> int:
    if {UP, DOWN} <= states:
        return 2
    return next(i for i, x in ((0, UP), (1, DOWN), (3, UNCLEAR), (4, UNTESTED)) if x in states)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


# Isotropy: the common direction (cone) and the spectrum around it are two findings.

_CONE = {
    DOWN: "the common direction of the {0} is weaker in {1}",
    UP: "the common direction of the {0} is stronger in {1}",
    UNCLEAR: "that the common direction of the {0} changed is not shown",
    UNTESTED: "the common direction of the {0} was not tested",
}
_SPECTRUM = {
    UP: "the variance around it spreads over more directions",
    DOWN: "the variance around it sits in fewer directions",
    UNCLEAR: "that the spread around it changed is not shown",
    UNTESTED: "the spread around it was not tested",
}
_CONE_AND_SPECTRUM = {
    (DOWN, DOWN): "less of a cone, more collapsed",
    (UP, UP): "more of a cone, less collapsed",
    (DOWN, UNCLEAR): "the cone changed, the shape not visibly",
    (UP, UNCLEAR): "the cone changed, the shape not visibly",
}


def isotropy(found: Found) -> list[str]:
    """The common direction, and the centered spectrum, of queries; then of documents."""
    places = [(found.state(x, MEAN_COSINE), found.state(x, SPECTRUM)) for x in _SIDES]
    documents = set(places[1]) - {ABSENT}
    if documents == {UNTESTED}:
        return [_isotropy_of(found, "queries"), _documents_along(found)]
    if places[0] == places[1] and UNTESTED not in documents:
        return [_isotropy_of(found, "queries", "queries and documents")]
    return [_isotropy_of(found, side) for side in _SIDES]


def _isotropy_of(found: Found, side: str, who: str = "") -> str:
    cone, spectrum = found.state(side, MEAN_COSINE), found.state(side, SPECTRUM)
    first = _CONE.get(cone, "").format(who or side, found.b)
    second = _SPECTRUM.get(spectrum, "")
    if second and spectrum in _MOVED and not who:
        second += _of_all(found, side)
    if cone == spectrum == UNCLEAR:
        return (
            f"No change of the common direction of the {who or side}, or of the spread around it, "
            "is shown."
        )
    if not first or not second:
        return _sentence(first or second.replace("around it", f"of the {who or side}"))
    apart = (cone, spectrum) in ((UP, UP), (DOWN, DOWN))
    between = ", but " if apart else "; " if UNCLEAR in (cone, spectrum) else ", and "
    note = _CONE_AND_SPECTRUM.get((cone, spectrum), "")
    return _sentence(f"{first}{between}{second}{f': {note}' if note else ''}")


def _of_all(found: Found, side: str) -> str:
    """The numbers of directions, of how many there are: a change may be clear and small."""
    rows = [found.values.get((label, side, SPECTRUM, "unit")) for label in (found.a, found.b)]
    delta = found.delta(side, SPECTRUM)
    whole = rows[1].null_mean if rows[1] is not None else math.nan
    of = "" if math.isnan(whole) else f" of {number(whole, 3)}"
    return f" ({number(delta.b, 3)}{of}, from {number(delta.a, 3)})" if delta else ""


def _documents_along(found: Found) -> str:
    """Whether the documents, which are a whole collection, moved as the queries did."""
    rows = [found.delta("documents", name) for name in (MEAN_COSINE, SPECTRUM)]
    pairs = [(row, found.delta("queries", row.measure)) for row in rows if row is not None]
    along = [
        (doc.delta > 0) == (query.delta > 0)
        for doc, query in pairs
        if query is not None and state(query) in _MOVED and abs(doc.delta) > rounding(doc.a, doc.b)
    ]
    if not along:
        return ""
    way = "the same way" if all(along) else "differently" if any(along) else "the other way"
    return f"The documents, a whole collection and so not tested, moved {way}."


# Uniformity follows the cone, and alignment follows both.

_SPREAD = {
    DOWN: "the {0} are more spread out on the sphere in {1}",
    UP: "the {0} are more clumped on the sphere in {1}",
    UNCLEAR: "that the {0} spread out or clumped is not shown",
    UNTESTED: "whether the {0} spread out was not tested",
}
_ALIGNED = {
    (DOWN, DOWN): "relevant pairs are closer although the space spread out",
    (UP, UP): "relevant pairs are farther apart although the space clumped",
    (UP, DOWN): "relevant pairs are farther apart, as pairs are wherever points spread out",
    (DOWN, UP): "relevant pairs are closer, as all pairs are in a cone",
}
_ALIGNED_ALONE = {
    DOWN: "relevant pairs are closer in absolute terms",
    UP: "relevant pairs are farther apart in absolute terms",
    UNCLEAR: "that relevant pairs moved closer or apart is not shown",
    UNTESTED: "whether relevant pairs moved was not tested",
}


_STRENGTH = {DOWN: "weaker", UP: "stronger"}


def uniformity(found: Found) -> list[str]:
    """Whether the sides spread out, what the cone has to do with it, and the relevant pairs."""
    spread = found.state("queries", SPREAD_OUT)
    aligned = found.state("positives", ALIGNMENT)
    second = _ALIGNED.get((aligned, spread)) or _ALIGNED_ALONE.get(aligned, "")
    return [*_spread(found), _sentence(second)]


def _spread(found: Found) -> list[str]:
    """A sentence for the queries, and for the documents where those are tested."""
    queries, documents = (found.state(side, SPREAD_OUT) for side in _SIDES)
    same = queries == documents and queries in (*_MOVED, UNCLEAR)
    sides = [("queries", "queries and documents" if same else "queries")]
    if not same and documents in (*_MOVED, UNCLEAR):
        sides.append(("documents", "documents"))
    return [_spread_of(found, side, who) for side, who in sides]


def _spread_of(found: Found, side: str, who: str) -> str:
    spread = found.state(side, SPREAD_OUT)
    text = _SPREAD.get(spread, "").format(who, found.b)
    return _sentence(text + (_with_the_cone(found, side, spread) if spread in _MOVED else ""))


def _with_the_cone(found: Found, side: str, spread: str) -> str:
    cone = found.state(side, MEAN_COSINE)
    if cone == UNCLEAR:
        return ", though no change of the common direction is shown"
    if cone != spread:
        return f", though the common direction is {_STRENGTH[cone]}" if cone in _MOVED else ""
    row = found.delta(side, SPREAD_OUT, "center>unit")
    rest = ""
    if row is not None:
        tested = "" if beyond(row) is not None else ", not tested"
        rest = f" ({side} without it: {number(row.b)}, from {number(row.a)}{tested})"
    return f", as a {_STRENGTH[cone]} common direction alone makes them{rest}"


# Queries moved closer only where the relative forms say so.

_CLOSER = {DOWN: "closer", UP: "farther"}
_NEARER = {DOWN: "fewer", UP: "more"}


def distance(found: Found) -> list[str]:
    """Whether queries and relevant documents are closer, and the centers of the sides."""
    relative = found.state("positives", RELATIVE)
    rank = found.state("positives", PERCENTILE)
    return [_sentence(_closer(found, relative, rank)), _sentence(_centers(found))]


def _closer(found: Found, relative: str, rank: str) -> str:
    near, few = _CLOSER.get(relative), _NEARER.get(rank)
    against = f"measured against random pairs, relevant documents are {near} in {found.b}"
    ranked = f"{few} documents lie nearer to a query than its relevant one"
    if near and few:
        if relative == rank:
            return f"{against}, and {ranked}"
        return f"{against}, but {ranked}: that queries moved closer is not shown"
    if near:
        return against + ("; their rank is not shown to change" if rank == UNCLEAR else "")
    if few:
        return f"in {found.b} {ranked}" + (
            "; the distance against random pairs is not shown to change"
            if relative == UNCLEAR else ""
        )  # fmt: skip
    return _only_absolute(found) if UNCLEAR in (relative, rank) else _not_tested(relative, rank)


def _not_tested(relative: str, rank: str) -> str:
    return "whether queries moved closer was not tested" if UNTESTED in (relative, rank) else ""


def _only_absolute(found: Found) -> str:
    states = [found.state("positives", name) for name in (ALIGNMENT, "positive_distance")]
    moved = next((one for one in states if one in _MOVED), None)
    if moved is None:
        return "that queries moved closer to their documents, or away, is not shown"
    return (
        f"only absolute distances {'fell' if moved == DOWN else 'grew'}, as any common direction "
        "makes them: that queries moved closer, or away, is not shown"
    )


def _centers(found: Found) -> str:
    gap, relative = found.state("cross", "gap"), found.state("cross", "relative_gap")
    if gap in (ABSENT, UNTESTED):
        return ""
    if gap == UNCLEAR:
        return "that the centers of the two sides moved is not shown"
    text = f"the centers of the two sides are {_apart(gap)}"
    if relative == gap:
        return f"{text}, also over the spread within the sides (exploratory)"
    if relative in _MOVED:
        return f"{text}, but over the spread within the sides {_apart(relative)} (exploratory)"
    if relative == UNCLEAR:
        return f"{text}; over the spread within the sides that is not shown"
    return text


def _apart(moved: str) -> str:
    return "closer" if moved == DOWN else "farther apart"


# Negative sampling: a law over a pool, which may be too small, and which has a null.

_EVEN = {DOWN: "more evenly", UP: "less evenly"}


def negatives(found: Found) -> list[str]:
    """How evenly items are drawn, against chance, and whether an offset explains it."""
    rows = [row for side in _SIDES if (row := found.negatives(side))]
    full = [row for row in rows if saturation(found.mining, row.side, row.measure)]
    open_ = [row for row in rows if row not in full]
    sentences = [_saturated(found.mining, row.side, row.measure) for row in full]
    sentences.append(_sentence("; ".join(_drawn(found, open_))))
    sentences.append(_against_chance(found, open_))
    moved = [row for row in open_ if state(row) in _MOVED]
    return [*sentences, _offset(found, moved)]


def _drawn(found: Found, rows: Sequence[Difference]) -> list[str]:
    """Sides by what they did, a phrase for each."""
    sides: dict[str, list[str]] = {}
    for row in rows:
        sides.setdefault(state(row), []).append(row.side)
    phrases = []
    for moved, names in sides.items():
        who = " and ".join(names)
        if moved in _MOVED:
            phrases.append(f"{who} are drawn {_EVEN[moved]} as negatives in {found.b}")
        elif moved == UNCLEAR:
            phrases.append(f"that {who} are drawn more or less evenly as negatives is not shown")
        else:
            phrases.append(f"how evenly {who} are drawn was not tested")
    return phrases


def _against_chance(found: Found, rows: Sequence[Difference]) -> str:
    known = [
        [found.values.get((label, row.side, row.measure, row.on)) for row in rows]
        for label in (found.a, found.b)
    ]
    over = [[against_null(row) for row in own if row is not None] for own in known]
    if any(None in own or not own for own in over):
        return ""
    uneven = [UP in own for own in over]
    if all(uneven):
        return "Both spaces are more uneven than draws at random."
    if not any(uneven):
        return "That either space is more uneven than draws at random is not shown."
    which = found.a if uneven[0] else found.b
    return f"Only {which} is shown to be more uneven than draws at random."


def _offset(found: Found, rows: Sequence[Difference]) -> str:
    """What is left of the differences where each side is centered."""
    kept: dict[str, list[str]] = {}
    tested = True
    for row in rows:
        own = found.delta(row.side, f"{row.measure[:-1]}, center=sides)", row.on)
        if own is None or abs(own.delta) <= rounding(own.a, own.b):
            continue
        tested = tested and state(own) != UNTESTED
        same = "same" if (own.delta > 0) == (row.delta > 0) else "other"
        kept.setdefault(UNCLEAR if state(own) == UNCLEAR else same, []).append(row.side)
    note = "exploratory" if tested else "exploratory, in part not tested"
    parts = [_OFFSET[way].format(" and ".join(sides)) for way, sides in kept.items()]
    return f"With each side centered {'; '.join(parts)} ({note})." if parts else ""


_OFFSET = {
    "same": "{0} still go the same way, so an offset between the sides is not all of it",
    "other": "{0} go the other way, so an offset between the sides has a part in it",
    UNCLEAR: "no difference is shown for {0}, so an offset between the sides may be what makes it",
}


def depth_of(measure: str) -> int | None:
    """The depth k in a text identity, if it has one."""
    match = re.search(r"\bk=(\d+)", measure)
    return int(match[1]) if match else None


def saturation(mining: Iterable[Curve], side: str, measure: str) -> tuple[int, float] | None:
    """Items in the pool and share of it in a list, where the lists are too long for it."""
    k = depth_of(measure)
    for curve in mining:
        if curve.side != side:
            continue
        for row, depth in enumerate(curve.columns["k"]):
            share = float(curve.columns["k_share"][row])
            if int(depth) == k and share > SATURATED:
                return int(curve.columns["items"][row]), share
    return None


def _saturated(mining: Iterable[Curve], side: str, measure: str) -> str:
    found = saturation(mining, side, measure)
    if found is None:
        return ""
    items, share = found
    return (
        f"Lists of {depth_of(measure)} hold {share:.1%} of the pool of {items:,} {side} and "
        "saturate it: this decides nothing."
    )


# Ranking, and what geometry has to do with it: never more than an association.


def ranking(found: Found) -> list[str]:
    """Whether ranking moved, both ways; and the associations over the queries."""
    return [_sentence("; ".join(_ranked(found.pair))), _associated(found)]


def _associated(found: Found) -> str:
    link = next((x for x in found.pair.links if x.geometry == RELATIVE), None)
    if link is None or math.isnan(link.ci_low) or math.isnan(link.ci_high):
        return ""
    value = f"Spearman {number(link.correlation, 2)} {interval(link.ci_low, link.ci_high, 2)}"
    if link.ci_low <= 0 <= link.ci_high:
        return (
            "Query by query, no association of gains in nDCG@10 with relevant documents coming "
            f"closer is shown ({value})."
        )
    way = "closer" if link.correlation < 0 else "away"
    return (
        f"Query by query, gains in nDCG@10 go with relevant documents moving {way} ({value}): an "
        "association, not a cause."
    )


_RULES = {
    ISOTROPY: isotropy,
    UNIFORMITY: uniformity,
    DISTANCE: distance,
    NEGATIVES: negatives,
    RANKING: ranking,
}


# Spaces that nothing is compared with: what stands out against chance.


def against_null(row: Measurement) -> str | None:
    """Above (``up``) or below the value of chance, not shown, or None where there is no null.

    By the p of the null where there is one, else where the interval leaves its mean out.
    """
    if math.isnan(row.null_mean):
        return None
    if not math.isnan(row.null_p):
        clear = row.null_p < SIGNIFICANT
    elif math.isnan(row.ci_low) or math.isnan(row.ci_high):
        return None
    else:
        clear = not row.ci_low <= row.null_mean <= row.ci_high
    if not clear:
        return UNCLEAR
    return UP if row.value > row.null_mean else DOWN


#: What it means to be above, below, or not apart from chance.
_CHANCE: Mapping[str, tuple[str, str, str]] = {
    MEAN_COSINE: (
        "{0} share a common direction",
        "{0} point apart more than directions at random",
        "that {0} share a common direction is not shown",
    ),
    SPECTRUM: (
        "the variance of {0} spreads over more directions than an isotropic one would",
        "the variance of {0} sits in fewer directions than there are",
        "that the variance of {0} is uneven over the directions is not shown",
    ),
    SPREAD_OUT: (
        "{0} are more clumped than points spread evenly on the sphere",
        "{0} are more spread out than points at random",
        "that {0} are more clumped than points spread evenly is not shown",
    ),
    ALIGNMENT: (
        "relevant pairs are farther apart than random ones",
        "relevant pairs are closer than random ones",
        "that relevant pairs are closer than random ones is not shown",
    ),
    "gap": (
        "the centers of queries and documents are apart",
        "the centers of queries and documents are closer than by chance",
        "that the centers of queries and documents are apart is not shown",
    ),
    RELATIVE: (
        "relevant pairs are farther apart than random ones",
        "relevant pairs are closer than random ones",
        "that relevant pairs are closer than random ones is not shown",
    ),
    PERCENTILE: (
        "relevant documents rank behind random ones",
        "relevant documents rank before random ones",
        "that relevant documents rank before random ones is not shown",
    ),
    KL: (
        "{0} are drawn as negatives less evenly than at random",
        "{0} are drawn as negatives more evenly than at random",
        "that {0} are drawn less evenly than at random is not shown",
    ),
}


def read_chance(
    places: Sequence[Sequence[Measurement]], mining: Sequence[Curve] = ()
) -> list[str]:
    """What one measure says against chance, in one space or many.

    Parameters
    ----------
    places
        Measurements of the measure, a list a side, in each a row a space.
    mining
        Curves ``mining`` of these spaces.

    Returns
    -------
    list of str
        Sentences; one for all sides that say the same. None where there is no null or no rule.
    """
    said: dict[tuple[tuple[str, tuple[str, ...]], ...], list[str]] = {}
    sentences = []
    for rows in places:
        if text := _saturated(mining, rows[0].side, rows[0].measure):
            sentences.append(text)
            continue
        spaces: dict[str, tuple[str, ...]] = {}
        for row in rows:
            if (found := against_null(row)) is not None:
                spaces[found] = (*spaces.get(found, ()), row.space)
        if spaces:
            said.setdefault(tuple(spaces.items()), []).append(rows[0].side)
    measure = places[0][0].measure
    words = _CHANCE.get(KL if measure.startswith(KL) else measure)
    many = len(places[0]) > 1
    texts = [_by_chance(words, spaces, sides, many) for spaces, sides in said.items() if words]
    return [*sentences, *texts]


def _by_chance(
    words: tuple[str, str, str],
    spaces: Sequence[tuple[str, Sequence[str]]],
    sides: Sequence[str],
    many: bool,
) -> str:
    who = " and ".join(sides)
    texts = {x: text.format(who) for x, text in zip((UP, DOWN, UNCLEAR), words, strict=True)}
    if len(spaces) == 1:
        return _sentence(texts[spaces[0][0]] + (" in every space" if many else ""))
    return _sentence("; ".join(f"in {_names(labels)} {texts[one]}" for one, labels in spaces))


def _names(labels: Sequence[str]) -> str:
    if len(labels) > 3:
        return f"{len(labels)} spaces"
    return " and ".join([", ".join(labels[:-1]), labels[-1]] if len(labels) > 1 else labels)
