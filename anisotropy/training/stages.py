"""``train``: a stage, from a checkpoint or from scratch, to a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anisotropy.encoders import Recipe, check_target, named_recipe
from anisotropy.errors import UsageError, check_seed
from anisotropy.training.config import TrainingConfig, load_config, stage_configs
from anisotropy.training.data import TrainingData, load_data
from anisotropy.training.encoder import Trainable, start_encoder
from anisotropy.training.loop import Progress, fit

if TYPE_CHECKING:
    from anisotropy.collection import Collection

Config = str | Path | Mapping[str, Any] | TrainingConfig
HEADS = {"plain": "ance", "dance": "dance", "symmetric": "dance-symmetric"}
_HEAD_PARTS = ("normalize", "document_layernorm", "similarity")


def train(
    stage: str,
    *,
    start: str | Path | Trainable | None = None,
    data: str | Path | Collection = "docstrings",
    out: str | Path,
    config: Config | None = None,
    seed: int = 0,
    progress: Progress | None = None,
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
        Folder of the new checkpoint, not that of `start`.
    config
        TOML file or mapping of values over the stage's preset; unknown keys are refused.
    seed
        Of every random choice, 0 to 4294967295: the same seed, machine and threads give the same
        weights.
    progress
        Called with lines of text.

    Returns
    -------
    pathlib.Path
        `out`: weights and tokenizer in the layout of the start (upstream's, or a folder that
        sentence-transformers opens), recipe.json, training.json (resolved configuration, seed,
        collection, seconds), history.csv.

    Raises
    ------
    UsageError
        If a stage, key or value is not allowed, or the loss is not finite.
    CheckpointError, CollectionError
        If the start or the data cannot be used.
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
    collection = _opened(data)
    trainable = start_encoder(start, collection, configs, seed)
    tokenized = load_data(collection, trainable)
    run = Run(trainable, tokenized, collection, seed, str(origin) if origin else None, progress)
    for part in configs:
        run = run.stage(part)
    return run.save(folder)


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
        Called with lines of text.
    done, history
        Stages behind it, and their history.
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
    ) -> None:
        self.trainable, self.data, self.collection = trainable, data, collection
        self.seed, self.start, self.progress = seed, start, progress
        self.done, self.history = done, history

    def stage(self, config: TrainingConfig) -> Run:
        """Train one stage on from here; the weights are changed in place."""
        trainable, resolved = prepared(self.trainable, config)
        began = time.perf_counter(), time.process_time()
        history = fit(trainable, self.data, resolved, seed=self.seed, progress=self.progress)
        spent = {
            "seconds": time.perf_counter() - began[0],
            "cpu_seconds": time.process_time() - began[1],
        }
        done = (*self.done, {"config": resolved.as_dict(), **spent})
        return Run(
            trainable, self.data, self.collection, self.seed, self.start, self.progress,
            done, (*self.history, *history),
        )  # fmt: skip

    def save(self, folder: Path) -> Path:
        """Write the checkpoint; a pause for that changes nothing in the run."""
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
        }
        return self.trainable.save(folder, training=record, history=self.history)


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
