"""Writes fixtures with Tevatron's encoding drivers: python make_tevatron.py OLD NEW OUT.

OLD is the unpacked wheel of tevatron (0.1.0), NEW a folder with
`tevatron/retriever/driver/encode.py` of its repository (commit 0a9626f). Each driver's `main`
runs as it is; its model, tokenizer and data are replaced by the made-up vectors.
"""

from __future__ import annotations

import runpy
import sys
import types
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import torch
import transformers
from made_up import CHUNKS, DOC_IDS, DOCUMENTS, QUERIES, QUERY_IDS

OLD, NEW, OUT = map(Path, sys.argv[1:])


class Model(torch.nn.Module):
    """Answers with the rows whose numbers come as the input."""

    dtype = torch.float32

    def forward(self, query: Any = None, passage: Any = None) -> Any:
        rows = [
            None if batch is None else torch.from_numpy(array)[batch["n"]].to(self.dtype)
            for batch, array in ((query, QUERIES), (passage, DOCUMENTS))
        ]
        return SimpleNamespace(q_reps=rows[0], p_reps=rows[1])

    def encode_passage(self, batch: Any, _: Any) -> Any:
        starts = np.concatenate([[0], np.cumsum(CHUNKS)])
        vectors = torch.zeros(len(batch["n"]), max(CHUNKS), DOCUMENTS.shape[1])
        mask = torch.zeros(vectors.shape[:2])
        for place, document in enumerate(batch["n"].tolist()):
            own = DOCUMENTS[starts[document] : starts[document + 1]]
            vectors[place, : len(own)], mask[place, : len(own)] = torch.from_numpy(own), 1
        return vectors, mask


class Data(torch.utils.data.Dataset[Any]):
    ids: ClassVar[list[str]] = []

    def __init__(self, *_: Any, **__: Any) -> None: ...
    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, number: int) -> tuple[str, int]:
        if number >= len(self):
            raise IndexError(number)
        return self.ids[number], number

    def process(self, *_: Any) -> Any:
        return self


def collate(features: Any) -> Any:
    numbers = torch.tensor([number for _, number in features])
    return [name for name, _ in features], {"n": numbers}


class Parser:
    arguments: Any = None

    def __init__(self, *_: Any) -> None: ...
    def parse_args_into_dataclasses(self) -> Any:
        return self.arguments


def module(name: str, **content: Any) -> None:
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__dict__.update(content)


def arguments(**data: Any) -> Any:
    anything = SimpleNamespace(
        model_name_or_path="", tokenizer_name="", config_name="", cache_dir=None, pooling="cls",
        normalize=False, lora_name_or_path=None, attn_implementation=None,
    )  # fmt: skip
    training = SimpleNamespace(
        local_rank=-1, n_gpu=0, fp16=False, bf16=False, per_device_eval_batch_size=16,
        dataloader_num_workers=0, device="cpu",
    )  # fmt: skip
    return anything, SimpleNamespace(**data), training


transformers.HfArgumentParser = Parser
tokenizer = SimpleNamespace(pad_token_id=0, eos_token_id=0, padding_side="")
for automatic in (transformers.AutoTokenizer, transformers.AutoConfig):
    automatic.from_pretrained = lambda *_, **__: tokenizer

built = SimpleNamespace(build=lambda **_: Model(), load=lambda *_, **__: Model())
collator = lambda *_, **__: collate  # noqa: E731
chunk_collator = lambda *_, **__: lambda features: (*collate(features), [])  # noqa: E731
for package in ("tevatron", "tevatron.retriever"):
    module(package, __path__=[])
module("tevatron.arguments", ModelArguments=0, DataArguments=0, DenseTrainingArguments=0)
module("tevatron.data", EncodeDataset=lambda data, *_, **__: data, EncodeCollator=collator)
module("tevatron.modeling", DenseOutput=0, DenseModelForInference=built)
module("tevatron.datasets", HFQueryDataset=Data, HFCorpusDataset=Data)
names = ("ModelArguments", "DataArguments", "TevatronTrainingArguments")
module("tevatron.retriever.arguments", **dict.fromkeys(names, 0))
module("tevatron.retriever.dataset", EncodeDataset=Data)
module(
    "tevatron.retriever.collator",
    EncodeCollator=collator,
    ChunkedEncodeCollator=chunk_collator,
    PreChunkedEncodeCollator=chunk_collator,
)
module("tevatron.retriever.modeling", EncoderOutput=0, DenseModel=built)


def drive(driver: Path, ids: list[str], **data: Any) -> None:
    Data.ids, Parser.arguments = ids, arguments(**data)
    sys.argv = [str(driver)]
    runpy.run_path(str(driver), run_name="__main__")


def old(ids: list[str], name: str, is_query: bool) -> None:
    path = OUT / "old" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    shared = {"data_cache_dir": None, "encode_num_shard": 1, "encode_shard_index": 0}
    drive(
        OLD / "tevatron/driver/encode.py", ids, encode_is_qry=is_query, q_max_len=8, p_max_len=8,
        encoded_save_path=path, **shared,
    )  # fmt: skip


def new(ids: list[str], name: str, is_query: bool, chunk_size: int = 0) -> None:
    path = OUT / "new" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    drive(
        NEW / "tevatron/retriever/driver/encode.py", ids, encode_is_query=is_query,
        passage_chunk_size=chunk_size, encode_use_pre_chunked=False, padding_side="right",
        encode_output_path=path,
    )  # fmt: skip


old(QUERY_IDS, "queries.pkl", True)
old(DOC_IDS, "corpus.pkl", False)
new(QUERY_IDS, "queries.pkl", True)
new(DOC_IDS[: len(CHUNKS)], "chunked.pkl", False, chunk_size=4)
Model.dtype = torch.float16
new(DOC_IDS, "corpus.pkl", False)
