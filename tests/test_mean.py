"""The mean of two trainings."""

import pytest
import torch

from synth import checkpoint, hub
from training.mean import main, mean


@pytest.fixture
def pair(checkpoints, tmp_path):
    """Folders of a checkpoint and of the same trained on."""
    folder = checkpoints / "tiny"
    other = hub.load(folder)
    with torch.no_grad():
        for value in other.parameters():
            value += 0.01 * torch.randn_like(value)
    checkpoint.save(tmp_path / "on", other)
    return folder, tmp_path / "on"


def test_the_mean_lies_between_and_its_ends_are_the_two(pair, tmp_path):
    begin, end = (hub.load(folder).state_dict() for folder in pair)
    for share in (0, 0.25, 1):
        made = mean(*map(hub.load, pair), share).state_dict()
        for name, value in made.items():
            expected = (1 - share) * begin[name].double() + share * end[name].double()
            assert torch.allclose(value.double(), expected, atol=1e-6), name
    main([*map(str, pair), "--share", "0.25", "--output", str(tmp_path / "mean")])
    made = hub.load(tmp_path / "mean")
    assert made.starts == hub.load(pair[1]).starts and not made.decoders


def test_what_has_no_mean_is_refused(pair, tmp_path, capsys):
    first, second = map(hub.load, pair)
    with pytest.raises(ValueError, match="^share: expected 0 to 1, got 2$"):
        mean(first, second, 2)
    second.classes = second.classes[::-1]
    with pytest.raises(ValueError, match="^second: expected the network and classes of"):
        mean(first, second, 0.5)
    with pytest.raises(SystemExit):
        main([*map(str, pair), "--share", "-1", "--output", str(tmp_path / "none")])
    assert "share: expected 0 to 1, got -1" in capsys.readouterr().err and not (tmp_path / "none").exists()
