"""Training states: everything that a killed run needs to go on to the same weights.

Beside the checkpoint ``OUT``, the folder ``OUT.training`` holds ``history.csv`` and the newest
state, a folder ``state-<stage>-<step>`` of safetensors, npz and JSON files. A state is written
under another name, synced and renamed: it is whole or not there. The folder goes when the
checkpoint is whole.
"""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from anisotropy.errors import CheckpointError, UsageError, reason_of
from anisotropy.files import dump_json, read_json, sync, sync_folder
from anisotropy.locking import FileLock
from anisotropy.training.history import HistoryFile, Row, read_history
from anisotropy.training.mining import Mined

_UNREADABLE = (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile)
FORMAT = "anisotropy.training-state/1"
LOCK = "lock"
_NAME = re.compile(r"state-(\d+)-(\d+)")
_OURS = re.compile(rf"\.?{_NAME.pattern}|{LOCK}|history\.csv|\.history\.csv\..*")
Weights = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Best:
    """The best evaluation of a stage so far.

    Attributes
    ----------
    value, step
        nDCG@10 on dev, and the steps taken.
    weights
        Of the model then, on the CPU.
    """

    value: float
    step: int
    weights: Weights


@dataclass(eq=False)
class State:
    """Where a run is, between two steps.

    Attributes
    ----------
    stage, step
        Number of the stage, and the steps taken in it; the look before the next is still due.
    weights
        Of the model.
    optimizer
        ``state`` of the optimizer's state dict; empty before the first step of a stage.
    mined
        Negatives in force.
    best
        Best evaluation of the stage, where it selects by that.
    done
        Records of the stages behind it.
    seconds, cpu_seconds
        Spent in the stage.
    rows
        Of the history.
    threads
        Of torch.
    """

    stage: int
    step: int
    weights: Weights
    optimizer: dict[int, dict[str, Any]] = field(default_factory=dict)
    mined: Mined = field(default_factory=Mined)
    best: Best | None = None
    done: tuple[dict[str, Any], ...] = ()
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    rows: list[Row] = field(default_factory=list)
    threads: int = field(default_factory=torch.get_num_threads)


def copied(network: nn.Module) -> Weights:
    """Weights of a model as they are now, on the CPU."""
    return {
        key: tensor.detach().to("cpu", copy=True).contiguous()
        for key, tensor in network.state_dict().items()
    }


class TrainingFolder:
    """``OUT.training``: history and state of a run.

    Parameters
    ----------
    out
        Folder of the checkpoint to come.
    identity
        What decides the weights, as plain values; see `stages.identity`.
    """

    def __init__(self, out: Path, identity: Mapping[str, Any]) -> None:
        self.path = out.with_name(f"{out.name}.training")
        self.identity = json.loads(dump_json(identity))
        self._gone = out.with_name(f".{out.name}.training.done")
        self._history: HistoryFile | None = None
        self._lock = FileLock(
            self.path / LOCK,
            f"another process is training into {self.path}: wait for it, or choose another --out",
        )

    def begin(self, resume: bool) -> State | None:
        """Lock and open the folder, until `finish` or `close`.

        Parameters
        ----------
        resume
            Go on with the newest state. Without one the run begins anew.

        Returns
        -------
        State or None
            From which to go on.

        Raises
        ------
        UsageError
            If another process trains there, or there is a state that is not to be resumed, or one
            of another run.
        CheckpointError
            If it cannot be read.
        """
        self._lock.take()
        self._clean()
        newest = max(self._states(), default=None, key=_number)
        if newest is not None and not resume:
            stage, step = _number(newest)
            raise UsageError(
                f"{self.path} holds an unfinished run (stage {stage + 1}, step {step}): go on "
                "with it by --resume (resume=True), or delete that folder to start anew"
            )
        state = None if newest is None else self._read(newest)
        self.path.mkdir(parents=True, exist_ok=True)
        self._history = HistoryFile(self.path / "history.csv", state.rows if state else [])
        return state

    def has_state(self) -> bool:
        """Whether there is a state to go on from."""
        return bool(self._states())

    def append(self, row: Row) -> None:
        """Add a row to the history file."""
        if self._history is not None:
            self._history.append(row)

    def save(self, state: State) -> None:
        """Write a state, then remove the one before."""
        if self._history is not None:
            self._history.sync()
        before = self._states()
        name = f"state-{state.stage}-{state.step}"
        scratch = self.path / f".{name}"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        _write(scratch, state, self.identity)
        scratch.rename(self.path / name)
        sync_folder(self.path)
        for old in before:
            if old.name != name:
                shutil.rmtree(old, ignore_errors=True)

    def finish(self) -> None:
        """Remove the folder: the checkpoint is whole."""
        self.close_history()
        self.path.rename(self._gone)
        shutil.rmtree(self._gone, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Close the history file and let others in; everything else stays."""
        self.close_history()
        self._lock.remove()

    def close_history(self) -> None:
        """Close the history file; the folder stays locked."""
        if self._history is not None:
            self._history.close()
            self._history = None

    def _states(self) -> list[Path]:
        if not self.path.is_dir():
            return []
        return [path for path in self.path.iterdir() if _NAME.fullmatch(path.name)]

    def _clean(self) -> None:
        """Remove what a kill left behind, and refuse a folder that holds anything else."""
        shutil.rmtree(self._gone, ignore_errors=True)
        for path in list(self.path.iterdir()) if self.path.is_dir() else ():
            if not _OURS.fullmatch(path.name):
                raise UsageError(
                    f"{self.path} holds {path.name!r}, which is no training state; this run would "
                    "write there: move it, or choose another --out"
                )
            if path.name.startswith("."):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _read(self, folder: Path) -> State:
        from safetensors import SafetensorError

        try:
            record = read_json(folder / "state.json")
            if record["format"] != FORMAT:
                raise CheckpointError(
                    f"{folder}: got format {record['format']!r}; allowed: {FORMAT}"
                )
            self._check(record["identity"])
            rows = read_history(self.path / "history.csv", record["rows"])
            return _state(folder, record, rows)
        except (*_UNREADABLE, SafetensorError) as error:
            reason = reason_of(error)
            raise CheckpointError(
                f"{folder}: not readable as a training state ({reason}); delete {self.path} to "
                "start anew"
            ) from None

    def _check(self, saved: Mapping[str, Any]) -> None:
        for key, there, here in _differences(saved, self.identity):
            raise UsageError(
                f"{self.path} is of another run: {key}: {there!r} there, {here!r} now; resume "
                "with the same, or delete that folder to start anew"
            )


def _number(path: Path) -> tuple[int, int]:
    found = _NAME.fullmatch(path.name)
    return (int(found[1]), int(found[2])) if found else (-1, -1)


def _differences(
    saved: Mapping[str, Any], now: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Values of nested tables that are not the same."""
    for key in dict.fromkeys([*saved, *now]):
        there, here = saved.get(key), now.get(key)
        if isinstance(there, Mapping) and isinstance(here, Mapping):
            yield from _differences(there, here, f"{prefix}{key}.")
        elif there != here:
            yield f"{prefix}{key}", there, here


def _write(folder: Path, state: State, identity: Mapping[str, Any]) -> None:
    from safetensors.torch import save_file

    tensors, plain = _split(state.optimizer)
    save_file(state.weights, folder / "weights.safetensors")
    save_file(tensors, folder / "optimizer.safetensors")
    np.savez(folder / "negatives.npz", **state.mined.arrays())  # type: ignore[arg-type]
    record: dict[str, Any] = {"format": FORMAT, "identity": identity, "optimizer": plain}
    record |= {"stage": state.stage, "step": state.step, "done": state.done}
    record |= {"seconds": state.seconds, "cpu_seconds": state.cpu_seconds}
    record |= {"rows": len(state.rows), "threads": state.threads}
    if state.best is not None:
        save_file(state.best.weights, folder / "best.safetensors")
        record["best"] = {"value": state.best.value, "step": state.best.step}
    (folder / "state.json").write_text(dump_json(record, indent=1) + "\n", encoding="utf-8")
    for path in folder.iterdir():
        sync(path)
    sync_folder(folder)


def _split(optimizer: Mapping[int, Mapping[str, Any]]) -> tuple[Weights, dict[str, Any]]:
    """Tensors of an optimizer's state, and its plain numbers, under ``<parameter>.<key>``."""
    flat = {f"{n}.{key}": value for n, own in optimizer.items() for key, value in own.items()}
    tensors = {
        key: value.detach().to("cpu").contiguous()
        for key, value in flat.items()
        if isinstance(value, Tensor)
    }
    return tensors, {key: value for key, value in flat.items() if key not in tensors}


def _state(folder: Path, record: Mapping[str, Any], rows: list[Row]) -> State:
    from safetensors.torch import load_file

    if len(rows) < record["rows"]:
        raise ValueError(f"history.csv has {len(rows)} rows of {record['rows']}")
    optimizer: dict[int, dict[str, Any]] = {}
    parts = {**load_file(folder / "optimizer.safetensors"), **record["optimizer"]}
    for name, value in parts.items():
        number, key = name.split(".", 1)
        optimizer.setdefault(int(number), {})[key] = value
    with np.load(folder / "negatives.npz") as arrays:
        mined = Mined.from_arrays(dict(arrays))
    best = None
    if chosen := record.get("best"):
        best = Best(chosen["value"], chosen["step"], load_file(folder / "best.safetensors"))
    return State(
        record["stage"], record["step"], load_file(folder / "weights.safetensors"), optimizer,
        mined, best, tuple(record["done"]), record["seconds"], record["cpu_seconds"], rows,
        record["threads"],
    )  # fmt: skip
