"""The experiments of ``bench.evidence``: what robustness, the start and the steps contribute to the pictures."""

from __future__ import annotations

from statistics import correlation

from torch import Tensor

import synth
from bench.runs import PLAIN, Family, Inputs, make
from bench.tricks import TRICKS
from synth.starts import STARTS
from synth.tasks import TASKS
from training.evaluation.accuracy import Accuracy
from training.evaluation.restoration import reference_figures
from training.machine import accelerate
from training.sampling import balanced

COMPARED = ("generation", "inpainting", "super_resolution", "translation")
VARIANTS = {
    "plain": ((), PLAIN),
    "shift and blur": ((), {}),
    "transformations": (("transformations",), PLAIN),
    "Fourier": (("Fourier",), PLAIN),
    "total variation": (("total variation",), PLAIN),
    "all three": (tuple(TRICKS), PLAIN),
}
"""{name: (tricks, settings)} for either network; "plain" is the published loop, "shift and blur" what presets add."""
REACHES = (0.3, 1, 3)
"""Multiples of the tuned epsilon and step size to choose from by default."""
BUDGET = 40
"""Gradient evaluations per picture in ``robust``; half as many are tried too."""
ALONG = (1, 2, 4, 6, 8, 12, 16, 20, 30, 40, 60)
"""The numbers of evaluations at which a run of constant steps is judged."""
TOTALS = (2, 4, 6, 8, 12, 20)
"""The numbers of evaluations of runs that all go as far as the tuned preset."""
GRID = {"epsilon": (2, 4, 8, 16), "step_size": (0.1, 0.25, 0.5, 1), "steps": (5, 10, 20)}


def robust(family: Family, count: int, choose: int, task: str, reaches: list[float]) -> dict:
    """Both networks from the same seeds or pictures with the same budget: plain, and at their best.

    The best is the least FID, over VARIANTS, ``reaches`` and two budgets, of ``choose`` other seeds or pictures.
    """
    tuned = family.tuned(task) | {"steps": BUDGET}
    if task == "generation":
        few, inputs = family.seeds(choose, skip=10_000), family.seeds(count)
    else:
        few, inputs = family.real(task, choose), family.real(task, count, choose)
    tried, rows = [], []

    def run(network: str, variant: str, reach: float, inputs: Inputs, at: tuple) -> dict[float, Tensor]:
        tricks, settings = VARIANTS[variant]
        settings = scale_reach(tuned, reach) | settings
        return make(family.networks[network], task, inputs, settings, at, tricks=tricks)

    def add(pictures: Tensor, **names) -> None:
        figures = {} if inputs.truth is None else reference_figures(pictures, inputs.truth, inputs.holes)
        rows.append(names | family.figures(pictures, inputs.labels) | figures)

    for network in family.networks:
        for variant in VARIANTS:
            for reach in reaches:
                for steps, pictures in run(network, variant, reach, few, (BUDGET // 2, BUDGET)).items():
                    way = {"network": network, "variant": variant, "reach": reach, "steps": steps}
                    tried.append(way | family.figures(pictures, few.labels))
        best = min((way for way in tried if way["network"] == network), key=lambda way: way["fid"]["value"])
        for chosen, way in (("plain", {"variant": "plain", "reach": 1, "steps": BUDGET}), ("best", best)):
            images = run(network, way["variant"], way["reach"], inputs, (0, way["steps"]))
            if not rows:
                add(images[0], network="start alone")
            names = {name: way[name] for name in ("variant", "reach", "steps")}
            add(images[way["steps"]], network=network, chosen=chosen, **names)
    real = family.test_pictures(inputs.labels) if inputs.truth is None else inputs.truth
    rows.append({"network": "real pictures"} | family.figures(real, inputs.labels))
    return {"settings": tuned, "chosen_on": choose, "rows": rows, "tried": tried}


def starts(family: Family, count: int) -> dict:
    """Seeds of every kind, and test pictures of other classes, alone and after the tuned ascent.

    "share": how often the judge predicts the class for the start alone, as a share of the same after the ascent.
    "explained": over the kinds, the squared correlation of a figure before and after.
    """
    inputs, tuned = family.seeds(count), family.tuned("generation")
    rows = []
    for kind in [*sorted(STARTS, key=lambda name: name != "noise"), "other class"]:
        others = family.other_classes(inputs.labels) if kind == "other class" else None
        settings = tuned if others is not None else tuned | {"start": kind}
        at = (0, tuned["steps"])
        images = make(family.networks["robust"], "generation", inputs, settings, at, starts=others)
        alone, after = (family.figures(images[steps], inputs.labels) for steps in at)
        share = round(alone["seen"]["value"] / after["seen"]["value"], 3)
        rows.append({"start": kind, "alone": alone, "after": after, "share": share})
    explained = {}
    for name in ("seen", "fid"):
        pairs = [[row[when][name]["value"] for row in rows] for when in ("alone", "after")]
        explained[name] = round(correlation(*pairs) ** 2, 3)
    return {"settings": tuned, "explained": explained, "rows": rows}


def steps(family: Family, count: int) -> dict:
    """Quality against gradient evaluations: along two runs, and in runs of fewer steps that go as far."""
    inputs, engine, tuned = family.seeds(count), family.networks["robust"], family.tuned("generation")
    path, largest = tuned["steps"] * tuned["step_size"], TASKS["generation"].parameters["step_size"].maximum
    paper = tuned | PLAIN | TASKS["generation"].presets["paper"]
    ways = [("published", paper, ALONG, 0), ("tuned", tuned | {"steps": 40}, ALONG[:-1], 0)]
    for total in TOTALS:
        fewer = tuned | {"steps": total, "step_size": min(path / total, largest)}
        falling = {"schedule": "cosine", "step_size": min(2 * path / total, largest)}
        farther = paper | {"steps": total, "step_size": min(paper["steps"] * paper["step_size"] / total, largest)}
        ways += [
            ("published, as far", farther, (total,), 0),
            ("as far, constant", fewer, (total,), 0),
            ("as far, momentum 0.5", fewer | {"momentum": 0.5}, (total,), 0),
            ("as far, cosine", fewer | falling, (total,), 0),
            ("as far, coarse to fine", fewer | {"steps": total // 2}, (total // 2 * 1.25,), total // 2),
        ]
    rows = []
    for way, settings, at, coarse in ways:
        images = make(engine, "generation", inputs, settings, at, coarse=coarse)
        shown = {name: settings[name] for name in ("epsilon", "steps", "step_size")}
        rows += [
            {"way": way, "evaluations": one, **shown} | family.figures(images[one], inputs.labels)
            for one in sorted(images)
        ]
    return {"settings": {"tuned": tuned, "published": paper}, "rows": rows}


def grid(family: Family, count: int) -> dict:
    """Generation at every epsilon, step size and number of steps of GRID, the rest as tuned."""
    inputs, tuned, last = family.seeds(count), family.tuned("generation"), max(GRID["steps"])
    results, rows = {}, []
    for epsilon in GRID["epsilon"]:
        for size in GRID["step_size"]:
            far = (min(epsilon, last * size), size)  # no picture goes further, so that larger balls change nothing
            if far not in results:
                settings = tuned | {"epsilon": epsilon, "step_size": size, "steps": last}
                images = make(family.networks["robust"], "generation", inputs, settings, GRID["steps"])
                results[far] = {number: family.figures(pictures, inputs.labels) for number, pictures in images.items()}
            for number, figures in results[far].items():
                rows.append({"epsilon": epsilon, "step_size": size, "steps": number} | figures)
    return {"settings": tuned, "rows": rows}


def radii(family: Family, count: int, checkpoints: list[str]) -> dict:
    """Generation by ``checkpoints``, networks trained at several epsilons, from the same seeds with tuned settings.

    With accuracy on ``count`` test pictures, clean and under PGD-20 at 0.5 pixels' worth of L2.
    """
    inputs, tuned = family.seeds(count), family.tuned("generation")
    data, rows = balanced(family.test, count), []
    for model in sorted(map(synth.load, checkpoints), key=lambda model: model.info["recipe"]["epsilon"]):
        accuracy = Accuracy().measure(model, data, epsilon=[0.5], accelerator=accelerate())
        model.start_tensors = family.robust.start_tensors
        images = make(model.inference_copy(), "generation", inputs, tuned, (tuned["steps"],))[tuned["steps"]]
        plan = model.info["recipe"]
        names = {"trained at": plan["epsilon"], "epochs": plan["epochs"]}
        accuracy = {"clean": accuracy["clean"], "attacked": accuracy["pgd20_l2_0.5"]}
        rows.append(names | accuracy | family.figures(images, inputs.labels))
    return {"settings": tuned, "rows": rows}


def scale_reach(settings: dict, reach: float) -> dict:
    """``settings`` that go ``reach`` times as far."""
    return settings | {name: settings[name] * reach for name in ("epsilon", "step_size")}
