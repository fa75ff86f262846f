"""Noise added to activity: its size, its independence, and that it is the same again."""

from __future__ import annotations

import torch

from .test_interventions import ON, WHOLE, do, of
from .test_tree import computed, condition, planned


def test_noise_has_the_size_it_says_and_is_independent(network, pictures):
    shown = [condition("none", ON), condition("some", ON, interventions=(
        do("noise", "all", 0.3), do("noise", "V1", 0.4)))]
    plan = planned(network, shown, pictures(60), WHOLE, microbatch=60)
    found = computed(plan)
    x, noisy = of(found, "none", "V1")[0], of(found, "some", "V1")[0]
    rms = x.square().mean((1, 2, 3), keepdim=True).sqrt()
    draws = ((noisy - x) / rms / 0.5).flatten(1)  # variances add: 0.3, 0.4, 0.5
    count = draws.numel()
    assert abs(draws.mean()) < 4 / count**0.5 and abs(draws.std() - 1) < 4 / (2 * count) ** 0.5
    assert abs(draws.pow(4).mean() - 3) < 4 * (96 / count) ** 0.5
    among = torch.corrcoef(draws) - torch.eye(60)
    assert among.abs().max() < 5 / draws.shape[1] ** 0.5
    # at the next index it is drawn anew
    later = of(found, "some", "V1")[1] - of(found, "none", "V1")[1]
    both = torch.corrcoef(torch.stack([later.flatten(), (noisy - x).flatten()]))
    assert both[0, 1] < 0.9


def test_levels_of_noise_are_the_same_draws_and_repeats_others(network, pictures):
    shown = [condition("none", ON), *(
        condition(f"{sd} {repeat}", ON, interventions=(do("noise", "V1", sd, 0, 1),),
                  repeat=repeat) for sd in (0.1, 0.2) for repeat in (1, 2))]
    found = computed(planned(network, shown, pictures(3), WHOLE))
    noise = {name: of(found, name, "V1")[0] - of(found, "none", "V1")[0]
             for name in ("0.1 1", "0.2 1", "0.1 2")}
    torch.testing.assert_close(2 * noise["0.1 1"], noise["0.2 1"], rtol=1e-3, atol=1e-5)
    assert not torch.allclose(noise["0.1 1"], noise["0.1 2"], rtol=0.5)
    other = computed(planned(network, shown, pictures(3), WHOLE, seed=1))
    assert not torch.equal(of(other, "0.1 1", "V1")[0], of(found, "0.1 1", "V1")[0])
