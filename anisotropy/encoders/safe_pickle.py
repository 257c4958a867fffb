"""Pickles from elsewhere, read without ever calling what they name."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from anisotropy.errors import CheckpointError

MAX_BYTES = 16 * 2**20  # upstream's argument files have a few kilobytes
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_CONTAINERS: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    **{
        (module, kind.__name__): kind
        for module in ("builtins", "__builtin__")
        for kind in (dict, list, tuple, set, frozenset)
    },
}


class RestrictedUnpickler(pickle.Unpickler):
    """Unpickler that resolves listed names only, to callables of ours.

    Parameters
    ----------
    file
        Binary stream.
    allowed
        (module, name) as written in the pickle -> what takes its place. Anything else, and any
        persistent id, raises `pickle.UnpicklingError`.
    """

    def __init__(
        self, file: IO[bytes], allowed: Mapping[tuple[str, str], Callable[..., Any]]
    ) -> None:
        super().__init__(file)
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        """Resolve a listed name."""
        try:
            return self._allowed[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not read") from None


def read_arguments(path: Path) -> dict[str, Any]:
    """Read ``training_args.bin``: a pickled ``argparse.Namespace`` as torch saves it.

    Allowed are ``argparse.Namespace``, ``torch.device`` and plain containers, in any pickle
    protocol, bare, in torch's old format (torch <= 1.5) or in its zip container.

    Returns
    -------
    dict
        Argument -> value; devices as text.

    Raises
    ------
    CheckpointError
        If the file is too large, damaged, or names anything else.
    """
    try:
        stream = io.BytesIO(_payload(path))
        arguments = _first_object(stream)
    except CheckpointError:
        raise
    except Exception as error:  # any damage a pickle can have
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f"{path.name}: not readable as training arguments ({reason})"
        ) from None
    values = arguments if isinstance(arguments, dict) else getattr(arguments, "__dict__", None)
    if not isinstance(values, dict):
        raise CheckpointError(f"{path.name}: holds no training arguments")
    return {str(key): value for key, value in values.items()}


def _payload(path: Path) -> bytes:
    if path.stat().st_size > MAX_BYTES:
        raise CheckpointError(f"{path.name}: larger than {MAX_BYTES} bytes; not read")
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if n == "data.pkl" or n.endswith("/data.pkl")]
        if len(names) != 1:
            raise CheckpointError(f"{path.name}: a zip file without a single data.pkl")
        with archive.open(names[0]) as member:
            data = member.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise CheckpointError(f"{path.name}: larger than {MAX_BYTES} bytes; not read")
    return data


def _first_object(stream: IO[bytes]) -> Any:
    first = _load(stream)
    if first != _TORCH_MAGIC:
        return first
    _load(stream)  # version of the protocol
    _load(stream)  # sizes of the machine's integers
    return _load(stream)


def _load(stream: IO[bytes]) -> Any:
    # Fresh stand-ins a load: a pickle may set attributes on the classes it is given.
    class Namespace:
        pass

    def device(kind: object = "", index: object = None) -> str:
        return str(kind) if index is None else f"{kind}:{index}"

    def plain() -> None:
        raise pickle.UnpicklingError("it makes a bare object, which is not read")

    def reconstruct(kind: object, base: object, state: object) -> Namespace:
        if kind is not Namespace or base is not plain or state is not None:
            raise pickle.UnpicklingError("it rebuilds an object that is not read")
        return Namespace()

    allowed: dict[tuple[str, str], Callable[..., Any]] = {
        **_CONTAINERS,
        ("argparse", "Namespace"): Namespace,
        ("torch", "device"): device,
        # how protocols 0 and 1 write an object of a plain class
        ("copy_reg", "_reconstructor"): reconstruct,
        ("copyreg", "_reconstructor"): reconstruct,
        ("__builtin__", "object"): plain,
        ("builtins", "object"): plain,
    }
    return RestrictedUnpickler(stream, allowed).load()
