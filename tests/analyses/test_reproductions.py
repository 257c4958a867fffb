"""The reproductions that the docs report: their files, their configurations, the page itself."""

from __future__ import annotations

import csv
import re
import tomllib
from pathlib import Path

import pytest

from anisotropy.comparison import paper_claims, read_claims
from anisotropy.reproduction import make_plan
from anisotropy.training import stage_configs

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "analyses/reproduction"
PAGE = (ROOT / "docs/reproduction.md").read_text("utf-8")
COLLECTIONS = ("docstrings", "medquad")
INCLUDED = re.compile(r"^<!-- (analyses/\S+) -->\n(.*?)^<!-- end -->", re.M | re.S)


def test_the_tables_of_the_page_are_the_files() -> None:
    found = dict(INCLUDED.findall(PAGE))
    assert set(found) == {
        f"analyses/reproduction/{name}/{table}.md"
        for name in COLLECTIONS
        for table in ("claims", "ranking")
    }
    for name, text in found.items():
        assert text.strip() == (ROOT / name).read_text("utf-8").strip(), name
    assert "@" not in INCLUDED.sub("", PAGE).replace("@10", "").replace("@100", "")


@pytest.mark.parametrize("name", COLLECTIONS)
def test_outcomes_of_the_table_are_those_of_the_numbers(name: str) -> None:
    with (FOLDER / name / "claims.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["contrast"] == "DANCE - ANCE"]
    table = (FOLDER / name / "claims.md").read_text("utf-8")
    letters = {row["claim"] for row in rows}
    assert letters == {"a0", "a", "b", "c", "d", "e", "f"}
    for letter in letters:
        line = next(x for x in table.splitlines() if x.startswith(f"| {letter} |"))
        (outcome,) = {
            r["outcome"] for r in rows if r["claim"] == letter and r["scope"] == "method"
        }
        assert line.split(" | ")[2].startswith(outcome)


@pytest.mark.parametrize("name", COLLECTIONS)
def test_ranking_tables_hold_every_method_and_baseline(name: str) -> None:
    with (FOLDER / name / "ranking.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    methods = {row["method"] for row in rows}
    assert methods >= {"BM25", "MNRL", "warm start", "ANCE", "DANCE", "DANCE in batch"}
    for row in rows:
        assert float(row["ci_low"]) < float(row["nDCG@10"]) < float(row["ci_high"])
        assert row["against"] in ("warm start", "BM25", "MNRL")
        assert float(row["delta_low"]) <= float(row["delta"]) <= float(row["delta_high"])
        assert float(row["p"]) <= float(row["p_holm"]) <= 1


def test_claims_and_configurations_are_what_the_commands_take() -> None:
    own = paper_claims(200)
    assert read_claims(FOLDER / "claims.json", own).text() == own.text()
    plan = make_plan(FOLDER / "medquad/training.toml")
    assert plan.unequal() == {}
    assert (plan.config("ance")["steps"], plan.budget) == (60, 120)
    stages = {
        "mnrl.toml": "ance",
        "in-batch.toml": "dance",
        "medquad/in-batch.toml": "dance",
        "medquad/warm-start.toml": "warmup",
    }
    for name, stage in stages.items():
        values = tomllib.loads((FOLDER / name).read_text("utf-8"))
        for config in stage_configs(stage, values):
            assert {key: getattr(config, key) for key in values} == values
    steps = [
        sum(part.steps for part in stage_configs("dance", tomllib.loads(text)))
        for text in ((FOLDER / f"{x}in-batch.toml").read_text("utf-8") for x in ("", "medquad/"))
    ]
    assert steps == [360, 180]  # those of ANCE and what follows it
