"""Work on a device gives what it gives here: on a CUDA one if there is one, else torch's CPU."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import anisotropy as an
from anisotropy import EmbeddingSpace, backend, device, engine
from anisotropy.backend import Rows
from anisotropy.cli import main
from anisotropy.engine import devices
from anisotropy.errors import UsageError
from anisotropy.measures import measure_space
from anisotropy.measures.families import nearest
from anisotropy.measures.families.similarity import products, unbiased_cka
from anisotropy.measures.moments import Moments, log_mean_exp, quadratic
from anisotropy.neighbors import (
    Items,
    KernelSums,
    NearerCounts,
    TopK,
    View,
    on_device,
    sweep_views,
    top_neighbors,
)
from anisotropy.neighbors.kernels import PairKernels
from anisotropy.spaces.rows import ShardedRows
from anisotropy.spaces.store import save_space
from tests.measures.making import cone, space

HERE = "cuda:0" if torch.cuda.is_available() else "cpu"
OPTIONS = ["--projection", "none", "--measures", "mean_cosine,uniformity(t=2),nDCG@10"]
WITHOUT = "/no/such/driver"


@pytest.fixture
def went(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the devices that sweeps and sums were given to."""
    found: list[str] = []

    class Noted(device.Device):
        def __init__(self, name: str) -> None:
            found.append(name)
            super().__init__(name)

    monkeypatch.setattr(device, "Device", Noted)
    return found


@pytest.fixture
def forced(monkeypatch: pytest.MonkeyPatch) -> Callable[[], AbstractContextManager[None]]:
    """Gives a context in which all work goes to the device, in small pieces."""
    monkeypatch.setattr(devices, "WORTH", 0.0)
    monkeypatch.setattr(devices, "usable", lambda name, say: HERE)
    monkeypatch.setattr(backend, "BLOCK_BYTES", 1 << 13)
    monkeypatch.setattr(on_device, "TARGETS", 150)
    monkeypatch.setattr(on_device, "TILE_BYTES", 150 * 4 * 37)
    monkeypatch.setattr(on_device, "ANCHORS_HELD", 100)
    monkeypatch.setattr(on_device, "PAIRS", 5)
    return lambda: engine.on_device("auto")


def both(forced: Callable, went: list[str], work: Callable[[], Any]) -> tuple[Any, Any]:
    """What some work gives here and on the device, where it has to have gone."""
    here = work()
    assert not went
    with forced():
        there = work()
    assert went == [HERE] * len(went) != []
    return here, there


# Lists --------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 7, 40, 1000])
@pytest.mark.parametrize("similarity", ["dot", "euclidean"])
@pytest.mark.parametrize("others", [False, True])
def test_lists_are_equal_with_many_ties(
    k: int, similarity: str, others: bool, forced: Callable, went: list[str]
) -> None:
    rng = np.random.default_rng(k)
    targets = rng.integers(-2, 3, (700, 5)).astype(np.float16)
    anchors = targets if others else targets[:230] - 1
    ties = rng.permutation(700)
    how = {"similarity": similarity, "ties": ties, "others": others}
    here, there = both(forced, went, lambda: top_neighbors(anchors, targets, k, **how))
    assert len(np.unique(here.scores)) < 120  # ties everywhere
    np.testing.assert_array_equal(here.index, there.index)
    np.testing.assert_array_equal(here.scores, there.scores)
    assert here.scores.dtype == there.scores.dtype == np.float32


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(1, 40), st.integers(0, 99))
def test_the_least_of_rows(n: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    keys = torch.from_numpy(np.stack([rng.permutation(n) for _ in range(4)]) * (1 << 40))
    found = on_device._least(keys, k).sort(dim=1).values
    assert torch.equal(found, keys.sort(dim=1).values[:, :k])


@pytest.mark.parametrize("bits", [1, 5, 31])
def test_keys_are_those_of_numpy(bits: int) -> None:
    tiny = np.finfo(np.float32).tiny
    values = [0.0, -0.0, 1.0, -1.0, 1e-45, -1e-45, tiny, 3.4e38, -3.4e38, np.inf, -0.3, 0.3]
    scores = np.array(values, dtype=np.float32)
    kept = TopK(1, len(scores), np.arange(len(scores)) % (1 << bits))
    kept.best.bits = bits
    twin = on_device._Lists(kept, device.Device("cpu"))
    found = twin._keys(0, torch.from_numpy(scores[None, :]))[0].numpy().view(np.uint64)
    np.testing.assert_array_equal(found, kept.best.keys(scores, np.arange(len(scores))))
    assert found.max() < 1 << 63


def test_no_number_and_minus_infinity_are_left_out(forced: Callable) -> None:
    values = [[np.nan, 1.0, -np.inf, 3.0, np.inf, -np.nan]]
    kept = TopK(1, 5, np.arange(6))
    twin = on_device._Lists(kept, device.Device("cpu"))
    twin.update(slice(0, 1), 0, torch.tensor(values))
    kept.update(slice(0, 1), 0, np.array(values, dtype=np.float32))
    counts, keys = twin.found()
    assert [counts.tolist(), keys.tolist()] == [part.tolist() for part in kept.found()]
    assert counts.tolist() == [3]


def test_what_does_not_reach_a_floor_is_left_out() -> None:
    whole = TopK(1, 3, np.arange(8))
    whole.update(slice(0, 1), 0, np.array([[5.0, 4.0, 3.0, 0.0]], dtype=np.float32))
    whole.neighbors(np.arange(1))
    part = whole.part(slice(0, 1), slice(4, 8))
    twin = on_device._Lists(part, device.Device("cpu"))
    twin.update(slice(0, 1), 0, torch.tensor([[3.0, 2.9, 6.0, -9.0]]))
    counts, keys = twin.found()
    assert counts.tolist() == [2]
    whole.merge(slice(0, 1), slice(4, 8), (counts, keys))
    assert whole.neighbors(np.arange(1)).index.tolist() == [[6, 0, 1]]


def several(n: int, rng: np.random.Generator) -> np.ndarray:
    """Offsets of items of 1 to 4 vectors."""
    return np.concatenate(([0], np.cumsum(rng.integers(1, 5, n))))


@pytest.mark.parametrize("sides", ["targets", "anchors", "both"])
def test_items_of_several_vectors(sides: str, forced: Callable, went: list[str]) -> None:
    rng = np.random.default_rng(3)
    left, right = several(160, rng), several(300, rng)
    a = rng.integers(-3, 4, (left[-1], 6)).astype(np.float32)
    b = rng.integers(-3, 4, (right[-1], 6)).astype(np.float32)
    anchors = Items(Rows(a), left if sides != "targets" else None)
    targets = Items(Rows(b), right if sides != "anchors" else None)
    chosen = np.sort(rng.choice(len(anchors), 140, replace=False))
    own = rng.integers(0, len(targets), len(chosen))

    def work() -> list[Any]:
        kept = TopK(len(chosen), 9, rng.permutation(len(targets)) * 0 + np.arange(len(targets)))
        view = View(anchors, targets, [kept])
        sweep_views(anchors, chosen, targets, [view], own=own)
        found = kept.neighbors(chosen)
        return [found.index.tolist(), found.scores.tolist()]

    here, there = both(forced, went, work)
    assert here == there
    assert not (np.array(here[0]) == own[:, None]).any()


def views(rows: np.ndarray, data: Callable[[np.ndarray], Any]) -> tuple[Rows, list[Rows]]:
    """Centered rows, and unit rows as they are and centered, of the same vectors."""
    held = data(rows)
    plain = Rows(held)
    centered = Rows(held, shift=plain.mean())
    return centered, [one.scaled(1 / np.sqrt(one.squares())) for one in (plain, centered)]


def sharded(rows: np.ndarray) -> ShardedRows:
    return ShardedRows([rows[:130], rows[130:131], rows[131:]])


@pytest.mark.parametrize("data", [np.asarray, sharded, lambda rows: rows.astype(">f4")])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_views_with_centers_and_scales(
    data: Callable, dtype: Any, forced: Callable, went: list[str]
) -> None:
    base, made = views(cone(420, 12, 1.5, 0).astype(dtype), data)
    chosen, ts = np.arange(0, 420, 2), (2.0, 5.0)
    multiplied = Items(base)

    def work() -> list[np.ndarray]:
        found: list[View] = []
        for rows, product in [(row, p) for row in made for p in ("dot", "euclidean")]:
            consumers = [TopK(len(chosen), 6, np.arange(420)), KernelSums(len(chosen), ts)]
            found.append(View(Items(rows), Items(rows), consumers, product))
        sweep_views(multiplied, chosen, multiplied, found, own=chosen)
        lists = [view.consumers[0].neighbors(chosen) for view in found]
        assert not any((one.index == chosen[:, None]).any() for one in lists)
        sums = [view.consumers[1].sums for view in found]
        return [*(one.scores for one in lists), *sums]

    for here, there in zip(*both(forced, went, work), strict=True):
        np.testing.assert_allclose(there, here, rtol=2e-5, atol=1e-6)


def test_one_side_wider_than_the_other(forced: Callable, went: list[str]) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((90, 6)), rng.standard_normal((200, 6)).astype(np.float32)
    here, there = both(forced, went, lambda: top_neighbors(a, b, 5))
    np.testing.assert_array_equal(here.index, there.index)
    np.testing.assert_allclose(here.scores, there.scores, rtol=1e-6)


# Other consumers ----------------------------------------------------------------------------


@pytest.mark.parametrize("tolerance", [0.0, 1e-6, 0.5])
def test_counts_are_equal(tolerance: float, forced: Callable, went: list[str]) -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.integers(-2, 3, (n, 5)).astype(np.float32) for n in (210, 640))
    anchor, target = np.sort(rng.integers(0, 210, 900)), rng.integers(0, 640, 900)
    score = np.einsum("ij,ij->i", a[anchor], b[target]).astype(float)
    left, right = Items(Rows(a)), Items(Rows(b))

    def work() -> list[list[float]]:
        counts = NearerCounts(anchor, target, score, tolerance)
        sweep_views(left, np.arange(210), right, [View(left, right, [counts])])
        return [counts.above.tolist(), counts.tied.tolist()]

    here, there = both(forced, went, work)
    assert here == there
    assert min(map(sum, here)) > 0


@pytest.mark.parametrize("share", [1, 3])
@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_mean_kernels(share: int, dtype: Any, forced: Callable, went: list[str]) -> None:
    base, made = views(cone(500, 16, 1.0, 5).astype(dtype), np.asarray)
    chosen = np.arange(0, 500, share)
    work = lambda: PairKernels(base, made, chosen, (2.0, 5.0)).means()  # noqa: E731
    here, there = both(forced, went, work)
    assert here.shape == there.shape == (2, len(chosen), 2)
    np.testing.assert_allclose(there, here, rtol=1e-5)


def test_a_consumer_without_a_twin_gets_the_scores(
    forced: Callable, went: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = space(80, 300, 6, dtype=np.float32, positives=3)
    monkeypatch.setattr(nearest.np, "isin", lambda left, right: np.ones_like(left, dtype=bool))

    def work() -> list[int]:
        facts = an.measures.facts.Facts(made, an.measures.facts.Plan(depth=5, local_k=5))
        return nearest._best_others(facts).tolist()

    here, there = both(forced, went, work)
    assert here == there
    assert len(set(here)) > 10


# Sums over rows -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_moments(dtype: Any, forced: Callable, went: list[str]) -> None:
    _, made = views(cone(900, 12, 1.0, 2).astype(dtype), sharded)
    directions = np.random.default_rng(0).standard_normal((12, 7))

    def work() -> list[np.ndarray]:
        found = []
        for rows in made:
            one = Moments(rows)
            found += [one.covariance, quadratic(rows, one.mean, one.covariance)]
        return found

    for here, there in zip(*both(forced, went, work), strict=True):
        np.testing.assert_allclose(there, here, rtol=1e-12, atol=1e-12 * np.abs(here).max())
    went.clear()
    here, there = both(forced, went, lambda: log_mean_exp([made[0]], [30 * directions])[0])
    np.testing.assert_allclose(there, here, rtol=1e-6)


def test_similarity(forced: Callable, went: list[str]) -> None:
    x, y = (Rows(cone(700, dim, 1.0, dim).astype(np.float32)) for dim in (9, 14))
    here, there = both(forced, went, lambda: products(x, y))
    np.testing.assert_allclose(there.cross, here.cross, rtol=0, atol=1e-12 * abs(here.cross).max())
    assert there.hsic() == pytest.approx(here.hsic(), rel=1e-9)
    went.clear()
    here, there = both(forced, went, lambda: unbiased_cka(x, x))
    assert there == pytest.approx(here, rel=1e-9) == pytest.approx(1.0)


# Whole analyses -----------------------------------------------------------------------------


def made_up(similarity: str, chunks: bool) -> EmbeddingSpace:
    """Documents near queries, some of several vectors of which some are padding."""
    rng = np.random.default_rng(7)
    rows = cone(600, 16, 0.8, 1).astype(np.float32)
    queries = (rows[:150] + 0.3 * rng.standard_normal((150, 16))).astype(np.float32)
    owner = np.sort(rng.integers(0, 300, 600)) if chunks else np.arange(600)
    owner = np.unique(owner, return_inverse=True)[1]
    first = np.concatenate(([True], np.diff(owner) > 0))
    padding = ~first & (np.arange(600) % 5 == 0)
    n = owner[-1] + 1
    return EmbeddingSpace(
        queries, rows, similarity=similarity, label="made",
        document_of_row=owner if chunks else None, padding=padding if chunks else None,
        qrels={f"{i}": {f"{owner[i]}": 1, f"{(owner[i] + 40) % n}": 1} for i in range(150)},
    )  # fmt: skip


@pytest.mark.parametrize("similarity", ["dot", "cosine", "euclidean"])
@pytest.mark.parametrize("chunks", [False, True])
def test_every_measurement(
    similarity: str, chunks: bool, forced: Callable, went: list[str]
) -> None:
    made = made_up(similarity, chunks)

    def work() -> Any:
        return measure_space(made, ["all"], anchors=100)

    here, there = both(forced, went, work)
    assert len(here.rows) > 100
    assert len(here.withheld) == len(there.withheld)
    for one, other in zip(here.rows, there.rows, strict=True):
        place = (one.side, one.measure, one.on, one.n)
        assert place == (other.side, other.measure, other.on, other.n)
        for name in ("value", "se", "ci_low", "ci_high"):
            wanted = pytest.approx(getattr(one, name), rel=1e-4, abs=1e-6, nan_ok=True)
            assert getattr(other, name) == wanted, (*place, name)


@pytest.mark.usefixtures("forced")
def test_compare_in_python(went: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "driver", lambda: True)
    a, b = (space(60, 200, 8, seed=0, noise=noise, label=str(noise)) for noise in (0.5, 0.9))
    asked = {"measures": ["uniformity(t=2)", "nDCG@10", "cka"], "projections": ()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "WORTH", np.inf)
        here = an.compare(a, b, **asked)
    assert not went
    there = an.compare(a, b, **asked)
    assert went
    assert "device" not in here.config
    assert there.config["device"] == devices.described(HERE)
    for frame in ("measurements", "differences", "similarities"):
        one, other = getattr(here, frame), getattr(there, frame)
        np.testing.assert_allclose(
            other.select_dtypes("number"), one.select_dtypes("number"), rtol=1e-5, atol=1e-7
        )
    went.clear()
    assert len(an.measure(a, ["uniformity(t=2)"], device="cpu"))
    assert not went
    assert len(an.measure(a, ["uniformity(t=2)"], device="auto"))
    assert went


# Which device -------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> str:
    save_space(space(60, 200, 8, dtype=np.float32), tmp_path / "store")
    return str(tmp_path / "store")


def result(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text())


@pytest.mark.usefixtures("few_figures")
def test_the_command_says_where_it_ran(
    store: str, tmp_path: Path, forced: Callable, went: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "driver", lambda: True)
    words = ["analyze", store, *OPTIONS, "--quiet", "--out"]
    assert main([*words, str(tmp_path / "here"), "--device", "cpu"]) == 0
    assert not went
    assert main([*words, str(tmp_path / "there")]) == 0
    assert went
    here, there = result(tmp_path / "here"), result(tmp_path / "there")
    assert [row["measure"] for row in here["measurements"]] == [
        row["measure"] for row in there["measurements"]
    ]
    assert len(here["measurements"]) > 5
    assert here["config"]["device"] == "cpu"
    assert there["config"]["device"] == devices.described(HERE)
    monkeypatch.setattr(devices, "described", lambda name: "cuda:0 (some make)")
    assert main([*words, str(tmp_path / "there")]) == 0
    assert result(tmp_path / "there")["config"]["device"] == "cuda:0 (some make)"


@pytest.mark.usefixtures("few_figures")
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("command", ["analyze", "compare"])
@pytest.mark.parametrize("name", ["cuda", "cuda:1", "nothing"])
def test_a_device_that_is_not_there(
    command: str, name: str, store: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = [store] if command == "analyze" else ["--a", store, "--b", store]
    out = ["--out", str(tmp_path / "out"), "--device", name]
    assert main([command, *words, *OPTIONS, *out]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    why = "is no device" if name == "nothing" else "is not there"
    assert f"device: got '{name}', which {why}; allowed: auto, cpu, and where there is" in error
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match=f"which {why}"):
        an.measure(space(), ["mean_cosine"], device=name)


def test_nothing_is_loaded_where_there_is_no_driver(store: str) -> None:
    """Also not where there is one but too little to do; the last run shows that this can fail."""
    program = f"""
import sys
import anisotropy as an
from anisotropy.engine import devices
for there, worth in ((False, 0), (True, 1e11), (True, 0)):
    devices.driver = lambda: there
    devices.WORTH = worth
    an.measure(an.open({store!r}), ["mean_cosine", "hubness_gini(k=10)"])
    print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False", "True"], done.stderr


def test_drivers_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_DRIVERS", (WITHOUT,))
    assert not devices.driver()
    monkeypatch.setattr(devices, "_DRIVERS", (WITHOUT, str(tmp_path)))
    assert devices.driver()


def test_small_work_stays_here(forced: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "WORTH", 100.0)
    assert engine.device(1e12) is None
    with forced():
        assert engine.device(99.0) is None
        assert engine.device_used() is None
        assert engine.device(100.0) == HERE
        assert engine.device_used() == devices.described(HERE)
        with engine.on_device("cpu"):
            assert engine.device(1e12) is None
    assert engine.device_used() is None


def test_what_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(devices, "checked_device", lambda name: name)
    with engine.on_device("mps", lines.append):
        assert engine.device(np.inf) is None
    assert lines == [
        "device mps: for encoding alone; the analysis runs on the CPU, for mps has no float64"
    ]
    token = engine._current.set(object())  # type: ignore[arg-type]
    with engine.on_device("cuda:1", lines.append), engine.on_device("auto", lines.append):
        assert engine.device(np.inf) is None
    engine._current.reset(token)
    assert lines[1:] == [
        "device cuda:1: for encoding alone; the workers of the cluster run the analysis on their "
        "CPUs"
    ]


def test_a_device_that_does_not_multiply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)

    def fails(*size: int, **more: Any) -> None:
        raise RuntimeError("no kernel image is available\nfor execution on the device")

    monkeypatch.setattr(torch, "ones", fails)
    lines: list[str] = []
    assert devices.usable("auto", lines.append) is None
    assert lines == [
        "device cuda:0: cannot be used (no kernel image is available); the analysis runs on the "
        "CPU"
    ]
    with pytest.raises(UsageError, match=r"cuda:1: cannot be used .* allowed: --device cpu"):
        devices.usable("cuda:1", None)


@pytest.mark.usefixtures("few_figures")
@pytest.mark.parametrize("kind", [torch.OutOfMemoryError, RuntimeError])
def test_memory_that_does_not_do(
    kind: type[Exception], store: str, tmp_path: Path, forced: Callable,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture,
) -> None:  # fmt: skip
    def fails(*args: Any) -> None:
        raise kind("CUDA out of memory. Tried to allocate 9 GiB.\nSee the documentation")

    monkeypatch.setattr(devices, "driver", lambda: True)
    monkeypatch.setattr(on_device, "_seen", fails)
    words = ["analyze", store, "--measures", "hubness_gini(k=10)", "--projection", "none"]
    assert main([*words, "--quiet", "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"device {HERE}: " in error
    assert "; too little for scores of 60 x 60; free some of it, or compute on the CPU" in error
    assert "--device cpu" in error
    monkeypatch.setattr(on_device, "_seen", lambda *args: 1 // 0)
    with forced(), pytest.raises(ZeroDivisionError):
        top_neighbors(np.ones((3, 2)), np.ones((4, 2)), 1)


@pytest.mark.parametrize("legacy", [False, True])
def test_full_precision_is_taken_back(legacy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if legacy:
        monkeypatch.setattr(device, "_by_backend", lambda: False)
    before, guard = device._precision(), device._FullPrecision()
    device._set_precision("high" if legacy else "tf32")
    try:
        loose = device._precision()
        seen: list[str] = []
        entered, leave = threading.Event(), threading.Event()

        def other() -> None:
            with guard:
                entered.set()
                leave.wait(10)

        with guard:
            thread = threading.Thread(target=other)
            thread.start()
            entered.wait(10)
            seen.append(device._precision())
        seen.append(device._precision())
        leave.set()
        thread.join()
        assert seen == ["highest" if legacy else "ieee"] * 2
        assert device._precision() == loose
    finally:
        device._set_precision(before)


def test_sizes_follow_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    items = Items(Rows(np.zeros((100_000, 64), dtype=np.float32)))
    kept = TopK(50_000, 200, np.arange(100_000))
    whole = on_device.sweeping._Sweep(
        items, np.arange(50_000), items, [View(items, items, [kept])], None
    )
    found = []
    for free in (80 << 30, 2 << 30, 1 << 26):
        monkeypatch.setattr(device, "FREE", free)
        found.append(on_device._sizes(whole, device.Device("cpu")))
    assert found[0].chunk == on_device.ANCHORS_HELD
    for free, sizes in zip((80 << 30, 2 << 30, 1 << 26), found, strict=True):
        assert sizes.chunk * (2 * 64 * 4 + 16 * 200) <= free / 4
        width = sizes.targets * items.rows.step
        assert sizes.tile * width * 4 <= min(on_device.TILE_BYTES, free / 4 / on_device.TILES)
        assert sizes.tile > 1


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    yield
    assert engine._device.get() is None
