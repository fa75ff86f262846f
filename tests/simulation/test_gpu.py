"""A GPU computes what a CPU does."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from cortexsim import devices
from cortexsim.simulation import Record, simulate

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here"),
]


def test_scores_are_those_of_the_cpu(network, protocol, pictures, tmp_path):
    on_cpu, on_gpu, again = (
        simulate(copy.deepcopy(network), protocol, pictures(5), device=device, seed=5,
                 record=Record(reduce="none"), out=tmp_path / f"{n}.zarr")
        for n, device in enumerate(("cpu", "cuda", torch.device("cuda", 0)))
    )
    assert on_gpu.attrs["device"] == "cuda"
    for path in ("scores", "V1/activation", "V2/activation", "IT/activation"):
        np.testing.assert_allclose(on_gpu[path], on_cpu[path], rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(again[path], on_gpu[path])  # the same bits each time


def test_float32_is_float32_inside_and_as_it_was_outside():
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32
    products.allow_tf32 = True
    try:
        with devices.exact(torch.device("cuda")):
            assert not products.allow_tf32 and not convolutions.allow_tf32
            assert convolutions.deterministic and not convolutions.benchmark
        assert products.allow_tf32 and convolutions.allow_tf32 == before[1]
    finally:
        products.allow_tf32 = before[0]
