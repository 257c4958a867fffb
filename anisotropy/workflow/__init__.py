"""The main jobs: measure spaces, compare two, and put everything into one ``Results``."""

from anisotropy.workflow.analyzing import analyze, analyze_methods, baselines
from anisotropy.workflow.comparing import compare
from anisotropy.workflow.job import Say
from anisotropy.workflow.measuring import measure
from anisotropy.workflow.observed import add_observed, analyze_negatives
from anisotropy.workflow.options import AnalysisOptions, Settings
from anisotropy.workflow.ranking import analyze_runs, compare_two_runs, judgments_of
from anisotropy.workflow.writing import write

__all__ = [
    "AnalysisOptions",
    "Say",
    "Settings",
    "add_observed",
    "analyze",
    "analyze_methods",
    "analyze_negatives",
    "analyze_runs",
    "baselines",
    "compare",
    "compare_two_runs",
    "judgments_of",
    "measure",
    "write",
]
