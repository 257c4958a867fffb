"""Figures and tables by name: what is missing is said, what is there becomes files."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from anisotropy.errors import InputError, UsageError
from anisotropy.plots import FIGURES
from anisotropy.report import draw_figures, figure_names, figures_text, missing, read_results
from anisotropy.report.drawing import figure_latex
from anisotropy.results import Results
from tests.plots.sample import analysis, comparison, reproduction

R = comparison()


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_a_figure_becomes_a_file_a_format(tmp_path: Path) -> None:
    paths = draw_figures(R, ["spectrum", "spectrum"], tmp_path / "out", formats=["svg", "png"])
    assert names(paths) == ["spectrum.svg", "spectrum.png"]
    assert b"<svg" in paths[0].read_bytes()
    assert paths[1].read_bytes().startswith(b"\x89PNG")


def test_latex_holds_the_caption_and_the_image_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    draw = FIGURES["claims"].draw
    monkeypatch.setitem(
        FIGURES["claims"].__dict__, "draw", lambda r, **o: asked.append(o) or draw(r, **o)
    )
    *_, latex = draw_figures(reproduction(), ["claims"], tmp_path, formats=["pdf", "tex"])
    draw_figures(reproduction(), ["claims"], tmp_path, formats=["pdf"])
    assert asked == [{"caption": False}, {"caption": True}]
    text = latex.read_text("utf-8")
    assert text.startswith("\\begin{figure*}")
    assert r"\includegraphics[width=\textwidth]{claims}" in text
    assert r"no meaningful difference" in text
    assert r"linear within $\pm$3" in text


@pytest.mark.parametrize("name", [kind.name for kind in FIGURES.values()])
def test_every_caption_is_plain_latex(name: str) -> None:
    results = reproduction() if name == "claims" else R
    if name == "umap":
        results = analysis(("a",))
        results.find_curves("coordinates")[0].columns["method"][:] = "umap"
    caption = FIGURES[name].caption(FIGURES[name].of(results))
    text = figure_latex(name, caption, wide=False)
    assert text.isascii(), sorted({sign for sign in text if not sign.isascii()})
    (written,) = re.findall(r"\\caption\{(.*)\}$", text, re.MULTILINE)
    assert re.search(r"(?<!\\)[%&#_]", written) is None
    assert text.count("{") == text.count("}")


def test_tables_are_csv_and_latex(tmp_path: Path) -> None:
    paths = draw_figures(reproduction(), ["ablation", "effectiveness"], tmp_path)
    assert names(paths) == [
        "ablation.csv", "ablation.tex", "effectiveness.csv", "effectiveness.tex",
    ]  # fmt: skip
    rows = list(csv.DictReader(paths[2].read_text("utf-8").splitlines()))
    assert [row["method"] for row in rows] == ["ANCE", "ANCE w. Norm", "ANCE w. Dual", "DANCE"]
    assert float(rows[3]["ranking nDCG@10 (recipe)"]) == 0.4391
    assert r"\toprule" in paths[3].read_text("utf-8")


def test_all_is_what_the_results_give_and_the_rest_is_said(tmp_path: Path) -> None:
    results = analysis(("a",))
    results.curves = results.find_curves("spectrum")
    said: list[str] = []
    paths = draw_figures(results, ["all"], tmp_path, formats=["png"], say=said.append)
    assert names(paths) == ["spectrum.png", "uniformity_alignment.png"]
    assert len(said) == len(figure_names()) - 2
    assert all(line.startswith("left out: ") for line in said)


@pytest.mark.parametrize("name", figure_names())
def test_what_is_missing_is_one_line_with_a_command(name: str, tmp_path: Path) -> None:
    empty = Results(spaces=[{"label": "a"}])
    with pytest.raises(
        InputError, match=f"^{name}: these results have no .*'anisotropy "
    ) as error:
        draw_figures(empty, ["all", name], tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="nothing to draw"):
        draw_figures(empty, ["all"], tmp_path)


def test_maps_name_the_option() -> None:
    assert missing(R, "umap") == (
        "umap: these results have no map of method 'umap'; --projection umap at 'anisotropy "
        "compare', 'analyze' or 'reproduce' makes it"
    )
    assert missing(R, "tsne") == ""


def test_unknown_names_are_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"figure: got 'spectrun'.*did you mean 'spectrum'"):
        draw_figures(R, ["spectrun"], tmp_path)
    with pytest.raises(UsageError, match="format: got 'gif'; allowed: pdf, png, svg, tex"):
        draw_figures(R, ["spectrum"], tmp_path, formats=["gif"])
    with pytest.raises(UsageError, match="format: got ''"):
        draw_figures(R, ["spectrum"], tmp_path, formats=[])


def test_a_comparison_is_picked_from_several(tmp_path: Path) -> None:
    results = reproduction()
    results.claims = []
    assert "--pair LABEL picks it" in missing(results, "differences")
    assert missing(results, "differences", "DANCE") == ""
    paths = draw_figures(
        results, ["movement", "spectrum"], tmp_path, formats=["tex"], pair="DANCE"
    )
    assert "ANCE against DANCE" in paths[0].read_text("utf-8")
    with pytest.raises(UsageError, match="pair: got 'x'"):
        draw_figures(results, ["movement"], tmp_path, pair="x")


def test_the_list_says_what_these_results_give() -> None:
    lines = figures_text(R).splitlines()
    assert lines[0] == "- claims                Claims"
    assert lines[1] == "+ differences           Headline differences"
    assert [line.split()[0] for line in figures_text().splitlines()] == list(figure_names())


def test_results_are_read_from_a_folder_of_results_alone(tmp_path: Path) -> None:
    analysis(("a",)).write(tmp_path / "results")
    assert read_results(tmp_path / "results").labels == ["a"]
    with pytest.raises(InputError, match=r"no results\.json in it; allowed: a folder that"):
        read_results(tmp_path)
    (tmp_path / "history.csv").write_text("stage,step\na,1\n")  # of somebody else's
    with pytest.raises(InputError, match=r"no results\.json in it"):
        read_results(tmp_path)
