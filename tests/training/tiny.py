"""A BERT of two thousand parameters with a tokenizer of whole words, and a SentenceTransformer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tests.training.conftest import TRANSLATION, WORDS


def bert(seed: int = 0, dropout: float = 0.3) -> Any:
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=len(words()),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=24,
        hidden_dropout_prob=dropout,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BertModel(config)


def words() -> dict[str, int]:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, *TRANSLATION.values()]
    return {piece: number for number, piece in enumerate(pieces)}


def tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel(words(), unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]", model_max_length=20
    )


def sentence_transformer(folder: Path, seed: int = 0) -> Any:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    bert(seed).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    backbone = Transformer(str(folder))
    pooling = Pooling(backbone.get_embedding_dimension(), "mean")
    return SentenceTransformer(modules=[backbone, pooling], device="cpu")
