"""The wheel is built, installed elsewhere, and what it installed does the main job."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.making import make_checkpoint, make_collection

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed wheel and nothing else of the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    target = folder / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def run(installed: Path, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(installed),
        "ANISOTROPY_CACHE": str(cwd / "cache"),
    }
    command = [sys.executable, "-W", "error::DeprecationWarning:anisotropy", *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def test_the_installed_package_is_the_one_used(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "-c", "import anisotropy; print(anisotropy.__file__)")
    assert done.stdout.startswith(str(installed))


def test_the_installed_program_compares(installed: Path, tmp_path: Path) -> None:
    make_checkpoint(tmp_path / "a.ckpt")
    make_checkpoint(tmp_path / "b.ckpt", "dance", seed=1)
    make_collection(tmp_path / "data")
    words = ["compare", "--a", "a.ckpt", "--b", "b.ckpt", "--data", "data", "--out", "out"]
    done = run(installed, tmp_path, "-m", "anisotropy", *words)
    assert done.returncode == 0, done.stderr
    assert "nDCG@10" in done.stdout
    for name in ("results.json", "results.csv", "report.html", "config.toml"):
        assert (tmp_path / "out" / name).stat().st_size > 0
    assert list((tmp_path / "out/figures").glob("*.png"))


def test_the_installed_program_explores(installed: Path, tmp_path: Path) -> None:
    make_checkpoint(tmp_path / "a.ckpt")
    make_collection(tmp_path / "data")
    words = ["explore", "a.ckpt", "--data", "data", "--projection", "pca", "--out", "page.html"]
    done = run(installed, tmp_path, "-m", "anisotropy", *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "page.html\n"
    assert "new Explorer(" in (tmp_path / "page.html").read_text("utf-8")


def test_the_wheel_has_typing_marker_and_console_script(installed: Path) -> None:
    assert (installed / "anisotropy/py.typed").exists()
    (points,) = installed.glob("anisotropy-*.dist-info/entry_points.txt")
    assert "anisotropy = anisotropy.cli:main" in points.read_text()
