"""What is taken from source files, and how a docstring is split."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from anisotropy.collection.harvest import Pair, harvest, part
from anisotropy.errors import CollectionError
from tests.collection.folders import write

REST = "These eight words are enough for one document."


def test_a_line_and_its_rest() -> None:
    docstring = """
    Add two   numbers.

    These eight words are
    enough for one document.

    Parameters
    ----------
    x : int
        A number.
    """
    assert part(docstring) == ("Add two numbers.", f"{REST}\nParameters\nx : int A number.")


@pytest.mark.parametrize(
    ("first", "summary", "remainder"),
    [
        ("Add two numbers,\n    or three.", "Add two numbers, or three.", ""),
        (
            "Add two numbers, e.g. One\n and two. Or three.",
            "Add two numbers, e.g. One and two.",
            "Or three.\n",
        ),
        ("Add two numbers. Or three.", "Add two numbers. Or three.", ""),
        ("add(a, b=(1, 2))\n\nAdd two numbers.", "Add two numbers.", ""),
        (
            "add($self, a, /)\n--\n\nadd(a, /)\n\nAdd two numbers.",
            "Add two numbers.",
            "",
        ),
        ("add(a) -> int\n\nAdd two numbers.", "Add two numbers.", ""),
    ],
)
def test_summaries(first: str, summary: str, remainder: str) -> None:
    assert part(f"{first}\n\n{REST}") == (summary, remainder + REST)


@pytest.mark.parametrize(
    "docstring",
    [
        "",
        "\n\n",
        f"Too short.\n\n{REST}",
        "Add two numbers.",
        "Add two numbers.\n\nNot enough words here at all, seven.",
        f"Parameters\n----------\n{REST}",
        f"Add two %(kind)s now.\n\n{REST}",
        f"Add two {{kind}} now.\n\n{REST}",
        f".. deprecated:: 1.0 of this\n\n{REST}",
        f">>> add two numbers now\n\n{REST}",
        f"{'word ' * 41}\n\n{REST}",
        "add(a)",
    ],
)
def test_what_is_no_pair(docstring: str) -> None:
    assert part(docstring) is None


def source(what: str, name: str, summary: str = "", indent: int = 0) -> str:
    line = summary or name.split("(")[0] + " does this."
    body = f'{what} {name}:\n    """{line}\n\n    {REST}\n    """\n'
    return "".join(" " * indent + line + "\n" for line in body.splitlines())


def package(folder: Path) -> Path:
    """Write a package whose import would fail."""
    module = "raise SystemExit('imported')\n" + "".join(
        [
            source("def", "plain(x)"),
            source("async def", "later(x)"),
            source("def", "_private(x)"),
            source("class", "Thing"),
            source("def", "method(self)", indent=4),
            source("def", "__init__(self)", indent=4),
            source("class", "Inner", indent=4),
            source("def", "deep(self)", indent=8),
            source("class", "_Hidden"),
            source("def", "within(self)", indent=4),
            "if True:\n",
            source("def", "guarded(x)", indent=4),
            "try:\n    pass\nexcept ImportError:\n",
            source("def", "fallback(x)", indent=4),
            "def outer():\n",
            source("def", "nested(x)", indent=4),
            f'add_newdoc("pkg._core.multi", "array", """array(x)\n\nMake it now.\n\n{REST}""")\n',
            f'add_newdoc("pkg._core", "nd", ("flat", """Flat view of it.\n\n{REST}"""))\n',
            f'add_newdoc("sine", """Sine of an angle.\n\n{REST}""")\n',
            f'add_newdoc("Kind", "text", """Not a documented place.\n\n{REST}""")\n',
            "add_newdoc('sine', computed())\nother('sine', 'x')\n",
        ]
    )
    write(folder / "_impl" / "_module.py", module)
    write(folder / "__init__.py", source("def", "top(x)"))
    write(folder / "sub" / "escapes.py", source("def", "escape(x)").replace("this", r"this \d"))
    for left_out in ("tests/test_a.py", "_vendored/b.py", "distutils/c.py", "__config__.py"):
        write(folder / left_out, source("def", "unwanted(x)"))
    return folder


def test_what_is_harvested(tmp_path: Path) -> None:
    pairs = harvest({"pkg": package(tmp_path / "pkg")})
    assert [pair.name for pair in pairs] == [
        "pkg.top",
        "pkg.plain",
        "pkg.later",
        "pkg.Thing",
        "pkg.Thing.method",
        "pkg.Thing.Inner",
        "pkg.Thing.Inner.deep",
        "pkg.guarded",
        "pkg.fallback",
        "pkg.multi.array",
        "pkg.nd.flat",
        "pkg.sine",
        "pkg.sub.escapes.escape",
    ]
    assert pairs[1] == Pair("pkg.plain", "plain does this.", REST)
    assert "pkg" not in sys.modules


def test_order_does_not_depend_on_the_place(tmp_path: Path) -> None:
    here = harvest({"pkg": package(tmp_path / "a")})
    there = harvest({"pkg": package(tmp_path / "z" / "other")})
    assert here == there


def test_a_file_that_is_no_python(tmp_path: Path) -> None:
    write(tmp_path / "bad.py", "def (:\n")
    with pytest.raises(CollectionError, match=r"bad\.py: cannot be parsed \(SyntaxError\)"):
        harvest({"pkg": tmp_path})
