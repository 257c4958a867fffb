"""The page in a real browser, from a file and without a network."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

import anisotropy as an
from anisotropy.explorer import ExplorerData, ExplorerOptions, build, write_page
from tests.browser import Browser
from tests.explorer.making import EVIL, pair

OPTIONS = ExplorerOptions(projections=("pca", "tsne"), neighbors=12, points=150)


@pytest.fixture(scope="module")
def data() -> ExplorerData:
    return build(pair(60, 200), OPTIONS)


@pytest.fixture(scope="module")
def page(data: ExplorerData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(data, tmp_path_factory.mktemp("page") / "explorer.html")


@pytest.fixture
def opened(browser: Browser, page: Path) -> Browser:
    browser.open(page)
    browser.settle()
    return browser


def find(browser: Browser, css: str) -> list[WebElement]:
    return browser.driver.find_elements(By.CSS_SELECTOR, css)


def named(browser: Browser, label: str) -> WebElement:
    return browser.driver.find_element(By.XPATH, f"//button[normalize-space()={label!r}]")


def shown_lists(browser: Browser, data: ExplorerData) -> list[list[str]]:
    """Ids of the top documents of each space, as they stand in the panel."""
    items: Any = browser.run(
        "return Array.from(document.querySelectorAll('.anx-top'), (box) =>"
        "Array.from(box.querySelectorAll('li'), (li) => Number(li.dataset.item)))"
    )
    return [[data.ids[item] for item in of_space] for of_space in items]


def expected_lists(data: ExplorerData, query: str) -> list[list[str]]:
    row = [data.ids[i] for i in data.listed].index(query)
    return [[data.ids[i] for i in view.lists.item[row]] for view in data.spaces]


def active(browser: Browser) -> dict[str, Any]:
    """The focused element: tag, text, and how its focus is shown."""
    found: Any = browser.run(
        "const e = document.activeElement, s = getComputedStyle(e);"
        "return {tag: e.tagName, text: e.textContent, role: e.getAttribute('role'),"
        "outline: s.outlineStyle, width: parseFloat(s.outlineWidth)}"
    )
    return dict(found)


def press(browser: Browser, *keys: str) -> None:
    ActionChains(browser.driver).send_keys(*keys).perform()
    browser.settle()


def test_opens_from_a_file_without_complaint_or_request(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.settle()
    assert browser.complaints() == []
    assert browser.requests() == [page.as_uri()]
    assert browser.driver.title == "first → second: anisotropy explorer"
    colored = browser.run(
        "return explorer.maps.map((map) => {"
        "const { width, height } = map.below;"
        "const p = map.below.getContext('2d').getImageData(0, 0, width, height).data;"
        "let n = 0; for (let i = 0; i < p.length; i += 4) if (p[i] < 200) n++; return n; })"
    )
    assert all(count > 500 for count in colored)
    browser.picture("explorer")


def test_points_are_where_the_map_has_them(opened: Browser, data: ExplorerData) -> None:
    """Corners of the map: at each extreme point there is color, and its place is inside."""
    for number, view in enumerate(data.spaces):
        for item in (*view.maps["pca"].argmin(axis=0), *view.maps["pca"].argmax(axis=0)):
            px, py, red = opened.run(
                "const map = explorer.maps[arguments[0]], [x, y] = map.place(arguments[1]);"
                "const p = map.below.getContext('2d').getImageData(x - 2, y - 2, 5, 5).data;"
                "return [x / map.size.width, y / map.size.height, Math.min(...p)];",
                number, int(item),
            )  # fmt: skip
            assert 0 <= px <= 1
            assert 0 <= py <= 1
            assert red < 200


def test_a_query_found_by_its_text_shows_the_right_documents(
    opened: Browser, data: ExplorerData
) -> None:
    (search,) = find(opened, "input[type=search]")
    search.send_keys("question number 7 tells")
    press(opened, Keys.ENTER)
    assert "q7" in find(opened, ".anx-panel h2")[0].text
    assert shown_lists(opened, data) == expected_lists(data, "q7")
    row = [data.ids[i] for i in data.listed].index("q7")
    first = find(opened, ".anx-top small")[0].text
    lists = data.spaces[0].lists
    assert f"distance {lists.distance[row, 0]:.3f}" in first
    assert f"score {lists.score[row, 0]:.3f}" in first
    there = lists.elsewhere[row, 0]
    assert f"in second {there} " in first
    positives = find(opened, ".anx-positives li")
    ranks = data.spaces[1].positives["rank"][data.judgments.row == row]
    assert len(positives) == len(ranks)
    for li, rank in zip(positives, ranks, strict=True):
        assert f"second: rank {rank} " in li.text
    opened.picture("explorer-query")
    assert opened.complaints() == []


def test_search_by_id_puts_the_id_first(opened: Browser, data: ExplorerData) -> None:
    (search,) = find(opened, "input[type=search]")
    search.send_keys("d11")
    press(opened, Keys.ARROW_DOWN)
    options = find(opened, "[role=option]")
    assert data.ids[int(options[0].get_attribute("data-item") or 0)] == "d11"
    assert "Document d11" in find(opened, ".anx-panel h2")[0].text
    listed = {
        data.ids[data.listed[row]]
        for row in range(len(data.listed))
        if data.ids.index("d11") in data.spaces[0].lists.item[row]
    }
    assert set(shown_lists(opened, data)[0]) == listed


def test_a_document_shows_its_values_and_the_queries_that_list_it(
    opened: Browser, data: ExplorerData
) -> None:
    item = int(data.spaces[0].lists.item[0, 0])
    opened.run("explorer.pick(arguments[0])", item)
    (panel,) = find(opened, ".anx-panel")
    assert "[object" not in panel.text
    rows = [row.text for row in find(opened, ".anx-panel tbody tr")]
    for number, (name, form) in enumerate(
        (("occurrence", "{:.0f}"), ("even", "{:.3f}"), ("density", "{:.3f}"))
    ):
        values = [form.format(float(getattr(view, name)[item])) for view in data.spaces]
        assert rows[number].endswith(" ".join(values))
    assert f"keeps {round(data.kept[item] * 10)} of its 10 nearest documents from" in panel.text
    for view, found in zip(data.spaces, shown_lists(opened, data), strict=True):
        listed = [data.ids[data.listed[row]] for row in np.flatnonzero(
            (view.lists.item == item).any(axis=1))]  # fmt: skip
        assert sorted(found) == sorted(listed)
    lines: Any = opened.run("return explorer.shown")
    positives = {data.listed[r] for r in data.judgments.row[data.judgments.item == item]}
    assert set(lines["positives"]) == positives
    for view, ends in zip(data.spaces, lines["negatives"], strict=True):
        lists = set(data.listed[(view.lists.item == item).any(axis=1)])
        assert set(ends) == lists - positives
    opened.picture("explorer-document")


def test_only_keys(opened: Browser, data: ExplorerData) -> None:
    seen = []
    for _ in range(30):
        press(opened, Keys.TAB)
        seen.append(active(opened))
        if seen[-1]["role"] == "listbox":
            break
        if seen[-1]["tag"] == "SELECT" and "hubs" in seen[-1]["text"]:
            press(opened, Keys.ARROW_DOWN)
    # Every stop on the way shows that it has the focus.
    assert [stop for stop in seen if stop["outline"] == "none" or stop["width"] < 2] == []
    assert {"SELECT", "BUTTON", "CANVAS", "INPUT"} <= {stop["tag"] for stop in seen}
    assert seen[-1]["role"] == "listbox"
    finding = data.findings[0]
    for n in range(3):
        press(opened, Keys.ARROW_DOWN)
        query = data.ids[finding.items[n]]
        assert query in find(opened, ".anx-panel h2")[0].text
        assert find(opened, "[role=option][aria-selected=true]")[0].text.endswith(finding.notes[n])
        assert find(opened, ".anx-status")[0].get_attribute("textContent").startswith("query")
        assert shown_lists(opened, data) == expected_lists(data, query)
    press(opened, Keys.ARROW_UP)
    assert data.ids[finding.items[1]] in find(opened, ".anx-panel h2")[0].text
    # past "add to the selection" and "zoom to its lines" to a document
    press(opened, Keys.TAB, Keys.TAB, Keys.TAB, Keys.ENTER)
    assert "Document" in find(opened, ".anx-panel h2")[0].text
    assert active(opened)["tag"] == "H2"
    press(opened, Keys.TAB, Keys.ENTER)  # back
    assert data.ids[finding.items[1]] in find(opened, ".anx-panel h2")[0].text
    press(opened, Keys.ESCAPE)
    assert find(opened, ".anx-panel h2") == []
    assert opened.run("return explorer.state.picked") == -1


def test_keys_move_the_map_and_pick_its_middle(opened: Browser) -> None:
    canvas = find(opened, ".anx-above")[0]
    opened.run("arguments[0].focus()", canvas)
    before: Any = opened.run("return {...explorer.view}")
    press(opened, "+", Keys.ARROW_RIGHT)
    after: Any = opened.run("return {...explorer.view}")
    assert after["scale"] == pytest.approx(before["scale"] * 1.3)
    assert after["x"] == pytest.approx(before["x"] + 40 / after["scale"])
    press(opened, "0")
    assert opened.run("return explorer.view.scale") == before["scale"]
    nearest = opened.run(
        "const m = explorer.maps[0]; return m.nearest(m.size.width / 2, m.size.height / 2, 60)"
    )
    press(opened, Keys.ENTER)
    assert opened.run("return explorer.state.picked") == nearest
    assert nearest >= 0


def place(browser: Browser, number: int) -> np.ndarray:
    """Where every point is on a map, in pixels of its frame."""
    found = browser.run(
        "const m = explorer.maps[arguments[0]]; return Array.from(m.x, (_, i) => m.place(i))",
        number,
    )
    return np.array(found)


def drag(browser: Browser, canvas: WebElement, corners: list[tuple[float, float]]) -> None:
    """Press at the first corner and move over the others."""
    width, height = canvas.size["width"], canvas.size["height"]
    moves = ActionChains(browser.driver, duration=20)
    at = [(round(x - width / 2), round(y - height / 2)) for x, y in corners]
    moves.move_to_element_with_offset(canvas, *at[0]).click_and_hold()
    for x, y in at[1:]:
        moves.move_to_element_with_offset(canvas, x, y)
    moves.release().perform()
    browser.settle()


def downloaded(browser: Browser, name: str) -> str:
    path = browser.downloads / name
    for _ in range(600):  # renamed once it is whole
        if path.exists() and path.stat().st_size:
            return path.read_text("utf-8")
        time.sleep(0.1)
    raise AssertionError(f"{name} was not downloaded: {list(browser.downloads.iterdir())}")


def test_lasso_selects_and_downloads_what_is_inside(opened: Browser, data: ExplorerData) -> None:
    named(opened, "lasso").click()
    canvas = find(opened, ".anx-above")[1]
    points = place(opened, 1)
    left, right = np.quantile(points[:, 0], (0.3, 0.7))
    top, bottom = np.quantile(points[:, 1], (0.3, 0.7))
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    drag(opened, canvas, corners)
    chosen: Any = opened.run("return explorer.selected")
    inside = lambda slack: {  # noqa: E731
        i for i, (x, y) in enumerate(points)
        if left - slack < x < right + slack and top - slack < y < bottom + slack
    }  # fmt: skip
    # The pointer moves by whole pixels: points at the border may fall either way.
    assert inside(-2) <= set(chosen) <= inside(2)
    assert len(chosen) > 10
    assert f"{len(chosen)} selected" in find(opened, ".anx-selection h2")[0].text
    opened.picture("explorer-lasso")
    named(opened, "download ids .txt").click()
    ids = [data.ids[i] for i in chosen]
    assert downloaded(opened, "selected-ids.txt").splitlines() == ids
    named(opened, "download .csv").click()
    rows = list(csv.DictReader(io.StringIO(downloaded(opened, "selected.csv"))))
    assert [row["id"] for row in rows] == ids
    frame = data.frame(chosen)
    assert [row["side"] for row in rows] == frame["side"].tolist()
    assert [row["text"] for row in rows] == frame["text"].tolist()
    for column in ("x_a", "y_a", "x_b", "y_b"):
        values = [float(row[column]) for row in rows]
        np.testing.assert_allclose(values, frame[column], rtol=1e-6, atol=1e-6)
    press(opened, Keys.ESCAPE)
    assert opened.run("return explorer.selected") == []
    assert opened.complaints() == []


def test_lasso_with_shift_adds(opened: Browser) -> None:
    opened.run("explorer.choose([0, 1]); explorer.choose([5], true)")
    assert opened.run("return explorer.selected") == [0, 1, 5]
    opened.run("explorer.choose([7])")
    assert opened.run("return explorer.selected") == [7]


def test_a_press_picks_and_both_maps_move_together(opened: Browser, data: ExplorerData) -> None:
    points = place(opened, 0)
    item = int(opened.run("return explorer.maps[0].nearest(...explorer.maps[0].place(20), 1)"))
    canvas = find(opened, ".anx-above")[0]
    drag(opened, canvas, [tuple(points[item])])
    picked = data.ids[opened.run("return explorer.state.picked")]
    assert picked in find(opened, ".anx-panel h2")[0].text
    before = [place(opened, number) for number in (0, 1)]
    drag(opened, canvas, [(200, 200), (230, 220), (260, 250)])
    for number in (0, 1):
        moved = place(opened, number) - before[number]
        np.testing.assert_allclose(moved, np.broadcast_to([60, 50], moved.shape), atol=1.5)


def test_the_wheel_and_two_fingers_zoom_about_where_they_are(opened: Browser) -> None:
    canvas = find(opened, ".anx-above")[0]
    box = canvas.rect
    before: Any = opened.run("return [explorer.view.scale, explorer.maps[0].at(150, 120)]")
    opened.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {
        "type": "mouseWheel", "x": box["x"] + 150, "y": box["y"] + 120, "deltaX": 0,
        "deltaY": -100,
    })  # fmt: skip
    opened.settle()
    after: Any = opened.run("return [explorer.view.scale, explorer.maps[0].at(150, 120)]")
    assert after[0] == pytest.approx(before[0] * np.exp(0.4))
    np.testing.assert_allclose(after[1], before[1], atol=0.02)
    for kind, apart in (("touchStart", 40), ("touchMove", 60), ("touchMove", 80), ("touchEnd", 0)):
        points = [
            {"x": box["x"] + 200 + way * apart, "y": box["y"] + 200, "id": number}
            for number, way in enumerate((-1, 1))
        ]
        touch = {"type": kind, "touchPoints": points if apart else []}
        opened.driver.execute_cdp_cmd("Input.dispatchTouchEvent", touch)
    opened.settle()
    pinched: Any = opened.run("return explorer.view.scale")
    assert pinched == pytest.approx(after[0] * 2, rel=0.02)
    assert opened.run("return explorer.maps[0].pointers.size") == 0


def test_texts_from_elsewhere_stay_text(opened: Browser, data: ExplorerData) -> None:
    item = data.texts.index(EVIL)
    opened.run("explorer.pick(arguments[0]); explorer.hover(arguments[0], 0)", item)
    assert find(opened, ".anx-panel .anx-text")[0].text == EVIL
    (search,) = find(opened, "input[type=search]")
    search.send_keys("<script>")
    press(opened, Keys.ENTER)
    assert EVIL in find(opened, "[role=option]")[0].text
    assert opened.run("return document.scripts.length") == 2
    assert opened.complaints() == []


def test_every_color_and_map_draws(opened: Browser, data: ExplorerData) -> None:
    selects = [Select(box) for box in find(opened, ".anx-bar select")]
    for scale in data.scales:
        selects[1].select_by_visible_text(scale.title)
        opened.settle()
        legend = [li.text for li in find(opened, ".anx-legend li")]
        for label, _ in scale.classes:
            assert any(label in text for text in legend)
        opened.picture(f"explorer-color-{scale.key}")
    before = place(opened, 0)
    selects[0].select_by_visible_text("t-SNE")
    opened.settle()
    assert np.abs(place(opened, 0) - before).max() > 10
    assert "t-SNE" in find(opened, ".anx-map .anx-hint")[0].text
    assert "trustworthiness" in find(opened, ".anx-map .anx-hint")[0].text
    assert opened.complaints() == []


def test_one_side_alone_is_shown_picked_and_selected(opened: Browser) -> None:
    Select(find(opened, ".anx-bar select")[2]).select_by_visible_text("queries")
    opened.settle()
    whole = [[0, 0], [2000, 0], [2000, 2000], [0, 2000]]
    sides = "return explorer.maps[0].inside(arguments[0]).map((i) => explorer.data.sides[i])"
    found: Any = opened.run(sides, whole)
    assert set(found) == {0}
    document = opened.run("return explorer.maps[0].nearest(...explorer.maps[0].place(140), 1)")
    assert document != 140
    Select(find(opened, ".anx-bar select")[2]).select_by_visible_text("documents")
    found = opened.run(sides, whole)
    assert set(found) == {1}
    opened.picture("explorer-documents")


@pytest.mark.parametrize("width", [320, 390, 800])
def test_narrow_windows_do_not_scroll_sideways(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width, 800)
    browser.settle()
    browser.run("explorer.finder.choice.value = '0'; explorer.finder.choose()")
    browser.run("explorer.finder.step(0)")
    browser.settle()
    assert browser.run("return document.documentElement.scrollWidth") <= width
    widths: Any = browser.run("return explorer.maps.map((map) => map.size.width)")
    assert all(found > 0.4 * width for found in widths)
    browser.picture(f"explorer-{width}")
    assert browser.complaints() == []


def test_zooming_to_the_lines_shows_all_their_ends(opened: Browser, data: ExplorerData) -> None:
    item = int(data.listed[3])
    opened.run("explorer.pick(arguments[0])", item)
    before: Any = opened.run("return explorer.view.scale")
    named(opened, "zoom to its lines").click()
    opened.settle()
    ends: Any = opened.run(
        "const { picked, positives, negatives } = explorer.shown;"
        "const items = [picked, ...positives, ...negatives.flat()].filter((i) => i < "
        "explorer.data.points);"
        "return explorer.maps.flatMap((map) => items.map((i) => { const [x, y] = map.place(i);"
        "return [x / map.size.width, y / map.size.height]; }))"
    )
    assert len(ends) > 4
    assert np.min(ends) > 0
    assert np.max(ends) < 1
    assert opened.run("return explorer.view.scale") > before
    press(opened, Keys.ESCAPE)
    named(opened, "whole map").click()
    assert opened.run("return explorer.view.scale") == before


def test_what_moved_is_said_in_ranks(opened: Browser, data: ExplorerData) -> None:
    row = next(r for r in range(len(data.listed)) if (data.judgments.row == r).any())
    opened.run("explorer.pick(arguments[0])", int(data.listed[row]))
    ranks = [view.positives["rank"][data.judgments.row == row].min() for view in data.spaces]
    said = find(opened, ".anx-panel")[0].text
    if ranks[0] == ranks[1]:
        assert f"positive stays at rank {ranks[0]};" in said
    else:
        assert f"positive goes from rank {ranks[0]} to {ranks[1]};" in said
    assert "From first to second a document goes up (↑) or down (↓)" in said


def test_everything_that_is_focused_has_a_name(opened: Browser) -> None:
    opened.run("explorer.finder.choice.value = '0'; explorer.finder.choose()")
    opened.run("explorer.finder.step(0)")
    nameless = opened.run(
        "return Array.from(document.querySelectorAll('button, select, input, [tabindex]'))"
        ".filter((e) => !(e.getAttribute('aria-label') || e.closest('label') || "
        "e.textContent.trim())).map((e) => e.outerHTML)"
    )
    assert nameless == []


def test_one_space_alone(browser: Browser, tmp_path: Path) -> None:
    data = build(pair()[:1], ExplorerOptions(projections=("pca",), neighbors=5))
    browser.open(write_page(data, tmp_path / "one.html"))
    browser.run("explorer.finder.choice.value = '0'; explorer.finder.choose()")
    browser.run("explorer.finder.step(0)")
    browser.settle()
    query = data.ids[data.findings[0].items[0]]
    assert shown_lists(browser, data) == expected_lists(data, query)
    shown = find(browser, ".anx")[0].text
    assert not any(word in shown for word in ("null", "undefined", "NaN", "[object"))
    browser.picture("explorer-one")
    assert browser.complaints() == []


def test_the_public_function_writes_the_page(browser: Browser, tmp_path: Path) -> None:
    explorer = an.explore(*pair(), projections=["pca"])
    path = explorer.save(tmp_path / "deep" / "page.html")
    browser.open(path)
    assert browser.run("return explorer.data.points") == 130
    assert browser.complaints() == []
