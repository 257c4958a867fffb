"""Bars: where they go, and that a notebook gets no line of stderr."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from anisotropy import progress


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


def test_a_notebook_has_one_output_a_side_and_a_quiet_stderr(
    kernel: Cell, capsys: pytest.CaptureFixture[str]
) -> None:
    assert progress.in_notebook()
    run(progress.notebook_bars())
    assert kernel.outputs == 2
    assert kernel.shown[-1].startswith("encoding ance documents: 100%")
    assert "5/5" in kernel.shown[-1]
    assert capsys.readouterr() == ("", "")


def test_commands_write_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    run(progress.encoding_bars(progress.terminal_bar))
    out, err = capsys.readouterr()
    assert out == ""
    assert "encoding ance documents: 100%" in err
