"""Transforms by name: parsed, printed, compared; what they do is in ``fitting``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from anisotropy.errors import UsageError, one_of
from anisotropy.measures.base import Parameter, Value

if TYPE_CHECKING:
    from anisotropy.transforms.fitting import Fitted

_BY = Parameter("by", "both", choices=("both", "side"))
#: Parameters of every step, in the order in which they are printed.
STEPS: Mapping[str, tuple[Parameter, ...]] = {
    "center": (_BY,),
    "normalize": (),
    "whiten": (Parameter("shrinkage", 0.0, low=0), Parameter("dim", 0, low=1), _BY),
    "remove_top_directions": (Parameter("k", 1, always=True, low=1), _BY),
    "standardize": (_BY,),
}
_IDENTITY = re.compile(r"\s*([A-Za-z_]+)\s*(?:\((.*)\))?\s*", re.DOTALL)


@dataclass(frozen=True)
class Step:
    """One transform with its parameters; equal, hashed and printed by what it is.

    Attributes
    ----------
    name
        One of :data:`STEPS`.
    arguments
        All parameters in declared order, defaults included.
    """

    name: str
    arguments: tuple[tuple[str, Value], ...]

    def __str__(self) -> str:
        shown = [
            f"{parameter.name}={_plain(value)}"
            for parameter, (_, value) in zip(STEPS[self.name], self.arguments, strict=True)
            if parameter.always or value != parameter.default
        ]
        return f"{self.name}({', '.join(shown)})" if shown else self.name

    @property
    def values(self) -> dict[str, Value]:
        """Parameters by name."""
        return dict(self.arguments)

    @property
    def by_side(self) -> bool:
        """Whether queries and documents have a map each."""
        return self.values.get("by") == "side"


@dataclass(frozen=True)
class Transform:
    """Steps applied one after the other, such as ``center>normalize``.

    Steps are joined by ``>`` in text and by ``>>`` in Python.

    Attributes
    ----------
    steps
        One or more.

    Examples
    --------
    >>> center() >> normalize() == parse("center > normalize")
    True
    >>> str(whiten(shrinkage=0.1))
    'whiten(shrinkage=0.1)'
    """

    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return ">".join(map(str, self.steps))

    def __rshift__(self, other: Transform) -> Transform:
        return Transform(self.steps + other.steps)

    def fit(self, rows: Any, queries: Any = None) -> Fitted:
        """Fit on rows; see :func:`anisotropy.transforms.fit`."""
        from anisotropy.transforms.fitting import fit

        return fit(self, rows, queries)


def parse(text: str) -> Transform:
    """Transform of a text identity; ``str()`` of it is the canonical text.

    Parameters
    ----------
    text
        Steps joined by ``>``, for example ``center>normalize``, ``whiten(shrinkage=0.1)``,
        ``remove_top_directions(k=3)``, ``center(by=side)``.

    Raises
    ------
    UsageError
        If a step, a parameter or a value is unknown.
    """
    try:
        return Transform(tuple(_step(piece) for piece in text.split(">")))
    except UsageError as error:
        raise UsageError(f"transform {text.strip()!r}: {error}") from None


def _step(text: str) -> Step:
    match = _IDENTITY.fullmatch(text)
    if match is None or match[1] not in STEPS:
        raise UsageError(f"step: {one_of(match[1] if match else text.strip(), STEPS)}")
    given: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in (match[2] or "").split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not name or not value:
            raise UsageError(f"got {part!r}; allowed: name=value, separated by commas")
        if name in given:
            raise UsageError(f"got {name!r} twice; give it once")
        given[name] = value
    return _make(match[1], given)


def _make(name: str, given: Mapping[str, Any]) -> Step:
    parameters = {parameter.name: parameter for parameter in STEPS[name]}
    unknown = next((key for key in given if key not in parameters), None)
    if unknown is not None and not parameters:
        raise UsageError(f"{name} takes no parameter: got {unknown!r}; remove it")
    if unknown is not None:
        raise UsageError(f"parameter of {name}: {one_of(unknown, parameters)}")
    values = {key: parameter.default for key, parameter in parameters.items()}
    for key, value in given.items():
        parameter = parameters[key]
        values[key] = (parameter.read if isinstance(value, str) else parameter.check)(value)
    if float(values.get("shrinkage", 0)) > 1:
        raise UsageError(f"shrinkage: got {values['shrinkage']}; allowed: 0 to 1")
    if values.get("dim") and values["by"] == "side":
        raise UsageError(
            "dim and by=side: components kept of each side apart do not compare; give one of them"
        )
    return Step(name, tuple(values.items()))


def _plain(value: Value) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def center(*, by: str = "both") -> Transform:
    """Subtract the mean of the set it is fitted on.

    Parameters
    ----------
    by
        ``both``: one mean, that of the documents, for both sides. ``side``: each side its own.
    """
    return Transform((_make("center", {"by": by}),))


def normalize() -> Transform:
    """Scale every row to length 1; a row of zeros stays as it is. Nothing is fitted."""
    return Transform((_make("normalize", {}),))


def whiten(*, shrinkage: float = 0.0, dim: int | None = None, by: str = "both") -> Transform:
    """Subtract the mean and make the covariance of the fitted set the identity.

    All dimensions kept, this is the symmetric (ZCA) form V L^(-1/2) V', which changes the axes
    least; with `dim` it is the principal components, each scaled to unit variance. Both give
    the same inner products where nothing is dropped. (Su et al. 2021, arXiv 2103.15316, for
    sentence embeddings; Kessy et al. 2018 for the forms.)

    Parameters
    ----------
    shrinkage
        0 to 1: the covariance is replaced by (1 - shrinkage) S + shrinkage (tr S / dim) I.
        Directions without variance above rounding are set to zero and counted where the rows
        outnumber the dimensions (the encoder does not use them); with fewer rows 0 is refused.
    dim
        How many components to keep, largest variance first; None for all dimensions.
    by
        As in :func:`center`; not together with `dim`.
    """
    kept = {} if dim is None else {"dim": dim}
    return Transform((_make("whiten", {"shrinkage": shrinkage, **kept, "by": by}),))


def remove_top_directions(k: int = 1, *, by: str = "both") -> Transform:
    """Subtract the mean and what lies along the `k` directions of largest variance.

    "All but the top" of Mu and Viswanath 2018 (arXiv 1702.01417).

    Parameters
    ----------
    k
        1 to dim - 1.
    by
        As in :func:`center`.
    """
    return Transform((_make("remove_top_directions", {"k": k, "by": by}),))


def standardize(*, by: str = "both") -> Transform:
    """Subtract the mean and divide each dimension by its standard deviation (divisor n - 1).

    Timkey and van Schijndel 2021 use it against rogue dimensions.

    Parameters
    ----------
    by
        As in :func:`center`.
    """
    return Transform((_make("standardize", {"by": by}),))
