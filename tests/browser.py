"""A headless browser without a network, and what it complained about or asked for."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

#: Where pictures of the pages are kept; not in the repository.
ARTIFACTS = Path(__file__).parent / "artifacts"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1440,1000",
)
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Browser:
    """Headless Chromium that opens files.

    Attributes
    ----------
    driver
        The WebDriver.
    downloads
        Folder into which it downloads.
    """

    def __init__(self, program: str, driver: str, folder: Path) -> None:
        options = Options()
        options.binary_location = program
        for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(driver))
        self.downloads = folder / "downloads"
        self.downloads.mkdir()
        behavior = {"behavior": "allow", "downloadPath": str(self.downloads)}
        self.driver.execute_cdp_cmd("Browser.setDownloadBehavior", behavior)
        self.driver.execute_cdp_cmd("Network.enable", {})
        offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        self.driver.execute_cdp_cmd("Network.emulateNetworkConditions", offline)

    def open(self, path: Path, width: int = 1440, height: int = 1000) -> None:
        """Open a file in a window of that size; what was said before is forgotten."""
        self.complaints()
        self.requests()
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get(path.as_uri())

    def run(self, script: str, *values: object) -> object:
        """Value of a script; `explorer` is the explorer of the page, if any."""
        known = "const explorer = (document.getElementById('explorer') || {}).explorer;"
        return self.driver.execute_script(f"{known} {script}", *values)

    def settle(self) -> None:
        """Wait until what was asked for is drawn."""
        self.driver.execute_async_script(
            "const done = arguments[0];"
            "requestAnimationFrame(() => requestAnimationFrame(() => done()));"
        )

    def complaints(self) -> list[str]:
        """What the console was told since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Addresses asked for since the last call, of files and of the page itself left out."""
        events = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        asked = [
            str(event["params"]["request"]["url"])
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in asked if not url.startswith(("data:", "blob:"))]

    def picture(self, name: str) -> None:
        """Keep a picture of the whole page."""
        size = self.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 4000)}
        shot = self.driver.execute_cdp_cmd(
            "Page.captureScreenshot", {"captureBeyondViewport": True, "clip": {**clip, "scale": 1}}
        )
        ARTIFACTS.mkdir(exist_ok=True)
        (ARTIFACTS / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))

    def print(self, name: str) -> bytes:
        """Keep the page as a PDF on A4, and return it."""
        size = {"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": True}
        made = base64.b64decode(self.driver.execute_cdp_cmd("Page.printToPDF", size)["data"])
        ARTIFACTS.mkdir(exist_ok=True)
        (ARTIFACTS / f"{name}.pdf").write_bytes(made)
        return made


def start(folder: Path) -> Browser:
    """A browser that keeps its files in `folder`; skips the test where there is none."""
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        missing = "chromium" if program is None else "chromedriver"
        pytest.skip(f"no {missing} on the path; Debian: apt-get install chromium chromium-driver")
    return Browser(program, driver, folder)
