"""bfloat16: what computes in it, how close vectors stay, and where it is said to be slow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anisotropy.collection import Document
from anisotropy.encoders import open_encoder, precision
from anisotropy.encoders.precision import bfloat16_notice

DOCUMENTS = [Document(f"d{i}", f"word {i} " * (3 * i + 1), f"title {i}") for i in range(12)]


def cosines(source: Path, **options: Any) -> np.ndarray:
    """Cosine of each document's vector in bfloat16 with that in float32."""
    both = []
    for dtype in ("float32", "bfloat16"):
        encoder = open_encoder(source, dtype=dtype, **options)
        (vectors,) = encoder.encode_tokens("documents", encoder.tokenize("documents", DOCUMENTS))
        assert vectors.dtype == np.float32
        both.append(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    assert not np.array_equal(*both)
    found: np.ndarray = (both[0] * both[1]).sum(axis=1)
    return found


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_vectors_of_upstream_models_stay_close(upstream: Path, pooling: str) -> None:
    found = cosines(upstream, recipe="ance", overrides={"pooling": pooling})
    assert found.min() >= 0.9998
    assert np.median(found) >= 0.9999


def test_products_alone_are_in_bfloat16(upstream: Path) -> None:
    encoder: Any = open_encoder(upstream, recipe="ance", dtype="bfloat16")
    encoder.load()
    seen: dict[str, torch.dtype] = {}
    layer = encoder._model.roberta.encoder.layer[0]

    def note(name: str) -> Any:
        return lambda module, inputs, output: seen.update({name: output.dtype})

    layer.attention.self.query.register_forward_hook(note("product"))
    layer.attention.output.LayerNorm.register_forward_hook(note("norm"))
    encoder.encode_tokens("documents", [[0, 5, 6, 2]])
    assert seen == {"product": torch.bfloat16, "norm": torch.float32}
    assert encoder._model.embeddingHead.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("device", "flags", "slow"),
    [
        ("cpu", {"avx512f", "avx2"}, True),
        ("cpu", {"avx512f", "avx512_bf16"}, False),
        ("cpu", {"amx_bf16"}, False),
        ("cpu", {"asimd", "bf16"}, False),
        ("cpu", set(), False),  # not known
        ("cuda", {"avx2"}, False),
    ],
)
def test_it_is_said_where_it_is_slow(
    monkeypatch: pytest.MonkeyPatch, device: str, flags: set[str], slow: bool
) -> None:
    monkeypatch.setattr(precision, "_processor_flags", lambda: flags)
    line = bfloat16_notice(device)
    assert (line is not None) == slow
    assert line is None or ("slower than float32" in line and "\n" not in line)


def test_flags_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, expected in (
        ("processor\t: 0\nflags\t\t: fpu amx_bf16\n\nflags\t\t: fpu\n", {"fpu", "amx_bf16"}),
        ("processor\t: 0\nFeatures\t: asimd bf16\n", {"asimd", "bf16"}),
        ("nothing", set()),
    ):
        monkeypatch.setattr(Path, "read_text", lambda self, text=text: text)
        assert precision._processor_flags() == expected

    def absent(self: Path) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", absent)
    assert precision._processor_flags() == set()


def test_the_command_says_it_once(
    upstream: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from anisotropy.cli.main import main
    from tests.training.conftest import write_collection

    monkeypatch.setattr(precision, "_processor_flags", lambda: {"avx2"})
    data = str(write_collection(tmp_path / "words"))
    words = ["encode", str(upstream), "--data", data, "--recipe", "ance", "--dtype", "bfloat16"]
    assert main([*words, "--out", str(tmp_path / "s")]) == 0
    assert capsys.readouterr().err.count("no bfloat16 arithmetic") == 1
    assert main([*words, "--out", str(tmp_path / "quiet"), "--quiet"]) == 0
    assert "bfloat16" not in capsys.readouterr().err


def test_attention_on_a_gpu_is_not_planned_by_cudnn() -> None:
    before = torch.backends.cuda.cudnn_sdp_enabled()
    with precision._attention("cuda"):
        assert not torch.backends.cuda.cudnn_sdp_enabled()
        assert torch.backends.cuda.mem_efficient_sdp_enabled()
    assert torch.backends.cuda.cudnn_sdp_enabled() == before
