"""Chunks of replicates, on several processes, each kept in a file once it is finished."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import anisotropy
from benchmarks.calibration import measuring, pairs

CHUNK = 20
KINDS = {
    "replicate": measuring.replicate,
    "truth": measuring.truth,
    "pair": pairs.replicate,
    "similarity truth": pairs.similarity_truth,
}


@dataclass(frozen=True)
class Chunk:
    """Some replicates of one kind of work; the same words give the same numbers."""

    kind: str
    scenario: str
    design: str
    numbers: tuple[int, ...]
    names: tuple[str, ...]
    more: tuple[Any, ...] = ()

    def file(self, folder: Path) -> Path:
        """Where its results are kept; another version of the package is another file."""
        text = repr((self, fingerprint()))
        return folder / f"{self.kind}-{hashlib.sha256(text.encode()).hexdigest()[:20]}.json"


@lru_cache
def fingerprint() -> str:
    """Hash of the sources of the measures and of this benchmark."""
    places = [Path(anisotropy.__file__).parent, Path(__file__).parent]
    files = [
        *(places[0] / "measures").rglob("*.py"),
        *places[0].glob("*.py"),
        *(places[1] / name for name in ("scenarios.py", "measuring.py", "pairs.py")),
    ]
    whole = hashlib.sha256()
    for file in sorted(files):
        whole.update(file.read_bytes())
    return whole.hexdigest()


def chunks(
    kind: str, scenario: str, design: str, numbers: range, names: Sequence[str], *more: Any
) -> list[Chunk]:
    """The work for a range of replicates."""
    step = 1 if kind.endswith("truth") else CHUNK
    return [
        Chunk(kind, scenario, design, tuple(numbers[i : i + step]), tuple(names), more)
        for i in range(0, len(numbers), step)
        if names
    ]


def run(chunk: Chunk) -> list[measuring.Found]:
    """Do the work of a chunk."""
    work: Any = KINDS[chunk.kind]
    return [
        work(chunk.scenario, chunk.design, number, chunk.names, *chunk.more)
        for number in chunk.numbers
    ]


def _keep(chunk: Chunk, folder: Path) -> None:
    file = chunk.file(folder)
    unfinished = file.with_suffix(".unfinished")
    found = [[[*row, *values] for row, values in one.items()] for one in run(chunk)]
    unfinished.write_text(json.dumps(found))
    unfinished.replace(file)


def finish(work: Sequence[Chunk], folder: Path, processes: int) -> None:
    """Do what is not in the folder yet."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [chunk for chunk in work if not chunk.file(folder).exists()]
    print(f"{len(work)} chunks, {len(missing)} to do", flush=True)
    with ProcessPoolExecutor(processes) as pool:
        for i, _ in enumerate(pool.map(_keep, missing, [folder] * len(missing)), 1):
            if i % 20 == 0 or i == len(missing):
                print(f"  {i} of {len(missing)}", flush=True)


def results(work: Sequence[Chunk], folder: Path) -> list[measuring.Found]:
    """Results of finished chunks, replicate by replicate."""
    found = []
    for chunk in work:
        for one in json.loads(chunk.file(folder).read_text()):
            found.append({(row[0], row[1], row[2]): tuple(row[3:]) for row in one})
    return found
