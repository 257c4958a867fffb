"""How figures look: sizes, colors, legends, captions, and manners on the axes of others."""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Callable

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

from anisotropy import plots
from anisotropy.errors import InputError
from anisotropy.plots import FIGURES, available, render, style
from anisotropy.results import Results
from tests.plots.sample import analysis, comparison, reproduction

R = comparison()
NAMES = [kind.name for kind in available(R)]
A, B = (color.lower() for color in style.SPACE_COLORS[:2])
MAPS = ("tsne", "pca", "umap")


def drawn(name: str, results: Results, **options: bool) -> Figure:
    kind = FIGURES[name]
    return kind.draw(kind.of(results), **options)


def laid_out(figure: Figure) -> Figure:
    with matplotlib.rc_context(style.STYLE):
        FigureCanvasAgg(figure).draw()
    return figure


def colors(figure: Figure) -> set[str]:
    """Colors of lines, markers, patches and collections."""
    found: set[str] = set()
    for line in figure.findobj(Line2D):
        found |= {to_hex(line.get_color()), to_hex(line.get_markerfacecolor())}
    for patch in figure.findobj(Patch):
        found |= {to_hex(patch.get_facecolor()), to_hex(patch.get_edgecolor())}
    for points in figure.findobj(Collection):
        found |= {to_hex(color) for color in points.get_facecolor()}
    return found


@pytest.mark.parametrize("name", [*NAMES, "claims"])
def test_nothing_is_smaller_than_six_points(name: str) -> None:
    figure = laid_out(drawn(name, reproduction() if name == "claims" else R))
    for text in figure.findobj(Text):
        if text.get_text().strip():
            assert text.get_fontsize() >= 6, text.get_text()
            # An exponent would be set at 0.7 of the size.
            assert "^" not in text.get_text().replace(r"\$", ""), text.get_text()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in MAPS])
def test_the_color_of_b_is_of_nothing_else(name: str) -> None:
    alone = analysis(("only",))
    if FIGURES[name].ready(alone):
        assert B not in colors(drawn(name, alone))
    assert {A, B} <= colors(drawn(name, R))


def test_claims_are_of_no_color_of_a_space() -> None:
    assert not set(map(str.lower, style.SPACE_COLORS[:6])) & colors(
        drawn("claims", reproduction())
    )


@pytest.mark.parametrize(
    "name", ["spectrum", "hubness", "negative_probability", "lorenz", "negative_profile"]
)
def test_seeds_share_color_and_marker_and_stand_once_in_the_legend(name: str) -> None:
    results = reproduction(2)  # 8 spaces, all drawn
    figure = drawn(name, results)
    looks = {
        (to_hex(line.get_color()), line.get_marker())
        for ax in figure.axes
        for line in ax.lines
        if line.get_marker() not in ("None", "", None)
    }
    wanted = zip(style.SPACE_COLORS[:4], style.SPACE_MARKERS[:4], strict=True)
    assert looks == {(color.lower(), marker) for color, marker in wanted}
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    methods = ["ANCE", "ANCE w. Norm", "ANCE w. Dual", "DANCE"]
    assert [word for word in words if "ANCE" in word] == methods
    assert "One color: the seeds of a method." in FIGURES[name].caption(results)


def test_a_view_of_two_keeps_the_colors_of_all() -> None:
    results = reproduction(2)
    ance, dance = style.SPACE_COLORS[0].lower(), style.SPACE_COLORS[3].lower()
    for name in ("movement", "differences"):
        found = colors(drawn(name, results))
        assert {ance, dance} <= found, name
        assert B not in found, name


def test_colors_differ_for_the_color_blind_and_on_white() -> None:
    # Full deuteranopia after Machado, Oliveira and Fernandes, on linear light.
    matrix = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
    linear = [np.array(to_rgb(color)) ** 2.2 for color in style.SPACE_COLORS]
    seen = [np.clip(matrix @ light, 0, 1) ** (1 / 2.2) for light in linear]
    for i, j in itertools.combinations(range(4), 2):
        assert np.linalg.norm(seen[i] - seen[j]) > 0.18, (i, j)
    for light, color in zip(linear, style.SPACE_COLORS, strict=True):
        luminance = float(light @ (0.2126, 0.7152, 0.0722))
        assert 1.05 / (luminance + 0.05) > 2, color


@pytest.mark.parametrize("name", [*NAMES, "claims"])
def test_legends_lie_on_no_panel(name: str) -> None:
    figure = laid_out(drawn(name, reproduction() if name == "claims" else R))
    for legend, ax in itertools.product(figure.legends, figure.axes):
        assert not legend.get_window_extent().overlaps(ax.get_window_extent())
    inside = [ax for ax in figure.axes if ax.get_legend() is not None]
    assert not inside or name in (*MAPS, "lorenz")  # Lorenz curves lie below the diagonal


@pytest.mark.parametrize("name", [*(n for n in NAMES if n not in MAPS), "claims"])
def test_a_caption_takes_no_room_from_the_panels(name: str) -> None:
    results = reproduction() if name == "claims" else R
    with_it, without = (laid_out(drawn(name, results, caption=c)) for c in (True, False))
    for ax, other in zip(with_it.axes, without.axes, strict=True):
        assert ax.get_window_extent().height == pytest.approx(
            other.get_window_extent().height, rel=0.04
        )


def test_long_captions_are_wrapped_by_their_width() -> None:
    for word in ("W" * 600, "W$_ " * 200):
        figure = Figure(figsize=(style.COLUMN, 2))
        style.caption_below(figure, word)
        laid_out(figure)
        assert figure._supxlabel.get_window_extent().x1 <= figure.bbox.x1  # type: ignore[attr-defined]
        assert figure.get_supxlabel().replace("\n", "").count("W") == word.count("W")


def test_the_arrows_of_the_axes_point_where_they_say() -> None:
    ax = plots.uniformity_alignment(R).axes[0]
    assert ax.get_xlabel().startswith("← closer")
    # Turned by a quarter, an arrow to the left is one down.
    assert ax.yaxis.label.get_rotation() == 90
    assert ax.get_ylabel().startswith("← more spread out")


def test_values_all_alike_give_axes_that_can_be_read() -> None:
    results = comparison()
    for curve in results.find_curves("cosines"):
        edges = np.linspace(1 - 5e-5, 1 + 5e-5, 51)
        curve.columns.update(bin_low=edges[:-1], bin_high=edges[1:])  # type: ignore[attr-defined]
    for row in results.rows:
        if row.measure == "uniformity(t=2)":
            object.__setattr__(row, "value", 1e-16)
            object.__setattr__(row, "ci_low", float("nan"))
    for figure in (plots.cosines(results), plots.uniformity_alignment(results)):
        for ax in laid_out(figure).axes:
            for axis in (ax.xaxis, ax.yaxis):
                assert axis.get_offset_text().get_text() == ""
    low, high = plots.uniformity_alignment(results).axes[0].get_ylim()
    assert high - low >= 0.01


ON_AXES = [
    (plots.spectrum, 1), (plots.cosines, 2), (plots.distances, 2), (plots.movement, 2),
    (plots.lorenz, 2), (plots.negative_profile, 6), (plots.hubness, 4), (plots.history, 6),
    (plots.negative_probability, 2), (plots.uniformity_alignment, 1), (plots.differences, 1),
]  # fmt: skip


@pytest.mark.parametrize(("draw", "count"), ON_AXES)
def test_on_axes_of_others_only_these_change(draw: Callable[..., Figure], count: int) -> None:
    mine = plt.figure(layout="constrained", figsize=(14, 8))
    try:
        left, right = mine.subfigures(1, 2)
        axes = left.subplots(-(-count // 2), 2)  # an array of arrays, one panel too many for 1
        other = right.subplots()
        used = axes.ravel()[:count]
        before = dict(matplotlib.rcParams), other.get_children(), mine.get_size_inches().copy()
        assert draw(R, axes=axes) is mine
        assert dict(matplotlib.rcParams) == before[0]
        title, ticks = used[0]._left_title, used[0].get_xticklabels()  # type: ignore[attr-defined]
        assert title.get_fontsize() == other._left_title.get_fontsize()  # type: ignore[attr-defined]
        assert ticks[0].get_fontsize() == other.get_xticklabels()[0].get_fontsize()
        assert other.get_children() == before[1]
        np.testing.assert_array_equal(mine.get_size_inches(), before[2])
        assert not mine.legends
        assert not left.legends
        assert all(
            ax.get_xlabel() and (ax.get_ylabel() or draw is plots.history)
            for ax in used
            if draw is not plots.differences and draw is not plots.negative_profile
        )
        assert used[0].get_legend() is not None or draw is plots.differences
        mine.canvas.draw()
    finally:
        plt.close(mine)


def test_densities_on_axes_of_others_share_what_they_show() -> None:
    axes = Figure().subplots(1, 2)
    plots.distances(R, axes=axes)
    assert axes[0].get_xlim() == axes[1].get_xlim() == plots.distances(R).axes[0].get_xlim()


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ("left", "axes: got str; allowed: matplotlib Axes"),
        (3, "axes: got int; allowed: matplotlib Axes"),
        ([], "axes: got 0; needed: 1, one a panel"),
        (Figure(), "axes: got Figure; allowed: matplotlib Axes"),
    ],
)
def test_other_things_than_axes_are_refused(axes: object, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        plots.spectrum(R, axes=axes)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_other_things_than_results_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"results: got str; allowed: Results, .* Results\.read"):
        FIGURES[name].draw("out/results.json")


def objects(pdf: bytes) -> bytes:
    """A PDF with its compressed objects readable."""
    parts = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
    plain = []
    for part in parts:
        try:
            plain.append(zlib.decompress(part))
        except zlib.error:
            plain.append(part)
    return pdf + b"\n".join(plain)


@pytest.mark.parametrize("name", NAMES)
def test_pdfs_embed_their_fonts_and_are_vectors(name: str) -> None:
    pdf = render(drawn(name, R), "pdf")
    inner = objects(pdf)
    assert b"/FontFile2" in inner
    assert re.search(rb"/Subtype\s*/Type3", inner) is None
    assert re.search(rb"/CIDFontType2|/Subtype\s*/TrueType", inner)
    # Points by the thousand are an image, axes and letters around them never.
    assert (b"/Subtype /Image" in inner) == (name in (*MAPS, "movement"))
    assert len(pdf) < 400_000
    assert b"CreationDate" not in pdf


@pytest.mark.parametrize("name", ["movement", "negative_profile", "uniformity_alignment"])
def test_same_results_give_the_same_pdf(name: str) -> None:
    first, second = (render(drawn(name, comparison()), "pdf") for _ in range(2))
    assert first == second


def test_given_axes_may_be_one_or_nested() -> None:
    axes = Figure().subplots(2, 2)
    assert plots.cosines(R, axes=axes) is axes[0, 0].get_figure()
    assert [bool(ax.patches) for ax in axes.ravel()] == [True, True, False, False]
    assert isinstance(axes[0, 0], Axes)
