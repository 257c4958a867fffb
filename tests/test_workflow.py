"""From checkpoints to results: what is encoded, cached, doubted, gated, written and read back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import anisotropy as an
from anisotropy.cli import main
from anisotropy.errors import GateFailed, NotComparable, StoreError, UsageError
from anisotropy.gates import check_gates, parse_gates
from anisotropy.results import Results
from anisotropy.spaces.store import UnfinishedMark
from anisotropy.workflow import drawing
from anisotropy.workflow.writing import write
from tests.making import make_checkpoint, make_collection
from tests.measures.making import space

pytestmark = pytest.mark.usefixtures("few_figures")  # but for the first run, in `place`


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints, a collection, and the results of comparing them."""
    folder = tmp_path_factory.mktemp("place")
    make_checkpoint(folder / "ance.ckpt")
    make_checkpoint(folder / "dance.ckpt", "dance", seed=1)
    make_collection(folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ANISOTROPY_CACHE", str(folder / "cache"))
        assert main([*COMPARE, "--out", "out", "--quiet"]) == 0
    return folder


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    monkeypatch.setenv("ANISOTROPY_CACHE", str(place / "cache"))
    return place


COMPARE = ["compare", "--a", "ance.ckpt", "--b", "dance.ckpt", "--data", "data"]


def test_everything_promised_is_written(here: Path) -> None:
    out = here / "out"
    content = json.loads((out / "results.json").read_text())
    assert content["schema"] == "anisotropy.results/1"
    assert [space["label"] for space in content["spaces"]] == ["ance", "dance"]
    assert content["spaces"][1]["recipe"]["document_layernorm"] is False
    assert content["config"]["seed"] == 0
    assert content["collection"]["split"] == "dev"
    frame = pd.read_csv(out / "results.csv")
    assert len(frame) == len(content["measurements"])
    for curve in content["curves"]:
        assert len(pd.read_parquet(out / curve["file"])) > 0
    negatives = {"negative_probability", "items", "negative_profile", "mining"}
    names = {"spectrum", "dimensions", "distances", "queries", "coordinates", "changes"}
    names |= {"cosines", "k_occurrence"}
    assert names | negatives == {curve["name"] for curve in content["curves"]}
    figures = {path.name for path in (out / "figures").iterdir()}
    assert {"spectrum.pdf", "distances.png", "negative_probability.pdf", "tsne.png"} <= figures
    assert {"cosines.pdf", "hubness.png", "lorenz.pdf", "movement.png"} <= figures
    assert "negative_profile.png" in figures
    assert "b = " in (out / "config.toml").read_text()


def test_results_read_back(here: Path) -> None:
    results = Results.read(here / "out")
    content = json.loads((here / "out/results.json").read_text())
    assert json.loads(json.dumps(results.as_dict(), default=str).replace("NaN", "null")) == content
    assert len(results.query_values()) == 80
    assert len(results.queries()) == 40
    results.write(here / "again")
    assert (here / "again/results.json").read_bytes() == (here / "out/results.json").read_bytes()
    assert (here / "again/results.csv").read_bytes() == (here / "out/results.csv").read_bytes()


@pytest.mark.parametrize("fails", [False, True])
def test_figures_drawn_by_a_second_process_are_the_same(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    monkeypatch.undo()  # of a few figures
    monkeypatch.chdir(tmp_path)
    (tmp_path / "numpy.py").write_text("raise SystemExit('not this one')")
    monkeypatch.setattr("anisotropy.workflow.writing.cores", lambda: 2)
    asked: list[list[str]] = []
    start = subprocess.Popen

    def popen(words: list[str], **options: Any) -> Any:
        asked.append(words)
        return start([sys.executable, "-c", "raise SystemExit(3)"] if fails else words, **options)

    drawn_here: list[object] = []
    draw = drawing.draw
    monkeypatch.setattr(drawing, "draw", lambda *a: (drawn_here.append(a), draw(*a)))
    monkeypatch.setattr(subprocess, "Popen", popen)
    written = write(Results.read(here / "out"), tmp_path / "again")
    drawn = {path.name: path.read_bytes() for path in written}
    before = {path.name: path.read_bytes() for path in (here / "out" / "figures").iterdir()}
    assert {"report.html", *before} == set(drawn)
    assert all(drawn[name] == content for name, content in before.items())
    names = asked[0][asked[0].index("anisotropy.workflow.drawing") + 2 :]
    assert len(asked) == 1
    assert len(drawn_here) == fails
    assert 0.5 < len(names) * 2 / len(before) < 0.8


def test_the_same_run_twice_gives_the_same_numbers(here: Path) -> None:
    assert main([*COMPARE, "--out", "twice", "--quiet"]) == 0
    first, second = (Results.read(here / name) for name in ("out", "twice"))
    pd.testing.assert_frame_equal(first.measurements, second.measurements)
    pd.testing.assert_frame_equal(first.differences, second.differences)


def test_a_second_comparison_encodes_nothing_and_loads_no_torch(here: Path) -> None:
    program = (
        "import sys; from anisotropy.cli import main; "
        f"code = main({[*COMPARE, '--quiet', '--out', 'cached']!r}); "
        "assert code == 0; assert 'torch' not in sys.modules, 'torch'; "
        "assert 'sentence_transformers' not in sys.modules"
    )
    stores = {path: path.stat().st_mtime_ns for path in (here / "cache").rglob("*.npy")}
    assert len(stores) == 6
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in (here / "cache").rglob("*.npy")} == stores


def test_the_written_configuration_repeats_the_run(here: Path) -> None:
    assert main(["compare", "--config", "out/config.toml", "--out", "repeat", "--quiet"]) == 0
    first, second = (Results.read(here / name) for name in ("out", "repeat"))
    pd.testing.assert_frame_equal(first.differences, second.differences)


def test_a_silent_upstream_checkpoint_is_read_both_ways_and_doubted(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_checkpoint(tmp_path / "silent", seed=3)
    (tmp_path / "silent/recipe.json").unlink()
    silent = str(tmp_path / "silent")
    words = ["analyze", silent, "--data", "data", "--out", str(tmp_path / "out")]
    assert main([*words, "--quiet", "--projection", "none", "--max-document-length", "24"]) == 0
    (space,) = Results.read(tmp_path / "out").spaces
    (said,) = [doubt for doubt in space["recipe"]["doubts"] if "nDCG@10" in doubt]
    assert "ance" in said
    assert "dance" in said
    assert "--recipe" in said
    assert "IN DOUBT" in capsys.readouterr().out.split("isotropy")[0]
    settled = ["--recipe", "dance", "--max-document-length", "24"]
    assert main([*words, "--quiet", "--projection", "none", *settled]) == 0
    assert not Results.read(tmp_path / "out").spaces[0]["recipe"]["doubts"]
    encode = ["encode", silent, "--data", "data", "--out", str(tmp_path / "store"), "--quiet"]
    capsys.readouterr()
    assert main(encode) == 2
    assert "--recipe ance or --recipe dance" in capsys.readouterr().err


def test_the_reading_that_ranks_better_is_taken(here: Path, tmp_path: Path) -> None:
    from anisotropy.opening import EncoderOptions, open_space

    make_checkpoint(tmp_path / "silent", seed=3)
    (tmp_path / "silent/recipe.json").unlink()
    collection = an.open_collection(here / "data")
    lengths = {"max_document_length": 24}
    values = {}
    for recipe in ("ance", "dance", None):
        options = EncoderOptions(recipe=recipe, overrides=lengths, device="cpu")
        space = open_space(tmp_path / "silent", collection, encoder=options)
        (value,) = an.measure(space, ["nDCG@10"]).query("side == 'ranking'").value
        values[recipe] = value
    assert values[None] == max(values.values())


GATES = [
    ("delta[ranking.recipe.nDCG@10] < -2", False),
    ("delta[ranking.recipe.nDCG@10] > -2", True),
    ("value[a.queries.unit.mean_cosine] > 2", False),
    ("value[dance.queries.unit.mean_cosine] <= 1", True),
    ("similarity[documents.mutual_knn(k=10)] >= 0", True),
    ("ci_high[ranking.recipe.nDCG@10] < -2", False),
]


@pytest.mark.parametrize(("text", "fires"), GATES)
def test_gates(here: Path, text: str, fires: bool) -> None:
    results = Results.read(here / "out")
    gates = parse_gates([text])
    if fires:
        with pytest.raises(GateFailed, match="gate failed"):
            check_gates(results, gates)
    else:
        assert check_gates(results, gates) == 0


@pytest.mark.parametrize(
    "text",
    [
        "delta[ranking.recipe.nDCG@11] < 0",
        "value[c.queries.unit.mean_cosine] > 0",
        "ci_low[documents.unit.mean_cosine] > 0",
        "delta[queries.raw.partition_isotropy] > 0",
    ],
)
def test_gates_over_what_is_not_there_are_bad_input(here: Path, text: str) -> None:
    with pytest.raises(UsageError, match="gate"):
        check_gates(Results.read(here / "out"), parse_gates([text]))


def test_a_gate_over_a_doubtful_space_is_bad_input(here: Path) -> None:
    results = Results.read(here / "out")
    results.spaces[0]["recipe"]["doubts"] = ["which?"]
    with pytest.raises(UsageError, match="in doubt"):
        check_gates(results, parse_gates(["delta[ranking.recipe.nDCG@10] < 0"]))


def test_a_failed_gate_is_exit_code_1_and_the_results_are_there(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = "delta[ranking.recipe.nDCG@10] > -2"
    words = [*COMPARE, "--quiet", "--projection", "none", "--out", "gated", "--fail-if", gate]
    assert main(words) == 1
    assert capsys.readouterr().err == f"anisotropy: gate failed: {gate}\n"
    assert (here / "gated/report.html").exists()


@pytest.mark.parametrize("layout", ["json", "csv", "latex", "markdown"])
def test_formats(here: Path, capsys: pytest.CaptureFixture[str], layout: str) -> None:
    words = ["analyze", "ance.ckpt", "--data", "data", "--projection", "none", "--quiet"]
    assert main([*words, "--out", "f", "--format", layout, "--measures", "mean_cosine"]) == 0
    out = capsys.readouterr().out
    assert "mean_cosine" in out or "mean\\_cosine" in out
    if layout == "json":
        assert json.loads(out)["schema"] == "anisotropy.results/1"


def test_a_folder_of_checkpoints_is_a_series_in_numeric_order(here: Path, tmp_path: Path) -> None:
    for step in (20, 100, 3):
        make_checkpoint(tmp_path / f"run/checkpoint-{step}", seed=step)
    words = ["analyze", str(tmp_path / "run"), "--data", "data", "--projection", "none"]
    assert main([*words, "--out", str(tmp_path / "o"), "--quiet"]) == 0
    labels = Results.read(tmp_path / "o").labels
    assert labels == ["run/checkpoint-3", "run/checkpoint-20", "run/checkpoint-100"]


def test_from_python(here: Path, tmp_path: Path) -> None:
    a = an.open("ance.ckpt", "data", device="cpu")
    b = an.open("dance.ckpt", "data", device="cpu")
    results = an.compare(a, b, projections=())
    saved = Results.read(here / "out")
    pd.testing.assert_frame_equal(results.differences, saved.differences)
    assert results.report(tmp_path / "r.html").exists()
    law = an.negative_probability(a, k=5)
    assert law.probability.sum() == pytest.approx(1)
    assert set(law.id) == set(a.mining.query_ids)
    assert a.distances("dev0", to="positives").text[0].startswith("the apple")
    with pytest.raises(UsageError, match="did you mean 'queries'"):
        an.negative_probability(a, "querie")  # type: ignore[arg-type]


def test_a_store_opens_as_it_is(here: Path, tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    assert main(["encode", "dance.ckpt", "--data", "data", "--out", store, "--quiet"]) == 0
    space = an.open(store, None)
    twin = an.open("dance.ckpt", "data", device="cpu")
    assert np.array_equal(np.asarray(space.documents), np.asarray(twin.documents))
    assert space.fingerprint == twin.fingerprint


def test_a_failed_comparison_measures_no_more_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    spaces = [space(seed=seed, label=f"{name}{seed}", fingerprint=f"{name}{seed}")
              for name in ("ance", "dance") for seed in (1, 2, 3)]  # fmt: skip
    begun: list[str] = []

    def measure(space: Any, *rest: Any) -> None:
        begun.append(space.label)
        time.sleep(0.2)
        raise UsageError("not today")

    monkeypatch.setattr("anisotropy.workflow.comparing.measure_one", measure)
    with pytest.raises(UsageError, match="not today"):
        an.compare(spaces[:3], spaces[3:], projections=())
    assert len(begun) <= 3


def test_different_collections_do_not_compare(here: Path, tmp_path: Path) -> None:
    make_collection(tmp_path / "other", n_documents=200)
    a = an.open("ance.ckpt", "data", device="cpu")
    b = an.open("dance.ckpt", tmp_path / "other", device="cpu")
    with pytest.raises(NotComparable, match="of different collections"):
        an.compare(a, b, projections=())
    both = an.compare(a, b, projections=(), on_mismatch="intersect")
    assert {space["counts"]["documents"] for space in both.spaces} == {200}


def test_stores_alone_are_reported_as_what_they_are(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = str(tmp_path / "store")
    assert main(["encode", "ance.ckpt", "--data", "data", "--out", store, "--quiet"]) == 0
    words = ["analyze", store, "--quiet", "--projection", "none", "--out", str(tmp_path / "o")]
    assert main(words) == 0
    collection = Results.read(tmp_path / "o").collection
    assert (collection["name"], collection["split"]) == ("data", "dev")
    make_collection(tmp_path / "other", n_documents=200)
    capsys.readouterr()
    assert main([*words, "--data", str(tmp_path / "other")]) == 2
    assert "not of the collection given" in capsys.readouterr().err


def test_a_subcollection_is_called_one(here: Path, tmp_path: Path) -> None:
    words = ["analyze", "ance.ckpt", "--data", "data", "--documents", "20", "--quiet"]
    assert main([*words, "--projection", "none", "--out", str(tmp_path / "o")]) == 0
    assert Results.read(tmp_path / "o").collection["documents_option"] == "20"
    assert "subcollection" in (tmp_path / "o/report.html").read_text()


def test_too_few_points_for_a_map_leave_the_results(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    space = an.EmbeddingSpace(rng.normal(size=(2, 4)), rng.normal(size=(2, 4)))
    results = an.analyze([space])
    assert any("no map" in line for line in results.warnings)
    assert len(results.rows) > 0


def test_labels_must_differ_and_are_numbered_from_python() -> None:
    rng = np.random.default_rng(0)
    spaces = [
        an.EmbeddingSpace(rng.normal(size=(9, 4)), rng.normal(size=(9, 4))) for _ in range(2)
    ]
    assert an.analyze(spaces, projections=()).labels == ["space (1)", "space (2)"]
    assert [space.label for space in spaces] == ["space", "space"]
    assert an.analyze(spaces[0], projections=()).labels == ["space"]
    with pytest.raises(NotComparable, match="two spaces are labeled 'space'"):
        an.workflow.analyze(spaces)  # type: ignore[attr-defined]


def test_a_damaged_store_in_the_cache_is_encoded_again(here: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANISOTROPY_CACHE", str(tmp_path / "cache"))
        first = np.array(an.open("ance.ckpt", "data", device="cpu").documents)
        (shard,) = (tmp_path / "cache/stores").glob("*/documents/embeddings-00000.npy")
        shard.write_bytes(shard.read_bytes()[:-100])
        again = np.asarray(an.open("ance.ckpt", "data", device="cpu").documents)
    assert np.array_equal(first, again)


def test_verify_reaches_every_command_that_opens_a_store(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    assert main(["encode", "ance.ckpt", "--data", "data", "--out", str(store), "--quiet"]) == 0
    shard = store / "documents/embeddings-00000.npy"
    rows = np.load(shard)
    rows[0, 0] += 1
    np.save(shard, rows)
    fast = ["--quiet", "--projection", "none", "--measures", "mean_cosine"]
    commands = {
        "analyze": ["analyze", str(store), *fast, "--out", str(tmp_path / "a")],
        "compare": ["compare", "--a", str(store), "--b", str(store), *fast],
        "explore": ["explore", str(store), "--projection", "pca", "--quiet"],
        "inspect": ["inspect", str(store)],
    }
    commands["compare"] += ["--out", str(tmp_path / "c")]
    commands["explore"] += ["--out", str(tmp_path / "e.html")]
    assert main(commands["analyze"]) == 0
    for words in commands.values():
        capsys.readouterr()
        assert main([*words, "--verify"]) == 2
        message = capsys.readouterr().err
        assert message.startswith(f"anisotropy: {shard}: its checksum is not the one in manifest")
        assert message.count("\n") == 1
    with pytest.raises(StoreError, match="checksum"):
        an.open(store, None, verify=True)


def test_who_waits_for_another_process_says_so(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANISOTROPY_CACHE", str(tmp_path))
    an.open("ance.ckpt", "data", device="cpu")
    (folder,) = (tmp_path / "stores").iterdir()
    (folder / "qrels.tsv").unlink()  # has to be encoded again
    mark = UnfinishedMark(folder).take()
    mark.begin({})
    thread = threading.Timer(0.5, mark.release)
    thread.start()
    with pytest.warns(UserWarning, match=r"ance\.ckpt: waiting for another process") as caught:
        an.open("ance.ckpt", "data", device="cpu")
    thread.join()
    assert len(caught) == 1
    assert str(folder) in str(caught[0].message)


def test_equal_scores_follow_the_rule_of_rankings() -> None:
    documents = np.ones((3, 2))
    space = an.EmbeddingSpace(np.ones((1, 2)), documents, doc_ids=["a", "c", "b"])
    assert list(space.neighbors("0", k=3).doc_id) == ["c", "b", "a"]


@pytest.mark.parametrize("command", [["ance.ckpt"], ["data"], ["store"]])
def test_inspect(here: Path, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    if not (here / "store").exists():
        main(["encode", "ance.ckpt", "--data", "data", "--out", "store", "--quiet"])
        capsys.readouterr()
    assert main(["inspect", *command]) == 0
    kind = {"ance.ckpt": "checkpoint", "data": "collection", "store": "store"}[command[0]]
    assert capsys.readouterr().out.splitlines()[0].split() == ["kind", kind]
    assert main(["inspect", *command, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == kind


def test_sharded_stores_give_the_same_numbers(here: Path, tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    command = ["encode", "ance.ckpt", "--data", "data", "--out", store, "--shard-size", "50"]
    assert main([*command, "--quiet"]) == 0
    sharded = an.open(store, None)
    assert isinstance(sharded.documents, an.spaces.ShardedRows)  # type: ignore[attr-defined]
    whole = an.open("ance.ckpt", "data", device="cpu")
    a, b = an.measure(sharded), an.measure(whole)
    columns = ["value", "se", "ci_low", "null_mean"]
    # Other batches give other last digits, which roots of small distances make larger.
    assert np.allclose(a[columns], b[columns], rtol=1e-4, atol=1e-9, equal_nan=True)
