"""``train``: a stage, from a checkpoint or from scratch, to a checkpoint."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anisotropy.encoders import Recipe, check_target, named_recipe
from anisotropy.errors import UsageError, check_seed
from anisotropy.files import fingerprint, read_json
from anisotropy.training.checkpoints import State, TrainingFolder, copied
from anisotropy.training.config import RECORDING, TrainingConfig, load_config, stage_configs
from anisotropy.training.data import TrainingData, load_data
from anisotropy.training.devices import Devices, find_devices
from anisotropy.training.encoder import Trainable, start_encoder
from anisotropy.training.evaluation import SELECTION
from anisotropy.training.following import FollowedFolder
from anisotropy.training.history import check_board
from anisotropy.training.loop import Progress, Recorder, fit
from anisotropy.training.mining import NegativeSource
from anisotropy.training.recording import Recording

if TYPE_CHECKING:
    from anisotropy.collection import Collection

Config = str | Path | Mapping[str, Any] | TrainingConfig
HEADS = {"plain": "ance", "dance": "dance", "symmetric": "dance-symmetric"}
RECORD = "training.json"
SELECTIONS = {
    "last": "the last step",
    "best": f"highest {SELECTION} among the evaluations, ties to the earlier step",
}
_HEAD_PARTS = ("normalize", "document_layernorm", "similarity")


def train(
    stage: str,
    *,
    start: str | Path | Trainable | None = None,
    data: str | Path | Collection = "docstrings",
    out: str | Path,
    config: Config | None = None,
    seed: int = 0,
    resume: bool = False,
    progress: Progress | None = None,
    negatives: NegativeSource | None = None,
) -> Path:
    """Train one stage and save the checkpoint.

    Parameters
    ----------
    stage
        ``warmup``, ``ance``, ``norm``, ``dual``, or ``dance`` (norm, then dual).
    start
        Checkpoint that `open_trainable` takes, or a `Trainable`, which is trained in place. None
        makes a small encoder from scratch, for ``warmup`` alone: two-logit losses collapse from
        there.
    data
        Collection with a training split. Its dev split, if any, is evaluated on the way.
    out
        Folder of the new checkpoint, not that of `start`. While the run goes, ``OUT.training``
        beside it holds ``history.csv`` and what to resume from; it goes when the checkpoint is
        whole. ``OUT.tensorboard`` stays.
    config
        TOML file or mapping of values over the stage's preset; unknown keys are refused.
    seed
        Of every random choice, 0 to 4294967295: the same seed, machine and threads give the same
        weights.
    resume
        Go on with the run that was stopped: the same call otherwise, and the weights are those of
        an uninterrupted run. Without anything to go on with it begins; where the checkpoint is
        whole already, nothing is done. If False, an unfinished run is refused.
    progress
        Called with lines of text.
    negatives
        Where negatives come from: None searches them in training, ``InProcess(NegativeWriter(
        folder))`` writes them as well, ``FromFiles(folder)`` takes those of a second process. For
        this one ``OUT.checkpoints`` then holds a checkpoint of the start of each stage and of
        every ``save_steps``, the newest alone, and at the end the file ``finished``.

    Returns
    -------
    pathlib.Path
        `out`: weights and tokenizer in the layout of the start (upstream's, or a folder that
        sentence-transformers opens), recipe.json, training.json (resolved configuration, selected
        steps, seed, collection, seconds), history.csv.

    Raises
    ------
    UsageError
        If a stage, key or value is not allowed, the loss is not finite, another process trains
        into `out`, or an unfinished run is in the way or cannot be resumed with these values.
    MissingExtra
        If several processes or TensorBoard are asked for, and the extra ``train`` is missing.
    CheckpointError, CollectionError
        If the start, the state or the data cannot be used.
    """
    values = load_config(config) if isinstance(config, str | Path) else config
    configs = stage_configs(stage, values)
    check_seed(seed)
    origin = start if isinstance(start, str | Path) else None
    folder = _apart(check_target(out), origin)
    if start is None and configs[0].form != "in_batch":
        raise UsageError(
            f"stage {stage!r} needs a checkpoint to start from; only warmup begins from scratch"
        )
    if negatives is not None and not any(part.mines for part in configs):
        raise UsageError(
            f"stage {stage!r} (form in_batch, hard_negatives 0) uses no negatives: none to read "
            "or write"
        )
    if any(part.tensorboard for part in configs):
        check_board()
    devices = find_devices(_one_device(configs))
    collection = _opened(data)
    trainable = start_encoder(start, collection, configs, seed)
    followed = FollowedFolder(folder) if negatives and negatives.reads_files else None
    same = identity(configs, seed, trainable, collection, devices, followed is not None)
    plan = Plan(configs, folder, TrainingFolder(folder, same), resume, followed)
    if plan.is_finished():
        return folder
    run = Run(
        trainable, load_data(collection, trainable), collection, seed,
        str(origin) if origin else None, progress, devices=devices,
        negatives=negatives,
    )  # fmt: skip
    return plan.through(run)


def identity(
    configs: tuple[TrainingConfig, ...],
    seed: int,
    trainable: Trainable,
    collection: Collection,
    devices: Devices,
    from_files: bool = False,
) -> dict[str, Any]:
    """What decides the weights of a run, as plain values."""
    import torch

    digest = hashlib.sha256()
    for key, tensor in sorted(trainable.network.state_dict().items()):
        flat = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
        digest.update(key.encode() + flat.numpy().tobytes())
    tables = [(part.stage, part.as_dict()) for part in configs]
    return {
        "configuration": {
            stage: {key: value for key, value in table.items() if key not in RECORDING}
            for stage, table in tables
        },
        "seed": seed,
        "start": fingerprint(digest.hexdigest(), trainable.recipe.as_dict()),
        "collection": collection.fingerprint,
        "processes": devices.ranks,
        "negatives": "files" if from_files else "searched",
    }


@dataclass(frozen=True, eq=False)
class Plan:
    """Stages to run, and where what they leave goes.

    Attributes
    ----------
    configs
        One a stage.
    out
        Checkpoint to come.
    folder
        ``OUT.training``.
    resume
        Whether to go on with what is there.
    followed
        ``OUT.checkpoints``, where a second process follows.
    """

    configs: tuple[TrainingConfig, ...]
    out: Path
    folder: TrainingFolder
    resume: bool
    followed: FollowedFolder | None = None

    def is_finished(self) -> bool:
        """Whether the checkpoint of the run to resume is whole.

        Raises
        ------
        UsageError
            If it is of another run.
        """
        if not self.resume or self.folder.has_state() or not (self.out / RECORD).is_file():
            return False
        if read_json(self.out / RECORD).get("run") != fingerprint(self.folder.identity):
            raise UsageError(
                f"--resume: {self.out} is the checkpoint of another run, and there is no "
                "unfinished one; leave --resume out to replace it"
            )
        return True

    def through(self, run: Run) -> Path:
        """Run the stages that are left, and save the checkpoint."""
        devices = run.devices
        with ExitStack() as left:
            left.callback(self.folder.close)  # the lock is held until the checkpoint is whole
            state = devices.main(self._begin)
            recording = self._recording(state) if devices.is_main else None
            tell = (run.progress if devices.is_main else None) or (lambda _: None)
            if state is not None:
                tell(self._resumed(state))
            if self.followed is not None and not all(part.save_steps for part in self.configs):
                tell(f"save_steps 0: {self.followed.path} gets the start of the stage alone")
            try:
                run = self._stages(run, state, recording)
            finally:
                if recording is not None:
                    recording.close()
            return devices.main(lambda: self._finish(run))

    def _begin(self) -> State | None:
        state = self.folder.begin(self.resume)  # refuses a second process before all else
        if self.followed is not None:
            self.followed.begin(state is not None)
        return state

    def _resumed(self, state: State) -> str:
        import torch

        config, threads = self.configs[state.stage], torch.get_num_threads()
        text = f"{config.stage} {state.step}/{config.steps} · resumed from {self.folder.path}"
        if state.threads == threads:
            return text
        return f"{text}; threads: {state.threads} then, {threads} now: last digits may differ"

    def _recording(self, state: State | None) -> Recording:
        behind = self.configs[: state.stage] if state else ()
        wanted = any(part.tensorboard for part in self.configs)
        board = self.out.with_name(f"{self.out.name}.tensorboard") if wanted else None
        if board is not None and state is None:
            shutil.rmtree(board, ignore_errors=True)  # of an earlier run of the same checkpoint
        steps = sum(part.steps for part in behind)
        return Recording(self.folder, board, state, steps, self.followed)

    def _stages(self, run: Run, state: State | None, recording: Recording | None) -> Run:
        first = state.stage if state else 0
        if state is not None:
            run = run.taken_up(state, self.configs[:first])
        for number, config in enumerate(self.configs[first:], first):
            run = run.stage(config, recording, state if number == first else None)
            if number + 1 < len(self.configs):
                ahead = State(number + 1, 0, copied(run.trainable.network), done=run.done)
                run.devices.main(partial(_keep, recording, ahead, config.steps))
        return run

    def _finish(self, run: Run) -> Path:
        run.save(self.out, {"run": fingerprint(self.folder.identity)})
        if self.followed is not None:
            self.followed.finish()
        self.folder.finish()
        return self.out


class Run:
    """A model on its way through stages: what it is now and what was done to it.

    Parameters
    ----------
    trainable, data, collection
        What is trained, on what.
    seed
        Of every random choice.
    start
        Where the weights came from, for the record; None = from scratch.
    progress
        Called with lines of text, by the main process.
    done, history
        Stages behind it, and their history.
    devices
        Where to compute; by default as each stage's configuration and the launcher say.
    negatives
        Where negatives come from; see `loop.fit`.
    """

    def __init__(
        self,
        trainable: Trainable,
        data: TrainingData,
        collection: Collection,
        seed: int,
        start: str | None = None,
        progress: Progress | None = None,
        done: tuple[dict[str, Any], ...] = (),
        history: tuple[dict[str, Any], ...] = (),
        devices: Devices | None = None,
        negatives: NegativeSource | None = None,
    ) -> None:
        self.trainable, self.data, self.collection = trainable, data, collection
        self.seed, self.start, self.progress = seed, start, progress
        self.done, self.history = done, history
        self.devices = devices or find_devices()
        self.negatives = negatives

    def stage(
        self,
        config: TrainingConfig,
        recorder: Recorder | None = None,
        state: State | None = None,
    ) -> Run:
        """Train one stage on from here; the weights are changed in place."""
        trainable, resolved = prepared(self.trainable, config)
        fitted = fit(
            trainable, self.data, resolved, seed=self.seed, devices=self.devices,
            progress=self.progress if self.devices.is_main else None, recorder=recorder,
            state=state, negatives=self.negatives,
        )  # fmt: skip
        record = {
            "config": resolved.as_dict(),
            "selected_step": fitted.selected_step,
            "selection": SELECTIONS[resolved.select],
            "seconds": fitted.seconds,
            "cpu_seconds": fitted.cpu_seconds,
        }
        return self._with(trainable, (*self.done, record), (*self.history, *fitted.history))

    def taken_up(self, state: State, behind: tuple[TrainingConfig, ...]) -> Run:
        """Return the run as it was when `state` was saved, after the stages `behind`."""
        trainable = self.trainable
        for config in behind:
            trainable, _ = prepared(trainable, config)
        return self._with(trainable, state.done, tuple(state.rows))

    def _with(self, trainable: Trainable, done: Any, history: Any) -> Run:
        return Run(
            trainable, self.data, self.collection, self.seed, self.start, self.progress,
            done, history, self.devices, self.negatives,
        )  # fmt: skip

    def save(self, folder: Path, more: Mapping[str, Any] | None = None) -> Path:
        """Write the checkpoint, with `more` in its record; a pause for that changes nothing."""
        import torch

        record = {
            "stages": list(self.done),
            "seed": self.seed,
            "start": self.start,
            "collection": {
                "name": self.collection.name,
                "fingerprint": self.collection.fingerprint,
            },
            "counts": {
                "documents": len(self.data.documents),
                "training_queries": len(self.data.train.tokens),
                "training_pairs": len(self.data.pairs),
            },
            "versions": {"torch": torch.__version__},
            "threads": torch.get_num_threads(),
            "processes": self.devices.ranks,
            **(more or {}),
        }
        return self.trainable.save(folder, training=record, history=self.history)


def _keep(recording: Recording | None, ahead: State, steps: int) -> None:
    if recording is not None:
        recording.next_stage(ahead, steps)


def _one_device(configs: tuple[TrainingConfig, ...]) -> str:
    names = list(dict.fromkeys(part.device for part in configs))
    if len(names) > 1:
        raise UsageError(f"device: got {', '.join(names)}; allowed: the same in every stage")
    return names[0]


def prepared(trainable: Trainable, config: TrainingConfig) -> tuple[Trainable, TrainingConfig]:
    """Resolve ``start`` in ``head`` and ``form``, and put the head into the recipe.

    Parameters
    ----------
    trainable
        Before the stage.
    config
        Of the stage.

    Returns
    -------
    tuple of Trainable, TrainingConfig
        The same weights under the stage's recipe, and the configuration in force.

    Raises
    ------
    UsageError
        If a cosine loss would meet vectors that are not normalized.
    """
    recipe = headed(trainable.recipe, config.head)
    form = config.form
    if form == "start":
        form = "cosine" if recipe.normalize else "dot_product"
    if form == "cosine" and not recipe.normalize:
        raise UsageError(
            f"stage {config.stage!r}: form cosine needs normalized vectors: head dance or "
            "symmetric"
        )
    temperature = 1.0 if form == "dot_product" else config.temperature
    if recipe.normalize and form != "dot_product":
        recipe = recipe.replace(f"stage {config.stage}", temperature=temperature)
    return trainable.with_recipe(recipe), config.replace(form=form, temperature=temperature)


def headed(recipe: Recipe, head: str) -> Recipe:
    """Return a recipe with another way to read the head; ``start`` leaves it as it is.

    Raises
    ------
    UsageError
        If ``start`` is asked for and the recipe is in doubt.
    """
    if head == "start":
        if recipe.doubts:
            raise UsageError(
                f"head: got 'start', but the recipe is in doubt ({recipe.doubts[0]}); allowed "
                f"here: {', '.join(HEADS)}"
            )
        return recipe
    model = named_recipe(HEADS[head])
    parts = {part: getattr(model, part) for part in _HEAD_PARTS}
    temperature = model.temperature if model.normalize else 1.0
    changed = recipe.replace(f"head {head}", **parts, temperature=temperature)
    if recipe.name in HEADS.values():
        changed = dataclasses.replace(changed, name=HEADS[head])
    return changed.without_doubts()


def _apart(out: Path, start: str | Path | None) -> Path:
    """Refuse to write a checkpoint over the one it starts from."""
    if start is not None:
        begin, end = Path(start).expanduser().resolve(), out.resolve()
        if begin == end or end in begin.parents:
            raise UsageError(
                f"out: got {str(out)!r}, which holds the start {str(start)!r} and would replace "
                "it; allowed: another folder"
            )
    return out


def _opened(data: str | Path | Collection) -> Collection:
    from anisotropy.collection import open_collection

    return open_collection(data) if isinstance(data, str | Path) else data
