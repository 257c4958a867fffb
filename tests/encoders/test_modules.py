"""Sentence-transformers and plain transformers models: equal to what the library itself gives."""

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
from anisotropy.encoders import describe_checkpoint, open_encoder
from anisotropy.errors import CheckpointError, UsageError
from tests.making import sentence
from tests.tiny_modules import build, routed, write_plain

QUERIES = [Query(str(i), sentence(i * 5)) for i in range(7)]
DOCUMENTS = [Document(str(i), sentence(i * 3) + ". " + sentence(i + 90), "Fig") for i in range(6)]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_plain(tmp_path_factory.mktemp("modules") / "tiny-bert")


def expected(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu")
    documents = [f"{item.title} {item.text}" for item in DOCUMENTS]
    queries = [item.text for item in QUERIES]
    return model.encode_query(queries), model.encode_document(documents)


def found(folder: Path, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    encoder = open_encoder(folder, **options)
    queries = encoder.encode_tokens("queries", encoder.tokenize("queries", QUERIES))
    documents = encoder.encode_tokens("documents", encoder.tokenize("documents", DOCUMENTS))
    return queries[0], documents[0]


@pytest.mark.parametrize(
    ("extra", "prompts"),
    [
        ("none", None),
        ("normalize", None),
        ("dense", {"query": "query: ", "passage": "passage: "}),
        ("normalize", {"query": "query: ", "document": "passage: "}),
        ("router", None),
    ],
)
def test_equals_the_library(
    plain: Path, tmp_path: Path, extra: str, prompts: dict[str, str] | None
) -> None:
    folder = build(plain, tmp_path / "model", extra=extra, prompts=prompts)
    for mine, theirs in zip(found(folder), expected(folder), strict=True):
        assert mine.dtype == np.float32
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
    recipe = open_encoder(folder).recipe
    assert recipe.query_prompt == (prompts or {}).get("query", "")
    assert recipe.similarity == ("dot" if prompts else "cosine")
    assert recipe.normalize == (extra in ("normalize", "router"))
    assert recipe.max_query_length in (0, 12)
    assert open_encoder(folder).dim == {"dense": 16, "router": 8}.get(extra, 32)


def test_a_plain_folder_is_what_the_library_makes_of_it(plain: Path) -> None:
    encoder = open_encoder(plain)
    assert (encoder.recipe.name, encoder.recipe.pooling) == ("transformers", "mean")
    assert "sentence-transformers" in encoder.recipe.sources["pooling"]
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    model = SentenceTransformer(
        modules=[Transformer(str(plain)), Pooling(32, "mean")], device="cpu"
    )
    theirs = model.encode_query([item.text for item in QUERIES])
    np.testing.assert_allclose(found(plain)[0], theirs, atol=1e-5)
    cls = open_encoder(plain, overrides={"pooling": "cls"})
    ids = cls.tokenize("queries", QUERIES)
    assert np.abs(cls.encode_tokens("queries", ids)[0] - theirs).max() > 0.01


def test_options_arrive(plain: Path, tmp_path: Path) -> None:
    folder = build(plain, tmp_path / "model")
    base = open_encoder(folder)
    long = max(len(ids) for ids in base.tokenize("documents", DOCUMENTS))
    short = open_encoder(folder, overrides={"max_document_length": 6})
    assert max(len(ids) for ids in short.tokenize("documents", DOCUMENTS)) == 6 < long
    prompted = open_encoder(folder, overrides={"query_prompt": "query: "})
    first = prompted.tokenize("queries", QUERIES)[0]
    assert first[1] == base.tokenize("queries", [Query("x", "query")])[0][1]
    free = found(folder, overrides={"normalize": False})[0]
    unit = found(folder)[0]
    assert np.linalg.norm(free, axis=1).min() > 1.5
    np.testing.assert_allclose(free / np.linalg.norm(free, axis=1, keepdims=True), unit, atol=1e-5)
    added = found(build(plain, tmp_path / "free", extra="none"), overrides={"normalize": True})[0]
    np.testing.assert_allclose(added, unit, atol=1e-5)
    assert open_encoder(folder, overrides={"similarity": "dot"}).recipe.similarity == "dot"
    rough = found(folder, dtype="bfloat16")[0]
    assert rough.dtype == np.float32
    assert (rough * unit).sum(axis=1).min() > 0.98


def test_batches_do_not_change_vectors(plain: Path, tmp_path: Path) -> None:
    encoder = open_encoder(build(plain, tmp_path / "model"))
    ids = encoder.tokenize("documents", DOCUMENTS)
    together = encoder.encode_tokens("documents", ids)[0]
    alone = np.concatenate([encoder.encode_tokens("documents", [item])[0] for item in ids])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert encoder.encode_tokens("documents", [])[0].shape == (0, 32)
    assert encoder.vectors_per_document() == 1
    assert not encoder.padding_chunks(ids).any()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"recipe": "dance"}, "for upstream checkpoints"),
        ({"overrides": {"chunk_length": 256}}, "a multiple of it|chunk_length: fixed by"),
        ({"overrides": {"mask": "additive"}}, "mask: fixed by the modules"),
        ({"overrides": {"max_query_length": -1}}, "max_query_length: got -1"),
    ],
)
def test_what_modules_fix_is_refused(plain: Path, options: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text) as caught:
        open_encoder(plain, **options)
    assert "\n" not in str(caught.value)


def test_random_tensors_are_refused(plain: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(plain, folder)
    state = load_file(folder / "model.safetensors")
    key = "encoder.layer.1.output.dense.weight"
    save_file({k: t for k, t in state.items() if k != key}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=f"missing tensors: {key}"):
        open_encoder(folder).load()
    no_pooler = {k: t for k, t in state.items() if "pooler" not in k}
    save_file({f"bert.{k}": t for k, t in no_pooler.items()}, folder / "model.safetensors")
    open_encoder(folder).load()
    state[key][0, 0] = float("nan")
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="NaN or infinity"):
        open_encoder(folder).load()


def test_random_tensors_in_a_route_are_refused(plain: Path, tmp_path: Path) -> None:
    folder = routed(plain, tmp_path / "model")
    for mine, theirs in zip(found(folder), expected(folder), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
    (place,) = folder.rglob("document_0_Transformer")
    state = load_file(place / "model.safetensors")
    key = "encoder.layer.1.output.dense.weight"
    lost = {k: t for k, t in state.items() if k != key}
    save_file(lost, place / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        CheckpointError, match=rf"document_0_Transformer\): missing tensors: {key}"
    ):
        open_encoder(folder).load()


def test_a_backbone_without_a_place_is_refused(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = routed(plain, tmp_path / "model")
    monkeypatch.setattr("anisotropy.encoders.modules.route_table", lambda *_: {})
    with pytest.raises(CheckpointError, match="cannot tell which weights belong") as caught:
        open_encoder(folder).load()
    assert "\n" not in str(caught.value)


def test_damaged_models_are_one_line(plain: Path, tmp_path: Path) -> None:
    folder = build(plain, tmp_path / "model")
    pooling = folder / "1_Pooling" / "config.json"
    whole = pooling.read_text()
    pooling.write_text("{")
    with pytest.raises(CheckpointError, match="not readable as JSON"):
        open_encoder(folder)
    pooling.write_text(whole)
    for content, text in (
        ("{}", "not a list of sentence-transformers modules|cannot be loaded"),
        ("[3]", "not a list of sentence-transformers modules"),
        ('[{"type": "a.B", "path": "../x"}]', "lies outside the folder"),
        (
            '[{"type": "evil.module.Thing", "path": ""}]',
            "code of its own, which is never executed",
        ),
    ):
        (folder / "modules.json").write_text(content)
        with pytest.raises(CheckpointError, match=text) as caught:
            open_encoder(folder).load()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("extra", ["dense", "router"])
def test_an_activation_that_the_library_would_replace_is_refused(
    plain: Path, tmp_path: Path, extra: str
) -> None:
    folder = build(plain, tmp_path / "model", extra=extra)
    configs = [path for path in folder.rglob("*Dense/config.json")]
    values = json.loads(configs[-1].read_text())
    for name in ("my_package.activations.Swish", None):
        configs[-1].write_text(json.dumps({**values, "activation_function": name}))
        with pytest.raises(CheckpointError, match="code of its own, which is never") as caught:
            open_encoder(folder).load()
        assert str(configs[-1]) in str(caught.value)
        assert "\n" not in str(caught.value)
    identity = {**values, "activation_function": "torch.nn.modules.linear.Identity"}
    configs[-1].write_text(json.dumps(identity))
    open_encoder(folder).load()


def test_truncated_weights(plain: Path, tmp_path: Path) -> None:
    folder = build(plain, tmp_path / "model")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(CheckpointError, match="cannot be loaded") as caught:
        open_encoder(folder).load()
    assert "\n" not in str(caught.value)


class _Runs:
    def __reduce__(self) -> Any:
        return print, ("executed",)


@pytest.mark.parametrize("place", ["", "2_Dense"])
def test_torch_files_are_read_by_our_reader_before_the_library_sees_them(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    folder = build(plain, tmp_path / "model", extra="dense")
    weights = folder / place / "model.safetensors"
    state = load_file(weights)
    torch.save(state, weights.with_name("pytorch_model.bin"))
    vectors = found(folder)[0]
    weights.unlink()
    np.testing.assert_array_equal(found(folder)[0], vectors)
    torch.save({**state, "more": _Runs()}, weights.with_name("pytorch_model.bin"))

    def load(*_: Any, **__: Any) -> Any:
        raise AssertionError("the library was asked")

    monkeypatch.setattr(torch, "load", load)
    with pytest.raises(CheckpointError, match="not readable as weights") as caught:
        open_encoder(folder).load()
    assert "\n" not in str(caught.value)


def test_description(plain: Path, tmp_path: Path) -> None:
    described = describe_checkpoint(build(plain, tmp_path / "model", extra="dense"))
    assert described["layout"] == "sentence-transformers"
    assert described["modules"] == ["Transformer", "Pooling", "Dense"]
    total = described["parameters"]["total"]
    assert total > sum(t.numel() for t in load_file(plain / "model.safetensors").values())
    assert described["problems"] == []
    assert torch.get_default_dtype() == torch.float32


def test_fingerprint_follows_every_file(plain: Path, tmp_path: Path) -> None:
    folder = build(plain, tmp_path / "model")
    base = open_encoder(folder).fingerprint
    assert open_encoder(folder).fingerprint == base
    settings = folder / "config_sentence_transformers.json"
    settings.write_text(settings.read_text().replace("cosine", "dot"))
    assert open_encoder(folder).fingerprint != base
