"""A checkpoint that the tests of this room share, and copies of it to damage."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.encoders import building


@pytest.fixture(scope="session")
def state() -> dict[str, torch.Tensor]:
    return building.make_state()


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory, state: dict[str, torch.Tensor]) -> Path:
    """Upstream folder that says nothing about its recipe; read only."""
    return building.write_upstream(tmp_path_factory.mktemp("shared") / "tiny", state)


@pytest.fixture
def copy(upstream: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the shared folder, without the files named."""

    def make(*without: str, name: str = "copy") -> Path:
        target = tmp_path / name
        shutil.copytree(upstream, target)
        for file in without:
            (target / file).unlink()
        return target

    return make


@pytest.fixture(autouse=True)
def _empty_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Hugging Face cache of the machine must not decide a test."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
