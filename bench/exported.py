"""A step of an exported checkpoint in a browser, in ONNX Runtime and in PyTorch: ``python -m bench.exported``.

All take the steps of generation with the settings that the export begins with. The browser runs the static page, in
WebAssembly, with as many threads as the headers of its server allow. Then the whole of examples/without_pytorch.py
beside the same pictures of ``python -m synth``, each in a process of its own. Needs ``pip install onnx onnxruntime
onnxscript``, and for the browser npm, Chromium and Playwright.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler
from itertools import pairwise
from pathlib import Path
from statistics import median

import torch
from playwright.sync_api import Page, sync_playwright

from bench.browser import FLAGS
from synth import TASKS, hub
from synth.classifier import Classifier
from training import browser
from training.export.replay import Exported, Replay
from training.tables import table

NAMES = browser.CHECKPOINTS
ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "without_pytorch.py"
RUN = """() => new Promise((done) => {
    const status = document.getElementById("status"), said = [["", performance.now()]];
    const observer = new MutationObserver(() => {
        said.push([status.textContent, performance.now()]);
        if (!status.textContent.startsWith("Done")) return;
        observer.disconnect();
        done(said);
    });
    observer.observe(status, { childList: true });
    document.getElementById("run").click();
})"""
"""Presses Run; what the page says until it is done, and when, in milliseconds."""
MEMORY = "() => self.crossOriginIsolated ? performance.measureUserAgentSpecificMemory().then(({bytes}) => bytes) : null"
"""What the page and its worker hold, without the browser's own; it is told to isolated pages alone."""


class Plain(browser.Handler):
    """Sends no headers that allow several threads."""

    def end_headers(self):
        SimpleHTTPRequestHandler.end_headers(self)


HANDLERS = {1: Plain, 2: browser.Handler}
"""By the threads that a page has on two cores."""


def settings(exported: Exported, count: int) -> dict:
    preset = next(iter(exported.about["tasks"]["generation"]["presets"]))
    return {"preset": preset, "class_name": 0, "count": count}


def times(steps: Iterator) -> list[float]:
    """Seconds of each of ``steps``."""
    seconds, before = [], time.perf_counter()
    for _ in steps:
        now = time.perf_counter()
        seconds.append(now - before)
        before = now
    return seconds


def in_pytorch(model: Classifier, exported: Exported, count: int, threads: int) -> tuple[list[float], float]:
    """Seconds of each step, and of the whole run, of ``count`` pictures."""
    torch.set_num_threads(threads)
    start, *steps = times(TASKS["generation"].frames(model, **settings(exported, count)))
    return steps, start + sum(steps)


def in_onnxruntime(model: Classifier, exported: Exported, count: int) -> tuple[list[float], float]:
    """Likewise; the start is drawn in PyTorch."""
    began = time.perf_counter()
    steps = times(Replay(exported, model, "generation", **settings(exported, count)).states())
    return steps, time.perf_counter() - began


def in_browser(page: Page, address: str, name: str, count: int, threads: int) -> tuple[list[float], float]:
    """Likewise, from the click to what the page says then."""
    page.goto("about:blank")
    page.goto(f"{address}#task=generation&count={count}&checkpoint={name}")
    page.locator("#run:enabled").wait_for()
    page.evaluate(RUN)  # loads the model
    said, words = page.evaluate(RUN), page.inner_text("#backend")
    if ("one thread" if threads == 1 else f"{threads} threads") not in words:
        raise ValueError(f"threads: expected {threads} in the browser, got: {words}")
    steps = [at / 1000 for words, at in said if words.startswith("Step")]
    return [after - before for before, after in pairwise(steps)], (said[-1][1] - said[0][1]) / 1000


def fastest(engines: dict[str, Callable[[], tuple[list[float], float]]], rounds: int) -> dict[str, list[str]]:
    """The least median step in milliseconds, and the least run in seconds, of each engine, by turns."""
    found: dict[str, list] = {kind: [] for kind in engines}
    for _ in range(rounds):
        for kind, run in engines.items():
            steps, whole = run()
            found[kind].append((1000 * median(steps), whole))
    least = {kind: map(min, zip(*figures, strict=True)) for kind, figures in found.items()}
    return {kind: [f"{step:.1f}", f"{whole:.2f}"] for kind, (step, whole) in least.items()}


@contextmanager
def serving(folder: Path, threads: int) -> Iterator[str]:
    """The address of the page in ``folder``."""
    with browser.server(folder, handler=HANDLERS[threads]) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


MEASURE = """
import resource, subprocess, sys, time
began = time.monotonic()
subprocess.run([sys.executable, *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL)
print(time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000)
"""
"""What runs a command from a small process: a child's peak begins with its parent's memory."""


def cost(command: list[str]) -> list[str]:
    """Seconds of the fastest of three Python processes on one thread, and their peak memory in MB."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = partial(subprocess.run, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    printed = [run([sys.executable, "-c", MEASURE, *command]).stdout.split() for _ in range(3)]
    seconds, memory = zip(*printed, strict=True)
    return [f"{min(map(float, seconds)):.1f}", f"{max(map(float, memory)):.0f}"]


def processes(name: str, folder: Path) -> list[list[str]]:
    """Rows of ``cost``: four pictures of the first class."""
    label = hub.load(name).classes[0]
    example = [str(EXAMPLE), str(folder / "onnx"), "--class", label, "--count", "4", "--output"]
    whole = ["-m", "synth", "generation", "--checkpoint", name, "--class", label, "--count", "4", "--output"]
    with tempfile.TemporaryDirectory() as made:
        commands = {"PyTorch": [*whole, f"{made}/a.png"], "ONNX Runtime": [*example, f"{made}/b.png"]}
        return [[name, kind, *cost(command)] for kind, command in commands.items()]


def first_bytes(folder: Path, exported: Path) -> str:
    """Megabytes that the page fetches before the first picture."""
    page = [path for pattern in browser.PAGE_FILES for path in folder.glob(pattern)] + [folder / browser.LIST]
    runtime = [
        folder / "runtime" / name for name in browser.RUNTIME_FILES if "webgpu" not in name and "async" not in name
    ]
    model = [exported / "onnx" / name for name in ("browser.json", "step.onnx", "starts/0.bin")]
    return " + ".join(f"{sum(path.stat().st_size for path in part) / 1e6:.1f}" for part in (page, runtime, model))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.exported", description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoints", nargs="+", default=NAMES)
    parser.add_argument("--counts", nargs="+", type=int, default=[1, 4], help="pictures at once (default 1 4)")
    parser.add_argument("--threads", nargs="+", type=int, choices=HANDLERS, default=list(HANDLERS))
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, of which the fastest counts (default 3)")
    parser.add_argument("--page", type=Path, help="a folder with the page (default: made anew)")
    options = parser.parse_args(arguments)
    rows, sizes = [], []
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as driver:
        site = options.page or Path(temporary) / "page"
        if options.page is None:
            browser.make(site, options.checkpoints)
        flags = [f"--{flag}" for flag in FLAGS.split()]
        page = driver.chromium.launch(executable_path=shutil.which("chromium"), args=flags).new_page()
        for name in options.checkpoints:
            model, folder = hub.load(name), site / "checkpoints" / name
            memory: dict[int, str] = {}
            for threads in options.threads:
                exported = Exported(folder, threads)
                with serving(site, threads) as address:
                    for count in options.counts:
                        engines = {
                            "PyTorch": partial(in_pytorch, model, exported, count, threads),
                            "ONNX Runtime": partial(in_onnxruntime, model, exported, count),
                            "browser": partial(in_browser, page, address, name, count, threads),
                        }
                        for kind, figures in fastest(engines, options.rounds).items():
                            rows.append([name, f"{count}", f"{threads}", kind, *figures])
                        if bytes_held := page.evaluate(MEMORY):
                            memory[count] = f"{bytes_held / 1e6:.0f} with {count}"
            sizes.append([name, first_bytes(site, folder), ", ".join(memory.values())])
        head = ["checkpoint", "pictures", "threads", "engine", "ms a step", "s a run"]
        print(table(head, rows), end="\n\n")
        told = [
            "checkpoint",
            "MB to the first picture: page, runtime, classifier",
            "MB of memory after runs of pictures",
        ]
        print(table(told, sizes), end="\n\n", flush=True)
        costs = [row for name in options.checkpoints for row in processes(name, site / "checkpoints" / name)]
    print(table(["checkpoint", "four pictures with", "s", "peak MB"], costs))


if __name__ == "__main__":
    main()
