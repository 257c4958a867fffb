"""Results on disk: what an earlier run left goes, and nothing that is not ours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import anisotropy as an
from anisotropy.errors import UsageError
from anisotropy.gates import parse_gates
from anisotropy.results import SCHEMA, Curve, Results
from tests.explorer.making import pair


def results(*names: str) -> Results:
    columns = {"x": np.arange(3.0)}
    return Results(
        spaces=[{"label": "a", "recipe": {}}],
        curves=[Curve(name, "a", "queries", columns) for name in names],
    )


def test_curves_of_an_earlier_run_are_removed(tmp_path: Path) -> None:
    results("left", "kept").write(tmp_path)
    mine = tmp_path / "curves" / "mine.parquet"
    mine.write_text("mine")
    results("kept", "added").write(tmp_path)
    left = {path.name for path in (tmp_path / "curves").iterdir()}
    assert left == {"kept-a-queries.parquet", "added-a-queries.parquet", "mine.parquet"}
    assert [c.name for c in Results.read(tmp_path).curves] == ["kept", "added"]


def test_names_of_an_untrusted_file_delete_nothing_outside(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    kept = ["x.parquet", "out/y.parquet", "out/curves/notes.txt", "out/curves/deep/z.parquet"]
    for name in kept:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("keep")
    files = [
        "../x.parquet", "curves/../../x.parquet", str(tmp_path / "x.parquet"), "y.parquet",
        "curves/../y.parquet", "curves/notes.txt", "curves/deep/z.parquet", "curves/deep",
        "curves/*.parquet", "curves/\0.parquet", 7, None, ["curves/notes.txt"],
    ]  # fmt: skip
    curves = [*({"file": file} for file in files), "curves/notes.txt", None]
    (folder / "results.json").write_text(json.dumps({"schema": SCHEMA, "curves": curves}))
    results("spectrum").write(folder)
    assert all((tmp_path / name).read_text() == "keep" for name in kept)


@pytest.mark.parametrize(
    "content",
    ["no json", "[]", '{"schema": "another/1", "curves": [{"file": "curves/a.parquet"}]}'],
)
def test_another_file_of_that_name_removes_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "curves").mkdir()
    (tmp_path / "curves" / "a.parquet").write_text("keep")
    (tmp_path / "results.json").write_text(content)
    results("spectrum").write(tmp_path)
    assert (tmp_path / "curves" / "a.parquet").read_text() == "keep"


def test_a_linked_folder_of_curves_is_left_alone(tmp_path: Path) -> None:
    results("coordinates").write(tmp_path / "real")
    before = tmp_path / "out"
    before.mkdir()
    (before / "curves").symlink_to(tmp_path / "real" / "curves")
    (before / "results.json").write_bytes((tmp_path / "real" / "results.json").read_bytes())
    results("spectrum").write(before)
    assert (tmp_path / "real" / "curves" / "coordinates-a-queries.parquet").is_file()


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999"])
def test_a_gate_that_could_never_fire_is_refused(number: str) -> None:
    with pytest.raises(UsageError, match="allowed: a finite number"):
        parse_gates([f"delta[ranking.recipe.nDCG@10] < {number}"])


def test_values_of_queries_that_were_not_compared_have_their_texts(tmp_path: Path) -> None:
    a, b = pair()
    found = an.analyze([a, b], measures=["nDCG@10"], projections=[])
    frame = found.queries()
    assert list(frame.columns[:2]) == ["query_id", "text"]
    texts = dict(zip(a.query_ids, a.query_texts or (), strict=True))
    assert frame.text.tolist() == [texts[name] for name in frame.query_id]
    assert frame.space.tolist() == ["first"] * 40 + ["second"] * 40
    found.write(tmp_path)
    assert "text" not in Results.read(tmp_path).queries()
    a.query_texts = b.query_texts = None
    assert "text" not in an.analyze([a, b], measures=["nDCG@10"], projections=[]).queries()
