"""The configuration of a training run, and the stages as presets over it."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anisotropy.errors import UsageError, one_of

STAGES = ("warmup", "ance", "norm", "dual", "dance")
CHOICES: dict[str, tuple[str, ...]] = {
    "form": ("start", "dot_product", "cosine", "in_batch"),
    "head": ("start", "plain", "dance", "symmetric"),
    "optimizer": ("adamw", "lamb"),
}


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides a stage besides start, collection and seed.

    Attributes
    ----------
    stage
        Name, for history and messages.
    form
        ``dot_product``, ``cosine`` (two-logit losses), ``in_batch``, or ``start``: ``cosine``
        where the vectors are normalized, else ``dot_product``.
    temperature
        Divides scores in ``cosine`` and ``in_batch``.
    prime_weight, dual_weight
        Weights of documents for queries and of queries for documents.
    alignment_weight, uniformity_weight, uniformity_t
        Regularizers.
    head
        ``plain`` (LayerNorm on both sides), ``dance`` (L2; documents without the LayerNorm),
        ``symmetric`` (L2 and LayerNorm on both sides), or ``start``: as the start's recipe says.
    steps
        Optimizer steps.
    batch_size
        Pairs a step.
    micro_batch
        Sequences a forward pass; those of a step are sorted by length first.
    learning_rate, warmup_steps
        Peak of the linear schedule, and the steps up to it.
    optimizer, eps, weight_decay
        ``adamw``, or ``lamb`` as upstream defines it.
    max_grad_norm
        Gradients are clipped to it; 0 = never.
    dropout
        Of hidden states and attention.
    depth, kept
        Negatives: the top `depth` of the current model, of which `kept` are sampled; upstream
        200 and 20.
    refresh_steps
        Steps between two searches for negatives.
    evaluate_steps
        Steps between two evaluations on dev; 0 = only before the first and after the last step.
    start_layers
        Layers of the start's backbone that are kept, the first so many; 0 = all.
    max_query_length, max_document_length
        In tokens, special tokens included; 0 = as the start says.
    """

    stage: str = "ance"
    form: str = "dot_product"
    temperature: float = 1.0
    prime_weight: float = 1.0
    dual_weight: float = 0.0
    alignment_weight: float = 0.0
    uniformity_weight: float = 0.0
    uniformity_t: float = 5.0
    head: str = "plain"
    steps: int = 300
    batch_size: int = 64
    micro_batch: int = 64
    learning_rate: float = 1e-4
    warmup_steps: int = 20
    optimizer: str = "adamw"
    eps: float = 1e-8
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    dropout: float = 0.0
    depth: int = 200
    kept: int = 20
    refresh_steps: int = 150
    evaluate_steps: int = 0
    start_layers: int = 0
    max_query_length: int = 0
    max_document_length: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = _typed(field.name, getattr(self, field.name), type(field.default))
            object.__setattr__(self, field.name, value)
        if self.kept > self.depth:
            raise UsageError(f"kept: got {self.kept}; allowed: at most depth, {self.depth}")

    def replace(self, **values: Any) -> TrainingConfig:
        """Return a copy with other values.

        Raises
        ------
        UsageError
            If a key is unknown (with the nearest match) or a value is not allowed.
        """
        for key in values:
            if key not in KEYS:
                raise UsageError(f"training configuration: unknown key: {one_of(key, KEYS)}")
        return dataclasses.replace(self, **values)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON and TOML."""
        return dataclasses.asdict(self)


KEYS = tuple(field.name for field in dataclasses.fields(TrainingConfig) if field.name != "stage")
OF_START = ("start_layers", "max_query_length", "max_document_length")
_LOWEST = dict.fromkeys(("evaluate_steps", "warmup_steps", *OF_START), 0)
_ABOVE_ZERO = ("temperature", "learning_rate", "uniformity_t", "eps")


def _typed(name: str, value: Any, kind: type) -> Any:
    if kind is str:
        return _word(name, value)
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if kind is int:
        lowest = _LOWEST.get(name, 1)
        if not isinstance(value, int) or not number >= lowest:
            raise UsageError(f"{name}: got {value!r}; allowed: a whole number, {lowest} or more")
        return value
    allowed = number > 0 if name in _ABOVE_ZERO else number >= 0
    if not allowed or not math.isfinite(number) or (name == "dropout" and number >= 1):
        bound = "above 0" if name in _ABOVE_ZERO else "0 or more"
        bound = "from 0 to below 1" if name == "dropout" else bound
        raise UsageError(f"{name}: got {value!r}; allowed: a number {bound}")
    return float(number)


def _word(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{name}: got {value!r}; allowed: text")
    if name in CHOICES and value not in CHOICES[name]:
        raise UsageError(f"{name}: {one_of(value, CHOICES[name])}")
    return value


_PRESETS: dict[str, dict[str, Any]] = {
    "warmup": {"form": "in_batch", "dual_weight": 1.0, "batch_size": 256, "learning_rate": 2e-3},
    "ance": {"form": "dot_product"},
    "norm": {"form": "cosine", "temperature": 0.01, "head": "dance"},
    "dual": {"form": "start", "temperature": 0.01, "head": "start", "dual_weight": 0.1},
}
_PARTS: dict[str, tuple[str, ...]] = {"dance": ("norm", "dual")}


def stage_configs(
    stage: str, config: Mapping[str, Any] | TrainingConfig | None = None
) -> tuple[TrainingConfig, ...]:
    """Resolve a stage into the configurations it runs one after the other.

    Parameters
    ----------
    stage
        ``warmup`` (in-batch softmax, no mined negatives), ``ance`` (dot product), ``norm`` (cosine
        at temperature 0.01 under upstream's asymmetric head), ``dual`` (adds 0.1 times the
        query-retrieval loss to whatever the start computes), or ``dance``: norm, then dual.
    config
        Values over the preset's; for ``dance`` they hold for both parts, and tables ``norm`` and
        ``dual`` for one. A `TrainingConfig` is taken as it is.

    Returns
    -------
    tuple of TrainingConfig
        One, or two for ``dance``.

    Raises
    ------
    UsageError
        If the stage or a key is unknown, or a value is not allowed.
    """
    if stage not in STAGES:
        raise UsageError(f"training stage: {one_of(stage, STAGES)}")
    parts = _PARTS.get(stage, (stage,))
    if isinstance(config, TrainingConfig):
        if len(parts) > 1:
            raise UsageError(f"stage {stage!r} runs {' and '.join(parts)}; give it a mapping")
        return (config,)
    shared = dict(config or {})
    tables = {part: _table(part, shared.pop(part, {})) for part in parts if len(parts) > 1}
    return tuple(
        TrainingConfig(stage=part).replace(**{**_PRESETS[part], **shared, **tables.get(part, {})})
        for part in parts
    )


def _table(part: str, values: Any) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise UsageError(f"training configuration: {part}: got {values!r}; allowed: a table")
    return dict(values)


def load_config(path: str | Path) -> dict[str, Any]:
    """Read a TOML file of configuration values; `stage_configs` checks them.

    Raises
    ------
    UsageError
        If it cannot be read as TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UsageError(f"{path}: not readable as TOML ({reason})") from None
