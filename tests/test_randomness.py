"""Random numbers depend on the seed alone."""

import torch

from synth.randomness import Generators, draw


def test_picture_i_draws_what_seed_plus_i_draws_alone():
    batch, alone = Generators(7), Generators(9)
    like = torch.empty(4, 3, 5, dtype=torch.float64)
    for distribution in (torch.randn, torch.rand):
        together = draw(like, batch, distribution)
        assert together.shape == like.shape and together.dtype == like.dtype
        assert torch.equal(together[2:3], draw(like[:1], alone, distribution))
        assert together.unique().numel() == together.numel()


def test_global_state_is_left_alone():
    state = torch.get_rng_state()
    draw(torch.empty(2, 3), Generators(0))
    draw(torch.empty(2, 3), torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), state)
