"""Upstream's head on models that have none: what it is, how it is saved, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from anisotropy.collection import Document, Query
from anisotropy.encoders import check_target, named_recipe, open_encoder, save_checkpoint
from anisotropy.errors import CheckpointError, UsageError
from anisotropy.training import Trainable, open_trainable
from anisotropy.training.stages import headed
from tests.encoders.building import slow_document, slow_query
from tests.making import make_checkpoint, sentence
from tests.tiny_modules import HIDDEN, build, routed, write_plain

QUERIES = [Query(str(i), sentence(i * 5)) for i in range(7)]
DOCUMENTS = [Document(str(i), sentence(i * 3) + ". " + sentence(i + 90), "Fig") for i in range(6)]
HEADS = ("plain", "dance", "symmetric")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_plain(tmp_path_factory.mktemp("headed") / "tiny-bert")


@pytest.fixture(scope="module")
def start(plain: Path) -> Path:
    return build(plain, plain.parent / "start")


def both(trainable: Trainable) -> tuple[np.ndarray, np.ndarray]:
    queries = trainable.encode("queries", trainable.query_tokens(QUERIES))
    return queries, trainable.encode("documents", trainable.document_tokens(DOCUMENTS))


def opened(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    encoder = open_encoder(folder)
    queries = encoder.encode_tokens("queries", encoder.tokenize("queries", QUERIES))
    documents = encoder.encode_tokens("documents", encoder.tokenize("documents", DOCUMENTS))
    return queries[0], documents[0]


def library(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """What sentence-transformers itself makes of a folder, with no code of ours."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", trust_remote_code=False)
    documents = [f"{item.title} {item.text}" for item in DOCUMENTS]
    return model.encode_query([item.text for item in QUERIES]), model.encode_document(documents)


def moved(trainable: Trainable, head: str) -> Trainable:
    """The model under a head, its head and LayerNorm far from the identity."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for part in (trainable.model.head, trainable.model.norm):
            for parameter in part.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return trainable.with_recipe(headed(trainable.recipe, head))


@pytest.mark.parametrize("head", HEADS)
def test_the_head_that_is_put_on(plain: Path, start: Path, head: str) -> None:
    own = open_trainable(start)
    assert (own.recipe.head, own.recipe.document_layernorm) == ("linear_layernorm", True)
    assert "the identity, LayerNorm with weight 1 and bias 0" in own.recipe.sources["head"]
    found = both(own.with_recipe(headed(own.recipe, head)))
    # the pooled states: those of the same modules without Normalize
    states = opened(build(plain, start.parent / f"bare-{head}", extra="none"))
    state = {"norm.weight": torch.ones(HIDDEN), "norm.bias": torch.zeros(HIDDEN)}
    queries = [slow_query(state, row, head != "plain") for row in states[0].astype(float)]
    options = {"l2": head != "plain", "symmetric": head == "symmetric"}
    documents = [slow_document(state, row, **options) for row in states[1].astype(float)]
    np.testing.assert_allclose(found[0], queries, atol=1e-5)
    np.testing.assert_allclose(found[1], documents, atol=1e-5)
    if head == "dance":  # documents skip the LayerNorm: those of the start itself
        np.testing.assert_allclose(found[1], opened(start)[1], atol=1e-6)


@pytest.mark.parametrize(
    ("head", "pooling", "extra"),
    [("plain", "mean", "none"), ("dance", "cls", "normalize"), ("symmetric", "max", "dense")],
)
def test_saved_as_the_library_has_it(
    plain: Path, tmp_path: Path, head: str, pooling: str, extra: str
) -> None:
    prompts = {"query": "query: ", "document": "passage: "} if head == "dance" else None
    source = build(plain, tmp_path / "start", pooling=pooling, extra=extra, prompts=prompts)
    trained = moved(open_trainable(source), head)
    expected = both(trained)
    assert np.abs(expected[0]).max() > 0.05
    out = trained.save(tmp_path / "out", training={"x": 1}, history=[{"step": 1}])
    again = open_trainable(out)
    for found, atol in ((opened(out), 1e-6), (both(again), 1e-6), (library(out), 1e-5)):
        for mine, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(mine, theirs, atol=atol, rtol=atol)
    recipe = open_encoder(out).recipe
    assert recipe.parts() == again.recipe.parts() == trained.recipe.parts()
    assert recipe.document_layernorm == (head != "dance")
    assert json.loads((out / "training.json").read_text())["x"] == 1
    assert (out / "history.csv").read_text() == "step\n1\n"
    if head == "dance":
        assert "router_config.json" in {path.name for path in out.rglob("*")}
        assert again.recipe.query_prompt == "query: "


def test_under_l2_the_library_must_be_told_the_side(start: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    out = moved(open_trainable(start), "dance").save(tmp_path / "out", training={})
    with pytest.raises(ValueError, match="Could not determine route"):
        SentenceTransformer(str(out), device="cpu").encode(["an apple"])


def test_a_plain_folder_and_a_hub_id(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = plain.parent / "hub"
    snapshot = cache / "models--org--tiny" / "snapshots" / "abc"
    shutil.copytree(plain, snapshot)
    (cache / "models--org--tiny" / "refs").mkdir()
    (cache / "models--org--tiny" / "refs" / "main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    folder, hub = open_trainable(plain), open_trainable("org/tiny")
    for mine, theirs in zip(both(folder), both(hub), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    # such a model is scored by the cosine, so it gets unit vectors
    assert (folder.recipe.pooling, folder.recipe.normalize) == ("mean", True)
    assert folder.recipe.sources["normalize"] == "scored by the cosine"


def test_first_layers(start: Path, plain: Path, tmp_path: Path) -> None:
    state = load_file(plain / "model.safetensors")
    cut = tmp_path / "cut"
    shutil.copytree(start, cut)
    config = json.loads((cut / "config.json").read_text())
    (cut / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 1}))
    kept = {key: tensor for key, tensor in state.items() if "layer.1." not in key}
    save_file(kept, cut / "model.safetensors", metadata={"format": "pt"})
    own = open_trainable(start, layers=1)
    for mine, theirs in zip(both(own), both(open_trainable(cut)), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    out = own.save(tmp_path / "out", training={})
    assert json.loads((out / "config.json").read_text())["num_hidden_layers"] == 1
    assert np.abs(both(own)[0] - both(open_trainable(start))[0]).max() > 0.01
    with pytest.raises(UsageError, match="start_layers: got 3; allowed: 1 to 2, what"):
        open_trainable(start, layers=3)


def test_first_layers_of_an_upstream_model(tmp_path: Path) -> None:
    from anisotropy.encoders import new_roberta, open_tokenizer

    tokenizer = open_tokenizer(make_checkpoint(tmp_path / "one"))
    model = new_roberta(tokenizer.size, hidden_size=8, layers=3, intermediate_size=8)
    out = save_checkpoint(tmp_path / "x", model, recipe=named_recipe("ance"), tokenizer=tokenizer)
    own = open_trainable(out, layers=2, max_query_length=5, max_document_length=9)
    again = open_trainable(own.save(tmp_path / "y", training={}))
    assert again.model.config["num_hidden_layers"] == len(again.model.roberta.encoder.layer) == 2
    assert (again.recipe.max_query_length, again.recipe.max_document_length) == (5, 9)
    for mine, theirs in zip(both(own), both(again), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(UsageError, match="start_layers: got 4; allowed: 1 to 3"):
        open_trainable(out, layers=4)


def test_lengths(start: Path, tmp_path: Path) -> None:
    own = open_trainable(start, max_query_length=4, max_document_length=8)
    assert max(map(len, own.query_tokens(QUERIES))) == 4
    assert max(map(len, own.document_tokens(DOCUMENTS))) == 8
    again = open_trainable(own.save(tmp_path / "out", training={}))
    assert again.query_tokens(QUERIES) == own.query_tokens(QUERIES)
    settings = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert settings["model_max_length"] == 8
    with pytest.raises(UsageError, match="max_document_length: got 41; allowed: at most 40"):
        open_trainable(start, max_document_length=41)


def test_half_precision_is_trained_and_saved_in_float32(start: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    SentenceTransformer(str(start), device="cpu").half().save(str(tmp_path / "half"))
    own = open_trainable(tmp_path / "half")
    assert {parameter.dtype for parameter in own.model.parameters()} == {torch.float32}
    out = own.save(tmp_path / "out", training={})
    dtypes = {tensor.dtype for tensor in load_file(out / "model.safetensors").values()}
    assert dtypes == {torch.float32}


@pytest.mark.parametrize("stored", [True, False])
def test_a_pooler_is_copied_never_made(start: Path, tmp_path: Path, stored: bool) -> None:
    folder = tmp_path / "start"
    shutil.copytree(start, folder)
    state = load_file(folder / "model.safetensors")
    kept = {key: tensor for key, tensor in state.items() if stored or "pooler" not in key}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    own = open_trainable(folder)
    assert not any("pooler" in n for n, p in own.model.named_parameters() if p.requires_grad)
    saved = load_file(own.save(tmp_path / "out", training={}) / "model.safetensors")
    assert set(saved) == set(kept)
    assert all(torch.equal(saved[key], tensor) for key, tensor in kept.items())


def test_bytes_depend_on_the_weights_alone(start: Path, tmp_path: Path) -> None:
    own = open_trainable(start)
    first = own.save(tmp_path / "a", training={"seconds": 1})
    both(own)  # the tokenizer has seen texts since
    second = own.save(tmp_path / "b", training={"seconds": 2})
    for path in first.rglob("*"):
        if path.is_file() and path.name != "training.json":
            assert path.read_bytes() == (second / path.relative_to(first)).read_bytes()
    assert open_encoder(first).fingerprint == open_encoder(second).fingerprint
    other = moved(own, "plain").save(tmp_path / "c", training={})
    assert open_encoder(other).fingerprint != open_encoder(first).fingerprint


def test_only_its_own_folder_is_replaced(start: Path, tmp_path: Path) -> None:
    own = open_trainable(start)
    out = own.save(tmp_path / "out", training={"x": 1}, extra={"optimizer.pt": b"1"})
    assert check_target(out) == out
    notes = out / "1_Pooling" / "notes.txt"
    notes.write_text("mine")
    with pytest.raises(CheckpointError, match=r"more than a checkpoint \(1_Pooling/notes.txt\)"):
        own.save(out, training={})
    notes.unlink()
    (out / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"more than a checkpoint \(empty\)"):
        own.save(out, training={})
    (out / "empty").rmdir()
    with torch.no_grad():
        own.model.norm.norm.bias[0] = float("nan")
    with pytest.raises(CheckpointError, match=r"NaN or infinity in norm\.norm\.bias"):
        own.save(out, training={})
    assert json.loads((out / "training.json").read_text())["x"] == 1
    moved(open_trainable(start), "dance").save(out, training={"x": 2})
    assert not (out / "optimizer.pt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    with pytest.raises(CheckpointError, match="no checkpoint folder that this program wrote"):
        check_target(start)


def bags(plain: Path, folder: Path) -> Path:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(plain / "tokenizer.json"))
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)], device="cpu").save(
        str(folder), create_model_card=False
    )
    return folder


def remote(plain: Path, folder: Path) -> Path:
    shutil.copytree(plain, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "unheard", "auto_map": {"AutoConfig": "code.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text("raise SystemExit('executed')")
    return folder


def euclidean(plain: Path, folder: Path) -> Path:
    out = build(plain, folder, prompts={"query": "query: "})
    settings = out / "config_sentence_transformers.json"
    settings.write_text(settings.read_text().replace('"dot"', '"euclidean"'))
    return out


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (build, {"pooling": "lasttoken"}, "pooling: got 'lasttoken'; allowed to train: mean, cls"),
        (
            build,
            {"extra": "layernorm"},
            "got the modules Transformer, Pooling, LayerNorm; allowed",
        ),
        (build, {"extra": "tanh"}, "got the modules Transformer, Pooling, Dense, LayerNorm;"),
        (build, {"extra": "router"}, "got the modules Transformer, Pooling, Router; allowed to"),
        (routed, {}, "got the modules Router; allowed to train: Transformer, Pooling"),
        (bags, {}, "got the modules StaticEmbedding; allowed to train: Transformer"),
        (remote, {}, "comes with code of its own, which is never executed; allowed"),
        (euclidean, {}, "similarity: got 'euclidean'; allowed to train: dot, cosine"),
    ],
)
def test_what_cannot_be_trained_is_one_line(
    plain: Path, tmp_path: Path, make: Any, options: dict[str, Any], message: str
) -> None:
    folder = make(plain, tmp_path / "x", **options)
    with pytest.raises(CheckpointError, match=message) as caught:
        open_trainable(folder)
    assert "\n" not in str(caught.value)


def test_a_reading_that_no_module_says_is_refused(start: Path) -> None:
    own = open_trainable(start)
    recipe = headed(own.recipe, "plain").replace("test", document_layernorm=False)
    with pytest.raises(UsageError, match="document_layernorm: got False; allowed with"):
        own.with_recipe(recipe)
