"""What robustness, the start and the steps contribute: ``python -m bench.evidence robust --data FOLDER``, and so on.

robust: the robust classifier against its standard twin, each plain and with the best of feature visualisation's tricks.
starts: seeds of several kinds, alone and after the ascent. steps: quality against gradient evaluations.
grid: epsilon x step size x steps. radii: networks trained at several epsilons. inverse: the classifier as a prior of
inverse problems, among others.
Each adds to docs/evidence/NAME.json and prints its table. tables prints the stored ones.
``bench.evidence_plots`` draws them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bench import experiments, inverse
from bench.runs import FAMILIES, Family, command_line
from training.tables import table

DOCS = Path(__file__).resolve().parent.parent / "docs" / "evidence"
EXPERIMENTS = {
    "robust": experiments.robust,
    "starts": experiments.starts,
    "steps": experiments.steps,
    "grid": experiments.grid,
    "inverse": inverse.compare,
    "radii": experiments.radii,
}
TASKS_OF = {"robust": experiments.COMPARED, "inverse": tuple(inverse.OURS)}
"""The tasks of the experiments that are not about generation alone."""
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
    "seconds": "s per picture",
}
FORMS = dict.fromkeys(("clean", "attacked", "seen", "seen_coarse"), "{:.0%}") | dict.fromkeys(
    ("ssim", "apart"), "{:.3f}"
)
"""The formats of figures that do not have one decimal."""


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


def page(name: str, key: str, report: dict) -> str:
    """The table of a report below its command and its title."""
    title = f"{key.replace('_', ' ')}, {report['count']} pictures per cell"
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


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.evidence", description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=(*EXPERIMENTS, "tables"))
    parser.add_argument("--data", help="folder or Hub data set instead of the checkpoint's own")
    parser.add_argument("--family", choices=FAMILIES, default=FAMILIES[0], help=f"default {FAMILIES[0]}")
    parser.add_argument(
        "--task",
        choices=sorted({*experiments.COMPARED, *inverse.OURS}),
        nargs="*",
        help="for robust and inverse (default: all)",
    )
    parser.add_argument("--judge", help="folder or name of another judge of the same classes")
    parser.add_argument("--count", type=int, default=200, help="pictures per cell (default 200)")
    parser.add_argument("--choose", type=int, default=40, help="pictures to choose settings on (default 40)")
    parser.add_argument(
        "--reach",
        type=float,
        nargs="*",
        default=experiments.REACHES,
        help="robust: multiples of the tuned epsilon to try",
    )
    parser.add_argument("--checkpoints", nargs="+", default=[], help="radii: folders or names of checkpoints")
    options = parser.parse_args(arguments)
    DOCS.mkdir(parents=True, exist_ok=True)
    if options.name == "tables":
        for name in EXPERIMENTS:
            for key, report in stored(name).items():
                print(page(name, key, report))
        return
    family = Family(options.family, options.data, options.judge)
    for task in options.task or TASKS_OF.get(options.name, [""]):
        key = " ".join([options.family, task]).strip()
        more = {"task": task, "choose": options.choose} if task else {}
        more |= {"reaches": options.reach} if options.name == "robust" else {}
        more |= {"checkpoints": options.checkpoints} if options.name == "radii" else {}
        report = {"command": command_line("bench.evidence", arguments), "count": options.count}
        report |= EXPERIMENTS[options.name](family, options.count, **more)
        reports = stored(options.name) | {key: report}
        (DOCS / f"{options.name}.json").write_text(json.dumps(reports, indent=1) + "\n")
        print(page(options.name, key, report), flush=True)


if __name__ == "__main__":
    main()
