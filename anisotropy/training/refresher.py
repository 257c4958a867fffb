"""The second process: it follows the checkpoints of a training run and mines their negatives.

The trainer writes folders ``checkpoint-<step>`` into one folder, and ``finished`` when it is done;
the refresher opens the newest whole one, mines with it and writes a set of files, again and
again. Files are all that passes between them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anisotropy.errors import CollectionError, InputError, UsageError, check_seed
from anisotropy.training.config import TrainingConfig
from anisotropy.training.data import TrainingData, load_data
from anisotropy.training.devices import Devices
from anisotropy.training.encoder import Trainable, open_trainable, start_options
from anisotropy.training.evaluation import ranking_quality
from anisotropy.training.exchange import TIMEOUT, NegativeWriter
from anisotropy.training.following import FINISHED, newest_checkpoint
from anisotropy.training.mining import Moment, mine_moment
from anisotropy.training.negative_files import complete_sets, read_mark
from anisotropy.training.streams import MINE, generator

if TYPE_CHECKING:
    from anisotropy.collection import Collection


@dataclass(frozen=True)
class Patience:
    """How a refresher waits.

    Attributes
    ----------
    poll
        Seconds between two looks for a new checkpoint.
    timeout
        Seconds without a new one after which it gives up: the trainer is gone.
    sets
        Sets after which it stops; None = no such end.
    """

    poll: float = 5.0
    timeout: float = TIMEOUT
    sets: int | None = None

    def __post_init__(self) -> None:
        if not self.poll > 0 or not self.timeout >= 0:
            raise UsageError(
                f"negatives: got poll {self.poll}, timeout {self.timeout}; allowed: seconds, poll "
                "above 0"
            )
        if self.sets is not None and self.sets < 1:
            raise UsageError(f"sets: got {self.sets}; allowed: 1 or more")


def follow(
    checkpoints: str | Path,
    data: str | Path | Collection,
    writer: NegativeWriter,
    config: TrainingConfig,
    *,
    start: str | Path | None = None,
    seed: int = 0,
    patience: Patience | None = None,
    stop: threading.Event | None = None,
    progress: Callable[[str], None] | None = None,
) -> int:
    """Mine the negatives of each new checkpoint until the training is finished.

    Parameters
    ----------
    checkpoints
        Folder in which the trainer writes ``checkpoint-<step>`` and at last ``finished``; it may
        not exist yet. Checkpoints that were passed while another was mined are left out. What is
        the newest when ``finished`` is there is not mined: nobody would train on it.
    data
        Collection of the trainer.
    writer
        Where the sets go; a refresher that is started again goes on with the next number.
    config
        Of the stage: depth, kept, exclude, order, chunk_factor and where negatives come from;
        device and dtype of the forward pass; for `start`, start_layers and the text lengths;
        negative queries are mined where its loss wants them. The number of the set decides the
        chunk.
    start
        Checkpoint to mine with until the trainer's first is there. Its recipe is taken as it is:
        where the stage puts on another head, let the trainer write ``checkpoint-0``.
    seed
        Of the samples, with the number of the set.
    patience
        Polling and its bounds.
    stop
        Set from elsewhere to end after the set at work.
    progress
        Called with lines of text.

    Returns
    -------
    int
        Sets written.

    Raises
    ------
    UsageError
        If the stage mines no negatives, or a number is out of range.
    CollectionError
        If no new checkpoint comes in time, or the data cannot be used.
    CheckpointError
        If a checkpoint cannot be opened.
    """
    check_seed(seed)
    if not config.mines:
        raise UsageError(
            f"stage {config.stage!r} (form in_batch, hard_negatives 0) mines no negatives"
        )
    run = _Refresher(Path(checkpoints), writer, config, seed, progress or (lambda _: None))
    return run.follow(data, start, patience or Patience(), stop or threading.Event())


class _Refresher:
    """What a refresher knows: the last checkpoint mined, and the tokenized collection."""

    def __init__(
        self,
        folder: Path,
        writer: NegativeWriter,
        config: TrainingConfig,
        seed: int,
        tell: Callable[[str], None],
    ) -> None:
        self.folder, self.writer, self.config = folder, writer, config
        self.seed, self.tell = seed, tell
        self.mined = self._mined_before()
        self._data: tuple[Trainable, TrainingData] | None = None

    def follow(
        self,
        data: str | Path | Collection,
        start: str | Path | None,
        patience: Patience,
        stop: threading.Event,
    ) -> int:
        from anisotropy.collection import open_collection

        collection = open_collection(data) if isinstance(data, str | Path) else data
        written, since = 0, time.monotonic()
        while not stop.is_set() and not (self.folder / FINISHED).exists():
            newest = newest_checkpoint(self.folder)
            checkpoint = newest or (Path(start) if start else None)
            if checkpoint is not None and str(checkpoint) != self.mined:
                # The trainer's own checkpoints have these options in them already.
                options = start_options(self.config) if newest is None else {}
                written += self._mine(checkpoint, collection, options)
                since = time.monotonic()
                if written == patience.sets:
                    break
            elif time.monotonic() - since >= patience.timeout:
                raise CollectionError(
                    f"{self.folder}: no new checkpoint for {patience.timeout:g} s and no file "
                    f"{FINISHED!r}; {written} set(s) of negatives were written"
                )
            else:
                stop.wait(patience.poll)
        if (self.folder / FINISHED).exists():
            self.tell(f"{self.folder}: training is finished; {written} set(s) of negatives")
        return written

    def _mine(self, checkpoint: Path, collection: Collection, options: dict[str, int]) -> int:
        """Mine one checkpoint; 0 where the trainer removed it meanwhile."""
        try:
            trainable = open_trainable(checkpoint, **options)
        except (InputError, OSError):
            if checkpoint.exists():
                raise
            return 0
        data = self._tokenized(trainable, collection)
        number, config = self.writer.number, self.config
        documents, quality = self._encoded(trainable, data)
        moment = Moment(
            trainable, data, config, config.mines_queries, number, 0,
            generator(self.seed, config.stream, MINE, number), documents, quality=quality,
        )  # fmt: skip
        path = self.writer.write(data, mine_moment(moment), f"{checkpoint}/", quality=quality)
        self.mined = str(checkpoint)
        shown = "" if quality is None else f" · dev nDCG@10 {quality:.4f}"
        self.tell(f"negatives of {checkpoint.name}: {path}{shown}")
        return 1

    def _encoded(
        self, trainable: Trainable, data: TrainingData
    ) -> tuple[np.ndarray, float | None]:
        """Documents, and nDCG@10 on dev if there is one, computed as the trainer does."""
        devices, dtype = Devices(self.config.device), self.config.dtype
        trainable.network.to(devices.device)
        documents = trainable.encode("documents", data.documents, devices=devices, dtype=dtype)
        if data.dev is None:
            return documents, None
        queries = trainable.encode("queries", data.dev.tokens, devices=devices, dtype=dtype)
        return documents, float(ranking_quality(queries, documents, data.dev.positives)[0].mean())

    def _tokenized(self, trainable: Trainable, collection: Collection) -> TrainingData:
        """Token lists, made again only where recipe or vocabulary differ."""
        if self._data is None or not _same_texts(self._data[0], trainable):
            self._data = (trainable, load_data(collection, trainable))
        return self._data[1]

    def _mined_before(self) -> str | None:
        """Checkpoint of the last set in the folder."""
        numbers = complete_sets(self.writer.folder)
        if not numbers:
            return None
        return str(read_mark(self.writer.folder, numbers[-1]).get("checkpoint", "")).rstrip("/")


def _same_texts(a: Trainable, b: Trainable) -> bool:
    """Tell whether two models cut texts into the same ids, as far as that can be seen."""
    pieces, others = (getattr(model.tokenizer, "vocabulary", None) for model in (a, b))
    same_recipe = a.recipe.identity() == b.recipe.identity()
    return same_recipe and pieces is not None and pieces == others
