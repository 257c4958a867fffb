"""Benchmarks that the pages name by their files start as it is written there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("docs/*.md"), ROOT / "README.md", *ROOT.glob("benchmarks/*.py")]
NAMED = re.compile(r"python (benchmarks/\w+\.py|-m benchmarks\.page)")
COMMANDS = sorted({found for page in PAGES for found in NAMED.findall(page.read_text("utf-8"))})


@pytest.mark.parametrize("command", COMMANDS)
def test_it_starts(command: str, tmp_path: Path) -> None:
    words = [sys.executable, *command.split(), "--help"]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("usage: ")


def test_results_that_are_not_there_are_one_line(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "benchmarks.page", str(tmp_path / "none.json")]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    assert "none.json: no such file; python -m benchmarks writes one" in ended.stderr
