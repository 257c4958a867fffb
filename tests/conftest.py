"""Fixtures for data that some machines have and the package never needs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from anisotropy.plots import FigureKind
    from anisotropy.results import Results
    from tests.browser import Browser


def _folder(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value or not Path(value).is_dir():
        pytest.skip(f"{variable} names no folder")
    return Path(value)


@pytest.fixture(scope="session")
def oracle() -> Path:
    """Reference arrays produced by the original models."""
    return _folder("ANISOTROPY_ORACLE")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real collections and vectors."""
    return _folder("ANISOTROPY_REAL_DATA")


@pytest.fixture(scope="session")
def transformers_230() -> Path:
    """A folder from which transformers 2.3.0, which ANCE and DANCE pin, can be imported."""
    return _folder("ANISOTROPY_TRANSFORMERS_230")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests neither read nor fill the user's cache; they share one a run, also across workers."""
    base = tmp_path_factory.getbasetemp()
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    shared = run / "anisotropy-cache"
    monkeypatch.setenv("ANISOTROPY_CACHE", str(shared))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One headless Chromium for all pages."""
    from tests.browser import start

    opened = start(tmp_path_factory.mktemp("browser"))
    yield opened
    opened.driver.quit()


@pytest.fixture
def few_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs draw one figure: all of them have tests of their own, and take most of the time."""
    from anisotropy.plots import FIGURES

    def available(results: Results) -> list[FigureKind]:
        return [FIGURES["spectrum"]] if results.find_curves("spectrum") else []

    for module in ("anisotropy.plots", "anisotropy.plots.save"):
        monkeypatch.setattr(f"{module}.available", available)
