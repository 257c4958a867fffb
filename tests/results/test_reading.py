# ruff: noqa: E501  the changes are a table
"""The door of a results folder: what is damaged or hostile is one line, what is good is read."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from anisotropy.cli import main
from anisotropy.comparison import deciding
from anisotropy.errors import InputError
from anisotropy.results import Curve, Results, shapes
from anisotropy.results.curve_files import COUNT, CURVES, FINITE, NUMBER, SOME, TEXT
from tests.plots.sample import comparison, reproduction, thin

DOCUMENTED = Path(__file__).parents[2] / "docs" / "curves.md"


class _Missing:
    def __repr__(self) -> str:
        # Names of tests are made of it, and have to be the same in every process.
        return "missing"


MISSING = _Missing()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a reproduction with few curves, and what a comparison has besides."""
    place = tmp_path_factory.mktemp("written") / "results"
    results, pair = thin(reproduction()), comparison()
    results.spaces[0]["recipe"]["transform"] = [
        {"text": "center", "fitted_on": "documents", "rows": 10}
    ]
    results.likenesses, results.withheld, results.warnings = (
        pair.likenesses, pair.withheld, pair.warnings,
    )  # fmt: skip
    results.likenesses = [
        type(row)(**{**vars(row), "space": "DANCE", "baseline": "ANCE"}) for row in pair.likenesses
    ]
    results.write(place)
    return place


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "results"))


def put(folder: Path, *change: Any) -> None:
    """Change one entry of the file: a path to it, and its new value."""
    *path, last, value = change
    file = folder / "results.json"
    content = json.loads(file.read_text("utf-8"))
    place = content
    for key in path:
        place = place[key]
    if value is MISSING:
        del place[last]
    else:
        place[last] = value
    file.write_text(json.dumps(content))


def refused(folder: Path) -> str:
    """The line that says what is wrong, without the folder; it names the file."""
    with pytest.raises(InputError) as caught:
        Results.read(folder)
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 1000
    assert text.startswith(f"{folder / 'results.json'}: ")
    return text.removeprefix(f"{folder / 'results.json'}: ")


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


DAMAGED: list[tuple[tuple[Any, ...], str]] = [
    (("schema", "anisotropy.results/2"), "not results of schema 'anisotropy.results/1'"),
    (("schema", ["anisotropy.results/1"]), "not results of schema"),
    (("claims", MISSING), "top level: 'claims' is missing"),
    (("evil", 1), "top level: got 'evil'; allowed: the keys schema"),
    (("warnings", None), "warnings: got null; allowed: a list"),
    (("warnings", "abc"), "warnings: got 'abc'; allowed: a list"),
    (("warnings", 0, 3), "warnings[0]: got 3; allowed: a text"),
    (("collection", "x"), "collection: got 'x'; allowed: a mapping"),
    (("config", "measures", 5), "config.measures: got 5"),
    (("config", "measures", [1]), "config.measures[0]: got 1; allowed: a text"),
    (("versions", [1]), "versions: got [1]; allowed: a mapping"),
    (("spaces", {}), "spaces: got {}; allowed: a list"),
    (("spaces", 0, "x"), "spaces[0]: got 'x'; allowed: a mapping"),
    (("spaces", 0, "label", MISSING), "spaces[0]: 'label' is missing"),
    (("spaces", 0, "label", 5), "spaces[0].label: got 5; allowed: a text that is not empty"),
    (("spaces", 0, "label", ""), "spaces[0].label: got ''"),
    (("spaces", 1, "label", "ANCE seed 0"), "spaces[1].label: got 'ANCE seed 0'; allowed: a label"),
    (("spaces", 0, "place", "x"), "spaces[0]: got 'place'; allowed: the keys label"),
    (("spaces", 0, "recipe", [1]), "spaces[0].recipe: got [1]; allowed: a mapping"),
    (("spaces", 0, "recipe", "doubts", "abc"), "spaces[0].recipe.doubts: got 'abc'"),
    (("spaces", 0, "recipe", "transform", 0, "rows", MISSING), "transform[0]: 'rows' is missing"),
    (("spaces", 0, "counts", "queries", "abc"), "spaces[0].counts.queries: got 'abc'"),
    (("spaces", 0, "counts", "queries", True), "spaces[0].counts.queries: got true"),
    (("measurements", 0, "value", "abc"), "measurements[0].value: got 'abc'; allowed: a number"),
    (("measurements", 0, "value", True), "measurements[0].value: got true; allowed: a number"),
    (("measurements", 0, "value", float("inf")), "measurements[0].value: got inf; allowed: finite"),
    (("measurements", 0, "value", 10**30), "measurements[0].value: got 1000000"),
    (("measurements", 0, "se", MISSING), "measurements[0]: 'se' is missing"),
    (("measurements", 0, "n", None), "measurements[0].n: got null; allowed: a whole number"),
    (("measurements", 0, "n", 1.5), "measurements[0].n: got 1.5; allowed: a whole number"),
    (("measurements", 0, "space", "other"), "measurements[0].space: got 'other'; allowed: the label"),
    (("measurements", 0, "space", ""), "measurements[0].space: got ''; allowed: the label"),
    (("differences", 0, "evil", 1), "differences[0]: got 'evil'; allowed: the keys side"),
    (("differences", 0, "a\nb", 1), r"differences[0]: got 'a\nb'; allowed: the keys side"),
    (("differences", 0, "delta", "x"), "differences[0].delta: got 'x'; allowed: a number or null"),
    (("differences", 0, "side", None), "differences[0].side: got null; allowed: a text"),
    (("differences", 0, "headline", "no"), "differences[0].headline: got 'no'; allowed: true or"),
    (("differences", 0, "baseline", MISSING), "differences[0].baseline: got ''; allowed: the label"),
    (("similarities", 0, "value", "x"), "similarities[0].value: got 'x'; allowed: a number or null"),
    (("withheld", 0, "reason", 4), "withheld[0].reason: got 4; allowed: a text"),
    (("withheld", 0, "space", "other"), "withheld[0].space: got 'other'; allowed: the label"),
    (("claims", ["x"]), "claims[0]: got 'x'; allowed: a mapping"),
    (("claims", [{"parts": []}]), "claims[0]: 'contrast' is missing"),
    (("claims", 0, "scope", "all"), "claims[0].scope: got 'all'; allowed: checkpoints, method"),
    (("claims", 0, "scope", "checkpoints"), "claims[0]: got 0; allowed: one record of each claim"),
    (("claims", 0, "outcome", "true"), "claims[0].outcome: got 'true'; allowed: supported"),
    (("claims", 0, "steps", [1]), "claims[0].steps: got [1]; allowed: a list of 2"),
    (("claims", 1, "parts", 0, "margin", None), "claims[1].parts[0].margin: got null"),
    (("claims", 1, "parts", 0, "ci_low", None), "claims[1].parts[0].ci_low: got null"),
    (("claims", 1, "parts", 0, "p", MISSING), "claims[1].parts[0]: 'p' is missing"),
    (("curves", 0, "file", MISSING), "curves[0]: 'file' is missing"),
    (("curves", 0, None), "curves[0]: got null; allowed: a mapping"),
    (("curves", 0, "space", "other"), "curves[0].space: got 'other'; allowed: the label"),
    (("curves", 0, "name", "mining"), "curves[0]: file: got 'curves/spectrum"),
    (("curves", 0, "side", "cross"), "curves[0]: side: got 'cross'; allowed: queries, documents"),
    (("warnings", 0, "\ud800"), r"warnings[0]: got '\ud800'; allowed: text that is Unicode"),
    (("config", "\ud800", 1), r"config: got '\ud800'; allowed: text that is Unicode"),
    (("config", "deep", nested(900)), "; allowed: 20 levels of lists and mappings"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), DAMAGED, ids=lambda value: repr(value)[:60])
def test_what_is_damaged_is_one_line(folder: Path, change: tuple[Any, ...], said: str) -> None:
    put(folder, *change)
    assert said in refused(folder)


@pytest.mark.parametrize("text", ["", "[]", "null", "7", "{", '{"schema": NaN}', "[" * 100_000])
def test_what_is_no_results_is_one_line(folder: Path, text: str) -> None:
    (folder / "results.json").write_text(text)
    refused(folder)


def test_bytes_that_are_no_text_are_one_line(folder: Path) -> None:
    (folder / "results.json").write_bytes(b"\xff\xfe\x00")
    refused(folder)


def test_every_wrong_value_is_refused_or_harmless(folder: Path) -> None:
    """Any entry of each kind of record, replaced by what it is not."""
    content = json.loads((folder / "results.json").read_text("utf-8"))
    for section, rows in content.items():
        if section in ("collection", "config", "versions", "schema", "warnings") or not rows:
            continue
        for key in rows[0]:
            for wrong in ([], {}) if key != "recipe" else ([], 7):
                if isinstance(rows[0][key], type(wrong)) or wrong == rows[0][key]:
                    continue
                before = (folder / "results.json").read_bytes()
                put(folder, section, 0, key, wrong)
                assert f"{section}[0].{key}: got" in refused(folder)
                (folder / "results.json").write_bytes(before)


def rewritten(folder: Path, curve: Curve, change: Callable[[pd.DataFrame], Any]) -> None:
    """The folder with that curve alone, whose file was changed."""
    results = Results.read(folder)
    results.spaces[0]["label"] = curve.space
    Results(spaces=results.spaces[:1], curves=[curve]).write(folder)
    changed = change(curve.frame())
    if isinstance(changed, pd.DataFrame):
        changed.to_parquet(folder / curve.file, index=False)
    else:
        pq.write_table(changed, folder / curve.file)


KNOWN = {curve.name: curve for curve in comparison().curves}


@pytest.mark.parametrize("name", KNOWN)
def test_columns_of_known_curves_are_needed(folder: Path, name: str) -> None:
    curve = KNOWN[name]
    first = next(iter(CURVES[name].needed))
    rewritten(folder, curve, lambda frame: frame.drop(columns=first))
    assert refused(folder).startswith(f"curves[0]: {curve.file}: no column {first!r}; a curve")
    wrong = {
        TEXT: 1.0, NUMBER: "x", FINITE: np.inf, COUNT: 0.5, SOME: 0,
    }  # fmt: skip
    for column, kind in CURVES[name].needed.items():
        changed = curve.frame().assign(**{column: wrong[kind]})
        changed.to_parquet(folder / curve.file, index=False)
        assert f"column {column!r}: allowed: {kind}" in refused(folder)
    curve.frame().head(0).to_parquet(folder / curve.file, index=False)
    assert "no rows" in refused(folder)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (pa.array([[1.0]]), "column 'x' is list<"),
        (pa.array([b"\xff"]), "column 'x' is binary"),
        (pa.array([b"\xff"]).view(pa.string()), "not readable as Parquet ("),
        (pa.array([1, None]), "column 'x' is int64 with gaps"),
        (pa.array(["a", None]), "column 'x' is string with gaps"),
        (pa.array([1, 2], pa.timestamp("s")), "column 'x' is timestamp"),
    ],
)  # fmt: skip
def test_columns_of_other_curves_are_numbers_or_texts(
    folder: Path, values: pa.Array, said: str
) -> None:
    own = Curve("own", "ance", "queries", {"x": np.arange(3.0)})
    rewritten(folder, own, lambda frame: pa.table({"x": values}))
    assert said in refused(folder)


def test_a_column_twice_is_refused(folder: Path) -> None:
    own = Curve("own", "ance", "queries", {"x": np.arange(3.0)})
    twice = pa.Table.from_arrays([pa.array([1.0])] * 2, names=["x", "x"])
    rewritten(folder, own, lambda frame: twice)
    assert "got the column 'x' twice" in refused(folder)


def outcome(folder: Path) -> str:
    """What is said of a folder; nothing where it is read."""
    try:
        Results.read(folder)
    except InputError as error:
        return str(error)
    return ""


def test_files_that_are_cut_or_changed_anywhere_are_one_line(folder: Path) -> None:
    file = folder / json.loads((folder / "results.json").read_text())["curves"][0]["file"]
    whole = file.read_bytes()
    file.write_bytes(b"no parquet")
    assert re.match(r"curves\[0\]: curves/\S+: not readable as Parquet \(.+\)$", refused(folder))
    file.write_bytes(whole[: len(whole) // 2])
    refused(folder)
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    generator = np.random.default_rng(0)
    wrong = 0
    for place in generator.integers(footer, len(whole), 60):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        said = outcome(folder)
        assert said.isprintable()
        wrong += said != ""
    assert wrong > 10


@pytest.mark.parametrize(
    "file",
    [
        "/etc/passwd", "../secret.parquet", "curves/../../secret.parquet", "secret.parquet",
        "curves/secret.parquet", "curves", "", ".", "curves/\0.parquet", "C:\\secret.parquet",
        "./curves/spectrum-ANCE_seed_0_0000-queries.parquet", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_a_file_that_writing_does_not_make_is_not_followed(folder: Path, file: str) -> None:
    for place in (folder.parent, folder, folder / "curves"):
        pd.DataFrame({"rank": [1]}).to_parquet(place / "secret.parquet")
    own = json.loads((folder / "results.json").read_text())["curves"][0]["file"]
    for absolute in (file, str(folder / file)):
        put(folder, "curves", 0, "file", absolute)
        assert refused(folder).endswith(f"; allowed: {own}")


@pytest.mark.parametrize("name", ["../../secret", "a/b", "/secret", "a\0b", "a\\b"])
def test_a_name_does_not_lead_out_of_the_folder(folder: Path, name: str) -> None:
    put(folder, "curves", 0, "name", name)
    put(folder, "curves", 0, "file", Curve(name, "ANCE seed 0", "queries", {}).file)
    assert "curves[0]: name: got" in refused(folder)


def test_links_out_of_the_folder_are_not_followed(folder: Path, tmp_path: Path) -> None:
    entry = json.loads((folder / "results.json").read_text())["curves"][0]["file"]
    outside = Path(shutil.move(folder / entry, tmp_path / "outside.parquet"))
    assert "no such file" in refused(folder)
    (folder / entry).symlink_to(outside)
    assert "a link to another place" in refused(folder)
    (folder / entry).unlink()
    (folder / entry).mkdir()
    assert "no such file" in refused(folder)
    (folder / entry).rmdir()
    shutil.move(outside, folder / entry)
    shutil.move(folder / "curves", tmp_path / "curves")
    (folder / "curves").symlink_to(tmp_path / "curves")
    assert "a link to another place" in refused(folder)


def test_a_linked_folder_as_a_whole_is_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert Results.read(tmp_path / "link").labels == Results.read(folder).labels


@pytest.mark.parametrize("make", [comparison, reproduction])
def test_what_was_written_is_read_again(make: Callable[[], Results], tmp_path: Path) -> None:
    results = make()
    results.write(tmp_path)
    again = Results.read(tmp_path)
    again.write(tmp_path / "again")
    for name in ("results.json", "results.csv", "differences.csv"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    for table in ("measurements", "differences", "similarities", "associations"):
        pd.testing.assert_frame_equal(getattr(again, table), getattr(results, table))
    assert again.claims == results.claims
    assert again.withheld == results.withheld
    for one, other in zip(results.curves, again.curves, strict=True):
        assert (one.name, one.space, one.side) == (other.name, other.space, other.side)
        pd.testing.assert_frame_equal(one.frame(), other.frame())


def test_older_curves_are_read(tmp_path: Path) -> None:
    """Maps without a start, profiles without positives, maps without what is drawn best."""
    results = comparison()
    for place, curve in enumerate(results.curves):
        may = CURVES[curve.name].may
        columns = {name: v for name, v in curve.columns.items() if name not in may}
        results.curves[place] = Curve(curve.name, curve.space, curve.side, columns)
    results.write(tmp_path)
    assert len(Results.read(tmp_path).curves) == len(results.curves)


def test_numbers_without_a_value_are_read(folder: Path) -> None:
    put(folder, "measurements", 0, "value", None)
    put(folder, "measurements", 1, "value", 1)
    values = Results.read(folder).measurements["value"]
    assert np.isnan(values[0])
    assert values.dtype == np.float64


@pytest.mark.parametrize(
    "change",
    [
        ("differences", 0, "evil", 1),
        ("claims", MISSING),
        ("differences", 0, "delta", "x"),
        ("curves", 0, "file", "/etc/passwd"),
        ("warnings", 0, "\ud800"),
    ],
    ids=str,
)
def test_the_command_says_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], change: tuple[Any, ...]
) -> None:
    put(folder, *change)
    assert main(["figure", "differences", "--results", str(folder)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith(f"anisotropy: {folder / 'results.json'}: ")


def test_outcomes_are_those_of_the_claims() -> None:
    assert shapes.OUTCOMES == deciding.OUTCOMES


def test_every_column_that_is_read_is_documented() -> None:
    """The table of the door and the page of the curves name the same curves, columns and sides."""
    sections = re.split(r"^## ", DOCUMENTED.read_text("utf-8"), flags=re.MULTILINE)[1:]
    documented = {section.split("`")[1]: section for section in sections}
    assert set(documented) == set(CURVES)
    for name, columns in CURVES.items():
        for column in {*columns.needed, *columns.may}:
            plain = (
                re.sub(r"^(.*)_(a|b|delta)$", r"NAME_\2", column) if name == "changes" else column
            )
            assert f"`{plain}`" in documented[name], (name, column)
