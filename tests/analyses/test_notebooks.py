"""The analysis notebooks run from the first cell to the last, and type no number into a text."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from analyses.notebooks import execute as executing
from tests.making import make_checkpoint

NOTEBOOKS = executing.notebooks()
NAMES = [path.stem for path in NOTEBOOKS]
#: What a reader needs besides this package.
LIBRARIES = {"os", "anisotropy", "matplotlib", "pandas"}
MAGIC = "%"


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content


def sources(path: Path, kind: str) -> list[str]:
    return ["".join(c["source"]) for c in read(path)["cells"] if c["cell_type"] == kind]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Untrained checkpoints: the notebooks may conclude nothing of them, and must still run."""
    folder = tmp_path_factory.mktemp("checkpoints")
    # 24 tokens are all that is read of a document: no need to cut more of it into tokens.
    short = {"max_document_characters": 200}
    return {
        "ANISOTROPY_ANCE": str(make_checkpoint(folder / "ance.ckpt", **short)),
        "ANISOTROPY_DANCE": str(make_checkpoint(folder / "dance.ckpt", "dance", 1, **short)),
        "IPYTHONDIR": str(folder / "ipython"),
        "ANISOTROPY_SAMPLE": "100",
    }


@pytest.fixture(autouse=True)
def _no_files_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))


def test_there_are_six() -> None:
    assert [name.partition("_")[0] for name in NAMES] == list("123456")


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_it_runs_and_draws(path: Path, environment: dict[str, str]) -> None:
    node, error = executing.execute(path, environment)
    assert error == ""
    cells = [cell for cell in node.cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error"]
    assert not [o.text for o in outputs if o.output_type == "stream" and o.name == "stderr"]
    shown = [kind for o in outputs for kind in o.get("data", {})]
    assert "image/png" in shown
    assert "text/html" in shown
    last = "".join(o.text for o in cells[-1].outputs if o.output_type == "stream")
    assert last.count("\n") >= 2
    assert "nan" not in last


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_no_number_is_typed_into_a_text(path: Path) -> None:
    texts = sources(path, "markdown")
    assert len(texts) > 4
    for text in texts:
        assert not re.search(r"\d[.,]\d", text), text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_it_is_committed_without_outputs_and_valid(path: Path) -> None:
    import nbformat

    content = read(path)
    nbformat.validate(nbformat.from_dict(content))
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in content["cells"]]
    assert len(ids) == len(set(ids))
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_only_the_public_api_is_used(path: Path) -> None:
    import anisotropy as an

    code = [text for text in sources(path, "code") if not text.startswith(MAGIC)]
    assert "ANISOTROPY_ANCE" in code[0]
    for node in ast.walk(ast.parse("\n".join(code))):
        if isinstance(node, ast.Import):
            assert {alias.name.partition(".")[0] for alias in node.names} <= LIBRARIES
        assert not isinstance(node, ast.ImportFrom)
        if isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_")
            if isinstance(node.value, ast.Name) and node.value.id == "an":
                assert node.attr in an.__all__


def test_a_failing_notebook_is_written_as_far_as_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import nbformat

    cells = [nbformat.v4.new_code_cell(text) for text in ("6 * 7", "1 / 0", "'never'")]
    path = tmp_path / "fails.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    assert executing.run([path], tmp_path / "out") == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
    first, second, third = read(tmp_path / "out/fails.ipynb")["cells"]
    assert first["outputs"][0]["data"]["text/plain"] in ("42", ["42"])
    assert second["outputs"][-1]["output_type"] == "error"
    assert third["outputs"] == []


def test_missing_checkpoints_and_names_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANISOTROPY_ANCE", str(tmp_path / "nothing.ckpt"))
    assert executing.main(["--out", str(tmp_path / "out")]) == 2
    assert "run make demo, or set ANISOTROPY_ANCE" in capsys.readouterr().err
    assert executing.main(["1_query_spac"]) == 2
    assert "did you mean '1_query_space'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
