"""Making a picture darker."""

from synth.constraints import L2
from synth.objectives import Objective
from synth.parameters import Picture
from synth.tasks.synthesis import Problem, Synthesis, optimisation


class Darkening(Synthesis):
    """Make a picture darker, step by step.

    A toy for the tests.
    """

    name = "darkening"
    title = "Darken"
    order = 99
    equation = r"x = \arg\min_{\|x' - x_0\|_2 \le \varepsilon} \bar x'"
    parameters = {"picture": Picture(help="The picture to darken."), **optimisation(epsilon=4, steps=5, step_size=1)}

    def problem(self, model, p, generators):
        return Problem(Objective(lambda x: x.flatten(1).mean(1)), p.picture, L2(p.epsilon))
