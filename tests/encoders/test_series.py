from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from anisotropy.encoders import open_encoder
from anisotropy.encoders.series import find_series
from anisotropy.errors import CheckpointError
from anisotropy.inspection import describe
from anisotropy.opening import expand
from tests.encoders import building_dpr

STEPS = (5, 10, 40, 100, 1000)


def numbered(folder: Path, start: Path, steps: tuple[int, ...] = STEPS) -> Path:
    for step in steps:
        shutil.copytree(start, folder / f"checkpoint-{step}")
    return folder


@pytest.fixture
def run(tmp_path: Path, upstream: Path) -> Path:
    """A training folder of upstream, each checkpoint with the mark that is written last."""
    folder = numbered(tmp_path / "run", upstream)
    for step in STEPS:
        (folder / f"checkpoint-{step}" / "scheduler.pt").write_bytes(b"")
    (folder / "eval_results.txt").write_text("x")
    return folder


def names(sources: list[str]) -> list[str]:
    return [Path(source).name for source in sources]


def test_numeric_order(run: Path) -> None:
    found, notices = expand([str(run)])
    assert names(found) == [f"checkpoint-{step}" for step in STEPS]
    assert not notices
    assert open_encoder(found[-1]).step == 1000


def test_the_mark_of_completion_where_its_siblings_have_one(run: Path, tmp_path: Path) -> None:
    (run / "checkpoint-100" / "scheduler.pt").unlink()
    found, notices = expand([str(run)])
    assert names(found) == [f"checkpoint-{step}" for step in STEPS if step != 100]
    (notice,) = notices
    assert "checkpoint-100: not complete, so skipped (no scheduler.pt" in notice
    for step in STEPS:
        (run / f"checkpoint-{step}" / "scheduler.pt").unlink(missing_ok=True)
    assert len(expand([str(run)])[0]) == len(STEPS)  # nobody has it, so it says nothing


def test_folders_without_a_mark_are_measured(run: Path) -> None:
    for step in STEPS:
        (run / f"checkpoint-{step}" / "scheduler.pt").unlink()
    (run / "checkpoint-5" / "pytorch_model.bin").unlink()
    path = run / "checkpoint-1000" / "pytorch_model.bin"
    path.write_bytes(path.read_bytes()[:-4])
    found, notices = expand([str(run)])
    assert names(found) == ["checkpoint-10", "checkpoint-40", "checkpoint-100"]
    assert "checkpoint-5: not complete, so skipped (no weights in it" in notices[0]
    assert "checkpoint-1000: not complete" in notices[1]


def test_ours_need_no_mark(run: Path, upstream: Path) -> None:
    ours = run / "checkpoint-7"
    shutil.copytree(upstream, ours)
    (ours / "training.json").write_text('{"format": "anisotropy.checkpoint/1"}')
    assert names(expand([str(run)])[0])[:3] == ["checkpoint-5", "checkpoint-7", "checkpoint-10"]


@pytest.mark.parametrize("legacy", [True, False])
def test_half_written_files_of_dpr(tmp_path: Path, legacy: bool) -> None:
    building_dpr.write_backbone(tmp_path)
    (tmp_path / "config.json").rename(tmp_path / "bert.json")
    content = building_dpr.contents(building_dpr.make_state(), "fp16")
    for step in (9, 80, 700):
        path = tmp_path / f"checkpoint-{step}"
        torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    data = (tmp_path / "checkpoint-80").read_bytes()
    for share in (0.0, 0.01, 0.5, 0.999):
        (tmp_path / "checkpoint-80").write_bytes(data[: int(share * len(data))])
        found, notices = expand([str(tmp_path)])
        assert names(found) == ["checkpoint-9", "checkpoint-700"], share
        assert "checkpoint-80: not complete, so skipped (" in notices[0]
        assert "\n" not in notices[0]
    options = {"tokenizer": tmp_path, "backbone": tmp_path / "bert.json"}
    assert open_encoder(found[-1], **options).step == 700  # type: ignore[arg-type]


def test_a_folder_that_is_a_checkpoint_itself(run: Path, upstream: Path) -> None:
    """Upstream saves the last model beside its checkpoints."""
    for path in upstream.iterdir():
        shutil.copy(path, run / path.name)
    found, notices = expand([str(run)])
    assert found == [str(run)]
    assert "the 5 in it are left out" in notices[0]
    assert find_series(run) is None
    assert open_encoder(run).files.layout == "upstream"


def test_nothing_complete(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-3").mkdir()
    with pytest.raises(CheckpointError, match=r"no complete checkpoint in it: .*no weights in it"):
        expand([str(tmp_path)])
    assert expand([str(tmp_path / "none"), "org/name"])[0] == [str(tmp_path / "none"), "org/name"]


def test_naming_the_folder_where_one_is_needed(run: Path) -> None:
    (run / "checkpoint-1000" / "scheduler.pt").unlink()
    with pytest.raises(CheckpointError) as caught:
        open_encoder(run)
    text = str(caught.value)
    assert "checkpoint-5, checkpoint-10, checkpoint-40, checkpoint-100; " in text
    assert "checkpoint-1000 is not complete; name one, for example" in text
    assert text.endswith("checkpoint-100")
    many = numbered(run.parent / "many", run / "checkpoint-5", tuple(range(1, 13)))
    with pytest.raises(CheckpointError, match=r"checkpoint-3, \.\.\., checkpoint-10, checkpoint-"):
        open_encoder(many)


def test_inspecting_the_folder(run: Path) -> None:
    (run / "checkpoint-40" / "scheduler.pt").unlink()
    found = describe(run)
    assert found["kind"] == "training folder"
    assert list(found["checkpoints"]) == [f"checkpoint-{step}" for step in STEPS if step != 40]
    assert set(found["checkpoints"].values()) == {"upstream"}
    assert list(found["skipped"]) == ["checkpoint-40"]
