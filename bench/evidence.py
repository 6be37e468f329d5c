"""What robustness, the start and the steps contribute: ``python -m bench.evidence robust --data FOLDER``, and so on.

robust: the robust classifier against its standard twin, each plain and with the best of feature visualisation's tricks.
starts: seeds of several kinds, alone and after the ascent. steps: quality against gradient evaluations.
grid: epsilon x step size x steps. radii: networks trained at several epsilons. inverse: the classifier as a prior of
inverse problems, among others.
Each adds to docs/evidence/NAME.json and prints its table.
tables prints what is stored. plates, from the checkpoints and robust.json, and plots, from the JSON alone, draw PNGs.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from statistics import correlation

from torch import Tensor

import synth
from bench import inverse
from bench.runs import FAMILIES, PLAIN, Family, Given, holes, make
from bench.tricks import TRICKS
from synth.start import KINDS
from synth.tasks import TASKS
from training.accuracy import under_pgd
from training.card import table
from training.loop import accelerate
from training.restoration import figures
from training.samples import balanced

DOCS = Path(__file__).resolve().parent.parent / "docs" / "evidence"
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
"""Multiples of the tuned epsilon and step size, to choose from unless told."""
BUDGET = 40
"""Gradient evaluations a picture in ``robust``; half as many are tried too."""
SQUARE = 10
"""Pictures that share a random square in inpainting."""
ALONG = (1, 2, 4, 6, 8, 12, 16, 20, 30, 40, 60)
"""Evaluations at which a run of constant steps is judged."""
TOTALS = (2, 4, 6, 8, 12, 20)
"""Evaluations of runs that all go as far as the tuned preset."""
GRID = {"epsilon": (2, 4, 8, 16), "step_size": (0.1, 0.25, 0.5, 1), "steps": (5, 10, 20)}


def robust(family: Family, count: int, choose: int, task: str = "generation", reaches=REACHES) -> dict:
    """Both networks from the same seeds or pictures with the same budget: plain, and at their best.

    The best is the least FID, over VARIANTS, ``reaches`` and two budgets, of ``choose`` other seeds or pictures.
    """
    tuned = family.tuned(task) | {"steps": BUDGET}
    if task == "generation":
        few, given = family.seeds(choose, skip=10_000), family.seeds(count)
    else:
        how = {"translated": task == "translation", **({"batch": SQUARE} if task == "inpainting" else {})}
        few, given = family.real(choose, **how), family.real(count, choose, **how)
    hidden = holes(family.robust, given) if task == "inpainting" else None
    tried, rows = [], []

    def run(network: str, variant: str, reach: float, given: Given, at: tuple) -> dict[float, Tensor]:
        tricks, seen = VARIANTS[variant]
        return make(family.networks[network], task, given, reached(tuned, reach) | seen, at, tricks=tricks)

    def add(pictures: Tensor, **names) -> None:
        known = {} if given.truth is None else figures(pictures, given.truth, hidden)
        rows.append(names | family.judged(pictures, given.labels) | known)

    for network in family.networks:
        for variant in VARIANTS:
            for reach in reaches:
                for steps, pictures in run(network, variant, reach, few, (BUDGET // 2, BUDGET)).items():
                    way = {"network": network, "variant": variant, "reach": reach, "steps": steps}
                    tried.append(way | family.judged(pictures, few.labels))
        best = min((way for way in tried if way["network"] == network), key=lambda way: way["fid"]["value"])
        for chosen, way in (("plain", {"variant": "plain", "reach": 1, "steps": BUDGET}), ("best", best)):
            made = run(network, way["variant"], way["reach"], given, (0, way["steps"]))
            if not rows:
                add(made[0], network="start alone")
            names = {name: way[name] for name in ("variant", "reach", "steps")}
            add(made[way["steps"]], network=network, chosen=chosen, **names)
    real = family.shown(given.labels) if given.truth is None else given.truth
    rows.append({"network": "real pictures"} | family.judged(real, given.labels))
    return {"settings": tuned, "chosen_on": choose, "rows": rows, "tried": tried}


def starts(family: Family, count: int, choose: int = 0) -> dict:
    """Seeds of every kind, and test pictures of other classes, alone and after the tuned ascent.

    "share": of how often the class is seen afterwards, what the start alone reaches. "explained": over the kinds, the
    squared correlation of a figure before and after.
    """
    given, tuned = family.seeds(count), family.tuned("generation")
    rows = []
    for kind in ("noise", *(kind for kind in KINDS if kind != "noise"), "other class"):
        strangers = family.strangers(given.labels) if kind == "other class" else None
        settings = tuned if strangers is not None else tuned | {"start": kind}
        at = (0, tuned["steps"])
        made = make(family.networks["robust"], "generation", given, settings, at, starts=strangers)
        alone, after = (family.judged(made[steps], given.labels) for steps in at)
        share = round(alone["seen"]["value"] / after["seen"]["value"], 3)
        rows.append({"start": kind, "alone": alone, "after": after, "share": share})
    explained = {}
    for name in ("seen", "fid"):
        pairs = [[row[when][name]["value"] for row in rows] for when in ("alone", "after")]
        explained[name] = round(correlation(*pairs) ** 2, 3)
    return {"settings": tuned, "explained": explained, "rows": rows}


def steps(family: Family, count: int, choose: int = 0) -> dict:
    """Quality against gradient evaluations: along two runs, and in runs of fewer steps that go as far."""
    given, engine, tuned = family.seeds(count), family.networks["robust"], family.tuned("generation")
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
        made = make(engine, "generation", given, settings, at, coarse=coarse)
        shown = {name: settings[name] for name in ("epsilon", "steps", "step_size")}
        rows += [
            {"way": way, "evaluations": one, **shown} | family.judged(made[one], given.labels) for one in sorted(made)
        ]
    return {"settings": {"tuned": tuned, "published": paper}, "rows": rows}


def grid(family: Family, count: int, choose: int = 0) -> dict:
    """Generation at every epsilon, step size and number of steps of GRID, the rest as tuned."""
    given, tuned, last = family.seeds(count), family.tuned("generation"), max(GRID["steps"])
    known, rows = {}, []
    for epsilon in GRID["epsilon"]:
        for size in GRID["step_size"]:
            far = (min(epsilon, last * size), size)  # no picture goes further, so that larger balls change nothing
            if far not in known:
                settings = tuned | {"epsilon": epsilon, "step_size": size, "steps": last}
                made = make(family.networks["robust"], "generation", given, settings, GRID["steps"])
                known[far] = {number: family.judged(pictures, given.labels) for number, pictures in made.items()}
            for number, found in known[far].items():
                rows.append({"epsilon": epsilon, "step_size": size, "steps": number} | found)
    return {"settings": tuned, "rows": rows}


def radii(family: Family, count: int, choose: int = 0, checkpoints=()) -> dict:
    """Generation by ``checkpoints``, networks trained at several epsilons, from the same seeds with tuned settings.

    With accuracy on ``count`` test pictures, clean and under PGD-20 at 0.5 pixels' worth of L2.
    """
    given, tuned = family.seeds(count), family.tuned("generation")
    data, rows = balanced(family.test, count), []
    for model in sorted(map(synth.load, checkpoints), key=lambda model: model.info["recipe"]["epsilon"]):
        right = under_pgd(model, data, [0.5], accelerator=accelerate())
        model.start = family.robust.start
        made = make(model.inference_copy(), "generation", given, tuned, (tuned["steps"],))[tuned["steps"]]
        plan = model.info["recipe"]
        names = {"trained at": plan["epsilon"], "epochs": plan["epochs"]}
        right = {"clean": right["clean"], "attacked": right["pgd20_l2_0.5"]}
        rows.append(names | right | family.judged(made, given.labels))
    return {"settings": tuned, "rows": rows}


EXPERIMENTS = {
    "robust": robust,
    "starts": starts,
    "steps": steps,
    "grid": grid,
    "inverse": inverse.compare,
    "radii": radii,
}
TASKS_OF = {"robust": COMPARED, "inverse": tuple(inverse.OURS)}
"""The tasks that an experiment is done on; others are about generation."""
FIGURES = {
    "clean": "clean accuracy",
    "attacked": "PGD-20 at 0.5",
    "seen": "seen as class",
    "seen_coarse": "the same, coarse",
    "fid": "FID",
    "psnr": "PSNR",
    "psnr_hole": "PSNR in the hole",
    "ssim": "SSIM",
    "apart": "judge's distance",
    "seconds": "s a picture",
}

FORMS = dict.fromkeys(("clean", "attacked", "seen", "seen_coarse"), "{:.0%}") | dict.fromkeys(
    ("ssim", "apart"), "{:.3f}"
)
"""How figures are written, where not with one decimal."""


def reached(settings: dict, reach: float) -> dict:
    """``settings`` that go ``reach`` times as far."""
    return settings | {name: settings[name] * reach for name in ("epsilon", "step_size")}


def markdown(name: str, report: dict) -> str:
    """The table of one experiment."""
    if name == "starts":
        rows = [
            {"start": row["start"], "": when} | row[when] | ({"share": row["share"]} if when == "after" else {})
            for row in report["rows"]
            for when in ("alone", "after")
        ]
    else:
        rows = report["rows"]
    names = list(dict.fromkeys(key for row in rows for key in row))
    names = [key for key in names if key not in FIGURES] + [key for key in FIGURES if key in names]
    lines = [[cell(key, row.get(key)) for key in names] for row in rows]
    return table([FIGURES.get(key, key.replace("_", " ")) for key in names], lines)


def titled(name: str, key: str, report: dict) -> str:
    """The table below what it is of and the command that gives it."""
    title = f"{key.replace('_', ' ')}, {report['count']} pictures a cell"
    below = "".join(f"\n{FIGURES[one]}: {r2:.0%} explained" for one, r2 in report.get("explained", {}).items())
    return f"\n`{report['command']}`: {title}\n\n{markdown(name, report)}\n{below}"


def stored(name: str) -> dict:
    """The reports of an experiment so far, by family and task."""
    path = DOCS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def cell(name: str, value) -> str:
    """A figure with its interval, or a plain value."""
    if value is None:
        return ""
    if not isinstance(value, dict):
        return f"{value:.4g}" if isinstance(value, float) else str(value)
    form = FORMS.get(name, "{:.1f}")
    low, high = (form.format(end + 0) for end in value["interval"])
    return f"{form.format(value['value'])} ({low} to {high})"


def unlocated(arguments: list[str]) -> list[str]:
    """The arguments with FOLDER for wherever the data was."""
    return ["FOLDER" if before == "--data" else one for before, one in zip(["", *arguments], arguments, strict=False)]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.evidence", description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=(*EXPERIMENTS, "tables", "plates", "plots"))
    parser.add_argument("--data", help="folder or Hub data set instead of the checkpoint's own")
    parser.add_argument("--family", choices=FAMILIES, default=FAMILIES[0], help=f"default {FAMILIES[0]}")
    parser.add_argument("--task", choices=COMPARED, nargs="*", help="of robust and inverse; default all that it can")
    parser.add_argument("--count", type=int, default=200, help="pictures a cell (default 200)")
    parser.add_argument("--choose", type=int, default=40, help="pictures to choose settings by (default 40)")
    parser.add_argument("--reach", type=float, nargs="*", default=REACHES, help="of robust: how far, in tuned epsilons")
    parser.add_argument("--checkpoints", nargs="+", default=[], help="of radii: folders or names")
    options = parser.parse_args(arguments)
    DOCS.mkdir(parents=True, exist_ok=True)
    if options.name == "tables":
        for name in EXPERIMENTS:
            for key, report in stored(name).items():
                print(titled(name, key, report))
        return
    if options.name in ("plates", "plots"):
        from bench import evidence_plots

        getattr(evidence_plots, options.name)(DOCS)
        return
    family = Family(options.family, options.data)
    for task in options.task or TASKS_OF.get(options.name, [""]):
        key = " ".join([options.family, task]).strip()
        more = {"task": task} if task else {}
        more |= {"reaches": options.reach} if options.name == "robust" else {}
        more |= {"checkpoints": options.checkpoints} if options.name == "radii" else {}
        report = {
            "command": shlex.join(["python", "-m", "bench.evidence", *unlocated(arguments or sys.argv[1:])]),
            "count": options.count,
        } | EXPERIMENTS[options.name](family, options.count, options.choose, **more)
        known = stored(options.name) | {key: report}
        (DOCS / f"{options.name}.json").write_text(json.dumps(known, indent=1) + "\n")
        print(titled(options.name, key, report), flush=True)


if __name__ == "__main__":
    main()
