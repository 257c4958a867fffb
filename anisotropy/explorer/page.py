"""The explorer as one HTML file that needs nothing else, and the code that draws it."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from pathlib import Path

from anisotropy.explorer.data import ExplorerData
from anisotropy.explorer.packing import LIMIT, pack
from anisotropy.files import write_text

#: Parts of the script, in the order in which they stand in it.
PARTS = ("arrays.js", "stamps.js", "map.js", "panel.js", "finder.js", "explorer.js")


def write_page(data: ExplorerData, path: str | Path, limit: int = LIMIT) -> Path:
    """Write the page.

    Parameters
    ----------
    data
        What to show.
    path
        File to write; its folder is made.
    limit
        Size in bytes to keep within; what is left out for it is said on the page.

    Returns
    -------
    pathlib.Path
        `path`.
    """
    path = Path(path)
    write_text(path, render_page(data, limit))
    return path


def render_page(data: ExplorerData, limit: int = LIMIT) -> str:
    """The page as text; it loads nothing, and its policy lets only its own script run."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(asset("explorer.html.j2"))
    script, style = f"{script_text()}\n{asset('page.js').strip()}", asset("explorer.css").strip()
    page = template.render(
        title=data.title,
        data=pack(data, limit).text,
        script=script,
        style=style,
        script_digest=_digest(script),
        style_digest=_digest(style),
    )
    # A lone surrogate in a label is text that no file can hold.
    return page.encode("utf-8", "replace").decode("utf-8")


def script_text() -> str:
    """The code that draws the explorer into an element, without what starts it."""
    return "\n".join(asset(name).strip() for name in PARTS)


def asset(name: str) -> str:
    """Text of a file beside this module."""
    return (files("anisotropy.explorer") / "assets" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
