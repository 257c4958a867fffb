"""Train dual encoders as ANCE and DANCE do: losses, negatives, a loop, named stages.

>>> from anisotropy import training                                           # doctest: +SKIP
>>> training.train("dance", start="ance.ckpt", data="docstrings", out="dance.ckpt")

Importing this package loads no torch; its functions do when first touched.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from anisotropy.training.config import STAGES, TrainingConfig, load_config, stage_configs

if TYPE_CHECKING:
    from anisotropy.training.bm25 import bm25_ranking
    from anisotropy.training.callback import GeometryCallback
    from anisotropy.training.demo import train_demo
    from anisotropy.training.encoder import (
        EncoderSizes,
        Trainable,
        UpstreamTrainable,
        new_encoder,
        open_trainable,
    )
    from anisotropy.training.exchange import FromFiles, NegativeWriter
    from anisotropy.training.losses import Objective
    from anisotropy.training.mining import InProcess
    from anisotropy.training.refresher import follow
    from anisotropy.training.stages import train

__all__ = [
    "STAGES",
    "EncoderSizes",
    "FromFiles",
    "GeometryCallback",
    "InProcess",
    "NegativeWriter",
    "Objective",
    "Trainable",
    "TrainingConfig",
    "UpstreamTrainable",
    "bm25_ranking",
    "follow",
    "load_config",
    "new_encoder",
    "open_trainable",
    "stage_configs",
    "train",
    "train_demo",
]

_LAZY = {
    "EncoderSizes": "encoder",
    "FromFiles": "exchange",
    "GeometryCallback": "callback",
    "InProcess": "mining",
    "NegativeWriter": "exchange",
    "Objective": "losses",
    "Trainable": "encoder",
    "UpstreamTrainable": "encoder",
    "bm25_ranking": "bm25",
    "follow": "refresher",
    "new_encoder": "encoder",
    "open_trainable": "encoder",
    "train": "stages",
    "train_demo": "demo",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
