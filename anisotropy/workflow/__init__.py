"""The main jobs: measure spaces, compare two, and put everything into one ``Results``."""

from anisotropy.workflow.analyzing import analyze, analyze_methods, baselines
from anisotropy.workflow.comparing import compare
from anisotropy.workflow.job import Say
from anisotropy.workflow.measuring import measure
from anisotropy.workflow.options import AnalysisOptions, Settings
from anisotropy.workflow.writing import write

__all__ = [
    "AnalysisOptions",
    "Say",
    "Settings",
    "analyze",
    "analyze_methods",
    "baselines",
    "compare",
    "measure",
    "write",
]
