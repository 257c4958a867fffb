"""A made-up collection in two languages: queries name words of their document in the other one.

An untrained encoder is at chance on it; a trained one has learned which words belong together.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from anisotropy.collection import Collection, open_collection

SYLLABLES = ("ba", "ko", "ri", "mu")
WORDS = [first + second for first in SYLLABLES for second in SYLLABLES]
TRANSLATION = {word: f"{word[2:]}x{word[:2]}" for word in WORDS}


def write_collection(
    folder: Path, n_train: int = 96, n_dev: int = 32, seed: int = 0, n_test: int = 0
) -> Path:
    generator = np.random.default_rng(seed)
    documents, queries = [], []
    splits = ["train"] * n_train + ["dev"] * n_dev + ["test"] * n_test
    qrels: dict[str, list[str]] = {split: [] for split in dict.fromkeys(splits)}
    for number, split in enumerate(splits):
        words = generator.choice(WORDS, 5, replace=False)
        documents.append({"_id": f"d{number}", "text": " ".join(words)})
        named = [TRANSLATION[word] for word in generator.permutation(words)[:4]]
        queries.append({"_id": f"q{number}", "text": " ".join(named)})
        qrels[split].append(f"q{number}\td{number}\t1")
    (folder / "qrels").mkdir(parents=True)
    _lines(folder / "corpus.jsonl", [json.dumps(row) for row in documents])
    _lines(folder / "queries.jsonl", [json.dumps(row) for row in queries])
    for split, rows in qrels.items():
        _lines(folder / "qrels" / f"{split}.tsv", ["query-id\tcorpus-id\tscore", *rows])
    return folder


def _lines(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    return open_collection(write_collection(tmp_path_factory.mktemp("made-up") / "words"))
