"""The report as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anisotropy.files import write_text
from anisotropy.report.numbers import minus
from anisotropy.report.view import view_of
from anisotropy.results import Results

if TYPE_CHECKING:
    from markupsafe import Markup

    from anisotropy.plots import FigureKind

_DPI = 200
#: A part of a text without a space that a line may not be broken in: a number with a minus.
_NUMBER = re.compile(r"(?<!\w)[-−]\d|\de[-−]?\d")


def write_html(results: Results, path: str | Path) -> Path:
    """Write the offline report.

    Parameters
    ----------
    results
        Of one space, several, or two compared.
    path
        File to write; its folder is made.

    Returns
    -------
    pathlib.Path
        `path`. The page loads nothing: figures are inside, every text from elsewhere is
        escaped, and its content policy lets no script run but its own.
    """
    path = Path(path)
    write_text(path, render_html(results))
    return path


def render_html(results: Results) -> str:
    """The page as text; the same results give the same text."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["whole"] = _whole
    template = environment.from_string(_resource("report.html.j2"))
    script = _resource("copy.js").strip()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = template.render(
        view=view_of(results, _figures(results)),
        style=_resource("report.css"),
        script=script,
        script_digest=digest,
    )
    # A lone surrogate in an id or label is text that no file can hold.
    return page.encode("utf-8", "replace").decode("utf-8")


def _whole(text: str) -> Markup:
    """The text escaped, with each number that a line may break in at a sign kept whole."""
    from markupsafe import Markup, escape

    parts = [
        Markup('<span class="whole">{}</span>').format(part)
        if _NUMBER.search(part)
        else escape(part)
        for part in re.split(r"(\s+)", text)
    ]
    return Markup("").join(parts)


def _resource(name: str) -> str:
    return (files("anisotropy.report") / "assets" / name).read_text(encoding="utf-8")


def _figures(results: Results) -> list[dict[str, Any]]:
    """Place, title, caption and data of each figure whose curves are there."""
    from anisotropy.plots import available

    return [_figure(kind, kind.of(results)) for kind in available(results)]


def _figure(kind: FigureKind, shown: Results) -> dict[str, Any]:
    from anisotropy.plots import render
    from anisotropy.plots.style import COLUMN

    figure = kind.draw(shown, caption=False)
    data = render(figure, "png", _DPI)
    width, height = _size(data)
    caption = minus(kind.caption(shown))
    return {
        "name": kind.name,
        "family": kind.family,
        "title": kind.title,
        "caption": caption,
        "alt": f"{kind.title}. {_gist(caption)}",
        "data": f"data:image/png;base64,{base64.b64encode(data).decode()}",
        "width": width,
        "height": height,
        "wide": bool(figure.get_figwidth() > COLUMN),
    }


def _size(png: bytes) -> tuple[int, int]:
    """Width and height in pixels, which the head of a PNG holds: pages do not jump then."""
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


def _gist(caption: str) -> str:
    """First sentence of a caption."""
    return re.split(r"(?<=[.:])\s+(?=[A-Z])", caption, maxsplit=1)[0]
