"""Tables of all checkpoints in README.md and checkpoints/README.md: ``python -m training.overview`` rewrites them."""

from __future__ import annotations

import json
from pathlib import Path

from synth import checkpoint, hub
from training.card import parameters
from training.evaluation import report as reports
from training.evaluation.accuracy import title
from training.recipes import RECIPES, command
from training.tables import table


def bundled_table(short: bool = False) -> str:
    """A row for every bundled checkpoint: network, size, measured figures, cost; only the figures if ``short``."""
    names = [name for name in hub.bundled() if (hub.folder(name) / checkpoint.EVALUATION).exists()]
    figures = ["clean", *(f"pgd20_l2_{radius:g}" for radius in (0.5, 1, 1.5, 2, 3))]
    titles = [title(figure).replace("accuracy", "").replace(" under ", "").strip() for figure in figures]
    head = ["checkpoint", "network", "parameters", "weights", *titles]
    head += ["samples: FID, judge accuracy", "the same, public judge", "training"]
    rows = []
    for name in names:
        folder = hub.folder(name)
        report, config = reports.read(folder), json.loads((folder / checkpoint.CONFIG).read_text())
        info, accuracy = config["info"], report.get("accuracy", {})
        accuracies = [f"{accuracy[figure]['value']:.1%}" if figure in accuracy else "" for figure in figures]
        samples = report.get("samples", {})
        quality = [_quality(samples.get("judge")), _quality(next(iter(samples.get("also", [])), None))]
        size = (folder / checkpoint.WEIGHTS).stat().st_size / 1e6
        network = f"{config['architecture']}, width {config['width']:g}"
        cost = f"{info['epochs']:g} epochs, {info['minutes']:.0f} min on {info['machine']}"
        row = [f"[`{name}`](checkpoints/{name})", network, f"{parameters(folder):.1f} M", f"{size:.1f} MB"]
        rows.append([*row, *accuracies, *quality, cost])
    if short:
        head, *rows = ([row[0], *row[4:-1]] for row in (head, *rows))
    return table(head, rows)


def _quality(judged: dict | None) -> str:
    """The FID of samples, and how often the judge sees their class."""
    if not judged:
        return ""
    seen = judged["samples"]["judge_accuracy"]
    return f"{judged['samples']['fid']:.3g}, {seen['value']:.1%} of {seen['count']:,}"


def untrained_table() -> str:
    """A row for every recipe without a bundled checkpoint: what it would train, and the command."""
    rows = []
    successors = {recipe.initial: recipe.name for recipe in RECIPES.values() if recipe.name in hub.bundled()}
    for name, recipe in RECIPES.items():
        if name not in hub.bundled() and recipe.data:
            network = f"{recipe.architecture}, width {recipe.width:g}"
            plan = f"{recipe.epochs} epochs" + (f", {recipe.attack_steps} attack steps" if recipe.epsilon else "")
            plan += f"; it was trained, and `{successors[name]}` began with its weights" if name in successors else ""
            plan += f"; it begins with the weights of `{recipe.initial}`" if recipe.initial else ""
            rows.append([f"`{name}`", network, plan, f"`{command(recipe)}`"])
    return table(["not bundled", "network", "plan", "command"], rows)


def fill(path: Path, name: str, text: str) -> None:
    """Put ``text`` between the marks ``<!-- name -->`` and ``<!-- end of name -->`` of the file at ``path``."""
    first, last = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, first_mark, rest = path.read_text().partition(first)
    _, last_mark, after = rest.partition(last)
    if not (first_mark and last_mark):
        raise ValueError(f"{path.name}: expected {first} and {last}")
    path.write_text(f"{before}{first}\n{text}\n{last}{after}")


def main() -> None:
    root = hub.BUNDLED.parent
    fill(root / "README.md", "checkpoints", bundled_table(short=True))
    fill(root / "checkpoints/README.md", "checkpoints", bundled_table().replace("](checkpoints/", "]("))
    fill(root / "checkpoints/README.md", "recipes", untrained_table())


if __name__ == "__main__":
    main()
