"""Forest plot of the claims: differences in units of the smallest that matters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anisotropy.errors import InputError
from anisotropy.plots import style
from anisotropy.results import Results

#: Line and filling of an outcome; left and right tell what is supported and what contradicted.
_LOOKS = {
    "supported": ("black", "black"),
    "contradicted": ("black", "black"),
    "no meaningful difference": (style.GRAY, style.GRAY),
}
_OPEN = (style.GRAY, "white")
_LINEAR = 3
_TICKS = (-1000, -100, -10, -3, -1, 0, 1, 3, 10, 100, 1000)
Drawn = tuple[str, list[Mapping[str, Any]]]


def claims_rows(results: Results) -> list[Drawn]:
    """Label and tested parts of each row: over seeds where tested, else one of every seed."""
    records = [r for r in results.claims if r.get("main") and isinstance(r.get("parts"), list)]
    tested = any(p["p"] is not None for r in records if r["scope"] == "method" for p in r["parts"])
    scope = "method" if tested else "checkpoints"
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for record in (one for one in records if one["scope"] == scope):
        for part in record["parts"]:
            if part["p"] is not None and part["margin"] > 0:
                versus = f", against {part['against']}" if part["against"] != "ANCE" else ""
                rows.setdefault(
                    f"{record['claim']} · {part['side']} {part['measure']}{versus}", []
                ).append(part)
    return list(rows.items())


def claims_caption(results: Results) -> str:
    """How to read the forest plot."""
    rows = claims_rows(results)
    parts = [part for _, found in rows for part in found]
    units = dict.fromkeys(style.counted(int(part["n"]), str(part["unit"])) for part in parts)
    transforms = dict.fromkeys(str(part["on"]) for part in parts)
    contrasts = dict.fromkeys(
        str(record["contrast"]) for record in results.claims if record.get("main")
    )
    several = " Points of a row: seeds." if any(len(found) > 1 for _, found in rows) else ""
    return (
        f"Differences that the claims are about ({', '.join(contrasts)}, where a row names "
        "nothing else), over the smallest difference that matters, signed so that right supports "
        "the claim, with 95% intervals. Gray band: no meaningful difference. Black: supported or "
        f"contradicted; gray, filled: no meaningful difference; open: undecided.{several} On "
        f"{', '.join(transforms)}; resampled: {', '.join(units)}. The axis is linear within "
        f"±{_LINEAR} and logarithmic outside. Parts that are not tested are left out. "
        f"{style.sizes(results)} {style.OURS}"
    )


@style.styled
def claims(results: Results, *, axes: Axes | None = None, caption: bool = True) -> Figure:
    """Forest plot of the decided claims, each measure in units of its margin.

    Parameters
    ----------
    results
        With decided claims.
    axes
        Where to draw; None makes a figure of page width.
    caption
        Whether a new figure carries its caption.

    Returns
    -------
    matplotlib.figure.Figure
        A row a measure; over seeds one point, else one of each seed's checkpoints.

    Raises
    ------
    InputError
        If no claim has a measure that was tested against a margin.
    """
    rows = claims_rows(results)
    if not rows:
        raise InputError("no claims with a tested measure in these results")
    each = max(0.2, 0.08 + 0.1 * max(len(parts) for _, parts in rows))
    figure, (ax, *_), new = style.canvas(axes, 1, width=style.PAGE, height=0.5 + each * len(rows))
    ax.axvspan(-1, 1, color=style.CHANCE, linewidth=0)
    ax.axvline(0, color=style.GRAY, linewidth=0.8)
    for place, (_, parts) in enumerate(rows):
        for number, part in enumerate(parts):
            _point(ax, place + (number - (len(parts) - 1) / 2) * 0.1 / each, part)
    ax.set_xscale("symlog", linthresh=_LINEAR)
    low, high = ax.get_xlim()
    ticks = [tick for tick in _TICKS if min(low, -3) <= tick <= max(high, 3)]
    ax.set_xticks(ticks, [style.tidy(f"{tick:+d}") if tick else "0" for tick in ticks])
    ax.set_xticks([], minor=True)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_yticks(range(len(rows)), [style.plain(name) for name, _ in rows])
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("← contradicts · difference over its margin · supports →")
    if new and caption:
        style.caption_below(figure, claims_caption(results))
    return figure


def _point(ax: Axes, place: float, part: Mapping[str, Any]) -> None:
    unit = part["margin"] if part["direction"] == "up" else -part["margin"]
    color, filling = _LOOKS.get(part["outcome"], _OPEN)
    ax.plot([part["ci_low"] / unit, part["ci_high"] / unit], [place, place], color=color)
    ax.plot(
        [part["delta"] / unit],
        [place],
        marker="d",
        markersize=5,
        color=color,
        markerfacecolor=filling,
    )
