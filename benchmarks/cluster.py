"""Time of ``analyze`` on two worker processes of this machine, against threads of one.

Run: ``python -m benchmarks.cluster [--documents 200000] [--rounds 1]``.

A store of made-up float16 embeddings is measured with the default set by the command a user types,
without figures of points (which are drawn in the calling process either way): in this machine's
threads, and with ``--scheduler`` on a Dask cluster of workers that have a thread each, in
alternation. Then once more while a worker is killed. Results have to be equal, killed or not. CPU
seconds (of the workers and the calling process together) say more where the machine is busy.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent.parent))
from benchmarks.made import Sizes, make_store
from benchmarks.processes import resident

if TYPE_CHECKING:
    from distributed import Client

QUERIES, DIM = 5_000, 768
#: Of the time of a run on the cluster, when a worker is killed.
KILLED_AT = 0.4


def make(folder: Path, documents: int, queries: int = QUERIES, dim: int = DIM) -> Path:
    """A store of float16 vectors in `folder`; returns its path."""
    return make_store(folder, Sizes(queries, documents, dim))


@contextmanager
def workers(number: int, threads: int = 1) -> Iterator[Client]:
    """A cluster of worker processes on this machine; a client of it."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=number, threads_per_worker=threads, host="127.0.0.1",
            dashboard_address=":0", silence_logs=50,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):  # fmt: skip
        yield client


def analyze(
    store: Path, out: Path, threads: int, scheduler: str | None = None
) -> dict[str, float]:
    """Run the command; its wall and CPU seconds, and the peak of its private memory in MiB."""
    command = [sys.executable, "-m", "anisotropy", "analyze", str(store), "--quiet"]
    command += ["--projection", "none", "--out", str(out)]
    command += ["--scheduler", scheduler] if scheduler is not None else []
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start, highest = time.perf_counter(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    while process.poll() is None:
        highest = max(highest, resident(process.pid))
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit("analyze failed")
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": wall, "cpu_s": cpu, "peak_mib": highest / 1024}


def worker_seconds(client: Client) -> float:
    """CPU seconds of all workers so far."""
    return sum(client.run(time.process_time).values())


def measurements(out: Path) -> list[Any]:
    """What a run found, digits and all."""
    found = json.loads((out / "results.json").read_text())
    return [found["measurements"], found["withheld"]]


def kill_one(client: Client, after: float) -> threading.Thread:
    """Kill the process of a worker that is at work, once some seconds have gone by."""

    def kill() -> None:
        time.sleep(after)
        processes = client.run(os.getpid)
        while True:
            busy = [name for name, tasks in client.processing().items() if tasks]
            if busy:
                os.kill(processes[busy[0]], signal.SIGKILL)
                return
            time.sleep(0.05)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    return thread


def measure(store: Path, rounds: int = 1, number: int = 2, kill: bool = True) -> dict[str, Any]:
    """Times here and on workers, in alternation, and whether results are equal.

    Parameters
    ----------
    store
        What to measure.
    rounds
        Runs of each.
    number
        Workers of a thread each; as many threads here.
    kill
        Whether to run once more and kill a worker.
    """
    here: list[dict[str, float]] = []
    there: list[dict[str, float]] = []
    with workers(number) as client:
        address = client.scheduler.address
        for _ in range(rounds):
            here.append(analyze(store, store.parent / "here", number))
            before = worker_seconds(client)
            there.append(analyze(store, store.parent / "there", number, address))
            there[-1]["cpu_s"] += worker_seconds(client) - before
        walls = [statistics.median(run["wall_s"] for run in runs) for runs in (here, there)]
        found = {
            "local_s": [run["wall_s"] for run in here],
            "cluster_s": [run["wall_s"] for run in there],
            "ratio": walls[1] / walls[0],
            "local_cpu_s": [run["cpu_s"] for run in here],
            "cluster_cpu_s": [run["cpu_s"] for run in there],
            "local_peak_mib": max(run["peak_mib"] for run in here),
            "client_peak_mib": max(run["peak_mib"] for run in there),
            "equal": measurements(store.parent / "here") == measurements(store.parent / "there"),
        }
        if kill:
            killer = kill_one(client, KILLED_AT * walls[1])
            run = analyze(store, store.parent / "killed", number, address)
            killer.join(1)
            found["worker_killed"] = not killer.is_alive()
            found["killed_s"] = run["wall_s"]
            found["killed_equal"] = measurements(store.parent / "here") == measurements(
                store.parent / "killed"
            )
    return found


def main() -> None:
    """Make, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=QUERIES)
    parser.add_argument("--dim", type=int, default=DIM)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--no-kill", action="store_true", help="leave the killed run out")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        store = make(Path(scratch) / "made", given.documents, given.queries, given.dim)
        found = measure(store, given.rounds, given.workers, kill=not given.no_kill)
    print(
        f"{given.queries:,} x {given.documents:,} x {given.dim}, float16, {os.cpu_count()} cores"
    )
    for name, value in found.items():
        print(f"{name:16s} {value if not isinstance(value, float) else round(value, 2)}")


if __name__ == "__main__":
    main()
