"""The configuration of a training run, and the stages as presets over it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anisotropy.errors import InputError, UsageError, one_of, shown
from anisotropy.untrusted.texts import read_toml

STAGES = ("warmup", "ance", "norm", "dual", "dance")
CHOICES: dict[str, tuple[str, ...]] = {
    "form": ("start", "dot_product", "cosine", "multi_negative", "in_batch"),
    "head": ("start", "plain", "dance", "symmetric"),
    "optimizer": ("adamw", "lamb"),
    "schedule": ("linear", "upstream"),
    "dtype": ("float32", "bfloat16"),
    "select": ("last", "best"),
    "exclude": ("all", "recorded"),
    "order": ("sampled", "best"),
    "document_negatives": ("model", "bm25", "random"),
    "query_negatives": ("model", "bm25", "random"),
}


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides a stage besides start, collection and seed.

    Attributes
    ----------
    stage
        Name, for history and messages.
    form
        ``dot_product``, ``cosine`` (two-logit losses), ``multi_negative``, ``in_batch``, or
        ``start``: ``cosine`` where the vectors are normalized, else ``dot_product``.
    temperature
        Divides scores in every form but ``dot_product``.
    negatives
        Of a row in ``multi_negative``; the two-logit forms have 1.
    hard_negatives
        Mined negatives a row that ``in_batch`` adds to the batch; 0 = only the batch.
    prime_weight, dual_weight
        Weights of documents for queries and of queries for documents.
    alignment_weight, uniformity_weight, uniformity_t
        Regularizers.
    head
        ``plain`` (LayerNorm on both sides), ``dance`` (L2; documents without the LayerNorm),
        ``symmetric`` (L2 and LayerNorm on both sides), or ``start``: as the start's recipe says.
    stream
        Number of the stage's random streams, by a preset its place among the stages: with one
        seed, stages of different numbers see the pairs in different orders and draw different
        negatives, and stages of one number see and draw the same.
    steps
        Optimizer steps.
    batch_size
        Pairs of one loss. A step sees batch_size x accumulation x devices pairs; ``in_batch``
        takes the negatives of a row from its own loss, never from another device.
    accumulation
        Losses a step on each device, one after the other; their mean is minimized.
    micro_batch
        Sequences a forward pass; those of a loss are sorted by length first.
    cache_gradients
        Two forward passes and the memory of one `micro_batch` instead of the whole batch
        (GradCache, Gao et al., 2021); the gradients are the same.
    dtype
        ``float32``, or ``bfloat16``: the model computes under autocast; weights, optimizer and
        losses stay float32.
    device
        ``auto`` (cuda where there is one), ``cpu``, ``cuda:1``; of several devices ``auto`` or
        ``cpu``.
    learning_rate, warmup_steps
        Peak of the schedule, and the steps up to it.
    schedule
        ``linear``: up and down in lines, every step counts. ``upstream``: one step behind, so
        that the first of several warm-up steps has a rate of 0.
    optimizer, eps, weight_decay
        ``adamw``, or ``lamb`` as upstream defines it.
    max_grad_norm
        Gradients are clipped to it; 0 = never.
    dropout
        Of hidden states and attention.
    depth, kept
        Negatives: the top `depth` of the current model, of which `kept` are sampled; upstream
        200 and 20.
    exclude
        What is never a negative: ``all`` positives of an anchor, or the ``recorded`` one alone:
        the positive that the judgments of a query name last, as upstream, which also trains on
        no other; and for a document the training queries that record it.
    order
        Of the top `depth`: ``sampled``, or the ``best`` `kept`, as upstream's
        ``ann_measure_topk_mrr``.
    document_negatives, query_negatives
        Negatives come from the top of the current ``model``, of ``bm25`` (extra ``train``), or
        are ``random``.
    chunk_factor
        Training queries are cut in so many chunks; each refresh mines the next one and the steps
        up to the next refresh train on its pairs alone. 1 = all queries; upstream 5.
    refresh_steps
        Steps between two searches for negatives.
    evaluate_steps
        Steps between two evaluations on dev; 0 = only before the first and after the last step,
        and where negatives are refreshed.
    select
        Weights that a stage ends with: ``last``, or ``best``: of the evaluation with the highest
        nDCG@10 on dev, the earliest of equal ones; the evaluation before the first step counts.
    save_steps
        Steps between two training states to resume from; 0 = only between stages.
    tensorboard
        Event files in ``OUT.tensorboard``; needs the extra ``train``.
    start_layers
        Layers of the start's backbone that are kept, the first so many; 0 = all.
    max_query_length, max_document_length
        In tokens, special tokens included; 0 = as the start says.
    """

    stage: str = "ance"
    form: str = "dot_product"
    temperature: float = 1.0
    negatives: int = 1
    hard_negatives: int = 0
    prime_weight: float = 1.0
    dual_weight: float = 0.0
    alignment_weight: float = 0.0
    uniformity_weight: float = 0.0
    uniformity_t: float = 5.0
    head: str = "plain"
    stream: int = 0
    steps: int = 300
    batch_size: int = 64
    accumulation: int = 1
    micro_batch: int = 64
    cache_gradients: bool = False
    dtype: str = "float32"
    device: str = "auto"
    learning_rate: float = 1e-4
    warmup_steps: int = 20
    schedule: str = "linear"
    optimizer: str = "adamw"
    eps: float = 1e-8
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    dropout: float = 0.0
    depth: int = 200
    kept: int = 20
    exclude: str = "all"
    order: str = "sampled"
    document_negatives: str = "model"
    query_negatives: str = "model"
    chunk_factor: int = 1
    refresh_steps: int = 150
    evaluate_steps: int = 0
    select: str = "last"
    save_steps: int = 0
    tensorboard: bool = False
    start_layers: int = 0
    max_query_length: int = 0
    max_document_length: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = _typed(field.name, getattr(self, field.name), type(field.default))
            object.__setattr__(self, field.name, value)
        if self.kept > self.depth:
            raise UsageError(f"kept: got {self.kept}; allowed: at most depth, {self.depth}")
        self._check_negatives("negatives", "multi_negative", 1)
        self._check_negatives("hard_negatives", "in_batch", 0)

    def _check_negatives(self, name: str, form: str, least: int) -> None:
        value = getattr(self, name)
        if value != least and self.form != form:
            raise UsageError(
                f"{name}: got {value} with form {self.form!r}; allowed: {least}, or form {form!r}"
            )
        if value > self.kept:
            raise UsageError(f"{name}: got {value}; allowed: at most kept, {self.kept}")

    @property
    def mines(self) -> bool:
        """Whether rows bring mined negative documents."""
        return self.form != "in_batch" or self.hard_negatives > 0

    @property
    def mines_queries(self) -> bool:
        """Whether rows bring mined negative queries as well."""
        return self.mines and self.dual_weight > 0

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
#: Keys that change nothing in the weights, so a resumed run may have other values.
RECORDING = ("save_steps", "tensorboard")
OF_START = ("start_layers", "max_query_length", "max_document_length")
_LOWEST: dict[str, int] = dict.fromkeys(
    ("stream", "evaluate_steps", "warmup_steps", "hard_negatives", "save_steps", *OF_START), 0
)
_ABOVE_ZERO = ("temperature", "learning_rate", "uniformity_t", "eps")


def _typed(name: str, value: Any, kind: type) -> Any:
    if kind is str:
        return _word(name, value)
    if kind is bool:
        return _truth(name, value)
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if kind is int:
        lowest = _LOWEST.get(name, 1)
        if not isinstance(value, int) or not number >= lowest:
            raise UsageError(
                f"{name}: got {shown(value)}; allowed: a whole number, {lowest} or more"
            )
        return value
    allowed = number > 0 if name in _ABOVE_ZERO else number >= 0
    if not allowed or not math.isfinite(number) or (name == "dropout" and number >= 1):
        bound = "above 0" if name in _ABOVE_ZERO else "0 or more"
        bound = "from 0 to below 1" if name == "dropout" else bound
        raise UsageError(f"{name}: got {shown(value)}; allowed: a number {bound}")
    return float(number)


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{name}: got {shown(value)}; allowed: true or false")
    return value


def _word(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{name}: got {shown(value)}; allowed: text")
    if name in CHOICES and value not in CHOICES[name]:
        raise UsageError(f"{name}: {one_of(value, CHOICES[name])}")
    return value


_PRESETS: dict[str, dict[str, Any]] = {
    "warmup": {"form": "in_batch", "dual_weight": 1.0, "batch_size": 256, "learning_rate": 2e-3},
    "ance": {"form": "dot_product", "stream": 1},
    "norm": {"form": "cosine", "temperature": 0.01, "head": "dance", "stream": 2},
    "dual": {
        "form": "start",
        "temperature": 0.01,
        "head": "start",
        "dual_weight": 0.1,
        "stream": 3,
    },
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
        raise UsageError(f"training configuration: {part}: got {shown(values)}; allowed: a table")
    return dict(values)


def load_config(path: str | Path) -> dict[str, Any]:
    """Read a TOML file of configuration values; `stage_configs` checks them.

    Raises
    ------
    UsageError
        If it cannot be read as TOML.
    """
    try:
        return read_toml(Path(path))
    except InputError as error:
        raise UsageError(str(error)) from None
