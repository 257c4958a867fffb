"""What the embedding space of a dense retriever looks like, and what changed in it.

``import anisotropy as an`` is light: each name below is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

#: Public name -> module that defines it (and, for a module, itself).
_PUBLIC = {
    "AnisotropyError": "anisotropy.errors",
    "EmbeddingSpace": "anisotropy.spaces",
    "Results": "anisotropy.results",
    "analyze": "anisotropy.api",
    "analyze_runs": "anisotropy.api",
    "collection": "anisotropy.collection",
    "compare": "anisotropy.api",
    "compare_runs": "anisotropy.api",
    "convert": "anisotropy.api",
    "encoders": "anisotropy.encoders",
    "errors": "anisotropy.errors",
    "explore": "anisotropy.api",
    "measure": "anisotropy.workflow",
    "measures": "anisotropy.measures",
    "negative_probability": "anisotropy.api",
    "observed_negatives": "anisotropy.measures",
    "open": "anisotropy.api",
    "open_collection": "anisotropy.collection",
    "plots": "anisotropy.plots",
    "project": "anisotropy.api",
    "read_run": "anisotropy.collection.runs",
    "reproduce": "anisotropy.reproduction",
    "training": "anisotropy.training",
    "transform": "anisotropy.transforms",
    "transforms": "anisotropy.transforms",
}

__all__ = [
    "AnisotropyError",
    "EmbeddingSpace",
    "Results",
    "__version__",
    "analyze",
    "analyze_runs",
    "collection",
    "compare",
    "compare_runs",
    "convert",
    "encoders",
    "errors",
    "explore",
    "measure",
    "measures",
    "negative_probability",
    "observed_negatives",
    "open",
    "open_collection",
    "plots",
    "project",
    "read_run",
    "reproduce",
    "training",
    "transform",
    "transforms",
]

if TYPE_CHECKING:
    from anisotropy import (
        collection,
        encoders,
        errors,
        measures,
        plots,
        training,
        transforms,
    )
    from anisotropy.api import (
        analyze,
        analyze_runs,
        compare,
        compare_runs,
        convert,
        explore,
        negative_probability,
        open,
        project,
    )
    from anisotropy.collection import open_collection
    from anisotropy.collection.runs import read_run
    from anisotropy.errors import AnisotropyError
    from anisotropy.measures import observed_negatives
    from anisotropy.reproduction import reproduce
    from anisotropy.results import Results
    from anisotropy.spaces import EmbeddingSpace
    from anisotropy.transforms import transform
    from anisotropy.workflow import measure


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'anisotropy' has no attribute {name!r}")
    module = importlib.import_module(_PUBLIC[name])
    value = module if _PUBLIC[name] == f"anisotropy.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
