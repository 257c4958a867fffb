"""Every error this package raises on purpose.

::

    AnisotropyError                  exit code 2
    ├── UsageError                   an option, name or argument that is not allowed
    │   └── MissingExtra             an optional dependency that is not installed
    ├── InputError                   a file, folder or array that cannot be used
    │   ├── CheckpointError          weights, tokenizer or configuration
    │   ├── CollectionError          texts or judgments
    │   ├── StoreError               a store of embeddings on disk
    │   └── EmbeddingsError          arrays of embeddings, their ids and shapes
    ├── NotComparable                two spaces that must not be compared
    ├── ClusterError                 workers of a cluster that cannot do their work
    └── GateFailed                   a ``--fail-if`` gate that fired (exit code 1)

A message is one line: what was got, what is allowed, what to do.
"""

from __future__ import annotations

import contextlib
import difflib
import reprlib
from collections.abc import Iterable, Iterator

#: Characters of a value in a message, and of what a library says.
_LONGEST, _LONGEST_REASON, _LONGEST_LIST = 60, 200, 450
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 2 * _LONGEST


class AnisotropyError(Exception):
    """Base class; ``exit_code`` is what the command line returns."""

    exit_code = 2


class UsageError(AnisotropyError):
    """An option, a name or an argument is not allowed."""


class MissingExtra(UsageError):
    """A feature needs packages that come with an extra."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs the extra {extra!r}: pip install 'anisotropy[{extra}]'")


class InputError(AnisotropyError):
    """A file, folder or array cannot be used."""


class CheckpointError(InputError):
    """Weights, tokenizer or configuration of a checkpoint cannot be used."""


class CollectionError(InputError):
    """Texts or judgments of a collection cannot be used."""


class StoreError(InputError):
    """A store of embeddings is damaged, unfinished or of another format."""


class EmbeddingsError(InputError):
    """Arrays of embeddings, their ids or their shapes do not fit together."""


@contextlib.contextmanager
def told_as(kind: type[InputError]) -> Iterator[None]:
    """Raise errors about files, met inside the block, as the kind that its caller promises."""
    try:
        yield
    except InputError as error:
        raise error if isinstance(error, kind) else kind(str(error)) from None


class NotComparable(AnisotropyError):
    """Two spaces must not be compared."""


class ClusterError(AnisotropyError):
    """Workers of a cluster are missing, compute with other versions, or cannot do their work."""


class GateFailed(AnisotropyError):
    """A ``--fail-if`` gate fired."""

    exit_code = 1


def one_of(got: object, allowed: Iterable[object]) -> str:
    """Text that says what was got, what is allowed, and the nearest match.

    Parameters
    ----------
    got
        The value that is not allowed.
    allowed
        The values that are, in the order in which to print them.

    Returns
    -------
    str
        For example ``"got 'dans'; allowed: ance, dance (did you mean 'dance'?)"``.
    """
    names = [str(name) for name in allowed]
    text = (got if isinstance(got, str) else shown(got))[: 2 * _LONGEST_REASON]
    near = difflib.get_close_matches(text, names, n=1)
    hint = f" (did you mean {shown(near[0])}?)" if near else ""
    return f"got {shown(text, 2 * _LONGEST)}; allowed: {_listed(names)}{hint}"


def _listed(names: Iterable[str]) -> str:
    """Names in a row, the end left out where there are very many."""
    names = [printable(name) for name in names]
    row = ", ".join(names)
    if len(row) <= _LONGEST_LIST:
        return row
    return f"{row[:_LONGEST_LIST].rpartition(', ')[0]}, ... ({len(names)} in all)"


def shown(value: object, longest: int = _LONGEST) -> str:
    """`value` for a message: on one line, not too long, and without control characters."""
    try:
        text = repr(value[: longest + 1]) if isinstance(value, str) else _SHORT.repr(value)
    except ValueError:  # Python writes no whole number of thousands of digits
        text = f"a {type(value).__name__} too long to write"
    return text if len(text) <= longest else text[: longest - 4] + "...'"


def reason_of(error: BaseException, longest: int = _LONGEST_REASON) -> str:
    """What a library says of a file: its first line, not too long, control characters escaped."""
    return printable((str(error).strip() or type(error).__name__).splitlines()[0], longest)


def printable(text: str, longest: int | None = _LONGEST_REASON) -> str:
    """`text` cut to a length, with escapes for what a terminal would act on."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text[:longest])


def check_relevance_level(level: int) -> None:
    """Refuse a smallest grade of a positive below 1.

    Raises
    ------
    UsageError
        If it is.
    """
    if level < 1:
        raise UsageError(f"relevance level: got {level}; allowed: 1 or more")


def check_seed(seed: int) -> None:
    """Refuse a seed outside 0 to 4294967295.

    Raises
    ------
    UsageError
        If it is.
    """
    if not 0 <= seed < 2**32:
        raise UsageError(f"seed: got {seed}; allowed: 0 to {2**32 - 1}")
