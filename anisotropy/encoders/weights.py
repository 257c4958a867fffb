"""Files of weights: read without executing anything, and handed to `keys` for what is in them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch

from anisotropy.encoders.keys import State, cleaned, unwrapped
from anisotropy.encoders.recognition import is_safetensors
from anisotropy.errors import CheckpointError


def read_state_dict(path: Path) -> State:
    """Read the tensors of a safetensors or torch file under the names their encoder has.

    Wrappers and prefixes are taken off; see `keys.unwrapped` and `keys.cleaned`.

    Raises
    ------
    CheckpointError
        If the file is truncated, is not such a file, or holds something else.
    """
    return cleaned(unwrapped(read_content(path), str(path)), str(path))


def read_content(path: Path) -> Any:
    """Read what a safetensors or torch file holds: tensors in plain containers.

    Raises
    ------
    CheckpointError
        If the file is truncated, is not such a file, or names classes that are not tensors.
    """
    return _load_safetensors(path) if is_safetensors(path) else _load_torch(path)


def _load_safetensors(path: Path) -> Any:
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except Exception as error:  # truncated, or a header that lies
        raise CheckpointError(f"{path}: not readable as safetensors ({_line(error)})") from None


def _load_torch(path: Path) -> Any:
    try:
        # an open file: given a path, torch would judge it by its suffix
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # truncated, foreign, or naming classes that are not tensors
        text = "it holds more than tensors" if "eights only load failed" in str(error) else ""
        raise CheckpointError(
            f"{path}: not readable as torch weights ({text or _line(error)})"
        ) from None


def _line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
