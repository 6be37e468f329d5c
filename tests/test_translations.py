"""Translation measured: what the judge sees, how far pictures moved and where, on a model whose answers are known."""

import pytest
import torch
from accelerate import Accelerator

from synth.classifier import Classifier
from training.data import Pictures
from training.evaluation.translation import TranslationQuality


class Brightness(Classifier):
    """Reads dark pictures as the first class and light ones as the second, by the mean alone."""

    def __init__(self, name: str, scale: float = 1):
        pairs = [("dark", "light"), ("light", "dark")]
        super().__init__(width=0.125, classes=["dark", "light"], pairs=pairs, info={"name": name})
        self.scale = scale
        torch.nn.init.constant_(self.head.weight, scale)

    def representation(self, x, *, identity_gradient=False):
        return x.mean((1, 2, 3))[:, None].expand(-1, self.head.in_features)

    def forward(self, x):
        return self.head(self.representation(x))

    @property
    def head(self):
        return _head(self)

    def inference_copy(self):
        return self.eval().requires_grad_(False)


def _head(model):
    layer = model.backbone.fc
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[-1.0], [1.0]]).expand_as(layer.weight))
        layer.bias.copy_(torch.tensor([0.5, -0.5]) * layer.in_features)
    return layer


@pytest.fixture
def data():
    levels = torch.tensor([107, 110, 145, 150], dtype=torch.uint8)
    return Pictures(
        levels.view(-1, 1, 1, 1).expand(-1, 3, 32, 32).clone(), torch.tensor([0, 0, 1, 1]), ["dark", "light"], []
    )


def test_known_pictures_give_known_figures(data):
    accelerator = Accelerator(cpu=True)
    report = TranslationQuality().measure(
        Brightness("tried"), data, judge=Brightness("judge"), accelerator=accelerator, count=2
    )
    assert report["count"] == 4 and set(report["pairs"]) == {"dark to light", "light to dark"}
    every = report["all"]
    assert every["source_before"]["value"] == every["target_after"]["value"] == 1
    # Flat pictures move evenly, by the whole radius: everywhere by epsilon / sqrt(3 * 32 * 32).
    assert every["distance"]["value"] == pytest.approx(6, abs=1e-3)
    with pytest.raises(ValueError, match="^preset: expected one of"):
        TranslationQuality().measure(
            Brightness("tried"), data, judge=Brightness("judge"), accelerator=accelerator, count=2, preset="bold"
        )
    for name in ("layout", "border", "centre"):
        assert every[name]["value"] == pytest.approx(6 / 3072**0.5, rel=0.02)


@pytest.mark.parametrize("pairs, words", [([("dark", "wolf")], "got 'wolf'"), ([("wolf", "dark")], "of the data")])
def test_unknown_classes_are_refused(data, pairs, words):
    with pytest.raises(ValueError, match=words):
        TranslationQuality().measure(
            Brightness("a"), data, judge=Brightness("b"), pairs=pairs, accelerator=Accelerator(cpu=True)
        )
