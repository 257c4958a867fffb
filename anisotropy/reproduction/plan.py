"""What is trained for a reproduction: one warm start and one budget for every method."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anisotropy.comparison.claims import (
    ANCE,
    CONTINUED,
    DANCE,
    DUAL,
    NORM,
    STEP_ZERO,
    SYMMETRIC,
    WARM,
)
from anisotropy.encoders.folders import training_record
from anisotropy.errors import UsageError, one_of
from anisotropy.training.config import RECORDING, load_config, stage_configs

TRAINED = ("warmup", "ance", "norm", "dual")
#: Method to the name of its checkpoint.
FILES = {
    WARM: "warm-start",
    ANCE: "ance",
    CONTINUED: "ance-continued",
    NORM: "ance-norm",
    DUAL: "ance-dual",
    DANCE: "dance",
    SYMMETRIC: "dance-symmetric",
    STEP_ZERO: "step-zero",
}
#: The methods that the paper names; the others are controls.
PAPER = (ANCE, NORM, DUAL, DANCE)
CONTROLS = (CONTINUED, SYMMETRIC)
#: Steps between two states that a killed run goes on from, unless another number is given.
SAVE_STEPS = 50
#: Random streams of the two parts after ANCE, as ``norm`` and ``dual`` have them.
FIRST, SECOND = 2, 3
#: Keys that a reproduction leaves as the preset of the stage has them.
_FIXED = ("form", "head", "select", "stream")
#: Loss and head, in which the methods may differ.
_OF_METHOD = ("stage", "form", "temperature", "prime_weight", "dual_weight", "alignment_weight",
              "uniformity_weight", "uniformity_t", "head")  # fmt: skip
#: Lengths and streams, which every method has alike, and what changes nothing in the weights.
_NOT_COMPARED = ("steps", "evaluate_steps", "stream", *RECORDING)


@dataclass(frozen=True)
class Leg:
    """One stage of training from one checkpoint to the next.

    Attributes
    ----------
    name, start
        Names of the checkpoint and of that it starts from; no start = from scratch.
    stage, values
        Of `anisotropy.training.train`.
    """

    name: str
    start: str | None
    stage: str
    values: Mapping[str, Any]

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return stage_configs(self.stage, self.values)[0].steps


@dataclass(frozen=True)
class Plan:
    """Configuration of every stage.

    Attributes
    ----------
    stages
        ``warmup``, ``ance``, ``norm`` and ``dual`` to values over the presets.
    sizes
        Of an encoder from scratch.

    Notes
    -----
    After the ANCE checkpoint every method takes ``norm.steps`` + ``dual.steps`` optimizer steps,
    in two parts of these lengths, each with a learning-rate schedule of its own:

    ================  ==================  =======================
    ANCE continued    ance                ance
    ANCE w. Norm      norm                norm
    ANCE w. Dual      dual (dot product)  dual (dot product)
    DANCE             norm                dual
    DANCE symmetric   norm, symmetric     dual
    ================  ==================  =======================

    So DANCE and ANCE w. Norm share their first part, and two methods differ in nothing but loss
    and head.
    """

    stages: Mapping[str, Mapping[str, Any]]
    sizes: Mapping[str, Any]

    @property
    def budget(self) -> int:
        """Optimizer steps of every method after ANCE."""
        return sum(int(self.config(stage)["steps"]) for stage in ("norm", "dual"))

    def config(self, stage: str) -> dict[str, Any]:
        """Resolved configuration of a stage."""
        return stage_configs(stage, self.stages[stage])[0].as_dict()

    def unequal(self) -> dict[str, tuple[Any, Any, Any]]:
        """What ``ance``, ``norm`` and ``dual`` differ in besides loss and head, with the values.

        ``batch_size`` and ``accumulation`` count as their product, the pairs a step.
        """
        ance, norm, dual = (_compared(self.config(stage)) for stage in ("ance", "norm", "dual"))
        found = {name: (ance[name], norm[name], dual[name]) for name in ance}
        return {name: values for name, values in found.items() if len(set(values)) > 1}

    def legs(self) -> tuple[Leg, ...]:
        """Everything that can be trained, each after what it starts from."""
        first, second = (int(self.config(stage)["steps"]) for stage in ("norm", "dual"))
        # Two methods see the same pairs in the same order, one method others in each part.
        steps = {
            "first": {"steps": first, "stream": FIRST},
            "second": {"steps": second, "stream": SECOND},
        }
        # An ANCE scores by dot products, whatever its file leaves in doubt.
        plain = {"head": "plain"}
        return (
            Leg("warm-start", None, "warmup", self.stages["warmup"]),
            Leg("ance", "warm-start", "ance", self.stages["ance"]),
            self._leg("ance-continued-first", "ance", "ance", steps["first"]),
            self._leg("ance-continued", "ance-continued-first", "ance", steps["second"]),
            self._leg("norm-first", "ance", "norm", steps["first"]),
            self._leg("ance-norm", "norm-first", "norm", steps["second"]),
            self._leg("dual-first", "ance", "dual", {**steps["first"], **plain}),
            self._leg("ance-dual", "dual-first", "dual", steps["second"]),
            self._leg("dance", "norm-first", "dual", steps["second"]),
            self._leg("symmetric-first", "ance", "norm", {**steps["first"], "head": "symmetric"}),
            self._leg("dance-symmetric", "symmetric-first", "dual", steps["second"]),
        )

    def _leg(self, name: str, start: str, stage: str, over: Mapping[str, Any]) -> Leg:
        return Leg(name, start, stage, {**self.stages[stage], **over})

    def needed(self, methods: Iterable[str], given: Iterable[str]) -> tuple[Leg, ...]:
        """The legs that lead to methods, in order, from what is given."""
        there = {FILES[method] for method in given}
        legs = {leg.name: leg for leg in self.legs()}
        wanted: set[str] = set()
        for method in methods:
            name: str | None = FILES[method]
            while name is not None and name not in there | wanted:
                wanted.add(name)
                name = legs[name].start
        return tuple(leg for leg in legs.values() if leg.name in wanted)


def _compared(values: Mapping[str, Any]) -> dict[str, Any]:
    left = (*_OF_METHOD, *_NOT_COMPARED, "batch_size", "accumulation")
    pairs = {"batch_size x accumulation": values["batch_size"] * values["accumulation"]}
    return {**pairs, **{name: value for name, value in values.items() if name not in left}}


def make_plan(config: str | Path | Mapping[str, Any] | None = None) -> Plan:
    """Resolve and check the training configuration of a reproduction.

    Parameters
    ----------
    config
        TOML file or mapping with the tables ``sizes`` (of an encoder from scratch), ``warmup``,
        ``ance``, ``norm`` and ``dual`` (values over the stage's), each optional. What is not
        given is what the demo uses, and 50 ``save_steps``.

    Raises
    ------
    UsageError
        If a table, key or value is not allowed. ``form``, ``head`` and ``select`` are the
        preset's: they make the methods, and the last step counts.
    """
    import dataclasses

    from anisotropy.training.demo import PLAN, SIZES
    from anisotropy.training.encoder import EncoderSizes

    where = str(config) if isinstance(config, str | Path) else "config"
    given = dict(load_config(config) if isinstance(config, str | Path) else config or {})
    for name, table in given.items():
        if name not in (*TRAINED, "sizes"):
            raise UsageError(f"{where}: unknown table: {one_of(name, (*TRAINED, 'sizes'))}")
        if not isinstance(table, Mapping):
            raise UsageError(f"{where}: {name}: got {table!r}; allowed: a table of values")
    sizes = {**dataclasses.asdict(SIZES), **given.get("sizes", {})}
    known = [field.name for field in dataclasses.fields(EncoderSizes)]
    for name in sizes:
        if name not in known:
            raise UsageError(f"{where}: sizes: {one_of(name, known)}")
    EncoderSizes(**sizes)
    saved = {"save_steps": SAVE_STEPS}
    stages = {stage: {**saved, **PLAN[stage], **given.get(stage, {})} for stage in TRAINED}
    plan = Plan(stages, sizes)
    for leg in plan.legs():
        _checked(where, leg)
    for stage in TRAINED:
        _check_fixed(where, stage, plan.config(stage))
    return plan


def _checked(where: str, leg: Leg) -> None:
    try:
        stage_configs(leg.stage, leg.values)
    except UsageError as error:
        raise UsageError(f"{where}: {leg.stage}: {error}") from None


def _check_fixed(where: str, stage: str, values: Mapping[str, Any]) -> None:
    """Refuse what makes a stage another method, or takes weights from before its last step."""
    preset = stage_configs(stage)[0].as_dict()
    for name in _FIXED:
        if values[name] != preset[name]:
            raise UsageError(
                f"{where}: {stage}: {name}: got {values[name]!r}; allowed in a reproduction: "
                f"{preset[name]!r}; leave it out"
            )


def finished(folder: Path, leg: Leg, seed: int, start: Path | None, fingerprint: str) -> bool:
    """Whether the checkpoint of a leg is there already, made in the way that is asked for.

    Parameters
    ----------
    folder
        Of the checkpoint.
    leg, seed, start, fingerprint
        What is asked for; `fingerprint` is that of the collection.

    Raises
    ------
    UsageError
        If it is there and was made otherwise.
    """
    record = training_record(folder)
    if record is None:
        return False
    differing = list(_differences(record, leg, seed, start, fingerprint))
    if differing:
        raise UsageError(
            f"{folder}: made with {'; '.join(differing[:3])}; choose another --out, or the same "
            "configuration"
        )
    return _complete(folder, leg.steps)


def _complete(folder: Path, steps: int) -> bool:
    """Whether the history reaches the last step."""
    try:
        with (folder / "history.csv").open(newline="", encoding="utf-8") as file:
            done = [int(row["step"]) for row in csv.DictReader(file)]
    except (OSError, KeyError, ValueError, TypeError):
        return False
    return steps in done


#: Resolved by the start, so that what is recorded is not what a configuration says; or without
#: effect on the weights.
_NOT_HELD = ("form", "temperature", *RECORDING)


def _differences(
    record: Mapping[str, Any], leg: Leg, seed: int, start: Path | None, fingerprint: str
) -> Iterable[str]:
    stages = record.get("stages") or [{}]
    made = stages[-1].get("config") or {}
    for name, value in stage_configs(leg.stage, leg.values)[0].as_dict().items():
        # Checkpoints from before there were streams drew otherwise.
        before = None if name == "stream" else value
        if name not in _NOT_HELD and made.get(name, before) != value:
            yield f"{name} {made.get(name)!r}, asked for {value!r}"
    if record.get("seed") != seed:
        yield f"seed {record.get('seed')}, asked for {seed}"
    origin = record.get("start")
    if _place(origin, folder_of=leg) != _place(start, folder_of=leg):
        yield f"start {origin}, asked for {start}"
    known = (record.get("collection") or {}).get("fingerprint")
    if known != fingerprint:
        yield f"another collection or split ({known}, asked for {fingerprint})"


def _place(path: Any, folder_of: Leg) -> str | None:
    """A start: of ours the name beside the checkpoint, so that a folder may be moved."""
    if path is None:
        return None
    ours = folder_of.start is not None and Path(path).name == f"{folder_of.start}.ckpt"
    return Path(path).name if ours else str(Path(path).expanduser().resolve())
