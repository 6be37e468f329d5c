"""How bright the test pictures are."""

from training.evaluation.base import Measure


class Brightness(Measure):
    name = "brightness"
    order = 99
    help = "mean of the test pictures"
    count = 10

    def measure(self, model, data, *, count, accelerator, **options):
        """{"mean"}: of the first ``count`` pictures of ``data``."""
        return {"mean": round(data[:count][0].mean().item(), 4)}

    def card_section(self, figures):
        return ["### Brightness", f"The test pictures have a mean of {figures['mean']}."]
