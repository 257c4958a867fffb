from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from anisotropy.encoders import describe_checkpoint
from anisotropy.encoders.modules import quiet
from tests.tiny_modules import build, write_plain


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_plain(tmp_path_factory.mktemp("keys") / "plain")


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def changed(plain: Path, folder: Path, state: dict[str, torch.Tensor]) -> Path:
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((plain / name).read_bytes())
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_plain_folder(plain: Path) -> None:
    found = describe_checkpoint(plain)
    state = tensors(plain)
    assert set(found["keys"]["used"]) == {key for key in state if "pooler" not in key}
    assert set(found["keys"]["unused"]) == {key for key in state if "pooler" in key}
    assert not found["keys"]["missing"]
    assert not found["keys"]["unexpected"]
    assert found["parameters"]["total"] == sum(tensor.numel() for tensor in state.values())
    assert found["parameters"]["used"] == found["parameters"]["total"] - 32 * 32 - 32


def test_a_model_with_a_head_and_old_names(plain: Path, tmp_path: Path) -> None:
    from transformers import BertConfig, BertForMaskedLM

    with quiet():
        head = BertForMaskedLM(BertConfig.from_pretrained(plain))
        head.save_pretrained(tmp_path / "head")
    keys = describe_checkpoint(tmp_path / "head")["keys"]
    assert all(key.startswith("bert.") for key in keys["used"])
    assert {key.split(".")[0] for key in keys["unused"]} == {"cls"}
    assert not keys["missing"]
    old = {
        key.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): t
        for key, t in tensors(plain).items()
    }
    old["embeddings.position_ids"] = torch.arange(40)[None]
    keys = describe_checkpoint(changed(plain, tmp_path / "old", old))["keys"]
    assert "embeddings.LayerNorm.gamma" in keys["used"]
    assert "embeddings.position_ids" in keys["unused"]
    assert not keys["missing"]


def test_what_is_missing_or_of_another_shape(plain: Path, tmp_path: Path) -> None:
    state = tensors(plain)
    gone = "encoder.layer.1.output.dense.weight"
    folder = changed(plain, tmp_path / "gone", {k: t for k, t in state.items() if k != gone})
    found = describe_checkpoint(folder)
    assert found["keys"]["missing"] == [gone]
    assert f"missing tensors: {gone}" in found["problems"][0]
    wrong = {**state, "embeddings.LayerNorm.bias": torch.ones(3)}
    found = describe_checkpoint(changed(plain, tmp_path / "wrong", wrong))
    assert found["keys"]["mismatched"] == {"embeddings.LayerNorm.bias": "got (3,), needs (32,)"}
    assert "of another shape" in found["problems"][0]


def test_a_legacy_file(plain: Path, tmp_path: Path) -> None:
    folder = changed(plain, tmp_path / "legacy", tensors(plain))
    torch.save(tensors(plain), folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    (folder / "model.safetensors").unlink()
    assert describe_checkpoint(folder)["keys"] == describe_checkpoint(plain)["keys"]


def test_modules_by_their_folders(plain: Path, tmp_path: Path) -> None:
    found = describe_checkpoint(build(plain, tmp_path / "model", extra="dense"))
    used = found["keys"]["used"]
    assert {"2_Dense/linear.weight", "2_Dense/linear.bias"} <= set(used)
    assert "embeddings.word_embeddings.weight" in used
    assert not found["keys"]["missing"]
    assert not found["problems"]


def test_a_model_that_is_not_known(plain: Path, tmp_path: Path) -> None:
    folder = changed(plain, tmp_path / "foreign", tensors(plain))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "nothing-known"}))
    found = describe_checkpoint(folder)
    assert set(found["keys"]["unexpected"]) == set(tensors(plain))
    assert found["problems"]
    assert "\n" not in found["problems"][0]
