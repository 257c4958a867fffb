"""Reports: results as a terminal table, JSON, CSV, LaTeX, Markdown and one offline HTML page.

A report has no numbers of its own: each one stands in the results, rounded here for reading.
"""

from anisotropy.report.claims import claims_text
from anisotropy.report.drawing import (
    draw_figures,
    figure_names,
    figures_text,
    missing,
    read_results,
    write_figure,
    write_table,
)
from anisotropy.report.formats import FORMATS, format_results
from anisotropy.report.methods import TABLES, MethodTable, method_table, write_tables
from anisotropy.report.page import write_html
from anisotropy.report.terminal import terminal_table

__all__ = [
    "FORMATS",
    "TABLES",
    "MethodTable",
    "claims_text",
    "draw_figures",
    "figure_names",
    "figures_text",
    "format_results",
    "method_table",
    "missing",
    "read_results",
    "terminal_table",
    "write_figure",
    "write_html",
    "write_table",
    "write_tables",
]
