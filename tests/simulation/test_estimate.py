"""A dry run says what a run takes."""

from __future__ import annotations

import pytest

from cortexsim.errors import SimulationError
from cortexsim.simulation import Record, estimate, simulate


def test_estimate_counts_what_a_run_writes(network, protocol, pictures, tmp_path):
    options = {"record": Record(reduce="none"), "trials": 40, "seed": 1}
    guess = estimate(network, protocol, pictures(20), **options)
    assert (guess.trials, guess.stimuli, guess.conditions, guess.steps) == (40, 10, 4, 6)
    assert guess.seconds > 0 and guess.peak_memory_bytes > guess.bytes_on_disk
    tree = simulate(network, protocol, pictures(20), out=tmp_path / "x.zarr", **options)
    arrays = [tree[area][name] for area in tree.children for name in tree[area].data_vars]
    held = sum(array.nbytes for array in arrays) + tree["scores"].nbytes
    assert held <= guess.bytes_on_disk <= 1.3 * held
    on_disk = sum(f.stat().st_size for f in (tmp_path / "x.zarr").rglob("c/**/*") if f.is_file())
    assert on_disk < guess.bytes_on_disk


def test_estimate_refuses_what_a_run_refuses(network, protocol, pictures):
    with pytest.raises(SimulationError, match="unknown area"):
        estimate(network, protocol, pictures(2), record=Record(areas=("v1",)))
