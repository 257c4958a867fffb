"""The explorer in Jupyter, through anywidget (extra ``jupyter``)."""

from __future__ import annotations

from collections.abc import Sequence

import anywidget
import traitlets

from anisotropy.explorer.data import ExplorerData
from anisotropy.explorer.packing import pack
from anisotropy.explorer.page import asset, script_text


class ExplorerWidget(anywidget.AnyWidget):  # type: ignore[misc]
    """The same code as the page, with the selection known to Python.

    Parameters
    ----------
    data
        What to show.
    """

    _esm = f"{script_text()}\n{asset('widget.js')}"
    _css = asset("explorer.css")
    _data = traitlets.Unicode().tag(sync=True)
    _chosen = traitlets.List(traitlets.Int()).tag(sync=True)

    def __init__(self, data: ExplorerData) -> None:
        super().__init__(_data=pack(data).text, _chosen=[])

    @property
    def chosen(self) -> tuple[int, ...]:
        """Numbers of the selected items."""
        return tuple(self._chosen)

    def choose(self, items: Sequence[int]) -> None:
        """Select items, here and in the browser."""
        self._chosen = list(items)
