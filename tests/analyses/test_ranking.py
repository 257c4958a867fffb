"""The ranking table: query by query, seed by seed, against baselines."""

from __future__ import annotations

import csv
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from analyses.ranking import BM25, Ranked, gains, main, reproduced, table_csv, table_markdown
from anisotropy.collection import open_collection
from anisotropy.errors import UsageError
from anisotropy.measures import effectiveness
from anisotropy.training import EncoderSizes, new_encoder
from anisotropy.training.bm25 import bm25_ranking
from tests.training.conftest import write_collection

SIZES = EncoderSizes(vocabulary=400, hidden=32, intermediate=32)


def drawn(name: str, seeds: int, shift: float = 0.0) -> Ranked:
    generator = np.random.default_rng([len(name), seeds])
    return Ranked(name, np.clip(generator.normal(0.5 + shift, 0.1, size=(seeds, 40)), 0, 1))


def test_a_gain_is_the_paired_t_over_queries_and_over_seeds() -> None:
    base, one, lexical = drawn("base", 3), drawn("better", 3, 0.2), drawn(BM25, 1)
    found = gains([base, one, lexical], "base")
    assert [gain.method for gain in found] == ["better", BM25]
    changes = one.values - base.values
    gain = found[0]
    assert gain.delta == pytest.approx(changes.mean())
    over_queries = stats.ttest_1samp(changes.mean(axis=0), 0).confidence_interval()
    assert (gain.ci_low, gain.ci_high) == pytest.approx(tuple(over_queries))
    over_seeds = stats.ttest_1samp(changes.mean(axis=1), 0).confidence_interval()
    assert (gain.seeds_low, gain.seeds_high) == pytest.approx(tuple(over_seeds))
    assert gain.p == 1e-5  # the smallest that 99,999 rounds can give
    assert gain.p_holm == 2e-5


def test_one_that_has_no_seeds_is_held_against_each() -> None:
    one, lexical = drawn("one", 3), drawn(BM25, 1)
    (gain,) = gains([one, lexical], BM25)
    assert gain.delta == pytest.approx((one.values - lexical.values).mean())
    (alone,) = gains([drawn("two", 2), lexical], BM25)
    assert math.isnan(alone.seeds_low)


def test_numbers_of_seeds_that_differ_are_refused() -> None:
    with pytest.raises(UsageError, match="two has 2 seeds and three 3"):
        gains([drawn("two", 2), drawn("three", 3)], "three")
    with pytest.raises(UsageError, match="got 'x'; allowed: two, three"):
        gains([drawn("two", 2), drawn("three", 3)], "x")


def test_tables_hold_the_numbers() -> None:
    ranked = [drawn("base", 3), drawn("better", 3, 0.2)]
    found = gains(ranked, "base")
    rows = list(csv.DictReader(table_csv(ranked, found).splitlines()))
    assert [row["method"] for row in rows] == ["base", "better"]
    assert float(rows[1]["delta"]) == found[0].delta
    assert float(rows[0]["nDCG@10"]) == ranked[0].values.mean()
    text = table_markdown(ranked, found, ["base"])
    assert f"**{found[0].delta:+.4f}**" in text
    assert "3 seed(s), 40 queries" in text


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder laid out as a reproduction of two methods and two seeds."""
    folder = tmp_path_factory.mktemp("ranking")
    collection = open_collection(write_collection(folder / "words"))
    for seed in range(2):
        for number, name in enumerate(("ance", "dance")):
            encoder = new_encoder(collection, SIZES, seed=10 * seed + number)
            encoder.save(folder / f"r/checkpoints/{seed}/{name}.ckpt", training={}, history=())
        encoder.save(folder / f"r/checkpoints/{seed}/step-zero.ckpt", training={}, history=())
    start = str(folder / "r/checkpoints/1/ance.ckpt")
    (folder / "r/run.json").write_text(json.dumps({"start": start}))
    return folder


def test_a_reproduction_is_ranked(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(place / "r"), "--data", str(place / "words"), "--split", "dev"]
    extra = f"MNRL={place}/r/checkpoints/0/dance.ckpt {place}/r/checkpoints/1/dance.ckpt"
    out = place / "out"
    code = main([*words, "--method", extra, "--against", BM25, "warm start", "--out", str(out)])
    assert code == 0
    assert capsys.readouterr().out == (out / "ranking.md").read_text()
    with (out / "ranking.csv").open() as file:
        rows = {(row["method"], row["against"]): row for row in csv.DictReader(file)}
    collection = open_collection(place / "words", split="dev")
    run = {query: dict(found) for query, found in bm25_ranking(collection).items()}
    expected = effectiveness(run, collection.qrels(), ["nDCG@10"])["nDCG@10"]
    lexical = rows[BM25, "warm start"]
    assert float(lexical["nDCG@10"]) == pytest.approx(np.mean(list(expected.values())))
    assert rows["DANCE", BM25]["delta"] == rows["MNRL", BM25]["delta"]
    assert {row["seeds"] for (name, _), row in rows.items() if name == "warm start"} == {"1"}
    assert float(rows["ANCE", "warm start"]["delta"]) != 0
    assert {name for name, _ in rows} == {BM25, "warm start", "ANCE", "DANCE", "MNRL"}


def test_an_unfinished_reproduction_is_refused(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(place / "r", tmp_path / "r")
    shutil.rmtree(tmp_path / "r/checkpoints/1/dance.ckpt")
    with pytest.raises(UsageError, match="DANCE is not there for every seed"):
        reproduced(tmp_path / "r")
    assert main([str(tmp_path), "--out", str(tmp_path / "x")]) == 2
    assert "needed: a reproduction" in capsys.readouterr().err
    base = [str(place / "r"), "--data", str(place / "words"), "--split", "dev"]
    one = f"M={place}/r/checkpoints/0/ance.ckpt"
    for more, said in (
        (["--against", "x"], "got 'x'; allowed: BM25, warm start, ANCE, DANCE"),
        (["--against", BM25, BM25], "given twice"),
        (["--method", one.replace("M=", "DANCE=")], "'DANCE' is there already"),
        (["--method", f"{one} {one[2:]} {one[2:]}"], "2 of ANCE, 2 of DANCE, 3 of M"),
        (["--out", str(place / "r/run.json")], "is a file"),
    ):
        assert main([*base, "--out", str(tmp_path / "x"), *more]) == 2
        assert said in capsys.readouterr().err
    wrong = [str(place / "r"), "--method", "MNRL", "--out", str(tmp_path / "x")]
    assert main(wrong) == 2
    assert "allowed: NAME=PATH [PATH ...]" in capsys.readouterr().err
