"""What all tests share: a tiny seeded model with starting statistics, a drawn picture, a mask; no network."""

from __future__ import annotations

import json
import os
from contextlib import closing, contextmanager
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"  # two processes test at once; more threads than cores would be slow

import pytest
import torch
from accelerate.state import AcceleratorState
from PIL import Image, ImageDraw
from torch import nn

from synth import checkpoint, hub
from synth.autoencoder import Decoder
from synth.classifier import Classifier
from synth.features import Feature, FeatureGallery
from synth.parameters import ClassName, Mask, Picture
from synth.tasks import TASKS
from synth.web import stored
from synth.web.checkpoints import load_to
from synth.web.run import Run
from tests.chromium import browser  # noqa: F401, a fixture
from tests.hub_client import Client, Server

CLASSES = ["circle", "square", "stripe", "dot"]
EVERY_TASK = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


def make_model(architecture: str = "resnet18", image_size: int = 32, width: float = 0.125, **more) -> Classifier:
    """A small model in eval mode whose batch-norm statistics and weights are those of no fresh network."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        more = {"real_losses": {name: [100.0] * len(CLASSES) for name in ("logit", "cross-entropy")}} | more
        model = Classifier(architecture, CLASSES, image_size, width, **more)
        norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, 0, 0.3)
            norm.momentum = 1
        with torch.no_grad():
            model.train()(torch.rand(8, 3, image_size, image_size))
        for norm in norms:
            norm.momentum = 0.1
    return model.eval()


def make_start(classes: int = 4, components: int = 6, side: int = 32, spread: float = 2, parts: int = 2) -> dict:
    """Seeded statistics with which every start can be sampled."""
    random = torch.Generator().manual_seed(1)
    pixels = 3 * side * side
    basis = torch.linalg.qr(torch.randn(classes, pixels, components, generator=random)).Q.transpose(1, 2).contiguous()
    deviation = spread * 0.6 ** torch.arange(components).float().expand(classes, -1).contiguous()
    factors = torch.randn(classes, parts, components, components, generator=random).tril() * spread / 4
    return dict(
        mean=0.4 + 0.2 * torch.rand(classes, pixels, generator=random),
        basis=basis,
        deviation=deviation,
        variance=deviation.square().sum(1) * 1.01,
        weights=torch.tensor([0.3, 0.7]).expand(classes, -1).contiguous(),
        centers=torch.randn(classes, parts, components, generator=random) * spread,
        factors=factors,
    )


def make_decoders(model: Classifier) -> dict[str, Decoder]:
    """Untrained ones: of all pictures, and of squares alone."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        decoders = {name: Decoder(*model.stage_shapes(depth)).eval() for name, depth in (("", 4), ("squares", 2))}
        for decoder in decoders.values():
            decoder.standardise(model.maps(torch.rand(8, 3, model.image_size, model.image_size), decoder.depth))
            decoder.info["normal_scores"] = [0.01, 0.02, 0.2]
    return decoders


def save_model(folder: Path, **more) -> Classifier:
    """Write a checkpoint with a start and decoders into ``folder``; ``more`` as for ``make_model``."""
    model = make_model(**more)
    model.start_tensors, model.decoders = make_start(), make_decoders(model)
    checkpoint.save(folder, model)
    return model


def draw_picture(width: int = 32, height: int = 32) -> Image.Image:
    """A colour gradient with a few shapes."""
    red, green = Image.linear_gradient("L").resize((width, height)), Image.radial_gradient("L").resize((width, height))
    image = Image.merge("RGB", (red, green, red.transpose(Image.Transpose.ROTATE_180)))
    pen = ImageDraw.Draw(image)
    pen.ellipse((width * 0.2, height * 0.3, width * 0.6, height * 0.8), fill=(200, 60, 40))
    pen.rectangle((width * 0.6, height * 0.1, width * 0.9, height * 0.4), fill=(30, 90, 220))
    return image


def draw_mask(width: int = 32, height: int = 32) -> Image.Image:
    """White in a block left of the middle."""
    image = Image.new("L", (width, height))
    ImageDraw.Draw(image).rectangle((width // 4, height // 4, width // 2, height * 3 // 4), fill=255)
    return image


def needed(task, size: tuple[int, int] = (32, 32), **more) -> dict:
    """Settings for a short run of ``task``, from its declaration alone: pictures, masks, required classes.

    And those of ``more`` that the task has.
    """
    settings = {"steps": 3} if "steps" in task.parameters else {}
    for name, parameter in task.parameters.items():
        if isinstance(parameter, Picture):
            settings[name] = draw_picture(*size) if name == "picture" else draw_picture(*size).rotate(180)
        elif isinstance(parameter, Mask):
            settings[name] = draw_mask(*size)
        elif isinstance(parameter, ClassName) and not parameter.optional:
            settings[name] = CLASSES[1]
    return settings | {name: value for name, value in more.items() if name in task.parameters}


def every_task_with(what: str | type):
    """As ``EVERY_TASK``, for the tasks with a parameter of that name or kind."""

    def fits(task) -> bool:
        kinds = () if isinstance(what, str) else what
        return what in task.parameters or any(isinstance(parameter, kinds) for parameter in task.parameters.values())

    names = [name for name, task in TASKS.items() if fits(task)]
    assert names
    return pytest.mark.parametrize("task", [TASKS[name] for name in names], ids=names)


def assert_refused(task, model, settings: dict, name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: expected [^\n]+$"):
        next(task.frames(model, **settings))


@pytest.fixture(autouse=True)
def fresh_accelerator():
    """Accelerate keeps the first precision for a whole process; each test starts without one."""
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(autouse=True, scope="module")
def fresh_accelerator_for_a_module():
    """And so does what a module's tests share."""
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="session")
def model() -> Classifier:
    """Shared, so a test must not change it."""
    model = make_model(info={"name": "tiny"})
    model.start_tensors, model.decoders = make_start(), make_decoders(model)
    return model


@pytest.fixture
def picture() -> Image.Image:
    return draw_picture()


@pytest.fixture
def mask() -> Image.Image:
    return draw_mask()


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> Path:
    """A folder with a checkpoint called tiny and its twin, plain."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for name, width in (("plain", 0.25), ("tiny", 0.125)):
        save_model(folder / name, width=width, info={"name": name})
        (folder / name / "examples").mkdir()
    images = [Image.new("RGB", (32, 32), (index * 4, 128, 0)) for index in range(64)]
    features = (Feature(i, image, {CLASSES[i % 4]: 0.5}, lifts=64 - i) for i, image in enumerate(images))
    checkpoint.add(folder / "tiny", features=FeatureGallery(features))
    draw_picture().save(folder / "tiny" / "examples" / "square.png")
    draw_picture().rotate(180).save(folder / "plain" / "examples" / "dot.png")
    store_results(folder)
    return folder


def store_results(folder: Path) -> None:
    """Two stored results, a card each: a translation by tiny, and a comparison of plain with it."""
    index, (tiny, plain) = {}, (hub.load(folder / name) for name in ("tiny", "plain"))
    stored_folder = folder / "stored"
    stored_folder.mkdir()
    tiny.source, plain.source = "tiny", "plain"
    with bundled(folder):
        frame = TASKS["translation"](tiny, picture=draw_picture(), class_name="dot", steps=5)
        row = {"name": "tiny-translation", "examples": {"picture": "square"}, "title": "Turn a square into a dot"}
        index["tiny-translation"] = stored.write(stored_folder, Run(frame), **row)
        frames = [TASKS["generation"](model, class_name="dot", count=1, steps=2) for model in (plain, tiny)]
        row = {"name": "plain-beside", "examples": {}, "title": "Two beside each other"}
        index["plain-beside"] = stored.write(stored_folder, Run(frames[0], other=frames[1]), **row)
    (stored_folder / "index.json").write_text(json.dumps(index))


@contextmanager
def bundled(folder: Path):
    """``folder`` in place of the bundled checkpoints, "tiny" in place of the default one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub, "BUNDLED", folder)
        patch.setattr(hub, "DEFAULT", "tiny")
        patch.setattr(stored, "FOLDER", folder / "stored")
        load_to.cache_clear()
        yield
        load_to.cache_clear()


@pytest.fixture(scope="module")
def tiny(checkpoints):
    with bundled(checkpoints):
        yield "tiny"


@contextmanager
def serve():
    """The address of the app, serving in this process, with one drawn picture for a data set."""
    from synth.web.page import LAUNCH, build

    with closing(build(lambda size: draw_picture(size, size))) as page:
        yield page.launch(prevent_thread_lock=True, quiet=True, **LAUNCH)[1]


@pytest.fixture(scope="module")
def server(tiny):
    with serve() as address:
        yield address


@pytest.fixture(scope="module")
def hub_server():
    """A server that speaks the Hub's protocol."""
    with closing(Server()) as server:
        yield server


@pytest.fixture(scope="module")
def owner(hub_server, tmp_path_factory):
    """A client with a token."""
    with closing(Client(hub_server.address, tmp_path_factory.mktemp("owner"), "hf_owner")) as client:
        yield client


@pytest.fixture(scope="module")
def stranger(hub_server, tmp_path_factory):
    """A client without a token."""
    with closing(Client(hub_server.address, tmp_path_factory.mktemp("stranger"), "")) as client:
        yield client


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory) -> Path:
    """The folder of a checkpoint as training and evaluation leave it."""
    recipe = {"epsilon": 0.5, "attack_steps": 1, "attack_step_size": 0.5, "attack_start": 0, "batch_size": 16}
    recipe |= {"learning_rate": 0.1, "schedule": "onecycle", "weight_decay": 0, "ema": 0, "padding": 2}
    info = {"name": "tiny", "data": "toy", "recipe": recipe, "epochs": 1, "minutes": 1, "machine": "a test"}
    folder, model = tmp_path_factory.mktemp("evaluated") / "tiny", make_model(info=info)
    model.start_tensors = make_start()
    checkpoint.save(folder, model)
    accuracy = {"clean": {"value": 0.5, "count": 4, "interval": [0.1, 0.9], "command": "python"}}
    runs = {"python": {"minutes": 1, "machine": "a test", "version": "0"}}
    checkpoint.add(folder, evaluation={"checkpoint": "tiny", "runs": runs, "accuracy": accuracy})
    return folder


@pytest.fixture(scope="module")
def published(owner, evaluated) -> tuple[str, list[float], str]:
    """The name under which the evaluated checkpoint is on the Hub, its weights, and its revision."""
    printed = owner.publish(evaluated, "--repo", "owner/tiny", "--revision-tag", "v1")["printed"]
    return "owner/tiny", hub.load(evaluated).head.weight.flatten().tolist(), printed.split()[-1]
