"""How near queries are to random, to relevant and to the nearest documents."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from drawing import an, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(results: an.Results, caption: bool) -> Figure:
    """The figure; change it here for a paper of your own."""
    return an.plots.distances(results, caption=caption)


if __name__ == "__main__":
    sys.exit(figure("distances", draw))
