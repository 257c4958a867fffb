"""Bars: where they go, and that a notebook gets no line of stderr."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import anisotropy as an
from anisotropy import progress
from tests.explorer.making import pair


class Cell:
    """What a notebook shows below a cell: one output, replaced by its updates."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.outputs = 0

    def display(self, data: dict[str, str], **settings: Any) -> Cell:
        assert settings == {"raw": True, "display_id": True}
        self.outputs += 1
        self.shown.append(data["text/plain"])
        return self

    def update(self, data: dict[str, str], raw: bool) -> None:
        assert raw
        self.shown.append(data["text/plain"])


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Cell:
    """As inside a kernel, without one."""
    cell = Cell()
    shell = SimpleNamespace(config={"IPKernelApp": {}})
    module = SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=cell.display))
    return cell


def run(bars: progress.ProgressFactory | None) -> None:
    assert bars is not None
    report = bars("ance")
    for side, total in (("queries", 3), ("documents", 5)):
        for done in range(1, total + 1):
            report(side, done, total)


def test_outside_of_a_notebook_there_are_no_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not progress.in_notebook()
    assert progress.notebook_bars() is None
    terminal = SimpleNamespace(get_ipython=lambda: SimpleNamespace(config={}))
    monkeypatch.setitem(sys.modules, "IPython", terminal)
    assert not progress.in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert not progress.in_notebook()


def test_a_notebook_has_one_output_a_label_and_a_quiet_stderr(
    kernel: Cell, capsys: pytest.CaptureFixture[str]
) -> None:
    assert progress.in_notebook()
    run(progress.notebook_bars())
    assert kernel.outputs == 1
    assert any(text.startswith("encoding ance queries: 100%") for text in kernel.shown)
    assert kernel.shown[-1].startswith("encoding ance documents: 100%")
    assert "5/5" in kernel.shown[-1]
    assert capsys.readouterr() == ("", "")


def test_commands_write_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    run(progress.encoding_bars(progress.terminal_bar))
    out, err = capsys.readouterr()
    assert out == ""
    assert "encoding ance documents: 100%" in err


def test_a_job_is_one_output_that_ends_complete(
    kernel: Cell, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.notebook_job("comparing a and b") as tell:
        assert tell is not None
        tell("measuring a", 0.25)
        assert kernel.shown[-1].startswith("comparing a and b:  25%")
        assert kernel.shown[-1].endswith("measuring a")
    assert kernel.outputs == 1
    assert kernel.shown[-1].startswith("comparing a and b: 100%")
    assert "measuring" not in kernel.shown[-1]
    assert capsys.readouterr() == ("", "")


def test_a_job_that_fails_is_not_shown_as_done(kernel: Cell) -> None:
    before = threading.active_count()

    def fail() -> None:
        with progress.notebook_job("dividing") as tell:
            assert tell is not None
            tell("by zero", 0.5)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert kernel.shown[-1].startswith("dividing:  50%")
    assert threading.active_count() <= before + 1  # the monitor of tqdm, which is shared


def test_time_goes_on_while_nothing_is_told(kernel: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "BEAT", 0.01)
    with progress.notebook_job("waiting"):
        shown = len(kernel.shown)
        for _ in range(500):
            if len(kernel.shown) > shown:
                break
            time.sleep(0.01)
        assert len(kernel.shown) > shown


def test_outside_of_a_notebook_a_job_tells_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.notebook_job("comparing") as tell:
        assert tell is None
    assert progress.notebook_lines() is None
    assert capsys.readouterr() == ("", "")


def test_parts_add_up_and_name_the_first_that_is_under_way() -> None:
    told: list[tuple[str, float]] = []
    parts = progress.Parts(lambda *told_now: told.append(told_now), ["a", "b", "c", "d"])
    for text, share in (("b", 0.0), ("a", 0.0), ("b", 0.5), ("a", 1.0), ("b", 1.0), ("c", 1.0)):
        parts(text, share)
    assert told == [("b", 0.0), ("a", 0.0), ("a", 0.125), ("b", 0.375), ("b", 0.5), ("c", 0.75)]
    progress.Parts(None, ["a"])("a", 1.0)


def test_jobs_tell_of_all_that_they_do(kernel: Cell) -> None:
    """Every share is between 0 and 1, none is below the one before, the last one is all."""
    spaces = pair()
    one, two = spaces
    for title, job in (
        ("comparing first and second", lambda: an.compare(one, two, projections=["pca"])),
        ("measuring first", lambda: an.analyze([one], measures=["mean_cosine"], projections=[])),
        ("measuring second", lambda: an.measure(two, ["mean_cosine"])),
        ("drawing the pca map of first", lambda: an.project(one, "pca")),
        ("exploring first and second", lambda: an.explore(one, two, projections=["pca"])),
    ):
        outputs, before = kernel.outputs, len(kernel.shown)
        job()
        assert kernel.outputs == outputs + 1
        shown = kernel.shown[before:]
        assert all(text.startswith(f"{title}: ") for text in shown)
        percents = [int(text.removeprefix(f"{title}: ").partition("%")[0]) for text in shown]
        assert percents == sorted(percents)
        assert percents[-1] == 100


def test_a_part_tells_what_it_is_at() -> None:
    told: list[tuple[str, float]] = []
    parts = progress.Parts(lambda text, share: told.append((text, share)), ["a", "b"])
    parts("a", 0.0)
    parts.at("a", "queries")
    parts("b", 0.5)
    parts("a", 1.0)
    assert told == [("a", 0.0), ("a: queries", 0.0), ("a: queries", 0.25), ("b", 0.75)]
    progress.Parts(None, ["a"]).at("a", "queries")


def test_a_file_gets_a_line_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(progress, "BEAT", 0.01)
    with progress.terminal_job("analyzing", lines.append):
        time.sleep(0.1)
    assert lines == []
    monkeypatch.setattr(progress, "LINE_EVERY", 0.05)
    with progress.terminal_job("analyzing", lines.append) as share:
        assert share is not None
        share("measuring a: queries x documents", 0.25)
        time.sleep(0.3)
    assert 1 <= len(lines) <= 8
    assert lines[0] == "analyzing: 25% after 0 s; measuring a: queries x documents"
    with progress.terminal_job("analyzing", None) as share:
        assert share is None


def test_a_terminal_gets_a_bar_and_lines_above_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.terminal_job("comparing", progress.say_line) as share:
        assert share is not None
        share("measuring a", 0.5)
        progress.say_line("worker gone")
        share("measuring b", 0.75)
    out, err = capsys.readouterr()
    assert out == ""
    assert "comparing:  50%|" in err
    assert "measuring a" in err
    assert "\rworker gone\n" in err
    assert err.rstrip(" ").endswith("\r")  # the bar goes when the job ends


def test_commands_tell_how_far_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from anisotropy.cli import main

    monkeypatch.setattr(progress, "LINE_EVERY", 0.0)
    monkeypatch.setattr(progress, "BEAT", 0.001)
    a, b = pair()
    for label, one in (("a", a), ("b", b)):
        one.save(tmp_path / label)
    common = ["--measures", "uniformity(t=2)", "--projection", "none", "--out"]
    stores = [str(tmp_path / label) for label in "ab"]
    assert main(["analyze", stores[0], *common, str(tmp_path / "x")]) == 0
    assert "analyzing: " in capsys.readouterr().err
    words = ["compare", "--a", stores[0], "--b", stores[1], *common, str(tmp_path / "y")]
    assert main(words) == 0
    assert "comparing: " in capsys.readouterr().err
    assert main([*words, "--quiet"]) == 0
    assert "comparing: " not in capsys.readouterr().err
