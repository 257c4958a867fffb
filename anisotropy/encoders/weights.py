"""Files of weights: read without executing anything; `keys` says what their tensors are."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from anisotropy.encoders.keys import Entries, cleaned, unwrapped
from anisotropy.errors import CheckpointError, InputError
from anisotropy.untrusted.safetensors_files import is_safetensors, read_safetensors
from anisotropy.untrusted.tensors import TensorEntry
from anisotropy.untrusted.torch_files import read_torch

State = dict[str, torch.Tensor]
#: Bytes at multiples of which torch begins its own tensors.
_LINE = 64


def read_state_dict(path: Path) -> State:
    """Read the tensors of a safetensors or torch file under the names their encoder has.

    Wrappers and prefixes are taken off; see `keys.unwrapped` and `keys.cleaned`.

    Raises
    ------
    CheckpointError
        If the file is truncated, is not such a file, or holds something else.
    """
    return {key: tensor_of(entry) for key, entry in read_entries(path).items()}


def read_entries(path: Path) -> Entries:
    """As `read_state_dict`, with the tensors' places instead of the tensors.

    Raises
    ------
    CheckpointError
        If the file is truncated, is not such a file, or holds something else.
    """
    return cleaned(unwrapped(read_content(path), str(path)), str(path))


def read_content(path: Path) -> Any:
    """Read what a safetensors or torch file holds: plain containers with tensors' places.

    Raises
    ------
    CheckpointError
        If the file is truncated, is not such a file, or names more than tensors.
    """
    try:
        return read_safetensors(path)[0] if is_safetensors(path) else read_torch(path)
    except InputError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise CheckpointError(f"{path}: not readable as weights ({reason})") from None


def tensor_of(entry: TensorEntry) -> torch.Tensor:
    """The tensor at a place in a file, mapped into memory where the machine can do that."""
    array = np.require(entry.array(), requirements=["ALIGNED", "WRITEABLE"])
    tensor = torch.from_numpy(array)
    if tensor.data_ptr() % _LINE:  # products would have other last digits than those of a copy
        tensor = tensor.clone()
    return tensor.view(torch.bfloat16) if entry.dtype == "bfloat16" else tensor


def check_finite(state: State, keys: Iterable[str], origin: object) -> None:
    """Refuse NaN and infinities in the tensors that are used."""
    for key in keys:
        if not bool(torch.isfinite(state[key]).all()):
            raise CheckpointError(f"{origin}: NaN or infinity in {key}")
