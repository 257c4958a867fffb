"""Transforms of embeddings: values with a text identity, fitted on one set, applied to another."""

from anisotropy.transforms.fitting import Fitted, fit
from anisotropy.transforms.identity import (
    Step,
    Transform,
    center,
    normalize,
    parse,
    remove_top_directions,
    standardize,
    whiten,
)
from anisotropy.transforms.space import transform

__all__ = [
    "Fitted",
    "Step",
    "Transform",
    "center",
    "fit",
    "normalize",
    "parse",
    "remove_top_directions",
    "standardize",
    "transform",
    "whiten",
]
