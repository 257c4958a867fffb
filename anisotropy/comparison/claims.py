"""The claims of the paper as values: written down before a run, decided after it.

A claim is about one method held against others on a few measures. What the outcomes mean, how the
margins were chosen and what the controls are for: ``docs/claims.md``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anisotropy.errors import InputError, UsageError, one_of, shown
from anisotropy.files import read_json, write_text
from anisotropy.measures import definition_of, parse
from anisotropy.untrusted.texts import read_toml

FORMAT = "anisotropy.claims/1"
WARM, ANCE, CONTINUED = "warm start", "ANCE", "ANCE continued"
NORM, DUAL, DANCE = "ANCE w. Norm", "ANCE w. Dual", "DANCE"
SYMMETRIC, STEP_ZERO = "DANCE symmetric", "step 0"
#: Rows of every table, in order.
METHODS = (WARM, ANCE, CONTINUED, NORM, DUAL, DANCE, SYMMETRIC, STEP_ZERO)
#: What a value is held against besides methods.
NULL, OWN = "isotropic null", "own documents"
DIRECTIONS = ("up", "down")
ROLES = ("primary", "secondary", "beside")
SCALES = ("absolute", "relative")


@dataclass(frozen=True)
class Part:
    """One measure of a claim, with the difference that the claim says there is.

    Attributes
    ----------
    side, measure, on
        The row of results.
    direction
        ``up`` or ``down``: the sign of method minus `against` that supports the claim.
    margin
        The smallest difference that matters, 0 or more; smaller ones are no difference.
    against
        A method, ``isotropic null`` (the measure's null in the same space) or ``own documents``
        (the same measure on the documents of the same space).
    scale
        ``absolute``: method minus `against`. ``relative``: that over `against`, 0.05 = 5%.
    role
        ``primary`` parts decide; a ``secondary`` one that significantly opposes makes the outcome
        *mixed*; one ``beside`` is shown and decides nothing.
    why
        Where the margin comes from.
    """

    side: str
    measure: str
    on: str
    direction: str
    margin: float = 0.0
    against: str = ANCE
    scale: str = "absolute"
    role: str = "primary"
    why: str = ""

    def __post_init__(self) -> None:
        for name, allowed in (("direction", DIRECTIONS), ("scale", SCALES), ("role", ROLES)):
            if getattr(self, name) not in allowed:
                raise UsageError(f"claims: {name}: {one_of(getattr(self, name), allowed)}")
        if self.against not in (*METHODS, NULL, OWN):
            raise UsageError(f"claims: against: {one_of(self.against, (*METHODS, NULL, OWN))}")
        object.__setattr__(self, "margin", _margin(self.margin))
        measure = parse(str(self.measure))
        object.__setattr__(self, "measure", measure.text)
        places = definition_of(measure).places_of(measure)
        if (self.side, self.on) not in places:
            known = [f"{side}.{on}" for side, on in places]
            raise UsageError(f"claims: {measure.text}: {one_of(f'{self.side}.{self.on}', known)}")

    @property
    def name(self) -> str:
        """Address of the row, as in gates: ``queries.unit.mean_cosine``."""
        return f"{self.side}.{self.on}.{self.measure}"

    @property
    def key(self) -> tuple[str, str, str]:
        """Side, measure and transform, as estimates are found by."""
        return (self.side, self.measure, self.on)


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes
    ----------
    claim
        Its letter.
    text
        What it says.
    method
        Which method it is about.
    parts
        At least one of them primary. Supported are all primary parts, or the claim is not.
    """

    claim: str
    text: str
    method: str
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UsageError(f"claims: method: {one_of(self.method, METHODS)}")
        if not any(part.role == "primary" for part in self.parts):
            raise UsageError(
                f"claims: {shown(self.claim)} has no primary part, so nothing decides it"
            )


@dataclass(frozen=True)
class Contrast:
    """Two methods between which the claims are asked again, for attribution.

    Attributes
    ----------
    method, against
        Differences are `method` minus `against`.
    what
        What else than the method is the same, and so what a difference is due to.
    """

    method: str
    against: str
    what: str

    def __post_init__(self) -> None:
        for name in (self.method, self.against):
            if name not in METHODS:
                raise UsageError(f"claims: contrast: {one_of(name, METHODS)}")

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.method} - {self.against}"


CONTRASTS: tuple[Contrast, ...] = (
    Contrast(DANCE, ANCE, "loss, L2, head, temperature and more steps at once"),
    Contrast(DANCE, CONTINUED, "equal steps: loss, L2, head and temperature"),
    Contrast(DANCE, NORM, "equal steps, the same L2, head and temperature: the dual loss alone"),
    Contrast(DUAL, CONTINUED, "equal steps, dot product in both: the dual loss alone"),
    Contrast(NORM, CONTINUED, "equal steps: L2, head and temperature, no dual loss"),
    Contrast(SYMMETRIC, CONTINUED, "equal steps: as DANCE, without the asymmetry of its head"),
    Contrast(STEP_ZERO, ANCE, "no training: the same weights under the dance recipe"),
    Contrast(CONTINUED, ANCE, "more steps alone"),
)


@dataclass(frozen=True)
class Claims:
    """Everything that is written down before a run.

    Attributes
    ----------
    claims
        In order; Holm's correction is over them.
    contrasts
        The first is that of the claims themselves.
    level
        Of intervals.
    note
        Where the claims come from.
    """

    claims: tuple[Claim, ...]
    contrasts: tuple[Contrast, ...] = CONTRASTS
    level: float = 0.95
    note: str = ""

    def __post_init__(self) -> None:
        names = [claim.claim for claim in self.claims]
        twice = next((name for name in names if names.count(name) > 1), None)
        if not names or twice is not None:
            got = f"{shown(twice)} twice" if names else "no claims"
            raise UsageError(f"claims: got {got}; allowed: one or more, each with its own letter")
        if not self.contrasts:
            raise UsageError("claims: got no contrasts; allowed: one or more")
        if not isinstance(self.level, int | float) or not 0.5 < self.level < 1:
            raise UsageError(f"claims: level: got {shown(self.level)}; allowed: between 0.5 and 1")

    @property
    def measures(self) -> tuple[str, ...]:
        """Text identities of the measures that the claims need, without repeats."""
        return tuple(dict.fromkeys(part.measure for claim in self.claims for part in claim.parts))

    def asked(self, contrast: Contrast) -> tuple[Claim, ...]:
        """The claims as they are in the first contrast, and put to two other methods in others.

        Only claims between the two methods of the first contrast can be put to others.
        """
        first = self.contrasts[0]
        if contrast == first:
            return self.claims
        return tuple(
            dataclasses.replace(
                claim,
                method=contrast.method,
                parts=tuple(
                    dataclasses.replace(part, against=contrast.against) for part in claim.parts
                ),
            )
            for claim in self.claims
            if claim.method == first.method
            and all(part.against == first.against for part in claim.parts)
        )

    def text(self) -> str:
        """The claims as readable JSON; equal claims give equal text."""
        content = {
            "format": FORMAT,
            "note": self.note,
            "level": self.level,
            "claims": [dataclasses.asdict(claim) for claim in self.claims],
            "contrasts": [dataclasses.asdict(contrast) for contrast in self.contrasts],
        }
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"

    @property
    def digest(self) -> str:
        """SHA-256 of :meth:`text`."""
        return hashlib.sha256(self.text().encode("utf-8")).hexdigest()


_COSINE = "a judgment: 0.02 of cosine"
_POTENTIAL = "a mean Gaussian potential that is 5% another"
_DIRECTIONS = "5% more or fewer directions in use"
_NDCG = (
    "half of the only public gain of DANCE over ANCE, 0.373 to 0.383 MRR@100 on MS MARCO "
    "document dev"
)
_NOTE = (
    "Claims of the abstract of arXiv 2107.07773. 'Smooth' is not defined there and not decided. "
    "The margins are this project's: the smallest difference that matters, chosen before any run."
)


def paper_claims(k: int = 200) -> Claims:
    """The claims of the DANCE abstract, with this project's margins.

    Parameters
    ----------
    k
        Depth of mining that decides claim d: 200, or what keeps MS MARCO's ratio to the pool of
        training queries where that is small (:func:`anisotropy.measures.mining.depth_for`).

    Returns
    -------
    Claims
        a0 to f, DANCE against ANCE except a0.
    """
    return Claims(
        (
            _diagnosis(), _uniform(), _closer(), _discriminative(), _even(k), _dual(), _ranking(),
        ),
        note=_NOTE,
    )  # fmt: skip


def _diagnosis() -> Claim:
    cosine = ("queries", "mean_cosine", "unit", "up")
    return Claim(
        "a0",
        "ANCE's query space is anisotropic",
        ANCE,
        (
            Part(*cosine, 0.05, NULL, why="a judgment: 0.05 of cosine"),
            Part(*cosine, 0.02, OWN, why=_COSINE),
            Part(*cosine, 0.02, WARM, why=_COSINE),
        ),
    )


def _uniform() -> Claim:
    sides = ("queries", "documents")
    return Claim(
        "a",
        "DANCE's space is less anisotropic (uniform)",
        DANCE,
        (
            *(Part(side, "mean_cosine", "unit", "down", 0.02, why=_COSINE) for side in sides),
            *(Part(s, "uniformity(t=2)", "unit", "down", 0.05, why=_POTENTIAL) for s in sides),
            *(
                Part(s, "participation_ratio", "unit", "up", scale="relative", role="secondary")
                for s in sides
            ),
        ),
    )


def _closer() -> Claim:
    absolute = (
        ("positives", "positive_distance"),
        ("positives", "alignment(alpha=2)"),
        ("cross", "gap"),
    )
    return Claim(
        "b",
        "DANCE's queries are concentrated closer to the documents",
        DANCE,
        (
            Part(
                "positives", "relative_positive_distance", "unit", "down", 0.02,
                why="2% of the mean random query-document distance",
            ),
            Part(
                "cross", "relative_gap", "unit", "down", 0.05,
                why="5% of the spread within the sides",
            ),
            Part(
                "positives", "positive_percentile", "unit", "down", 0.1, scale="relative",
                why="10% fewer documents nearer than the relevant one",
            ),
            *(Part(side, name, "unit", "down", role="beside") for side, name in absolute),
        ),
    )  # fmt: skip


def _discriminative() -> Claim:
    return Claim(
        "c",
        "DANCE's document distribution is more discriminative",
        DANCE,
        (
            Part("documents", "uniformity(t=2)", "unit", "down", 0.05, why=_POTENTIAL),
            Part(
                "documents", "participation_ratio", "unit", "up", 0.05, scale="relative",
                why=_DIRECTIONS,
            ),
            Part("positives", "margin", "recipe", "up", role="secondary"),
        ),
    )  # fmt: skip


def _even(k: int) -> Claim:
    why = "nats: an effective number of queries that is 5% another"
    return Claim(
        "d",
        "DANCE draws queries with more uniform negative-sampling probabilities",
        DANCE,
        tuple(
            Part("queries", f"negative_probability_kl({inside})", "recipe", "down", 0.05, why=why)
            for inside in (f"k={k}", f"k={k}, center=sides")
        ),
    )


def _dual() -> Claim:
    return Claim(
        "e",
        "DANCE's queries are well optimized in query retrieval",
        DANCE,
        (Part("dual_ranking", "RR@10", "recipe", "up", 0.005, why=_NDCG),),
    )


def _ranking() -> Claim:
    return Claim(
        "f",
        "DANCE ranks better",
        DANCE,
        tuple(
            Part("ranking", name, "recipe", "up", 0.005, why=_NDCG)
            for name in ("nDCG@10", "R@100")
        ),
    )


def write_claims(claims: Claims, path: str | Path) -> Path:
    """Write claims as readable JSON, before the run that decides them.

    Parameters
    ----------
    claims
        What to write.
    path
        File; its folder is made.

    Returns
    -------
    pathlib.Path
        `path`.
    """
    path = Path(path)
    write_text(path, claims.text())
    return path


def read_claims(path: str | Path, base: Claims | None = None) -> Claims:
    """Read a claims file, JSON or TOML.

    Parameters
    ----------
    path
        A table with ``claims`` (and ``contrasts``, ``level``, ``note``) as `write_claims` writes
        them, or with ``margins`` alone: ``"ranking.recipe.nDCG@10" = 0.01`` changes the margin
        of every primary part on that row.
    base
        What ``margins`` change; default :func:`paper_claims`.

    Raises
    ------
    UsageError
        If the file is not readable, or a key, name or value is not allowed.
    """
    path = Path(path)
    content = _table(path)
    allowed = ("format", "note", "level", "claims", "contrasts", "margins")
    _known(f"{path}", content, allowed)
    if content.get("format", FORMAT) != FORMAT:
        raise UsageError(f"{path}: format: {one_of(content['format'], [FORMAT])}")
    try:
        found = base or paper_claims()
        if "claims" in content:
            found = dataclasses.replace(found, claims=tuple(map(_claim, _rows(content, "claims"))))
        if "contrasts" in content:
            contrasts = [_made(Contrast, row) for row in _rows(content, "contrasts")]
            found = dataclasses.replace(found, contrasts=tuple(contrasts))
        plain = {name: content[name] for name in ("note", "level") if name in content}
        return _with_margins(dataclasses.replace(found, **plain), content.get("margins", {}))
    except (UsageError, TypeError) as error:
        raise UsageError(f"{path}: {error}") from None


def _table(path: Path) -> dict[str, Any]:
    if path.suffix.lower() != ".toml":
        content = read_json(path)
    else:
        try:
            content = read_toml(path)
        except InputError as error:
            raise UsageError(str(error)) from None
    if not isinstance(content, dict):
        raise UsageError(f"{path}: got {type(content).__name__}; allowed: a table of claims")
    return content


def _known(where: str, content: Mapping[str, Any], allowed: Iterable[str]) -> None:
    allowed = list(allowed)
    for key in content:
        if key not in allowed:
            raise UsageError(f"{where}: unknown key: {one_of(key, allowed)}")


def _rows(content: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    rows = content[name]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or not rows:
        raise UsageError(f"{name}: allowed: a list of tables, one or more")
    return rows


def _made(kind: Any, row: Mapping[str, Any]) -> Any:
    """A value of a dataclass from a table; what is missing or unknown is named."""
    fields = dataclasses.fields(kind)
    _known(kind.__name__.lower(), row, [one.name for one in fields])
    needed = [one.name for one in fields if one.default is dataclasses.MISSING]
    missing = [name for name in needed if name not in row]
    if missing:
        raise UsageError(f"{kind.__name__.lower()}: {', '.join(missing)} missing")
    return kind(**row)


def _claim(row: Mapping[str, Any]) -> Claim:
    if "parts" in row:
        row = {**row, "parts": tuple(_made(Part, part) for part in _rows(row, "parts"))}
    made: Claim = _made(Claim, row)
    return made


def _with_margins(claims: Claims, margins: Any) -> Claims:
    if not isinstance(margins, Mapping):
        raise UsageError("margins: allowed: a table of numbers")
    known = {p.name: None for c in claims.claims for p in c.parts if p.role == "primary"}
    _known("margins", margins, known)
    return dataclasses.replace(
        claims,
        claims=tuple(
            dataclasses.replace(
                claim, parts=tuple(_with_margin(part, margins) for part in claim.parts)
            )
            for claim in claims.claims
        ),
    )


def _with_margin(part: Part, margins: Mapping[str, Any]) -> Part:
    if part.role != "primary" or part.name not in margins:
        return part
    return dataclasses.replace(part, margin=margins[part.name], why="given")


def _margin(value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not (0 <= value < math.inf):
        raise UsageError(f"claims: margin: got {shown(value)}; allowed: a number, 0 or more")
    return float(value)
