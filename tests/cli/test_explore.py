"""``anisotropy explore``: one page, whatever is asked for arrives in it."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from anisotropy.cli import main
from tests.making import make_checkpoint, make_collection

FAST = ["--projection", "pca", "--quiet"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explore")
    make_checkpoint(folder / "a.ckpt")
    make_checkpoint(folder / "b.ckpt", "dance", seed=1)
    make_collection(folder / "data", n_documents=120, n_queries=20)
    return folder


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    return place


def content(path: Path) -> dict[str, Any]:
    block = r'<script type="application/json"[^>]*>(.*?)</script>'
    found = re.search(block, path.read_text("utf-8"), re.S)
    assert found
    loaded: dict[str, Any] = json.loads(found[1])
    return loaded


def test_two_spaces_and_every_option(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["explore", "a.ckpt", "b.ckpt", "--data", "data", "--split", "train"]
    words += ["--label-b", "new"]
    words += ["--points", "40", "--neighbors", "6", "--seed", "3", "--relevance-level", "2"]
    assert main([*words, *FAST, "--out", "pages/x.html"]) == 0
    assert capsys.readouterr().out == "pages/x.html\n"
    page = content(here / "pages/x.html")
    assert page["title"] == "a → new"
    assert page["neighbors"] == 6
    assert page["points"] <= 40
    assert list(page["captions"]["maps"]) == ["pca"]
    assert "seed 3" in page["captions"]["sample"]
    assert "40 points" not in page["captions"]["shown"]
    assert "split train" in page["captions"]["collection"]
    assert "judged 2 or above" in " ".join(page["captions"]["numbers"])
    options = tomllib.loads((here / "pages/x.toml").read_text())
    assert (options["points"], options["spaces"]) == (40, ["a.ckpt", "b.ckpt"])


def test_the_configuration_gives_the_same_page(here: Path) -> None:
    words = ["explore", "a.ckpt", "--data", "data", "--points", "60"]
    assert main([*words, *FAST, "--out", "one.html"]) == 0
    first = (here / "one.html").read_bytes()
    (here / "one.html").unlink()
    assert main(["explore", "--config", "one.toml"]) == 0
    assert (here / "one.html").read_bytes() == first


def test_texts_come_from_the_collection_and_stores_open(here: Path) -> None:
    assert main(["encode", "a.ckpt", "--data", "data", "--out", "store", "--quiet"]) == 0
    assert main(["explore", "store", *FAST, "--out", "bare.html"]) == 0
    assert set(content(here / "bare.html")["texts"]) == {None}
    assert main(["explore", "store", "--data", "data", *FAST, "--out", "full.html"]) == 0
    texts = content(here / "full.html")["texts"]
    assert any(text.startswith("note 3 — ") for text in texts)
    assert main(["explore", "store", *FAST]) == 0
    assert Path("anisotropy-results/store/explorer.html").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "one or two checkpoints"),
        (["a", "b", "c"], "got 3"),
        (["a.ckpt", "--out", "folder"], "ending in .html"),
        (["a.ckpt", "--projection", "none"], "allowed: pca, tsne, umap"),
        (["a.ckpt", "--projection", ""], "one or more of pca, tsne, umap"),
        (["a.ckpt", "--neighbors", "500"], "allowed: 1 to 200"),
        (["a.ckpt", "--points", "2"], "5 or more"),
        (["a.ckpt", "--data", "nowhere/at/all"], "no such folder"),
        (["a.ckpt", "b.ckpt", "--label-a", "x", "--label-b", "x", "--split", "no"], "no"),
    ],
)
def test_bad_input_is_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    if "--data" not in words and words[:1] == ["a.ckpt"]:
        words = [*words, "--data", "data"]
    assert main(["explore", *words, "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert said in err
