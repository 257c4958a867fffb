"""Recipe: everything besides the weights that decides the vectors and their scores."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anisotropy.errors import InputError, UsageError, one_of, shown
from anisotropy.files import dump_json, read_json
from anisotropy.untrusted.texts import read_toml

POOLINGS = ("cls", "mean", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken", "modules")
FIELDS = (("url", "title", "text"), ("title", "text"), ("text",))
CHOICES: dict[str, tuple[object, ...]] = {
    "pooling": POOLINGS,
    "head": ("none", "linear_layernorm", "modules"),
    "similarity": ("dot", "cosine", "euclidean"),
    "tokenization": ("upstream", "tokenizer", "pair"),
    "fields": FIELDS,
    "positions": ("sequential", "model"),
    "mask": ("additive", "model"),
    "dtype": ("float32", "bfloat16"),
}
MINIMUM_LENGTH = 3  # start token, one piece, end token


@dataclass(frozen=True)
class Recipe:
    """What, besides the weights, decides the vectors.

    Attributes
    ----------
    name
        Named recipe this one started from (see `RECIPE_NAMES`), or the layout's own name.
    pooling
        How token states become one state: ``cls`` (slot 0), ``mean``, or one of the other modes
        of sentence-transformers; ``modules`` where the model's own modules combine several.
    head
        ``linear_layernorm`` (upstream: a linear layer, then LayerNorm), ``none``, or ``modules``
        (what the model's own modules do after pooling).
    normalize
        Unit L2 length on both sides.
    document_layernorm
        Whether documents pass the head's LayerNorm. False is upstream's asymmetric head under L2.
    similarity, temperature
        ``dot``, ``cosine`` or ``euclidean``; the divisor of scores in training losses.
    tokenization
        ``upstream`` (byte-level BPE exactly as transformers 2.3.0: text stripped, no prefix
        space), ``tokenizer`` (what the checkpoint's own tokenizer does) or ``pair`` (WordPiece of
        ``[CLS] title [SEP] text [SEP]``, cut where the longer of the two is, as DPR).
    lowercase
        Lower-case the text before tokenization.
    drop_question_mark
        Take one ``?`` off the end of a query, as DPR.
    separator, fields
        Fields of a document, joined by the separator (upstream: each right-stripped); leading
        empty fields are left out.
    pad_token_id
        Id in padding slots; it reaches the vectors only where a whole MaxP chunk is padding.
    positions, mask
        ``sequential`` (2, 3, ... in every slot) and ``additive`` (-10000), as upstream, or
        ``model`` (what the model library does).
    max_query_length, max_document_length
        In tokens, special tokens included; 0 = the limit of the model's own tokenizer.
    max_document_characters
        Characters of the joined document kept before tokenization; 0 = all.
    chunk_length
        MaxP: tokens a chunk, one vector a chunk; 0 = one vector a document.
    query_prompt, document_prompt
        Text put in front of every query, every document.
    dtype
        Type of the computation; vectors are always float32.
    sources
        Part -> where its value came from.
    doubts
        What could not be found out, one sentence each with the option that settles it.
    """

    name: str = "ance"
    pooling: str = "cls"
    head: str = "linear_layernorm"
    normalize: bool = False
    document_layernorm: bool = True
    similarity: str = "dot"
    temperature: float = 1.0
    tokenization: str = "upstream"
    lowercase: bool = True
    drop_question_mark: bool = False
    separator: str = "<sep>"
    fields: tuple[str, ...] = ("url", "title", "text")
    pad_token_id: int = 0
    positions: str = "sequential"
    mask: str = "additive"
    max_query_length: int = 64
    max_document_length: int = 512
    max_document_characters: int = 10_000
    chunk_length: int = 0
    query_prompt: str = ""
    document_prompt: str = ""
    dtype: str = "float32"
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)
    doubts: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        for part in PARTS:
            object.__setattr__(self, part, _checked(part, getattr(self, part)))
        object.__setattr__(self, "doubts", tuple(str(doubt) for doubt in self.doubts))
        object.__setattr__(self, "sources", dict(self.sources))
        if self.chunk_length and self.max_document_length % self.chunk_length:
            raise UsageError(
                f"max_document_length: got {self.max_document_length}; allowed with "
                f"chunk_length {self.chunk_length}: a multiple of it"
            )

    @property
    def chunks(self) -> int:
        """Vectors a document."""
        return self.max_document_length // self.chunk_length if self.chunk_length else 1

    def max_length(self, side: str) -> int:
        """Maximum tokens of a ``queries`` or ``documents`` item."""
        return self.max_query_length if side == "queries" else self.max_document_length

    def replace(self, source: str, **parts: Any) -> Recipe:
        """Return a copy with other parts, their source recorded.

        Raises
        ------
        UsageError
            If a part is unknown or a value is not allowed.
        """
        for part in parts:
            check_part(part)
        sources = {**self.sources, **dict.fromkeys(parts, source)}
        return dataclasses.replace(self, **parts, sources=sources)

    def without_doubts(self) -> Recipe:
        """Return a copy with no doubts."""
        return dataclasses.replace(self, doubts=())

    def parts(self) -> dict[str, Any]:
        """Part -> value, in a fixed order, without name, sources and doubts."""
        return {part: getattr(self, part) for part in PARTS}

    def identity(self) -> str:
        """Canonical text of all parts: equal texts mean equal vectors from equal weights."""
        return dump_json(self.parts())

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` reads them back."""
        return {
            "name": self.name,
            **{part: list(v) if isinstance(v, tuple) else v for part, v in self.parts().items()},
            "sources": dict(self.sources),
            "doubts": list(self.doubts),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str | None = None) -> Recipe:
        """Read what `as_dict` wrote.

        Parameters
        ----------
        values
            Parts; absent ones take the value of the recipe called ``name``, else of ``ance``.
        source
            Recorded as the source of every part given; None keeps the recorded sources.

        Raises
        ------
        UsageError
            If a part is unknown or a value is not allowed.
        """
        rest = dict(values)
        name = str(rest.pop("name", "ance"))
        doubts = rest.pop("doubts", ())
        sources = rest.pop("sources", {})
        if not isinstance(doubts, list | tuple) or not isinstance(sources, Mapping):
            raise UsageError("recipe: sources must be a table and doubts a list")
        base = _NAMED.get(name, Recipe())
        recipe = base.replace(source or "recipe", **rest)
        kept = recipe.sources if source else {str(k): str(v) for k, v in sources.items()}
        return dataclasses.replace(recipe, name=name, sources=kept, doubts=tuple(doubts))


PARTS: tuple[str, ...] = tuple(
    item.name
    for item in dataclasses.fields(Recipe)
    if item.name not in ("name", "sources", "doubts")
)


def check_part(part: str) -> None:
    """Refuse an unknown part with its nearest match."""
    if part not in PARTS:
        raise UsageError(f"recipe part: {one_of(part, PARTS)}")


def _checked(part: str, value: Any) -> Any:
    kind = type(_DEFAULTS[part])
    value = _CONVERT[kind](part, value)
    if part in CHOICES and value not in CHOICES[part]:
        allowed = [",".join(c) if isinstance(c, tuple) else c for c in CHOICES[part]]
        got = ",".join(value) if isinstance(value, tuple) else value
        raise UsageError(f"{part}: {one_of(got, allowed)}")
    return value


def _text(part: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{part}: got {shown(value)}; allowed: text")
    return value


def _flag(part: str, value: Any) -> bool:
    words = {"true": True, "false": False}
    found = words.get(str(value).lower()) if isinstance(value, bool | str) else None
    if found is None:
        raise UsageError(f"{part}: got {shown(value)}; allowed: true, false")
    return found


def _count(part: str, value: Any) -> int:
    try:
        number = int(value) if isinstance(value, str | int) and not isinstance(value, bool) else -1
    except ValueError:
        number = -1
    lowest = MINIMUM_LENGTH if part.startswith("max_") and part.endswith("_length") else 0
    if number < 0 or 0 < number < lowest:
        least = f"{lowest} or more (0 = the tokenizer's limit)" if lowest else "0 or more"
        raise UsageError(f"{part}: got {shown(value)}; allowed: a whole number, {least}")
    return number


def _positive(part: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise UsageError(f"{part}: got {shown(value)}; allowed: a number above 0")
    return number


def _names(part: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [name.strip() for name in value.split(",")]
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise UsageError(f"{part}: got {shown(value)}; allowed: names separated by commas")
    return tuple(value)


_CONVERT: dict[type, Callable[[str, Any], Any]] = {
    str: _text,
    bool: _flag,
    int: _count,
    float: _positive,
    tuple: _names,
}
_DEFAULTS: dict[str, Any] = {
    item.name: item.default for item in dataclasses.fields(Recipe) if item.name in PARTS
}

# What each name changes against `ance`; sources: the ANCE and DANCE code (models.py,
# msmarco_data.py) and, for ance-head, ANCE at HEAD (separator token, tokenizer's padding id).
_L2 = {
    "normalize": True,
    "document_layernorm": False,
    "similarity": "cosine",
    "temperature": 0.01,
}
_MAXP = {"chunk_length": 512, "max_document_length": 2048}
_DPR = {
    "head": "none",
    "tokenization": "pair",
    "drop_question_mark": True,
    "separator": " [SEP] ",
    "positions": "model",
    "mask": "model",
    "fields": ("title", "text"),
    "max_query_length": 256,
    "max_document_length": 256,
    "max_document_characters": 0,
}
_CHANGES: dict[str, dict[str, Any]] = {
    "ance": {},
    "ance-maxp": _MAXP,
    "ance-head": {"separator": " </s> ", "pad_token_id": 1},
    "dance": _L2,
    "dance-maxp": {**_L2, **_MAXP},
    "dance-symmetric": {**_L2, "document_layernorm": True},
    "dpr": _DPR,
}
_NAMED: dict[str, Recipe] = {
    name: Recipe(name=name, **changes) for name, changes in _CHANGES.items()
}
RECIPE_NAMES: tuple[str, ...] = tuple(_NAMED)


def named_recipe(name: str, source: str | None = None) -> Recipe:
    """Return a recipe by name.

    Parameters
    ----------
    name
        One of `RECIPE_NAMES`.
    source
        Recorded as the source of every part; default ``"recipe NAME"``.

    Raises
    ------
    UsageError
        If there is no such recipe; the message names the nearest.
    """
    if name not in _NAMED:
        raise UsageError(
            f"recipe: {one_of(name, RECIPE_NAMES)}, or the path of a JSON or TOML file"
        )
    origin = dict.fromkeys(PARTS, source or f"recipe {name}")
    return dataclasses.replace(_NAMED[name], sources=origin)


def load_recipe(path: Path) -> dict[str, Any]:
    """Read the parts in a JSON or TOML recipe file, checked but not completed.

    Raises
    ------
    UsageError
        If the file is neither, a part is unknown, or a value is not allowed.
    """
    values = _read_toml(path) if path.suffix.lower() == ".toml" else read_json(path)
    if not isinstance(values, dict):
        raise UsageError(f"{path}: got {type(values).__name__}; allowed: a table of recipe parts")
    try:
        Recipe.from_dict(values)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    return values


def _read_toml(path: Path) -> Any:
    try:
        return read_toml(path)
    except InputError as error:
        raise UsageError(str(error)) from None
