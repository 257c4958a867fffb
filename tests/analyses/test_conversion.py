"""The conversion: same token ids, same vectors, before anything is trained."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch

from analyses.conversion import as_sentence_transformer, write_recipe
from anisotropy.collection import Collection, Document, Query, open_collection
from anisotropy.encoders import named_recipe, open_encoder
from anisotropy.encoders.library_tokenizer import library_tokenizer
from anisotropy.encoders.texts import document_text, query_text
from anisotropy.training import EncoderSizes, UpstreamTrainable, new_encoder
from tests.training.conftest import write_collection

SIZES = EncoderSizes(vocabulary=400, hidden=32, intermediate=32, max_query_length=8)
NASTY = [
    "",
    "   ",
    "Ein  Text\twith \n odd space ",
    "ΟΔΟΣ ΣΑΣ İstanbul ÀÉ ß ẞ",
    "a <mask> b<s>  c </s>d <PAD> e<Unk>f < s >",
    "\x1c\x1dstart and end\x85\u2003\xa0",
    "in <mask>\x1f\x1fthe middle\u2029<mask> twice <mask><mask> x",
    "\ufeffbyte order mark \u200bzero width\u200d",
    "1234.5 don't, we'll; 'quoted'  ..",
    "emoji 🙂🙃 and 漢字 mixed",
]


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    return open_collection(write_collection(tmp_path_factory.mktemp("made-up") / "words"))


@pytest.fixture(scope="module")
def start(made_up: Collection) -> UpstreamTrainable:
    """Untrained, but with no tensor at a value that would hide it."""
    trainable = new_encoder(made_up, SIZES)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in trainable.model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
    return trainable


def test_token_ids_are_upstreams(start: UpstreamTrainable) -> None:
    ours = start.tokenizer
    theirs = library_tokenizer(ours.vocabulary, ours.merges)
    scripts = [chr(i) for i in range(1, 0x2FFF) if unicodedata.category(chr(i)) != "Cn"]
    texts = [*NASTY, *(f"a {c}b{c} <s>{c}" for c in scripts)]
    expected = ours.encode(texts, 10_000)
    found = [row.ids for row in theirs.encode_batch(texts)]
    wrong = [t for t, one, two in zip(texts, expected, found, strict=True) if one != two]
    assert not wrong


@pytest.mark.filterwarnings("ignore:Importing from:DeprecationWarning")
@pytest.mark.parametrize("head", ["ance", "dance", "dance-symmetric"])
def test_vectors_are_equal(
    start: UpstreamTrainable, made_up: Collection, tmp_path: Path, head: str
) -> None:
    model = named_recipe(head)
    parts = {
        part: getattr(model, part) for part in ("normalize", "document_layernorm", "similarity")
    }
    trainable = start.with_recipe(start.recipe.replace("test", **parts))
    queries = [*made_up.queries(), *(Query(str(n), text) for n, text in enumerate(NASTY[2:]))]
    documents = [*made_up.documents()][:20]
    documents += [Document(str(n), text, "A title") for n, text in enumerate(NASTY[2:])]
    converted = as_sentence_transformer(trainable)
    expected = (
        trainable.encode("queries", trainable.query_tokens(queries)),
        trainable.encode("documents", trainable.document_tokens(documents)),
    )
    recipe = trainable.recipe
    found = (
        converted.encode_query([query_text(q, recipe) for q in queries]),
        converted.encode_document([document_text(d, recipe) for d in documents]),
    )
    for one, two in zip(expected, found, strict=True):
        np.testing.assert_allclose(two, one, atol=1e-5)
    assert any(len(ids) == 8 for ids in trainable.query_tokens(queries))  # cut, as documents not
    converted.save(str(tmp_path / "st"))
    write_recipe(tmp_path / "st", recipe)
    reopened = open_encoder(tmp_path / "st")
    assert reopened.recipe.similarity == recipe.similarity
    sides = (("queries", queries), ("documents", documents))
    for (side, items), one in zip(sides, expected, strict=True):
        tokens = reopened.tokenize(side, items)
        (vectors,) = reopened.encode_tokens(side, tokens)
        np.testing.assert_allclose(vectors, one, atol=1e-5)
