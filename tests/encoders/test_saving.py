from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from anisotropy.encoders import (
    UpstreamModel,
    check_target,
    load_model,
    named_recipe,
    new_roberta,
    open_encoder,
    open_tokenizer,
    save_checkpoint,
)
from anisotropy.errors import CheckpointError, UsageError
from tests.making import tokenizer

TOKENS = [[0, 9, 30, 41, 2], [0, 77, 2]]


def model(seed: int = 0) -> UpstreamModel:
    return new_roberta(
        400, hidden_size=16, layers=1, heads=2, intermediate_size=8, positions=40, seed=seed
    )


def test_round_trip(tmp_path: Path) -> None:
    made = model()
    recipe = named_recipe("dance").replace("training", max_query_length=8, max_document_length=30)
    folder = save_checkpoint(
        tmp_path / "x.ckpt",
        made,
        recipe=recipe,
        tokenizer=tokenizer(),
        training={"stage": "dance"},
        history=[{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25, "lr": 0.1}],
        extra={"optimizer.pt": b"state"},
    )
    assert sorted(path.name for path in folder.iterdir()) == [
        "added_tokens.json",
        "config.json",
        "history.csv",
        "merges.txt",
        "model.safetensors",
        "optimizer.pt",
        "recipe.json",
        "special_tokens_map.json",
        "tokenizer_config.json",
        "training.json",
        "vocab.json",
    ]
    encoder = open_encoder(folder)
    assert encoder.label == "x"
    assert encoder.readings == (recipe,)
    with torch.inference_mode():
        made.eval()
        ids = torch.tensor([[0, 9, 30, 41, 2], [0, 77, 2, 0, 0]])
        expected = made.query(made(ids, torch.tensor([5, 3])), recipe).numpy()
    np.testing.assert_allclose(encoder.encode_tokens("queries", TOKENS)[0], expected, atol=1e-6)
    again, _ = load_model(folder)
    state = again.state_dict()
    assert all(torch.equal(state[k], t) for k, t in made.state_dict().items())
    assert open_tokenizer(folder).fingerprint == tokenizer().fingerprint
    training = json.loads((folder / "training.json").read_text())
    assert training == {
        "format": "anisotropy.checkpoint/1",
        "stage": "dance",
        "extra_files": ["optimizer.pt"],
    }
    with (folder / "history.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"step": "1", "loss": "0.5", "lr": ""},
            {"step": "2", "loss": "0.25", "lr": "0.1"},
        ]


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    folders = [
        save_checkpoint(tmp_path / n, model(), recipe=named_recipe("ance"), tokenizer=tokenizer())
        for n in ("a", "b")
    ]
    for path in folders[0].iterdir():
        assert path.read_bytes() == (folders[1] / path.name).read_bytes()


def test_a_checkpoint_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "x"
    recipe = named_recipe("ance")
    save_checkpoint(target, model(0), recipe=recipe, tokenizer=tokenizer(), extra={"old": b"1"})
    bad = model(1)
    with torch.no_grad():
        bad.norm.bias[0] = float("nan")
    with pytest.raises(CheckpointError, match=r"NaN or infinity in norm\.bias"):
        save_checkpoint(target, bad, recipe=recipe, tokenizer=tokenizer())
    assert (target / "old").exists()
    save_checkpoint(target, model(1), recipe=recipe, tokenizer=tokenizer())
    assert not (target / "old").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_other_things_are_left_alone(tmp_path: Path) -> None:
    recipe = named_recipe("ance")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "text").write_text("x")
    (tmp_path / "file").write_text("x")
    for name in ("notes", "file"):
        with pytest.raises(CheckpointError, match="no checkpoint folder"):
            save_checkpoint(tmp_path / name, model(), recipe=recipe, tokenizer=tokenizer())
    assert (tmp_path / "notes" / "text").read_text() == "x"
    (tmp_path / "empty").mkdir()
    save_checkpoint(tmp_path / "empty", model(), recipe=recipe, tokenizer=tokenizer())
    for name in ("../x", "config.json"):
        with pytest.raises(UsageError, match="extra file"):
            save_checkpoint(
                tmp_path / "y", model(), recipe=recipe, tokenizer=tokenizer(), extra={name: b""}
            )


def test_doubts_are_settled_by_saving(tmp_path: Path) -> None:
    import dataclasses

    recipe = dataclasses.replace(named_recipe("ance"), doubts=("perhaps",))
    save_checkpoint(tmp_path / "x", model(), recipe=recipe, tokenizer=tokenizer())
    assert open_encoder(tmp_path / "x").recipe.doubts == ()


def saved(folder: Path) -> Path:
    return save_checkpoint(folder, model(), recipe=named_recipe("ance"), tokenizer=tokenizer())


def test_a_folder_with_more_than_our_checkpoint_is_kept(tmp_path: Path) -> None:
    for number, entry in enumerate(("checkpoint-100/pytorch_model.bin", "notes.txt")):
        target = saved(tmp_path / str(number))
        (target / entry).parent.mkdir(exist_ok=True)
        (target / entry).write_text("keep me")
        name = entry.split("/")[0]
        with pytest.raises(CheckpointError, match=rf"more than a checkpoint \({name}\)") as caught:
            saved(target)
        assert "\n" not in str(caught.value)
        assert (target / entry).read_text() == "keep me"


@pytest.mark.parametrize("record", [None, "{}", "[]", "{", '{"format": "other/1"}'])
def test_a_model_of_another_origin_is_kept(tmp_path: Path, record: str | None) -> None:
    target = saved(tmp_path / "x")
    (target / "training.json").unlink()
    if record is not None:
        (target / "training.json").write_text(record)
    before = sorted(path.name for path in target.iterdir())
    with pytest.raises(CheckpointError, match="no checkpoint folder that this program wrote"):
        saved(target)
    assert sorted(path.name for path in target.iterdir()) == before


def test_the_mark_cannot_be_talked_away(tmp_path: Path) -> None:
    made = model()
    target = save_checkpoint(
        tmp_path / "x",
        made,
        recipe=named_recipe("ance"),
        tokenizer=tokenizer(),
        training={"format": "another"},
    )
    assert check_target(target) == target


def test_a_link_to_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "absent")
    with pytest.raises(CheckpointError, match="no checkpoint folder"):
        check_target(tmp_path / "link")


def test_checking_a_target_loads_no_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from anisotropy.encoders import check_target; check_target('absent'); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_steps_by_name_or_record(tmp_path: Path) -> None:
    stages = [{"config": {"steps": 30}}, {"config": {"steps": 12}}]
    records = {"x": {"stages": stages}, "checkpoint-210000": {"stages": stages}, "y": {}}
    records["z"] = {"stages": [{"config": {"steps": "many"}}]}
    found = {}
    for name, training in records.items():
        folder = save_checkpoint(
            tmp_path / name,
            model(),
            recipe=named_recipe("ance"),
            tokenizer=tokenizer(),
            training=training,
        )
        found[name] = open_encoder(folder).step
    assert found == {"x": 42, "checkpoint-210000": 210_000, "y": None, "z": None}
