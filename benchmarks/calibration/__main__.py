"""Run the calibration and write its pages."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")


def main() -> None:
    """Read the options, run what is missing, write the pages."""
    from benchmarks.calibration.pages import write
    from benchmarks.calibration.plan import Run, Size

    size = Size()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--replicates", type=int, default=size.replicates)
    parser.add_argument("--cheap", type=int, default=size.cheap)
    parser.add_argument("--pairs", type=int, default=size.pairs)
    parser.add_argument("--planted", type=int, default=size.planted)
    parser.add_argument("--truths", type=int, default=size.truths)
    parser.add_argument("--scenarios", nargs="+", default=list(size.scenarios))
    parser.add_argument("--paired-in", nargs="+", default=list(size.paired_in))
    parser.add_argument("--only", nargs="+", default=[], help="text identities")
    parser.add_argument("--work", type=Path, default=Path("build/calibration"))
    parser.add_argument("--out", type=Path, default=Path("docs"))
    given = vars(parser.parse_args())
    processes, work, out = (given.pop(name) for name in ("processes", "work", "out"))
    run = Run(Size(**{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}), work)
    run.finish(processes)
    write(run, out)


if __name__ == "__main__":
    main()
