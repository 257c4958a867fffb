"""The widget: what is selected in the browser is a DataFrame in Python, and back."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest

import anisotropy as an
from anisotropy.errors import MissingExtra, UsageError
from anisotropy.explorer import Explorer
from tests.browser import Browser
from tests.explorer.making import pair

PAGE = """<!doctype html><meta charset="utf-8"><div id="explorer"></div>
<style>{style}</style><script type="module">
{module}
const values = {{_data: {data}, _chosen: {chosen}}}, listeners = [];
window.sent = [];
window.model = {{
  get: (name) => values[name],
  set: (name, value) => {{ values[name] = value; }},
  save_changes: () => window.sent.push(values._chosen),
  on: (name, act) => listeners.push([name, act]),
  off: (name) => {{ window.left = name; }},
  receive: (items) => {{
    values._chosen = items;
    for (const [name, act] of listeners) if (name === "change:_chosen") act();
  }},
}};
window.leave = widget.render({{model: window.model, el: document.getElementById("explorer")}});
</script>"""


@pytest.fixture
def explorer() -> Explorer:
    found = an.explore(*pair(), projections=["pca", "tsne"])
    assert isinstance(found, Explorer)
    return found


def test_selected_is_a_frame_of_what_the_browser_says(explorer: Explorer) -> None:
    assert list(explorer.selected.columns) == ["id", "side", "text", "x_a", "y_a", "x_b", "y_b"]
    assert len(explorer.selected) == 0
    explorer.widget.set_state({"_chosen": [3, 60]})
    frame = explorer.selected
    assert frame["id"].tolist() == [explorer.data.ids[3], explorer.data.ids[60]]
    assert frame["side"].tolist() == ["query", "document"]
    assert frame["text"].tolist() == [explorer.data.texts[3], explorer.data.texts[60]]
    for end, view in zip("ab", explorer.data.spaces, strict=True):
        assert frame[f"x_{end}"].tolist() == view.maps["pca"][[3, 60], 0].tolist()
        assert frame[f"y_{end}"].tolist() == view.maps["pca"][[3, 60], 1].tolist()


def test_python_selects_by_id(explorer: Explorer) -> None:
    explorer.select(["q3", "d8"])
    assert sorted(explorer.selected["id"]) == ["d8", "q3"]
    assert explorer.widget.get_state()["_chosen"] == list(explorer.widget.chosen)
    with pytest.raises(UsageError, match="no point has the id 'q999'; 130 are on the maps"):
        explorer.select(["q999"])


def test_a_notebook_shows_the_widget(explorer: Explorer) -> None:
    shown = explorer._repr_mimebundle_()
    shown = shown[0] if isinstance(shown, tuple) else shown
    assert "application/vnd.jupyter.widget-view+json" in shown
    assert shown["text/plain"] == repr(explorer)


def test_without_the_extra_its_name_is_said(
    explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name == "anisotropy.explorer.widget":
            raise ImportError(name)
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtra, match=r"pip install 'anisotropy\[jupyter\]'"):
        explorer.selected  # noqa: B018
    shown = explorer._repr_mimebundle_()
    assert "anisotropy[jupyter]" in shown["text/plain"]
    assert ".save('explorer.html')" in shown["text/plain"]


def test_the_module_draws_and_sends_what_is_selected(
    explorer: Explorer, browser: Browser, tmp_path: Path
) -> None:
    module = explorer.widget._esm
    state = explorer.widget.get_state()
    assert "export default" in module
    page = PAGE.format(
        style=state["_css"],
        module=module.replace("export default", "const widget ="),
        data=json.dumps(state["_data"]).replace("<", "\\u003c"),
        chosen=json.dumps([2]),
    )
    path = tmp_path / "widget.html"
    path.write_text(page, encoding="utf-8")
    browser.open(path, 900, 900)
    browser.settle()
    assert browser.run("return explorer.selected") == [2]
    browser.run("explorer.choose([1, 4])")
    browser.run("window.model.receive([7])")
    assert browser.run("return explorer.selected") == [7]
    assert browser.run("return window.sent") == [[1, 4]]  # what came from Python is not sent back
    # The notebook keeps its keys to itself, and scrolls by until a map is clicked.
    press = (
        "let heard = 0; const hear = () => { heard += 1; };"
        "document.addEventListener('keydown', hear);"
        "const event = new KeyboardEvent('keydown', {key: 'd', bubbles: true, ...arguments[0]});"
        "document.querySelector('.anx-above').dispatchEvent(event);"
        "document.removeEventListener('keydown', hear); return heard;"
    )
    assert [browser.run(press, keys) for keys in ({}, {"ctrlKey": True})] == [0, 1]
    wheel = (
        "const canvas = document.querySelector('.anx-above'), before = explorer.view.scale;"
        "if (arguments[0]) canvas.focus();"
        "const event = new WheelEvent('wheel', {deltaY: -100, cancelable: true});"
        "canvas.dispatchEvent(event);"
        "return [event.defaultPrevented, explorer.view.scale > before]"
    )
    assert browser.run(wheel, False) == [False, False]
    assert browser.run(wheel, True) == [True, True]
    browser.run("window.leave()")
    assert browser.run("return window.left") == "change:_chosen"
    browser.picture("widget")
    assert browser.complaints() == []
