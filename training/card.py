"""Model cards from config.json and evaluation.json: ``python -m training.card`` rewrites all bundled ones."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from safetensors import safe_open

from synth import checkpoint, hub
from synth.registry import discover
from training import snippets
from training.evaluation import report as reports
from training.evaluation.accuracy import sorted_accuracies, title
from training.evaluation.base import Section
from training.snippets import AUTOENCODER, SECOND_STAGE, SYNTHESIS, Paper

DATA = {
    "uoft-cs/cifar10": ("CIFAR-10", 10, "test"),
    "zh-plus/tiny-imagenet": ("Tiny-ImageNet", 200, "valid"),
    "imagenette-woof": ("Imagenette and ImageWoof", 20, "val"),
}
"""{name, mostly on the Hub: (what people call it, how many classes it has, the split that figures are measured on)}."""
OWN = "its trainer's own pictures"
TERMS = {
    "uoft-cs/cifar10": "CIFAR-10 (Krizhevsky 2009) is published for research, without an explicit licence. Its "
    "pictures come from the web, and its authors ask to be cited.",
}
TAGS = {
    "robust": ["adversarial-robustness", "adversarial-training", "image-generation", "image-synthesis"],
    "standard": ["standard-training", "baseline", "image-synthesis"],
    "judge": ["standard-training", "evaluation"],
}
"""By the kind of a checkpoint; those with decoders are autoencoders, too."""
SAMPLES = """![samples](samples.webp)

*This checkpoint generated these samples, which are random and not selected. Each row is a class, and the columns are
the seeds 0, 1, 2, ...*"""

TEMPLATE = """---
{metadata}
---

# {name}

{introduction}

{samples}## Evaluation

{figures}

### Commands

{commands}

## Use

{use}

## Training

{trained}

## Intended use, limits and terms

The checkpoint is meant for research and teaching{purpose}. Do not use it for
decisions about people or as a security measure, since {attacks}. {biases} reflect
the biases of the training pictures. Weights and code have the MIT licence. {terms}
{citation}"""


def write_card(folder: Path) -> None:
    """Write ``README.md`` of the checkpoint in ``folder``; ValueError as of ``card``."""
    ModelCard(card(folder)).save(folder / checkpoint.CARD)


def kind_of(folder: Path, config: dict) -> str:
    """ "robust", "standard" for a twin of those that synthesises, "judge" for a classifier that never does."""
    if config["info"]["recipe"]["epsilon"]:
        return "robust"
    return "standard" if config.get("presets") or checkpoint.start_path(folder).exists() else "judge"


def card(folder: Path, *, repo: str = "", code: str = "", app: str = "") -> str:
    """The text of the model card.

    repo: the name owner/name that it is published under, if it is; code: the address of the code, app: the name of a
    Space that runs it, if there are. ValueError without an evaluation, or if its config.json says too little.
    """
    if not (folder / checkpoint.EVALUATION).exists():
        raise ValueError(f"checkpoint: expected an evaluation.json in {folder}, run python -m training.evaluate first")
    report = reports.read(folder)
    config = json.loads((folder / checkpoint.CONFIG).read_text())
    try:
        info = config["info"]
        kind, name, data, recipe = kind_of(folder, config), info["name"], info["data"], info["recipe"]
    except (KeyError, TypeError) as error:
        words = f"name, data and recipe in {checkpoint.CONFIG} of {folder}"
        raise ValueError(f"info: expected {words}, for the card, got none of {error}") from None
    papers = _papers(folder, kind, recipe)
    runs, sections = report["runs"].items(), discover("training.evaluation", Section).values()
    texts = {
        "robust": (": it shows what a robust classifier has learned", "attacks beyond the measured radii succeed"),
        "standard": (": it shows what a classifier without robust training does", "even small attacks succeed"),
        "judge": (": it judges the pictures of other checkpoints", "even small attacks succeed"),
    }
    purpose, attacks = texts[kind]
    return TEMPLATE.format(
        metadata=_metadata(folder, config, report, kind, repo).to_yaml(),
        name=name,
        introduction=_introduction(folder, config, kind, papers),
        samples=f"{SAMPLES}\n\n" if kind != "judge" and (folder / checkpoint.SAMPLES).exists() else "",
        figures="\n\n".join(
            part for section in sections if section.key in report for part in section.card_section(report[section.key])
        ),
        commands="\n".join(
            f"- `{command}` took {run['minutes']:g} minutes on {run['machine']}." for command, run in runs
        ),
        use=_use(folder, config, kind, repo or name, code, app),
        trained=_trained(info, recipe) + _decoders_trained(folder),
        purpose=purpose,
        attacks=attacks,
        biases="Its answers" if kind == "judge" else "The samples",
        terms=TERMS.get(data, f"For the terms of the data, see {data} on the Hub." if data else ""),
        citation="\n## Papers\n\n```bibtex\n{}\n```\n".format("\n\n".join(paper.bibtex for paper in papers))
        if papers
        else "",
    )


def _papers(folder: Path, kind: str, recipe: dict) -> list[Paper]:
    papers = {
        SYNTHESIS: kind != "judge",
        AUTOENCODER: (folder / checkpoint.DECODER).exists(),
        SECOND_STAGE: bool(recipe.get("energy_steps")),
    }
    return [paper for paper, fits in papers.items() if fits]


def _data_name(config: dict) -> str:
    """The data as people call it, with the number of classes where it is a part."""
    data = config["info"]["data"]
    name, total, _ = DATA.get(data, (data or OWN, None, ""))
    return name if total in (None, len(config["classes"])) else _classes(config)


def _classes(config: dict) -> str:
    """How many classes of what."""
    count, data = len(config["classes"]), config["info"]["data"]
    if data not in DATA:
        return f"{count} classes of {data or OWN}"
    name, total, _ = DATA[data]
    return f"{name}'s {count} classes" if count == total else f"{count} of {name}'s {total} classes"


def _metadata(folder: Path, config: dict, report: dict, kind: str, repo: str) -> ModelCardData:
    info, recipe = config["info"], config["info"]["recipe"]
    results = [
        EvalResult(
            task_type="image-classification",
            dataset_type=info["data"] or "own",
            dataset_name=_data_name(config),
            dataset_split=DATA.get(info["data"], ("", None, "test"))[2],
            metric_type="accuracy",
            metric_name=title(name),
            metric_value=round(100 * value["value"], 2),
        )
        for name, value in sorted_accuracies(report.get("accuracy", {}))
    ]
    tags = TAGS[kind] + (["autoencoder"] if (folder / checkpoint.DECODER).exists() else [])
    more = {}
    if repo and recipe.get("initial") in hub.bundled():
        base = f"{repo.split('/')[0]}/{recipe['initial']}"
        more = {"base_model": base, "base_model_relation": "finetune"}
    if re.fullmatch(r"[\w.-]+/[\w.-]+", info["data"]):
        more["datasets"] = [info["data"]]
    return ModelCardData(
        model_name=info["name"],
        license="mit",
        library_name="pytorch",
        pipeline_tag="image-classification",
        tags=tags,
        eval_results=results,
        **more,
    )


def _introduction(folder: Path, config: dict, kind: str, papers: list[Paper]) -> str:
    """What it is, what it is for, and where that comes from."""
    recipe, size = config["info"]["recipe"], config["image_size"]
    what = {
        "robust": f"an adversarially robust (L2, epsilon {recipe['epsilon']:g})",
        "standard": "a standard, not robust,",
        "judge": "a standard, not robust,",
    }[kind]
    why = {
        "robust": f"It serves to synthesise pictures by gradient steps on the input ({SYNTHESIS.link}).",
        "standard": f"It is the twin of robust ones that synthesise pictures by gradient steps on the input "
        f"({SYNTHESIS.link}): what it makes shows what robust training adds.",
        "judge": "It judges pictures that other checkpoints synthesised: how often it sees the class that they were "
        "made for, and how close they are to real ones in its features. It has no part in making them.",
    }[kind]
    sentences = [
        f"This is {what} image classifier with the architecture {config['architecture']} (width {config['width']:g}, "
        f"{parameters(folder):.1f} million parameters). It sorts pictures of {size}x{size} pixels into "
        f"{_classes(config)}.",
        why,
    ]
    if AUTOENCODER in papers:
        sentences.append(f"Decoders turn its features back into pictures ({AUTOENCODER.link}).")
    if SECOND_STAGE in papers:
        sentences.append(
            f"It is the second stage of dual adversarial training ({SECOND_STAGE.link}), after `{recipe['initial']}`."
        )
    return " ".join(sentences)


def _use(folder: Path, config: dict, kind: str, name: str, code: str, app: str) -> str:
    """How to install what it needs, and snippets that run as they stand."""
    where, command = "", f"pip install git+{code}"
    if not code:
        where, command = "In a clone of the project's code, ", "pip install -r requirements.txt"
    parts = [
        f"{where}{'i' if where else 'I'}nstall what it needs; `picture.png` is any picture of yours:",
        f"```bash\n{command}\n```",
    ]
    if app:
        parts.append(f"Or try it in the browser, in the Space [{app}](/spaces/{app}).")
    values = {"name": name, "example": config["classes"][-3:][0], "size": config["image_size"]}
    pieces = []
    if kind != "judge":
        pieces.append(("Synthesise:", snippets.GENERATE.format(**values)))
    if (folder / checkpoint.DECODER).exists():
        pieces.append(("Encode a picture, and decode its features:", snippets.DECODE.format(**values)))
    pieces.append(("Classify:", snippets.CLASSIFY.format(**values)))
    architecture = config["architecture"]
    alone = (
        "Without the project's code, with torchvision and safetensors alone: run this beside `config.json` and "
        "`model.safetensors`. After the prefix `backbone.`, the names of the weights are torchvision's."
    )
    changed = "+" in architecture
    if not changed:
        pieces.append((alone, snippets.plain(architecture, config["image_size"], config["width"])))
    for words, snippet in pieces:
        parts += [words, f"```python\n{snippet}\n```"]
    if changed:
        parts.append(
            f"The network is torchvision's with changes ({architecture}), so the weights need the project's code "
            "(`synth/variants.py`)."
        )
    return "\n\n".join(parts)


def _trained(info: dict, recipe: dict) -> str:
    """What the weights cost, in a sentence or two."""
    if "epochs" not in info:
        return f"The weights were not trained here: {info.get('note', 'their origin is unknown')}."
    attack = ("epsilon", "attack_steps", "attack_step_size", "attack_start") if recipe["epsilon"] else ()
    names = (*attack, "initial", "batch_size", "learning_rate", "schedule", "weight_decay", "ema")
    names += ("crop" if recipe.get("crop") else "padding", *(["mix"] if recipe.get("mix") else []))
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
