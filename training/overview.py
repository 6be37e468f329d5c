"""Tables of all checkpoints in README.md and checkpoints/README.md: ``python -m training.overview`` rewrites them."""

from __future__ import annotations

import json
from pathlib import Path

from synth import hub
from training.card import accuracies, parameters, table, title
from training.recipes import RECIPES


def bundled_table() -> str:
    """A row for every bundled checkpoint: network, size, measured figures, cost."""
    names = [name for name in hub.bundled() if (hub.folder(name) / "evaluation.json").exists()]
    reports = [json.loads((hub.folder(name) / "evaluation.json").read_text()) for name in names]
    figures = ["clean", "pgd20_l2_0.5", "pgd20_l2_1", "pgd20_l2_2"]
    titles = [title(figure).replace("accuracy", "").replace(" under ", "").strip() for figure in figures]
    head = ["checkpoint", "network", "parameters", "weights", *titles, "samples: FID, seen as class", "training"]
    rows = []
    for name, report in zip(names, reports, strict=True):
        folder = hub.folder(name)
        config = json.loads((folder / "config.json").read_text())
        info, accuracy = config["info"], dict(accuracies(report))
        measured = [f"{accuracy[figure]['value']:.1%}" if figure in accuracy else "" for figure in figures]
        samples = report.get("samples", {}).get("judge", {}).get("samples")
        quality = f"{samples['fid']:.3g}, {samples['judge_accuracy']['value']:.1%}" if samples else ""
        size = (folder / "model.safetensors").stat().st_size / 1e6
        network = f"{config['architecture']}, width {config['width']:g}"
        cost = f"{info['epochs']:g} epochs, {info['minutes']:.0f} min on {info['machine']}"
        row = [f"[`{name}`](checkpoints/{name})", network, f"{parameters(folder):.1f} M"]
        rows.append([*row, f"{size:.1f} MB", *measured, quality, cost])
    return table(head, rows)


def untrained_table() -> str:
    """A row for every recipe without a bundled checkpoint: what it would train, and the command."""
    rows = []
    begun = {recipe.initial: recipe.name for recipe in RECIPES.values() if recipe.name in hub.bundled()}
    for name, recipe in RECIPES.items():
        if name not in hub.bundled():
            network = f"{recipe.architecture}, width {recipe.width:g}"
            plan = f"{recipe.epochs} epochs" + (f", {recipe.attack_steps} attack steps" if recipe.epsilon else "")
            plan += f"; trained, as the beginning of `{begun[name]}`" if name in begun else ""
            plan += f", begins with `{recipe.initial}`" if recipe.initial else ""
            rows.append([f"`{name}`", network, plan, f"`python -m training.train {name}`"])
    return table(["not here", "network", "plan", "command"], rows)


def fill(path: Path, name: str, text: str) -> None:
    """Put ``text`` between the marks ``<!-- name -->`` and ``<!-- end of name -->`` of the file at ``path``."""
    first, last = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, found, rest = path.read_text().partition(first)
    _, ended, after = rest.partition(last)
    if not (found and ended):
        raise ValueError(f"{path.name}: expected {first} and {last}")
    path.write_text(f"{before}{first}\n{text}\n{last}{after}")


def main() -> None:
    root = hub.BUNDLED.parent
    fill(root / "README.md", "checkpoints", bundled_table())
    fill(root / "checkpoints/README.md", "checkpoints", bundled_table().replace("](checkpoints/", "]("))
    fill(root / "checkpoints/README.md", "recipes", untrained_table())


if __name__ == "__main__":
    main()
