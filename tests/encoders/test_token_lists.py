"""Token ids that a source gives: taken by upstream encoders, refused by others, never re-made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anisotropy.collection import Document, Query, open_collection
from anisotropy.encoders.recipe import Recipe
from anisotropy.encoders.texts import document_text, query_text
from anisotropy.encoders.token_lists import cut_pair, cut_tokens, upstream_tokens
from anisotropy.encoders.wordpiece import WordPieceTokenizer
from anisotropy.errors import CollectionError
from anisotropy.explorer.texts import document_texts
from anisotropy.opening import EncoderOptions, open_space
from anisotropy.spaces.pairs import query_texts
from tests.collection.preprocessed import DOCUMENTS, dance, dpr, write_cache
from tests.making import tokenizer
from tests.tiny_modules import write_plain


@pytest.mark.parametrize("limit", range(3, 12))
def test_cutting_is_the_truncation_of_texts(limit: int) -> None:
    """What a longer cache gives under a shorter recipe is what the text would have given."""
    made, recipe = tokenizer(), Recipe().replace("test", max_document_length=limit)
    texts = ["", "a", "rain in july and copper bridges", "naïve ☂ text " * 5]
    whole = made.encode(texts, 10_000)
    items = [Document(str(n), "", tokens=tuple(ids)) for n, ids in enumerate(whole)]
    assert upstream_tokens(made, "documents", items, recipe) == made.encode(texts, limit)
    assert [cut_tokens(ids, limit) for ids in whole] == made.encode(texts, limit)


@pytest.mark.parametrize("limit", range(3, 16))
def test_cutting_a_pair_is_the_truncation_of_a_pair(limit: int) -> None:
    words = [f"w{n}" for n in range(30)]
    made = WordPieceTokenizer(
        {name: n for n, name in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}
    )
    sizes = [(0, 0), (0, 9), (9, 0), (4, 4), (2, 11), (11, 2), (7, 8)]
    firsts, seconds = ([" ".join(words[: pair[side]]) for pair in sizes] for side in (0, 1))
    whole = made.encode_pairs(firsts, seconds, 10_000)
    wanted = made.encode_pairs(firsts, seconds, limit)
    assert [cut_pair(ids, limit) for ids in whole] == wanted
    shorter = made.encode_pairs(firsts, seconds, limit + 3)
    assert [cut_pair(ids, limit) for ids in shorter] == wanted
    single = made.encode(seconds, 10_000)
    assert [cut_pair(ids, limit) for ids in single] == made.encode(seconds, limit)


def test_prompts_and_lower_casing_do_not_touch_token_ids() -> None:
    made = tokenizer()
    recipe = Recipe().replace("test", query_prompt="query: ", lowercase=False)
    ids = made.encode(["Rain"], 64, True)[0]
    assert upstream_tokens(made, "queries", [Query("q", "", tuple(ids))], recipe) == [ids]


def test_token_ids_of_another_tokenizer_are_refused() -> None:
    with pytest.raises(CollectionError, match=r"'d' are framed by \(101, 102\), .* by \(0, 2\)"):
        upstream_tokens(tokenizer(), "documents", [Document("d", "", tokens=(101, 102))], Recipe())
    both = [Query("q", "", (0, 2)), Query("r", "text")]
    with pytest.raises(CollectionError, match="'r' has a text, others token ids"):
        upstream_tokens(tokenizer(), "queries", both, Recipe())


def test_texts_are_never_made_of_token_ids() -> None:
    with pytest.raises(CollectionError, match="query 'q' has token ids and no text"):
        query_text(Query("q", "", (0, 2)), Recipe())
    with pytest.raises(CollectionError, match="document 'd' has token ids and no text"):
        document_text(Document("d", "", tokens=(0, 2)), Recipe())


@pytest.mark.parametrize("recipe", ["ance", "dance"])
def test_a_folder_is_encoded_as_its_ids_are(upstream: Path, tmp_path: Path, recipe: str) -> None:
    collection = open_collection(dance(tmp_path / "data"))
    options = EncoderOptions(recipe=recipe)
    space = open_space(upstream, collection, encoder=options)
    encoder = options.open(upstream)
    vectors = encoder.encode_tokens("documents", DOCUMENTS)[0]
    assert np.allclose(space.documents[:], vectors, atol=1e-5)
    assert space.doc_ids == ["70", "3", "41", "1009", "5"]
    assert space.training is not None
    assert space.training.query_ids == ["7", "2", "90"]
    assert query_texts(space) == {}
    assert document_texts([space], ["3"]) == [None]
    assert space.distances(to="positives").text.isna().all()


@pytest.mark.parametrize(("padding", "doubtful"), [(0, False), (1, True)])
def test_padding_of_the_folder_and_of_the_recipe(
    upstream: Path, tmp_path: Path, padding: int, doubtful: bool
) -> None:
    """It reaches the vectors of chunks of padding alone, so a difference is a doubt there."""
    collection = open_collection(dance(tmp_path / "data", padding=padding))
    short = {"max_document_length": 8, "chunk_length": 4}
    for recipe, parts in (("ance-maxp", short), ("ance", {})):
        space = open_space(
            upstream, collection, encoder=EncoderOptions(recipe=recipe, overrides=parts)
        )
        said = any("is padded with id 1" in line for line in space.recipe["doubts"])
        assert said == (doubtful and recipe == "ance-maxp")


def test_other_families_refuse_token_ids_before_any_work(tmp_path: Path) -> None:
    model = write_plain(tmp_path / "model")
    collection = open_collection(dance(tmp_path / "data"))
    with pytest.raises(CollectionError, match=r"needs texts; data holds the token ids of an up"):
        open_space(model, collection)


def test_a_folder_of_bert_is_refused_by_roberta(upstream: Path, tmp_path: Path) -> None:
    collection = open_collection(dpr(tmp_path / "data"))
    with pytest.raises(CollectionError, match="made by another tokenizer"):
        open_space(upstream, collection, encoder=EncoderOptions(recipe="ance"))


def test_training_on_token_ids(upstream: Path, tmp_path: Path) -> None:
    """The trainer takes them as upstream's trainers do; what needs words says so."""
    from anisotropy.training import TrainingConfig, train
    from anisotropy.training.bm25 import bm25_ranking
    from anisotropy.training.encoder import new_encoder
    from anisotropy.training.geometry import sample_of

    collection = open_collection(dance(tmp_path / "data"))
    for work in (
        lambda: bm25_ranking(collection, "train"),
        lambda: new_encoder(collection),
        lambda: sample_of(collection, 2, 2, 0),
    ):
        with pytest.raises(CollectionError, match="needs texts; data holds"):
            work()
    config = TrainingConfig(steps=2, batch_size=2, depth=2, kept=1, refresh_steps=1)
    trained = train("ance", start=upstream, data=collection, out=tmp_path / "out", config=config)
    space, start = (open_space(path, collection) for path in (trained, upstream))
    assert np.abs(space.documents[:] - start.documents[:]).max() > 0


def test_cache_of_one_long_record(tmp_path: Path, upstream: Path) -> None:
    """A record longer than the recipe allows is cut, its closing token kept."""
    folder = dance(tmp_path / "data", width=8)
    long = [0, *range(5, 105), 2]
    write_cache(folder / "passages", [long] * 5, 128)
    options = EncoderOptions(recipe="ance", overrides={"max_document_length": 20})
    space = open_space(upstream, open_collection(folder), encoder=options)
    wanted = options.open(upstream).encode_tokens("documents", [[*long[:19], 2]])[0]
    assert np.allclose(space.documents[:], np.repeat(wanted, 5, axis=0), atol=1e-5)
