"""What a measure is: a definition, and a frozen value with a text identity."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from anisotropy.errors import UsageError, one_of, shown

if TYPE_CHECKING:
    from anisotropy.measures.facts import Facts
    from anisotropy.results import Similarity
    from anisotropy.statistics import Estimate

Value = int | float | bool | str
Place = tuple[str, str]


class Impossible(Exception):
    """A measurement cannot be made here; the message is the reason that is reported."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a measure.

    Attributes
    ----------
    name, default
        The type of the default is the type of the parameter.
    always
        Whether the text identity shows it even at its default.
    choices
        Allowed values, if only these.
    low, high
        Smallest and largest allowed number.
    meaning
        One line for the definition pages.
    """

    name: str
    default: Value
    always: bool = False
    choices: tuple[Value, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    meaning: str = ""

    @property
    def allowed(self) -> str:
        """What values it takes, in words."""
        if self.choices:
            return ", ".join(_plain(choice) for choice in self.choices)
        kind = _KINDS[type(self.default)]
        if math.isfinite(self.high):
            return f"{kind} from {self.low:g} to {self.high:g}"
        return kind if math.isinf(self.low) else f"{kind}, {self.low:g} and above"

    def read(self, text: str) -> Value:
        """Value of a text such as ``2``, ``False`` or ``documents``.

        Raises
        ------
        UsageError
            If the text is no value of this parameter.
        """
        try:
            value = _READERS[type(self.default)](text)
        except (ValueError, KeyError):
            kind = _KINDS[type(self.default)]
            raise UsageError(f"{self.name}: got {shown(text)}; allowed: {kind}") from None
        return self.check(value)

    def check(self, value: Any) -> Value:
        """Return `value` in the parameter's type, or raise UsageError."""
        kind = type(self.default)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise UsageError(f"{self.name}: got {shown(value)}; allowed: {_KINDS[kind]}")
        if self.choices and value not in self.choices:
            raise UsageError(f"{self.name}: {one_of(value, self.choices)}")
        if kind in (int, float) and not (self.low <= float(value) < math.inf):
            raise UsageError(f"{self.name}: got {value}; allowed: {self.low:g} and above")
        if kind in (int, float) and float(value) > self.high:
            raise UsageError(f"{self.name}: got {value}; allowed: up to {self.high:g}")
        checked: Value = value
        return checked


_READERS: Mapping[type, Callable[[str], Value]] = {
    int: int,
    float: float,
    str: str,
    bool: {"True": True, "true": True, "False": False, "false": False}.__getitem__,
}
_KINDS = {int: "a whole number", float: "a number", str: "a word", bool: "True or False"}


@dataclass(frozen=True)
class Definition:
    """Everything there is to know about a measure.

    Attributes
    ----------
    name, family
        Name without parameters, and the family it belongs to.
    formula
        Plain text; u are unit rows, m their mean, S their covariance.
    low, high
        Range of the value (of the population; an estimate may leave it slightly).
    up
        What a larger value means.
    better, word
        Direction that carries the `word` ("more isotropic", "closer", "more even", "better"):
        ``up``, ``down``, or None where neither does.
    sees, blind
        What it responds to, and what leaves it unchanged.
    reference, note
        Source of the formula; finite-sample behavior and traps.
    needs
        Of ``moments``, ``pairs``, ``neighbors``, ``positives``.
    places
        (side, on) pairs where it is measured.
    on_request
        Those of the places that the default set leaves out.
    parameters
        In the order in which they are printed.
    compute
        Function of the shared facts, the measure, side and on.
    between
        For a similarity of two spaces: function of both facts, the measure and the side.
    counted
        Neither: it is counted from files beside a space, or without one.
    dimension_bound
        Values of different dimensions must not be compared.
    size_bound
        Values of different numbers of rows must not be compared.
    score_bound
        In units of the recipe's score: values of different similarities or temperatures must
        not be compared.
    where
        Of a measure and a place: whether it is measured there; None: at every place.
    default
        Whether it belongs to the default set.
    defaults
        Parameters of each of its members of the default set.
    unit, population
        What is resampled and who is meant, in words.
    null
        What the value under the null that stands beside it means; empty where there is none.
    """

    name: str
    family: str
    formula: str
    low: float
    high: float
    up: str
    sees: str
    blind: str
    reference: str
    needs: tuple[str, ...]
    places: tuple[Place, ...]
    better: Literal["up", "down"] | None = None
    word: str = ""
    note: str = ""
    on_request: tuple[Place, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    compute: Callable[[Facts, Measure, str, str], Estimate] | None = None
    between: Callable[[Facts, Facts, Measure, str], Similarity] | None = None
    counted: bool = False
    dimension_bound: bool = False
    size_bound: bool = False
    score_bound: bool = False
    where: Callable[[Measure, Place], bool] | None = None
    default: bool = True
    defaults: tuple[Mapping[str, Value], ...] = ({},)
    unit: str = "query"
    population: str = "queries"
    null: str = ""

    @property
    def sides(self) -> tuple[str, ...]:
        """Sides, in order."""
        return tuple(dict.fromkeys(side for side, _ in self.places))

    @property
    def transforms(self) -> tuple[str, ...]:
        """Transform chains, in order."""
        return tuple(dict.fromkeys(on for _, on in self.places))

    def parameter(self, name: str) -> Parameter:
        """The parameter called `name`.

        Raises
        ------
        UsageError
            If there is none.
        """
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        known = [parameter.name for parameter in self.parameters]
        if not known:
            raise UsageError(f"{self.name} takes no parameter: got {shown(name)}; remove it")
        raise UsageError(f"parameter of {self.name}: {one_of(name, known)}")

    def places_of(self, measure: Measure) -> tuple[Place, ...]:
        """Places of one measure: those of its role, where it has roles."""
        role = measure.values.get("role")
        return tuple(
            place
            for place in self.places
            if role in (None, place[0]) and (self.where is None or self.where(measure, place))
        )


@dataclass(frozen=True)
class Measure:
    """A measure with its parameters; equal, hashed and printed by what it is.

    Attributes
    ----------
    name
        Name of the definition.
    arguments
        All parameters in declared order, defaults included.
    text
        Canonical text identity, such as ``uniformity(t=2)``.
    """

    name: str
    arguments: tuple[tuple[str, Value], ...]
    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def values(self) -> dict[str, Value]:
        """Parameters by name."""
        return dict(self.arguments)

    def number(self, name: str) -> float:
        """A numeric parameter."""
        return float(self.values[name])

    def whole(self, name: str) -> int:
        """A whole-number parameter."""
        return int(self.values[name])

    def flag(self, name: str) -> bool:
        """A true-or-false parameter."""
        return bool(self.values[name])

    def word(self, name: str) -> str:
        """A parameter that is a word."""
        return str(self.values[name])


def make(definition: Definition, given: Mapping[str, Any]) -> Measure:
    """Measure of a definition with the given parameters, defaults for the others.

    Raises
    ------
    UsageError
        If a parameter is unknown or its value not allowed; all mistakes in one line.
    """
    mistakes, checked = [], {}
    for name, value in given.items():
        try:
            parameter = definition.parameter(name)
            read = parameter.read if isinstance(value, str) else parameter.check
            checked[name] = read(value)
        except UsageError as error:
            mistakes.append(str(error))
    if mistakes:
        raise UsageError("; ".join(mistakes))
    arguments = tuple((p.name, checked.get(p.name, p.default)) for p in definition.parameters)
    return Measure(definition.name, arguments, _text(definition, arguments))


def _text(definition: Definition, arguments: tuple[tuple[str, Value], ...]) -> str:
    shown = [
        (p.name, value)
        for p, (_, value) in zip(definition.parameters, arguments, strict=True)
        if p.always or value != p.default
    ]
    at = [_plain(value) for name, value in shown if name == "cutoff"]
    inside = ", ".join(f"{name}={_plain(value)}" for name, value in shown if name != "cutoff")
    return definition.name + "".join(f"@{value}" for value in at) + (f"({inside})" * bool(inside))


def _plain(value: Value) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


@dataclass(frozen=True)
class Family:
    """A family of measures, with one line on what it sees and what it is blind to."""

    name: str
    title: str
    sees: str
    blind: str
