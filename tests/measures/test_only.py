"""Measures of some sides and transforms alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import anisotropy as an
from anisotropy.errors import UsageError
from anisotropy.measures import facts

KEYS = ["side", "measure", "on"]


@pytest.fixture(scope="module", params=["dot", "cosine"])
def space(request: pytest.FixtureRequest) -> an.EmbeddingSpace:
    rng = np.random.default_rng(0)
    documents = rng.normal(size=(90, 12)).astype(np.float32) + 0.4
    queries = documents[:60] + rng.normal(size=(60, 12)).astype(np.float32)
    qrels = {str(i): {str(i): 1} for i in range(60)}
    return an.EmbeddingSpace(
        queries=queries,
        documents=documents,
        query_ids=[str(i) for i in range(60)],
        doc_ids=[str(i) for i in range(90)],
        qrels=qrels,
        similarity=request.param,
    )


@pytest.fixture(scope="module")
def everything(space: an.EmbeddingSpace) -> pd.DataFrame:
    return an.measure(space)


@pytest.mark.parametrize(
    ("sides", "on"),
    [
        ("documents", "unit"),
        (["queries", "cross"], None),
        (None, ["center>unit"]),
        (None, ["recipe", "raw"]),
        ("ranking", "recipe"),
    ],
)
def test_rows_are_those_of_everything(space, everything, sides, on) -> None:
    whole = everything
    some = an.measure(space, sides=sides, on=on)
    for name, asked in (("side", sides), ("on", on)):
        if asked is not None:
            whole = whole[whole[name].isin([asked] if isinstance(asked, str) else asked)]
    assert len(some) > 3
    assert some[KEYS].values.tolist() == whole[KEYS].values.tolist()
    for column in ("value", "se", "null_mean"):
        np.testing.assert_allclose(some[column], whole[column], rtol=2e-5, atol=1e-7)


def test_what_is_not_asked_for_is_not_computed(space, monkeypatch) -> None:
    seen = []
    made = facts.kernels
    monkeypatch.setattr(facts, "kernels", lambda *words: seen.append(words[1:]) or made(*words))
    monkeypatch.setattr(facts, "across", lambda *_: pytest.fail("queries against documents"))
    an.measure(space, ["uniformity(t=2)"], sides="documents", on="unit")
    assert seen == [("documents", ("unit",))]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"sides": "document"}, r"sides: got 'document'.*did you mean 'documents'\?"),
        ({"on": ["unit", "units"]}, r"on: got 'units'.*did you mean 'unit'\?"),
        ({"sides": 5}, "sides: got '5'; allowed: queries, documents"),
        ({"on": [["unit"]]}, "on: got"),
        ({"on": []}, "on: got an empty list; allowed: raw, unit,"),
        ({"sides": "ranking"}, r"mean_cosine: not measured at sides=ranking; allowed: queries"),
        ({"on": "raw", "sides": ["queries"]}, "not measured at sides=queries and on=raw"),
    ],
)
def test_what_there_is_not_is_refused(space, asked, message) -> None:
    with pytest.raises(UsageError, match=message):
        an.measure(space, ["mean_cosine"], **asked)
