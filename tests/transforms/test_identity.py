"""The text of a transform and the value are one thing."""

from __future__ import annotations

import pytest

from anisotropy.errors import UsageError
from anisotropy.transforms import (
    Transform,
    center,
    normalize,
    parse,
    remove_top_directions,
    standardize,
    whiten,
)

SAME: list[tuple[str, Transform, str]] = [
    ("center", center(), "center"),
    (" center > normalize ", center() >> normalize(), "center>normalize"),
    ("whiten(shrinkage=0.10)", whiten(shrinkage=0.1), "whiten(shrinkage=0.1)"),
    ("whiten()", whiten(), "whiten"),
    ("whiten(dim=8,shrinkage=1)", whiten(shrinkage=1, dim=8), "whiten(shrinkage=1, dim=8)"),
    ("remove_top_directions", remove_top_directions(), "remove_top_directions(k=1)"),
    ("remove_top_directions( k = 3 )", remove_top_directions(3), "remove_top_directions(k=3)"),
    ("standardize(by=side)", standardize(by="side"), "standardize(by=side)"),
    (
        "center(by=side)>whiten>normalize",
        center(by="side") >> whiten() >> normalize(),
        "center(by=side)>whiten>normalize",
    ),
]


@pytest.mark.parametrize(("text", "value", "canonical"), SAME)
def test_parsed_printed_and_equal(text: str, value: Transform, canonical: str) -> None:
    assert parse(text) == value
    assert hash(parse(text)) == hash(value)
    assert str(value) == canonical
    assert parse(canonical) == value


def test_other_parameters_are_another_transform() -> None:
    assert len({center(), center(by="side"), whiten(), whiten(shrinkage=0.5), whiten(dim=2)}) == 5
    assert center() >> normalize() != normalize() >> center()


REFUSED = [
    ("centre", "did you mean 'center'"),
    ("", "allowed: center, normalize, whiten"),
    ("center>", "allowed: center, normalize, whiten"),
    ("center>>normalize", "allowed: center"),
    ("center(", "got 'center('"),
    ("normalize(k=1)", "takes no parameter"),
    ("whiten(shrink=0.1)", "did you mean 'shrinkage'"),
    ("whiten(0.1)", "allowed: name=value"),
    ("whiten(shrinkage=2)", "allowed: 0 to 1"),
    ("whiten(shrinkage=-0.1)", "allowed: 0 and above"),
    ("whiten(shrinkage=nan)", "allowed: 0 and above"),
    ("whiten(dim=0)", "allowed: 1 and above"),
    ("whiten(dim=2, dim=3)", "twice"),
    ("whiten(dim=2, by=side)", "do not compare"),
    ("remove_top_directions(k=1.5)", "a whole number"),
    ("remove_top_directions(k=0)", "allowed: 1 and above"),
    ("center(by=query)", "allowed: both, side"),
]


@pytest.mark.parametrize(("text", "said"), REFUSED)
def test_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_python_values_are_checked_as_texts_are() -> None:
    with pytest.raises(UsageError, match="allowed: both, side"):
        center(by="queries")
    with pytest.raises(UsageError, match="allowed: 1 and above"):
        remove_top_directions(0)
    with pytest.raises(UsageError, match="allowed: a number"):
        whiten(shrinkage="much")  # type: ignore[arg-type]
