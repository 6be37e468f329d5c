"""Model cards from config.json and evaluation.json: ``python -m training.card`` rewrites all bundled ones."""

from __future__ import annotations

import json
import math
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from safetensors import safe_open

from synth import checkpoint, hub
from synth.registry import discover
from training.evaluation import report as reports
from training.evaluation.accuracy import sorted_accuracies, title
from training.evaluation.base import Section

TERMS = {
    "uoft-cs/cifar10": "CIFAR-10 (Krizhevsky 2009) is published for research, without an explicit licence. Its "
    "pictures come from the web, and its authors ask to be cited.",
}

TEMPLATE = """---
{metadata}
---

# {name}

This is {kind} image classifier with the architecture {architecture} (width {width:g},
{parameters:.1f} million parameters). It sorts pictures of {size}x{size} pixels into {classes} classes, and it serves to
synthesise pictures by gradient steps on the input.

![samples](samples.png)

*This checkpoint generated these samples, which are random and not selected. Each row is a class, and the columns are
the seeds 0, 1, 2, ...*

## Evaluation

{figures}

### Commands

{commands}

## Use

```python
import synth

model = synth.load("{name}")
synth.generation(model, class_name="{example}", count=8, seed=0).save("{example}.png")
```

## Training

{trained}

## Intended use, limits and terms

The checkpoint is meant for research and teaching: it shows what a robust classifier has learned. Do not use it for
decisions about people or as a security measure, since attacks beyond the measured radii succeed. The samples reflect
the biases of the training pictures. Weights and code have the MIT licence. {terms}
"""


def write_card(folder: Path) -> None:
    """Write ``README.md`` of the checkpoint in ``folder``; ValueError if it has not been evaluated."""
    ModelCard(card(folder)).save(folder / "README.md")


def card(folder: Path) -> str:
    """The text of the model card; ValueError if the checkpoint in ``folder`` has not been evaluated."""
    if not (folder / checkpoint.EVALUATION).exists():
        raise ValueError(f"checkpoint: expected an evaluation.json in {folder}, run python -m training.evaluate first")
    report = reports.read(folder)
    config = json.loads((folder / checkpoint.CONFIG).read_text())
    info = config["info"]
    recipe = info["recipe"]
    results = [
        EvalResult(
            task_type="image-classification",
            dataset_type=info["data"],
            dataset_name=info["data"],
            dataset_split="test",
            metric_type="accuracy",
            metric_name=title(name),
            metric_value=round(100 * value["value"], 2),
        )
        for name, value in sorted_accuracies(report.get("accuracy", {}))
    ]
    metadata = ModelCardData(
        model_name=info["name"],
        license="mit",
        library_name="pytorch",
        pipeline_tag="image-classification",
        datasets=[info["data"]],
        tags=["adversarial-robustness", "image-generation", "image-synthesis"],
        eval_results=results,
    )
    runs, sections = report["runs"].items(), discover("training.evaluation", Section).values()
    epsilon = recipe["epsilon"]
    return TEMPLATE.format(
        metadata=metadata.to_yaml(),
        name=info["name"],
        kind=f"an adversarially robust (L2, epsilon {epsilon:g})" if epsilon else "a standard, not robust,",
        architecture=config["architecture"],
        width=config["width"],
        parameters=parameters(folder),
        size=config["image_size"],
        classes=len(config["classes"]),
        figures="\n\n".join(
            part for section in sections if section.key in report for part in section.card_section(report[section.key])
        ),
        commands="\n".join(
            f"- `{command}` took {run['minutes']:g} minutes on {run['machine']}." for command, run in runs
        ),
        example=config["classes"][-3:][0],
        trained=_trained(info, recipe) + _decoders_trained(folder),
        terms=TERMS.get(info["data"], f"For the terms of the data, see {info['data']} on the Hub."),
    )


def _trained(info: dict, recipe: dict) -> str:
    """What the weights cost, in a sentence or two."""
    if "epochs" not in info:
        return f"The weights were not trained here: {info.get('note', 'their origin is unknown')}."
    attack = ("epsilon", "attack_steps", "attack_step_size", "attack_start") if recipe["epsilon"] else ()
    names = (*attack, "initial", "batch_size", "learning_rate", "schedule", "weight_decay", "ema", "padding")
    settings = ", ".join(f"{name} {recipe[name]}" for name in names if recipe.get(name, "") != "")
    note = f" ({info['note']})" if "note" in info else ""
    cost = f"{info['epochs']:g} epochs took {info['minutes']:g} minutes on {info['machine']}{note}"
    command = info.get("command", f"python -m training.train {info['name']}")
    return f"`{command}` trained the weights: {cost}. The settings were {settings}."


def _decoders_trained(folder: Path) -> str:
    """What the decoders cost, one paragraph each, if there are any."""
    path, text = folder / checkpoint.DECODER_CONFIG, ""
    for name, config in (json.loads(path.read_text()) if path.exists() else {}).items():
        info, plan = config["info"], config["info"]["plan"]
        losses = {loss: plan[loss] for loss in ("pixel", "feature", "stages", "adversarial") if plan[loss]}
        weights = ", ".join(f"{loss} {weight:g}" for loss, weight in losses.items())
        title = f"the decoder of {name} alone" if name else "the decoder"
        note = f" ({info['note']})" if "note" in info else ""
        text += (
            f"\n\n`python -m training.train_decoder {info['encoder']}` trained {title}, which has "
            f"{len(config['channels'])} stages and the width {config['width']:g}: {info['epochs']:g} epochs took "
            f"{info['minutes']:g} minutes on {info['machine']}{note}. The weights of its losses were {weights}."
        )
    return text


def parameters(folder: Path) -> float:
    with safe_open(folder / checkpoint.WEIGHTS, "pt") as file:
        learned = [name for name in file.keys() if name.endswith((".weight", ".bias"))]  # noqa: SIM118
        return sum(math.prod(file.get_slice(name).get_shape()) for name in learned) / 1e6


def main() -> None:
    for name in hub.bundled():
        write_card(hub.folder(name))


if __name__ == "__main__":
    main()
