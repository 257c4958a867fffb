"""Runs measured: effectiveness and negatives of ranked lists, without any embeddings.

The formulas are those of spaces; only where the lists come from is another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from anisotropy.errors import UsageError
from anisotropy.measures.base import Impossible, Measure, make
from anisotropy.measures.facts import check_grades, spare_depth
from anisotropy.measures.families.negative_share import estimate_share
from anisotropy.measures.families.negatives import estimate_negatives
from anisotropy.measures.families.ranking import Judged, judge_lists, mean_effectiveness
from anisotropy.measures.headline import headline_of
from anisotropy.measures.mining import Law, Mined, depth_for
from anisotropy.measures.registry import (
    GROUPS,
    default_measures,
    definition_of,
    expand,
    parse,
    parse_all,
)
from anisotropy.measures.run import Key, as_row, is_default
from anisotropy.measures.unevenness import PREFIX
from anisotropy.results import Curve, Measurement, Withheld
from anisotropy.statistics import BLOCKS, Estimate, blocks_of

if TYPE_CHECKING:
    from anisotropy.collection.runs import Run

T = TypeVar("T")
Judgments = Mapping[str, Mapping[str, int]]
_FAMILIES = ("effectiveness", "negatives")
#: Beside the defaults of spaces, whose lists end before it.
_DEEP = "R@1000"


class RankedFacts:
    """What the measures of one run share.

    Parameters
    ----------
    run
        The lists.
    label
        Name in tables.
    judgments
        Of what the run ranks for: query to document to grade, of a dual run the other way.
    items
        Ids of everything that could be listed.
    dual
        The run ranks queries for documents.
    common
        Depth that all runs of a comparison have; default: that of the run.
    seed
        Of blocks and simulated nulls.
    relevance_level
        Smallest grade of a positive.
    """

    def __init__(
        self,
        run: Run,
        label: str,
        judgments: Judgments,
        items: Sequence[str],
        *,
        dual: bool = False,
        common: int | None = None,
        seed: int = 0,
        relevance_level: int = 1,
    ) -> None:
        check_grades(judgments)
        self.run, self.label, self.judgments, self.items = run, label, judgments, items
        self.dual, self.seed, self.relevance_level = dual, seed, relevance_level
        self.common = run.depth if common is None else common
        self.anchors = [
            name
            for name, grades in judgments.items()
            if any(grade >= relevance_level for grade in grades.values())
        ]
        self._memory: dict[Any, Any] = {}

    @property
    def mining(self) -> RankedFacts:
        """Itself: the lists are all there is."""
        return self

    @property
    def side(self) -> str:
        """Where its effectiveness is measured."""
        return "dual_ranking" if self.dual else "ranking"

    @property
    def role(self) -> str:
        """What its lists hold, and so what is drawn as negatives."""
        return "queries" if self.dual else "documents"

    @property
    def decisive(self) -> int:
        """Depth of mining that decides: that of a space of as many items, or what is there."""
        return min(depth_for(len(self.items)), self.common)

    def ids(self, side: str) -> Sequence[str]:
        """Ids of the items, or of the judged anchors."""
        return self.items if side == self.role else self.anchors

    def once(self, key: Any, make: Callable[[], T]) -> T:
        """Result of `make`, computed at the first call with this key."""
        if key not in self._memory:
            self._memory[key] = make()
        found: T = self._memory[key]
        return found

    @cached_property
    def judged(self) -> Judged:
        """The lists against the judgments; a judged anchor without a list has an empty one.

        Raises
        ------
        Impossible
            If nothing judged reaches the relevance level.
        """
        self._need_anchors()
        lists = (self.run.ranking(name) for name in self.anchors)
        return judge_lists(lists, self.judgments, self.anchors, self.relevance_level)

    def grades(self, depth: int) -> np.ndarray:
        """Grade of what each anchor lists at each rank to `depth`, 0 where it lists nothing."""
        known = self.judged.grades[:, :depth]
        return np.pad(known, ((0, 0), (0, depth - known.shape[1])))

    def _need_anchors(self) -> None:
        if not self.anchors:
            raise Impossible(f"no judgment of grade {self.relevance_level} or above")

    @property
    def whole(self) -> bool:
        """Whether a list holds everything there is, so that nothing is below its end."""
        return self.run.depth >= len(self.items)

    def mined(self, k: int) -> Mined:
        """The lists to depth `k`, and somewhat below where they go on.

        Raises
        ------
        Impossible
            If the lists end before `k`, or nothing is judged.
        """
        self._need_anchors()
        if k > self.run.depth and not self.whole:
            raise Impossible(f"the run is {self.run.depth} deep, less than k={k}")
        depth = min(spare_depth(k), self.run.depth)
        return self.once(("mined", depth), lambda: self._lists(depth))

    def _lists(self, depth: int) -> Mined:
        place = {name: i for i, name in enumerate(self.items)}
        item = np.array([place[name] for name in self.run.doc_ids], dtype=np.int64)
        index = np.full((len(self.anchors), depth), -1, dtype=np.int64)
        score = np.full(index.shape, -np.inf)
        for row, name in enumerate(self.anchors):
            part = self.run.part(name)
            own = item[self.run.documents[part][:depth]]
            index[row, : len(own)] = own
            if self.run.scores is not None:
                score[row, : len(own)] = self.run.scores[part][:depth]
        there = index >= 0
        positive = (self.grades(depth) >= self.relevance_level) & there
        pairs, blocks = self._pairs(place)
        return Mined(index, score, positive, len(self.items), np.arange(len(index)),
                     self.anchors, len(index), pairs, blocks)  # fmt: skip

    def _pairs(self, place: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray]:
        """Judged pairs of each anchor by block of queries, and where the anchor is there."""
        block = blocks_of(self.ids("queries"), BLOCKS, self.seed)
        counts = np.zeros((len(self.anchors), int(block.max()) + 1), dtype=np.int32)
        for row, name in enumerate(self.anchors):
            own = self.positives(name)
            np.add.at(counts[row], block[[place[item] for item in own]] if self.dual
                      else block[[row] * len(own)], 1)  # fmt: skip
        return counts, counts > 0

    def positives(self, anchor: str) -> list[str]:
        """Items judged positive for an anchor."""
        judged = self.judgments.get(anchor, {})
        return [item for item, grade in judged.items() if grade >= self.relevance_level]

    def positives_by_query(self) -> np.ndarray:
        """Number of judged positives of each query, shape (queries,)."""
        if not self.dual:
            return np.array([len(self.positives(name)) for name in self.anchors])
        place = {name: i for i, name in enumerate(self.items)}
        counts = np.zeros(len(self.items), dtype=np.int64)
        for name in self.anchors:
            counts[[place[query] for query in self.positives(name)]] += 1
        return counts


@dataclass(eq=False)
class MeasuredRun:
    """What was found in one run; the attributes are those of a measured space."""

    facts: RankedFacts
    rows: list[Measurement] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    estimates: dict[Key, Estimate] = field(default_factory=dict)

    @cached_property
    def curves(self) -> list[Curve]:
        """Arrays behind the figures, computed when first asked for."""
        from anisotropy.measures.ranked_curves import ranked_curves

        return ranked_curves(self.facts)

    def row(self, side: str, measure: str, on: str) -> Measurement | None:
        """The measurement of a place; None where it was withheld or not asked for."""
        for row in self.rows:
            if (row.side, row.measure, row.on) == (side, measure, on):
                return row
        return None


def measure_run(facts: RankedFacts, measures: Sequence[str] | None = None) -> MeasuredRun:
    """Measure one run.

    Parameters
    ----------
    facts
        Lists and judgments.
    measures
        Text identities of effectiveness and of negatives; None for the default set, which of a
        run also has ``R@1000``.

    Returns
    -------
    MeasuredRun
        What is deeper than the lists is withheld with the reason.

    Raises
    ------
    UsageError
        If a measure needs embeddings, or one asked for by name cannot be measured here.
    """
    named = [] if measures is None else parse_all(m for m in measures if m not in GROUPS)
    for measure in named:
        if definition_of(measure).family not in _FAMILIES or not definition_of(measure).compute:
            raise UsageError(
                f"{measure}: needs embeddings; a run has ranking effectiveness and negatives"
            )
    found = MeasuredRun(facts)
    found.warnings += [*facts.run.warnings, *_missing(facts)]
    for measure in _wanted(facts, measures):
        _measure(found, measure, measure in named)
    return found


def _missing(facts: RankedFacts) -> list[str]:
    """Judged queries that the run lacks, and how many of its own are not judged."""
    what = "documents" if facts.dual else "queries"
    listed, judged = set(facts.run.query_ids), facts.anchors
    lacking = [name for name in judged if name not in listed]
    lines = []
    if lacking:
        lines.append(
            f"{facts.label}: {len(lacking)} of {len(judged)} judged {what} are not in the run "
            f"(example: {lacking[0]!r}); they count 0"
        )
    unjudged = len(listed - set(judged))
    if unjudged:
        lines.append(
            f"{facts.label}: {unjudged} of {len(listed)} {what} of the run have no judgment of "
            f"grade {facts.relevance_level} or above; left out"
        )
    return lines


def _wanted(facts: RankedFacts, measures: Sequence[str] | None) -> list[Measure]:
    """The measures asked for that a run has, negatives also at the depth that decides."""
    if is_default(measures):
        chosen = [*default_measures(), parse(_DEEP)]
    else:
        chosen = parse_all(expand(measures or ()))
    explicit = parse_all(m for m in measures or () if m not in GROUPS)
    result: list[Measure] = []
    for measure in chosen:
        definition = definition_of(measure)
        by_name = measure in explicit
        if definition.family not in _FAMILIES or not (by_name or _fits(facts, measure)):
            continue
        result.append(measure)
        if "k" in measure.values and not by_name and measure.whole("k") != facts.decisive:
            result.append(make(definition, {**measure.values, "k": facts.decisive}))
    order = {"effectiveness": 1, "negatives": 0}
    return sorted(dict.fromkeys(result), key=lambda m: order[definition_of(m).family])


def _fits(facts: RankedFacts, measure: Measure) -> bool:
    """Whether a run of this direction can have it: its role, and no center, which are vectors'."""
    return (
        measure.values.get("role", facts.role) == facts.role
        and measure.values.get("center", "none") == "none"
    )


def _measure(found: MeasuredRun, measure: Measure, by_name: bool) -> None:
    facts, definition = found.facts, definition_of(measure)
    ranking = definition.family == "effectiveness"
    side = facts.side if ranking else measure.word("role")
    try:
        estimate = (_effectiveness if ranking else _negatives)(facts, measure)
    except Impossible as reason:
        if by_name:
            raise UsageError(f"{measure}: cannot be measured here: {reason}") from None
        found.withheld.append(Withheld(side, measure.text, "recipe", str(reason)))
        return
    place = (side, "recipe")
    found.estimates[side, measure.text, "recipe"] = estimate
    found.warnings += [note for note in estimate.notes if note not in found.warnings]
    headline = headline_of(side, measure.text, "recipe") is not None
    if not ranking:
        headline &= measure.whole("k") == facts.decisive
    found.rows.append(as_row(facts.label, measure, place, estimate, headline))


def _effectiveness(facts: RankedFacts, measure: Measure) -> Estimate:
    cutoff, depth = measure.whole("cutoff"), facts.run.depth
    if cutoff > depth and not facts.whole:
        raise Impossible(f"the run is {depth} deep, less than the cutoff {cutoff}")
    return mean_effectiveness(facts.judged, measure, facts.side)


def _negatives(facts: RankedFacts, measure: Measure) -> Estimate:
    role = measure.word("role")
    if role != facts.role:
        raise Impossible(f"the run lists {facts.role}, not {role}")
    if measure.values.get("center", "none") != "none":
        raise Impossible("the centers of the sides are those of embeddings; a run has none")
    found = facts.mined(measure.whole("k"))
    if not measure.name.startswith(PREFIX):
        return estimate_share(facts, found, facts.positives_by_query(), measure, role)
    law = measure.word("law")
    if law == "softmax":
        raise Impossible("a run does not say the temperature; use law=softmax_standardized")
    if law != "uniform" and facts.run.scores is None:
        raise Impossible("the run has ranks and no scores")
    return estimate_negatives(facts, found, _law(measure), measure, facts.decisive)


def _law(measure: Measure) -> Law:
    return Law(measure.whole("k"), measure.word("law"), measure.word("anchors"))
