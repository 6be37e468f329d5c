"""The page that needs no server, in a real browser; skipped without Chromium, npm or the packages of an export."""

from __future__ import annotations

import re
from http.server import SimpleHTTPRequestHandler
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from synth import TASKS, hub, objectives, pictures
from synth.pgd import pgd
from tests.browser.actions import expect
from tests.browser.static.randomness import Random, uniforms
from tests.browser.static.site import differences, draw_stroke, open_page, result, run, serving
from tests.conftest import draw_picture
from training import browser as static

LARGE = (".onnx", ".wasm", ".bin")


def test_generated_pictures_are_those_of_python(page, address, checkpoints, monkeypatch):
    seed, count, settings = (
        7,
        2,
        {"steps": 5, "start": "mixture", "crop": 0.3, "jitter": 3, "smoothing": 0.5, "epsilon": 3},
    )
    open_page(page, address, task="generation", seed=seed, count=count, class_name="stripe", **settings)
    run(page)
    expect(page.locator("#backend")).to_contain_text("WebAssembly runs")

    model = hub.load(checkpoints / "tiny").engine()
    tensors = {name: tensor[2].float() for name, tensor in model.start_tensors.items()}
    randoms, start = [Random(seed + index) for index in range(count)], []
    for random in randoms:
        part = int(random.uniform() >= tensors["weights"][0] / tensors["weights"].sum())
        normals = random.normals(len(tensors["basis"]))
        place = tensors["centers"][part] + tensors["factors"][part] @ normals
        start.append((tensors["mean"] + place @ tensors["basis"]).view(3, 32, 32).clamp(0, 1))
    monkeypatch.setattr(objectives, "draw", uniforms(randoms))
    monkeypatch.setattr(type(model), "sample_start", lambda *_, **__: torch.stack(start))
    task = TASKS["generation"]
    values = task.check(model, seed=seed, count=count, class_name="stripe", **settings)
    problem = task.problem(model, SimpleNamespace(**values), None)
    expected = pgd(problem.loss, problem.start, problem.constraint, steps=5, step_size=values["step_size"])
    assert (expected - problem.start).flatten(1).norm(dim=1).min() > 0.5
    for ours, theirs in zip(result(page), pictures.to_images(expected), strict=True):
        apart = differences(ours, theirs)
        assert apart.max() <= 1 and (apart > 0).mean() < 0.02  # where rounding to a level is a close call


def test_the_same_link_repeats_a_picture_without_a_download(page, address, host):
    open_page(page, address, task="generation", seed=3, count=1, steps=2)
    run(page)
    link, first = page.url, result(page)[0]
    host.requests.clear()
    open_page(page, link, task="generation")
    expect(page.locator("#cost")).to_have_text("")
    page.goto("about:blank")
    page.goto(link)
    run(page)
    assert result(page)[0].tobytes() == first.tobytes()
    assert [path for path in host.requests if path.endswith(LARGE)] == []
    page.click("[aria-label='Another seed']")
    run(page)
    assert result(page)[0].tobytes() != first.tobytes()


def test_a_drawn_hole_is_filled_and_the_rest_stays(page, address):
    open_page(page, address, task="inpainting", steps=3)
    draw_stroke(page)
    run(page)
    apart = differences(result(page)[0], draw_picture())
    assert apart[14:18, 10:22].any() and not apart[:10].any() and not apart[22:].any()
    assert "What the model sees" in page.locator("select[name=class_name]").inner_text()


def test_a_sketch_is_drawn_and_synthesised(page, address):
    open_page(page, address, task="sketch", steps=2, epsilon=0.2, texture=0)
    page.click("button:text-is('Blank')")
    draw_stroke(page)
    run(page)
    levels = np.asarray(result(page)[0]).astype(int)
    assert levels[2].min() > 200 and levels[16, 16, 0] < 100 < levels[16, 16, 2]


def test_a_feature_is_painted_into_a_region(page, address):
    open_page(page, address, task="painting", steps=3)
    page.fill("input[type=search]", "dot")
    page.click(".features button:visible >> nth=2")
    draw_stroke(page)
    run(page)
    first = result(page)[0]
    apart = differences(first, draw_picture())
    assert apart[14:18].any() and not apart[:8].any()
    page.click(".features button:visible >> nth=3")
    run(page)
    assert differences(result(page)[0], first).any()
    page.locator("select[aria-label^='Go on']").select_option("translation")
    expect(page.locator("#about")).to_contain_text("another class")
    page.locator("select[name=class_name]").select_option("dot")
    page.locator("summary").click()
    page.fill("input[name=steps]", "2")
    run(page)


@pytest.mark.parametrize("task", ["super_resolution", "maximisation"])
def test_the_first_click_of_the_other_tasks_changes_the_picture(page, address, task):
    consistency = {"consistency": "hard"} if task == "super_resolution" else {}
    open_page(page, address, task=task, steps=2, **consistency)
    run(page)
    image = result(page)[0]
    assert differences(image, draw_picture()).any()
    if consistency:
        means = [np.asarray(one).astype(float).reshape(8, 4, 8, 4, 3).mean((1, 3)) for one in (image, draw_picture())]
        assert np.abs(means[0] - means[1]).max() < 1


@pytest.mark.parametrize("upsampling", ["total variation", "bicubic", "nearest"])
def test_super_resolution_starts_where_python_does(page, address, checkpoints, upsampling):
    settings = {"upsampling": upsampling, "consistency": "hard", "factor": 4, "steps": 1, "epsilon": 0.01, "jitter": 0}
    open_page(page, address, task="super_resolution", **settings)
    run(page)
    expected = TASKS["super_resolution"](hub.load(checkpoints / "tiny"), picture=draw_picture(), **settings)
    assert differences(result(page)[0], expected.images[0]).max() <= 2  # Python rounds the small picture to levels


def test_a_drawing_is_softened_as_in_python(page, address, checkpoints, tmp_path):
    settings = {"softness": 2, "texture": 0, "class_name": "dot", "steps": 1, "epsilon": 0.01, "jitter": 0}
    open_page(page, address, task="sketch", **settings)
    draw_picture().save(tmp_path / "drawing.png")
    page.set_input_files("input[type=file]", tmp_path / "drawing.png")
    page.wait_for_timeout(500)
    run(page)
    expected = TASKS["sketch"](hub.load(checkpoints / "tiny"), picture=draw_picture(), **settings)
    assert differences(result(page)[0], expected.images[0]).max() <= 1


def test_stop_stops_at_once_and_keeps_the_picture(page, address):
    open_page(page, address, task="generation", steps=1000)
    page.click("#run")
    expect(page.locator("#status")).to_contain_text(re.compile(r"Step [1-9]\d* of 1000"))
    page.click("#stop")
    assert "the picture so far stays" in page.inner_text("#status")
    assert len(result(page)) == 4
    page.locator("summary").click()
    page.fill("input[name=steps]", "1")
    run(page)


def test_what_goes_wrong_is_said_in_a_sentence(page, address, host, tmp_path):
    note = page.locator("#note")
    host.faults["worker.js"] = "cut"
    open_page(page, address, task="translation", steps=2)
    page.click("#run")
    expect(note).to_contain_text("The computation stopped")
    host.faults.clear()

    page.add_init_script("if (location.hash === '#bare') delete window.WebAssembly")
    page.evaluate("() => caches.delete('synth')")
    open_page(page, address, task="translation", steps=2)
    for fault, words in (("altered", "was altered"), ("cut", "was cut off")):
        host.faults["step.onnx"] = fault
        page.click("#run")
        expect(note).to_contain_text(words)
        expect(page.locator("#stop")).to_be_hidden()
    host.faults.clear()
    run(page)
    expect(note).to_be_hidden()

    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:], loop=0)
    frames[0].save(tmp_path / "once.gif", save_all=True, append_images=frames[1:])
    Image.new("RGB", (300, 3)).save(tmp_path / "line.png")
    Image.new("L", (6000, 5000)).save(tmp_path / "huge.png")
    (tmp_path / "words.png").write_text("no picture")
    refused = {"moving.gif": "animation", "once.gif": "animation", "huge.png": "30 million pixels"}
    refused |= {"words.png": "not a picture", "line.png": "300 by 3 pixels"}
    for name, words in refused.items():
        page.set_input_files("input[type=file]", tmp_path / name)
        expect(note).to_contain_text(words)
    Image.new("RGB", (64, 48), "red").save(tmp_path / "fine.jpg")
    page.set_input_files("input[type=file]", tmp_path / "fine.jpg")
    expect(note).to_be_hidden()

    page.goto("about:blank")
    page.goto(f"{address}#bare")
    expect(note).to_contain_text("no WebAssembly")


def test_webgpu_runs_only_where_it_agrees_and_wasm_goes_on_where_it_is_lost(page, address):
    open_page(page, address)
    said = page.evaluate(
        """async () => {
            const { Engine } = await import("./js/engine.js");
            const session = (value, lost = 9) => ({ run: async () => {
                if (lost-- === 0) throw new Error("device lost");
                return { next: { data: Float32Array.of(value) } };
            } });
            const said = [];
            for (const gpu of [session(0.5), session(0.6), session(0.5, 2), session(0.5, 0)]) {
                const open = async (kind) => (kind === "wasm" ? session(0.5) : gpu);
                const engine = new Engine(open, {}, (words) => said.push(words));
                await engine.prepare("webgpu");
                said.push(engine.runs);
                for (const step of [1, 2]) said.push((await engine.step({})).next[0] === 0.5, engine.runs);
            }
            return said;
        }"""
    )
    agreed = ["webgpu", True, "webgpu", True, "webgpu"]
    differs = ["WebGPU's pixels differ from WASM's by 0.10, so WASM runs.", "wasm", True, "wasm", True, "wasm"]
    lost = ["webgpu", True, "webgpu", "WebGPU was lost, so WASM goes on from the same picture.", True, "wasm"]
    absent = ["WebGPU could not be started, so WASM runs.", "wasm", True, "wasm", True, "wasm"]
    assert said == agreed + differs + lost + absent


def test_a_worker_that_falls_silent_is_given_up(page, address):
    page.clock.install()
    open_page(page, address)
    silent = """async () => {
        const { Runner } = await import("./js/runner.js");
        window.said = [];
        const runner = new Runner({ error: ({ sentence }) => said.push(sentence) });
        runner.hire = () => ({ postMessage() {}, terminate: () => said.push("ended") });
        runner.run({});
    }"""
    page.evaluate(silent)
    page.clock.fast_forward(119_000)
    assert page.evaluate("said") == []
    page.clock.fast_forward(2_000)
    ended, sentence = page.evaluate("said")
    assert ended == "ended" and "nothing was heard of it" in sentence


def test_a_folder_with_other_contents_and_no_checkpoint_are_refused(tmp_path):
    (tmp_path / "index.html").write_text("mine")
    (tmp_path / "thesis.txt").write_text("mine too")
    with pytest.raises(ValueError, match=r"^output: expected an empty folder .* with thesis.txt$"):
        static.make(tmp_path)
    with pytest.raises(ValueError, match="^checkpoint: expected at least one, got none$"):
        static.make(tmp_path / "new", [])
    (tmp_path / "thesis.txt").unlink()
    with pytest.raises(ValueError, match="^checkpoint: .*nosuch"):
        static.make(tmp_path, ["nosuch"])
    assert (tmp_path / "index.html").read_text() == "mine"
    with static.server(tmp_path) as taken, pytest.raises(SystemExit):
        static.main(["--output", str(tmp_path), "--serve", "--port", str(taken.server_port)])
    assert (tmp_path / "index.html").read_text() == "mine"


def test_the_published_files_run_on_a_phone_from_a_plain_server_with_full_storage(page, site, owner, tmp_path):
    printed = owner("publish_page", folder=str(site), repo="owner/page")["printed"]
    assert "owner/page (static Space):" in printed and "owner/page is at revision" in printed
    owner("download_space", repo="owner/page", folder=str(tmp_path))
    with serving(tmp_path, SimpleHTTPRequestHandler) as plain:
        page.set_viewport_size({"width": 390, "height": 844})
        open_page(page, plain, task="painting", steps=1)
        quota = {"origin": plain.rstrip("/"), "quotaSize": 1000}
        page.context.new_cdp_session(page).send("Storage.overrideQuotaForOrigin", quota)
        run(page)
        expect(page.locator("#note")).to_contain_text("storage is full")
        expect(page.locator("#backend")).to_contain_text("one thread")
        assert page.evaluate("() => document.documentElement.scrollWidth") == 390


def test_a_click_before_the_example_is_here_waits_for_it(page, address, host):
    held, later = [], lambda route: held.append(route)
    page.route("**/examples/*.png", later)
    page.goto(f"{address}#task=painting&steps=1")
    page.locator("#task-painting[aria-selected=true]").wait_for()
    page.click("#run:enabled")
    expect(page.locator("#run")).to_be_disabled()
    page.route("**/examples/*.png", lambda route: route.continue_())
    for route in held:
        route.continue_()
    expect(page.locator("#status")).to_contain_text("Done")
