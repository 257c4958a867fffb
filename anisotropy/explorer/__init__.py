"""The explorer: linked maps of one or two spaces, as one offline page and in Jupyter.

Its numbers are those of the measures; the page and the widget only display them.
"""

from anisotropy.explorer.building import build
from anisotropy.explorer.data import ExplorerData
from anisotropy.explorer.options import ExplorerOptions
from anisotropy.explorer.page import write_page
from anisotropy.explorer.showing import Explorer

__all__ = ["Explorer", "ExplorerData", "ExplorerOptions", "build", "write_page"]
