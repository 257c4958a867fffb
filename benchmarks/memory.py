"""Peak memory of ``encode`` and ``analyze`` on many documents, against few.

Run: ``python benchmarks/memory.py [--documents 100000]``. The documents are made up; the encoder
has random weights and one layer, so that what is measured is the path, not the model. Peak memory
is anonymous plus shared pages (memory-mapped files do not count), sampled from ``/proc``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.making import make_collection, sentence, tokenizer

DIM = 384
MIB = 2**20


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


def peak(words: list[str], cwd: Path) -> tuple[float, float]:
    """Run the program; returns the peak of anonymous plus shared memory in MiB, and seconds."""
    environment = {**os.environ, "ANISOTROPY_CACHE": str(cwd / "cache")}
    command = [sys.executable, "-m", "anisotropy", *words, "--quiet"]
    start, highest = time.perf_counter(), 0
    process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        highest = max(highest, resident(process.pid))
        time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"{words} failed")
    return highest / 1024, time.perf_counter() - start


def resident(pid: int) -> int:
    """Anonymous plus shared resident memory of a process in KiB; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    wanted = ("RssAnon", "RssShmem")
    return sum(int(line.split()[1]) for line in lines if line.split(":")[0] in wanted)


def measure(folder: Path, n: int) -> dict[str, float]:
    """Peaks and times for `n` documents."""
    folder.mkdir()
    text_bytes = make_documents(folder / "data", n)
    make_encoder(folder / "x.ckpt")
    data = ["--data", "data"]
    encode, seconds = peak(["encode", "x.ckpt", *data, "--out", "store"], folder)
    analyze, more = peak(["analyze", "store", *data, "--projection", "none"], folder)
    return {
        "texts_mib": text_bytes / MIB,
        "embeddings_mib": n * DIM * 4 / MIB,
        "encode_mib": encode,
        "encode_s": seconds,
        "analyze_mib": analyze,
        "analyze_s": more,
    }


def main() -> None:
    """Measure few and many, print what the many add."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=100_000)
    n = parser.parse_args().documents
    with tempfile.TemporaryDirectory() as scratch:
        few = measure(Path(scratch) / "few", 2_000)
        many = measure(Path(scratch) / "many", n)
    for name, value in many.items():
        print(f"{name:15s} 2,000: {few[name]:8.1f}   {n:,}: {value:8.1f}")
    for job in ("encode", "analyze"):
        added = many[f"{job}_mib"] - few[f"{job}_mib"]
        copies = added / (many["embeddings_mib"] - few["embeddings_mib"])
        print(f"{job}: {added:.0f} MiB more, {copies:.2f} copies of the embeddings")


if __name__ == "__main__":
    main()
