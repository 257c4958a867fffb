"""Figures: the data behind them first, then that they render, the same bytes each time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from anisotropy import plots
from anisotropy.errors import InputError, UsageError
from anisotropy.plots import FIGURES, available, render, save_figures, style
from anisotropy.plots.compared import has_pair, one_pair
from anisotropy.plots.movement import movement_caption
from anisotropy.plots.words import ahead, beyond, direction_text, gist, verdict
from anisotropy.results import Curve, Results
from tests.plots.sample import analysis, comparison, reproduction

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
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["ance", "dance", "queries", "documents"]


def test_gray_tells_spaces_and_sides_apart() -> None:
    looks = [(line.get_marker(), line.get_linestyle()) for line in plots.spectrum(R).axes[0].lines]
    assert len(set(looks)) == 4


def test_distances_are_the_curves() -> None:
    figure = plots.distances(R)
    for ax, curve in zip(figure.axes, R.find_curves("distances"), strict=True):
        assert ax.get_title(loc="left") == curve.space
        names = {"random": "random", "relevant": "positives", "nearest": "nearest"}
        assert_densities(ax, curve.columns, names)


def assert_densities(ax: Axes, columns: Mapping[str, np.ndarray], names: dict[str, str]) -> None:
    """Each density is drawn over the bins that hold anything, and as it is."""
    drawn = {patch.get_label(): patch.get_data() for patch in ax.patches}
    assert set(drawn) == set(names)
    for label, column in names.items():
        filled = np.flatnonzero(columns[column])
        bins = slice(filled[0], filled[-1] + 1)
        np.testing.assert_array_equal(drawn[label].values, columns[column][bins])
        edges = np.append(columns["bin_low"][bins], columns["bin_high"][filled[-1]])
        np.testing.assert_array_equal(drawn[label].edges, edges)


def test_cosines_are_the_curves() -> None:
    names = {
        "query-query": "query_query",
        "document-document": "document_document",
        "query-document": "query_document",
        "query-relevant": "query_positive",
    }
    figure = plots.cosines(R)
    for ax, curve in zip(figure.axes, R.find_curves("cosines"), strict=True):
        assert_densities(ax, curve.columns, names)
    assert "1,203 judged pairs" in texts(figure).replace("\n", " ")
    lines = {(str(p.get_linestyle()), p.get_fill()) for p in figure.axes[0].patches}
    assert len(lines) == 4  # gray is enough
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["query-document", "query-relevant", "query-query", "document-document"]


def test_many_spaces_stand_in_two_columns() -> None:
    figure = plots.cosines(analysis(tuple("abcde")))
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title(loc="left") for ax in shown] == list("abcde")
    assert figure.get_figwidth() == style.PAGE
    below = [bool(ax.get_xlabel()) for ax in shown]
    assert below == [False, False, False, True, True]


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


def test_probabilities_name_the_measures_of_the_depth_they_are_of() -> None:
    gini = FIGURES["lorenz"].caption(R)
    assert "negative_probability_gini(k=200), negative_probability_gini(k=200, role=doc" in gini
    assert "center=sides" not in gini
    assert "k=10" not in gini
    assert "1,203 queries in the lists of 8,114 documents; 8,114 documents in" in gini


def test_lorenz_is_the_curves() -> None:
    figure = plots.lorenz(R)
    for ax, role in zip(figure.axes, ("queries", "documents"), strict=True):
        even, *lines = ax.lines
        np.testing.assert_array_equal(even.get_xydata(), [[0, 0], [1, 1]])
        for line, curve in zip(lines, R.find_curves("negative_probability", role), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), curve.columns["share_of_items"])
            np.testing.assert_array_equal(line.get_ydata(), curve.columns["lorenz"])
    labels = [text.get_text() for ax in figure.axes for text in ax.get_legend().get_texts()]
    assert labels == ["Gini 0.610", "Gini 0.500", "Gini 0.720", "Gini 0.660"]
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["ance", "dance", "all alike"]


def test_profile_is_the_curves() -> None:
    figure = plots.negative_profile(R)
    curves = R.find_curves("negative_profile")
    panels = figure.axes
    assert len(panels) == 6
    for ax, curve in zip(panels[:4], curves, strict=True):
        assert ax.get_title(loc="left") == f"{curve.space}: {curve.side} as negatives"
        line, positive = ax.lines
        np.testing.assert_array_equal(line.get_xdata(), curve.columns["rank"])
        np.testing.assert_array_equal(line.get_ydata(), curve.columns["score_q50"])
        np.testing.assert_array_equal(positive.get_ydata(), curve.columns["positive_q50"])
        bands = [(band.get_paths()[0].vertices[:, 1]) for band in ax.collections]
        quantiles = ("score_q05", "score_q95", "score_q25", "score_q75", "positive_q25")
        for band, column in zip((0, 0, 1, 1, 2), quantiles, strict=True):
            assert set(curve.columns[column]) <= set(bands[band])
    for ax, role in zip(panels[4:], ("queries", "documents"), strict=True):
        own = [curve for curve in curves if curve.side == role]
        wanted = [c.columns[f"share_{x}"] for c in own for x in ("relevant", "near_positive")]
        for line, values in zip(ax.lines, wanted, strict=True):
            np.testing.assert_array_equal(line.get_ydata(), values)


def test_profile_without_near_positives() -> None:
    results = analysis(("a",))
    for curve in results.find_curves("negative_profile"):
        curve.columns["share_near_positive"][:] = np.nan
    assert len(plots.negative_profile(results).axes[-1].lines) == 1
    assert "300 seeded" not in FIGURES["negative_profile"].caption(results)


def test_hubness_is_the_curves() -> None:
    figure = plots.hubness(R)
    sides = ("queries", "documents", "ranking", "dual_ranking")
    for ax, side in zip(figure.axes, sides, strict=True):
        curves = R.find_curves("k_occurrence", side)
        for line, curve in zip(ax.lines, curves, strict=True):
            np.testing.assert_array_equal(line.get_xdata(), curve.columns["occurrences"])
            np.testing.assert_array_equal(line.get_ydata(), curve.columns["share_at_least"])
            assert line.get_drawstyle() == "steps-pre"
        (chance,) = ax.collections
        heights = set(chance.get_paths()[0].vertices[:, 1])
        assert set(curves[0].columns["null_at_least"]) <= heights
    assert "8,114 by 1,203" in texts(figure).replace("\n", " ")


def test_movement_is_the_changes() -> None:
    figure = plots.movement(R)
    columns = R.find_curves("changes")[0].columns
    sign = np.sign(columns["nDCG@10_delta"])
    measures = ("relative_positive_distance", "positive_percentile")
    for ax, measure in zip(figure.axes, measures, strict=True):
        for points, value in zip(ax.collections, (0, -1, 1), strict=True):
            wanted = np.column_stack([columns[f"{measure}_{x}"][sign == value] for x in "ab"])
            np.testing.assert_array_equal(np.ma.getdata(points.get_offsets()), wanted)
        diagonal = ax.lines[0].get_xydata()
        np.testing.assert_array_equal(diagonal[:, 0], diagonal[:, 1])
        (row,) = (r for r in R.deltas if r.measure == measure)
        title = f"{measure}: {row.delta:+.2g} [{row.ci_low:.2g}, {row.ci_high:.2g}]"
        assert ax.get_title(loc="left") == title.replace("-", "\N{MINUS SIGN}")
    words = texts(figure).replace("\n", " ")
    at_zero = sum((columns[f"{measures[1]}_a"] == 0) & (columns[f"{measures[1]}_b"] == 0))
    assert f"n: 299 queries with a relevant document, {at_zero} of them at percentile 0" in words
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["nDCG@10 higher in dance", "nDCG@10 higher in ance", "nDCG@10 the same"]
    colors = [to_hex(points.get_facecolor()[0]) for points in figure.axes[0].collections]
    assert colors == [style.GRAY.lower(), *(color.lower() for color in style.SPACE_COLORS[:2])]


@pytest.mark.parametrize(("at_zero", "words"), [(0, ""), (1, ""), (2, ", 2 of them at perc")])
def test_movement_speaks_of_what_is_there(at_zero: int, words: str) -> None:
    """No number of titles that hold none, no shared point where there is none."""
    curve = R.find_curves("changes")[0]
    columns = {name: values.copy() for name, values in curve.columns.items()}
    for side in "ab":
        columns[f"positive_percentile_{side}"][:] = np.where(np.arange(300) < at_zero, 0, 0.5)
    results = replace(R, curves=[replace(curve, columns=columns)])
    caption = movement_caption(results)
    assert f"with a relevant document{words}" in caption
    assert ("percentile 0" in caption) == bool(words)
    assert "Titles: mean change over judged pairs, with its 95% interval. n" in caption
    nan = {"ci_low": math.nan, "ci_high": math.nan}
    bare = replace(results, deltas=[replace(row, **nan) for row in R.deltas])
    assert "Titles: mean change over judged pairs. n: " in movement_caption(bare)
    others = [row for row in R.deltas if row.side != "positives"]
    assert "Titles" not in movement_caption(replace(results, deltas=others))


def test_captions_of_one_query_speak_of_one() -> None:
    results = replace(R, curves=[])
    for curve in R.find_curves("mining") + R.find_curves("coordinates"):
        ones = {"items": 1, "anchors": 1, "n_queries": 1, "n_documents": 1}
        columns = dict(curve.columns)
        if "side" in columns:
            first = [list(columns["side"]).index(side) for side in ("query", "document")]
            columns = {name: values[first] for name, values in columns.items()}
        columns |= {k: np.full_like(columns[k], one) for k, one in ones.items() if k in columns}
        results.curves.append(replace(curve, columns=columns))
    results.curves += R.find_curves("negative_probability")
    assert " of 1 query and 1 document in" in FIGURES["tsne"].caption(results)
    caption = FIGURES["lorenz"].caption(results)
    assert "n: 1 query in the lists of 1 document; 1 document in the lists of 1 query." in caption
    assert "of 150 of 1,203 queries and 250 of 8,114 documents" in FIGURES["tsne"].caption(R)


MEASURED = (
    ("ranking_nDCG@10",),
    ("dual_ranking_RR@10",),
    ("queries_mean_cosine", "documents_mean_cosine"),
    ("queries_uniformity(t=2)", "documents_uniformity(t=2)"),
    ("positives_relative_positive_distance",),
)


def test_history_is_the_curves_and_what_is_shared_shows_once() -> None:
    figure = plots.history(R)
    first, second = R.find_curves("history")
    loss = figure.axes[0]
    # The longer one is drawn first, in the color of the second space, the shorter one over it.
    longer, shorter = (line for line in loss.lines if len(line.get_xdata()) > 2)
    for line, curve in ((longer, second), (shorter, first)):
        there = np.isfinite(curve.columns["loss_mean"])
        np.testing.assert_array_equal(line.get_xdata(), curve.columns["step"][there])
        np.testing.assert_array_equal(line.get_ydata(), curve.columns["loss_mean"][there])
    assert (longer.get_color(), shorter.get_color()) == style.SPACE_COLORS[1::-1]
    assert loss.get_yscale() == "log"
    for ax, columns in zip(figure.axes[1:], MEASURED, strict=True):
        drawn = [line for line in ax.lines if len(line.get_xdata()) > 2]
        wanted = [(curve, f"dev_{name}") for curve in (second, first) for name in columns]
        for line, (curve, column) in zip(drawn, wanted, strict=True):
            there = np.isfinite(curve.columns[column])
            np.testing.assert_array_equal(line.get_xdata(), curve.columns["step"][there])
            np.testing.assert_array_equal(line.get_ydata(), curve.columns[column][there])
    begins = [line.get_xdata()[0] for line in loss.lines if len(line.get_xdata()) == 2]
    assert begins == [40, 80]


def test_history_of_seeds_has_a_color_a_method_and_each_run_once() -> None:
    results = reproduction(2)
    twin = results.find_curves("history")[0]
    results.spaces.append({**results.spaces[0], "label": "step 0", "method": "step 0"})
    results.curves.append(Curve("history", "step 0", "training", dict(twin.columns)))
    figure = plots.history(results)
    colors = [line.get_color() for line in figure.axes[0].lines if len(line.get_xdata()) > 2]
    # The sample's histories are of two lengths: ANCE's first seed, and all others alike.
    assert colors == [style.SPACE_COLORS[0], style.SPACE_COLORS[0]]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["ANCE", "queries", "documents"]


def check_map(ax: Axes, curve: Curve, method: str) -> None:
    documents, queries = ax.collections
    mine = curve.columns["method"] == method
    for points, side in ((documents, "document"), (queries, "query")):
        shown = mine & (curve.columns["side"] == side)
        wanted = np.column_stack([curve.columns["x"][shown], curve.columns["y"][shown]])
        np.testing.assert_array_equal(points.get_offsets(), wanted)
    assert ax.get_title(loc="left") == curve.space
    name = {"tsne": "t-SNE", "pca": "PCA"}[method]
    assert ax.get_xlabel().replace("\n", " · ").startswith(f"{name} · trust 0.96 · kept 41%")


@pytest.mark.parametrize(
    ("labels", "method", "order"),
    [
        (("a",), "tsne", ["a tsne", "a pca"]),
        (("a",), "pca", ["a pca"]),
        (("a", "b"), "tsne", ["a tsne", "b tsne", "a pca", "b pca"]),
        (("a", "b"), "pca", ["a pca", "b pca"]),
        (("a", "b", "c"), "tsne", ["a tsne", "a pca", "b tsne", "b pca", "c tsne", "c pca"]),
    ],
)
def test_map_points_are_the_coordinates_and_pca_stands_beside(
    labels: tuple[str, ...], method: str, order: list[str]
) -> None:
    results = analysis(labels)
    figure = plots.projection_map(results, method)
    curves = {curve.space: curve for curve in results.find_curves("coordinates")}
    panels = [ax for ax in figure.axes if ax.get_visible()]
    for ax, what in zip(panels, order, strict=True):
        space, drawn = what.split()
        check_map(ax, curves[space], drawn)
    assert "cannot show uniformity" in texts(figure).replace("\n", " ")


def test_map_on_given_axes_is_without_pca() -> None:
    figure = Figure()
    panels = figure.subplots(1, 2)
    plots.projection_map(R, "tsne", axes=panels)
    for ax, curve in zip(panels, R.find_curves("coordinates"), strict=True):
        check_map(ax, curve, "tsne")
    assert len(figure.axes) == 2


def test_map_says_how_it_was_sampled_and_aligned() -> None:
    caption = FIGURES["tsne"].caption(R)
    assert "150 of 1,203 queries and 250 of 8,114 documents in one fit" in caption
    assert "all their positives" in caption
    assert "all from the start of ance" in caption
    results = analysis()
    for curve in results.find_curves("coordinates"):
        del curve.columns["start"]
        for name, shown in (("n_queries", 150), ("n_documents", 250)):
            curve.columns[name] = np.full(len(curve.columns["x"]), shown)
    caption = FIGURES["tsne"].caption(results)
    assert "of all 150 queries and all 250 documents in one fit" in caption
    assert "Sampled" not in caption
    assert "Aligned" not in caption


def test_uniformity_alignment_points_and_intervals_are_the_rows() -> None:
    rows = {(row.space, row.side, row.measure): row for row in R.rows if row.on == "unit"}
    drawn = plots.uniformity_alignment(R).axes[0].containers
    places = [(space, side) for space in R.labels for side in ("queries", "documents")]
    for container, (space, side) in zip(drawn, places, strict=True):
        x = rows[space, "positives", "alignment(alpha=2)"]
        y = rows[space, side, "uniformity(t=2)"]
        point, _, (across, along) = container.lines
        np.testing.assert_array_equal(point.get_xydata(), [[x.value, y.value]])
        np.testing.assert_allclose(across.get_segments()[0][:, 0], [x.ci_low, x.ci_high])
        np.testing.assert_allclose(along.get_segments()[0][:, 1], [y.ci_low, y.ci_high])
        assert (point.get_markerfacecolor() == "white") == (side == "documents")


def forest(ax: Axes) -> list[tuple[list[float], float, Line2D]]:
    """Ends of the interval, point, and the point's line, row by row."""
    lines = [line for line in ax.lines if line.get_xdata()[0] != line.get_xdata()[-1]]
    points = [line for line in ax.lines if len(line.get_xdata()) == 1]
    return [
        ([float(x) for x in line.get_xdata()], float(point.get_xdata()[0]), point)
        for line, point in zip(lines, points, strict=True)
    ]


def test_forest_is_the_headline_in_its_own_errors() -> None:
    figure = plots.differences(R)
    rows = [row for row in R.deltas if row.headline and row.se > 0]
    drawn = forest(figure.axes[0])
    for (ends, point, line), row in zip(drawn, rows, strict=True):
        assert ends == [row.ci_low / row.se, row.ci_high / row.se]
        assert point == row.delta / row.se
        assert (line.get_markerfacecolor() != "white") == beyond(row)
    # Color and marker are those of the space that the words name.
    looks = {(style.SPACE_COLORS[i], style.SPACE_MARKERS[i]): R.labels[i] for i in range(2)}
    named = [looks.get((line.get_color(), line.get_marker())) for _, _, line in drawn]
    assert named == [ahead(R, row) for row in rows]
    assert set(named) == {None, "ance", "dance"}
    words = [text.get_text() for text in figure.axes[0].child_axes[0].get_yticklabels()]
    assert words == [verdict(R, row) for row in rows]


def test_forest_of_claims_is_their_parts_over_the_margin() -> None:
    results = reproduction(3)
    outcomes = ("supported", "undecided", "no meaningful difference")
    records = [record for record in results.claims if record["scope"] == "checkpoints"]
    for record, outcome in zip(records, outcomes, strict=True):
        (part,) = record["parts"]
        record["parts"] = [{**part, "outcome": outcome, "direction": "down"}]
    ax = plots.claims(results).axes[0]
    for (ends, point, line), record in zip(forest(ax), records, strict=True):
        (part,) = record["parts"]
        assert ends == [-part["ci_low"] / part["margin"], -part["ci_high"] / part["margin"]]
        assert point == -part["delta"] / part["margin"]
        wanted = {"supported": "black", "undecided": "white"}.get(part["outcome"], style.GRAY)
        assert line.get_markerfacecolor() == wanted
    assert [text.get_text() for text in ax.get_yticklabels()] == ["f · ranking nDCG@10"]
    caption = FIGURES["claims"].caption(results)
    assert "DANCE - ANCE" in caption
    assert "On recipe; resampled: 77 queries." in caption


def test_verdict_needs_the_interval_and_the_correction() -> None:
    rows = {(row.side, row.measure): row for row in R.deltas if row.headline}
    assert verdict(R, rows["queries", "mean_cosine"]) == "dance more isotropic"
    assert verdict(R, rows["positives", "alignment(alpha=2)"]) == "ance closer"
    assert verdict(R, rows["cross", "gap"]) == "no clear difference"
    kl = rows["queries", "negative_probability_kl(k=200)"]
    assert verdict(replace(R, curves=[]), kl) == "no interval"
    documents = replace(rows["documents", "mean_cosine"], ci_low=math.nan, ci_high=math.nan)
    assert verdict(R, documents) == "dance lower, not tested"
    same = replace(documents, b=documents.a + 1e-9, delta=1e-9)
    assert verdict(R, same) == "no difference but rounding"


@pytest.mark.parametrize(("share", "words"), [(0.051, None), (0.05, "dance more even")])
def test_lists_that_saturate_their_pool_name_no_space(share: float, words: str | None) -> None:
    """200 of 1,203 queries are too many, whatever the interval says; 200 of 4,000 are not."""
    rows = [row for row in R.deltas if row.measure == "negative_probability_kl(k=200)"]
    row = replace(rows[0], se=0.01, ci_low=rows[0].delta - 0.02, ci_high=rows[0].delta + 0.02)
    mining = R.find_curves("mining", "queries")[0]
    mining = replace(mining, columns={**mining.columns, "k_share": np.full(2, share)})
    results = replace(R, deltas=[row], curves=[mining])
    pair = one_pair(results)
    assert verdict(pair, row) == (words or "saturated: decides nothing")
    assert ahead(pair, row) == (words and "dance")
    ax = plots.differences(results).axes[0]
    ((_, _, point),) = forest(ax)
    assert (point.get_markerfacecolor() == "white") == (words is None)


def test_a_side_of_seeds_has_the_pools_of_its_checkpoints() -> None:
    """Also in a view of a view, which figures take."""
    results = reproduction(2)
    pair = one_pair(results)
    for view in (pair, one_pair(pair)):
        kept = view.find_curves("mining", "queries")
        assert [curve.space for curve in kept] == ["ANCE", "ANCE", "DANCE", "DANCE"]


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
        assert any(name in caption for name in ("1,203", "150", "1,000 dev queries", "299"))
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


@pytest.mark.parametrize(
    ("draw", "count"),
    [
        (plots.cosines, 2), (plots.movement, 2), (plots.lorenz, 2), (plots.negative_profile, 6),
        (plots.hubness, 4), (plots.history, 6), (plots.negative_probability, 2),
        (plots.uniformity_alignment, 1), (plots.differences, 1),
    ],
)  # fmt: skip
def test_every_figure_draws_on_axes_of_others(draw: Callable[..., Figure], count: int) -> None:
    mine = Figure()
    axes = mine.subplots(1, count, squeeze=False).ravel()
    size = mine.get_size_inches().copy()
    assert draw(R, axes=axes if count > 1 else axes[0]) is mine
    assert all(ax.lines or ax.patches or ax.collections for ax in axes)
    assert not mine.legends
    assert mine.get_supxlabel() == ""
    np.testing.assert_array_equal(mine.get_size_inches(), size)
    if count > 1:
        with pytest.raises(InputError, match=f"axes: got {count - 1}; needed: {count}"):
            draw(R, axes=axes[:-1])


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


HOSTILE = (
    "$x_1$",
    "b & c",
    "<b>méthode_α 100% #2</b>, ångström & Ünïcode",
    "runs/2024/a very long label of a checkpoint-20000",
    "四十文字のラベル",
    r"e \frac $",
)


def test_many_spaces_and_hostile_labels() -> None:
    results = analysis(HOSTILE)
    legend = plots.spectrum(results).legends[0]
    words = [text.get_text() for text in legend.get_texts()]
    assert words[0] == r"\$x_1\$"
    assert words[3] == "runs/2024/a very l…int-20000"  # checkpoints differ at the end
    assert words[4] == "\N{WHITE SQUARE}" * 8  # letters that the font lacks
    assert words[-2:] == ["queries", "documents"]


def test_what_is_available() -> None:
    everything = ["differences", "spectrum", "uniformity_alignment", "cosines", "distances"]
    everything += ["movement", "hubness", "negative_probability", "lorenz", "negative_profile"]
    everything += ["tsne", "history"]
    assert [kind.name for kind in available(R)] == everything
    alone = [name for name in everything if name not in ("differences", "movement")]
    assert [kind.name for kind in available(analysis(("a",)))] == alone
    assert [k.name for k in available(reproduction())] == ["claims", *everything]


def test_of_several_comparisons_the_one_of_the_claims_or_the_one_named() -> None:
    results = reproduction()
    assert one_pair(results).labels == ["ANCE", "DANCE"]
    assert one_pair(results, "ANCE w. Norm").labels == ["ANCE", "ANCE w. Norm"]
    with pytest.raises(UsageError, match=r"got 'ANCE'; allowed: ANCE w\. Norm, ANCE w"):
        one_pair(results, "ANCE")
    assert "ANCE against DANCE" in FIGURES["movement"].caption(results)
    results.claims = []
    assert not has_pair(results)
    with pytest.raises(InputError, match=r"3 comparisons in these results: ANCE w\. Norm, "):
        plots.differences(results)
    with pytest.raises(InputError, match="nothing is compared"):
        plots.movement(analysis(("a",)))
    assert not FIGURES["movement"].ready(results)


def test_what_older_or_unjudged_results_lack_is_not_drawn() -> None:
    results = comparison()
    for curve in results.find_curves("negative_probability"):
        curve.columns.pop("lorenz")  # type: ignore[attr-defined]
    (moved,) = results.find_curves("changes")
    moved.columns["positive_percentile_b"][:] = np.nan
    names = [kind.name for kind in available(results)]
    assert "negative_probability" in names
    assert not {"lorenz", "movement"} & set(names)
    with pytest.raises(InputError, match="no curve 'changes' of queries with relevant"):
        plots.movement(results)


WHOLE = (
    [(kind.name, "comparison") for kind in available(R)]
    + [(kind.name, "five") for kind in available(analysis(tuple("abcde")))]
    + [(kind.name, "reproduction") for kind in available(reproduction())]
)


@pytest.mark.parametrize(("name", "which"), WHOLE)
def test_nothing_is_cut_off_and_no_words_lie_on_others(name: str, which: str) -> None:
    results = {
        "comparison": comparison,
        "five": lambda: analysis(HOSTILE),
        "reproduction": reproduction,
    }[which]()
    kind = FIGURES[name]
    figure = kind.draw(kind.of(results))
    figure.set_dpi(200)
    with matplotlib.rc_context(style.STYLE):
        FigureCanvasAgg(figure).draw()
        words = [text for text in shown_texts(figure) if text.get_text().strip()]
        boxes = [text.get_window_extent() for text in words]
    whole = figure.bbox.padded(2)
    for text, box in zip(words, boxes, strict=True):
        assert whole.x0 <= box.x0 <= box.x1 <= whole.x1, text.get_text()
        assert whole.y0 <= box.y0 <= box.y1 <= whole.y1, text.get_text()
    for i, box in enumerate(boxes):
        for j in range(i):
            smaller = box.padded(-1), boxes[j].padded(-1)
            assert not smaller[0].overlaps(smaller[1]), (words[i], words[j])


def shown_texts(figure: Figure) -> list[Text]:
    """Titles, labels, ticks in view, legends and the caption."""
    found = list(figure.texts)  # the caption
    for ax in (ax for ax in figure.axes if ax.get_visible()):
        found += [ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label]
        for child in (ax, *ax.child_axes):
            for axis in (child.xaxis, child.yaxis):
                found += [label for label in axis.get_ticklabels() if in_view(axis, label)]
        if ax.get_legend() is not None:
            found += ax.get_legend().get_texts()
    for legend in figure.legends:
        found += legend.get_texts()
    return [text for text in found if text is not None and text.get_visible()]


def in_view(axis: Axis, label: Text) -> bool:
    ticks = [t for t in axis.get_major_ticks() if label in (t.label1, t.label2)]
    low, high = sorted(axis.get_view_interval())
    return any(low <= tick.get_loc() <= high for tick in ticks) and label.get_visible()


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
