"""``reproduce`` in small: everything trained, everything given, taken up again, refused."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import anisotropy as an
from anisotropy.cli import main
from anisotropy.collection import open_collection
from anisotropy.comparison import paper_claims
from anisotropy.comparison.claims import METHODS
from anisotropy.errors import UsageError
from anisotropy.files import sha256_file
from anisotropy.opening import EncoderOptions, encode_to_store
from anisotropy.plots import FIGURES
from anisotropy.report.claims_tables import claims_markdown
from anisotropy.reproduction import Given, make_plan
from anisotropy.reproduction.plan import finished
from anisotropy.reproduction.reproducing import _label, _notes, _open, _seeds, _train
from anisotropy.results import Results
from anisotropy.training import stage_configs
from anisotropy.training.checkpoints import TrainingFolder
from tests.making import make_checkpoint
from tests.training.conftest import write_collection

STAGE = "batch_size = 12\ndepth = 20\nkept = 5\nrefresh_steps = 1\nwarmup_steps = 1\n"
CONFIG = f"""
[sizes]
vocabulary = 330
hidden = 16
intermediate = 16
[warmup]
steps = 3
batch_size = 12
[ance]
steps = 2
{STAGE}
[norm]
steps = 1
{STAGE}
[dual]
steps = 2
{STAGE}
"""
FILES = [
    "ance", "ance-continued", "ance-continued-first", "ance-dual", "ance-norm", "dance",
    "dance-symmetric", "dual-first", "norm-first", "symmetric-first", "warm-start",
]  # fmt: skip
WORDS = ["reproduce", "--data", "data", "--training", "c.toml", "--measures", "mean_cosine"]


@pytest.fixture(scope="module", autouse=True)
def _claims_figure_alone() -> Any:
    """The other figures have tests of their own, and take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        chosen = {"claims": FIGURES["claims"]}
        for module in ("anisotropy.plots.save.FIGURES",):
            patch.setattr(module, chosen)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seeds of everything, from scratch."""
    folder = tmp_path_factory.mktemp("reproduce")
    write_collection(folder / "data", 60, 8, n_test=24)
    (folder / "c.toml").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ANISOTROPY_CACHE", str(folder / "cache"))
        assert main([*WORDS, "--out", "out", "--quiet"]) == 0
    return folder


@pytest.fixture(scope="module")
def known(place: Path) -> Results:
    return Results.read(place / "out")


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    monkeypatch.setenv("ANISOTROPY_CACHE", str(place / "cache"))
    return place


def test_everything_promised_is_written(here: Path) -> None:
    out = here / "out"
    assert sorted(p.name for p in (out / "checkpoints").iterdir()) == ["0", "1", "2"]
    for seed in "012":
        names = sorted(p.stem for p in (out / "checkpoints" / seed).iterdir())
        assert names == FILES
    for name in ("results.csv", "report.html", "differences.csv", "config.toml", "run.json"):
        assert (out / name).is_file()
    assert {p.name for p in (out / "figures").iterdir()} == {"claims.pdf", "claims.png"}
    assert (out / "claims.json").read_text() == paper_claims(10).text()


def test_claims_are_decided_over_seeds_and_for_each_seed(here: Path, known: Results) -> None:
    results = known
    main_records = [r for r in results.claims if r["main"]]
    assert {r["claim"] for r in main_records} == {"a0", "a", "b", "c", "d", "e", "f"}
    assert {(r["scope"], r["seed"]) for r in main_records} == {
        ("method", None), ("checkpoints", 0), ("checkpoints", 1), ("checkpoints", 2),
    }  # fmt: skip
    names = list(dict.fromkeys(r["contrast"] for r in results.claims))
    assert names == [contrast.name for contrast in paper_claims().contrasts]
    for record in results.claims:
        for part in record["parts"]:
            if record["scope"] == "method" and part["measure"] != "margin":
                assert (part["unit"], part["n"]) == ("seed", 3)
    assert json.loads((here / "out/run.json").read_text())["claims_sha256"] == sha256_file(
        here / "out/claims.json"
    )
    assert results.config["claims_sha256"] == sha256_file(here / "out/claims.json")


def test_claims_agree_with_the_measurements(here: Path, known: Results) -> None:
    results = known
    record = next(r for r in results.claims if r["claim"] == "f" and r["seed"] == 1 and r["main"])
    values = {r.space: r.value for r in results.rows if r.measure == "nDCG@10"
              and r.side == "ranking"}  # fmt: skip
    part = record["parts"][0]
    assert part["delta"] == pytest.approx(values["DANCE seed 1"] - values["ANCE seed 1"])
    over = next(r for r in results.claims if r["claim"] == "f" and r["scope"] == "method")
    assert over["parts"][0]["value"] == pytest.approx(values["DANCE"])
    assert values["DANCE"] == pytest.approx(sum(values[f"DANCE seed {i}"] for i in range(3)) / 3)


def test_methods_take_equal_steps_and_differ_in_loss_and_head(here: Path, known: Results) -> None:
    results = known
    steps = {space["method"]: space["steps_after_ance"] for space in results.spaces}
    assert steps == {
        "warm start": None, "ANCE": 0, "ANCE continued": 3, "ANCE w. Norm": 3,
        "ANCE w. Dual": 3, "DANCE": 3, "DANCE symmetric": 3, "step 0": 0,
    }  # fmt: skip
    stages = {
        "ance-continued": ("ance", "ance-continued-first", 2, "dot_product", 0.0),
        "ance-norm": ("norm", "norm-first", 2, "cosine", 0.0),
        "norm-first": ("norm", "ance", 1, "cosine", 0.0),
        "ance-dual": ("dual", "dual-first", 2, "dot_product", 0.1),
        "dual-first": ("dual", "ance", 1, "dot_product", 0.1),
        "dance": ("dual", "norm-first", 2, "cosine", 0.1),
        "dance-symmetric": ("dual", "symmetric-first", 2, "cosine", 0.1),
    }
    for name, (stage, start, count, form, weight) in stages.items():
        record = json.loads((here / f"out/checkpoints/1/{name}.ckpt/training.json").read_text())
        (made,) = (one["config"] for one in record["stages"])
        assert (made["stage"], made["steps"], made["form"]) == (stage, count, form)
        assert made["dual_weight"] == weight
        assert Path(record["start"]).name == f"{start}.ckpt"
        assert record["seed"] == 1
    recipes = {space["method"]: space["recipe"] for space in results.spaces}
    read = {m: (r["normalize"], r["document_layernorm"]) for m, r in recipes.items()}
    assert read["ANCE"] == read["ANCE w. Dual"] == read["ANCE continued"] == (False, True)
    assert read["DANCE"] == read["step 0"] == read["ANCE w. Norm"] == (True, False)
    assert read["DANCE symmetric"] == (True, True)


def test_tables_have_a_row_a_method(here: Path, known: Results) -> None:
    results = known
    for name in ("effectiveness", "ablation"):
        rows = list(csv.reader((here / f"out/tables/{name}.csv").read_text().splitlines()))
        assert [row[0] for row in rows[1:]] == list(METHODS)
        latex = (here / f"out/tables/{name}.tex").read_text()
        assert all(method in latex for method in METHODS)
        assert latex.count(r"\\") >= 10
        assert {len(row) for row in rows} == {len(rows[0])}
    lines = list(csv.DictReader((here / "out/tables/claims.csv").read_text().splitlines()))
    assert len(lines) == sum(len(record["parts"]) for record in known.claims)
    assert (here / "out/tables/claims.md").read_text() == claims_markdown(known)
    rows = list(csv.DictReader((here / "out/tables/effectiveness.csv").read_text().splitlines()))
    row = next(r for r in results.rows if (r.space, r.side, r.measure) == (
        "ANCE w. Norm", "ranking", "nDCG@10"))  # fmt: skip
    found = rows[METHODS.index("ANCE w. Norm")]
    assert float(found["ranking nDCG@10 (recipe)"]) == row.value
    assert float(found["ranking nDCG@10 (recipe) ci_low"]) == row.ci_low
    assert found["steps_after_ance"] == "3"
    assert (row.unit, row.n) == ("seed", 3)


def test_the_report_opens_with_the_claims(here: Path, known: Results) -> None:
    html = (here / "out/report.html").read_text()
    assert html.index('id="claims"') < html.index('id="headline"')
    results = known
    for record in (r for r in results.claims if r["main"]):
        assert record["text"].replace("'", "&#39;") in html
    assert 'id="figure-claims"' in html


def trained(folder: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("model.safetensors")}


def test_finished_checkpoints_are_used_again_and_claims_are_printed(
    here: Path, known: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "again"
    (out / "checkpoints").mkdir(parents=True)
    shutil.copytree(here / "out/checkpoints/2", out / "checkpoints/2")
    assert 'training = "c.toml"' in (here / "out/config.toml").read_text()
    for name in ("claims.json", "run.json"):
        shutil.copy(here / "out" / name, out / name)
    shutil.rmtree(out / "checkpoints/2/dance.ckpt")
    before = trained(out)
    words = ["reproduce", "--config", "out/config.toml", "--out", str(out), "--seeds", "2"]
    assert main(words) == 0
    said, err = capsys.readouterr()
    after = trained(out)
    assert {name for name in after if after[name] != before.get(name)} == {
        str(out / "checkpoints/2/dance.ckpt/model.safetensors")
    }
    assert err.count("training ") == 1
    assert "seed 2: training dance" in err
    first = [r for r in known.claims if r["seed"] == 2]
    second = [r for r in Results.read(out).claims if r["seed"] == 2]
    assert first == second
    for line in ("a0  ANCE's query space is anisotropic", "for the method:",
                 "for these checkpoints:", "DANCE - ANCE continued", "+ supported"):  # fmt: skip
        assert line in said


def test_an_interrupted_run_has_its_claims_written_first(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("anisotropy.training.stages.train", stop)
    assert main([*WORDS, "--out", "stopped", "--quiet"]) == 130
    assert (here / "stopped/claims.json").read_text() == paper_claims(10).text()
    assert not (here / "stopped/results.json").exists()


METHOD_FILES = {"ance": "ance", "norm": "ance-norm", "dual": "ance-dual", "dance": "dance"}


def test_given_checkpoints_are_used_and_nothing_is_trained(
    here: Path, known: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr("anisotropy.training.stages.train", never)
    words = [
        word
        for option, name in METHOD_FILES.items()
        for word in (f"--{option}", f"out/checkpoints/1/{name}.ckpt")
    ]
    start = ["--start", "out/checkpoints/1/warm-start.ckpt"]
    out = tmp_path / "given"
    assert main([*WORDS, *words, *start, "--out", str(out), "--quiet"]) == 0
    assert not (out / "checkpoints").exists()
    results = Results.read(out)
    labels = ["warm start", "ANCE", "ANCE w. Norm", "ANCE w. Dual", "DANCE", "step 0"]
    assert results.labels == labels
    assert [space["seed"] for space in results.spaces] == [0] * 6
    assert {s["steps_after_ance"] for s in results.spaces} == {0, None}
    for claim, contrast in (("a", "DANCE - ANCE"), ("f", "DANCE - ANCE w. Norm")):
        one, two = (
            next(r["parts"] for r in found.claims
                 if (r["claim"], r["contrast"], r["seed"]) == (claim, contrast, seed))
            for found, seed in ((known, 1), (results, 0))
        )  # fmt: skip
        assert one == two
    methods = [r for r in results.claims if r["scope"] == "method"]
    assert {r["outcome"] for r in methods} == {"undecided"}
    assert "1 seed(s); a method needs 3 or more" in methods[0]["note"]
    c = next(r for r in results.claims if r["claim"] == "c" and r["seed"] == 0)
    assert c["outcome"] == "undecided"
    assert "whole collection" in c["note"]


def test_one_warm_start_of_all_seeds_is_one_space() -> None:
    """Two given seeds and a shared start: measured once, held against both."""
    assert _seeds(Given(ance=("a", "b"), start="w"), None) == [0, 1]
    assert _label("warm start", 0, [0, 1], shared=True) == "warm start"


def complain(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    code = main([*words, "--quiet"])
    out, err = capsys.readouterr()
    assert code == 2, err
    assert out == ""
    assert err.count("\n") == 1, err
    return err


BAD: dict[str, tuple[list[str], str]] = {
    "unknown claims key": (["--claims", "bad-claims.json"], "'margins'"),
    "missing claims": (["--claims", "nowhere.json"], "nowhere.json"),
    "unequal seeds": (
        ["--ance", "x", "y", "--dance", "z"], "2 of ANCE, 1 of DANCE; allowed: as many of each",
    ),
    "the same twice": (["--ance", "x", "x"], "got 'x' twice"),
    "seeds of given": (["--ance", "x", "--seeds", "0", "1"], "seeds: got 2, but 1 of ANCE"),
    "seeds twice": (["--seeds", "1", "1"], "different whole numbers"),
    "negative seed": (["--seeds", "-1"], "seed: got -1"),
    "no such split": (["--split", "tset"], "'test'"),
    "unknown table": (["--training", "bad.toml"], "'norm'"),
    "unknown size": (["--training", "size.toml"], "'hidden'"),
    "unknown key": (["--training", "key.toml"], "'steps'"),
    "another head": (["--training", "head.toml"], "ance: head: got 'dance'; allowed in a repr"),
    "another form": (["--training", "form.toml"], "dual: form: got 'cosine'"),
    "selected": (["--training", "best.toml"], "norm: select: got 'best'"),
    "unknown option": (["--config", "command.toml"], "'training'"),
    "seeds that are no numbers": (["--config", "types.toml"], "needed: a list of whole numbers"),
    "checkpoints in no list": (["--config", "list.toml"], "needed: a list of texts"),
    "given is nothing": (["--ance", "nowhere.ckpt"], "nowhere.ckpt"),
    "start is nothing": (["--start", "nowhere.ckpt"], "nowhere.ckpt"),
    "out is a file": (["--out", "c.toml"], "c.toml is a file"),
    "out in the way": (["--out", "data"], "holds other files"),
    "unknown measure": (["--measures", "mean_cosin"], "'mean_cosine'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "bad-claims.json").write_text('{"margin": {}}')
    (here / "bad.toml").write_text("[nrom]\nsteps = 1\n")
    (here / "size.toml").write_text("[sizes]\nhiden = 16\n")
    (here / "key.toml").write_text("[norm]\nstep = 1\n")
    (here / "head.toml").write_text('[ance]\nhead = "dance"\n')
    (here / "form.toml").write_text('[dual]\nform = "cosine"\n')
    (here / "best.toml").write_text('[norm]\nselect = "best"\n')
    (here / "command.toml").write_text('trainings = "c.toml"\n')
    (here / "types.toml").write_text("seeds = [1, true]\n")
    (here / "list.toml").write_text('dance = "x"\n')
    words, said = BAD[name]
    out = [] if "--out" in words else ["--out", "never"]
    assert said in complain(capsys, [*WORDS, *words, *out])
    assert not (here / "never").exists()


def test_a_collection_without_test_or_training_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split, said in (("test", "unknown split"), ("train", "no training split")):
        shutil.copytree(here / "data", here / split)
        (here / split / f"qrels/{split}.tsv").unlink()
        assert said in complain(capsys, [*WORDS, "--data", split, "--out", "never"])
        shutil.rmtree(here / split)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: (f / "claims.json").write_text("{}"), "changed after the run started"),
        (lambda f: (f / "claims.json").unlink(), "changed after the run started"),
        (lambda f: (f / "run.json").write_text("[]"), "not of format"),
    ],
)
def test_changed_claims_are_refused(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any, said: str
) -> None:
    for name in ("claims.json", "run.json"):
        shutil.copy(here / "out" / name, tmp_path / name)
    change(tmp_path)
    assert said in complain(capsys, [*WORDS, "--out", str(tmp_path)])


def test_a_run_killed_before_its_record_goes_on(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("anisotropy.training.stages.train", stop)
    words = [*WORDS, "--out", str(tmp_path), "--quiet"]
    shutil.copy(here / "out/claims.json", tmp_path / "claims.json")
    (tmp_path / ".run.json.x").touch()
    (tmp_path / "notes.txt").touch()
    assert "holds other files" in complain(capsys, words)
    (tmp_path / "notes.txt").unlink()
    (tmp_path / "claims.json").write_bytes(b"\xff")
    assert "other claims" in complain(capsys, words)
    assert not (tmp_path / "run.json").exists()
    shutil.copy(here / "out/claims.json", tmp_path / "claims.json")
    assert main(words) == 130
    assert (tmp_path / "run.json").read_bytes() == (here / "out/run.json").read_bytes()


def test_other_margins_are_another_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "m.json").write_text('{"margins": {"ranking.recipe.nDCG@10": 0.5}}')
    line = complain(capsys, [*WORDS, "--claims", "m.json", "--out", "out"])
    assert "changed after the run started" in line


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[ance]\nsteps = 2", "[ance]\nsteps = 3", "steps 2, asked for 3"),
        ("hidden = 16", "hidden = 32", "sizes"),
    ],
)
def test_another_configuration_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str
) -> None:
    assert old in CONFIG
    (here / "other.toml").write_text(CONFIG.replace(old, new))
    words = ["reproduce", "--data", "data", "--training", "other.toml", "--out", "out"]
    assert said in complain(capsys, words)


def test_a_checkpoint_is_finished_when_its_history_is(here: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(here / "out/checkpoints/1/dance.ckpt", tmp_path / "dance.ckpt")
    leg = next(leg for leg in make_plan("c.toml").legs() if leg.name == "dance")
    fingerprint = open_collection("data", split="test").fingerprint
    start = tmp_path / "norm-first.ckpt"
    assert finished(folder, leg, 1, start, fingerprint)
    recorded = replace(leg, values={**leg.values, "save_steps": 1, "tensorboard": True})
    assert finished(folder, recorded, 1, start, fingerprint)
    with pytest.raises(UsageError, match="batch_size 12, asked for 13"):
        finished(folder, replace(leg, values={**leg.values, "batch_size": 13}), 1, start,
                 fingerprint)  # fmt: skip
    with pytest.raises(UsageError, match=r"start .*norm-first\.ckpt, asked for .*other\.ckpt"):
        finished(folder, leg, 1, tmp_path / "other.ckpt", fingerprint)
    with pytest.raises(UsageError, match="another collection or split"):
        finished(folder, leg, 1, start, "0")
    lines = (folder / "history.csv").read_text().splitlines()
    (folder / "history.csv").write_text("\n".join(lines[:2]) + "\n")
    assert not finished(folder, leg, 1, start, fingerprint)


def test_a_checkpoint_of_another_seed_or_start_is_refused(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(here / "out", out)
    shutil.rmtree(out / "checkpoints/0")
    shutil.copytree(out / "checkpoints/1", out / "checkpoints/0")
    assert "seed 1, asked for 0" in complain(capsys, [*WORDS, "--out", str(out)])


def test_only_what_is_needed_is_trained() -> None:
    plan = make_plan()
    names = [leg.name for leg in plan.needed(["DANCE"], ["ANCE"])]
    assert names == ["norm-first", "dance"]
    assert plan.needed(["ANCE", "DANCE"], ["ANCE", "DANCE"]) == ()
    assert [leg.name for leg in plan.needed(["ANCE w. Dual"], ["warm start"])] == [
        "ance", "dual-first", "ance-dual",
    ]  # fmt: skip
    everything = plan.needed([m for m in METHODS if m != "step 0"], [])
    assert sorted(leg.name for leg in everything) == FILES
    assert plan.budget == 240


def test_a_plan_takes_what_is_given_over_the_demo() -> None:
    plan = make_plan({"norm": {"steps": 7}, "sizes": {"hidden": 64}})
    assert plan.config("norm")["steps"] == 7
    assert plan.config("norm")["batch_size"] == 128
    assert plan.sizes["hidden"] == 64
    legs = {leg.name: leg.steps for leg in plan.legs()}
    assert (legs["ance-continued-first"], legs["ance-continued"]) == (7, 120)


def test_methods_share_the_streams_of_a_part_and_parts_have_their_own() -> None:
    streams = {
        leg.name: stage_configs(leg.stage, leg.values)[0].stream for leg in make_plan().legs()
    }
    first = {name for name in streams if name.endswith("-first")}
    rest = set(streams) - first - {"warm-start", "ance"}
    assert [{streams[name] for name in names} for names in (first, rest)] == [{2}, {3}]
    assert (streams["warm-start"], streams["ance"]) == (0, 1)


def test_what_methods_differ_in_besides_loss_and_head_is_noted(here: Path) -> None:
    collection = open_collection("data", split="test")
    assert _notes(make_plan("c.toml"), collection) == _notes(make_plan(), collection) == []
    same = {"batch_size": 64, "accumulation": 2, "save_steps": 3, "steps": 9, "dual_weight": 0.3}
    assert _notes(make_plan({"dual": same}), collection) == []
    values = {"learning_rate": 0.5, "batch_size": 32, "refresh_steps": 7}
    lines = _notes(make_plan({"norm": values}), collection)
    assert [line.split(": ")[0] for line in lines] == [
        "ance, norm and dual differ in batch_size x accumulation (128, 32, 128)",
        "ance, norm and dual differ in learning_rate (0.0001, 0.5, 0.0001)",
        "ance, norm and dual differ in refresh_steps (60, 7, 60)",
    ]
    dev = _notes(make_plan(), open_collection("data", split="dev"))
    assert dev == ["claims are decided on split dev, not on test"]


def test_step_zero_of_what_cannot_be_read_so_is_a_warning(here: Path, tmp_path: Path) -> None:
    """A store has its recipe; everything else goes on."""
    collection = open_collection("data", split="test")
    make_checkpoint(tmp_path / "x.ckpt")
    store = encode_to_store(tmp_path / "x.ckpt", collection, tmp_path / "store")
    sources = {0: {"ANCE": str(store)}}
    spaces, warnings = _open(
        tmp_path, sources, [0], collection, EncoderOptions(), None, None, None
    )
    assert list(spaces) == ["ANCE"]
    assert warnings == [f"no step 0: {store}: a store has its recipe; recipe options are for "
                        "checkpoints"]  # fmt: skip


def test_a_collection_of_another_split_is_refused(here: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="evaluates 'dev', not 'test'"):
        an.reproduce(tmp_path / "x", data=open_collection("data", split="dev"))


def test_a_killed_leg_goes_on_to_the_same_weights(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second step of DANCE is never written: the rerun takes up the state after the first."""
    shutil.copytree(here / "out/checkpoints/2", tmp_path / "checkpoints/2")
    target = tmp_path / "checkpoints/2/dance.ckpt"
    wanted = sha256_file(target / "model.safetensors")
    shutil.rmtree(target)
    collection = open_collection("data", split="test")
    (here / "saving.toml").write_text(CONFIG.replace("[dual]", "[dual]\nsave_steps = 1"))
    plan = make_plan("saving.toml")
    legs, said = plan.needed(["DANCE"], ["warm start"]), list[str]()
    given = Given(start=tmp_path / "checkpoints/2/warm-start.ckpt")
    append = TrainingFolder.append

    def stop(self: TrainingFolder, row: dict[str, Any]) -> None:
        if row["step"] == 2:
            raise KeyboardInterrupt
        append(self, row)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingFolder, "append", stop)
        with pytest.raises(KeyboardInterrupt):
            _train(tmp_path, 2, 0, given, legs, plan, collection, None)
    assert list(tmp_path.glob("checkpoints/2/dance.ckpt.training/state-0-1"))
    assert not target.exists()
    _train(tmp_path, 2, 0, given, legs, plan, collection, said.append)
    assert any("1/2 · resumed from" in line for line in said)
    assert sha256_file(target / "model.safetensors") == wanted


def test_states_are_saved_unless_the_configuration_says_otherwise() -> None:
    plan = make_plan({"norm": {"save_steps": 0}, "dual": {"save_steps": 7}})
    saved = {stage: plan.config(stage)["save_steps"] for stage in plan.stages}
    assert saved == {"warmup": 50, "ance": 50, "norm": 0, "dual": 7}
