"""Every task as on ZeroGPU: ``python -m tests.zero_gpu FOLDER``, with the package ``spaces``, prints JSON.

The package forks its processes and passes frames between them as on a Space; its own service, which lends GPUs, is a
stand-in here, and so is the GPU: what a process would do with one, it does on the CPU.
"""

import contextlib
import json
import multiprocessing
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

CALLS: list[tuple[str, dict]] = []


class Lender(BaseHTTPRequestHandler):
    """Lends the same GPU to everybody."""

    def do_POST(self):
        address = urlsplit(self.path)
        CALLS.append((address.path, parse_qs(address.query)))
        body = json.dumps({"idle": True, "nvidiaIndex": 0, "nvidiaUUID": "0", "allowToken": str(len(CALLS))}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve() -> str:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Lender)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def main(folder: Path) -> dict:
    os.environ |= {"SPACES_ZERO_GPU": "true", "SPACES_ZERO_DEVICE_API_URL": serve(), "HOME": str(folder)}
    import gradio as gr
    import spaces.zero.torch
    import torch

    spaces.zero.torch.init = spaces.zero.torch.move = lambda *_, **__: None
    spaces.zero.utils.self_cgroup_device_path = lambda: "here"

    from synth import TASKS
    from synth.web import gpu
    from synth.web.checkpoints import load
    from synth.web.page import LAUNCH, build
    from synth.web.running import stream
    from tests.conftest import bundled, needed

    def run(task, settings: dict):
        *_, last = stream(task, "tiny", settings)
        return last.frame

    tasks = {}
    with bundled(folder / "checkpoints"), contextlib.closing(build()) as page:
        page.launch(prevent_thread_lock=True, quiet=True, **LAUNCH)
        for task in TASKS.values():
            frame, settings = run(task, needed(task)), needed(task)
            same = torch.equal(frame.pictures, task(load("tiny"), **settings).pictures)
            tasks[task.name] = {"done": frame.step == frame.steps, "same": same}
        try:
            run(TASKS["generation"], {"steps": 0})
        except gr.Error as error:
            refused = error.message
    processes = {query["pid"][0] for path, query in CALLS if path == "/allow"} - {str(os.getpid())}
    lent = sum(path == "/schedule" for path, _ in CALLS)
    threads = [thread.name for thread in gpu.WORKERS[-1]._threads]
    return {"tasks": tasks, "refused": refused, "processes": len(processes), "lent": lent, "threads": threads}


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        result = main(Path(sys.argv[1]))
    for process in multiprocessing.active_children():
        process.kill()
    print(json.dumps(result), flush=True)
    os._exit(0)
