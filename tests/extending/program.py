"""Where a toy task, start and measure turn up: run in a copy of the project that has them, it prints JSON."""

import contextlib
import io
import json
import shutil
import sys
from pathlib import Path

from training.evaluation.toy_measure import Brightness

from synth.__main__ import main
from synth.hub import BUNDLED, DEFAULT
from synth.tasks import TASKS
from synth.web.page import build
from training import evaluate
from training.card import write_card
from training.evaluation import report

FOLDER = Path(sys.argv[1])


def run_commands() -> list[int]:
    """The exit statuses of the toy task, and of a generation from the toy start."""
    picture = next((BUNDLED / DEFAULT / "examples").glob("*.png"))
    darken = ["darkening", "--picture", str(picture), "--output", str(FOLDER / "dark.png")]
    generate = ["generation", "--start", "dim", "--steps", "1", "--count", "1", "--output", str(FOLDER / "dim.png")]
    return [main(darken), main(generate)]


def make_card() -> str:
    """The card of a checkpoint after the toy measure."""
    folder = FOLDER / DEFAULT
    shutil.copytree(BUNDLED / DEFAULT, folder)
    report.store(folder, Brightness(), {"mean": 0.25}, "python -m training.evaluate", {"minutes": 1, "machine": "toy"})
    write_card(folder)
    return (folder / "README.md").read_text()


def evaluation_help() -> str:
    """What the command that measures says of itself."""
    with contextlib.redirect_stdout(io.StringIO()) as text, contextlib.suppress(SystemExit):
        evaluate.main(["--help"])
    return text.getvalue()


page = build()
components = [component["props"] for component in page.config["components"]]
result = {
    "statuses": run_commands(),
    "tasks": list(TASKS),
    "tabs": [props.get("label") for props in components],
    "endpoints": list(page.get_api_info()["named_endpoints"]),
    "starts": next(props["choices"] for props in components if props.get("label") == "Start"),
    "evaluation_help": evaluation_help(),
    "card": make_card(),
}
print(json.dumps(result))
