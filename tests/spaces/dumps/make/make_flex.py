"""Writes fixtures with PyTerrier's FlexIndex: python make_flex.py SOURCE OUT.

SOURCE is the unpacked wheel of pyterrier_dr (0.8.1); npids (0.1.3) is installed. PyTerrier
itself needs Java and is not touched by writing, so it is stood in for by two empty classes.
"""

from __future__ import annotations

import enum
import sys
import types
from pathlib import Path
from typing import Any

from docnos import IDS
from made_up import DOCUMENTS

SOURCE, OUT = Path(sys.argv[1]), Path(sys.argv[2])


class Artifact:
    def __init__(self, path: str) -> None:
        self.path = path


class SimFn(enum.Enum):
    dot = "dot"


def module(name: str, **content: Any) -> None:
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__dict__.update(content)


module("pyterrier", Indexer=object)
module("pyterrier_alpha", Artifact=Artifact)
module("pyterrier_dr", __path__=[str(SOURCE / "pyterrier_dr")], SimFn=SimFn)
module("pyterrier_dr.flex", __path__=[str(SOURCE / "pyterrier_dr/flex")])
module("more_itertools", peekable=iter)
module("ir_measures", Measure=object)

from pyterrier_dr.flex.core import FlexIndex  # noqa: E402

for name, ids in IDS.items():
    rows = [DOCUMENTS[number % len(DOCUMENTS)] for number in range(len(ids))]
    rows = rows if name == "mixed" else [row[:2] for row in rows]
    index = FlexIndex(str(OUT / name), verbose=False)
    index.index({"docno": docno, "doc_vec": row} for docno, row in zip(ids, rows, strict=True))
