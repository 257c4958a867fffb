"""``anisotropy convert`` as it is typed, and ``an.convert``."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import anisotropy as an
from anisotropy.cli import main
from anisotropy.errors import InputError, UsageError
from anisotropy.spaces import save_space
from tests.collection.preprocessed import dance
from tests.making import make_checkpoint
from tests.spaces.dumps.upstream_files import dance_dump


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint, one that leaves a doubt, and a store; read only."""
    folder = tmp_path_factory.mktemp("convert")
    make_checkpoint(folder / "dance.ckpt", "dance")
    make_checkpoint(folder / "doubt.ckpt")
    (folder / "doubt.ckpt/recipe.json").unlink()
    make_checkpoint(folder / "maxp.ckpt", "ance-maxp", chunk_length=12)
    rng = np.random.default_rng(0)
    space = an.EmbeddingSpace(
        rng.normal(size=(3, 8)), rng.normal(size=(20, 8)), qrels={"0": {"7": 1}}, label="tiny"
    )
    save_space(space, folder / "store")
    return folder


@pytest.fixture
def here(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder beside links to the good things."""
    for path in good.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def test_there_and_back(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["convert", "dance.ckpt", "--to", "sentence-transformers", "--out", "st"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert out == "st\n"
    assert all(line.startswith("note: ") for line in err.splitlines())
    assert "note: queries and documents differ: call encode_query and encode_document" in err
    assert main(["convert", "st", "--to", "upstream", "--out", "deep/up", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("deep/up\n", "")
    assert "model_type" not in json.loads((here / "deep/up/config.json").read_text())
    assert main(["inspect", "deep/up", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["layout"] == "upstream"
    assert [recipe["name"] for recipe in found["readings"]] == ["dance"]
    assert found["doubts"] == found["problems"] == []


def test_a_recipe_option_settles_a_doubt(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["convert", "doubt.ckpt", "--to", "upstream", "--out", "up", "--quiet"]
    assert main(words) == 2
    assert "--recipe ance or --recipe dance" in capsys.readouterr().err
    assert main([*words, "--recipe", "dance", "--max-document-length", "20"]) == 0
    recipe = json.loads((here / "up/recipe.json").read_text())
    assert (recipe["name"], recipe["max_document_length"]) == ("dance", 20)
    config = here / "convert.toml"
    config.write_text('to = "upstream"\nout = "other"\nrecipe = "ance"\n')
    assert main(["convert", "doubt.ckpt", "--config", str(config)]) == 0
    assert json.loads((here / "other/recipe.json").read_text())["name"] == "ance"


def test_embeddings(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "store", "--to", "parquet", "--out", "p"]) == 0
    assert main(["convert", "store", "--to", "npz", "--out", "v.npz"]) == 0
    assert capsys.readouterr().out == "p\nv.npz\n"
    frame = pd.read_parquet(here / "p/documents.parquet")
    with zipfile.ZipFile(here / "v.npz") as archive:
        assert archive.testzip() is None
    documents = np.load(here / "v.npz", allow_pickle=False)["documents"]
    np.testing.assert_array_equal(documents, np.stack(frame["vector"].to_list()))
    assert (here / "v.qrels.tsv").read_text() == (here / "p/qrels.tsv").read_text() == "0\t7\t1\n"


def test_a_dump_takes_ids_and_judgments_from_its_collection(here: Path) -> None:
    dance(here / "cache")
    dance_dump(here / "dump")
    words = ["convert", "dump", "--data", "cache", "--to", "npz", "--quiet"]
    assert main([*words, "--out", "dev.npz"]) == 0
    assert main([*words, "--split", "test", "--out", "test.npz"]) == 0
    found = np.load(here / "dev.npz", allow_pickle=False)
    assert sorted(found["doc_ids"].tolist()) == ["1009", "3", "41", "5", "70"]
    assert sorted(found["query_ids"].tolist()) == ["6", "8"]
    assert (here / "dev.qrels.tsv").read_text().splitlines() == ["6\t3\t1", "8\t1009\t1"]
    assert np.load(here / "test.npz", allow_pickle=False)["query_ids"].tolist() == ["501"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "convert needs a checkpoint, store or dump, --to LAYOUT and --out Y"),
        (["dance.ckpt", "--to", "npz", "--out", "x"], "npz is a layout of embeddings"),
        (["store", "--to", "upstream", "--out", "x"], "upstream is a layout of checkpoints"),
        (["store", "--to", "parket", "--out", "x"], "did you mean 'parquet'?"),
        (["store", "--to", "npz", "--out", "maxp.ckpt"], "maxp.ckpt: exists already"),
        (["nothing", "--to", "upstream", "--out", "x"], "nothing: no such path"),
        (["store", "--to", "npz", "--out", "x", "--recipe", "ance"], "a store has its recipe"),
        (["store", "--to", "npz", "--out", "x", "--scale", "2"], "--scale: for dumps"),
        (["dance.ckpt", "--to", "upstream", "--out", "x", "--field", "v"], "--field: for dumps"),
        (["dance.ckpt", "--to", "upstream", "--out", "x", "--data", "d"], "--data: for dumps"),
        (
            ["maxp.ckpt", "--to", "sentence-transformers", "--out", "x"],
            "maxp.ckpt: chunk_length: got 12 (MaxP, 2 vectors a document)",
        ),
        (["dance.ckpt", "--to", "upstream", "--out", "store/x/y"], "store"),
    ],
)
def test_bad_input_is_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    if "store/x/y" in words:
        (here / "store").unlink()
        (here / "store").write_text("a file where a folder is needed")
    before = sorted(here.iterdir())
    assert main(["convert", *words, "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert sorted(here.iterdir()) == before


@pytest.mark.usefixtures("here")
def test_in_python() -> None:
    done = an.convert("dance.ckpt", "upstream", "up", overrides={"max_query_length": 8})
    assert (done.path, done.layout) == (Path("up"), "upstream")
    assert any("--max_query_length 8" in note for note in done.notes)
    with pytest.raises(InputError, match="up: exists already"):
        an.convert("dance.ckpt", "upstream", "up")
    with pytest.raises(UsageError, match="--field: for dumps"):
        an.convert("dance.ckpt", "upstream", "new", field="vector")
    assert an.convert("store", "npz", "v.npz").notes == (
        "judgments are beside the file: an npz has arrays alone",
    )
