"""Work on a cluster gives what it gives here, and survives its workers."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import anisotropy as an
from anisotropy import EmbeddingSpace, backend, engine
from anisotropy.backend import Rows
from anisotropy.engine import cluster as cluster_module
from anisotropy.engine import connecting, places
from anisotropy.errors import ClusterError, EmbeddingsError, UsageError
from anisotropy.measures import measure_space
from anisotropy.measures.families.similarity import products
from anisotropy.measures.moments import Moments, log_mean_exp
from anisotropy.spaces.rows import ReorderedRows, ShardedRows

if TYPE_CHECKING:
    from distributed import Client

pytestmark = pytest.mark.usefixtures("small_spans")


class Counting:
    """An engine that counts what it is given."""

    def __init__(self, inner: engine.Engine) -> None:
        self.inner, self.tasks = inner, 0
        self.stop = inner.stop

    def run(self, work: Any, tasks: Any) -> Any:
        def counted() -> Any:
            for task in tasks:
                self.tasks += 1
                yield task

        return self.inner.run(work, counted())


def everything(space: EmbeddingSpace) -> list[Any]:
    found = measure_space(space, ["all"], anchors=300)
    rows = [(r.side, r.measure, r.on, repr(r.value), repr(r.se), r.n) for r in found.rows]
    table = found.facts.cross("recipe")
    kernel = found.facts.one_set("documents", "unit").kernel
    arrays = (table.neighbors.scores, table.neighbors.index, kernel)
    return [rows, len(found.withheld), *(array.tolist() for array in arrays)]


def test_all_measures_are_equal_to_the_bit(client: Client, stored: EmbeddingSpace) -> None:
    here = everything(stored)
    with engine.on(client):
        counting = Counting(engine.current())
        token = engine._current.set(counting)
        there = everything(stored)
        engine._current.reset(token)
    assert here == there
    assert counting.tasks > 30


def test_rows_of_every_kind_are_read_where_they_lie(client: Client, mapped: Callable) -> None:
    rng = np.random.default_rng(0)
    shards = [mapped(rng.standard_normal((n, 24), dtype=np.float32)) for n in (400, 7, 1200)]
    whole = ShardedRows(shards)
    order = rng.permutation(len(whole))
    kinds = [
        Rows(whole),
        Rows(ReorderedRows(whole, order)),
        Rows(whole, np.flatnonzero(order % 3), rng.standard_normal(24)),
        Rows(whole, scale=rng.uniform(1, 2, len(whole))),
        Rows(mapped(np.asfortranarray(np.asarray(whole)).astype(np.float64))),
    ]
    vector = rng.standard_normal(24)
    for rows in kinds:
        found = []
        for scheduler in (None, client):
            with engine.on(scheduler):
                moments = Moments(rows)
                found.append((rows.dot(vector), moments.mean, moments.covariance,
                              *log_mean_exp([rows], [np.eye(24)[:, :5]])))  # fmt: skip
        for here, there in zip(*found, strict=True):
            np.testing.assert_array_equal(here, there)
        np.testing.assert_allclose(found[0][0], rows.take(slice(None)).astype(float) @ vector)


def test_two_spaces_are_read_side_by_side(client: Client, stored: EmbeddingSpace) -> None:
    rows = Rows(stored.documents)
    other = Rows(stored.documents, np.arange(1500)[::-1].copy())
    here = products(rows, other)
    with engine.on(client):
        there = products(rows, other)
    np.testing.assert_array_equal(here.cross, there.cross)
    assert here.hsic() == there.hsic()


def test_compare_from_python(client: Client, stored: EmbeddingSpace, mapped: Callable) -> None:
    moved = EmbeddingSpace(
        mapped(np.asarray(stored.queries) + np.float16(0.25)), stored.documents,
        qrels=stored.qrels, similarity="dot", label="moved",
    )  # fmt: skip
    asked = {"measures": ["mean_cosine", "uniformity(t=2)", "nDCG@10", "cka"], "projections": ()}
    here = an.compare(stored, moved, **asked)
    there = an.compare(stored, moved, scheduler=client, **asked)
    assert there.config["scheduler"] == client.scheduler.address
    for name in ("measurements", "differences", "similarities"):
        frames = [getattr(one, name) for one in (here, there)]
        assert frames[0].equals(frames[1])
        assert len(frames[0])


def test_common_items_are_read_where_they_lie(
    client: Client, stored: EmbeddingSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "MOST_SENT", 0)
    some = stored.doc_ids[100:] + stored.doc_ids[:50]
    found = []
    for scheduler in (None, client):
        with engine.on(scheduler):
            part = stored.restrict(stored.query_ids[::2], some)
            found.append(measure_space(part, ["uniformity(t=2)", "nDCG@10"]).rows)
    assert found[0] == found[1]


def slow(block: np.ndarray) -> np.ndarray:
    time.sleep(0.1)
    return np.asarray(block.sum(axis=0, dtype=np.float64))


def kill_one_at_work(client: Client, killed: list[int]) -> None:
    """Kill the process of a worker that has something to do."""
    processes = client.run(os.getpid)
    while not killed:
        busy = [name for name, tasks in client.processing().items() if tasks]
        for name in busy[:1]:
            os.kill(processes[name], signal.SIGKILL)
            killed.append(processes[name])
        time.sleep(0.01)


def test_a_worker_is_killed_and_the_result_is_the_same(
    client: Client, stored: EmbeddingSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "_LOOK", 0.05)
    rows, lines, killed = Rows(stored.documents), list[str](), list[int]()
    here = rows.fold(slow, backend.added, np.zeros(24))
    killer = threading.Thread(target=kill_one_at_work, args=(client, killed))
    with engine.on(client, lines.append):
        killer.start()
        there = rows.fold(slow, backend.added, np.zeros(24))
        killer.join()
    np.testing.assert_array_equal(here, there)
    assert any("is gone" in line for line in lines)
    client.wait_for_workers(2, timeout=20)
    assert killed[0] not in client.run(os.getpid).values()


def test_vectors_in_memory_are_refused(
    client: Client, stored: EmbeddingSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "MOST_SENT", 1 << 16)
    inside = EmbeddingSpace(np.asarray(stored.queries), np.array(stored.documents), label="x")
    with pytest.raises(EmbeddingsError, match=r"x: documents: 0 MiB in memory .* as a store"):
        an.measure(inside, ["mean_cosine"], scheduler=client)
    assert len(an.measure(inside, ["mean_cosine"]))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda path: path.unlink(),
            "cannot be read (No such file or directory); needed: the same",
        ),
        (lambda path: path.write_bytes(path.read_bytes() + b"more"), "144132 bytes; 144128 where"),
    ],
    ids=["missing", "longer"],
)
def test_a_worker_without_the_file_is_named(
    client: Client, mapped: Callable, monkeypatch: pytest.MonkeyPatch, change: Any, line: str
) -> None:
    rows = Rows(mapped(np.ones((1500, 24), dtype=np.float32)))
    monkeypatch.setattr(places, "_size", lambda _: 144128)  # what it was where the run began
    change(Path(rows.data.filename))
    with engine.on(client), pytest.raises(ClusterError) as raised:
        rows.mean()
    assert str(raised.value).startswith("worker tcp://127.0.0.1:")
    assert f"{rows.data.filename}: {line}" in str(raised.value)


def test_a_worker_that_sees_another_content_is_named(client: Client, mapped: Callable) -> None:
    rows = Rows(mapped(np.ones((1500, 24), dtype=np.float32)))
    path = Path(rows.data.filename)
    new = path.with_name("new.npy")
    np.save(new, np.zeros((1500, 24), dtype=np.float32))
    new.rename(path)  # the map here is of the file before
    with engine.on(client), pytest.raises(ClusterError, match="another content"):
        rows.mean()


def test_an_error_of_a_worker_is_one_line(client: Client, stored: EmbeddingSpace) -> None:
    def wrong(block: np.ndarray) -> np.ndarray:
        raise ZeroDivisionError("by a test\nwith more lines")

    with engine.on(client), pytest.raises(ClusterError, match=r"^a worker failed: ZeroDivision"):
        Rows(stored.documents).each(wrong)


def test_work_is_taken_back_when_its_caller_goes(client: Client, stored: EmbeddingSpace) -> None:
    with engine.on(client):
        states = engine.current().run(slow_task, range(50))
        next(states)
        states.close()
    deadline = time.monotonic() + 10
    while client.processing() and any(client.processing().values()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_runs_beside_a_failure_is_given_up(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "_LOOK", 0.05)
    with engine.on(client):
        states = engine.current().run(slow_task, range(500))
        next(states)
        engine.stop()
        with pytest.raises(ClusterError, match="given up"):
            list(states)


def slow_task(number: int) -> int:
    time.sleep(0.05)
    return number


def test_few_tasks_are_under_way(client: Client) -> None:
    made: list[int] = []

    def tasks() -> Any:
        for number in range(40):
            made.append(number)
            yield number

    with engine.on(client):
        for turn, found in enumerate(engine.current().run(abs, tasks())):
            assert found == turn
            assert len(made) <= turn + 6


def test_a_transformed_space_is_read_by_workers(
    client: Client, stored: EmbeddingSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anisotropy.transforms.rows.MOST_SENT", 0)
    monkeypatch.setattr(backend, "MOST_SENT", 0)
    found = []
    for scheduler in (None, client):
        with engine.on(scheduler):
            moved = an.transform(stored, "whiten(shrinkage=0.1)>normalize")
            found.append(measure_space(moved, ["uniformity(t=2)"]).rows)
    assert found[0] == found[1]
    path = Path(moved.documents.filename)
    assert path.exists()
    del moved
    gc.collect()
    assert not path.exists()


# Refusals -----------------------------------------------------------------------------------


def test_nobody_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    assert connecting.ANSWER < 10
    monkeypatch.setattr(connecting, "ANSWER", 1.0)
    started = time.monotonic()
    with (
        pytest.raises(UsageError, match="no Dask scheduler answers there"),
        engine.on("tcp://127.0.0.1:9"),
    ):
        pass
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("wrong", ["", "nonsense", "tcp://", 7])
def test_no_address(wrong: Any) -> None:
    with pytest.raises(UsageError, match="scheduler"), engine.on(wrong):
        pass


@pytest.mark.parametrize("wrong", ["tcp://", "tcp://127.0.0.1:9"])
def test_a_client_that_failed_is_not_left_to_the_collector(
    monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    from distributed import Client

    def clients() -> int:
        return sum(type(one) is Client for one in gc.get_objects())

    monkeypatch.setattr(connecting, "ANSWER", 0.5)
    before = clients()
    gc.disable()
    try:
        with pytest.raises(UsageError, match="no Dask scheduler"), engine.on(wrong):
            pass
        assert clients() == before
    finally:
        gc.enable()


def test_a_closed_client(client: Client) -> None:
    from distributed import Client as Another

    closed = Another(client.scheduler.address, set_as_default=False)
    closed.close()
    with pytest.raises(UsageError, match="Client that is closed"), engine.on(closed):
        pass


def test_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import Client, LocalCluster

    monkeypatch.setattr(connecting, "NO_WORKERS", 0.5)
    with (
        LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as alone,
        pytest.raises(ClusterError, match=r"no worker for 0\.5 s"),
        engine.on(alone),
    ):
        pass


class _Coming:
    """A cluster whose one worker gives a result now and then, and is gone whenever looked for."""

    def look(self) -> bool:
        return False


def test_workers_that_were_there_a_moment_ago_are_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster_module, "NO_WORKERS", 0.4)
    monkeypatch.setattr(cluster_module, "_LOOK", 0.05)
    stream = cluster_module._Stream(_Coming(), None)  # type: ignore[arg-type]
    time.sleep(0.5)  # a pass that has gone on for longer than nobody may be there
    stream._arrived.put(1)
    assert stream._next() == 1
    begun = time.monotonic()
    with pytest.raises(ClusterError, match="all workers are gone"):
        stream._next()
    assert 0.4 <= time.monotonic() - begun < 2


def test_all_workers_go(monkeypatch: pytest.MonkeyPatch, mapped: Callable) -> None:
    from distributed import Client, LocalCluster

    monkeypatch.setattr(cluster_module, "NO_WORKERS", 1.0)
    monkeypatch.setattr(cluster_module, "_LOOK", 0.3)
    rows = Rows(mapped(np.ones((1500, 24), dtype=np.float32)))
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=":0"
        ) as cluster,
        Client(cluster, set_as_default=False) as alone,
        engine.on(alone),
    ):
        cluster.scale(0)
        with pytest.raises(ClusterError, match="all workers are gone"):
            rows.each(lambda block: block[:, 0])


@pytest.mark.parametrize("name", ["anisotropy", "numpy", "python"])
def test_other_versions(name: str) -> None:
    here = connecting.computing()
    connecting.check_same("w", dict(here), here)
    with pytest.raises(ClusterError, match=rf"worker w has {name} 0 \(here "):
        connecting.check_same("w", {**here, name: "0"}, here)
    with pytest.raises(ClusterError, match="worker w: ModuleNotFoundError: no anisotropy; inst"):
        connecting.check_same("w", ModuleNotFoundError("no anisotropy"), here)


def test_another_version_in_a_task(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "_version", lambda: "9.9")
    with engine.on(client), pytest.raises(ClusterError, match=r"anisotropy 0\..*; 9.9 where"):
        list(engine.current().run(abs, [-1]))


def test_without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match="needs the extra 'cluster'"), engine.on("tcp://x:1"):
        pass
