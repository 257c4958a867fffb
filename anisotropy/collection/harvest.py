"""Docstrings of installed packages as pairs of summary and remaining text, read by `ast` alone.

Nothing is imported and nothing is executed. What is taken, and what is left out:

* public classes, functions and methods (no leading underscore in their own name or their
  class's), and docstrings that ``add_newdoc`` calls give as literals; modules with a leading
  underscore are read, because NumPy and SciPy define public names in them, but the underscored
  part is left out of the name;
* not: tests, vendored code, build tools (``distutils`` comes only with some versions of Python),
  functions inside functions;
* the summary is the first line; of a first paragraph of several lines, its first sentence.
  Signatures before it are dropped. It has 3 to 40 words and no unfilled template;
* the document is everything after the summary, one paragraph a line, without underlines; it has
  at least 8 words.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from anisotropy.errors import CollectionError

SHORTEST_SUMMARY = 3
LONGEST_SUMMARY = 40
SHORTEST_DOCUMENT = 8

_LEFT_OUT = frozenset(
    {
        "_testing",
        "_vendored",
        "array_api_compat",
        "array_api_extra",
        "conftest",
        "distutils",
        "extern",
        "externals",
        "setup",
        "test",
        "testing",
        "tests",
        "vendored",
    }
)
_GENERATED = frozenset({"__config__", "_distributor_init", "_version", "version"})
_NEWDOC = frozenset({"add_newdoc", "add_docstring"})
_WORD = re.compile(r"\w+")
_UNDERLINE = re.compile(r"^[-=~^*\"']{2,}$")
_SENTENCE = re.compile(r"(?<!e\.g)(?<!i\.e)(?<!etc)(?<!vs)\.\s+(?=[A-Z`*\"'(:])")
_SIGNATURE = re.compile(r"^[\w.]+\s*\((?:[^()]|\([^()]*\))*\)(?:\s*->\s*\S.*)?$", re.DOTALL)
_NO_SUMMARY = ("..", ">>>", ":", "- ", "* ", "%(", "{")


class Pair(NamedTuple):
    """One docstring: the object's name, its summary, the text that follows."""

    name: str
    summary: str
    text: str


def harvest(packages: Mapping[str, Path]) -> list[Pair]:
    """Harvest the docstrings of packages.

    Parameters
    ----------
    packages
        Folder of each package by its name, in the order to read them.

    Returns
    -------
    list of Pair
        In the order of packages, paths and lines: the same on every machine.

    Raises
    ------
    CollectionError
        If a source file cannot be read or parsed.
    """
    return [
        pair
        for package, folder in packages.items()
        for path in python_files(folder)
        for pair in _pairs(path, _module_name(package, path.relative_to(folder)))
    ]


def python_files(folder: Path) -> list[Path]:
    """Source files below `folder` in a fixed order, without tests and vendored code."""
    paths = (path.relative_to(folder) for path in folder.rglob("*.py"))
    chosen = (path for path in paths if _is_wanted(path))
    return [folder / path for path in sorted(chosen, key=lambda path: path.as_posix())]


def _is_wanted(path: Path) -> bool:
    parts = path.with_suffix("").parts
    return _LEFT_OUT.isdisjoint(parts) and parts[-1] not in _GENERATED


def _module_name(package: str, path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join([package, *(part for part in parts if not part.startswith("_"))])


def _pairs(path: Path, module: str) -> Iterator[Pair]:
    for name, docstring in _docstrings(_parse(path).body, module):
        parted = part(docstring)
        if parted is not None:
            yield Pair(name, *parted)


def _parse(path: Path) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's docstrings
            return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError) as error:
        raise CollectionError(f"{path}: cannot be parsed ({type(error).__name__})") from None


def _docstrings(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, str]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _definition(node, prefix)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield from _newdoc(node.value, prefix)
        else:
            for inner in _nested(node):
                yield from _docstrings(inner, prefix)


def _definition(
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, prefix: str
) -> Iterator[tuple[str, str]]:
    if node.name.startswith("_"):
        return
    name = f"{prefix}.{node.name}"
    docstring = ast.get_docstring(node, clean=False)
    if docstring:
        yield name, docstring
    if isinstance(node, ast.ClassDef):
        yield from _docstrings(node.body, name)


def _nested(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    # Definitions under "if", "try" and "with" are public too.
    if isinstance(node, ast.If | ast.Try | ast.With):
        yield node.body
    if isinstance(node, ast.If | ast.Try):
        yield node.orelse
    if isinstance(node, ast.Try):
        yield from (handler.body for handler in node.handlers)


def _newdoc(call: ast.Call, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield what ``add_newdoc(place, name, docs)`` and ``add_newdoc(name, docs)`` document."""
    if not isinstance(call.func, ast.Name) or call.func.id not in _NEWDOC:
        return
    try:
        values = [ast.literal_eval(argument) for argument in call.args]
    except ValueError:
        return
    package = prefix.partition(".")[0]
    match values:
        case [str(place), str(name), str(docstring)] if _is_within(place, package):
            yield _public(f"{place}.{name}"), docstring
        case [str(place), str(name), (str(attribute), str(docstring))]:
            yield _public(f"{place}.{name}.{attribute}"), docstring
        case [str(name), str(docstring)] if not name.startswith("_"):
            yield f"{prefix}.{name}", docstring


def _is_within(place: str, package: str) -> bool:
    return place == package or place.startswith(f"{package}.")


def _public(name: str) -> str:
    return ".".join(part for part in name.split(".") if not part.startswith("_"))


def part(docstring: str) -> tuple[str, str] | None:
    """Split a docstring into its summary and the text after it.

    Parameters
    ----------
    docstring
        As it stands in the source, indentation included.

    Returns
    -------
    tuple of str or None
        Summary on one line, and the rest with one paragraph a line; None where one of them is
        missing, too short or a template.
    """
    paragraphs = [lines for lines in _paragraphs(docstring) if lines]
    while paragraphs and _is_signature(paragraphs[0]):
        paragraphs.pop(0)
    if not paragraphs:
        return None
    summary, remainder = _summary(paragraphs[0])
    rest = [remainder, *(" ".join(lines) for lines in paragraphs[1:])]
    text = "\n".join(paragraph for paragraph in rest if paragraph)
    if not _is_usable(summary) or len(words(text)) < SHORTEST_DOCUMENT:
        return None
    return summary, text


def words(text: str) -> list[str]:
    """Lower-case words of a text, without signs."""
    return _WORD.findall(text.lower())


def _paragraphs(docstring: str) -> Iterator[list[str]]:
    lines: list[str] = []
    for raw in docstring.splitlines():
        line = " ".join(raw.split())
        if line and not _UNDERLINE.match(line):
            lines.append(line)
            continue
        heading = [lines.pop()] if line and lines else []
        yield from (lines, heading)
        lines = []
    yield lines


def _is_signature(lines: list[str]) -> bool:
    return bool(_SIGNATURE.match(" ".join(lines)))


def _summary(lines: list[str]) -> tuple[str, str]:
    if len(lines) == 1:
        return lines[0], ""
    parts = _SENTENCE.split(" ".join(lines), maxsplit=1)
    if len(parts) == 1:
        return parts[0], ""
    return f"{parts[0]}.", parts[1]


def _is_usable(summary: str) -> bool:
    if "\n" in summary or summary.startswith(_NO_SUMMARY) or "%(" in summary or "{" in summary:
        return False
    return SHORTEST_SUMMARY <= len(words(summary)) <= LONGEST_SUMMARY
