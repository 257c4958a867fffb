"""The baseline of every ranking table: what sentence-transformers makes of the same start.

::

    python analyses/mnrl_baseline.py --from warm.ckpt --data docstrings --stage dance \
        --steps 120 --batch-size 128 --out mnrl.st --seed 0

The start encoder is trained with ``MultipleNegativesRankingLoss`` of sentence-transformers for
the steps, batch size, optimizer and learning-rate schedule of a stage of `anisotropy`, by that
library's own trainer. Each pair has mined negatives: drawn from the best documents of the start
encoder, its positives left out (once: nothing is refreshed). No text occurs twice in a batch, as
that library recommends. The result is a sentence-transformers folder that ``anisotropy analyze``
and ``compare`` read.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from analyses.conversion import as_sentence_transformer, bare, write_recipe
from anisotropy.collection import open_collection
from anisotropy.encoders import Recipe, open_encoder
from anisotropy.encoders.texts import document_text, query_text
from anisotropy.errors import AnisotropyError, CheckpointError, UsageError, check_seed
from anisotropy.files import write_json
from anisotropy.training import (
    Trainable,
    TrainingConfig,
    UpstreamTrainable,
    load_config,
    open_trainable,
)
from anisotropy.training import stage_configs as stage_configurations

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from anisotropy.collection import Collection

SCALE = 20.0  # of the cosines: the library's default
TASKS = {"query": "query", "positive": "document"}
Tell = Callable[[str], None]


def train_baseline(
    start: str | Path | Trainable,
    data: str | Path | Collection,
    out: str | Path,
    config: TrainingConfig,
    *,
    negatives: int = 1,
    scale: float = SCALE,
    similarity: str = "cosine",
    seed: int = 0,
    tell: Tell = lambda _: None,
) -> Path:
    """Train the baseline and save it.

    Parameters
    ----------
    start
        Checkpoint in upstream's layout, a `Trainable`, or a sentence-transformers folder.
    data
        Collection with a training split.
    out
        New folder.
    config
        Its steps, batch size, learning rate and warm-up, optimizer with eps and decay, clipping,
        dropout, and depth and kept of the negatives are used.
    negatives
        Mined negatives a pair, 1 or more.
    scale
        Times the similarity in the softmax: 1 / temperature.
    similarity
        ``cosine`` or ``dot``: what the loss compares, and how the result scores.
    seed
        Of negatives, order of pairs and dropout.
    tell
        Called with lines of text.

    Returns
    -------
    pathlib.Path
        `out`, with ``training.json``.

    Raises
    ------
    UsageError
        If `out` exists, a value is not allowed, or the training pairs do not fill a batch.
    CollectionError, CheckpointError
        If data or start cannot be used.
    """
    folder = Path(out)
    if folder.exists():
        raise UsageError(f"out: {folder} exists; choose a new folder")
    if similarity not in ("cosine", "dot") or not scale > 0 or negatives < 1:
        raise UsageError(
            f"got similarity {similarity!r}, scale {scale}, {negatives} negatives; allowed: "
            "cosine or dot, a number above 0, 1 or more"
        )
    check_seed(seed)
    collection = open_collection(data) if isinstance(data, str | Path) else data
    model, recipe = opened(start, similarity)
    tell(f"mining {negatives} of the top {config.depth} for every training pair")
    rows = training_rows(model, recipe, collection, config, negatives=negatives, seed=seed)
    if len(rows["query"]) < config.batch_size:
        raise UsageError(
            f"batch_size: got {config.batch_size}; allowed: up to the {len(rows['query'])} "
            "training pairs of the collection"
        )
    began = time.perf_counter()
    losses = fit(model, rows, config, scale=scale, similarity=similarity, seed=seed)
    tell(f"{config.steps} steps, loss {losses[0]:.4f} to {losses[-1]:.4f}")
    model.save(str(folder))
    write_recipe(folder, recipe)
    record = {
        "format": "anisotropy.checkpoint/1",  # so that the steps behind it are known
        "loss": "sentence-transformers MultipleNegativesRankingLoss",
        "stages": [{"config": config.as_dict(), "seconds": time.perf_counter() - began}],
        "scale": scale, "similarity": similarity, "negatives": negatives, "seed": seed,
        "start": None if isinstance(start, Trainable) else str(start),
        "collection": {"name": collection.name, "fingerprint": collection.fingerprint},
        "losses": losses,
    }  # fmt: skip
    write_json(folder / "training.json", record)
    return folder


def opened(start: str | Path | Trainable, similarity: str) -> tuple[SentenceTransformer, Recipe]:
    """Open the start as a SentenceTransformer, with the recipe by which texts are made."""
    if isinstance(start, str | Path):
        encoder = open_encoder(start)
        if encoder.files.layout in ("sentence-transformers", "transformers"):
            from sentence_transformers import SentenceTransformer

            folder = str(encoder.files.folder)
            model = SentenceTransformer(folder, device="cpu", local_files_only=True)
            model.similarity_fn_name = similarity
            return model, encoder.recipe
        start = open_trainable(start)
    if not isinstance(start, UpstreamTrainable):
        raise CheckpointError(
            "start: got a model of sentence-transformers in memory; needed: its folder"
        )
    return as_sentence_transformer(start, similarity=similarity), start.recipe


def training_rows(
    model: SentenceTransformer,
    recipe: Recipe,
    collection: Collection,
    config: TrainingConfig,
    *,
    negatives: int,
    seed: int,
) -> dict[str, list[str]]:
    """Every training pair with its mined negatives, as columns of texts.

    Parameters
    ----------
    model, recipe
        The start encoder, which mines, and how it makes texts.
    collection
        With a training split.
    config
        ``depth`` and ``kept``: as in training, `kept` of the top `depth` are sampled for each
        query, and each of its pairs draws from them.
    negatives
        Negatives a pair; as many different ones as there are.
    seed
        Of the samples.

    Returns
    -------
    dict
        ``query``, ``positive``, ``negative_1`` ...: lists of texts, one row a pair.
    """
    from anisotropy.training.encoder import training_split
    from anisotropy.training.negatives import mine

    split = training_split(collection)
    documents = list(collection.documents())
    number = {document.doc_id: n for n, document in enumerate(documents)}
    judged = {
        query: sorted(number[d] for d, grade in grades.items() if grade > 0)
        for query, grades in collection.qrels(split).items()
    }
    queries = [query for query in collection.queries(split) if judged.get(query.query_id)]
    positives = [judged[query.query_id] for query in queries]
    texts = [query_text(query, bare(recipe)) for query in queries]
    answers = [document_text(document, bare(recipe)) for document in documents]
    options = {"show_progress_bar": False, "batch_size": 128}
    normalize = model.similarity_fn_name == "cosine"
    vectors = [
        _encoded(encode, side, options, normalize)
        for encode, side in ((model.encode_query, texts), (model.encode_document, answers))
    ]
    generator = np.random.default_rng(seed)
    kept = min(max(config.kept, negatives), config.depth)
    mined = mine(*vectors, positives, depth=config.depth, kept=kept, generator=generator)
    columns: dict[str, list[str]] = {"query": [], "positive": []}
    columns |= {f"negative_{n + 1}": [] for n in range(negatives)}
    for row, own in enumerate(positives):
        for document in own:
            drawn = generator.permutation(mined.items[row, : mined.counts[row]])
            chosen = [document, *np.resize(drawn, negatives)]
            columns["query"].append(texts[row])
            for name, item in zip(list(columns)[1:], chosen, strict=True):
                columns[name].append(answers[item])
    return columns


def _encoded(encode: Any, texts: list[str], options: dict[str, Any], unit: bool) -> np.ndarray:
    found: np.ndarray = encode(texts, normalize_embeddings=unit, **options)
    return found


def fit(
    model: SentenceTransformer,
    rows: dict[str, list[str]],
    config: TrainingConfig,
    *,
    scale: float,
    similarity: str,
    seed: int,
) -> list[float]:
    """Train in place with the library's trainer.

    Parameters
    ----------
    model
        Trained in place.
    rows
        Columns of texts from `training_rows`.
    config, scale, similarity, seed
        As in `train_baseline`.

    Returns
    -------
    list of float
        Loss of every step.
    """
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from sentence_transformers.util import cos_sim, dot_score
    from transformers import PrinterCallback

    from anisotropy.training.forward import set_dropout

    set_dropout(model, config.dropout)
    compare = cos_sim if similarity == "cosine" else dot_score
    with tempfile.TemporaryDirectory() as scratch:
        trainer = SentenceTransformerTrainer(
            model=model,
            args=arguments(config, prompts_of(model, list(rows)), scratch, seed),
            train_dataset=Dataset.from_dict(rows),
            loss=MultipleNegativesRankingLoss(model, scale=scale, similarity_fct=compare),
            optimizers=optimizer_and_schedule(model, config),
        )
        trainer.remove_callback(PrinterCallback)  # stdout is for the result
        trainer.train()
    model.to("cpu").eval()
    return [row["loss"] for row in trainer.state.log_history if "loss" in row]


def prompts_of(model: SentenceTransformer, columns: Sequence[str]) -> dict[str, str]:
    """Prompt of each column: what ``encode_query`` and ``encode_document`` put in front."""
    return {name: model.prompts.get(TASKS.get(name, "document"), "") for name in columns}


def arguments(config: TrainingConfig, prompts: dict[str, str], folder: str, seed: int) -> Any:
    """Settings of the library's trainer: full batches, no text twice in one, nothing saved."""
    from sentence_transformers import SentenceTransformerTrainingArguments
    from sentence_transformers.base.training_args import BatchSamplers

    return SentenceTransformerTrainingArguments(
        output_dir=folder,
        max_steps=config.steps,
        per_device_train_batch_size=config.batch_size,
        max_grad_norm=config.max_grad_norm,
        batch_sampler=BatchSamplers.NO_DUPLICATES,
        dataloader_drop_last=True,
        dataloader_pin_memory=False,
        router_mapping={name: TASKS.get(name, "document") for name in prompts},
        prompts=prompts if any(prompts.values()) else None,
        seed=seed,
        data_seed=seed,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )


def optimizer_and_schedule(model: SentenceTransformer, config: TrainingConfig) -> tuple[Any, Any]:
    """The optimizer and the learning rate of every step that our own trainer would use."""
    from torch.optim.lr_scheduler import LambdaLR

    from anisotropy.training.optim import linear_schedule, make_optimizer

    optimizer = make_optimizer(
        config.optimizer, model.parameters(), lr=config.learning_rate, eps=config.eps,
        weight_decay=config.weight_decay,
    )  # fmt: skip

    def share(step: int) -> float:
        return linear_schedule(step + 1, warmup=config.warmup_steps, total=config.steps + 1)

    return optimizer, LambdaLR(optimizer, share)


def configuration(options: argparse.Namespace) -> TrainingConfig:
    """Resolve the stage's configuration with the options over it; of several parts the last."""
    values = load_config(options.config) if options.config else {}
    names = ("steps", "batch_size", "learning_rate", "warmup_steps")
    given = {name: getattr(options, name) for name in names}
    values |= {name: value for name, value in given.items() if value is not None}
    return stage_configurations(options.stage, values)[-1]


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--from", dest="start", required=True, help="the start encoder")
    made.add_argument("--data", default="docstrings", help="collection with a training split")
    made.add_argument("--out", required=True, help="new folder")
    made.add_argument("--stage", default="ance", help="stage whose configuration is followed")
    made.add_argument("--config", help="TOML file of values over the stage's")
    made.add_argument("--steps", type=int)
    made.add_argument("--batch-size", type=int)
    made.add_argument("--learning-rate", type=float)
    made.add_argument("--warmup-steps", type=int)
    made.add_argument("--negatives", type=int, default=1, help="mined negatives a pair")
    made.add_argument("--scale", type=float, default=SCALE, help="1 / temperature")
    made.add_argument("--similarity", default="cosine", help="cosine or dot")
    made.add_argument("--seed", type=int, default=0)
    return made


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line."""
    options = parser().parse_args(words)
    try:
        folder = train_baseline(
            options.start, options.data, options.out, configuration(options),
            negatives=options.negatives, scale=options.scale, similarity=options.similarity,
            seed=options.seed, tell=lambda line: print(line, file=sys.stderr),
        )  # fmt: skip
    except AnisotropyError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
