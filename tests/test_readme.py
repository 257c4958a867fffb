"""Everything shown in README and docs runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from anisotropy.cli import main
from tests.making import make_checkpoint, make_collection, make_negatives, make_runs

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[str]:
    found = []
    for page in PAGES:
        found += re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
    return found


def commands() -> list[list[str]]:
    lines = [line for block in blocks("console") for line in block.splitlines()]
    shown = [line[2:] for line in lines if line.startswith("$ anisotropy")]
    return [shlex.split(line)[1:] for line in shown]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the checkpoints and the collection of the examples exist."""
    folder = tmp_path_factory.mktemp("readme")
    make_checkpoint(folder / "demo/ance.ckpt")
    make_checkpoint(folder / "demo/dance.ckpt", "dance", seed=1)
    make_checkpoint(folder / "norm.ckpt", "dance", seed=2)
    make_checkpoint(folder / "dual.ckpt", seed=3)
    make_collection(folder / "my-collection")
    make_runs(folder)
    make_negatives(folder / "mined")
    return folder


@pytest.mark.slow
@pytest.mark.usefixtures("few_figures")
def test_the_commands_run_in_order(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workplace)
    shown = commands()
    assert len(shown) >= 10
    for words in shown:
        code = main(words)
        out, err = capsys.readouterr()
        assert code == 0, (words, err)
        assert out.strip(), words


def test_the_python_examples_run(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    examples = blocks("python")
    assert examples
    for example in examples:
        exec(compile(example, "README.md", "exec"), {})
    assert (tmp_path / "report.html").exists()


def test_make_targets_and_files_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for block in blocks("bash"):
        for target in re.findall(r"^make (\w+)", block, re.M):
            assert re.search(rf"^{target}:", makefile, re.M), target
    for page in PAGES:
        for link in re.findall(r"\]\((?!https?://)([^)#]+)\)", page.read_text("utf-8")):
            assert (page.parent / link).exists(), link
