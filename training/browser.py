"""Make the page that synthesises in the visitor's browser: ``python -m training.browser --output FOLDER --serve``.

FOLDER then holds all that it needs: the page, ONNX Runtime's files for browsers, and exported checkpoints. Any server
of files serves it. npm fetches ONNX Runtime once, into ``browser/node_modules``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from synth import Classifier, checkpoint, hub
from synth.web.checkpoints import title
from training.export import export

PAGE = Path(__file__).resolve().parent.parent / "browser"
PAGE_FILES = ("index.html", "style.css", "icon.svg", "js/*.js")
PACKAGE = "onnxruntime-web"
RUNTIME_FILES = tuple(
    f"ort{name}"
    for kind, glue in (("wasm", ""), ("webgpu", ".asyncify"))
    for name in (f".{kind}.min.mjs", f"-wasm-simd-threaded{glue}.mjs", f"-wasm-simd-threaded{glue}.wasm")
)
CHECKPOINTS = (hub.DEFAULT, "imagenet20-resnet18-slim-l2-dual", hub.SECOND)
LIST = "site.json"
MADE = {"index.html", "style.css", "icon.svg", "js", "runtime", "checkpoints", LIST, "README.md"}
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
"""What a host sends with every file so that the page may compute with several threads; it works without them too."""
README = """---
title: Synth in your browser
emoji: 🖌️
colorFrom: indigo
colorTo: green
sdk: static
app_file: index.html
pinned: false
license: mit
short_description: Make and change pictures on your own device
custom_headers:
{headers}
tags:
- adversarial-robustness
- image-generation
- onnx
---

# Synth in your browser

Pictures from one adversarially robust classifier, computed on the visitor's own device. Nothing is uploaded. Any server
of files can serve this folder. `runtime/` holds files of ONNX Runtime {version} (MIT licence).
"""


def make(folder: Path, checkpoints: Sequence[str] = CHECKPOINTS) -> None:
    """Write the complete page with ``checkpoints`` (names as of ``synth.load``) into the empty or former ``folder``.

    ValueError for a folder with other contents, for an unknown checkpoint, and without npm or the packages of an
    export; a former folder then stays as it was.
    """
    if folder.exists() and (others := {path.name for path in folder.iterdir()} - MADE):
        raise ValueError(f"output: expected an empty folder or one made before, got {folder} with {sorted(others)[0]}")
    if not checkpoints:
        raise ValueError("checkpoint: expected at least one, got none")
    models = [hub.load(name) for name in checkpoints]
    runtime = install()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as fresh:
        _write(Path(fresh) / "page", models, runtime)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.move(Path(fresh) / "page", folder)


def _write(folder: Path, models: Sequence[Classifier], runtime: Path) -> None:
    for pattern in PAGE_FILES:
        for path in PAGE.glob(pattern):
            _copy(path, folder / path.relative_to(PAGE))
    for name in RUNTIME_FILES:
        _copy(runtime / "dist" / name, folder / "runtime" / name)
    described = []
    for model in models:
        print(f"Exporting {model.name} ...", flush=True)
        place = f"checkpoints/{model.name.replace('/', '--')}"
        export(model, folder / place)
        described.append(
            {
                "name": model.name,
                "title": title(model.name),
                "folder": f"{place}/{checkpoint.ONNX}/",
            }
        )
    version = json.loads((runtime / "package.json").read_text())["version"]
    headers = "\n".join(f"  {name.lower()}: {value}" for name, value in HEADERS.items())
    (folder / "README.md").write_text(README.format(headers=headers, version=version))
    listed = {path.relative_to(folder).as_posix(): _describe(path) for path in _checked(folder)}
    (folder / LIST).write_text(json.dumps({"checkpoints": described, "files": listed}, indent=1) + "\n")


def install() -> Path:
    """The folder of ONNX Runtime's package for browsers, fetched by npm unless it is there; ValueError without npm."""
    wanted = json.loads((PAGE / "package.json").read_text())["dependencies"][PACKAGE]
    folder = PAGE / "node_modules" / PACKAGE
    if not folder.exists() or json.loads((folder / "package.json").read_text())["version"] != wanted:
        if shutil.which("npm") is None:
            raise ValueError(f"npm: expected node and npm, which fetch {PACKAGE}, got none on this machine")
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=PAGE, capture_output=True, text=True)
        if done.returncode:
            why = " ".join(done.stderr.split())[:200]
            raise ValueError(f"npm: expected to fetch {PACKAGE} {wanted}, got an error ({why})")
    return folder


class Handler(SimpleHTTPRequestHandler):
    """Sends files with the HEADERS."""

    protocol_version = "HTTP/1.1"
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".json": "application/json",
    }

    def end_headers(self):
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Cache-Control", "no-cache")  # the large files are kept by the page itself
        super().end_headers()

    def log_message(self, *_):
        pass


def server(folder: Path, port: int = 0, host: str = "127.0.0.1", handler=Handler) -> ThreadingHTTPServer:
    """A server of the files in ``folder``, on a free port for 0."""
    return ThreadingHTTPServer((host, port), partial(handler, directory=str(folder)))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _checked(folder: Path) -> list[Path]:
    """What the page downloads with its checksum: not itself, nor pictures that only show."""
    paths = sorted([*folder.glob("checkpoints/**/*"), *folder.glob("runtime/*.wasm")])
    return [path for path in paths if path.is_file() and path.suffix not in (".png", ".webp")]


def _describe(path: Path) -> dict:
    return {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.browser", description=__doc__.splitlines()[0])
    parser.add_argument("--output", required=True, metavar="FOLDER", help="an empty folder, or one made before")
    parser.add_argument("--checkpoint", nargs="+", metavar="NAME", default=CHECKPOINTS, help="the first one opens")
    parser.add_argument("--serve", action="store_true", help="serve it on this machine afterwards")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 for a phone in the same network")
    options = parser.parse_args(arguments)
    folder = Path(options.output)
    try:
        serving = server(folder, options.port, options.host) if options.serve else None
    except OSError as error:
        parser.exit(2, f"port: expected a free one of {options.host}, got {options.port} ({error.strerror})\n")
    with serving or nullcontext():
        try:
            make(folder, options.checkpoint)
        except ValueError as error:
            parser.exit(2, f"{error}\n")
        size = sum(path.stat().st_size for path in folder.glob("**/*") if path.is_file())
        print(f"{folder}: {size / 1e6:.0f} MB")
        if serving is not None:
            print(f"http://{options.host}:{serving.server_port}", flush=True)
            serving.serve_forever()


if __name__ == "__main__":
    main()
