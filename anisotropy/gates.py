"""Gates: conditions on results that decide an exit code, for use in CI."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from anisotropy.errors import GateFailed, UsageError, one_of
from anisotropy.results import Difference, Measurement, Results, Similarity

_FORM = re.compile(r"\s*(\w+)\[(.+)\]\s*(<=|>=|<|>)\s*(\S+)\s*")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
#: What a gate may look at, and the form of its selector.
QUANTITIES = {
    "value": "LABEL.SIDE.ON.MEASURE",
    **dict.fromkeys(("delta", "ci_low", "ci_high", "p", "p_holm"), "[LABEL.]SIDE.ON.MEASURE"),
    "similarity": "[LABEL.]SIDE.MEASURE",
}
_EXAMPLE = "delta[ranking.recipe.nDCG@10] < -0.005"


@dataclass(frozen=True)
class Gate:
    """One condition, such as ``delta[ranking.recipe.nDCG@10] < -0.005``.

    Attributes
    ----------
    text
        As it was written.
    quantity
        One of :data:`QUANTITIES`.
    selector
        What stands in the brackets; ``a`` and ``b`` name the first and second space, or the
        mean over the checkpoints of a side. Of several comparisons with a baseline, the label
        of the other space says which is meant.
    relation, threshold
        ``<``, ``<=``, ``>`` or ``>=``, and a number.
    """

    text: str
    quantity: str
    selector: str
    relation: str
    threshold: float

    def fires(self, results: Results) -> bool:
        """Whether the condition is true.

        Raises
        ------
        UsageError
            If the value is missing, withheld, ambiguous or of a doubtful space.
        """
        value = self._value(results)
        if math.isnan(value):
            raise UsageError(f"gate {self.text!r}: the results have no such number for this row")
        return _COMPARE[self.relation](value, self.threshold)

    def _value(self, results: Results) -> float:
        self._refuse_doubt(results)
        if self.quantity == "value":
            rows = [r.value for r in results.rows if self._names_row(r, results)]
            return self._only([*rows, *self._means(results)])
        if self.quantity == "similarity":
            return self._only([r.value for r in results.likenesses if self._names_likeness(r)])
        deltas = [r for r in results.deltas if self._names_difference(r)]
        return self._only([float(getattr(row, self.quantity)) for row in deltas])

    def _refuse_doubt(self, results: Results) -> None:
        doubtful = [s["label"] for s in results.spaces if s["recipe"].get("doubts")]
        if doubtful:
            raise UsageError(
                f"gate {self.text!r}: the recipe of {', '.join(doubtful)} is in doubt; "
                "settle it with --recipe"
            )

    def _names_row(self, row: Measurement, results: Results) -> bool:
        names = {row.space}
        for short, label in zip(("a", "b"), results.labels, strict=False):
            if label == row.space and not _seeds(results):
                names.add(short)
        return any(self.selector == f"{n}.{row.side}.{row.on}.{row.measure}" for n in names)

    def _means(self, results: Results) -> list[float]:
        """Means over the checkpoints of a side, where it has several."""
        if not _seeds(results):
            return []
        return [
            value
            for row in results.deltas
            for names, value in ((("a", row.baseline), row.a), (("b", row.space), row.b))
            if any(self.selector == f"{n}.{row.side}.{row.on}.{row.measure}" for n in names)
        ]

    def _names_difference(self, row: Difference) -> bool:
        plain = f"{row.side}.{row.on}.{row.measure}"
        return self.selector in (plain, f"{row.space}.{plain}")

    def _names_likeness(self, row: Similarity) -> bool:
        plain = f"{row.side}.{row.measure}"
        return self.selector in (plain, f"{row.space}.{plain}")

    def _only(self, values: Sequence[float]) -> float:
        if len(values) != 1:
            found = "no row" if not values else f"{len(values)} rows"
            raise UsageError(
                f"gate {self.text!r}: {found} named {self.selector!r}; "
                f"needed: {QUANTITIES[self.quantity]} of a row in results.json"
            )
        return values[0]


def _seeds(results: Results) -> bool:
    """Whether a side has several checkpoints."""
    methods = [space["method"] for space in results.spaces if space.get("method")]
    return len(set(methods)) < len(methods)


def parse_gates(texts: Sequence[str]) -> list[Gate]:
    """Parse ``--fail-if`` conditions before any work is done.

    Raises
    ------
    UsageError
        If one is not of the form ``quantity[selector] < number``.
    """
    return [_parse(text) for text in texts]


def _parse(text: str) -> Gate:
    match = _FORM.fullmatch(text)
    if match is None:
        raise UsageError(f"gate {text!r}: not of the form {_EXAMPLE!r}")
    quantity, selector, relation, number = match.groups()
    if quantity not in QUANTITIES:
        raise UsageError(f"gate {text!r}: {one_of(quantity, QUANTITIES)}")
    try:
        threshold = float(number)
    except ValueError:
        raise UsageError(f"gate {text!r}: {number!r} is no number") from None
    if not math.isfinite(threshold):
        raise UsageError(f"gate {text!r}: got {number!r}; allowed: a finite number")
    return Gate(text, quantity, selector.strip(), relation, threshold)


def check_gates(results: Results, gates: Sequence[Gate]) -> int:
    """Return 0 when no gate fires.

    Raises
    ------
    GateFailed
        Naming every gate that fired.
    """
    fired = [gate.text for gate in gates if gate.fires(results)]
    if fired:
        raise GateFailed(f"gate failed: {'; '.join(fired)}")
    return 0
