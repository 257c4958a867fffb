"""Training throughput: our step against upstream's way and the sentence-transformers trainer.

Run: ``python benchmarks/training.py [--small] [--data docstrings] [--out training.json]``. Small
takes about a minute, the default some minutes; both print a Markdown table and write JSON.

Every way takes the same steps: the same pairs with one negative each, the same start weights, the
same loss (InfoNCE on cosines over the positives and negatives of the batch), clipping and AdamW.

* ``ours``: `Trainable.vectors`, as the training loop calls it: documents of a step together,
  sorted by length into micro batches, the last layer for slot 0 only.
* ``upstream``: queries, positives and negatives encoded one after the other, padded to the maximum
  length, all layers whole.
* ``sentence-transformers``: its own trainer on its own modules, texts tokenized on the way as it
  does (``step only`` leaves that out).
* with ``negative queries``: ours and upstream once more with the fourth column of DANCE.

The ways take turns (A B C, A B C, ...) on a warm machine; a ratio compares two ways within one
turn, and the median over the turns is reported with the extremes. Seconds of one machine say
little about another, so the share of the machine's limit stands beside them: the operations that a
step cannot avoid (real tokens, last layer for one slot, three times the forward pass) over the
time they would take at the rate of matrix products measured in the same turns. On a busy machine
read the ratio of CPU seconds, with ``--threads 1``: threads that wait for each other also count.
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))
from analyses.conversion import as_sentence_transformer
from anisotropy.collection import open_collection
from anisotropy.encoders.texts import document_text, query_text
from anisotropy.training import EncoderSizes, UpstreamTrainable, new_encoder
from anisotropy.training.data import TrainingData, load_data
from anisotropy.training.losses import dual, in_batch
from anisotropy.training.optim import make_optimizer

SCALE = 20.0
DUAL_WEIGHT = 0.1
RATE = 1e-5
COLUMNS = ("query", "positive", "negative")
PACKAGES = ("torch", "transformers", "sentence-transformers", "accelerate", "datasets", "numpy")


@dataclass(frozen=True)
class Setting:
    """Sizes of one run; `steps` are timed a way and turn."""

    sizes: EncoderSizes
    batch: int
    micro_batch: int
    turns: int
    steps: int


SMALL = Setting(
    EncoderSizes(2000, 128, 2, 2, 512, max_query_length=32, max_document_length=128),
    batch=32, micro_batch=32, turns=3, steps=2,
)  # fmt: skip
FULL = Setting(
    EncoderSizes(8000, 384, 4, 6, 1536, max_query_length=64, max_document_length=256),
    batch=32, micro_batch=16, turns=5, steps=2,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Step:
    """One batch: query, positive, negative and negative query of each pair, as numbers."""

    queries: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray
    negative_queries: np.ndarray


class Bench:
    """A start encoder, the batches, and the ways to take a step.

    Parameters
    ----------
    collection
        With a training split.
    setting
        Sizes.
    seed
        Of the weights, the order of the pairs and the negatives, which are random documents: of
        an untrained encoder mined ones would be no others.
    """

    def __init__(self, collection: Any, setting: Setting, seed: int = 0) -> None:
        self.setting = setting
        fresh = new_encoder(collection, setting.sizes, seed=seed)
        head = {"normalize": True, "similarity": "cosine"}
        self.start = fresh.with_recipe(fresh.recipe.replace("benchmark", **head))
        self.data: TrainingData = load_data(collection, self.start)
        recipe = self.start.recipe
        self.documents = [document_text(d, recipe) for d in collection.documents()]
        judged = {q for q, grades in collection.qrels("train").items() if max(grades.values()) > 0}
        queries = [q for q in collection.queries("train") if q.query_id in judged]
        self.queries = [query_text(q, recipe) for q in queries]
        self.generator = np.random.default_rng(seed)

    def draw(self, steps: int) -> list[Step]:
        """Draw batches of random pairs."""
        return [self._step() for _ in range(steps)]

    def _step(self) -> Step:
        size, pairs = self.setting.batch, self.data.pairs
        chosen = self.generator.choice(len(pairs), size, replace=size > len(pairs))
        queries, positives = pairs[chosen].T
        negatives = self.generator.integers(0, len(self.data.documents), size)
        others = self.generator.integers(0, len(self.queries), size)
        return Step(queries, positives, negatives, others)

    def copy(self) -> UpstreamTrainable:
        """The start, its weights copied."""
        return UpstreamTrainable(
            copy.deepcopy(self.start.model), self.start.tokenizer, self.start.recipe
        )

    def texts(self, steps: Sequence[Step]) -> dict[str, list[str]]:
        """Columns of texts for the trainer of sentence-transformers."""
        return {
            "query": [self.queries[n] for step in steps for n in step.queries],
            "positive": [self.documents[n] for step in steps for n in step.positives],
            "negative": [self.documents[n] for step in steps for n in step.negatives],
        }

    def ours(
        self, trainable: UpstreamTrainable, step: Step, *, fourth: bool = False
    ) -> torch.Tensor:
        """Loss of a step as our loop encodes it."""
        documents = np.concatenate([step.positives, step.negatives])
        parts = [step.queries, step.negative_queries] if fourth else [step.queries]
        q = self._vectors(trainable, "queries", self.data.train.tokens, np.concatenate(parts))
        d = self._vectors(trainable, "documents", self.data.documents, documents)
        size = len(step.queries)
        return loss_of(q[:size], d[:size], d[size:], q[size:] if fourth else None)

    def _vectors(
        self, trainable: UpstreamTrainable, side: Any, tokens: list[list[int]], rows: np.ndarray
    ) -> torch.Tensor:
        return trainable.vectors(side, [tokens[row] for row in rows], self.setting.micro_batch)

    def upstream(
        self, trainable: UpstreamTrainable, step: Step, *, fourth: bool = False
    ) -> torch.Tensor:
        """Loss of a step as upstream encodes it."""
        sizes = self.setting.sizes
        queries = (self.data.train.tokens, sizes.max_query_length, trainable.model.query)
        documents = (self.data.documents, sizes.max_document_length, trainable.model.document)
        q = whole(trainable, *queries, step.queries)
        a = whole(trainable, *documents, step.positives)
        b = whole(trainable, *documents, step.negatives)
        return loss_of(
            q, a, b, whole(trainable, *queries, step.negative_queries) if fourth else None
        )

    def needed(self, step: Step, *, fourth: bool = False) -> float:
        """Operations that a step cannot avoid."""
        queries = [self.data.train.tokens[n] for n in step.queries]
        if fourth:
            queries += [self.data.train.tokens[n] for n in step.negative_queries]
        documents = [self.data.documents[n] for n in (*step.positives, *step.negatives)]
        lengths = [len(ids) for ids in [*queries, *documents]]
        return sum(forward_operations(length, self.setting.sizes) for length in lengths) * 3

    def padded(self) -> float:
        """Operations of a step of three columns in upstream's way."""
        sizes, batch = self.setting.sizes, self.setting.batch
        lengths = [sizes.max_query_length, *[sizes.max_document_length] * 2]
        return sum(forward_operations(n, sizes, whole=True) for n in lengths) * 3 * batch


def whole(
    trainable: UpstreamTrainable,
    tokens: list[list[int]],
    length: int,
    head: Callable[..., torch.Tensor],
    rows: np.ndarray,
) -> torch.Tensor:
    """Vectors of one column, padded to the maximum length, through the whole model."""
    ids = np.full((len(rows), length), trainable.recipe.pad_token_id)
    for place, row in enumerate(rows):
        ids[place, : len(tokens[row])] = tokens[row]
    lengths = torch.tensor([len(tokens[row]) for row in rows])
    states = trainable.model(torch.from_numpy(ids), lengths, trainable.recipe)
    return head(states, trainable.recipe)


def loss_of(
    q: torch.Tensor, a: torch.Tensor, b: torch.Tensor, n: torch.Tensor | None
) -> torch.Tensor:
    """InfoNCE over the positives and negatives of the batch, and the dual loss with `n`."""
    loss = in_batch(q, a, b, temperature=1 / SCALE)
    return loss if n is None else loss + DUAL_WEIGHT * dual(q, a, n, 1 / SCALE)


def forward_operations(length: int, sizes: EncoderSizes, *, whole: bool = False) -> float:
    """Multiplications and additions of one sequence's forward pass.

    A layer: 2 L (4 h h + 2 h f) in its products and 4 L L h in attention; the last one, where
    slot 0 alone is read, keeps only keys and values of the other slots.
    """
    h, f = sizes.hidden, sizes.intermediate
    layer = 2 * length * (4 * h * h + 2 * h * f) + 4 * length * length * h
    last = 2 * length * 2 * h * h + 2 * (2 * h * h + 2 * h * f) + 4 * length * h
    return (sizes.layers - 1) * layer + (layer if whole else last) + 2 * h * h


def now() -> np.ndarray:
    """Wall clock and CPU seconds of this process."""
    return np.array([time.perf_counter(), time.process_time()])


class Way:
    """One way to train: a model with its optimizer, which goes on from turn to turn."""

    def __init__(
        self, trainable: UpstreamTrainable, loss: Callable[[UpstreamTrainable, Step], torch.Tensor]
    ) -> None:
        self.trainable, self.loss = trainable, loss
        self.optimizer = make_optimizer("adamw", trainable.model.parameters(), lr=RATE)
        trainable.model.train()

    def time(self, steps: Sequence[Step]) -> np.ndarray:
        """Wall and CPU seconds of the steps after the first."""
        began = now()
        for number, step in enumerate(steps):
            if number == 1:
                began = now()
            self.optimizer.zero_grad()
            self.loss(self.trainable, step).backward()
            torch.nn.utils.clip_grad_norm_(self.trainable.model.parameters(), 1.0)
            self.optimizer.step()
        return now() - began


class Library:
    """The trainer of sentence-transformers; its model goes on from turn to turn."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.model = bench, as_sentence_transformer(bench.copy())
        self.inside = np.zeros(2)

    def loss(self) -> Any:
        """Return the library's own loss."""
        from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

        return MultipleNegativesRankingLoss(self.model, scale=SCALE)

    def trainer(self, steps: Sequence[Step], folder: str, callbacks: Sequence[Any] = ()) -> Any:
        """Return a trainer that takes the steps in their order."""
        from datasets import Dataset
        from sentence_transformers import (
            SentenceTransformerTrainer,
            SentenceTransformerTrainingArguments,
        )
        from transformers import PrinterCallback

        arguments = SentenceTransformerTrainingArguments(
            output_dir=folder, max_steps=len(steps), learning_rate=RATE, max_grad_norm=1.0,
            per_device_train_batch_size=self.bench.setting.batch, batch_sampler=in_order,
            router_mapping={name: "query" if name == "query" else "document" for name in COLUMNS},
            use_cpu=True, dataloader_pin_memory=False, save_strategy="no",
            logging_strategy="no", report_to=[], disable_tqdm=True,
        )  # fmt: skip
        trainer = SentenceTransformerTrainer(
            model=self.model, args=arguments, loss=self.loss(), callbacks=list(callbacks),
            train_dataset=Dataset.from_dict(self.bench.texts(steps)),
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        return trainer

    def time(self, steps: Sequence[Step]) -> np.ndarray:
        """As `Way.time`, batches included; `inside` is the time of the steps alone."""
        clock = make_clock()
        with tempfile.TemporaryDirectory() as folder:
            self.trainer(steps, folder, [clock]).train()
        self.inside = np.sum(np.subtract(clock.ends[1:], clock.begins[1:]), axis=0)
        return clock.ends[-1] - clock.ends[0]


def in_order(dataset: Any, batch_size: int, **_: Any) -> Any:
    """Batches of rows in the order they are in."""
    from torch.utils.data import BatchSampler, SequentialSampler

    return BatchSampler(SequentialSampler(dataset), batch_size, drop_last=True)


def make_clock() -> Any:
    """Return a callback that notes when each step begins and ends."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        begins: list[np.ndarray] = []  # noqa: RUF012 - one clock a class
        ends: list[np.ndarray] = []  # noqa: RUF012

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.begins.append(now())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.ends.append(now())

    return Clock()


def product_rate(setting: Setting, seconds: float = 0.5) -> float:
    """Operations a second of the largest product of a step, the best of many."""
    sizes = setting.sizes
    rows = setting.micro_batch * sizes.max_document_length
    a, b = torch.randn(rows, sizes.hidden), torch.randn(sizes.hidden, sizes.intermediate)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - began)
    return 2 * rows * sizes.hidden * sizes.intermediate / best


def measure(bench: Bench) -> dict[str, Any]:
    """Take turns; seconds a step of every way and turn, and what they come to."""
    ways: dict[str, Any] = {
        "ours": Way(bench.copy(), bench.ours),
        "upstream": Way(bench.copy(), bench.upstream),
        "sentence-transformers": Library(bench),
        "ours, negative queries": Way(bench.copy(), lambda t, s: bench.ours(t, s, fourth=True)),
        "upstream, negative queries": Way(
            bench.copy(), lambda t, s: bench.upstream(t, s, fourth=True)
        ),
    }
    steps, turns = bench.setting.steps, bench.setting.turns
    found: dict[str, list[np.ndarray]] = {name: [] for name in (*ways, STEP_ONLY)}
    rates, needed = [], []
    for turn in range(turns + 1):  # the first warms up
        drawn = bench.draw(steps + 1)
        taken = {name: way.time(drawn) / steps for name, way in ways.items()}
        taken[STEP_ONLY] = ways["sentence-transformers"].inside / steps
        rate = product_rate(bench.setting)
        print(f"turn {turn}/{turns}: {_seconds(taken)}", file=sys.stderr)
        if turn:
            rates.append(rate)
            needed.append({f: np.mean([bench.needed(s, fourth=f) for s in drawn[1:]])
                           for f in (False, True)})  # fmt: skip
            for name, value in taken.items():
                found[name].append(value)
    return {
        "seconds_a_step": {name: [t.tolist() for t in taken] for name, taken in found.items()},
        "operations_a_second": rates,
        "upstream_operations_ratio": bench.padded() / float(np.mean([n[False] for n in needed])),
        "ways": {name: _row(name, found, rates, needed, bench) for name in found},
    }


STEP_ONLY = "sentence-transformers, step only"


def _row(
    name: str,
    found: dict[str, list[np.ndarray]],
    rates: list[float],
    needed: list[dict[bool, Any]],
    bench: Bench,
) -> dict[str, Any]:
    fourth = "negative queries" in name
    own = np.array(found["ours, negative queries" if fourth else "ours"])
    mine = np.array(found[name])
    wall, cpu = (mine / own).T
    shares = [n[fourth] for n in needed] / np.array(rates) / mine[:, 0]
    return {
        "pairs_a_second": float(np.median(bench.setting.batch / mine[:, 0])),
        "ratio": float(np.median(wall)),
        "ratio_low": float(wall.min()),
        "ratio_high": float(wall.max()),
        "cpu_ratio": float(np.median(cpu)),
        "share_of_limit": float(np.median(shares)),
    }


def _seconds(taken: dict[str, np.ndarray]) -> str:
    return ", ".join(f"{name} {value[0]:.3f} s" for name, value in taken.items())


def table(result: dict[str, Any]) -> str:
    """Markdown of a result."""
    lines = ["| way | pairs a second | time, ours = 1 (range) | CPU time | share of the limit |"]
    lines.append("|---|---:|---:|---:|---:|")
    for name, row in result["ways"].items():
        span = f"{row['ratio']:.2f} ({row['ratio_low']:.2f} to {row['ratio_high']:.2f})"
        values = f"{row['pairs_a_second']:.1f} | {span} | {row['cpu_ratio']:.2f}"
        lines.append(f"| {name} | {values} | {row['share_of_limit']:.0%} |")
    rate = statistics.median(result["operations_a_second"]) / 1e9
    more = result["upstream_operations_ratio"]
    machine, setting = result["machine"], result["setting"]
    lines.append(
        f"\nMedians of {setting['turns']} turns of {setting['steps']} steps of "
        f"{setting['batch']} pairs on {machine['cpu']}, {machine['threads']} threads. "
        f"Limit: matrix products at {rate:.0f} billion operations a second; a step of upstream's "
        f"makes {more:.2f} times the operations that are needed."
    )
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    """Processor, threads and versions."""
    return {
        "cpu": _processor(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="two narrow layers, about a minute")
    parser.add_argument("--data", default="docstrings", help="collection with a training split")
    parser.add_argument("--threads", type=int, help="threads of torch; default: its own")
    parser.add_argument("--out", default="training.json")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    setting = SMALL if options.small else FULL
    collection = open_collection(options.data)
    result = measure(Bench(collection, setting))
    result |= {"collection": collection.name, "setting": asdict(setting), "machine": machine()}
    Path(options.out).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(table(result))


if __name__ == "__main__":
    main()
