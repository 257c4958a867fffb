"""Figures: the data behind them first, then that they render, the same bytes each time."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from anisotropy import plots
from anisotropy.errors import InputError
from anisotropy.plots import FIGURES, available, render, save_figures, style
from anisotropy.plots.words import beyond, direction_text, gist, verdict
from anisotropy.results import Results
from tests.plots.sample import analysis, comparison

R = comparison()


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def test_spectrum_lines_are_the_curves() -> None:
    figure = plots.spectrum(R)
    lines = figure.axes[0].lines
    curves = R.find_curves("spectrum")
    assert len(lines) == len(curves) == 4
    for line, curve in zip(lines, curves, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), curve.columns["rank"])
        np.testing.assert_array_equal(line.get_ydata(), curve.columns["share"])
        assert line.get_label() == f"{curve.space}, {curve.side}"


def test_gray_tells_spaces_and_sides_apart() -> None:
    looks = [(line.get_marker(), line.get_linestyle()) for line in plots.spectrum(R).axes[0].lines]
    assert len(set(looks)) == 4


def test_distances_are_the_curves() -> None:
    figure = plots.distances(R)
    for ax, curve in zip(figure.axes, R.find_curves("distances"), strict=True):
        assert ax.get_title(loc="left") == curve.space
        drawn = {patch.get_label(): patch.get_data() for patch in ax.patches}
        assert set(drawn) == {"random", "relevant", "nearest"}
        np.testing.assert_array_equal(drawn["relevant"].values, curve.columns["positives"])
        np.testing.assert_array_equal(drawn["random"].values, curve.columns["random"])
        np.testing.assert_array_equal(drawn["random"].edges[:-1], curve.columns["bin_low"])


def test_distances_without_judgments() -> None:
    results = analysis(("a",))
    results.find_curves("distances")[0].columns["positives"][:] = np.nan
    labels = {patch.get_label() for patch in plots.distances(results).axes[0].patches}
    assert labels == {"random", "nearest"}


def test_negative_probability_is_the_curves() -> None:
    figure = plots.negative_probability(R)
    assert len(figure.axes) == 2
    for ax, role, n in zip(figure.axes, ("queries", "documents"), (1203, 8114), strict=True):
        curves = R.find_curves("negative_probability", role)
        for line, curve in zip(ax.lines, curves, strict=False):
            np.testing.assert_array_equal(line.get_xdata(), curve.columns["share_of_items"])
            np.testing.assert_array_equal(line.get_ydata(), curve.columns["probability"])
        assert ax.lines[-1].get_ydata()[0] == pytest.approx(1 / n)


@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_map_points_are_the_coordinates(method: str) -> None:
    figure = plots.projection_map(R, method)
    for ax, curve in zip(figure.axes, R.find_curves("coordinates"), strict=True):
        documents, queries = ax.collections
        mine = curve.columns["method"] == method
        for points, side in ((documents, "document"), (queries, "query")):
            shown = mine & (curve.columns["side"] == side)
            wanted = np.column_stack([curve.columns["x"][shown], curve.columns["y"][shown]])
            np.testing.assert_array_equal(points.get_offsets(), wanted)
        assert "trust 0.96 · kept 41%" in ax.get_xlabel()
    assert "cannot show uniformity" in texts(figure).replace("\n", " ")


def test_uniformity_alignment_points_are_the_rows() -> None:
    figure = plots.uniformity_alignment(R)
    found = {
        (float(c.lines[0].get_xdata()[0]), float(c.lines[0].get_ydata()[0]))
        for c in figure.axes[0].containers
    }
    assert found == {(0.312, -1.79), (0.312, -1.95), (0.401, -2.84), (0.401, -2.71)}


def test_forest_is_the_headline_in_its_own_errors() -> None:
    figure = plots.differences(R)
    rows = [row for row in R.deltas if row.headline and row.se > 0]
    markers = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [float(line.get_xdata()[0]) for line in markers] == [r.delta / r.se for r in rows]
    filled = [line.get_markerfacecolor() != "white" for line in markers]
    assert filled == [beyond(row) for row in rows]
    assert any(filled)
    assert not all(filled)


def test_verdict_needs_the_interval_and_the_correction() -> None:
    rows = {(row.side, row.measure): row for row in R.deltas if row.headline}
    assert verdict(R, rows["queries", "mean_cosine"]) == "dance more isotropic"
    assert verdict(R, rows["positives", "alignment(alpha=2)"]) == "ance closer"
    assert verdict(R, rows["cross", "gap"]) == "no clear difference"
    assert verdict(R, rows["queries", "negative_probability_kl(k=200)"]) == "no interval"


def test_every_default_measure_has_a_gist_and_a_direction() -> None:
    from anisotropy.measures import HEADLINE, registry

    assert not [d.name for d in registry() if not gist(d.name)]
    for row in HEADLINE:
        assert direction_text(row.measure) == (
            f"{'higher' if row.direction == 'up' else 'lower'}: {row.word}"
        )


def test_captions_name_measure_transform_and_n() -> None:
    for kind in available(R):
        caption = kind.caption(R)
        assert "This project's design" in caption
        assert any(name in caption for name in ("1,203", "150"))
        assert kind.name == "differences" or "on unit" in caption or "negative_prob" in caption
        assert "project's design" in texts(kind.draw(R)).replace("\n", " ")
        assert "project's design" not in texts(kind.draw(R, caption=False))


def test_onto_given_axes() -> None:
    mine = Figure()
    axes = mine.subplots(1, 3)
    assert plots.spectrum(R, axes=axes[0]) is mine
    assert plots.distances(R, axes=axes[1:]) is mine
    assert mine.get_supxlabel() == ""
    with pytest.raises(InputError, match="axes: got 1; needed: 2"):
        plots.distances(R, axes=axes[0])


def test_global_settings_stay() -> None:
    before = dict(matplotlib.rcParams)
    plots.spectrum(R)
    render(plots.distances(R), "png", 50)
    assert dict(matplotlib.rcParams) == before


def test_saved_files(tmp_path: Path) -> None:
    results = comparison()
    results.curves = results.find_curves("spectrum")
    paths = save_figures(results, tmp_path / "one")
    names = [f"{kind.name}.{form}" for kind in available(results) for form in ("pdf", "png")]
    assert [path.name for path in paths] == names
    assert {name[:-4] for name in names} == {"spectrum", "differences", "uniformity_alignment"}
    pdf = (tmp_path / "one" / "spectrum.pdf").read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf
    assert (tmp_path / "one" / "spectrum.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("form", ["pdf", "png", "svg"])
def test_same_results_same_bytes(form: str) -> None:
    first, second = (render(plots.spectrum(comparison()), form, 60) for _ in range(2))
    assert first == second


def test_many_spaces_and_hostile_labels() -> None:
    results = analysis(("$x_1$", "b & c", "<b>", "a very long label of a checkpoint", "e"))
    for kind in available(results):
        assert render(kind.draw(results), "png", 40)
    legend = plots.spectrum(results).legends[0]
    assert legend.get_texts()[0].get_text() == r"\$x_1\$, queries"


def test_what_is_available() -> None:
    everything = ["differences", "spectrum", "uniformity_alignment", "distances"]
    everything += ["negative_probability", "tsne", "pca"]
    assert [kind.name for kind in available(R)] == everything
    assert [kind.name for kind in available(analysis(("a",)))] == everything[1:]


def test_no_curves_no_figures(tmp_path: Path) -> None:
    empty = Results(spaces=[{"label": "a"}])
    assert save_figures(empty, tmp_path) == []
    with pytest.raises(InputError, match="no curve 'spectrum'"):
        plots.spectrum(empty)
    with pytest.raises(InputError, match="got 'umap'; allowed: tsne, pca"):
        plots.projection_map(R, "umap")


def test_widths_are_those_of_a_column_or_page() -> None:
    for kind in FIGURES.values():
        if kind.ready(R):
            assert kind.draw(R).get_figwidth() in (style.COLUMN, style.PAGE)


def test_figures_of_an_earlier_run_are_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in ("tsne.pdf", "umap.png", "mine.pdf", "tsne.svg"):
        (tmp_path / name).write_text("old")
    (tmp_path / "pca.pdf").mkdir()
    results = analysis(("a",))
    results.curves = results.find_curves("spectrum", "queries")
    written = {path.name for path in save_figures(results, tmp_path)}
    assert "spectrum.pdf" in written
    assert {p.name for p in tmp_path.iterdir()} == written | {"mine.pdf", "tsne.svg", "pca.pdf"}
