"""Execute the notebooks of this folder, beside which the originals stay without outputs.

::

    python analyses/notebooks/execute.py --out analyses/notebooks/executed [NAME ...]

The checkpoints are those of ``make demo``, or the folders that ``ANISOTROPY_ANCE`` and
``ANISOTROPY_DANCE`` name. With nbconvert at hand each notebook is written as HTML too. A notebook
that fails is written as far as it came.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent.parent))
from anisotropy.errors import AnisotropyError, MissingExtra, UsageError, one_of
from anisotropy.files import write_text

FOLDER = Path(__file__).parent
#: Variable to the checkpoint that is read without it.
CHECKPOINTS = {
    "ANISOTROPY_ANCE": FOLDER.parent.parent / "demo/ance.ckpt",
    "ANISOTROPY_DANCE": FOLDER.parent.parent / "demo/dance.ckpt",
}
CELL_SECONDS = 1800
_COLORS = re.compile(r"\x1b\[[0-9;]*m")


def notebooks(names: Sequence[str] = ()) -> list[Path]:
    """Paths of the notebooks, all or some by name.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    known = {path.stem: path for path in sorted(FOLDER.glob("*.ipynb"))}
    for name in names:
        if name.removesuffix(".ipynb") not in known:
            raise UsageError(f"notebook: {one_of(name, known)}")
    return [known[name.removesuffix(".ipynb")] for name in names or known]


def execute(path: Path, variables: Mapping[str, str] | None = None) -> tuple[Any, str]:
    """Run all cells in a kernel of this Python, on this machine only.

    Parameters
    ----------
    path
        The notebook; its folder is the one the kernel works in.
    variables
        Environment variables over those of this process.

    Returns
    -------
    tuple
        The notebook with its outputs, and what went wrong: empty, or the error of the cell
        after which nothing was run.

    Raises
    ------
    MissingExtra
        If nbclient, nbformat or ipykernel is not installed.
    """
    try:
        import nbformat
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError
    except ImportError:
        raise MissingExtra("executing notebooks", "test") from None
    node = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as private:
        client = NotebookClient(
            node, timeout=CELL_SECONDS, kernel_name="python3", config=_connection(Path(private)),
            resources={"metadata": {"path": str(path.parent)}},
        )  # fmt: skip
        try:
            client.execute(env=_environment(variables or {}))
        except CellExecutionError as error:
            return node, _COLORS.sub("", str(error))
    return node, ""


def _connection(folder: Path) -> Any:
    """Sockets of the kernel in a folder of our own, where the system has such; else loopback."""
    from traitlets.config import Config

    transport = "ipc" if hasattr(socket, "AF_UNIX") else "tcp"
    place = {"transport": transport, "connection_file": str(folder / "kernel.json")}
    return Config({"KernelManager": place})


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """That of this process, in which the kernel finds this package too, and what is given."""
    root = str(FOLDER.parent.parent)
    search = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH")) if part)
    return {**os.environ, "PYTHONPATH": search, **variables}


def as_html(node: Any) -> str | None:
    """The executed notebook as a page; None where nbconvert is not installed."""
    try:
        from nbconvert import HTMLExporter
    except ImportError:
        return None
    page: str = HTMLExporter().from_notebook_node(node)[0]
    return page


def run(paths: Sequence[Path], out: Path) -> int:
    """Execute notebooks into a folder; the number of those that failed."""
    import nbformat

    failed = 0
    for path in paths:
        print(f"executing {path.name}", file=sys.stderr, flush=True)
        node, error = execute(path)
        write_text(out / path.name, nbformat.writes(node))
        page = as_html(node)
        if page is not None:
            write_text(out / f"{path.stem}.html", page)
        if error:
            failed += 1
            print(f"error: {path.name}: {error}", file=sys.stderr)
        print(out / path.name)
    return failed


def check_checkpoints() -> None:
    """Refuse to start without the checkpoints that the notebooks read.

    Raises
    ------
    UsageError
        If one is not there.
    """
    for variable, usual in CHECKPOINTS.items():
        path = Path(os.environ.get(variable, usual))
        if not path.exists():
            raise UsageError(f"{path}: no checkpoint there; run make demo, or set {variable}")
        # The kernel works in another folder than this program.
        os.environ[variable] = str(path.absolute())


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a notebook; default: all")
    parser.add_argument("--out", type=Path, default=FOLDER / "executed", help="folder to write to")
    options = parser.parse_args(words)
    try:
        paths = notebooks(options.names)
        check_checkpoints()
        return 1 if run(paths, options.out) else 0
    except AnisotropyError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
