"""What a GPU gives: the analysis and the encoding on one, against NumPy and torch on the cores.

Run: ``python -m benchmarks.gpu [--device cuda] [--documents 200000] [--queries 5000]
[--out gpu.json]``. Takes some three minutes on 16 cores and a GPU of a data center.

Made-up float16 embeddings of 768 dimensions are written as a store and measured from there. In
one run: the rates of products, float32 and float64, on both; the nearest 200 documents of every
query; the kernels of 20,000 documents with each other; the covariance of all documents; the
default analysis; and an encoder of six layers with random weights. Of each the seconds on both,
and how far the results agree. Where the cores would take more than ``LONGEST`` seconds they are
given a part of the work, and their seconds are what the whole would take at that rate. The first
use of a device (loading torch, starting it) is timed by itself.

``--device cpu`` lets torch on the cores stand for the device: it proves the program, not a speed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import anisotropy as an
from anisotropy import backend, engine
from anisotropy.backend import Rows
from anisotropy.engine import devices
from anisotropy.measures.moments import Moments
from anisotropy.neighbors import Neighbors, top_neighbors
from anisotropy.neighbors.kernels import PairKernels
from benchmarks import machine, processes
from benchmarks.made import Sizes, make_store

#: Seconds that the cores get for one piece of work.
LONGEST = 15.0
DEPTH, KERNELS = 200, 20_000
#: Documents that are encoded, on the device and on the cores, and tokens of each about.
ENCODED, ENCODED_HERE, TOKENS = 16_384, 768, 200
#: Sizes of the encoder: layers, width; heads of 32, four times as wide inside.
LAYERS, WIDTH, VOCABULARY = 6, 384, 8000
SCHEMA = "anisotropy.gpu/1"
Found = dict[str, Any]


@dataclass
class Setting:
    """What is compared.

    Attributes
    ----------
    device
        As torch names it.
    sizes
        Queries and documents.
    kernels
        Documents whose kernels with each other are summed.
    encoded, encoded_here
        Documents that are encoded on the device and on the cores.
    rates
        Products, float32 and float64, in operations a second, on both; measured first.
    """

    device: str
    sizes: Sizes
    kernels: int = KERNELS
    encoded: int = ENCODED
    encoded_here: int = ENCODED_HERE
    rates: Found = field(default_factory=dict)

    def on(self) -> AbstractContextManager[None]:
        """Work goes to the device."""
        return engine.on_device("auto" if self.device == "cpu" else self.device, note)

    def share(self, operations: float) -> float:
        """Share of a product that the cores can do in the time they get."""
        return min(1.0, LONGEST * self.rates["cores"]["float32"] / 2 / operations)


def note(text: str) -> None:
    """A line on what is under way."""
    print(text, file=sys.stderr, flush=True)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Wall seconds, and what came of it."""
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


@contextmanager
def standing_in(setting: Setting) -> Iterator[None]:
    """Where there is no device torch on the cores is one, for work of any size."""
    before = devices.driver, devices.usable, devices.WORTH
    if setting.device == "cpu":
        devices.driver, devices.WORTH = lambda: True, 0.0
        devices.usable = lambda name, say: "cpu"
    try:
        yield
    finally:
        devices.driver, devices.usable, devices.WORTH = before


def start(setting: Setting) -> Found:
    """Seconds until a device has multiplied for the first time; what it is."""

    def first() -> None:
        import torch

        ones = torch.ones(256, 256, device=setting.device)
        (ones @ ones).sum().item()

    seconds, _ = timed(first)
    import torch

    return {
        "seconds": seconds,
        "device": devices.described(setting.device),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
    }


# Rates ----------------------------------------------------------------------------------------


def rates(setting: Setting) -> Found:
    """Operations a second of products of rows with rows, and bytes a second to the device."""
    import torch

    found: Found = {"device": {}, "cores": {}}
    small = setting.device == "cpu"
    for name in ("float32", "float64"):
        dtype = getattr(torch, name)
        a, b = (
            torch.randn(n, setting.sizes.dim, dtype=dtype, device=setting.device)
            for n in ((512, 2048) if small else (8192, 32768))
        )
        work = 2.0 * len(a) * len(b) * setting.sizes.dim
        found["device"][name] = work / best(lambda a=a, b=b: finish(a @ b.T))
        x = np.random.default_rng(0).standard_normal((8192, setting.sizes.dim)).astype(name)
        found["cores"][name] = 2.0 * 2048 * len(x) * x.shape[1] / best(lambda x=x: x[:2048] @ x.T)
    host = torch.empty(64 << 20, dtype=torch.uint8, pin_memory=setting.device != "cpu")
    found["bytes"] = host.numel() / best(lambda: finish(host.to(setting.device)))
    return found


def finish(values: Any) -> None:
    """Wait until a device is done."""
    values.view(-1)[0].item()


def best(work: Callable[[], Any], rounds: int = 3) -> float:
    """Seconds of the fastest of some rounds, after one."""
    work()
    return min(timed(work)[0] for _ in range(rounds))


# Pieces of work -------------------------------------------------------------------------------


def neighbors(setting: Setting, queries: Any, documents: Any) -> Found:
    """The nearest documents of all queries, and of a part of them on the cores."""
    work = 2.0 * len(queries) * len(documents) * setting.sizes.dim
    part = max(1, int(len(queries) * setting.share(work)))
    k = min(DEPTH, len(documents))
    with setting.on():
        first, _ = timed(lambda: top_neighbors(queries, documents, k))
        there, found = timed(lambda: top_neighbors(queries, documents, k))
    here, wanted = timed(lambda: top_neighbors(queries[:part], documents, k))
    return {
        "k": k, "queries": len(queries), "documents": len(documents), "first_s": first,
        **both(there, here, len(queries) / part), **agreement(found, wanted),
    }  # fmt: skip


def both(there: float, here: float, times: float = 1.0) -> Found:
    """Seconds of both, the cores' for a part of the work multiplied up."""
    return {"device_s": there, "cores_s": here * times, "cores_did": 1 / times,
            "speed": here * times / there}  # fmt: skip


def agreement(found: Neighbors, wanted: Neighbors) -> Found:
    """How far lists are the same, and their scores."""
    n = len(wanted.index)
    same = found.index[:n] == wanted.index
    common = [len(np.intersect1d(a, b)) for a, b in zip(found.index, wanted.index, strict=False)]
    apart = np.abs(found.scores[:n].astype(float) - wanted.scores)
    return {
        "same_places": float(same.mean()), "same_lists": float(same.all(axis=1).mean()),
        "common": float(np.mean(common) / wanted.index.shape[1]),
        "scores_apart": float(apart.max() / np.abs(wanted.scores).max()),
    }  # fmt: skip


def kernels(setting: Setting, documents: Any) -> Found:
    """Mean kernels of documents with each other, which is what exact uniformity is of."""
    n = min(setting.kernels, len(documents))
    plain = Rows(documents, np.arange(n))
    centered = Rows(documents, np.arange(n), shift=plain.mean())
    unit = plain.scaled(1 / np.sqrt(plain.squares()))
    work = lambda: PairKernels(centered, [unit], np.arange(n), (2.0,)).means()  # noqa: E731
    with setting.on():
        there, found = timed(work)
    here, wanted = timed(work)
    return {"rows": n, **both(there, here), "apart": apart(found, wanted)}


def covariance(setting: Setting, documents: Any) -> Found:
    """Second moments of all documents in float64."""
    work = lambda: Moments(Rows(documents)).covariance  # noqa: E731
    with setting.on():
        there, found = timed(work)
    here, wanted = timed(work)
    return {"rows": len(documents), **both(there, here), "apart": apart(found, wanted)}


def apart(found: np.ndarray, wanted: np.ndarray) -> float:
    """Largest difference as a share of the largest number."""
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def analysis(setting: Setting, store: Path) -> Found:
    """The default measures of a store."""
    with setting.on():
        there, found = timed(lambda: an.measure(an.open(store), device=asked(setting)))
    here, wanted = timed(lambda: an.measure(an.open(store), device="cpu"))
    return {"rows": len(wanted), **both(there, here), "apart": rows_apart(found, wanted)}


def asked(setting: Setting) -> str:
    """The device as an option."""
    return "auto" if setting.device == "cpu" else setting.device


def rows_apart(found: Any, wanted: Any) -> Found:
    """The measurements that differ most: of each value the difference over its size."""
    place = ["side", "measure", "on"]
    if not found[place].equals(wanted[place]):
        raise AssertionError("the measurements on the device are not those of the cores")
    size = np.maximum(wanted.value.abs(), 1e-3)
    relative = ((found.value - wanted.value).abs() / size).to_numpy()
    worst = np.argsort(-relative)[:5]
    return {
        "largest": float(relative[worst[0]]), "median": float(np.median(relative)),
        "where": {" ".join(wanted[place].iloc[row]): float(relative[row]) for row in worst},
    }  # fmt: skip


def profile(setting: Setting, store: Path) -> str:
    """Phases of ``analyze`` on the device; nothing where torch on the cores stands for it."""
    if setting.device == "cpu":
        return ""
    words = ["-m", "benchmarks.profiling", str(store), "--projection", "none"]
    return processes.run([*words, "--device", setting.device]).out


# Encoding -------------------------------------------------------------------------------------


def encoding(setting: Setting, scratch: Path) -> Found:
    """Documents a second of ``encode`` on both, in both precisions."""
    from anisotropy.spaces.encoding import BATCH_TOKENS

    folder = made_encoder(scratch / "encoder")
    few, many = setting.encoded_here, setting.encoded
    texts = made_texts(many)
    found: Found = {"model": f"{LAYERS} layers of {WIDTH}", "ways": {}}
    vectors: dict[str, np.ndarray] = {}
    here, there = 1024 * backend.cores(), "device"
    for name, device, dtype, count, tokens in (
        ("cores float32", "cpu", "float32", few, here),
        ("cores bfloat16", "cpu", "bfloat16", few, here),
        (f"{there} float32", setting.device, "float32", many, 65536),
        (f"{there} bfloat16", setting.device, "bfloat16", many, 65536),
        (f"{there} bfloat16, small batches", setting.device, "bfloat16", many // 4, BATCH_TOKENS),
        (f"{there} bfloat16, large batches", setting.device, "bfloat16", many, 4 * 65536),
    ):
        seconds, vectors[name] = encoded(folder, texts[:count], device, dtype, tokens)
        found["ways"][name] = {"documents": count, "tokens": tokens, "a_second": count / seconds}
        note(f"  {name}: {count / seconds:.0f} documents a second")
    wanted = unit(vectors["cores float32"])
    for name, rows in vectors.items():
        cosines = (unit(rows[: len(wanted)]) * wanted[: len(rows)]).sum(axis=1)
        found["ways"][name]["cosine"] = [float(cosines.min()), float(np.median(cosines))]
    return found


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of unit length in float64."""
    wide = rows.astype(np.float64)
    return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True))


def made_texts(n: int, seed: int = 0) -> list[str]:
    """Texts of made-up words, of some `TOKENS` words each, more or less."""
    rng = np.random.default_rng(seed)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = ["".join(rng.choice(letters, size)) for size in rng.integers(2, 6, 4000)]
    share = 1 / np.arange(1, len(words) + 1)
    lengths = np.clip(rng.lognormal(np.log(TOKENS / 1.3), 0.5, n), 10, 400).astype(int)
    drawn = rng.choice(len(words), int(lengths.sum()), p=share / share.sum())
    ends = np.cumsum(lengths)
    return [" ".join(words[w] for w in drawn[end - size : end])
            for end, size in zip(ends, lengths, strict=True)]  # fmt: skip


def made_encoder(folder: Path) -> Path:
    """A checkpoint in upstream's layout with random weights."""
    from anisotropy.encoders.recipe import Recipe
    from anisotropy.encoders.upstream import new_roberta
    from anisotropy.training.encoder import UpstreamTrainable, train_tokenizer

    tokenizer = train_tokenizer(made_texts(500, seed=1), VOCABULARY)
    model = new_roberta(
        tokenizer.size, hidden_size=WIDTH, layers=LAYERS, heads=WIDTH // 32,
        intermediate_size=4 * WIDTH, dropout=0.0,
    )  # fmt: skip
    UpstreamTrainable(model, tokenizer, Recipe()).save(folder, training={})
    return folder


def encoded(
    folder: Path, texts: Sequence[str], device: str, dtype: str, tokens: int
) -> tuple[float, np.ndarray]:
    """Seconds of a whole encoding into a store, once the encoder is ready; the vectors."""
    from anisotropy.encoders import open_encoder
    from anisotropy.spaces import open_store
    from anisotropy.spaces.encoding import EncodeOptions, encode_collection

    encoder = open_encoder(folder, recipe="ance", device=device, dtype=dtype)
    encoder.encode_tokens("documents", encoder.tokenize("documents", Texts(texts[:64]).items))
    with tempfile.TemporaryDirectory() as scratch:
        store = Path(scratch) / "store"
        options, collection = EncodeOptions(batch_tokens=tokens), Texts(texts)
        seconds, _ = timed(lambda: encode_collection(encoder, collection, [store], options))
        return seconds, np.array(open_store(store).documents)


class Texts:
    """Documents as a collection with one query."""

    name = fingerprint = "made-up"
    note, has_texts, padding_id, split, training_split = "", True, None, "dev", None
    splits = ("dev",)
    warnings: tuple[str, ...] = ()

    def __init__(self, texts: Sequence[str]) -> None:
        from anisotropy.collection import Document

        self.items = [Document(f"d{i}", text) for i, text in enumerate(texts)]
        self.n_documents = len(self.items)

    def require_texts(self, wanted_by: str) -> None:
        """They are texts."""

    def documents(self) -> Iterator[Any]:
        return iter(self.items)

    def queries(self, split: str | None = None) -> list[Any]:
        from anisotropy.collection import Query

        return [Query("q", "a query")]

    def qrels(self, split: str | None = None) -> dict[str, dict[str, int]]:
        return {"q": {self.items[0].doc_id: 1}}


# All of it ------------------------------------------------------------------------------------


PARTS = ("neighbors", "kernels", "covariance", "analysis", "phases", "encoding")


def measure(setting: Setting, scratch: Path, parts: Sequence[str], out: Path | None) -> Found:
    """Some parts in turn, written after each; one that fails leaves the others as they are."""
    found: Found = {"schema": SCHEMA, "machine": machine.facts(), "start": start(setting)}
    found["rates"] = setting.rates = rates(setting)
    note(f"{found['start']['device']}: {shown_rates(found['rates'])}")
    seconds, store = timed(lambda: make_store(scratch / "made", setting.sizes))
    note(f"store of {setting.sizes.bytes() / 1e6:.0f} MB: {seconds:.1f} s")
    space = an.open(store)
    ways: dict[str, Callable[[], Any]] = {
        "neighbors": lambda: neighbors(setting, space.queries, space.documents),
        "kernels": lambda: kernels(setting, space.documents),
        "covariance": lambda: covariance(setting, space.documents),
        "analysis": lambda: analysis(setting, store),
        "phases": lambda: profile(setting, store),
        "encoding": lambda: encoding(setting, scratch),
    }
    for name in parts:
        seconds, found[name] = timed(lambda name=name: tried(ways[name]))
        note(f"{name} ({seconds:.0f} s): {line(found[name])}")
        if out is not None:
            out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def tried(part: Callable[[], Any]) -> Any:
    """What a part found, or why it found nothing."""
    try:
        return part()
    except ImportError as error:
        return {"skipped": f"not installed: {error.name or error}"}
    except Exception as error:
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}"}


def shown_rates(found: Mapping[str, Any]) -> str:
    """Rates in words."""
    words = [
        f"{where} {found[where]['float32'] / 1e12:.2f} TFLOP/s float32, "
        f"{found[where]['float64'] / 1e12:.2f} float64"
        for where in ("device", "cores")
    ]
    return f"{'; '.join(words)}; {found['bytes'] / 1e9:.1f} GB/s to the device"


def line(found: Any) -> str:
    """A part in a line."""
    if isinstance(found, str):
        return found
    if "speed" not in found:
        return json.dumps(found)
    whole = "" if found["cores_did"] == 1 else f" (multiplied up from {found['cores_did']:.0%})"
    times = {"device_s", "cores_s", "cores_did", "speed"}
    rest = {name: value for name, value in found.items() if name not in times}
    return (f"device {found['device_s']:.2f} s, cores {found['cores_s']:.2f} s{whole}: "
            f"{found['speed']:.1f} times; {json.dumps(rest)}")  # fmt: skip


def there(device: str) -> bool:
    """Whether torch has such a device; the tests let the processor stand in for one."""
    import torch

    return not device.startswith("cuda") or torch.cuda.is_available()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 1 where a part failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", help="as torch names it")
    parser.add_argument("--documents", type=int, default=200_000, metavar="N")
    parser.add_argument("--queries", type=int, default=5_000, metavar="N")
    parser.add_argument("--encoded", type=int, default=ENCODED, metavar="N", help="documents")
    parser.add_argument("--parts", default=",".join(PARTS), metavar="LIST", help="default: all")
    parser.add_argument("--out", type=Path, help="file for the results (JSON)")
    asked = parser.parse_args(arguments)
    parts = asked.parts.split(",")
    if wrong := [name for name in parts if name not in PARTS]:
        parser.error(f"unknown part: {', '.join(wrong)}; allowed: {', '.join(PARTS)}")
    if not there(asked.device):
        parser.error(f"--device {asked.device}: not there; run this where it is")
    few = min(ENCODED_HERE, asked.encoded)
    sizes = Sizes(asked.queries, asked.documents)
    setting = Setting(asked.device, sizes, encoded=asked.encoded, encoded_here=few)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch, standing_in(setting):
        found = measure(setting, Path(scratch), parts, asked.out)
    note(f"{time.perf_counter() - began:.0f} s in all")
    print(json.dumps(found, indent=1))
    return any(isinstance(one, dict) and "failed" in one for one in found.values())


if __name__ == "__main__":
    sys.exit(main())
