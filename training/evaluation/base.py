"""What a measure is: figures of a checkpoint for evaluation.json, and their text on its model card."""

from __future__ import annotations

from abc import ABC, abstractmethod

from accelerate import Accelerator

from synth.classifier import Classifier
from training.data import Pictures

EPSILON = {
    "--epsilon": {
        "type": float,
        "nargs": "+",
        "help": "L2 radii of the attacks (default: 0.25, 0.5 and 1 for 32 pixels, in proportion for other sizes)",
    }
}
JUDGE = {
    "--judge": {
        "help": "another classifier that judges the pictures (default: the bundled one that fits; none: no judge)"
    }
}


class Section(ABC):
    """A part of evaluation.json, and its section of the model card.

    name: of the section, unique; order: of the sections on the card.
    key: where evaluation.json holds the figures, the name unless declared.
    accumulates: whether each figure keeps the command that measured it, beside figures of other runs.
    """

    name: str
    order: int
    key: str = ""
    accumulates = False

    def __init__(self):
        self.key = self.key or self.name

    @abstractmethod
    def card_section(self, figures: dict) -> list[str]:
        """The paragraphs and tables of the card, none if ``figures`` holds nothing of this section."""


class Measure(Section):
    """A section that ``python -m training.evaluate CHECKPOINT --measure NAME`` measures.

    help: what it measures. count: the default number of pictures, None for all.
    options: argparse's arguments of the measure's own options, by flag; ``measure`` gets their values by name.
    splits: of the data set, in the order in which ``measure`` takes them.
    """

    help: str
    count: int | None
    options: dict[str, dict] = {}
    splits: tuple[str, ...] = ("test",)

    @abstractmethod
    def measure(
        self, model: Classifier, *data: Pictures, count: int | None, accelerator: Accelerator, **options
    ) -> dict:
        """The figures as plain values for JSON, the same on every process.

        The option "judge" arrives as a loaded classifier. ValueError for arguments that do not fit.
        """


def reason(name: str, why: str) -> str:
    """The sentence of a card that says why the figure ``name`` is missing."""
    return f"{name} was not measured: {' '.join(why.split())}."
