"""Programs run on their own: wall and CPU seconds, and the peak of private memory.

Private memory is anonymous plus shared pages: files that are memory-mapped do not count, for the
system takes their pages back when it needs them. It is sampled from ``/proc``.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
_EVERY = 0.01


@dataclass(frozen=True)
class Finished:
    """A program that ended well.

    Attributes
    ----------
    wall, cpu
        Seconds.
    peak
        Highest private memory in MB (10^6 bytes).
    out
        What it printed.
    """

    wall: float
    cpu: float
    peak: float
    out: str

    @property
    def answer(self) -> Any:
        """The value that :func:`say` printed."""
        return json.loads(self.out.strip().splitlines()[-1])


def resident(pid: int | str = "self") -> int:
    """Anonymous plus shared resident memory of a process in KiB; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    wanted = ("RssAnon", "RssShmem")
    return sum(int(line.split()[1]) for line in lines if line.split(":")[0] in wanted)


def run(words: Sequence[str], cwd: Path | None = None, **environment: str) -> Finished:
    """Run Python with the words given and this repository on its path.

    Raises
    ------
    RuntimeError
        If it fails; what it said is part of the message.
    """
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    known = {**os.environ, "PYTHONPATH": paths, **environment}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start, highest = time.perf_counter(), 0
    process = subprocess.Popen(
        [sys.executable, *words], cwd=cwd, env=known, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, err = "", ""
    while True:
        highest = max(highest, resident(process.pid))
        try:
            out, err = process.communicate(timeout=_EVERY)
            break
        except subprocess.TimeoutExpired:
            continue
    wall = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)}: exit code {process.returncode}\n{err}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Finished(wall, cpu, highest * 1024 / 1e6, out)


def program(*words: str, cwd: Path | None = None, **environment: str) -> Finished:
    """Run ``anisotropy`` as a user types it, its notices apart."""
    return run(["-m", "anisotropy", *words], cwd, **environment)


def say(**values: Any) -> None:
    """Hand values to the process that runs this one."""
    print(json.dumps(values), flush=True)
