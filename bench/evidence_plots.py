"""The pictures of docs/evidence: ``python -m bench.evidence_plots plates`` and ``... plots``.

plates: generated pictures, from the checkpoints and robust.json. plots: the figures of the JSON files, and of
the restorations that ``training.evaluate`` measured.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from bench.evidence import DOCS
from bench.experiments import BUDGET, VARIANTS, scale_reach
from bench.runs import FAMILIES, Family, Inputs, make
from synth import checkpoint, hub, pictures
from synth.starts import STARTS
from training.sheets import label_columns, label_rows

ACROSS = 10
"""Pictures per row."""
TILE = 64
"""Width of a picture in pixels."""


def plates(docs: Path) -> None:
    """robust.webp, with the best settings of robust.json, and starts.webp: the first seeds, without any selection."""
    reports = json.loads((docs / "robust.json").read_text())
    families = [Family(name) for name in FAMILIES if f"{name} generation" in reports]
    stack([robust(family, reports[f"{family.name} generation"]["rows"]) for family in families], docs / "robust.webp")
    stack([starts(family) for family in families], docs / "starts.webp")


def robust(family: Family, rows: list[dict]) -> Image.Image:
    """Seeds, and the results of both networks with each of the variants, as far as each network's best went."""
    inputs, tuned = first_seeds(family), family.tuned("generation") | {"steps": BUDGET}
    images_of = {}
    for network, engine in family.networks.items():
        best = next(row for row in rows if row["network"] == network and row["chosen"] == "best")
        for variant, (tricks, more) in VARIANTS.items():
            plain = variant == "plain"
            settings = scale_reach(tuned, 1 if plain else best["reach"]) | more
            last = BUDGET if plain else best["steps"]
            images = make(engine, "generation", inputs, settings, (0, last), tricks=tricks)
            images_of.setdefault("seeds", images[0])
            mark = " (best)" if variant == best["variant"] else ""
            images_of[f"{network}, {variant}{mark}"] = images[last]
    return sheet(family, images_of)


def starts(family: Family) -> Image.Image:
    """Seeds of every kind, each row above the results of the tuned ascent."""
    rows, tuned = {}, family.tuned("generation")
    for kind in sorted(STARTS, key=lambda name: (bool(STARTS[name].tensors), STARTS[name].random)):
        at = (0, tuned["steps"])
        images = make(family.networks["robust"], "generation", first_seeds(family), tuned | {"start": kind}, at)
        rows |= {kind: images[0], f"{kind}, after": images[tuned["steps"]]}
    return sheet(family, rows)


def first_seeds(family: Family) -> Inputs:
    """Seed 0 of each of the first ten classes that have a pair."""
    names = list(family.robust.pairs)[:ACROSS]
    labels = torch.tensor([family.robust.classes.index(name) for name in names])
    return Inputs([{"class_name": name, "count": 1, "seed": 0} for name in names], labels)


def sheet(family: Family, rows: dict[str, Tensor]) -> Image.Image:
    page = pictures.sheet(torch.cat(list(rows.values())), columns=ACROSS, zoom=TILE // family.robust.image_size)
    return label_rows(label_columns(page, list(family.robust.pairs)[:ACROSS]), list(rows), 210)


def stack(pages: list[Image.Image], path: Path) -> None:
    """One picture of all pages, one above the other."""
    whole = Image.new("RGB", (max(page.width for page in pages), sum(page.height for page in pages)), "white")
    for index, page in enumerate(pages):
        whole.paste(page, (0, sum(page.height for page in pages[:index])))
    whole.save(path, quality=90, method=6)


def plots(docs: Path) -> None:
    """One plot of each of the files that are there."""
    drawings = {"steps": _steps, "grid": _grid, "starts": _starts, "robust": _robust, "inverse": _inverse}
    for name, draw in drawings.items():
        if (docs / f"{name}.json").exists():
            figure = draw(json.loads((docs / f"{name}.json").read_text()))
            suffix = "-figures" if name in ("starts", "robust") else ""
            _save(figure, docs / f"{name}{suffix}.png")
    robust = [name for name in hub.bundled() if not name.endswith("standard")]
    measured = {name: checkpoint.load_evaluation(hub.folder(name)).get("restoration") for name in robust}
    curves = {name: one for name, one in measured.items() if one and "apart" in one["inpainting"].get("curve", [{}])[0]}
    if curves:
        _save(_restoration(curves), docs / "restoration.png")


def _save(figure, path: Path) -> None:
    figure.savefig(path, dpi=90, bbox_inches="tight", metadata={"Software": None})


def _axes(rows: int, columns: int, width: float = 4.6, height: float = 3.2):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def _errors(figures: list[dict]) -> tuple[list[float], list[list[float]]]:
    """Values, and the lengths of their intervals below and above."""
    values = [one["value"] for one in figures]
    below = [max(0, one["value"] - one["interval"][0]) for one in figures]
    return values, [below, [max(0, one["interval"][1] - one["value"]) for one in figures]]


def _steps(reports: dict):
    figure, axes = _axes(2, len(reports))
    ways = list(dict.fromkeys(row["way"] for report in reports.values() for row in report["rows"]))
    for column, (family, report) in zip(axes.T, reports.items(), strict=True):
        for axis, name, title in zip(column, ("fid", "seen"), ("FID", "seen as class"), strict=True):
            for colour, way in enumerate(ways):
                rows = sorted((r for r in report["rows"] if r["way"] == way), key=lambda r: r["evaluations"])
                values, errors = _errors([row[name] for row in rows])
                at = [row["evaluations"] for row in rows]
                look = {"color": f"C{colour}", "marker": "o", "markersize": 3, "capsize": 2, "linewidth": 1}
                axis.errorbar(at, values, yerr=errors, label=way, **look)
            axis.set(xscale="log", xlabel="gradient evaluations", ylabel=title)
        column[0].set_title(f"{family}, {report['count']} pictures")
    axes[0][0].legend(fontsize=7)
    return figure


def _grid(reports: dict):
    from matplotlib.colors import LogNorm

    report = next(iter(reports.values()))
    counts = sorted({row["steps"] for row in report["rows"]})
    figure, axes = _axes(2, len(counts), 3.4, 3)
    for line, (name, form) in zip(axes, {"fid": "{:.1f}", "seen": "{:.0%}"}.items(), strict=True):
        values = [row[name]["value"] for row in report["rows"]]
        for axis, steps in zip(line, counts, strict=True):
            rows = [row for row in report["rows"] if row["steps"] == steps]
            down, across = (sorted({row[key] for row in rows}) for key in ("epsilon", "step_size"))
            cells = {(row["epsilon"], row["step_size"]): row[name]["value"] for row in rows}
            axis.imshow(
                [[cells[e, s] for s in across] for e in down],
                cmap="viridis_r" if name == "fid" else "viridis",
                norm=LogNorm(min(values), max(values)),
            )
            for y, e in enumerate(down):
                for x, s in enumerate(across):
                    axis.text(x, y, form.format(cells[e, s]), ha="center", va="center", color="white", fontsize=9)
            axis.set(xlabel="step size", ylabel="epsilon", title=f"{steps} steps, {'FID' if name == 'fid' else name}")
            axis.set_xticks(range(len(across)), across)
            axis.set_yticks(range(len(down)), down)
    return figure


def _starts(reports: dict):
    figure, axes = _axes(2, len(reports))
    for column, (family, report) in zip(axes.T, reports.items(), strict=True):
        kinds = [row["start"] for row in report["rows"]]
        for axis, name, title in zip(column, ("fid", "seen"), ("FID", "seen as class"), strict=True):
            for shift, when in ((-0.2, "alone"), (0.2, "after")):
                values, errors = _errors([row[when][name] for row in report["rows"]])
                axis.bar([i + shift for i in range(len(kinds))], values, 0.4, yerr=errors, capsize=2, label=when)
            axis.set_xticks(range(len(kinds)), kinds, rotation=20)
            axis.set_ylabel(title)
        column[0].set_title(f"{family}, {report['count']} pictures")
    axes[0][0].legend(fontsize=8)
    return figure


def _robust(reports: dict):
    figure, axes = _axes(3, len(reports), 2.6, 2.6)
    titles = {"fid": "FID", "seen": "seen as class", "seen_coarse": "the same, coarse"}
    for column, (key, report) in zip(axes.T, reports.items(), strict=True):
        rows = [row for row in report["rows"] if row["network"] in ("start alone", "robust", "standard")]
        names = [f"{row['network'].split()[0]} {row.get('chosen', 'alone')}" for row in rows]
        for axis, (name, title) in zip(column, titles.items(), strict=True):
            values, errors = _errors([row[name] for row in rows])
            colours = ["grey", "tab:blue", "tab:cyan", "tab:red", "tab:orange"]
            axis.bar(range(len(rows)), values, yerr=errors, capsize=2, color=colours)
            axis.set_xticks(range(len(rows)), names, fontsize=7, rotation=30)
            axis.set_ylabel(title)
        column[0].set_title(key.replace("_", " "), fontsize=9)
    return figure


def _inverse(reports: dict):
    figure, axes = _axes(1, len(reports), 5.6, 4.2)
    for axis, (key, report) in zip(axes[0], reports.items(), strict=True):
        shown = {
            (row["psnr"]["value"], row["apart"]["value"]): row for row in report["rows"][:-1]
        }  # the last is the truth
        markers = dict(zip(dict.fromkeys(row["method"] for row in shown.values()), "osD^v<>pPX*hd", strict=False))
        for row in shown.values():
            ours, method = row["method"].startswith(("ours", "class")), row["method"]
            (x, across), (y, up) = _errors([row["psnr"]]), _errors([row["apart"]])
            look = {"color": "tab:blue" if ours else "tab:orange", "marker": markers[method], "linestyle": "none"}
            axis.errorbar(x, y, xerr=across, yerr=up, elinewidth=0.6, label=method, **look)
        handles = dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
        axis.legend(handles.values(), handles, fontsize=6)
        axis.set(xlabel="PSNR, dB (right is nearer)", ylabel="judge's distance (lower is nearer)")
        axis.set_title(f"{key.replace('_', ' ')}, {report['count']} pictures", fontsize=9)
    return figure


def _restoration(reports: dict):
    """Error against realism, both beside the baseline's, from no detail to all of it."""
    figure, axes = _axes(1, len(reports), 4.2, 3.8)
    for axis, (name, report) in zip(axes[0], reports.items(), strict=True):
        tasks = [(f"super-resolution {f}x", rows, "bicubic", "psnr") for f, rows in report["super_resolution"].items()]
        tasks.append(("hole", report["inpainting"], "smooth fill", "psnr_hole"))
        for colour, (task, rows, plain, error) in enumerate(tasks):
            zero = {key: rows[plain][key]["value"] for key in (error, "apart")}
            line = [(one[error]["value"] - zero[error], one["apart"]["value"] / zero["apart"]) for one in rows["curve"]]
            default = rows["ours"][error]["value"] - zero[error], rows["ours"]["apart"]["value"] / zero["apart"]
            axis.plot(*zip(*line, strict=True), color=f"C{colour}", marker=".", linewidth=1, label=task)
            axis.plot(*default, color=f"C{colour}", marker="o", markersize=9, fillstyle="none")
        axis.plot(0, 1, "k+", markersize=12, label="bicubic, or the smooth fill")
        axis.set(xlabel="PSNR less the baseline's, dB", title=f"{name}\n{report['count']} pictures")
        axis.title.set_fontsize(9)
    axes[0][0].set_ylabel("judge's distance, part of the baseline's")
    axes[0][0].legend(fontsize=7)
    return figure


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.evidence_plots", description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("plates", "plots"))
    options = parser.parse_args(arguments)
    {"plates": plates, "plots": plots}[options.kind](DOCS)


if __name__ == "__main__":
    main()
