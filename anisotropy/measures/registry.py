"""The list of measures, and the text identities that name them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from anisotropy.errors import UsageError, one_of
from anisotropy.measures.base import Definition, Family, Measure, make
from anisotropy.measures.families import collect

_FAMILIES, _COLLECTED = collect()
_DEFINITIONS: dict[str, Definition] = {definition.name: definition for definition in _COLLECTED}
#: Words of a list that stand for many measures.
GROUPS = ("all", "default")
_IDENTITY = re.compile(r"\s*([A-Za-z_]+)(?:@([^\s(@]+))?\s*(?:\((.*)\))?\s*", re.DOTALL)


def registry() -> tuple[Definition, ...]:
    """Every definition, family by family."""
    return tuple(_DEFINITIONS.values())


def all_families() -> tuple[Family, ...]:
    """Every family, with one line on what it sees and what it is blind to."""
    return _FAMILIES


def definition_of(measure: Measure | str) -> Definition:
    """Definition of a measure or of its text identity."""
    return _DEFINITIONS[(parse(measure) if isinstance(measure, str) else measure).name]


def parse(text: str) -> Measure:
    """Measure of a text identity; ``str()`` of it is the canonical text.

    Parameters
    ----------
    text
        For example ``mean_cosine``, ``uniformity(t=2)``, ``nDCG@10``,
        ``negative_probability_kl(k=200, role=documents)``.

    Raises
    ------
    UsageError
        If measure, parameter or value is unknown.

    Examples
    --------
    >>> str(parse("negative_probability_kl( role=queries,k=200 )"))
    'negative_probability_kl(k=200)'
    """
    match = _IDENTITY.fullmatch(text)
    if match is None or match[1] not in _DEFINITIONS:
        name = match[1] if match else text
        raise UsageError(f"measure: {one_of(name, _DEFINITIONS)}")
    try:
        return make(_DEFINITIONS[match[1]], _given(match[2], match[3] or ""))
    except UsageError as error:
        raise UsageError(f"measure {text.strip()!r}: {error}") from None


def _given(cutoff: str | None, inside: str) -> dict[str, str]:
    given = {} if cutoff is None else {"cutoff": cutoff}
    for part in filter(None, (piece.strip() for piece in inside.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not name or not value:
            raise UsageError(f"got {part!r}; allowed: name=value, separated by commas")
        if name in given:
            raise UsageError(f"got {name!r} twice; give it once")
        given[name] = value
    return given


def split_list(text: str) -> list[str]:
    """Pieces of a comma-separated list of identities, commas inside parentheses kept.

    Examples
    --------
    >>> split_list("mean_cosine, negative_probability_kl(k=10,role=documents)")
    ['mean_cosine', 'negative_probability_kl(k=10,role=documents)']
    """
    pieces = re.split(r",(?![^(]*\))", text)
    return [piece.strip() for piece in pieces if piece.strip()]


def parse_all(texts: Iterable[str]) -> list[Measure]:
    """Parse several identities, without repeats, in order.

    Raises
    ------
    UsageError
        One line with every mistake.
    """
    measures: dict[Measure, None] = {}
    mistakes = []
    for text in texts:
        try:
            measures[parse(text)] = None
        except UsageError as error:
            mistakes.append(str(error))
    if mistakes:
        raise UsageError("; ".join(mistakes))
    return list(measures)


def expand(texts: Iterable[str], *, between: bool = False) -> list[str]:
    """Canonical identities of a list in which ``all`` and ``default`` stand for many.

    Parameters
    ----------
    texts
        Text identities, ``all`` (every registered measure) or ``default``.
    between
        For two spaces: ``all`` and ``default`` hold the similarities of two spaces as well.

    Returns
    -------
    list of str
        Without repeats, in order.

    Raises
    ------
    UsageError
        One line with every mistake, or if the list is empty.
    """
    expanded: list[str] = []
    for text in texts:
        expanded += _group(text, between) if text in GROUPS else [text]
    if not expanded:
        raise UsageError(
            "measures: got an empty list; allowed: all, default, or text identities such as "
            "mean_cosine (`anisotropy measures` lists them)"
        )
    return [measure.text for measure in parse_all(expanded)]


def _group(text: str, between: bool) -> list[str]:
    found = default_measures()
    if text == "all":
        found += [make(d, {}) for d in registry() if d.compute and not d.default]
    return [m.text for m in [*found, *(similarity_measures() if between else ())]]


def default_measures() -> list[Measure]:
    """The measures of one space that are taken when none are asked for."""
    return [m for d in registry() if d.default and d.compute for m in _defaults(d)]


def similarity_measures() -> list[Measure]:
    """The similarities of two spaces."""
    return [make(definition, {}) for definition in registry() if definition.between]


def _defaults(definition: Definition) -> Sequence[Measure]:
    """Members of the default set that a definition has."""
    return [make(definition, given) for given in definition.defaults]
