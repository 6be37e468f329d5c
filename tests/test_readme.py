"""The README tells the truth: figures, pictures, the test command."""

import re
from pathlib import Path

import pytest

from synth import hub
from training.overview import bundled_table, untrained_table

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def test_the_table_of_checkpoints_is_the_measured_one():
    assert hub.bundled()
    assert bundled_table() in README


def test_the_checkpoints_page_lists_what_is_and_what_is_not():
    page = (ROOT / "checkpoints/README.md").read_text()
    assert bundled_table().replace("](checkpoints/", "](") in page and untrained_table() in page


@pytest.mark.parametrize("path", re.findall(r"\]\(((?!http)[^)]+)\)", README))
def test_linked_files_exist(path):
    assert (ROOT / path).exists()


def test_the_space_runs_the_pinned_gradio():
    version = re.search(r"^sdk_version: (\S+)$", README, re.MULTILINE)[1]
    assert f"gradio=={version}" in (ROOT / "requirements.txt").read_text()


def test_ci_runs_the_readmes_test_command():
    assert "grep -m1 'python -m pytest' README.md" in (ROOT / ".ci" / "run").read_text()
    assert len(re.findall(r"python -m pytest", README)) == 1
