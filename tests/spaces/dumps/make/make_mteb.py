"""Writes a fixture with MTEB's own vector cache: python make_mteb.py PACKAGE OUT.

PACKAGE is the folder that holds the installed package `mteb` (2.26.24); only the module of the
cache and that of its content hashes are loaded.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

from made_up import DOC_TEXTS, DOCUMENTS

SOURCE, OUT = Path(sys.argv[1]), Path(sys.argv[2])
names = (
    "mteb",
    "mteb.models",
    "mteb.models.cache_wrappers",
    "mteb.models.cache_wrappers.cache_backends",
)
for name in names:
    package = types.ModuleType(name)
    package.__path__ = [str(SOURCE / name.replace(".", "/"))]
    sys.modules[name] = package

from mteb.models.cache_wrappers.cache_backends.numpy_cache import NumpyCache  # noqa: E402

cache = NumpyCache(OUT, initial_vectors=32)
for start in range(0, 40, 16):
    batch = slice(start, start + 16)
    cache.add([{"text": text} for text in DOC_TEXTS[batch]], DOCUMENTS[batch])
cache.save()
