"""The definition pages: Markdown written from the registry, one page a family, and an index."""

from __future__ import annotations

from textwrap import wrap

from anisotropy.measures.base import Definition, Family
from anisotropy.measures.describing import (
    CHAINS,
    SIDES,
    comparability,
    direction,
    identity,
    in_default_set,
    places,
    plain,
    uncertainty,
    value_range,
)
from anisotropy.measures.registry import all_families, registry

_WIDTH = 96
_INTRODUCTION = """\
# Measures

Generated from the definitions in the code (`make docs`); do not edit. A measure has a text
identity, such as `uniformity(t=2)`, which is the same string on the command line, in tables,
in files and in Python, and one identity is one number. `anisotropy measures NAME` prints the
same definition in the terminal. Cite a definition by its identity and the version of the
package.

Notation: x_i are the rows of a side, n of them in dim dimensions; u_i = x_i/|x_i|; m is the
mean of the rows and S their covariance (divisor n - 1); indices q and d stand for queries and
documents.
"""
_STATISTICS = """\
## Statistics

* **Population.** The document collection is fixed and the queries are a sample of queries that
  could have been asked, so intervals generalize over queries. A value over documents alone is a
  census: it carries no interval, except for the error of the choice where rows were sampled.
* **Unit.** What is resampled: queries, with all their judged pairs (documents on
  `dual_ranking`). Pairs of one query are not independent.
* **Estimator.** `exact`, `corrected` (a known bias of the sample size removed), `sampled`
  (from seeded rows of a large side) or `subsampled` (at a common number of rows).
* **Method.** `closed_form` (a mean of independent values), `jackknife` (units or blocks of units
  left out, exactly or to first order), `subsample`, `bootstrap`.
* **Interval.** 95%, Student's t over the units. It is withheld where it does not cover; the
  notes of the measure say so.
* **Null.** The value that a space without the property would show at this size; null_sd is its
  spread and null_p a two-sided normal p.
"""


def pages() -> dict[str, str]:
    """File names and texts, the index first."""
    return {"index.md": _index()} | {f"{f.name}.md": _family_page(f) for f in all_families()}


def _index() -> str:
    parts = [_INTRODUCTION, "## Families\n", _families_table(), "## Sides\n", _terms(SIDES)]
    parts += ["## Transforms\n", _terms(CHAINS), _STATISTICS, "## All measures\n"]
    rows = [
        f"| [`{identity(d)}`]({d.family}.md#{d.name.lower()}) | {escaped(direction(d))} | "
        f"{'yes' if in_default_set(d) else 'comparisons' if d.between else 'no'} |"
        for d in registry()
    ]
    head = "| measure | a larger value means | default set |\n|---|---|---|\n"
    return "\n".join(parts) + "\n" + head + "\n".join(rows) + "\n"


def _families_table() -> str:
    rows = [
        f"| [{f.title}]({f.name}.md) | {escaped(f.sees)} | {escaped(f.blind)} |"
        for f in all_families()
    ]
    return "| family | sees | is blind to |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _terms(words: dict[str, str]) -> str:
    return "\n".join(_item(f"`{word}`: {escaped(text)}") for word, text in words.items()) + "\n"


def _family_page(family: Family) -> str:
    head = [
        f"# {family.title}",
        "[All measures](index.md)",
        _paragraph(f"**Sees** {escaped(family.sees)}."),
        _paragraph(f"**Is blind to** {escaped(family.blind)}."),
    ]
    mine = [page_of(d) for d in registry() if d.family == family.name]
    return "\n\n".join([*head, *mine]) + "\n"


def page_of(definition: Definition) -> str:
    """The definition of one measure as a section of a page."""
    parts = [
        f"## {definition.name}",
        f"`{identity(definition)}`",
        "```text\n"
        + "\n".join(wrap(definition.formula, _WIDTH, break_long_words=False))
        + "\n```",
        "\n".join(_item(line) for line in _facts(definition)),
    ]
    if definition.parameters:
        parts.append(_parameters(definition))
    if definition.note:
        parts.append(_paragraph(f"**Finite samples and traps.** {escaped(definition.note)}"))
    parts.append(_paragraph(f"**Reference.** {escaped(definition.reference)}."))
    return "\n\n".join(parts)


def _facts(definition: Definition) -> list[str]:
    members = ", ".join(f"`{text}`" for text in in_default_set(definition))
    if definition.between is not None:
        members = "taken by every comparison"
    if definition.counted:
        members = "counted where files are given with `--negatives`"
    return [
        f"**Range** {value_range(definition)}",
        f"**A larger value means** {escaped(direction(definition))}",
        f"**Sees** {escaped(definition.sees)}",
        f"**Is blind to** {escaped(definition.blind)}",
        f"**Measured on** {escaped('; '.join(places(definition)))}",
        f"**In the default set** {members or 'no; by name, or with `all`'}",
        f"**Population** {escaped(uncertainty(definition))}",
        f"**Null** {escaped(definition.null or 'none')}",
        f"**Compared** {comparability(definition) or 'between any two spaces of one collection'}",
    ]


def _parameters(definition: Definition) -> str:
    rows = [
        f"| `{p.name}` | {plain(p.default)} | {escaped(p.allowed)} | {escaped(p.meaning)} |"
        for p in definition.parameters
    ]
    return "| parameter | default | allowed | meaning |\n|---|---|---|---|\n" + "\n".join(rows)


def escaped(text: str) -> str:
    """Text whose signs Markdown would take for its own."""
    for sign in "\\_*|<[":
        text = text.replace(sign, "\\" + sign)
    return text


def _paragraph(text: str) -> str:
    return "\n".join(wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False))


def _item(text: str) -> str:
    return "\n".join(
        wrap(
            text,
            _WIDTH,
            initial_indent="* ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    )
