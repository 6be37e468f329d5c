"""What is declared: the packages that are imported, at the versions of requirements.txt, and the console command."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import synth
from synth import downloads, hub
from synth.__main__ import main

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = {"synth", "training", "bench", "tests", "app"}
OPTIONAL = {"datasets", "pyautoattack", "spaces", "deepinv", "onnx", "onnxruntime", "onnxscript"}
"""Imported inside functions where they are needed, with a sentence that says what to install."""


def versions(requirements: list[str]) -> dict[str, str]:
    """{name: the version after == or >=}."""
    pairs = (re.match(r"([\w.-]+)[=>]=([\w.]+)", line) for line in requirements)
    return {normal(match[1]): match[2] for match in pairs if match}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(*places: str) -> set[str]:
    """Distributions that the code in ``places`` imports."""
    files = [path for place in places for path in ([ROOT / place] if "." in place else (ROOT / place).rglob("*.py"))]
    names = set()
    for node in (node for path in files for node in ast.walk(ast.parse(path.read_text()))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.partition(".")[0])
    known = packages_distributions()
    names -= OURS | OPTIONAL | set(sys.stdlib_module_names)
    return {normal(known[name][0]) for name in names if name in known}


def test_both_lists_have_the_same_versions():
    extras = [line for group in PROJECT["optional-dependencies"].values() for line in group]
    listed = versions((ROOT / "requirements.txt").read_text().splitlines())
    assert versions(PROJECT["dependencies"] + extras) == listed and len(listed) > 15


@pytest.mark.parametrize(
    ("places", "extras"),
    [
        (("synth", "app.py"), ()),
        (("training",), ("train", "measure")),
        (("tests",), ("train", "measure", "dev")),
    ],
    ids=lambda value: "-".join(value),
)
def test_what_is_imported_is_declared(places, extras):
    declared = versions(
        PROJECT["dependencies"] + [line for e in extras for line in PROJECT["optional-dependencies"][e]]
    )
    assert imported(*places) <= declared.keys() | {"gradio-client"}  # which comes with gradio
    assert len(imported(*places)) > 4


def test_the_citation_has_the_version():
    assert f"version: {synth.__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_requirements_that_run_the_app_are_those_of_the_package():
    running = (ROOT / "requirements.txt").read_text().split("# Training")[0].splitlines()
    assert versions(running) == versions(PROJECT["dependencies"])


def test_the_console_command_is_the_module():
    assert PROJECT["scripts"] == {"synth": "synth.__main__:main"}
    assert PROJECT["name"] != "synth" and (Path(synth.__file__).parent / "py.typed").exists()


@pytest.fixture
def nothing_bundled(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "BUNDLED", tmp_path)
    return tmp_path


def test_with_nothing_bundled_a_command_says_what_to_name(nothing_bundled, capsys):
    assert main(["generation"]) == 2
    sentence = "checkpoint: expected a folder or owner/name on the Hub, since none comes with this installation\n"
    assert capsys.readouterr().err == sentence


def test_with_nothing_bundled_the_default_is_the_listed_one(nothing_bundled, monkeypatch, capsys):
    (nothing_bundled / "hub.txt").write_text("owner/one\nowner/two\n")
    asked = []

    def download(name, **more):
        asked.append(name)
        raise OSError("no network")

    monkeypatch.setattr(downloads, "snapshot_download", download)
    for arguments in ([], ["--checkpoint", "two"]):
        assert main(["generation", *arguments]) == 2
        error = capsys.readouterr().err
        assert error.startswith("checkpoint: expected a reachable Hub repository") and error.count("\n") == 1
    assert asked == ["owner/one", "owner/one", "owner/two", "owner/two"]  # each in the cache, then on the Hub
