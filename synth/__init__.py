"""Make, repair and transform pictures with one adversarially robust classifier.

import synth
model = synth.load("tiny64-resnet18-slim-l2")
synth.generation(model, class_name="lion", count=8, seed=0).save("lions.png")
"""

from synth.classifier import Classifier
from synth.hub import load
from synth.tasks import TASKS, Frame, Task
from synth.version import VERSION as __version__

globals().update(TASKS)
__all__ = ["TASKS", "Frame", "Classifier", "Task", "__version__", "load", *TASKS]
