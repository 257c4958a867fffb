"""The JSON of the page: everything comes back, nothing breaks out, the size is kept."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from anisotropy.explorer import ExplorerData, ExplorerOptions, build
from anisotropy.explorer.data import Judgments, Lists, Scale, SpaceView
from anisotropy.explorer.packing import CODE, LIMIT, pack, shorter
from anisotropy.explorer.page import render_page, script_text
from anisotropy.explorer.texts import cut, one_line
from tests.explorer.making import EVIL, pair, read_back

OPTIONS = ExplorerOptions(projections=("pca",), neighbors=8, points=60)


@pytest.fixture(scope="module")
def data() -> ExplorerData:
    return build(pair(60, 200), OPTIONS)


def test_numbers_come_back(data: ExplorerData) -> None:
    content = read_back(pack(data).text)
    assert content["schema"] == "anisotropy.explorer/1"
    assert (content["points"], content["valued"]) == (data.n_points, data.n_valued)
    assert content["ids"] == list(data.ids)
    np.testing.assert_array_equal(content["sides"], data.sides)
    np.testing.assert_array_equal(content["listed"], data.listed)
    np.testing.assert_array_equal(content["judgments"]["item"], data.judgments.item)
    for found, view in zip(content["spaces"], data.spaces, strict=True):
        np.testing.assert_array_equal(found["lists"]["item"], view.lists.item.ravel())
        np.testing.assert_array_equal(found["lists"]["elsewhere"], view.lists.elsewhere.ravel())
        for name in ("score", "distance"):
            exact = np.float32(getattr(view.lists, name).ravel())
            np.testing.assert_array_equal(found["lists"][name], exact)
        y = np.float32(view.maps["pca"][:, 1])
        np.testing.assert_array_equal(found["maps"]["pca"]["y"], y)
        np.testing.assert_array_equal(found["occurrence"], view.occurrence)
        np.testing.assert_array_equal(found["even"], np.float32(view.even))
        np.testing.assert_array_equal(found["positives"]["rank"], view.positives["rank"])
    for found, finding in zip(content["findings"], data.findings, strict=True):
        np.testing.assert_array_equal(found["items"], finding.items)
        assert found["notes"] == list(finding.notes)


EVILS = (EVIL, "</script><b>", "<!--", "\u2028\u2029", "\ud800", "{{ x }}")


@pytest.mark.parametrize("evil", EVILS)
def test_no_text_breaks_out(evil: str) -> None:
    a, b = pair()
    a.query_texts[3], a.doc_texts[5] = evil, f"x {evil}"
    text = pack(build((a, b), OPTIONS)).text
    assert "<" not in text
    assert not set(text) & {"\u2028", "\u2029", "\ud800"}
    assert f"x {evil}".strip() in [(t or "").strip() for t in json.loads(text)["texts"]] or (
        evil == "\u2028\u2029"  # white space, made one blank
    )
    page = render_page(build((a, b), OPTIONS))
    assert page.count("</script>") == 2
    assert page.count("<script") == 2
    page.encode()


def test_shorter_lists_name_the_same_documents(data: ExplorerData) -> None:
    few = shorter(data, 3)
    assert few.neighbors == 3
    assert few.n_points == data.n_points
    assert len(few.ids) < len(data.ids)
    for old, new in zip(data.spaces, few.spaces, strict=True):
        pairs = zip(old.lists.item[:, :3].ravel(), new.lists.item.ravel(), strict=True)
        for before, after in pairs:
            assert data.ids[before] == few.ids[after]
            assert data.texts[before] == few.texts[after]
    for before, after in zip(data.judgments.item, few.judgments.item, strict=True):
        assert data.ids[before] == few.ids[after]


def test_texts_are_cut_and_lists_made_shorter_only_as_far_as_needed(data: ExplorerData) -> None:
    long = dataclasses.replace(data, texts=tuple(f"{text} " * 30 for text in data.texts))
    size = len(pack(long).text.encode()) + CODE
    lengths = []
    for limit in (size, size - 5000, size - 60_000, size - 150_000):
        packed = pack(long, limit)
        assert len(packed.text.encode()) + CODE <= limit
        content = json.loads(packed.text)
        lengths.append(content["cut"])
        assert content["neighbors"] == 8
        assert max(map(len, content["texts"])) <= content["cut"]
        assert any(f"cut to {content['cut']} characters" in line for line in packed.left_out)
        assert content["captions"]["left_out"] == list(packed.left_out)
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] > lengths[-1] >= 60
    assert not any("cut to" in line for line in pack(data).left_out)
    tight = pack(long, CODE + 20_000)
    assert "lists hold 1 documents a query, not 8" in tight.left_out
    assert any("larger than" in line for line in tight.left_out)


def test_cut() -> None:
    assert one_line(" two\n words ") == "two words"
    assert cut("abcdefgh", 5) == "abcd…"
    assert cut("abcdefgh", 0) == ""
    assert len(cut("word " * 100, 60)) <= 60


def large(n_queries: int, n_documents: int, more: int, k: int) -> ExplorerData:
    """As large a page as can be asked for, of random numbers and long texts."""
    rng = np.random.default_rng(0)
    n_points = n_queries + n_documents
    n = n_points + more
    words = np.array(["retrieval", "embedding", "über", "<b>", "documents", "of", "the"])
    texts = [" ".join(words[row]) for row in rng.integers(0, len(words), (n, 60))]
    floats = lambda *shape: rng.normal(size=shape)  # noqa: E731
    view = SpaceView(
        "space", "about",
        {method: floats(n_points, 2) for method in ("tsne", "pca")}, {},
        floats(n_points), floats(n_points), floats(n_points), floats(n_points),
        Lists(rng.integers(0, n, (n_queries, k)), floats(n_queries, k), floats(n_queries, k),
              rng.integers(0, 200, (n_queries, k))),
        {"rank": rng.integers(1, n, n_queries), "score": floats(n_queries),
         "distance": floats(n_queries)},
        {name: floats(n_queries) for name in "abcdefgh"},
    )  # fmt: skip
    codes = rng.integers(0, 8, n_points)
    return ExplorerData(
        "large", tuple(f"document-{i}" for i in range(n)),
        (np.arange(n) >= n_queries).astype(np.uint8), tuple(texts), n_points, n_points,
        np.arange(n_queries), (view, view),
        Judgments(np.arange(n_queries), np.arange(n_queries), np.ones(n_queries)),
        floats(n_points), {"neighbors_kept": floats(n_queries)},
        tuple(Scale(f"s{i}", "", "", (), (codes, codes + i)) for i in range(5)), (), {}, 200,
    )  # fmt: skip


@pytest.mark.parametrize("more", [0, 60_000])
def test_20000_points_with_20_documents_a_query_are_10_megabytes_at_most(more: int) -> None:
    data = large(6_600, 13_400, more, 20)
    packed = pack(data)
    assert len(packed.text.encode()) <= LIMIT - CODE
    content = json.loads(packed.text)
    assert content["points"] == 20_000
    if not more:
        assert content["neighbors"] == 20
        assert content["cut"] >= 60
    assert any("cut to" in line for line in packed.left_out)


def test_the_code_of_the_page_is_within_what_is_kept_for_it(data: ExplorerData) -> None:
    assert len(render_page(data)) - len(pack(data).text) < CODE
    assert len(script_text()) < CODE
