"""The demonstration: a small ANCE and a small DANCE from scratch, in minutes on two cores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from anisotropy.encoders import check_target
from anisotropy.errors import check_seed
from anisotropy.training.config import stage_configs
from anisotropy.training.data import load_data
from anisotropy.training.devices import Devices
from anisotropy.training.encoder import EncoderSizes, new_encoder
from anisotropy.training.loop import Progress
from anisotropy.training.stages import Run

if TYPE_CHECKING:
    from anisotropy.collection import Collection

# Chosen on dev. Negatives come from the top 30 and not, as upstream's, from the top 200: of 7,500
# documents and not 3.2 million. Among 200 the two-logit losses were near 0 from the start.
SIZES = EncoderSizes()
_TWO_LOGIT: dict[str, Any] = {
    "steps": 120,
    "batch_size": 128,
    "learning_rate": 1e-4,
    "warmup_steps": 10,
}
_TWO_LOGIT |= {"refresh_steps": 60, "depth": 30, "kept": 20}
PLAN: dict[str, dict[str, Any]] = {
    "warmup": {"steps": 320, "batch_size": 128, "learning_rate": 2e-3, "warmup_steps": 30},
    "ance": _TWO_LOGIT,
    "norm": _TWO_LOGIT,
    "dual": _TWO_LOGIT,
}


def train_demo(
    out: str | Path,
    *,
    data: str | Path | Collection = "docstrings",
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Path, Path]:
    """Train ``ance.ckpt`` and ``dance.ckpt``.

    One encoder from scratch goes through four stages, the weights of each the start of the next:
    ``warmup`` (in-batch softmax; two-logit losses collapse from random weights) and ``ance`` give
    ``ance.ckpt``, then ``norm`` and ``dual`` give ``dance.ckpt``. So DANCE starts from the ANCE
    checkpoint, as in the paper, and has seen more steps than it.

    Parameters
    ----------
    out
        Folder of both checkpoints.
    data
        Collection with a training split.
    seed
        Of every random choice, 0 to 4294967295.
    progress
        Called with lines of text.

    Returns
    -------
    tuple of pathlib.Path
        The folders ``ance.ckpt`` and ``dance.ckpt``.

    Raises
    ------
    UsageError
        If the seed is not allowed.
    CheckpointError, CollectionError
        If something else is in the way, or the data cannot be used.
    """
    from anisotropy.collection import open_collection

    check_seed(seed)
    folder = Path(out)
    places = [check_target(folder / name) for name in ("ance.ckpt", "dance.ckpt")]
    collection = open_collection(data) if isinstance(data, str | Path) else data
    trainable = new_encoder(collection, SIZES, seed=seed)
    tokenized = load_data(collection, trainable)
    # On the CPU, so that the numbers are the same where there is a faster device.
    run = Run(trainable, tokenized, collection, seed, None, progress, devices=Devices("cpu"))
    ance = _through(run, ("warmup", "ance"))
    first = ance.save(places[0])
    return first, _through(ance, ("norm", "dual")).save(places[1])


def _through(run: Run, stages: tuple[str, ...]) -> Run:
    for stage in stages:
        (config,) = stage_configs(stage, PLAN[stage])
        run = run.stage(config)
    return run
