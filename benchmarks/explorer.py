"""How smoothly the explorer's page moves: frames of pan and zoom in headless Chromium.

``python -m benchmarks.explorer`` prints the size of a page of 20,000 random points with 20
documents a query, and the time to draw a frame of both maps (no graphics card is used).
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from anisotropy.explorer import ExplorerOptions, build, write_page
from anisotropy.spaces import EmbeddingSpace

FRAMES = """
const [frames, done] = arguments, explorer = document.getElementById("explorer").explorer;
const drawn = [], between = [];
let last = performance.now(), n = 0;
function next() {
  const now = performance.now();
  between.push(now - last);
  last = now;
  if (n % 2) explorer.move(n % 40 < 20 ? 7 : -7, n % 80 < 40 ? 3 : -3);
  else explorer.zoom(n % 80 < 40 ? 1.02 : 1 / 1.02);
  cancelAnimationFrame(explorer.asked);
  explorer.asked = 0;
  const start = performance.now();
  explorer.draw(true);
  drawn.push(performance.now() - start);
  if (++n < frames) requestAnimationFrame(next);
  else done([drawn.slice(10), between.slice(10)]);
}
requestAnimationFrame(next);
"""


def spaces(points: int, dim: int = 64) -> tuple[EmbeddingSpace, EmbeddingSpace]:
    """A third queries near their documents, twice, the second moved a little."""
    rng = np.random.default_rng(0)
    n = points * 2 // 3
    documents = rng.normal(size=(n, dim)) + 3 * rng.normal(size=(40, dim))[np.arange(n) % 40]
    queries = documents[: points - n] + rng.normal(size=(points - n, dim))
    qrels = {str(i): {str(i): 1} for i in range(points - n)}
    made = [
        EmbeddingSpace(
            queries + noise * rng.normal(size=queries.shape),
            documents + noise * rng.normal(size=documents.shape),
            qrels=qrels, label=label,
            query_texts=[f"question {i} " + "word " * 12 for i in range(len(queries))],
            doc_texts=[f"document {i} " + "word " * 80 for i in range(n)],
        )
        for label, noise in (("a", 0.0), ("b", 0.5))
    ]  # fmt: skip
    return made[0], made[1]


def frames(page: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Milliseconds to draw a frame, and from one frame to the next."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    with tempfile.TemporaryDirectory() as profile:
        for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                     "--disable-background-networking", "--window-size=1440,1000",
                     f"--user-data-dir={profile}"):  # fmt: skip
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            driver.set_script_timeout(300)
            start = time.perf_counter()
            driver.get(page.as_uri())
            print(f"opened in {time.perf_counter() - start:.1f} s")
            drawn, between = driver.execute_async_script(FRAMES, count)
        finally:
            driver.quit()
    return np.array(drawn), np.array(between)


def main() -> None:
    """Make the page, move it, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=20_000)
    parser.add_argument("--frames", type=int, default=200)
    asked = parser.parse_args()
    start = time.perf_counter()
    options = ExplorerOptions(points=asked.points, projections=("pca",))
    data = build(spaces(asked.points), options)
    print(f"built in {time.perf_counter() - start:.1f} s")
    with tempfile.TemporaryDirectory() as folder:
        page = write_page(data, Path(folder) / "explorer.html")
        print(f"{data.n_points:,} points, {page.stat().st_size / 1e6:.1f} MB")
        drawn, between = frames(page, asked.frames)
    for name, values in (("drawing both maps", drawn), ("from frame to frame", between)):
        median, late = np.quantile(values, (0.5, 0.95))
        print(f"{name}: median {median:.1f} ms, 95% below {late:.1f} ms")


if __name__ == "__main__":
    main()
