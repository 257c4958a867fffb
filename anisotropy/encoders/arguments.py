"""``training_args.bin``: the arguments of a training run, as torch saves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anisotropy.errors import CheckpointError, InputError
from anisotropy.untrusted.paths import check_file
from anisotropy.untrusted.torch_files import read_torch

MAX_BYTES = 16 * 2**20  # upstream's argument files have a few kilobytes


def read_arguments(path: Path) -> dict[str, Any]:
    """Read ``training_args.bin``: a pickled ``argparse.Namespace``.

    In any pickle protocol, bare, in torch's old format (torch <= 1.5) or in its zip container.

    Returns
    -------
    dict
        Argument -> value; devices and paths as text.

    Raises
    ------
    CheckpointError
        If the file is too large, damaged, or names anything but arguments.
    """
    try:
        if (size := check_file(path)) > MAX_BYTES:
            raise InputError(f"{path}: {size} bytes; allowed: {MAX_BYTES}; not read")
        values = read_torch(path, MAX_BYTES)
    except InputError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise CheckpointError(
            f"{path.name}: not readable as training arguments ({reason})"
        ) from None
    if not isinstance(values, dict):
        raise CheckpointError(f"{path.name}: holds no training arguments")
    return {str(key): value for key, value in values.items()}
