"""Fixtures for data that some machines have and the package never needs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


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


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests neither read nor fill the user's cache; they share one a run, also across workers."""
    base = tmp_path_factory.getbasetemp()
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    shared = run / "anisotropy-cache"
    monkeypatch.setenv("ANISOTROPY_CACHE", str(shared))
