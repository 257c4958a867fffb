"""WordPiece as BERT's uncased models have it, one text or a pair of texts at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from anisotropy.encoders.texts import valid_text
from anisotropy.errors import CheckpointError, reason_of, told_as
from anisotropy.files import dump_json, read_json

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_NEEDED = ("[UNK]", "[CLS]", "[SEP]")
_BLOCK = 256
_LONGEST_WORD = 100  # characters; BERT takes longer words as unknown


@dataclass(frozen=True)
class WordPieceTokenizer:
    """BERT's WordPiece with its five special strings.

    Attributes
    ----------
    vocabulary
        Piece -> id; holds ``[CLS]``, ``[SEP]`` and ``[UNK]`` at least.
    origin
        Where it came from, for messages.
    """

    vocabulary: Mapping[str, int]
    origin: str = ""

    def __post_init__(self) -> None:
        for name in _NEEDED:
            if name not in self.vocabulary:
                raise CheckpointError(f"{self.origin}: the vocabulary has no {name!r}")

    @classmethod
    def from_file(cls, path: Path) -> WordPieceTokenizer:
        """Read a ``vocab.txt``, or the vocabulary of a ``tokenizer.json`` with WordPiece.

        Raises
        ------
        CheckpointError
            If the file is neither.
        """
        pieces = _from_json(path) if path.suffix.lower() == ".json" else _from_text(path)
        return cls(pieces, str(path))

    @property
    def start(self) -> int:
        """Id of ``[CLS]``."""
        return self.vocabulary["[CLS]"]

    @property
    def end(self) -> int:
        """Id of ``[SEP]``."""
        return self.vocabulary["[SEP]"]

    @property
    def size(self) -> int:
        """One more than the largest id."""
        return max(self.vocabulary.values()) + 1

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the vocabulary, the same whatever file it came from."""
        text = dump_json(["wordpiece", sorted(self.vocabulary.items())])
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def encode(
        self, texts: Sequence[str], max_length: int, lowercase: bool = True
    ) -> list[list[int]]:
        """Token ids ``[CLS] text [SEP]``.

        Parameters
        ----------
        texts
            Any text, also empty.
        max_length
            Maximum number of ids, the special ones included (at least 2); what is too long is cut
            at the end and ``[SEP]`` kept.
        lowercase
            Lower-case, and take accents off.

        Returns
        -------
        list of list of int
            One list a text.
        """
        found = self._pieces(texts, lowercase)
        return [[self.start, *ids[: max(max_length - 2, 0)], self.end] for ids in found]

    def encode_pairs(
        self,
        firsts: Sequence[str],
        seconds: Sequence[str],
        max_length: int,
        lowercase: bool = True,
    ) -> list[list[int]]:
        """Token ids ``[CLS] first [SEP] second [SEP]``.

        Parameters
        ----------
        firsts, seconds
            As many of each; an empty one leaves its ``[SEP]``.
        max_length
            Maximum number of ids, the three special ones included (at least 3). What is too long
            is cut piece by piece at the end of the longer part, of the second where both are
            equally long.
        lowercase
            As for `encode`.

        Returns
        -------
        list of list of int
            One list a pair.
        """
        parts = (self._pieces(texts, lowercase) for texts in (firsts, seconds))
        found = []
        for first, second in zip(*parts, strict=True):
            a, b = kept_lengths(len(first), len(second), max(max_length - 3, 0))
            found.append([self.start, *first[:a], self.end, *second[:b], self.end])
        return found

    def library(self, lowercase: bool = True) -> Any:
        """A new tokenizer of the ``tokenizers`` library with these rules, no special ids added."""
        return _library_tokenizer(self.vocabulary, lowercase)

    def _pieces(self, texts: Sequence[str], lowercase: bool) -> list[list[int]]:
        """Ids of each text without special ones around it; blocks bound the library's memory."""
        bare = self._tokenizer(lowercase)
        found: list[list[int]] = []
        for start in range(0, len(texts), _BLOCK):
            block = [valid_text(text) for text in texts[start : start + _BLOCK]]
            encoded = bare.encode_batch_fast(block, add_special_tokens=False)
            found += [item.ids for item in encoded]
        return found

    def _tokenizer(self, lowercase: bool) -> Any:
        return self._uncased if lowercase else self._cased

    @cached_property
    def _uncased(self) -> Any:
        return _library_tokenizer(self.vocabulary, lowercase=True)

    @cached_property
    def _cased(self) -> Any:
        return _library_tokenizer(self.vocabulary, lowercase=False)


def kept_lengths(first: int, second: int, room: int) -> tuple[int, int]:
    """How many pieces of each part are left when the longer one is cut until both fit.

    Parameters
    ----------
    first, second
        Pieces of each part.
    room
        Pieces that fit in all; equally long parts lose one of the second first.

    Returns
    -------
    tuple of int, int
    """
    excess = max(first + second - room, 0)
    longer = min(abs(first - second), excess)
    if first > second:
        first -= longer
    else:
        second -= longer
    rest = excess - longer  # now equally long, or nothing is left to cut
    return first - rest // 2, second - (rest + 1) // 2


def _library_tokenizer(vocabulary: Mapping[str, int], lowercase: bool) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    model = models.WordPiece(
        dict(vocabulary), unk_token="[UNK]", max_input_chars_per_word=_LONGEST_WORD
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens([name for name in SPECIALS if name in vocabulary])
    return tokenizer


def _from_text(path: Path) -> dict[str, int]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not readable ({reason_of(error)})") from None
    if lines and not lines[-1]:
        lines.pop()
    return {line.rstrip("\r"): number for number, line in enumerate(lines)}


def _from_json(path: Path) -> dict[str, int]:
    with told_as(CheckpointError):
        values = read_json(path)
    model = values.get("model") if isinstance(values, dict) else None
    pieces = model.get("vocab") if isinstance(model, dict) else None
    kind = model.get("type") if isinstance(model, dict) else None
    if kind not in (None, "WordPiece") or not isinstance(pieces, dict):
        raise CheckpointError(
            f"{path}: not a WordPiece tokenizer; DPR needs BERT's vocab.txt, or a tokenizer.json "
            "with WordPiece (give its folder with --tokenizer)"
        )
    if not pieces or not all(type(number) is int for number in pieces.values()):
        raise CheckpointError(f"{path}: not a vocabulary (a table from pieces to whole numbers)")
    return dict(pieces)
