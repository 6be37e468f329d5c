"""The running app under hundreds of malformed calls: an answer to each, one sentence where it is ours, and it lives on.

Spoken over HTTP as any program may, without Gradio's client. What Python says to the same settings is what must come.
"""

from __future__ import annotations

import json
import math
import random
import re
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from PIL import Image

from synth import TASKS, hub
from synth.parameters import Float, Mask, Picture
from synth.web import running
from synth.web.checkpoints import load
from synth.web.line import LINE
from synth.web.running import stream
from tests.abuse.bombs import bomb
from tests.conftest import EVERY_TASK, draw_mask, draw_picture, needed

AT_ONCE = 8
NUMBERS = [math.nan, math.inf, -math.inf, -1, 0, -0.0, 0.5, 1, 2.5, 1e-320, 1e308, 2**31, -(2**63), 10**400, 1e9, 3.0]
WORDS = [
    "", " ", "0", "-1", "nan", "1e9", "many", "None", "null", "true", "\0", "a\nb", "\u202e\u0000\u200b", "日本語",
    "😀" * 9, "\ud800", "a" * 300, "ß" * 5000, "x" * 200_000, "<script>alert(1)</script>", "'; drop table", "%s%n{0}",
    "../..", "/", "/etc/passwd", "../../../../etc/passwd", "C:\\x", "file:///etc/passwd", "owner/name",
    "http://127.0.0.1/x", "tuned",
]  # fmt: skip
SHAPES = [True, False, [], [1], ["square"], [[[]]], {}, {"a": 1}, {"path": 3}, {"value": None}, [None] * 50]
MARK = {"_type": "gradio.FileData"}
ODD_FILES = [
    "/etc/passwd", 7, True, [], [None], {}, {"path": "/etc/passwd"}, {"path": None, "meta": MARK}, {"meta": MARK},
    {"path": "/etc/passwd", "meta": MARK}, {"path": "/etc/passwd", "url": "/etc/passwd", "meta": MARK},
    {"path": "../../../../../../../../etc/passwd", "meta": MARK}, {"path": 5, "meta": MARK}, {"path": "", "meta": MARK},
    {"path": "\0", "meta": MARK}, {"path": "a" * 5000, "meta": MARK}, {"path": "/dev/zero", "meta": MARK},
    {"path": "http://127.0.0.1:9/x.png", "meta": MARK}, {"path": "file:///etc/passwd", "meta": MARK},
    {"url": "data:image/png;base64,AAAA", "meta": MARK}, {"path": ["/etc/passwd"], "meta": MARK},
    {"path": "/proc/self/environ", "meta": {"_type": "gradio.Other"}},
]  # fmt: skip

BODIES = [
    "", "{", "[]", "{}", "null", "7", '"data"', "\xff", '{"data": 7}', '{"data": null}', '{"data": {}}',
    '{"data": "x"}', '{"data": []}', '{"data": [null]}', '{"data": [null, null, "x", {}]}',
    '{"data": [' + "9" * 5000 + "]}",
    '{"data": ' + "[" * 2000 + "]" * 2000 + "}", '{"data": [], "session_hash": 7}', '{"data": [], "session_hash": {}}',
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def temporary(tmp_path_factory) -> Path:
    """Where Gradio keeps uploads and pictures while these tests run."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("gradio")
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        yield folder


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """Pictures and masks of every kind, good and bad, by what they are."""
    folder, picture = tmp_path_factory.mktemp("files"), draw_picture()
    frames = [Image.new("L", (32, 32), level) for level in (0, 99, 255)]
    deep = Image.fromarray((np.arange(32 * 32).reshape(32, 32) * 60).astype(np.uint16))
    images = {
        "picture.png": picture, "mask.png": draw_mask(), "palette.png": picture.quantize(5),
        "cmyk.jpg": picture.convert("CMYK"), "deep.png": deep, "real.tiff": deep.convert("F"),
        "lab.tiff": Image.new("LAB", (32, 32)), "clear.png": Image.new("RGBA", (32, 32)),
        "one.png": Image.new("L", (1, 1)),
        "long.png": Image.new("L", (5000, 8)), "wide.png": draw_picture(64, 20), "black.png": Image.new("L", (32, 32)),
        "other.png": draw_mask(40, 32), "grey.webp": picture.convert("L"),
    }  # fmt: skip
    for name, image in images.items():
        image.save(folder / name)
    for name in ("moving.gif", "moving.png", "moving.webp"):
        frames[0].save(folder / name, save_all=True, append_images=frames[1:])
    whole = (folder / "picture.png").read_bytes()
    contents = {
        "truncated.png": whole[: len(whole) // 2], "header.png": whole[:30], "text.png": b"not a picture",
        "nothing.png": b"", "noise.jpg": random.Random(0).randbytes(500), "bomb.png": bomb(60_000, 60_000),
        "large.png": bomb(12_000, 9_000), "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    }  # fmt: skip
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {path.name: path for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def api(server, files):
    """``call(task, settings)`` and ``post(name, body)`` on the running app; ``settings`` are JSON values by parameter.

    A path among the values stands for its upload.
    """
    with httpx.Client(base_url=server, timeout=60, limits=httpx.Limits(max_keepalive_connections=0)) as client:
        uploaded = {}
        for name, path in files.items():
            sent = client.post("/gradio_api/upload", files={"files": (name, path.read_bytes())})
            uploaded[path] = {"path": sent.raise_for_status().json()[0], "meta": MARK}

        def call(task, settings: dict) -> SimpleNamespace:
            values = [settings.get(name) for name in ("checkpoint", *task.parameters, "preset")]
            values = [uploaded[value] if isinstance(value, Path) else value for value in values]
            return post(task.name, json.dumps({"data": values, "session_hash": f"thread-{threading.get_ident()}"}))

        def post(name: str, body: str) -> SimpleNamespace:
            path = f"/gradio_api/call/{name}"
            joined = client.post(path, headers={"Content-Type": "application/json"}, content=body)
            if joined.status_code != 200:
                return SimpleNamespace(kind=f"{joined.status_code}", error=None, text=joined.text)
            text = client.get(f"{path}/{joined.json()['event_id']}").text
            *_, kind, data = [line.split(": ", 1)[1] for line in text.splitlines() if line]
            return SimpleNamespace(kind=kind, error=json.loads(data)["error"] if kind == "error" else None, text=text)

        yield SimpleNamespace(call=call, post=post)


def valid(task, files) -> dict:
    """A short call that succeeds, with paths for pictures."""
    settings = needed(task, steps=1, count=2)
    return {
        n: files["mask.png" if n == "mask" else "picture.png"] if isinstance(v, Image.Image) else v
        for n, v in settings.items()
    }


def refusal(task, settings: dict) -> str:
    """The sentence with which Python refuses these settings; "" if it takes them."""
    settings = {name: value for name, value in settings.items() if value is not None}
    try:
        task.check_single(settings)
        task.check(load(str(settings.pop("checkpoint", "") or "tiny")), **settings)
    except ValueError as error:
        return str(error)
    return ""


def malformed(task, files, folder: Path) -> list[tuple[str, dict]]:
    """(parameter, settings) of calls in which that parameter has a seeded odd value."""
    chance, calls, base = random.Random(task.name), [], valid(task, files)
    broken = [str(files["picture.png"].parent), str(folder), "a" * 300, "a/" + "b" * 300, "a/b/c", "../..", "/"]
    for name, kind in [("checkpoint", None), *task.parameters.items(), ("preset", None)]:
        if isinstance(kind, (Picture, Mask)):
            odd = [None, *chance.sample(list(files.values()), 12), *chance.sample(ODD_FILES, 9)]
        elif isinstance(kind, Float):
            odd = [*chance.sample(NUMBERS, 4), chance.choice(WORDS), chance.choice(SHAPES)]
        else:
            odd = [chance.choice(NUMBERS), *chance.sample(WORDS, 4), chance.choice(SHAPES)]
        if name == "checkpoint":
            odd += broken
        calls += [(name, base | {name: value}) for value in odd if name != "steps" or value != 3.0]
    return calls


NO_UPLOAD = ": expected an uploaded file, such as gradio_client.handle_file makes of a path, got "


def no_upload(kind, value) -> bool:
    """Whether Gradio or the endpoint refuses this: what is neither an upload nor nothing, for a picture or a mask."""
    return isinstance(kind, (Picture, Mask)) and value is not None and not isinstance(value, Path)


def ours(task, sentence: str) -> bool:
    """Whether this is one sentence that begins with a parameter of the task."""
    names = "|".join(["checkpoint", *task.parameters, "preset"])
    return len(sentence) < 800 and re.fullmatch(rf"({names}): expected [^\n]+, got [^\n]+", sentence) is not None


def leaks(answer, settings) -> list[str]:
    """What an answer holds of this machine that the caller did not send: lines of /etc/passwd, paths, tracebacks."""
    paths = [str(hub.BUNDLED), str(Path(__file__).parents[1]), tempfile.gettempdir() + "/", json.__file__]
    passwords = Path("/etc/passwd").read_text().splitlines() if Path("/etc/passwd").exists() else []
    # A finished call names its picture's place, for the caller to fetch it.
    kept = [*passwords, "Traceback", 'File "', *(paths if answer.kind != "complete" else ())]
    return [text for text in kept if text in answer.text and text not in repr(settings)]


@EVERY_TASK
def test_malformed_values_are_answered_as_in_python(task, api, files, tmp_path):
    calls = malformed(task, files, tmp_path)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda call: api.call(task, call[1]), calls))
    counts = Counter()
    for (name, settings), answer in zip(calls, answers, strict=True):
        what = f"{name}={str(settings[name])[:80]!r}: {answer.kind}, {answer.error}"
        assert answer.kind in ("complete", "error") and not leaks(answer, settings), what
        if no_upload(task.parameters.get(name), settings[name]):
            counts["no upload"] += 1
            assert answer.kind == "error" and (answer.error is None or NO_UPLOAD in answer.error), what
            continue
        counts["refused" if answer.error else "valid"] += 1
        assert answer.kind == "complete" or ours(task, answer.error), what
        if name != "checkpoint":
            assert (answer.error or "") == refusal(task, settings), what
    assert counts["refused"] >= min(70, 7 * len(task.parameters)) and counts["valid"] >= 5, counts
    assert api.call(task, valid(task, files)).kind == "complete" and len(LINE) == 0


def test_there_are_many_malformed_values(files, tmp_path):
    assert sum(len(malformed(task, files, tmp_path)) for task in TASKS.values()) >= 700


@EVERY_TASK
def test_calls_of_another_shape_are_refused(task, api, files):
    """Gradio answers these: with a 4xx, or an error without a word; arguments beyond the last it ignores."""
    for body in BODIES:
        answer = api.post(task.name, body)
        assert answer.kind == "error" or answer.kind.startswith("4"), (body[:80], answer.kind, answer.text[-300:])
        assert not leaks(answer, body)
    assert api.call(task, valid(task, files)).kind == "complete"


@pytest.mark.parametrize("name", ["nowhere", "..", "../config", "call", "%00", "a" * 5000], ids=lambda name: name[:9])
def test_another_endpoint_is_refused_and_reveals_nothing(api, name):
    """Gradio answers 404, 405 or, for a name that it does not know, a bare 500."""
    answer = api.post(name, '{"data": []}')
    assert answer.kind.startswith("4") or (answer.kind, answer.text) == ("500", "Internal Server Error")


def test_a_picture_outside_the_uploads_is_not_read(api, tmp_path):
    draw_picture().save(tmp_path / "x.png")
    for path in (tmp_path / "x.png", __file__, hub.BUNDLED / "tiny" / "examples" / "square.png"):
        for value in ({"path": str(path), "meta": MARK}, {"path": f"file://{path}", "meta": MARK}, str(path)):
            answer = api.call(TASKS["maximisation"], {"picture": value, "steps": 1})
            assert answer.kind == "error" and (answer.error is None or NO_UPLOAD in answer.error)
            assert not leaks(answer, value)


def test_an_upload_that_is_gone_is_said_so(api, temporary):
    picture = {"path": str(temporary / "gone" / "x.png"), "meta": MARK}
    answer = api.call(TASKS["maximisation"], {"picture": picture, "steps": 1})
    assert answer.error == "picture: expected a readable picture file, got 'x.png'"


def test_calls_leave_nothing_behind_that_gradio_does_not_know_of(api, files, temporary):
    for task in TASKS.values():
        assert api.call(task, valid(task, files)).kind == "complete"
    assert [path for path in temporary.iterdir() if path.is_file()] == []


def test_all_steps_of_a_run_are_on_one_thread(monkeypatch):
    task, threads, frames = TASKS["generation"], set(), TASKS["generation"].frames

    def watched(model, **settings):
        for frame in frames(model, **settings):
            threads.add(threading.get_ident())
            yield frame

    monkeypatch.setattr(task, "frames", watched)
    monkeypatch.setattr(running, "RATE", math.inf)
    callers = [ThreadPoolExecutor(1) for _ in range(4)]
    run = stream(task, "tiny", {"steps": 3, "count": 1})
    assert [caller.submit(next, run).result().frame.step for caller in callers] == [0, 1, 2, 3]
    assert len(threads) == 1
    run.close()
