"""Byte-level BPE as transformers 2.3.0 does it, from ``vocab.json`` and ``merges.txt``.

The rules are in the docstring of `UpstreamTokenizer.pieces`. Modern RoBERTa tokenizers differ:
they do not lower-case, do not strip, and some add a space in front.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from anisotropy.encoders.texts import valid_text
from anisotropy.errors import CheckpointError, reason_of, shown, told_as
from anisotropy.files import dump_json, read_json

SPECIALS = ("<s>", "</s>", "<pad>", "<unk>", "<mask>")
_SPLIT = re.compile("(" + "|".join(map(re.escape, SPECIALS)) + ")")
#: Texts at a time: the library's records of whole texts are some hundred times their ids.
_BLOCK = 256


@dataclass(frozen=True)
class UpstreamTokenizer:
    """Byte-level BPE with RoBERTa's five special strings.

    Attributes
    ----------
    vocabulary
        Piece -> id; holds ``<s>``, ``</s>`` and ``<unk>`` at least.
    merges
        Pairs of pieces, the first merged first.
    origin
        Where the files came from, for messages.
    """

    vocabulary: Mapping[str, int]
    merges: Sequence[tuple[str, str]]
    origin: str = ""

    def __post_init__(self) -> None:
        for name in ("<s>", "</s>", "<unk>"):
            if name not in self.vocabulary:
                raise CheckpointError(f"{self.origin}: the vocabulary has no {name!r}")

    @classmethod
    def from_files(cls, vocabulary: Path, merges: Path) -> UpstreamTokenizer:
        """Read ``vocab.json`` and ``merges.txt``."""
        with told_as(CheckpointError):
            pieces = _vocabulary(read_json(vocabulary), vocabulary)
        return cls(pieces, _merges(_lines(merges), merges), str(vocabulary.parent))

    @classmethod
    def from_tokenizer_json(cls, path: Path) -> UpstreamTokenizer:
        """Read vocabulary and merges out of a ``tokenizer.json`` with a byte-level BPE model.

        Raises
        ------
        CheckpointError
            If the file holds another kind of model.
        """
        with told_as(CheckpointError):
            values = read_json(path)
        model = values.get("model") if isinstance(values, dict) else None
        if not isinstance(model, dict) or not isinstance(model.get("merges"), list):
            raise CheckpointError(
                f"{path}: not a byte-level BPE tokenizer; upstream checkpoints need vocab.json "
                "and merges.txt (give their folder with --tokenizer)"
            )
        pieces = _vocabulary(model.get("vocab"), path)
        for name, number in _added_tokens(values.get("added_tokens") or [], path):
            pieces.setdefault(name, number)
        return cls(pieces, _merges(model["merges"], path), str(path))

    @property
    def start(self) -> int:
        """Id of ``<s>``."""
        return self.vocabulary["<s>"]

    @property
    def end(self) -> int:
        """Id of ``</s>``."""
        return self.vocabulary["</s>"]

    @property
    def size(self) -> int:
        """One more than the largest id."""
        return max(self.vocabulary.values()) + 1

    @cached_property
    def fingerprint(self) -> str:
        """Hash of vocabulary and merges, the same whatever files they came from."""
        text = dump_json([sorted(self.vocabulary.items()), [list(pair) for pair in self.merges]])
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def encode(
        self, texts: Sequence[str], max_length: int, lowercase: bool = True
    ) -> list[list[int]]:
        """Token ids with ``<s>`` in front and ``</s>`` at the end.

        Parameters
        ----------
        texts
            Any text, also empty.
        max_length
            Maximum number of ids, the two special ones included (at least 2); what is too long
            is cut at the end and ``</s>`` kept.
        lowercase
            As upstream's ``do_lower_case``.

        Returns
        -------
        list of list of int
            One list a text.
        """
        return [
            ids
            for start in range(0, len(texts), _BLOCK)
            for ids in self._encode_block(texts[start : start + _BLOCK], max_length, lowercase)
        ]

    def _encode_block(
        self, texts: Sequence[str], max_length: int, lowercase: bool
    ) -> list[list[int]]:
        segments = [self._segments(valid_text(text), lowercase) for text in texts]
        plain = [part for parts in segments for part in parts if part not in SPECIALS]
        encoded = iter(self._bpe.encode_batch_fast(plain, add_special_tokens=False))
        found = []
        for parts in segments:
            ids: list[int] = []
            for part in parts:
                ids += [self._special(part)] if part in SPECIALS else next(encoded).ids
            found.append([self.start, *ids[: max_length - 2], self.end])
        return found

    def _segments(self, text: str, lowercase: bool) -> list[str]:
        """Special strings, and the stripped text between them.

        Lower-casing knows the special strings in exact case only and goes character by
        character (so a final sigma stays sigma); the split comes after it, so ``<MASK>`` becomes
        special. An empty segment gives nothing; whitespace inside a segment is kept.
        """
        if lowercase:
            text = "".join(
                part if part in SPECIALS else lower_characters(part) for part in _SPLIT.split(text)
            )
        stripped = (part.strip() for part in _SPLIT.split(text))
        return [part for part in stripped if part]

    def _special(self, name: str) -> int:
        return self.vocabulary.get(name, self.vocabulary["<unk>"])

    @cached_property
    def _bpe(self) -> Any:
        from tokenizers import Tokenizer, models, pre_tokenizers

        try:
            model = models.BPE(dict(self.vocabulary), list(self.merges), unk_token="<unk>")
        except Exception as error:  # the library raises a bare Exception
            reason = reason_of(error)
            raise CheckpointError(
                f"{self.origin}: vocabulary and merges disagree ({reason})"
            ) from None
        tokenizer = Tokenizer(model)
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        return tokenizer

    def write(self, folder: Path) -> None:
        """Write the five tokenizer files of an upstream checkpoint."""
        names = {"bos": "<s>", "eos": "</s>", "unk": "<unk>", "sep": "</s>", "pad": "<pad>"}
        names |= {"cls": "<s>", "mask": "<mask>"}
        specials = {f"{role}_token": token for role, token in names.items()}
        merges = "".join(f"{a} {b}\n" for a, b in self.merges)
        _put(folder / "vocab.json", json.dumps(dict(self.vocabulary), ensure_ascii=False))
        _put(folder / "merges.txt", "#version: 0.2\n" + merges)
        _put(folder / "special_tokens_map.json", json.dumps(specials))
        _put(folder / "added_tokens.json", "{}")
        _put(folder / "tokenizer_config.json", json.dumps({"do_lower_case": False}))


def lower_characters(text: str) -> str:
    """Lower-case every character by itself, without the rule for a final sigma."""
    return text.replace("\u03a3", "\u03c3").lower()


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _vocabulary(values: object, path: Path) -> dict[str, int]:
    if isinstance(values, dict) and values and all(type(i) is int for i in values.values()):
        return dict(values)
    raise CheckpointError(f"{path}: not a vocabulary (a table from pieces to whole numbers)")


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not readable ({reason_of(error)})") from None
    return [line for line in lines if line and not line.startswith("#version")]


def _merges(values: Sequence[Any], path: Path) -> list[tuple[str, str]]:
    pairs = [value.split(" ") if isinstance(value, str) else value for value in values]
    for value, pair in zip(values, pairs, strict=True):
        whole = isinstance(pair, list) and len(pair) == 2
        if not whole or not all(isinstance(piece, str) for piece in pair):
            raise CheckpointError(f"{path}: a merge needs two pieces, got {shown(value)}")
    return [(pair[0], pair[1]) for pair in pairs]


def _added_tokens(values: Any, path: Path) -> list[tuple[str, int]]:
    known = isinstance(values, list) and all(isinstance(token, dict) for token in values)
    found = [(token.get("content"), token.get("id")) for token in values] if known else []
    if not known or not all(isinstance(name, str) and type(i) is int for name, i in found):
        raise CheckpointError(
            f"{path}: added_tokens: needed: a list of tables with content and id"
        )
    return found
