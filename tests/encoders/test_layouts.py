from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from anisotropy.encoders import load_model, open_encoder
from anisotropy.errors import CheckpointError
from tests.encoders import building
from tests.encoders.building import save_legacy, write_upstream

State = dict[str, torch.Tensor]
Copy = Callable[..., Path]
TOKENS = [[0, 9, 30, 41, 2], [0, 77, 2]]


def vectors(source: Path | str, **options: Any) -> np.ndarray:
    return open_encoder(source, recipe="ance", **options).encode_tokens("queries", TOKENS)[0]


@pytest.fixture(scope="module")
def expected(upstream: Path) -> np.ndarray:
    return vectors(upstream)


def zipped(folder: Path, target: Path, inside: str) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{inside}/", "")
        for path in sorted(folder.iterdir()):
            archive.write(path, f"{inside}/{path.name}")
    return target


def test_safetensors_folder(copy: Copy, state: State, expected: np.ndarray) -> None:
    folder = copy("pytorch_model.bin")
    save_file(state, folder / "model.safetensors")
    assert np.array_equal(vectors(folder), expected)


def test_modern_torch_file(copy: Copy, state: State, expected: np.ndarray) -> None:
    folder = copy()
    torch.save(state, folder / "pytorch_model.bin")
    assert np.array_equal(vectors(folder), expected)


def test_a_folder_with_a_model_type_and_a_head(copy: Copy, expected: np.ndarray) -> None:
    folder = copy()
    config = {**building.CONFIG, "model_type": "roberta", "architectures": ["RobertaDot_NLL_LN"]}
    (folder / "config.json").write_text(json.dumps(config))
    encoder = open_encoder(folder, recipe="ance")
    assert encoder.files.layout == "upstream"
    assert np.array_equal(encoder.encode_tokens("queries", TOKENS)[0], expected)


def test_released_zip(upstream: Path, tmp_path: Path, expected: np.ndarray) -> None:
    path = zipped(upstream, tmp_path / "any name", "Document ANCE(FirstP) Checkpoint")
    encoder = open_encoder(path, recipe="ance")
    assert encoder.label == "any name"
    assert encoder.fingerprint == open_encoder(upstream).fingerprint
    assert np.array_equal(encoder.encode_tokens("queries", TOKENS)[0], expected)
    assert np.array_equal(vectors(path), expected)


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model_state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module.model."])
def test_single_files(
    upstream: Path,
    tmp_path: Path,
    state: State,
    expected: np.ndarray,
    wrapper: str | None,
    prefix: str,
) -> None:
    inside: Any = {prefix + key: tensor for key, tensor in state.items()}
    inside = {wrapper: inside, "epoch": 3} if wrapper else inside
    path = tmp_path / "weights.any"
    torch.save(inside, path)
    found = vectors(path, tokenizer=upstream, backbone=upstream)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("suffix", ["ckpt", "pt", "pth", "bin", "safetensors", "x"])
def test_files_beside_a_single_file(copy: Copy, expected: np.ndarray, suffix: str) -> None:
    folder = copy()
    path = folder / f"weights.{suffix}"
    (folder / "pytorch_model.bin").rename(path)
    encoder = open_encoder(path, recipe="ance")
    assert (encoder.files.layout, encoder.label) == (
        "state_dict",
        "weights" + (".x" if suffix == "x" else ""),
    )
    assert np.array_equal(encoder.encode_tokens("queries", TOKENS)[0], expected)


def test_labels(copy: Copy) -> None:
    folder = copy(name="ance.ckpt")
    assert open_encoder(folder).label == "ance"
    assert open_encoder(folder / "pytorch_model.bin").label == "ance"
    assert open_encoder(copy(name="checkpoint-20")).label == "checkpoint-20"


def test_a_safetensors_file_by_any_name(
    upstream: Path, tmp_path: Path, state: State, expected: np.ndarray
) -> None:
    save_file(state, tmp_path / "weights.pt")
    found = vectors(tmp_path / "weights.pt", tokenizer=upstream, backbone=upstream / "config.json")
    assert np.array_equal(found, expected)


def test_half_precision_weights(copy: Copy, state: State, expected: np.ndarray) -> None:
    folder = copy()
    save_legacy({k: t.half() for k, t in state.items()}, folder / "pytorch_model.bin")
    np.testing.assert_allclose(vectors(folder), expected, atol=0.05)


def test_the_local_hub_cache_completes_a_single_file(
    upstream: Path,
    tmp_path: Path,
    state: State,
    expected: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "anisotropy.encoders.hub.cached_file",
        lambda name, file, revision=None: upstream / file if name == "roberta-base" else None,
    )
    torch.save(state, tmp_path / "w.pt")
    encoder = open_encoder(tmp_path / "w.pt", recipe="ance")
    assert encoder.files.sources["backbone"].startswith("assumed: roberta-base")
    assert np.array_equal(encoder.encode_tokens("queries", TOKENS)[0], expected)


@pytest.mark.parametrize("option", [None, "tokenizer", "backbone"])
def test_a_bare_single_file_names_both_options_and_the_shapes(
    upstream: Path, tmp_path: Path, state: State, option: str | None
) -> None:
    torch.save(state, tmp_path / "w.pt")
    options: dict[str, Any] = {}
    if option == "tokenizer":
        options = {"tokenizer": upstream}
    if option == "backbone":
        options = {"backbone": upstream / "config.json"}
    with pytest.raises(CheckpointError) as caught:
        open_encoder(tmp_path / "w.pt", **options)
    text = str(caught.value)
    assert "--tokenizer" in text
    assert "--backbone" in text
    assert "\n" not in text
    for part in ("hidden_size 32", "num_hidden_layers 2", "vocab_size 400", "assumed"):
        assert part in text


def test_gamma_beta_and_position_ids(copy: Copy, state: State, expected: np.ndarray) -> None:
    old = {
        key.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for key, tensor in state.items()
    }
    old["roberta.embeddings.position_ids"] = torch.arange(514)[None]
    folder = copy()
    save_legacy(old, folder / "pytorch_model.bin")
    assert np.array_equal(vectors(folder), expected)


HEAD = ("embeddingHead.weight", "embeddingHead.bias", "norm.weight", "norm.bias")


@pytest.mark.parametrize("key", [*HEAD, "roberta.encoder.layer.1.output.dense.bias"])
def test_a_missing_tensor_is_named(copy: Copy, state: State, key: str) -> None:
    folder = copy()
    left = {name: tensor for name, tensor in state.items() if name != key}
    save_legacy(left, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="missing") as caught:
        open_encoder(folder).load()
    assert key in str(caught.value)
    assert ("head" in str(caught.value)) == (key in HEAD)


@pytest.mark.parametrize(
    "key", ["roberta.encoder.layer.2.output.dense.bias", "lm_head.weight", "extra.pooler.weight"]
)
def test_an_unexpected_tensor_is_named(copy: Copy, state: State, key: str) -> None:
    folder = copy()
    save_legacy({**state, key: torch.ones(3)}, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=f"unexpected tensors: {key}"):
        open_encoder(folder).load()


def test_another_shape_is_named(copy: Copy, state: State) -> None:
    folder = copy()
    save_legacy({**state, "norm.bias": torch.ones(3)}, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"norm\.bias \(got \(3,\), needs \(24,\)\)"):
        open_encoder(folder).load()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(copy: Copy, state: State, value: float) -> None:
    folder = copy()
    bad = state["norm.bias"].clone()
    bad[1] = value
    save_legacy({**state, "norm.bias": bad}, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"NaN or infinity in norm\.bias"):
        open_encoder(folder).load()
    unused = {**state, "classifier.dense.bias": torch.full((32,), value)}
    save_legacy(unused, folder / "pytorch_model.bin")
    open_encoder(folder).load()


def one_line(action: Callable[[], Any], text: str) -> None:
    with pytest.raises(CheckpointError, match=text) as caught:
        action()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["legacy", "zip", "safetensors"])
@pytest.mark.parametrize("share", [0.3, 0.999])
def test_truncated_weights(copy: Copy, state: State, form: str, share: float) -> None:
    folder = copy("pytorch_model.bin")
    name = "model.safetensors" if form == "safetensors" else "pytorch_model.bin"
    path = folder / name
    if form == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    one_line(lambda: open_encoder(folder).load(), "not readable|corrupt or|cut short|damaged")
    one_line(lambda: open_encoder(path).load(), "not readable|corrupt or|cut short|damaged")


def test_missing_files(copy: Copy) -> None:
    one_line(lambda: open_encoder(copy("vocab.json", name="a")), "--tokenizer")
    one_line(lambda: open_encoder(copy("config.json", name="b")), r"no config\.json.*--backbone")
    one_line(lambda: open_encoder(copy("pytorch_model.bin", name="c")), "no checkpoint in this")


def test_a_tokenizer_from_elsewhere(copy: Copy, upstream: Path, expected: np.ndarray) -> None:
    folder = copy("vocab.json")
    assert np.array_equal(vectors(folder, tokenizer=upstream), expected)
    one_line(lambda: open_encoder(folder, tokenizer=folder / "nothing"), "--tokenizer .*nothing")
    one_line(lambda: open_encoder(folder, tokenizer=folder), "no vocab.json with merges.txt")
    one_line(lambda: open_encoder(folder, backbone=folder / "none"), "--backbone .*none")


def test_a_tokenizer_larger_than_the_weights(copy: Copy) -> None:
    folder = copy()
    vocabulary = json.loads((folder / "vocab.json").read_text())
    (folder / "vocab.json").write_text(json.dumps({**vocabulary, "zzz": 900}))
    one_line(lambda: open_encoder(folder).load(), "901 pieces, the weights have 400 rows")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"hidden_size": None}, "hidden_size: got None"),
        ({"num_hidden_layers": "two"}, "num_hidden_layers: got 'two'"),
        ({"vocab_size": -4}, "vocab_size: got -4"),
        ({"num_attention_heads": 5}, "no multiple of num_attention_heads 5"),
        ({"hidden_act": "wobble"}, "not usable"),
    ],
)
def test_bad_configurations(copy: Copy, changes: dict[str, Any], text: str) -> None:
    folder = copy()
    (folder / "config.json").write_text(json.dumps({**building.CONFIG, **changes}))
    one_line(lambda: open_encoder(folder).load(), text)


def test_broken_configuration(copy: Copy) -> None:
    folder = copy()
    (folder / "config.json").write_text("{")
    one_line(lambda: open_encoder(folder), "not readable as JSON")
    (folder / "config.json").write_text("[]")
    one_line(lambda: open_encoder(folder), "allowed: a JSON table")


def test_places_without_a_checkpoint(tmp_path: Path, upstream: Path) -> None:
    one_line(lambda: open_encoder(tmp_path / "none.ckpt"), "no such path")
    one_line(lambda: open_encoder("roberta-base"), "org/name")
    (tmp_path / "empty").mkdir()
    one_line(lambda: open_encoder(tmp_path / "empty"), "the folder is empty")
    (tmp_path / "run" / "checkpoint-20").mkdir(parents=True)
    (tmp_path / "run" / "log").write_text("x")
    one_line(
        lambda: open_encoder(tmp_path / "run"), "training folder; checkpoint-20 is not complete"
    )
    for data, text in (
        (b"", "neither a checkpoint"),
        (b"hello world, no weights here", "neither a checkpoint"),
        (b"\x80\x02.", "not readable as weights"),
        (b"PK\x03\x04", "corrupt or truncated zip file"),
        (b"\x09" + bytes(7) + b"{", "not readable as weights|damaged"),
    ):
        (tmp_path / "file").write_bytes(data)
        one_line(
            lambda: open_encoder(tmp_path / "file", tokenizer=upstream, backbone=upstream).load(),
            text,
        )


def test_other_things_in_torch_files(tmp_path: Path, upstream: Path) -> None:
    both = {"tokenizer": upstream, "backbone": upstream}
    for value, text in (
        ({"a": 1, "b": "x"}, "no state dict in it .found: a, b."),
        ([1, 2], "no state dict in it .found: list."),
    ):
        for legacy in (True, False):
            torch.save(value, tmp_path / "w", _use_new_zipfile_serialization=not legacy)
            one_line(lambda: open_encoder(tmp_path / "w", **both).load(), text)


class Hostile:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"open({str(self.mark)!r}, 'w')",)


@pytest.mark.parametrize("legacy", [True, False])
def test_hostile_weights_run_nothing(copy: Copy, tmp_path: Path, legacy: bool) -> None:
    folder = copy()
    mark = tmp_path / "mark"
    torch.save(
        {"embeddingHead": Hostile(mark)},
        folder / "pytorch_model.bin",
        _use_new_zipfile_serialization=not legacy,
    )
    one_line(lambda: open_encoder(folder).load(), "which is not read")
    assert not mark.exists()


def test_options_for_upstream_only(tmp_path: Path, upstream: Path) -> None:
    (tmp_path / "modules.json").write_text("[]")
    one_line(lambda: open_encoder(tmp_path, tokenizer=upstream), "brings its own")


def test_load_model_for_training(upstream: Path, tmp_path: Path, state: State) -> None:
    model, config = load_model(upstream)
    assert config["hidden_size"] == building.HIDDEN
    assert torch.equal(model.embeddingHead.weight, state["embeddingHead.weight"])
    assert all(parameter.requires_grad for parameter in model.parameters())
    (tmp_path / "modules.json").write_text("[]")
    one_line(lambda: load_model(tmp_path), "sentence-transformers")


def test_fingerprint_follows_weights_configuration_and_tokenizer(
    tmp_path: Path, upstream: Path, copy: Copy
) -> None:
    base = open_encoder(upstream).fingerprint
    same = copy()
    assert open_encoder(same).fingerprint == base
    other = write_upstream(tmp_path / "other", building.make_state(1))
    assert open_encoder(other).fingerprint != base
    merges = (same / "merges.txt").read_text().splitlines()
    (same / "merges.txt").write_text("\n".join(merges[:-1]) + "\n")
    assert open_encoder(same).fingerprint != base


def test_opening_and_tokenizing_load_no_torch(upstream: Path) -> None:
    program = (
        "import sys\n"
        "from anisotropy.collection import Query\n"
        "import anisotropy.encoders as e\n"
        f"x = e.open_encoder({str(upstream)!r})\n"
        "x.fingerprint, x.readings, x.tokenize('queries', [Query('1', 'apple')])\n"
        "assert not {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
