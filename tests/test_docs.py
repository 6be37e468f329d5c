"""The documentation is true: its tables, links, pictures, Python examples and commands."""

import argparse
import ast
import importlib
import re
import shlex
import sys
from functools import cache
from pathlib import Path

import pytest

import synth
from bench import evidence, rooms
from synth import TASKS, hub
from training.overview import bundled_table, untrained_table

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "bench/README.md")
] + ["checkpoints/README.md"]
COMMAND = re.compile(r"(?:python|accelerate launch [^`\n]*?) (?:-m (\S+)|(app\.py))([^`]*)")


@cache
def text_of(page: str) -> str:
    return (ROOT / page).read_text()


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[tuple[str, str]]:
    """(module, arguments) of every ``python -m`` command of a page, in blocks and in running text."""
    prose = re.sub(r"^```.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks(page, "bash") for line in block.splitlines() if "venv" not in line]
    lines += [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
    matches = [match for line in lines if (match := COMMAND.search(line))]
    return [(match[1] or "app", match[3]) for match in matches]


def links(page: str) -> list[str]:
    """Targets of the relative links and pictures of a page."""
    return re.findall(r"\]\(((?!http)[^)]+)\)", text_of(page))


def anchors(path: Path) -> set[str]:
    """The fragments that GitHub gives the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_table_of_checkpoints_is_the_measured_one():
    assert hub.bundled()
    assert bundled_table(short=True) in README


def test_the_checkpoints_page_lists_what_is_and_what_is_not():
    page = text_of("checkpoints/README.md")
    assert bundled_table().replace("](checkpoints/", "](") in page and untrained_table() in page


@pytest.mark.parametrize("name", ["robust", "starts", "inverse", "radii"])
def test_the_tables_of_evidence_are_the_measured_ones(name):
    page, reports = text_of("docs/evidence.md"), evidence.stored(name)
    assert reports
    for report in reports.values():
        assert evidence.markdown(name, report) in page
        assert report["command"] in " ".join(page.split())


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150
    assert len(re.search(r"^short_description: (.+)$", README, re.MULTILINE)[1]) <= 60  # the Hub takes no more


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_exist(page):
    for target in links(page):
        name, _, fragment = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.exists(), target
        assert not fragment or fragment in anchors(path), target
    for path in re.findall(r"`((?:synth|training|bench|tests|docs)/[\w/.-]+)`", text_of(page)):
        assert (ROOT / path).exists(), path


def test_every_picture_of_the_pages_is_on_one():
    shown = {((ROOT / page).parent / target).resolve() for page in PAGES for target in links(page)}
    drawn = {path for kind in ("png", "webp") for path in (ROOT / "docs").rglob(f"*.{kind}")} - set(
        (ROOT / "docs/inputs").iterdir()
    )
    assert drawn and not {path.name for path in drawn - shown}


class Parsed(Exception):
    """The command's arguments were understood; it need not run."""


@pytest.mark.parametrize("page", PAGES)
def test_commands_parse_and_their_inputs_exist(page, monkeypatch):
    parse = argparse.ArgumentParser.parse_args

    def only_parse(parser, arguments=None, namespace=None):
        raise Parsed(parse(parser, arguments, namespace))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", only_parse)
    for name, words in commands(page):
        module = importlib.import_module("synth.__main__" if name == "synth" else name)
        words = shlex.split(words.partition("#")[0].rstrip(" &"))
        if not words or not hasattr(module, "argparse"):  # only named, or a command without options
            assert not words and callable(module.main)
            continue
        monkeypatch.setattr(sys, "argv", [name, *words])
        try:
            module.main()
        except Parsed as parsed:
            options = parsed.args[0]
        except SystemExit as stop:
            assert stop.code == 0 and words[-1] == "--help", f"{name} {words}"
            continue
        for path in (getattr(options, part, None) for part in ("picture", "other", "style", "mask", "like")):
            assert path is None or (ROOT / path).exists(), path


def test_the_picture_of_the_rooms_is_the_current_one():
    assert rooms.OUTPUT.read_text() == rooms.draw(rooms.imports()), "run python -m bench.rooms"


def test_every_task_has_a_command_with_a_picture():
    page = text_of("docs/using.md")
    assert {words.split()[0] for name, words in commands("docs/using.md") if name == "synth"} >= set(TASKS)
    outputs = re.findall(r"^python -m synth (?!.*--like).* --output (\S+)$", page, re.MULTILINE)
    assert len(outputs) == len(TASKS) and set(outputs) <= set(links("docs/using.md"))


@pytest.mark.parametrize("page", PAGES)
def test_python_examples_use_what_exists(page):
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("synth"):
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), block
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "synth":
                assert hasattr(synth, node.attr), node.attr
            if isinstance(node, ast.Call) and ast.unparse(node.func).removeprefix("synth.") in TASKS:
                task = TASKS[ast.unparse(node.func).removeprefix("synth.")]
                assert {word.arg for word in node.keywords} <= {*task.parameters, "preset"}, block


def test_the_space_runs_the_pinned_gradio():
    version = re.search(r"^sdk_version: (\S+)$", README, re.MULTILINE)[1]
    assert f"gradio=={version}" in (ROOT / "requirements.txt").read_text()


def test_ci_runs_the_readmes_test_command():
    assert "grep -m1 'python -m pytest' README.md" in (ROOT / ".ci" / "run").read_text()
    assert len(re.findall(r"python -m pytest", README)) == 1
