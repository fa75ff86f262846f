"""What training computes in another way than simulation, because it is faster."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cortexsim.graph import AreaGraph, PreNet
from cortexsim.models import Network, engine, narrow, strided, transitions


@settings(max_examples=60, deadline=None)
@given(kernel=st.sampled_from([1, 3, 5]), stride=st.tuples(st.integers(1, 8), st.integers(1, 8)),
       height=st.integers(1, 20), width=st.integers(1, 20), deconvolution=st.booleans())
def test_large_strides_equal_torch(kernel, stride, height, width, deconvolution):
    small = tuple(-(-n // k) for n, k in zip((height, width), stride, strict=True))
    assume(small != (height, width))
    ends = [(height, width), small]
    size, channels = (ends[0], 4) if deconvolution else (ends[1], 3)
    torch.manual_seed(0)
    weight = torch.randn(4, 3, kernel, kernel, dtype=torch.float64, requires_grad=True)
    x = torch.randn(2, channels, *ends[deconvolution], dtype=torch.float64, requires_grad=True)
    values = [apply(x, weight, stride, size) for apply in (transitions.resample, strided.resample)]
    for value in values:
        assert value.shape[2:] == size
    torch.testing.assert_close(*values)
    direction = torch.randn_like(values[0])
    torch.testing.assert_close(*(torch.autograd.grad(value, (x, weight), direction)
                                 for value in values))


@settings(max_examples=40, deadline=None)
@given(batch=st.integers(1, 6), channels=st.integers(1, 41), height=st.integers(1, 9),
       width=st.integers(1, 9), learned=st.booleans(), far=st.sampled_from([0, 1000]))
def test_few_channels_are_normalized_as_by_torch(batch, channels, height, width, learned, far):
    assume(batch * height * width > 1)  # torch refuses a single number
    random = torch.Generator().manual_seed(0)
    shape = (batch, channels, height, width)
    x = torch.randn(shape, generator=random, dtype=torch.float64) + far
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    inputs = [x]
    if learned:
        inputs += [torch.randn(channels, generator=random, dtype=torch.float64,
                               requires_grad=True) for _ in "ab"]
    weight, bias = inputs[1:] or (None, None)
    values = [torch.nn.functional.batch_norm(x, None, None, weight, bias, training=True),
              narrow.batch_norm(x, weight, bias, 1e-5)]
    torch.testing.assert_close(*values)
    direction = torch.randn(shape, generator=random, dtype=torch.float64)
    for one, other in zip(*(torch.autograd.grad(value, inputs, direction) for value in values),
                          strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)
    values[1].relu_()  # as the engine does it


def test_pixels_are_taken_together_where_it_helps():
    def count(channels: int, size: int) -> int:
        x = torch.zeros(2, channels, size, size)
        return narrow.together(x.contiguous(memory_format=torch.channels_last))

    assert [count(n, 8) for n in (8, 12, 24, 40)] == [4, 8, 4, 4]
    assert [count(n, 8) for n in (16, 32, 64, 76)] == [1, 1, 1, 1]
    assert count(8, 1) == 2 and narrow.together(torch.zeros(2, 8, 8, 8)) == 1


def gradients(network: Network) -> list[torch.Tensor]:
    network.zero_grad()
    images = torch.randn(3, *network.graph.image, generator=torch.Generator().manual_seed(0),
                         dtype=torch.float64)
    scores = network.scores(images, network.graph.readout_times(4))
    torch.stack(list(scores.values())).square().sum().backward()
    return [*scores.values(), *(p.grad for p in network.parameters() if p.grad is not None)]


@pytest.mark.parametrize("fast", ["strides", "separate"])
def test_training_is_the_same_by_either_way(fast, monkeypatch):
    graph = AreaGraph.chain(["A", "B", "C"], "full", channels=[2, 3, 4], sizes=[16, 8, 2],
                            readout_time=4, pre_net=PreNet(1), image=(3, 16, 16))
    network = Network(graph, seed=1).double().train()
    calls = []
    for name in ("_gather", "_spread"):
        original = getattr(strided, name)
        monkeypatch.setattr(strided, name, lambda *args, name=name, original=original: (
            calls.append(name), original(*args))[1])
    found = gradients(network)
    assert set(calls) == {"_gather", "_spread"}
    if fast == "strides":
        monkeypatch.setattr(strided, "resample", transitions.resample)
    else:
        monkeypatch.setattr(engine, "LARGE", 0)
    torch.testing.assert_close(gradients(network), found)
