"""The report in a real browser: from a file, without a network, narrow, copied and printed."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from anisotropy.report import write_html
from anisotropy.results import Association, Results
from tests.browser import Browser
from tests.plots.sample import analysis, comparison, reproduction, thin

EVIL = "<script>alert(1)</script>"
#: Width and height in pixels of what a page of A4 holds.
A4 = 702, 1010


def whole() -> Results:
    """Everything a page can hold; ids and texts from elsewhere are hostile."""
    results = comparison()
    (curve,) = results.find_curves("changes")
    texts = np.array([f'{EVIL} of query {i}, "quoted"' for i in range(300)], dtype=object)
    results.curves.remove(curve)
    columns = {**curve.columns, "text": texts}
    results.curves.append(type(curve)("changes", curve.space, curve.side, columns))
    results.links = [Association("margin", "nDCG@10", -0.2, -0.3, -0.1, 300, "bootstrap")]
    results.warnings.append(EVIL)
    return results


@pytest.fixture(scope="module")
def results() -> Results:
    return whole()


@pytest.fixture(scope="module")
def page(results: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_html(results, tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture
def opened(browser: Browser, page: Path) -> Browser:
    browser.open(page, 1280, 900)
    browser.settle()
    return browser


def test_opens_from_a_file_without_complaint_or_request(browser: Browser, page: Path) -> None:
    browser.open(page, 1280, 900)
    browser.settle()
    assert browser.complaints() == []
    assert browser.requests() == [page.as_uri()]
    assert browser.driver.title == "dance against ance: anisotropy"
    assert browser.run(
        "return Array.from(document.images).every((i) => i.complete && i.naturalWidth > 300)"
    )
    assert page.stat().st_size < 6_000_000
    browser.picture("report")


def test_the_opening_is_one_screen(opened: Browser) -> None:
    bottom = opened.run("return document.querySelector('.doubts').getBoundingClientRect().bottom")
    assert 400 < float(str(bottom)) < 950


def test_texts_from_elsewhere_stay_text(opened: Browser) -> None:
    shown: Any = opened.run("return document.body.innerText")
    assert shown.count(f"{EVIL} of query") == 20
    assert opened.run("return document.scripts.length") == 1
    assert opened.complaints() == []


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_no_width_scrolls_sideways(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width, 800)
    browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    browser.settle()
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.complaints() == []
    browser.picture(f"report-{width}")


@pytest.mark.parametrize("name", ["one", "many", "reproduction"])
def test_other_results_open_as_well(browser: Browser, tmp_path: Path, name: str) -> None:
    made = {
        "one": lambda: analysis(("ance",)),
        "many": lambda: analysis(("a label without an end" * 4, *"bcdefgh")),
        "reproduction": lambda: reproduction(3),
    }[name]()
    path = write_html(thin_curves(made), tmp_path / "report.html")
    for width in (1280, 320):
        browser.open(path, width, 900)
        browser.settle()
        assert browser.run("return document.documentElement.scrollWidth") <= width
        assert browser.complaints() == []
        browser.picture(f"report-{name}-{width}")


def thin_curves(results: Results) -> Results:
    results.curves = results.find_curves("mining")
    return results


def copied(browser: Browser, table: str) -> list[list[str]]:
    """The clipboard after the button of a table, parsed."""
    text: Any = browser.driver.execute_async_script(
        "const done = arguments[1], id = arguments[0];"
        "const button = document.querySelector(`button[data-table='${id}']`);"
        "button.click();"
        "setTimeout(() => navigator.clipboard.readText().then(done, (e) => done(String(e))), 20);",
        table,
    )
    return list(csv.reader(io.StringIO(text), strict=True))


@pytest.fixture
def clipboard(opened: Browser) -> Browser:
    opened.driver.execute_cdp_cmd(
        "Browser.grantPermissions", {"permissions": ["clipboardReadWrite"]}
    )
    return opened


def test_every_table_copies_as_csv(clipboard: Browser) -> None:
    tables: Any = clipboard.run(
        "return Array.from(document.querySelectorAll('table'), (t) => t.id)"
    )
    assert len(tables) > 18
    for table in tables:
        head, *rows = copied(clipboard, table)
        assert rows, table
        assert len(set(head)) == len(head), head
        assert {len(row) for row in rows} == {len(head)}, table
        shown = clipboard.run(
            "return document.getElementById(arguments[0]).tBodies[0].querySelectorAll"
            "('tr:not(.group)').length", table,
        )  # fmt: skip
        assert len(rows) == shown
    assert clipboard.complaints() == []


def test_copies_are_the_values_of_the_files(clipboard: Browser, results: Results) -> None:
    """Headline and families against results.csv and the differences, to the last digit."""
    file = pd.read_csv(io.StringIO(results.measurements.to_csv(index=False)))
    known = file.set_index(["space", "side", "on", "measure"])
    deltas = results.differences.set_index(["side", "on", "measure"])
    tables: Any = clipboard.run(
        "return Array.from(document.querySelectorAll('table.family, table.headline'), (t) => t.id)"
    )
    seen = set()
    for table in tables:
        head, *rows = copied(clipboard, table)
        for row in (dict(zip(head, cells, strict=True)) for cells in rows):
            place = (row["side"], row["on"], row["measure"])
            seen.add(place)
            for space in ("ance", "dance"):
                found = known.loc[(space, *place)]
                for name in ("", "se", "ci_low", "ci_high", "null_mean", "null_p"):
                    assert same(row[f"{space} {name}".strip()], found[name or "value"])
            if place in deltas.index:
                for name in ("delta", "se", "ci_low", "ci_high", "p", "p_holm", "effect_size"):
                    assert same(row[name], deltas.loc[place][name]), (place, name)
    assert seen == {place[1:] for place in known.index}


def same(text: str, value: float) -> bool:
    return text == "" if math.isnan(value) else float(text) == value


def test_a_text_is_no_formula(clipboard: Browser) -> None:
    """A spreadsheet runs nothing of what is copied; numbers stay numbers."""
    runs = [
        "=1+1",
        '=HYPERLINK("http://x.example")',
        "+SUM(1)",
        "-2+3",
        "@SUM(1)",
        "\t1",
        "\uff1d1",
    ]
    within = {"\t=1": "'\t'=1", "a\n=1": "a\n'=1", "a;@B(1)": "a;'@B(1)", "a\t+1": "a\t'+1"}
    stays = ["a=1", "a - b", "'quoted", "-0.134", "+1e-05", "1,203", "-inf", "", -0.134, 1203]
    wanted = {**{text: f"'{text}" for text in runs}, **within, **{x: str(x) for x in stays}}
    clipboard.run(
        "const table = document.createElement('table'), button = document.createElement('button');"
        "const cell = table.insertRow().insertCell(); cell.dataset.csv = arguments[0];"
        "table.id = button.dataset.table = 'probe'; button.className = 'copy';"
        "document.body.append(table, button);", json.dumps(list(wanted)),
    )  # fmt: skip
    assert copied(clipboard, "probe") == [list(wanted.values())]


def test_copies_by_hand_where_there_is_no_clipboard(clipboard: Browser) -> None:
    before = copied(clipboard, "table-headline")
    clipboard.run(
        "window.kept = navigator.clipboard; window.kept.writeText('');"
        "Object.defineProperty(Navigator.prototype, 'clipboard', {value: undefined});"
    )
    (button,) = clipboard.driver.find_elements(By.CSS_SELECTOR, "[data-table='table-headline']")
    button.send_keys(Keys.ENTER)
    text: Any = clipboard.driver.execute_async_script(
        "window.kept.readText().then(arguments[0], (e) => arguments[0](String(e)));"
    )
    assert list(csv.reader(io.StringIO(text))) == before
    assert clipboard.driver.switch_to.active_element == button
    assert button.text == "copied"


def anchor_of(name: str) -> str:
    return f"document.getElementById({name!r})"


def test_every_link_of_the_head_leads_to_its_section(opened: Browser) -> None:
    anchors: Any = opened.run(
        "return Array.from(document.querySelectorAll('nav a'), (a) => a.hash.slice(1))"
    )
    sections: Any = opened.run(
        "return Array.from(document.querySelectorAll('main h2'), (h) => h.id)"
    )
    assert anchors == sections
    opened.run("document.documentElement.style.scrollBehavior = 'auto'")
    for anchor in anchors[:-3]:  # the last ones are nearer than a screen to the end
        opened.run("document.querySelector(`nav a[href='#${arguments[0]}']`).click()", anchor)
        opened.settle()
        top: Any = opened.run(f"return {anchor_of(anchor)}.getBoundingClientRect().top")
        assert 0 <= top < 120, anchor


def test_a_link_into_what_is_folded_unfolds_it(browser: Browser, tmp_path: Path) -> None:
    path = write_html(thin_curves(reproduction(2)), tmp_path / "report.html")
    browser.open(path)
    assert not browser.run("return document.getElementById('read-2').open")
    browser.run("location.hash = 'read-2-1'")
    browser.settle()
    assert browser.run("return document.getElementById('read-2').open")


def test_focus_is_seen_and_tables_scroll_by_keys(opened: Browser) -> None:
    for keys in range(1, 4):
        ActionChains(opened.driver).send_keys(Keys.TAB).perform()
        width: Any = opened.run(
            "const s = getComputedStyle(document.activeElement);"
            "return s.outlineStyle === 'none' ? 0 : parseFloat(s.outlineWidth)"
        )
        assert width >= 2, keys
    boxes: Any = opened.run(
        "return Array.from(document.querySelectorAll('.scroll'),"
        " (b) => b.tabIndex === 0 && !!b.getAttribute('aria-label'))"
    )
    assert all(boxes)


def test_it_prints_whole(opened: Browser) -> None:
    opened.run(
        "window.folded = -1; addEventListener('beforeprint', () => {"
        " window.folded = document.querySelectorAll('details:not([open])').length; })"
    )
    before = opened.run("return document.querySelectorAll('details:not([open])').length")
    made = opened.print("report")
    assert made.startswith(b"%PDF")
    assert len(made) > 200_000
    assert opened.run("return window.folded") == 0
    assert opened.run("return document.querySelectorAll('details:not([open])').length") == before


def test_nothing_is_cut_on_paper(browser: Browser, page: Path) -> None:
    width, height = A4
    browser.open(page, width, height)
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    browser.settle()
    wide: Any = browser.run(
        "return Array.from(document.querySelectorAll('table, img, pre'))"
        ".filter((e) => e.getBoundingClientRect().right > arguments[0] + 1)"
        ".map((e) => e.id || e.alt)", width,
    )  # fmt: skip
    tall: Any = browser.run(
        "return Array.from(document.querySelectorAll('figure, .reading'))"
        ".filter((e) => e.offsetHeight > arguments[0]).map((e) => e.id)", height,
    )  # fmt: skip
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert wide == []
    assert tall == []


def test_the_smallest_page_is_whole(browser: Browser, tmp_path: Path) -> None:
    for name, results in (
        ("thin", thin(comparison())),
        ("none", Results(spaces=[{"label": "a"}])),
    ):
        browser.open(write_html(results, tmp_path / f"{name}.html"))
        assert browser.complaints() == []
