"""Figures of generated pictures: reproducible, blind to the number of processes, and they see copies."""

import json
import math
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

import synth
from synth.classifier import Classifier
from tests.conftest import CLASSES, make_model, make_start
from tests.toys import fork
from training import intervals, sampling
from training.data import Pictures
from training.evaluation.restoration import Restoration
from training.evaluation.samples import SampleQuality, nearest
from training.judge import Reference, judge_accuracy, judge_samples, outputs

SHORT = {"steps": 2, "epsilon": 2}


def make_judge(**more) -> Classifier:
    """A classifier of the tiny model's classes with other weights."""
    settings = {"classes": CLASSES, "width": 0.125, "info": {"name": "judge"}} | more
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Classifier(**settings).eval()


def make_pictures(count: int, seed: int = 0, classes: list[str] = CLASSES) -> Pictures:
    """Noise, its brightness that of its class."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % len(classes)
    levels = torch.randint(0, 128, (count, 3, 32, 32), generator=random) + 30 * labels[:, None, None, None]
    return Pictures(levels.clamp(0, 255).byte(), labels, classes, [])


@pytest.fixture
def accelerator():
    return Accelerator(cpu=True)


@pytest.fixture(scope="module")
def judge():
    return make_judge()


def close(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equal up to what another batch size may round."""
    return bool(((a.int() - b.int()).abs() <= 1).all())


def test_samples_are_balanced_and_depend_on_class_and_seed_alone(model, accelerator):
    samples = sampling.generate(model, 10, accelerator=accelerator, batch=50, **SHORT)
    assert samples.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 3, 3] and samples.pictures.dtype == torch.uint8
    other = sampling.generate(model, 10, accelerator=accelerator, batch=2, **SHORT)
    assert close(samples.pictures, other.pictures) and torch.equal(samples.starts, other.starts)
    alone = synth.generation(model, class_name=1, count=1, seed=2, **SHORT)
    assert close(samples.pictures[5:6], sampling.to_bytes(alone.pictures))
    assert torch.equal(samples.starts[5:6], sampling.to_bytes(alone.start))
    assert not torch.equal(samples.pictures, samples.starts) and samples.seconds > 0


def test_a_random_part_of_the_pictures_is_balanced():
    data = make_pictures(41)
    part = sampling.balanced(data, 10)
    assert sorted(part.labels.bincount().tolist()) == [2, 2, 3, 3]
    assert len(part.pictures.flatten(1).unique(dim=0)) == 10
    assert sampling.balanced(data, 41) is data


def test_distances_agree_with_brute_force_and_see_copies():
    among = torch.randint(0, 256, (50, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    x = torch.randint(0, 256, (9, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    x[3] = among[40]
    expected = [min(math.dist(row, other) for other in among.tolist()) for row in x.tolist()]
    assert nearest(x, among, chunk=7).tolist() == pytest.approx(expected)
    assert nearest(x, among)[3] == 0


def test_a_set_is_at_no_distance_from_itself(judge):
    data, other = make_pictures(60), make_pictures(60, seed=1).pictures // 2
    reference = Reference(judge, data.pictures)
    same = judge_samples(data.pictures, data.labels, reference)
    assert same["fid"] == pytest.approx(0, abs=1e-3) and same["precision"] == same["recall"] == 1
    far = judge_samples(other, data.labels, reference)
    assert far["fid"] > 100 * abs(same["fid"]) and far["kid"]["mean"] > same["kid"]["mean"]


def test_fid_is_the_frechet_distance_of_the_judges_features(judge):
    a, b = make_pictures(80), make_pictures(90, seed=1).pictures // 2
    statistics = [fid_features_to_statistics(outputs(judge, x)[0].double()) for x in (a.pictures, b)]
    expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert judge_samples(a.pictures, a.labels, Reference(judge, b))["fid"] == pytest.approx(expected, rel=5e-3)


def test_the_bundled_judge_knows_pictures_from_noise():
    names = synth.hub.bundled()
    robust, standard = (synth.load(next(name for name in names if name.endswith(end))) for end in ("l2", "standard"))
    files = [synth.hub.folder(robust.source) / "examples" / f"{name}.png" for name in standard.classes]
    pictures = torch.stack([torch.from_numpy(np.array(Image.open(file).convert("RGB"))) for file in files])
    labels = torch.arange(len(files))
    noise = torch.randint(0, 256, (10, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    seen, blind = (
        judge_accuracy(outputs(standard, x)[1], labels)["value"]
        for x in (pictures.permute(0, 3, 1, 2).contiguous(), noise)
    )
    assert seen >= 0.7 and blind <= 0.3


def test_the_report_sets_samples_beside_starts_and_real_pictures(model, judge, accelerator, monkeypatch):
    def unreachable(*_, **__):
        raise URLError("no network")

    monkeypatch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", unreachable)
    train = make_pictures(40)
    test = train.subset(torch.arange(9))
    larger = make_judge(image_size=48, info={"name": "larger"})
    common = {"judge": judge, "also": [larger], "count": 12, "accelerator": accelerator}
    report = SampleQuality().measure(model, train, test, **common, **SHORT)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["settings"]["steps"] == 2 and "seed" not in report["settings"]
    assert "inception" not in report and "no network" in report["absent"]["inception"]
    assert report["judge"]["extractor"] == "judge judge" and report["also"][0]["extractor"] == "judge larger"
    assert report["also"][0]["samples"] != report["judge"]["samples"]
    assert "In the features of judge larger:" in SampleQuality().card_section(report)
    for name, count in {"samples": 12, "starts": 12, "test pictures": 9}.items():
        figures = report["judge"][name]
        assert figures["judge_accuracy"]["count"] == count and 0 <= figures["precision"] <= 1
    # These test pictures are copies of training pictures; the samples are not.
    for group in (report["judge"], report["pixels"]):
        assert group["test pictures"]["nearest_train"] == 0 < group["samples"]["nearest_train"]


@pytest.mark.parametrize(
    "change, words",
    [
        ({"judge": make_model(info={"name": "renamed"})}, "judge: expected another classifier"),
        ({"judge": make_judge(classes=["a", "b"])}, "judge: expected the classes"),
        ({"judge": make_judge(image_size=16)}, "judge: expected one of at least 32"),
        ({"also": [make_judge(image_size=16)]}, "judge: expected one of at least 32"),
        ({"train": make_pictures(20, classes=["a", "b"])}, "data: expected the classes"),
        ({"test": make_pictures(5)}, "data: expected at least 8"),
        ({"count": 7}, "count: expected at least 8"),
        ({"batch": 65}, "batch: expected 1 to 64"),
        ({"epsilon": -1}, "epsilon: expected"),
    ],
)
def test_what_does_not_fit_is_refused_with_one_sentence(model, judge, accelerator, change, words):
    arguments = {"judge": judge, "train": make_pictures(20), "test": make_pictures(20), "count": 8} | change
    with pytest.raises(ValueError, match=f"^{words}"):
        SampleQuality().measure(model, accelerator=accelerator, **arguments)


def test_the_intervals_are_wilsons_and_the_normal_one():
    assert intervals.proportion(8, 10) == {"value": 0.8, "count": 10, "interval": [0.4902, 0.9433]}
    assert intervals.mean([1, 2, 3, 4]) == {"value": 2.5, "count": 4, "interval": [1.2348, 3.7652]}
    assert intervals.mean([3])["interval"] is None


def both(accelerator: Accelerator) -> list[dict]:
    """Small reports on samples and restorations, without what depends on the clock."""
    tiny, train, test = make_model(), make_pictures(24), make_pictures(10, seed=1)
    tiny.start_tensors = make_start()
    tiny.presets = {name: {"tuned": SHORT} for name in ("generation", "super_resolution", "inpainting")}
    common = {"judge": make_judge(), "count": 10, "accelerator": accelerator}
    generated = SampleQuality().measure(tiny, train, test, **common, batch=2, inception=False)
    restored = Restoration().measure(tiny, test, **common, batch=1, lpips=False)
    for report in (generated, *restored["super_resolution"].values(), restored["inpainting"]):
        assert report.pop("seconds_per_picture") > 0
    return [generated, restored]


def write_reports(arguments: list[str]) -> None:
    accelerator = Accelerator(cpu=True)
    assert accelerator.num_processes == 2
    Path(arguments[0], f"{accelerator.process_index}.json").write_text(json.dumps(both(accelerator)))


def test_two_processes_find_the_same_figures(accelerator, tmp_path):
    fork("tests.test_samples:write_reports", str(tmp_path))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        expected = json.loads(json.dumps(both(accelerator)))
    finally:
        torch.set_num_threads(threads)
    for process in range(2):
        assert json.loads((tmp_path / f"{process}.json").read_text()) == expected
