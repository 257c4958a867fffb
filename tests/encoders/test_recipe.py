from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anisotropy.encoders import RECIPE_NAMES, Recipe, load_recipe, named_recipe
from anisotropy.encoders.recipe import PARTS
from anisotropy.errors import UsageError


def test_names_and_what_sets_them_apart() -> None:
    assert RECIPE_NAMES == (
        "ance",
        "ance-maxp",
        "ance-head",
        "dance",
        "dance-maxp",
        "dance-symmetric",
        "dpr",
    )
    ance, dance = named_recipe("ance"), named_recipe("dance")
    assert (ance.normalize, ance.document_layernorm, ance.similarity) == (False, True, "dot")
    assert (dance.normalize, dance.document_layernorm, dance.similarity) == (True, False, "cosine")
    assert named_recipe("dance-symmetric").document_layernorm
    head = named_recipe("ance-head")
    assert (head.separator, head.pad_token_id) == (" </s> ", 1)
    maxp = named_recipe("dance-maxp")
    assert (maxp.chunk_length, maxp.max_document_length, maxp.chunks) == (512, 2048, 4)


@pytest.mark.parametrize("name", RECIPE_NAMES)
def test_json_round_trip(name: str) -> None:
    recipe = named_recipe(name).replace("option --temperature", temperature=0.5)
    again = Recipe.from_dict(json.loads(json.dumps(recipe.as_dict())))
    assert again == recipe
    assert again.sources == recipe.sources
    assert again.identity() == recipe.identity()


@given(
    query=st.integers(3, 600),
    separator=st.text(max_size=8),
    temperature=st.floats(1e-6, 1e6),
    normalize=st.booleans(),
)
def test_any_parts_round_trip(
    query: int, separator: str, temperature: float, normalize: bool
) -> None:
    recipe = Recipe(
        max_query_length=query,
        separator=separator,
        temperature=temperature,
        normalize=normalize,
    )
    assert Recipe.from_dict(json.loads(json.dumps(recipe.as_dict()))) == recipe


def test_every_part_has_a_source() -> None:
    recipe = named_recipe("dance").replace("option --similarity", similarity="dot")
    assert set(recipe.sources) == set(PARTS)
    assert recipe.sources["similarity"] == "option --similarity"
    assert recipe.sources["normalize"] == "recipe dance"


CHANGES: dict[str, Any] = {
    "pooling": "mean",
    "head": "none",
    "normalize": True,
    "document_layernorm": False,
    "similarity": "euclidean",
    "temperature": 0.5,
    "tokenization": "tokenizer",
    "lowercase": False,
    "drop_question_mark": True,
    "separator": " ",
    "fields": ("text",),
    "pad_token_id": 1,
    "positions": "model",
    "mask": "model",
    "max_query_length": 32,
    "max_document_length": 256,
    "max_document_characters": 0,
    "chunk_length": 128,
    "query_prompt": "query: ",
    "document_prompt": "passage: ",
    "dtype": "bfloat16",
}


def test_changes_cover_every_part() -> None:
    assert set(CHANGES) == set(PARTS)


@pytest.mark.parametrize("part", PARTS)
def test_identity_sees_every_part(part: str) -> None:
    changed = Recipe().replace("test", **{part: CHANGES[part]})
    assert changed.identity() != Recipe().identity()


def test_identity_is_blind_to_sources_doubts_and_name() -> None:
    recipe = Recipe()
    other = Recipe(name="other", sources={"dtype": "x"}, doubts=("why",))
    assert other.identity() == recipe.identity()


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({"max_query_length": -1}, "max_query_length: got -1; allowed: a whole number, 3 or more"),
        ({"max_document_length": 2}, "max_document_length: got 2"),
        ({"max_document_characters": -5}, "0 or more"),
        ({"chunk_length": "many"}, "chunk_length: got 'many'"),
        ({"max_query_length": True}, "max_query_length: got True"),
        ({"temperature": 0}, "temperature: got 0; allowed: a number above 0"),
        ({"temperature": float("nan")}, "allowed: a number above 0"),
        ({"similarity": "cosin"}, "did you mean 'cosine'?"),
        ({"normalize": "perhaps"}, "normalize: got 'perhaps'; allowed: true, false"),
        ({"pooling": 3}, "pooling: got 3; allowed: text"),
        ({"fields": "text,url"}, "fields: got 'text,url'"),
        ({"fields": 7}, "fields: got 7"),
        ({"normalise": True}, "did you mean 'normalize'?"),
        ({"chunk_length": 500}, "max_document_length: got 512"),
        ({"dtype": "float16"}, "dtype: got 'float16'; allowed: float32, bfloat16"),
    ],
)
def test_bad_parts_are_one_line(parts: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Recipe().replace("test", **parts)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_name_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'dance'"):
        named_recipe("dans")


def test_text_values_from_a_command_line() -> None:
    recipe = Recipe().replace("test", normalize="true", max_query_length="32", fields="title,text")
    assert (recipe.normalize, recipe.max_query_length) == (True, 32)
    assert recipe.fields == ("title", "text")


def test_recipe_files(tmp_path: Path) -> None:
    toml = tmp_path / "r.toml"
    toml.write_text('name = "dance"\nmax_query_length = 20\n')
    assert load_recipe(toml) == {"name": "dance", "max_query_length": 20}
    plain = tmp_path / "r.json"
    plain.write_text(json.dumps(named_recipe("dance").as_dict()))
    assert Recipe.from_dict(load_recipe(plain)) == named_recipe("dance")


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("r.toml", "a = = 1", "not readable as TOML"),
        ("r.json", "{", "not readable as JSON"),
        ("r.json", "[1]", "allowed: a table"),
        ("r.json", '{"tempreature": 1}', "did you mean 'temperature'"),
        ("r.json", '{"max_query_length": -3}', "max_query_length: got -3"),
        ("r.json", '{"sources": 3}', "sources must be a table"),
    ],
)
def test_bad_recipe_files(tmp_path: Path, name: str, content: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(Exception, match=text) as caught:
        load_recipe(path)
    assert "\n" not in str(caught.value)
