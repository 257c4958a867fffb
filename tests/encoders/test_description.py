from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from anisotropy.encoders import describe_checkpoint, open_encoder
from anisotropy.errors import CheckpointError, UsageError
from tests.encoders import building

State = dict[str, torch.Tensor]
Copy = Callable[..., Path]


def test_a_whole_checkpoint(upstream: Path, state: State) -> None:
    found = describe_checkpoint(upstream)
    json.dumps(found)
    assert (found["layout"], found["label"], found["problems"]) == ("upstream", "tiny", [])
    assert [reading["name"] for reading in found["readings"]] == ["ance", "dance"]
    assert len(found["doubts"]) == 2 - 1
    assert {file["name"] for file in found["files"]} == {p.name for p in upstream.iterdir()}
    unused = {key for key in state if key.startswith(("roberta.pooler", "classifier"))}
    assert set(found["keys"]["unused"]) == unused
    assert set(found["keys"]["used"]) == set(state) - unused
    assert found["keys"]["missing"] == found["keys"]["unexpected"] == []
    total = sum(tensor.numel() for tensor in state.values())
    less = sum(state[key].numel() for key in unused)
    assert found["parameters"] == {"total": total, "used": total - less}
    assert found["config"]["hidden_size"] == building.HIDDEN
    assert open_encoder(upstream).summary() == found


def test_what_forbids_encoding_is_told_and_the_rest_too(copy: Copy, state: State) -> None:
    folder = copy("vocab.json")
    bad = {**state, "extra": torch.ones(1)}
    del bad["norm.bias"]
    bad["norm.weight"] = torch.full((24,), float("nan"))
    building.save_legacy(bad, folder / "pytorch_model.bin")
    found = describe_checkpoint(folder, recipe="dance")
    problems = "\n".join(found["problems"])
    for text in ("--tokenizer", "missing head tensors: norm.bias", "NaN or infinity"):
        assert text in problems
    assert found["keys"]["unexpected"] == ["extra"]
    assert found["keys"]["missing"] == ["norm.bias"]
    assert found["readings"][0]["sources"]["normalize"] == "option --recipe dance"


def test_a_bare_single_file(tmp_path: Path, state: State) -> None:
    torch.save(state, tmp_path / "w.pt")
    found = describe_checkpoint(tmp_path / "w.pt")
    assert found["layout"] == "state_dict"
    assert found["assumed"] == {
        "vocab_size": 400,
        "hidden_size": 32,
        "num_attention_heads": 1,
        "max_position_embeddings": 514,
        "intermediate_size": 48,
        "type_vocab_size": 1,
        "num_hidden_layers": 2,
    }
    assert len(found["keys"]["used"]) == len(state) - 6
    assert len(found["keys"]["unused"]) == 6  # pooler and classifier, by the shapes alone
    (problem,) = found["problems"]
    assert "--tokenizer" in problem
    assert "--backbone" in problem


def test_damaged_weights_and_configuration(copy: Copy) -> None:
    folder = copy()
    path = folder / "pytorch_model.bin"
    path.write_bytes(path.read_bytes()[:5000])
    found = describe_checkpoint(folder)
    assert len(found["problems"]) == 1
    assert "not readable as weights" in found["problems"][0]
    assert found["readings"]
    (folder / "config.json").write_text('{"hidden_size": 0}')
    assert any("got None" in text for text in describe_checkpoint(folder)["problems"])


def test_nothing_to_describe(tmp_path: Path, upstream: Path) -> None:
    with pytest.raises(CheckpointError, match="no such path"):
        describe_checkpoint(tmp_path / "none")
    with pytest.raises(UsageError, match="did you mean 'dance'"):
        describe_checkpoint(upstream, recipe="dans")
