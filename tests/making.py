"""Small real things for tests: a tokenizer, checkpoints and a BEIR collection of our own texts."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anisotropy.encoders.tokenization import UpstreamTokenizer

_FRUIT = ("apple", "pear", "plum", "cherry", "quince", "fig", "olive", "lemon")
_VERBS = ("grows", "ripens", "falls", "keeps", "sells", "smells", "peels", "freezes")
_PLACES = ("in the valley", "on the hill", "by the sea", "behind the barn", "under glass")
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def sentence(number: int) -> str:
    """One of 320 short sentences."""
    fruit = _FRUIT[number % 8]
    verb = _VERBS[number // 8 % 8]
    return f"the {fruit} {verb} {_PLACES[number // 64 % 5]}"


@cache
def tokenizer() -> UpstreamTokenizer:
    """A byte-level BPE of 400 pieces trained on the sentences."""
    from tokenizers import ByteLevelBPETokenizer

    from anisotropy.encoders.tokenization import UpstreamTokenizer

    bpe = ByteLevelBPETokenizer()
    texts = [sentence(i) for i in range(320)]
    bpe.train_from_iterator(texts, vocab_size=400, special_tokens=list(SPECIALS))
    content = json.loads(bpe.to_str())["model"]
    merges = [tuple(pair) for pair in content["merges"]]
    return UpstreamTokenizer(content["vocab"], merges, "tests")


def make_checkpoint(
    folder: Path, recipe: str = "ance", seed: int = 0, hidden: int = 16, **parts: Any
) -> Path:
    """A checkpoint with random weights in our own layout, its recipe inside."""
    from anisotropy.encoders import named_recipe, new_roberta, save_checkpoint

    model = new_roberta(
        max(tokenizer().vocabulary.values()) + 1,
        hidden_size=hidden,
        layers=1,
        heads=2,
        intermediate_size=32,
        positions=66,
        seed=seed,
    )
    lengths = {"max_query_length": 16, "max_document_length": 24}
    chosen = named_recipe(recipe).replace("tests", **(lengths | parts))
    return save_checkpoint(folder, model, recipe=chosen, tokenizer=tokenizer())


def make_collection(folder: Path, n_documents: int = 240, n_queries: int = 40) -> Path:
    """A BEIR folder: dev and train queries repeat a few words of their one positive."""
    folder.mkdir(parents=True, exist_ok=True)
    documents = [
        {"_id": f"d{i}", "title": f"note {i}", "text": f"{sentence(i)}, {sentence(i * 7 + 3)}"}
        for i in range(n_documents)
    ]
    queries = [
        {"_id": f"{split}{i}", "text": sentence(i + offset)}
        for split, offset in (("dev", 0), ("train", n_queries))
        for i in range(n_queries)
    ]
    write_lines(folder / "corpus.jsonl", documents)
    write_lines(folder / "queries.jsonl", queries)
    (folder / "qrels").mkdir(exist_ok=True)
    for split, offset in (("dev", 0), ("train", n_queries)):
        rows = [f"{split}{i}\td{i + offset}\t1" for i in range(n_queries)]
        text = "\n".join(["query-id\tcorpus-id\tscore", *rows]) + "\n"
        (folder / "qrels" / f"{split}.tsv").write_text(text)
    return folder


def make_runs(folder: Path) -> Path:
    """Two TREC runs and judgments of 12 queries over 60 documents."""
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    for name, step in (("bm25", 7), ("ance", 1)):
        lines = [
            f"q{q} Q0 d{(q * 5 + place * step) % 60} {place} {100 - place} {name}"
            for q in range(12)
            for place in range(1, 31)
        ]
        (folder / f"runs/{name}.trec").write_text("\n".join(lines) + "\n")
    rows = [f"q{q}\t0\td{(q * 5 + 1 + q % 3) % 60}\t1" for q in range(12)]
    (folder / "qrels.txt").write_text("\n".join(rows) + "\n")
    return folder


def make_negatives(folder: Path, n_queries: int = 40) -> Path:
    """A whole set of negatives of the training queries of `make_collection`, by ids."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for i in range(n_queries):
        documents = ",".join(f"d{(i * 3 + step) % n_queries}" for step in range(1, 5))
        queries = ",".join(f"train{(i + step) % n_queries}" for step in (1, 2))
        lines.append(f"train{i}\td{i + n_queries}\t{documents}\t{queries}")
    (folder / "ann_training_data_0").write_text("\n".join(lines) + "\n")
    mark = {"checkpoint": "run/checkpoint-20/", "ndcg": 0.25}
    (folder / "ann_ndcg_0").write_text(json.dumps(mark))
    return folder


def write_lines(path: Path, records: list[dict[str, str]]) -> None:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
