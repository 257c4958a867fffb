"""Peak memory of ``encode`` on many documents, against few.

The documents are made up; the encoder has random weights and one layer, so that what is measured
is the path, not the model.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from benchmarks import processes
from benchmarks.quantities import Numbers, number
from benchmarks.registry import Setting
from tests.making import make_collection, sentence, tokenizer

DIM = 384
FEW = 2_000


def case(setting: Setting) -> Numbers:
    """Few and many: what the many add."""
    many = setting.pick(60, 10_000, 100_000)
    few = min(FEW, many // 2)
    peaks, texts = {}, {}
    for n in (few, many):
        folder = setting.folder / str(n)
        folder.mkdir()
        texts[n] = make_documents(folder / "data", n) / 1e6
        make_encoder(folder / "x.ckpt")
        words = ("encode", "x.ckpt", "--data", "data", "--out", "store", "--quiet")
        ended = processes.program(*words, cwd=folder, ANISOTROPY_CACHE=str(folder / "cache"))
        peaks[n] = ended.peak
    added, vectors = peaks[many] - peaks[few], (many - few) * DIM * 4 / 1e6
    return {
        "few_mb": number(peaks[few], "MB", f"{few:,} documents: peak of private memory"),
        "many_mb": number(peaks[many], "MB", f"{many:,} documents: the same"),
        "texts_mb": number(texts[many], "MB", f"{many:,} documents: their texts"),
        "copies": number(added / vectors, "x", "what the many add over their vectors"),
    }


def make_documents(folder: Path, n: int) -> int:
    """A BEIR folder with `n` documents of some 1,300 characters; returns their bytes."""
    make_collection(folder, n_documents=1, n_queries=200)
    rng = random.Random(0)
    with (folder / "corpus.jsonl").open("w") as file:
        for number in range(n):
            text = ". ".join(sentence(rng.randrange(320)) for _ in range(40))
            file.write(json.dumps({"_id": f"d{number}", "title": "", "text": text}) + "\n")
    return (folder / "corpus.jsonl").stat().st_size


def make_encoder(folder: Path) -> None:
    """A checkpoint with random weights of the width measured here."""
    from anisotropy.encoders import named_recipe, new_roberta, save_checkpoint

    pieces = max(tokenizer().vocabulary.values()) + 1
    model = new_roberta(
        pieces, hidden_size=DIM, layers=1, heads=6, intermediate_size=384, positions=66
    )
    recipe = named_recipe("dance").replace("here", max_query_length=16, max_document_length=16)
    save_checkpoint(folder, model, recipe=recipe, tokenizer=tokenizer())
