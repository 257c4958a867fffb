from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest

from anisotropy.encoders import hub, open_encoder
from anisotropy.errors import CheckpointError

Copy = Callable[..., Path]


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("org/name", True),
        ("org/name@v1.0", True),
        ("thenlper/gte-base", True),
        ("name", False),
        ("a/b/c", False),
        ("../x", False),
        ("./x/y", False),
        ("/abs", False),
        ("org/", False),
        ("org/na me", False),
    ],
)
def test_the_form_of_a_hub_id(text: str, good: bool) -> None:
    assert hub.is_hub_id(text) is good


def asking(monkeypatch: pytest.MonkeyPatch, answer: Callable[..., Any]) -> None:
    monkeypatch.setattr(huggingface_hub.HfApi, "repo_info", answer)


def failing(error: Exception) -> Callable[..., Any]:
    def answer(*_: Any, **__: Any) -> Any:
        raise error

    return answer


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConnectionError("a\nb"), "the hub is unreachable"),
        (ValueError("strange\nthing"), "ValueError: strange"),
    ],
)
def test_a_hub_that_fails_is_one_line(
    monkeypatch: pytest.MonkeyPatch, error: Exception, text: str
) -> None:
    asking(monkeypatch, failing(error))
    with pytest.raises(CheckpointError, match=text) as caught:
        open_encoder("some-org/some-name")
    assert "\n" not in str(caught.value)
    assert "neither a path" in str(caught.value)


def test_a_hub_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asking(monkeypatch, lambda *_, **__: time.sleep(3))
    monkeypatch.setattr(hub, "ANSWER_SECONDS", 0.2)
    start = time.monotonic()
    with pytest.raises(CheckpointError, match="no answer in"):
        open_encoder("some-org/some-name")
    assert time.monotonic() - start < 2


def test_offline_is_one_line_and_fast() -> None:
    program = (
        "from anisotropy.encoders import open_encoder\n"
        "from anisotropy.errors import CheckpointError\n"
        "try:\n    open_encoder('some-org/no-such-model')\n"
        "except CheckpointError as error:\n    print(error)\n"
    )
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert "HF_HUB_OFFLINE is set" in done.stdout
    assert done.stdout.count("\n") == 1
    assert time.monotonic() - start < 10


def test_download_takes_what_is_needed(monkeypatch: pytest.MonkeyPatch, upstream: Path) -> None:
    names = [
        "config.json",
        "model.safetensors",
        "pytorch_model.bin",
        "vocab.json",
        "onnx/model.json",
        "tf_model.h5",
        "1_Pooling/config.json",
        "README.md",
    ]
    siblings = [SimpleNamespace(rfilename=name) for name in names]
    asking(monkeypatch, lambda *_, **__: SimpleNamespace(siblings=siblings))
    wanted: list[str] = []

    def download(name: str, **options: Any) -> str:
        wanted.extend(options["allow_patterns"])
        assert options["revision"] == "v2"
        return str(upstream)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    encoder = open_encoder("some-org/some-name@v2", recipe="ance")
    assert encoder.label == "some-org/some-name@v2"
    assert wanted == ["config.json", "model.safetensors", "vocab.json", "1_Pooling/config.json"]


def test_a_download_that_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    asking(monkeypatch, lambda *_, **__: SimpleNamespace(siblings=[]))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", failing(OSError("disk full")))
    with pytest.raises(
        CheckpointError, match=r"download from the hub failed \(OSError: disk full"
    ):
        open_encoder("some-org/some-name")


def test_the_local_cache_comes_first(
    monkeypatch: pytest.MonkeyPatch, copy: Copy, tmp_path: Path
) -> None:
    root = tmp_path / "hub" / "models--some-org--some-name"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text("abc")
    (root / "snapshots").mkdir()
    copy().rename(root / "snapshots" / "abc")
    asking(monkeypatch, failing(AssertionError("the network was asked")))
    encoder = open_encoder("some-org/some-name", recipe="ance")
    assert encoder.files.layout == "upstream"
    assert encoder.label == "some-org/some-name"
    assert open_encoder("some-org/some-name@abc", recipe="ance").fingerprint == encoder.fingerprint
