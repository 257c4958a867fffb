"""A tiny BERT with random weights, as a plain folder and as sentence-transformers folders."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.making import sentence

HIDDEN = 32
WORDS = sorted({word for i in range(320) for word in sentence(i).split()} | {"fig", ".", ":"})


def word_piece(folder: Path, words: Iterable[str] = WORDS) -> int:
    """Write a tokenizer of whole words; the size of its vocabulary."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "query", "passage", *words]
    tokenizer = Tokenizer(
        models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    config = {f"{role}_token": token for role, token in names.items()}
    config |= {"tokenizer_class": "BertTokenizer", "model_max_length": 64}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return len(pieces)


def write_plain(folder: Path, words: Iterable[str] = WORDS) -> Path:
    """Write a plain transformers folder."""
    import torch
    from transformers import BertConfig, BertModel

    folder.mkdir(parents=True)
    config = BertConfig(
        vocab_size=word_piece(folder, words),
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=40,
        initializer_range=0.4,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        BertModel(config).save_pretrained(folder)
    return folder


def build(
    plain: Path,
    folder: Path,
    *,
    pooling: str = "mean",
    extra: str = "normalize",
    prompts: dict[str, str] | None = None,
) -> Path:
    """Write a sentence-transformers folder around a plain one."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    modules = [Transformer(str(plain), max_seq_length=12), Pooling(HIDDEN, pooling)]
    modules += _extra(extra)
    options: dict[str, Any] = {"prompts": prompts, "similarity_fn_name": "dot"} if prompts else {}
    model = SentenceTransformer(modules=modules, device="cpu", **options)
    model.save(str(folder), create_model_card=False)
    return folder


def _extra(name: str) -> list[Any]:
    from sentence_transformers.sentence_transformer import modules as known

    if name == "router":
        query = [known.Dense(HIDDEN, 8), known.Normalize()]
        return [known.Router.for_query_document(query, [known.Dense(HIDDEN, 8)])]
    made: dict[str, Any] = {
        "dense": lambda: [known.Dense(HIDDEN, 16)],
        "normalize": lambda: [known.Normalize()],
        "layernorm": lambda: [known.LayerNorm(HIDDEN)],
        "tanh": lambda: [known.Dense(HIDDEN, HIDDEN), known.LayerNorm(HIDDEN)],
    }
    return made[name]() if name in made else []


def routed(plain: Path, folder: Path) -> Path:
    """Write a model with a backbone for each side."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Router, Transformer

    def side() -> list[Any]:
        return [Transformer(str(plain), max_seq_length=12), Pooling(HIDDEN, "mean")]

    router = Router.for_query_document(query_modules=side(), document_modules=side())
    model = SentenceTransformer(modules=[router], device="cpu")
    model.save(str(folder), create_model_card=False)
    return folder
