"""Bad input: one clear line on stderr, exit code 2, no traceback, nothing finished lost."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from anisotropy.cli import main
from tests.making import make_checkpoint, make_collection


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint, a collection and a store, all fine."""
    folder = tmp_path_factory.mktemp("good")
    make_checkpoint(folder / "ance.ckpt")
    make_collection(folder / "data", n_documents=90, n_queries=12)
    words = ["encode", "ance.ckpt", "--data", "data", "--out", "store", "--device", "cpu"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ANISOTROPY_CACHE", str(folder / "cache"))
        assert main([*words, "--quiet"]) == 0
    return folder


@pytest.fixture
def here(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the good folder, to be broken; the current folder."""
    shutil.copytree(good, tmp_path / "w")
    monkeypatch.chdir(tmp_path / "w")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "w"


def complain(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    """Run, and return the one line that is said."""
    code = main([*words, "--quiet"] if words[0] != "--nothing" else words)
    out, err = capsys.readouterr()
    assert code == 2, err
    assert out == ""
    assert err.endswith("\n")
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    return err


def cut(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-200])


def remove(*names: str) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return act


def write(name: str, content: str | bytes) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return act


def drop_tensor(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    path = folder / "ance.ckpt/model.safetensors"
    tensors = load_file(path)
    del tensors["embeddingHead.weight"]
    save_file(tensors, path)


def nan_in_store(folder: Path) -> None:
    path = folder / "store/documents/embeddings-00000.npy"
    array = np.load(path)
    array[5, 0] = np.nan
    np.save(path, array)


def single_file(folder: Path) -> None:
    shutil.copy(folder / "ance.ckpt/model.safetensors", folder / "single.ckpt")


def corrupt_zip(folder: Path) -> None:
    with zipfile.ZipFile(folder / "x.zip", "w") as archive:
        archive.write(folder / "ance.ckpt/config.json", "A (B)/config.json")
    content = (folder / "x.zip").read_bytes()
    (folder / "x.zip").write_bytes(content[: len(content) // 2])


def other_dim(folder: Path) -> None:
    manifest = json.loads((folder / "store/manifest.json").read_text())
    path = folder / "store/queries/embeddings-00000.npy"
    np.save(path, np.load(path)[:, :8])
    manifest["sides"]["queries"]["shards"][0]["bytes"] = path.stat().st_size
    (folder / "store/manifest.json").write_text(json.dumps(manifest))


ANALYZE = ["analyze", "ance.ckpt", "--data", "data", "--device", "cpu"]
STORE = ["analyze", "store", "--data", "data"]
CASES: dict[str, tuple[Callable[[Path], None] | None, list[str], str]] = {
    "missing path": (None, ["analyze", "nowhere", "--data", "data"], "nowhere"),
    "missing data": (None, ["analyze", "ance.ckpt", "--data", "nowhere"], "nowhere"),
    "empty folder": (
        lambda f: (f / "empty").mkdir(),
        ["analyze", "empty", "--data", "data"],
        "empty",
    ),
    "empty data": (
        lambda f: (f / "empty").mkdir(),
        ["analyze", "ance.ckpt", "--data", "empty"],
        "empty",
    ),
    "corrupt zip": (corrupt_zip, ["analyze", "x.zip", "--data", "data"], "x.zip"),
    "truncated weights": (cut("ance.ckpt/model.safetensors"), ANALYZE, "model.safetensors"),
    "missing tensor": (drop_tensor, ANALYZE, "embeddingHead.weight"),
    "missing tokenizer": (
        remove("ance.ckpt/vocab.json", "ance.ckpt/merges.txt"),
        ANALYZE,
        "tokenizer",
    ),
    "single file without tokenizer": (
        single_file,
        ["analyze", "single.ckpt", "--data", "data"],
        "--tokenizer",
    ),
    "broken json": (
        write("data/corpus.jsonl", '{"_id": "d0", "text": "x"}\n{"_id": "d1", '),
        ANALYZE,
        "corpus.jsonl, line 2",
    ),
    "two dimensions in one space": (other_dim, STORE, "embeddings-00000.npy"),
    "nan in embeddings": (nan_in_store, STORE, "documents row 5 has NaN"),
    "cut store": (cut("store/documents/embeddings-00000.npy"), STORE, "cut short"),
    "unfinished store": (
        lambda f: (f / "store/manifest.json").rename(f / "store/unfinished.jsonl"),
        STORE,
        "unfinished",
    ),
    "unknown measure": (None, [*STORE, "--measures", "mean_cosin"], "'mean_cosine'"),
    "unknown parameter": (None, [*STORE, "--measures", "uniformity(q=2)"], "uniformity"),
    "unknown recipe": (None, [*ANALYZE, "--recipe", "dans"], "'dance'"),
    "unknown command": (None, ["compar"], "'compare'"),
    "unknown option": (None, ["analyze", "store", "--dat", "x"], "mean --data"),
    "unknown split": (None, [*ANALYZE, "--split", "tset"], "tset"),
    "unknown projection": (None, [*STORE, "--projection", "tnse"], "'tsne'"),
    "unknown format": (None, [*STORE, "--format", "tabel"], "'table'"),
    "negative length": (None, [*ANALYZE, "--max-query-length", "-3"], "-3"),
    "no whole number": (None, [*ANALYZE, "--max-query-length", "x"], "max-query-length"),
    "negative seed": (None, [*STORE, "--seed", "-1"], "seed"),
    "zero documents": (None, [*ANALYZE, "--documents", "0"], "documents"),
    "documents a word": (None, [*ANALYZE, "--documents", "many"], "many"),
    "zero batch": (None, [*ANALYZE, "--batch-size", "0"], "batch size"),
    "unknown device": (None, [*ANALYZE[:-1], "gpu9"], "gpu9"),
    "unknown dtype": (None, [*ANALYZE, "--dtype", "float8"], "float8"),
    "compare without b": (None, ["compare", "--a", "store"], "--b"),
    "encode without out": (None, ["encode", "ance.ckpt", "--data", "data"], "--out"),
    "encode into a used folder": (
        None,
        ["encode", "ance.ckpt", "--data", "data", "--out", "data"],
        "other files",
    ),
    "train without a stage": (
        None,
        ["train", "--out", "x"],
        "train needs a STAGE: warmup, ance, norm, dual or dance\n",
    ),
    "train an unknown stage": (None, ["train", "dans", "--out", "x"], "'dance'"),
    "inspect nothing": (None, ["inspect"], "inspect needs"),
    "inspect what is not there": (None, ["inspect", "nowhere"], "nowhere"),
    "measures of no name": (None, ["measures", "mean_cosin"], "'mean_cosine'"),
    "bad gate": (
        None,
        ["compare", "--a", "store", "--b", "store", "--fail-if", "delta nDCG < 0"],
        "not of the form",
    ),
    "bad gate quantity": (
        None,
        ["compare", "--a", "store", "--b", "store", "--fail-if", "dleta[x] < 0"],
        "'delta'",
    ),
    "config with an unknown key": (
        write("c.toml", 'spilt = "dev"\n'),
        [*STORE, "--config", "c.toml"],
        "'split'",
    ),
    "config with a list for a text": (
        write("c.toml", 'label_a = ["store"]\n'),
        ["compare", "--config", "c.toml"],
        "needed: str",
    ),
    "config with a truth value for a number": (
        write("c.toml", "seed = true\n"),
        [*STORE, "--config", "c.toml"],
        "needed: int",
    ),
    "config with a text for a list": (
        write("c.toml", 'fail_if = "x"\n'),
        ["compare", "--config", "c.toml"],
        "a list of texts",
    ),
    "a seed too large": (None, [*STORE, "--seed", "99999999999999999999"], "4294967295"),
    "a recipe for a store": (None, [*STORE, "--recipe", "dance"], "a store has its recipe"),
    "documents of a store": (None, [*STORE, "--documents", "3"], "a store has its documents"),
    "out is a file": (None, [*STORE, "--out", "data/corpus.jsonl"], "data/corpus.jsonl"),
    "no measures": (None, [*STORE, "--measures", ""], "measure"),
    "a path that is not UTF-8": (None, ["analyze", "caf\udce9"], "UTF-8"),
    "perplexity below 1": (None, [*STORE, "--perplexity", "0.5"], "perplexity"),
    "relevance level 0": (None, [*STORE, "--relevance-level", "0"], "relevance level"),
    "config of a wrong type": (
        write("c.toml", 'seed = "x"\n'),
        [*STORE, "--config", "c.toml"],
        "seed is 'x'",
    ),
    "config that is no TOML": (write("c.toml", "= ="), [*STORE, "--config", "c.toml"], "TOML"),
    "a hub id that is not there": (
        None,
        ["analyze", "no/such-model", "--data", "data"],
        "no/such",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_one_clear_line(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    break_it, words, said = CASES[name]
    if break_it is not None:
        break_it(here)
    before = sorted(p for p in here.rglob("*") if p.is_file())
    line = complain(capsys, words)
    assert said in line
    after = {p for p in here.rglob("*") if p.is_file() and "cache" not in p.parts}
    assert {p for p in before if "cache" not in p.parts} <= after


def test_no_command_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "compare" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    import anisotropy

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"anisotropy {anisotropy.__version__}\n"


def test_interrupt_is_130(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("anisotropy.collection.open_collection", stop)
    assert main([*STORE, "--quiet"]) == 130
    assert "interrupted; vectors that were encoded are kept" in capsys.readouterr().err


def test_a_collection_without_judgments_withholds_what_needs_them(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(here / "data/qrels")
    assert main([*ANALYZE, "--quiet", "--projection", "none", "--out", "out"]) == 0
    results = json.loads((here / "out/results.json").read_text())
    withheld = {row["measure"] for row in results["withheld"]}
    assert {"nDCG@10", "alignment(alpha=2)", "positive_percentile"} <= withheld
    measured = {row["measure"] for row in results["measurements"]}
    assert "mean_cosine" in measured
    assert not measured & withheld - {"mean_cosine"}


def test_different_dimensions_are_a_normal_comparison(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_checkpoint(here / "wide.ckpt", hidden=32)
    words = ["compare", "--a", "ance.ckpt", "--b", "wide.ckpt", "--data", "data", "--out", "out"]
    assert main([*words, "--device", "cpu", "--quiet", "--projection", "none"]) == 0
    results = json.loads((here / "out/results.json").read_text())
    withheld = {row["measure"] for row in results["withheld"]}
    assert "participation_ratio" in withheld
    compared = {row["measure"] for row in results["differences"]}
    assert {"mean_cosine", "nDCG@10"} <= compared
    assert "participation_ratio" not in compared
    assert "cka" in {row["measure"] for row in results["similarities"]}
