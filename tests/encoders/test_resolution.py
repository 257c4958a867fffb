from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from anisotropy.encoders import Recipe, named_recipe, open_encoder
from anisotropy.encoders.recipe import PARTS
from anisotropy.errors import CheckpointError, UsageError
from tests.encoders import building

Copy = Callable[..., Path]


def with_arguments(copy: Copy, **arguments: Any) -> Path:
    folder = copy()
    building.save_legacy(
        building.argparse.Namespace(device=torch.device("cpu"), **arguments),
        folder / "training_args.bin",
    )
    return folder


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"representation_l2_normalization": True}, "dance"),
        ({"loss_objective_function": "simclr_cosine"}, "dance"),
        (
            {"loss_objective_function": "dot_product", "representation_l2_normalization": True},
            "dance",
        ),
        ({"representation_l2_normalization": False}, "ance"),
        ({"loss_objective_function": "dot_product"}, "ance"),
        ({"loss_objective_function": "dot_product", "dual_loss_weight": 0.1}, "ance"),
        ({"loss_objective_function": "simclr_cosine", "model_type": "rdot_nll"}, "dance"),
    ],
)
def test_training_arguments_settle_it(copy: Copy, arguments: dict[str, Any], name: str) -> None:
    encoder = open_encoder(with_arguments(copy, **arguments))
    assert [reading.name for reading in encoder.readings] == [name]
    assert encoder.recipe.doubts == ()
    assert encoder.recipe.sources["normalize"] == "training_args.bin"
    assert set(encoder.recipe.sources) == set(PARTS)


def test_training_arguments_give_lengths_and_maxp(copy: Copy) -> None:
    folder = with_arguments(
        copy,
        model_type="rdot_nll_multi_chunk",
        max_seq_length=1024,
        max_query_length=32,
        temperature=0.05,
        loss_objective_function="simclr_cosine",
    )
    recipe = open_encoder(folder).recipe
    assert recipe.name == "dance-maxp"
    assert (recipe.max_document_length, recipe.chunk_length, recipe.chunks) == (1024, 512, 2)
    assert (recipe.max_query_length, recipe.temperature) == (32, 0.05)
    assert recipe.sources["max_document_length"] == "training_args.bin (max_seq_length)"


@pytest.mark.parametrize("arguments", [None, {"model_type": "rdot_nll"}, "hostile", "damaged"])
def test_a_silent_checkpoint_has_two_readings(copy: Copy, arguments: Any) -> None:
    folder = copy()
    if isinstance(arguments, dict):
        folder = with_arguments(lambda: folder, **arguments)
    elif arguments == "hostile":
        (folder / "training_args.bin").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    elif arguments == "damaged":
        (folder / "training_args.bin").write_bytes(b"\x80\x02")
    readings = open_encoder(folder).readings
    assert [reading.name for reading in readings] == ["ance", "dance"]
    for reading in readings:
        (doubt,) = reading.doubts
        assert "--recipe ance" in doubt
        assert "--recipe dance" in doubt
        assert "--a-recipe" in doubt
        assert "training_args.bin" in doubt
    assert ("os.system" in readings[0].doubts[0]) == (arguments == "hostile")


def test_the_option_settles_it(copy: Copy) -> None:
    folder = copy()
    for name in ("ance", "dance", "dance-symmetric", "ance-maxp", "dance-maxp", "ance-head"):
        encoder = open_encoder(folder, recipe=name)
        assert len(encoder.readings) == 1
        assert encoder.recipe == named_recipe(name)
        assert encoder.recipe.doubts == ()
        assert encoder.recipe.sources["normalize"] == f"option --recipe {name}"


@pytest.mark.parametrize(("value", "name"), [(True, "dance"), (False, "ance"), ("true", "dance")])
def test_normalize_settles_it(copy: Copy, value: Any, name: str) -> None:
    (recipe,) = open_encoder(copy(), overrides={"normalize": value}).readings
    assert recipe == named_recipe(name)
    assert recipe.sources["normalize"] == "option --normalize"


def test_other_options_leave_the_doubt(copy: Copy) -> None:
    readings = open_encoder(copy(), overrides={"max_query_length": 20}).readings
    assert [reading.max_query_length for reading in readings] == [20, 20]
    assert all(reading.doubts for reading in readings)
    maxp = open_encoder(copy(name="b"), overrides={"chunk_length": 512}).readings
    assert [reading.name for reading in maxp] == ["ance-maxp", "dance-maxp"]


def test_what_upstream_ties_to_l2_follows_it(copy: Copy) -> None:
    folder = with_arguments(copy, loss_objective_function="simclr_cosine")
    plain = open_encoder(folder, overrides={"normalize": False}).recipe
    assert (plain.normalize, plain.document_layernorm, plain.similarity) == (False, True, "dot")
    ance = open_encoder(folder, recipe="ance", overrides={"normalize": True}).recipe
    assert (ance.document_layernorm, ance.similarity) == (False, "cosine")
    assert ance.sources["document_layernorm"] == "follows normalize"
    kept = open_encoder(
        folder, recipe="ance", overrides={"normalize": True, "document_layernorm": True}
    ).recipe
    assert kept.document_layernorm
    symmetric = open_encoder(folder, recipe="dance-symmetric", overrides={"normalize": True})
    assert symmetric.recipe.document_layernorm


def test_the_order_option_file_arguments(copy: Copy, tmp_path: Path) -> None:
    folder = with_arguments(copy, loss_objective_function="simclr_cosine", max_query_length=9)
    own = named_recipe("ance").replace("training", max_query_length=11)
    (folder / "recipe.json").write_text(json.dumps(own.as_dict()))
    recipe = open_encoder(folder).recipe
    assert (recipe.name, recipe.max_query_length) == ("ance", 11)
    assert recipe.sources["max_query_length"] == "recipe.json in the checkpoint"
    given = tmp_path / "mine.toml"
    given.write_text("max_query_length = 13\n")
    partial = open_encoder(folder, recipe=given).recipe
    assert (partial.normalize, partial.max_query_length) == (False, 13)
    assert partial.sources["max_query_length"] == f"recipe file {given}"
    given.write_text('name = "dance"\nmax_query_length = 13\n')
    whole = open_encoder(folder, recipe=given, overrides={"max_query_length": "15"}).recipe
    assert (whole.normalize, whole.max_query_length) == (True, 15)
    assert whole.sources["max_query_length"] == "option --max-query-length"


@pytest.mark.parametrize(
    "values",
    [
        {"normalize": True},
        {"normalize": False, "max_query_length": 20},
        {"max_query_length": 20},
        {"normalize": True, "document_layernorm": True},
        {"name": "dance", "temperature": 0.5},
        {"name": "ance", "normalize": True},
        {"chunk_length": 128},
    ],
)
def test_its_own_recipe_counts_as_one_given(
    copy: Copy, tmp_path: Path, values: dict[str, Any]
) -> None:
    given = tmp_path / "given.json"
    given.write_text(json.dumps(values))
    expected = open_encoder(copy(name="without"), recipe=given).readings
    folder = copy()
    (folder / "recipe.json").write_text(json.dumps(values))
    found = open_encoder(folder).readings
    assert found == expected
    assert [reading.doubts for reading in found] == [reading.doubts for reading in expected]
    said = "recipe.json in the checkpoint"
    for reading in found:
        parts = {part for part, source in reading.sources.items() if source == said}
        assert parts == set(values) - {"name"}
    assert open_encoder(folder, overrides={"normalize": False}).recipe.normalize is False


def test_a_partial_recipe_with_l2_has_what_upstream_ties_to_it(copy: Copy) -> None:
    folder = copy()
    (folder / "recipe.json").write_text('{"normalize": true}')
    (recipe,) = open_encoder(folder).readings
    assert (recipe.document_layernorm, recipe.similarity) == (False, "cosine")
    assert recipe.sources["document_layernorm"] == "upstream default"


def test_its_own_recipe_keeps_its_doubts(copy: Copy) -> None:
    folder = copy()
    own = {**named_recipe("ance").as_dict(), "doubts": ["perhaps"]}
    (folder / "recipe.json").write_text(json.dumps(own))
    assert open_encoder(folder).recipe.doubts == ("perhaps",)


def test_its_own_recipe_for_dpr_is_refused(copy: Copy) -> None:
    folder = copy()
    (folder / "recipe.json").write_text('{"name": "dpr"}')
    with pytest.raises(CheckpointError, match="is no DPR bi-encoder"):
        open_encoder(folder)


def test_a_broken_own_recipe_is_an_error(copy: Copy) -> None:
    folder = copy()
    (folder / "recipe.json").write_text('{"max_query_length": -1}')
    with pytest.raises(CheckpointError, match=r"recipe\.json: max_query_length: got -1"):
        open_encoder(folder)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"recipe": "dans"}, "did you mean 'dance'"),
        ({"recipe": "dpr"}, "for DPR bi-encoders"),
        ({"recipe": "no/such/file.toml"}, "path of a JSON or TOML file"),
        ({"overrides": {"normalise": True}}, "did you mean 'normalize'"),
        ({"overrides": {"max_query_length": -4}}, "max_query_length: got -4"),
        ({"overrides": {"max_query_length": 0}}, "3 or more"),
        ({"overrides": {"max_document_length": 513}}, "at most 512"),
        ({"overrides": {"chunk_length": 500}}, "a multiple of it"),
        ({"dtype": "float16"}, "dtype: got 'float16'"),
    ],
)
def test_bad_options_are_one_line(upstream: Path, options: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text) as caught:
        open_encoder(upstream, **options)
    assert "\n" not in str(caught.value)


def test_named_lengths_are_cut_to_the_positions(copy: Copy) -> None:
    folder = copy()
    config = {**building.CONFIG, "max_position_embeddings": 50}
    (folder / "config.json").write_text(json.dumps(config))
    recipe = open_encoder(folder, recipe="ance").recipe
    assert (recipe.max_query_length, recipe.max_document_length) == (48, 48)
    assert recipe.sources["max_document_length"] == "512 cut to the positions of the checkpoint"
    with pytest.raises(UsageError, match="chunk_length: got 512; allowed: at most 48"):
        open_encoder(folder, recipe="ance-maxp")


def test_dtype_is_a_part(upstream: Path) -> None:
    recipe = open_encoder(upstream, recipe="ance", dtype="bfloat16").recipe
    assert recipe.dtype == "bfloat16"
    assert recipe.identity() != Recipe().identity()
