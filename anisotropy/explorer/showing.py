"""The explorer as an object: a page to save, or a widget to look at and select in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anisotropy.errors import MissingExtra, UsageError
from anisotropy.explorer.data import ExplorerData
from anisotropy.explorer.page import write_page

if TYPE_CHECKING:
    import pandas as pd

EXTRA = "jupyter"


class Explorer:
    """Linked maps of one or two spaces.

    As the last value of a notebook cell it shows itself as a widget (extra ``jupyter``).

    Parameters
    ----------
    data
        What to show.
    """

    def __init__(self, data: ExplorerData) -> None:
        self.data = data

    def __repr__(self) -> str:
        return (
            f"<Explorer {self.data.title!r}: {self.data.n_points:,} points; "
            ".save('explorer.html') writes the page>"
        )

    def save(self, path: str | Path) -> Path:
        """Write one HTML file that needs nothing else, and return its path."""
        return write_page(self.data, path)

    @cached_property
    def widget(self) -> Any:
        """The widget, an ``anywidget.AnyWidget``.

        Raises
        ------
        MissingExtra
            If anywidget is not installed.
        """
        try:
            from anisotropy.explorer.widget import ExplorerWidget
        except ImportError:
            raise MissingExtra("the explorer in Jupyter", EXTRA) from None
        return ExplorerWidget(self.data)

    @property
    def selected(self) -> pd.DataFrame:
        """What is selected in the widget.

        Returns
        -------
        pandas.DataFrame
            Columns ``id``, ``side``, ``text`` and the coordinates of the first map: ``x``,
            ``y``, or of two spaces ``x_a``, ``y_a``, ``x_b``, ``y_b``.
        """
        return self.data.frame(list(self.widget.chosen))

    def select(self, ids: Sequence[str]) -> None:
        """Select points of the maps by id, queries and documents alike.

        Raises
        ------
        UsageError
            If an id is not on the maps.
        """
        places: dict[str, list[int]] = {}
        for number, name in enumerate(self.data.ids[: self.data.n_points]):
            places.setdefault(name, []).append(number)
        unknown = next((name for name in ids if name not in places), None)
        if unknown is not None:
            raise UsageError(
                f"no point has the id {unknown!r}; {self.data.n_points:,} are on the maps"
            )
        self.widget.choose(sorted({number for name in ids for number in places[name]}))

    def _repr_mimebundle_(self, **settings: Any) -> Any:
        """What a notebook shows: the widget, or in words what it needs."""
        try:
            shown = self.widget._repr_mimebundle_(**settings)
        except MissingExtra as error:
            return {"text/plain": f"{self!r}\n{error}"}
        # The text is what a saved notebook shows where no kernel runs.
        data, *more = shown if isinstance(shown, tuple) else (shown,)
        return ({**data, "text/plain": repr(self)}, *more)
