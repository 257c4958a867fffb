"""How often items are among the nearest of others, against chance."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from drawing import an, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(results: an.Results, caption: bool) -> Figure:
    """The figure; change it here for a paper of your own."""
    return an.plots.hubness(results, caption=caption)


if __name__ == "__main__":
    sys.exit(figure("hubness", draw))
