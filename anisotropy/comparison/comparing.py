"""Two sides, a space or several seeds each: everything that one comparison says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from anisotropy.comparison.aligning import check_comparable, other_pools
from anisotropy.comparison.associations import association_rows
from anisotropy.comparison.changes import changes_curve
from anisotropy.comparison.differences import adjusted, difference_row, family_size, seed_row
from anisotropy.comparison.randomization import ROUNDS
from anisotropy.comparison.similarities import similarity_rows
from anisotropy.comparison.withholding import first_reason
from anisotropy.errors import NotComparable, UsageError
from anisotropy.measures import MeasuredSpace
from anisotropy.measures.run import Key
from anisotropy.results import Association, Curve, Difference, Similarity, Withheld


@dataclass(eq=False)
class Compared:
    """What comparisons found.

    Attributes
    ----------
    differences, similarities, associations, withheld
        Rows of results, labeled with the two that were compared.
    curves
        ``changes``, one a comparison.
    """

    differences: list[Difference] = field(default_factory=list)
    similarities: list[Similarity] = field(default_factory=list)
    associations: list[Association] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)


def compare_spaces(
    a: MeasuredSpace, b: MeasuredSpace, *, on_mismatch: str = "error"
) -> tuple[list[Difference], list[Similarity], list[Withheld]]:
    """Compare two measured spaces of the same queries and documents.

    Parameters
    ----------
    a, b
        Results of :func:`anisotropy.measures.measure_space`. Differences are b minus a. Ids may
        come in another order: everything is paired by id.
    on_mismatch
        ``error``: refuse two collections that are known to differ. ``intersect``: the spaces
        come from :func:`align_spaces`, which kept what they have in common.

    Returns
    -------
    tuple
        Differences of every row measured in both, similarities of the two spaces (those asked
        for where they were measured with ``between=True``), and rows that are not comparable,
        with the reason. Holm's correction covers the headline rows,
        effectiveness apart, whatever was asked for.

    Raises
    ------
    NotComparable
        If collections, ids or judgments differ (see :func:`align_spaces`).
    UsageError
        If `on_mismatch` is another word.
    """
    found = Compared()
    names = (a.space.label, b.space.label)
    _compare_rows(found, [a], [b], names, on_mismatch, ROUNDS)
    return adjusted(found.differences), found.similarities, found.withheld


def compare_sides(
    a: Sequence[MeasuredSpace],
    b: Sequence[MeasuredSpace],
    names: tuple[str, str],
    *,
    on_mismatch: str = "error",
) -> Compared:
    """Compare two sides, each one space or several seeds of one method.

    Parameters
    ----------
    a, b
        Measured spaces: one each, or two or more each, which are then seeds.
    names
        Labels of the sides.
    on_mismatch
        As in :func:`compare_spaces`.

    Returns
    -------
    Compared
        With several spaces a side every row has the unit ``seed`` (see
        :func:`anisotropy.comparison.seeds.seed_difference`).

    Raises
    ------
    UsageError
        If one side has several spaces and the other a single one.
    NotComparable
        As in :func:`compare_spaces`.
    """
    found = Compared()
    _compare_everything(found, a, b, names, on_mismatch, ROUNDS)
    found.differences = adjusted(found.differences)
    return found


def compare_pairs(
    pairs: Sequence[tuple[MeasuredSpace, MeasuredSpace]], *, on_mismatch: str = "error"
) -> Compared:
    """Compare the second space of every pair with the first, its baseline.

    Holm's family is the fixed headline set times the number of pairs.
    """
    labels = [(first.space.label, other.space.label) for first, other in pairs]
    sides = [(names, [a], [b]) for names, (a, b) in zip(labels, pairs, strict=True)]
    return compare_methods(sides, on_mismatch=on_mismatch)


def compare_methods(
    sides: Sequence[tuple[tuple[str, str], Sequence[MeasuredSpace], Sequence[MeasuredSpace]]],
    *,
    on_mismatch: str = "error",
) -> Compared:
    """Several comparisons of two methods each, as :func:`compare_sides` makes one.

    Parameters
    ----------
    sides
        Names of the two, the spaces of the baseline, the spaces of the other.
    on_mismatch
        As in :func:`compare_spaces`.

    Returns
    -------
    Compared
        Holm's family is the fixed headline set times the number of comparisons.
    """
    found = Compared()
    # So many rounds that the smallest possible p stays below 0.01 after the correction.
    rounds = max(ROUNDS, 100 * family_size(False, False) * len(sides))
    for names, a, b in sides:
        _compare_everything(found, a, b, names, on_mismatch, rounds)
    found.differences = adjusted(found.differences, len(sides))
    return found


def check_seeds(a: int, b: int) -> None:
    """Raise UsageError unless both sides have one checkpoint, or both have several."""
    if min(a, b) < 1 or (a > 1) != (b > 1):
        raise UsageError(
            f"compare: got {a} checkpoint(s) of a and {b} of b; allowed: one of each, or two or "
            "more of each (seeds of a method); or use analyze with --baseline"
        )


def _compare_everything(
    found: Compared,
    a: Sequence[MeasuredSpace],
    b: Sequence[MeasuredSpace],
    names: tuple[str, str],
    on_mismatch: str,
    rounds: int,
) -> None:
    check_seeds(len(a), len(b))
    _compare_rows(found, a, b, names, on_mismatch, rounds)
    changes = changes_curve(a, b, names)
    if changes is not None:
        associations, missing = association_rows(changes, names, a[0].facts.seed)
        found.curves.append(changes)
        found.associations += associations
        found.withheld += missing


def _compare_rows(
    found: Compared,
    a: Sequence[MeasuredSpace],
    b: Sequence[MeasuredSpace],
    names: tuple[str, str],
    on_mismatch: str,
    rounds: int,
) -> None:
    """Add differences, similarities and withheld rows of one comparison."""
    spaces = [*a, *b]
    for other in spaces[1:]:
        check_comparable(spaces[0].space, other.space, on_mismatch)
    pools = next((p for o in spaces[1:] if (p := other_pools(spaces[0].space, o.space))), "")
    for key in dict.fromkeys(key for one in spaces for key in one.estimates):
        reason = first_reason(spaces, key, pools)
        try:
            if reason:
                raise NotComparable(reason)
            found.differences.append(_difference(a, b, key, names, rounds))
        except NotComparable as error:
            found.withheld.append(Withheld(*key, str(error), names[1], names[0]))
    similarities, missing = similarity_rows(a, b, names)
    found.similarities += similarities
    found.withheld += missing


def _difference(
    a: Sequence[MeasuredSpace],
    b: Sequence[MeasuredSpace],
    key: Key,
    names: tuple[str, str],
    rounds: int,
) -> Difference:
    if len(a) > 1:
        return seed_row(a, b, key, names)
    return difference_row(a[0], b[0], key, names, rounds)
