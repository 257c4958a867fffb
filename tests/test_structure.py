"""The house: who may import whom, what stays light, how long a function may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import anisotropy

PACKAGE = Path(anisotropy.__file__).parent
#: A room imports, at the top of its modules, only from rooms above its own.
ORDER = (
    "errors",
    "untrusted",
    "files",
    "locking",
    "progress",
    "engine",
    "records",
    "results",
    "collection",
    "encoders",
    "spaces",
    "backend",
    "device",
    "neighbors",
    "statistics",
    "measures",
    "transforms",
    "opening",
    "conversion",
    "comparison",
    "projection",
    "plots",
    "report",
    "explorer",
    "training",
    "gates",
    "workflow",
    "reproduction",
    "inspection",
    "api",
    "cli",
    "__main__",
)
HEAVY = {
    "torch",
    "transformers",
    "sentence_transformers",
    "matplotlib",
    "umap",
    "faiss",
    "sklearn",
    "pandas",
    "scipy",
    "anywidget",
    "dask",
    "distributed",
}
HELP = "from anisotropy.cli import main\ntry:\n    main({})\nexcept SystemExit:\n    pass"
TORCH_ROOMS = {"backend", "device", "encoders", "training"}
#: Modules of other rooms that are for devices, and are imported where one is used.
TORCH_MODULES = {"engine/devices.py", "neighbors/on_device.py"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(nodes: list[ast.stmt]) -> Iterator[str]:
    """Modules imported when the module is, leaving out functions and TYPE_CHECKING."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from _from(node)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from imports(node.body + node.orelse)
        elif isinstance(node, ast.ClassDef):
            yield from imports(node.body)


def _from(node: ast.ImportFrom) -> Iterator[str]:
    if node.module == "anisotropy":
        yield from (f"anisotropy.{alias.name}" for alias in node.names)
    else:
        yield str(node.module)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    own = room(path)
    if own == "__init__":
        return
    assert own in ORDER, f"{own} has no place in the house"
    for name in imports(tree(path).body):
        if name.startswith("anisotropy.") and not name.startswith("anisotropy.__"):
            other = name.split(".")[1]
            assert ORDER.index(other) <= ORDER.index(own), f"{path} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_torch_stays_in_its_rooms(path: Path) -> None:
    found = {
        name.split(".")[0]
        for node in ast.walk(tree(path))
        for name in imports([node] if isinstance(node, ast.Import | ast.ImportFrom) else [])
    }
    own = path.relative_to(PACKAGE).as_posix()
    assert "torch" not in found or room(path) in TORCH_ROOMS or own in TORCH_MODULES


def run_and_list_modules(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {line.split(".")[0] for line in done.stderr.splitlines()}


@pytest.mark.parametrize(
    "code",
    [
        "import anisotropy",
        HELP.format(["--help"]),
        HELP.format(["compare", "--help"]),
        HELP.format(["compare"]),
    ],
)
def test_light(code: str) -> None:
    loaded = run_and_list_modules(code)
    assert not loaded & HEAVY


def test_light_list_can_fail() -> None:
    assert "matplotlib" in run_and_list_modules("import matplotlib")


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body:
                end = body[-1].end_lineno or 0
                yield f"{path.relative_to(PACKAGE)}:{node.name}", end - body[0].lineno + 1


def test_functions_are_short() -> None:
    lengths = dict(pair for path in modules() for pair in functions(path))
    values = sorted(lengths.values())
    assert values[len(values) // 2] <= 10
    long = {name: n for name, n in lengths.items() if n > 60}
    assert not long, long


def test_every_public_name_is_there() -> None:
    for name in anisotropy.__all__:
        assert getattr(anisotropy, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        anisotropy.nothing  # noqa: B018


def public_functions(path: Path) -> Iterator[tuple[str, str | None]]:
    if any(part.startswith("_") and part != "__init__.py" for part in path.parts[-2:]):
        return
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield f"{path.relative_to(PACKAGE)}:{node.name}", ast.get_docstring(node)


def test_public_functions_have_docstrings() -> None:
    missing = [name for path in modules() for name, doc in public_functions(path) if not doc]
    assert not missing
