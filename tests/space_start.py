"""Starts the app of a Space's files, which PYTHONPATH names, and prints the checkpoint that it opens with."""

from synth.web.checkpoints import first_checkpoint, load
from synth.web.page import build

page = build()
print(first_checkpoint(), load(first_checkpoint()).name)
page.close()
