"""The machine: what it is, how busy it was, and how fast it can be at what the cases need."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from anisotropy.backend import cores
from benchmarks.quantities import Numbers, number

PACKAGES = ("anisotropy", "numpy", "scipy", "torch", "faiss-cpu", "scikit-learn", "openTSNE",
            "transformers", "sentence-transformers", "matplotlib", "pandas", "dask")  # fmt: skip
FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8", "asimd", "bf16")
#: Bytes of each array that is copied, well beyond any cache, and of the file that is read.
ARRAY, FILE = 256 << 20, 1 << 30
ROUNDS = 5


def facts() -> dict[str, Any]:
    """Processor, cores, libraries, versions, and how busy the machine is."""
    info = _cpuinfo()
    flags = set(info.get("flags", info.get("Features", "")).split())
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return {
        "cpu": info.get("model name", platform.processor() or platform.machine()),
        "flags": [flag for flag in FLAGS if flag in flags],
        "cores": cores(),
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS", ""),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "load": round(load, 2),
        "busy": load > 0.5,
    }


def warn(about: dict[str, Any]) -> None:
    """Say so where others work on the machine."""
    if about["busy"]:
        print(
            f"the load is {about['load']} before anything was started: times of a busy machine "
            "say little; wait until it is idle and run again", file=sys.stderr, flush=True,
        )  # fmt: skip


def _cpuinfo() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in reversed(lines))
    return {key.strip(): value.strip() for key, _, value in pairs if key.strip()}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def blas() -> list[str]:
    """Libraries of matrix products that are loaded by now."""
    from threadpoolctl import threadpool_info

    return sorted({
        f"{lib['internal_api']} {lib['version']} ({lib.get('architecture', 'any')})"
        for lib in threadpool_info() if lib["user_api"] == "blas"
    })  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """Rates of products in operations a second, for the shapes that the package uses.

    Attributes
    ----------
    pairs
        Rows against rows: (2048, dim) by (dim, 8192).
    gram
        Second moments: (dim, 8192) by (8192, dim).
    along
        Rows along directions: (8192, dim) by (dim, dim).
    bf16
        Rows against rows in bfloat16, by torch.
    """

    pairs: float
    gram: float
    along: float
    bf16: float


def pairs_rate(dim: int, rounds: int = 3) -> float:
    """Float32 operations a second of rows against rows, the best of some rounds."""
    a, b = _rows(2048, dim), _rows(8192, dim)
    return 2.0 * len(a) * len(b) * dim / _best(lambda: a @ b.T, rounds)


def product_rates(dim: int = 768, rounds: int = ROUNDS) -> Limits:
    """Rates of all shapes; each the best of some rounds, for it is a limit."""
    rows, square = _rows(8192, dim), _rows(dim, dim)
    gram, along = _best(lambda: rows.T @ rows, rounds), _best(lambda: rows @ square, rounds)
    work = 2.0 * len(rows) * dim * dim
    # numpy makes one half of rows' rows: its operations are half of those of any other product.
    return Limits(pairs_rate(dim, rounds), work / 2 / gram, work / along, _bf16_rate(dim, rounds))


def _bf16_rate(dim: int, rounds: int) -> float:
    import torch

    a, b = (torch.from_numpy(_rows(n, dim)).bfloat16() for n in (2048, 8192))
    return 2.0 * len(a) * len(b) * dim / _best(lambda: a @ b.T, rounds)


def _rows(n: int, dim: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, dim), dtype=np.float32)


def _best(work: Callable[[], Any], rounds: int) -> float:
    work()
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def bandwidth(size: int = ARRAY, rounds: int = ROUNDS) -> tuple[float, float]:
    """Bytes a second of a copy and of a sum of two arrays, all cores at work."""
    n, many = size // 8, cores()
    a, b, c = np.zeros(n), np.ones(n), np.ones(n)
    parts = [slice(i * n // many, (i + 1) * n // many) for i in range(many)]
    with ThreadPoolExecutor(many) as pool:

        def each(work: Callable[[slice], Any]) -> float:
            return _best(lambda: list(pool.map(work, parts)), rounds)

        copy = each(lambda part: np.copyto(a[part], b[part]))
        add = each(lambda part: np.add(b[part], c[part], out=a[part]))
    return 2 * size / copy, 3 * size / add


def disk_rate(size: int = FILE, folder: Path | None = None) -> float:
    """Bytes a second read from a file just written and dropped from the cache."""
    block = np.random.default_rng(0).bytes(8 << 20)
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(max(size // len(block), 1)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return _read(Path(file.name))


def _read(path: Path) -> float:
    buffer, total, start = bytearray(8 << 20), 0, time.perf_counter()
    with path.open("rb", buffering=0) as file:
        while many := file.readinto(buffer):
            total += many
    return total / (time.perf_counter() - start)


def limits(full: bool) -> tuple[Limits, float, Numbers]:
    """Rates of products, of reading in bytes a second, and all as numbers for the page."""
    rates = product_rates()
    size = 1 if full else 4
    copy, add = bandwidth(ARRAY // size)
    disk = disk_rate(FILE // size)
    shown: Numbers = {}
    for name, text in (
        ("pairs", "float32 product of rows with rows, (2048, 768) by (768, 8192)"),
        ("gram", "float32 second moments, (768, 8192) by (8192, 768), one half counted"),
        ("along", "float32 product of rows with directions, (8192, 768) by (768, 768)"),
        ("bf16", "bfloat16 product of rows with rows, by torch"),
    ):
        shown[name] = number(getattr(rates, name) / 1e9, "GFLOP/s", text)
    shown["copy"] = number(copy / 1e9, "GB/s", "memory: copy, read and written bytes, all cores")
    shown["add"] = number(add / 1e9, "GB/s", "memory: sum of two arrays, all cores")
    shown["disk"] = number(disk / 1e9, "GB/s", "disk: a file just written, dropped from the cache")
    return rates, disk, shown
