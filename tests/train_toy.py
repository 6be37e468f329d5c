"""``python -m tests.train_toy OPTIONS``: ``training.train`` of a toy recipe."""

import sys

from training import train
from training.config import TrainConfig
from training.recipes import RECIPES

TOY = TrainConfig(
    "toy", width=0.125, epochs=2, batch_size=16, attack_steps=1, attack_step_size=0.5, attack_start=0.5, ema=0.9
)

if __name__ == "__main__":
    RECIPES["toy"] = TOY
    train.main(["toy", *sys.argv[1:]])
