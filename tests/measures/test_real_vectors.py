"""Published numbers on real vectors."""

from pathlib import Path

import numpy as np
import pytest

from anisotropy.measures import measure_space
from anisotropy.spaces import EmbeddingSpace


@pytest.mark.real_data
def test_gap_of_clip(real_data: Path) -> None:
    """Center distance of 500 image-text pairs: .8514."""
    folder = real_data / "real_vectors"
    images, texts = (
        np.load(folder / f"modality_gap_clip.{side}.npy") for side in ("a_image", "b_text")
    )
    space = EmbeddingSpace(texts.astype("f4"), images.astype("f4"))
    found = measure_space(space, ["gap(corrected=False)", "gap"])
    plain = found.row("cross", "gap(corrected=False)", "unit")
    corrected = found.row("cross", "gap", "unit")
    assert plain.value == pytest.approx(0.8514, abs=6e-5)
    assert corrected.ci_low < corrected.value < plain.value


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "cosine"), [("cosdpr_distil", 0.04), ("openai_ada2", 0.70)])
def test_mean_cosine_of_two_encoders(real_data: Path, name: str, cosine: float) -> None:
    rows = np.load(real_data / "real_vectors" / f"passages100_{name}.npy").astype("f4")
    found = measure_space(EmbeddingSpace(rows, rows), ["mean_cosine"])
    value = found.row("documents", "mean_cosine", "unit").value
    assert value == pytest.approx(cosine, abs=0.005)
