"""Several processes that train one network: what one process would compute, and real ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cortexsim import job, processes
from cortexsim.errors import SimulationError
from cortexsim.graph import AreaGraph, Normalization, PreNet
from cortexsim.models import Network, calibrate, narrow
from cortexsim.models.frames import Brief
from cortexsim.processes import ALONE, Processes
from cortexsim.stimuli.datasets import Dataset
from cortexsim.stimuli.sequences import SequenceTask
from cortexsim.training import evaluate, recipes
from cortexsim.training.batches import Augmentation, TrainingImages, exposed, generator
from cortexsim.training.learning import Learner

from .jobs import started

#: Rows of a batch: three processes have 3, 3 and 4 of them.
ROWS = 10
GRAPH = AreaGraph.chain(["A", "B", "C"], "full", channels=[3, 4, 16], sizes=[8, 4, 2],
                        image=(1, 8, 8), gain=0.5, readout_time=3, pre_net=PreNet(3, 4))


def together(folder: Path, count: int, function: Callable[..., object],
             *arguments: object) -> list[dict[str, Tensor]]:
    """Call a function in several processes; return what each one's call returns."""
    with started(folder, count, _call, folder, function, arguments) as members:
        statuses = [member.join() for member in members]
    assert statuses == [0] * count, [member.stderr for member in members]
    return [torch.load(folder / f"found{rank}.pt") for rank in range(count)]


def _call(folder: Path, function: Callable[..., object], arguments: tuple[object, ...]) -> None:
    with job.running() as mine:
        torch.save(function(mine, *arguments), folder / f"found{mine.rank}.pt")


# --- training


@dataclass(frozen=True)
class Case:
    """A way to train."""

    graph: AreaGraph = GRAPH
    shown: str = "image"
    dtype: torch.dtype = torch.float64
    steps: int = 4
    recipe: str = "fast"
    device: str = "cpu"
    precision: str = "float32"


CASES = {
    "shared": Case(),
    "per-step": Case(replace(GRAPH, weights="per-step"), recipe="paper"),
    "onset": Case(replace(GRAPH, input="onset", readout_time=4)),
    "scale-shift": Case(replace(GRAPH, normalization=Normalization(scale_shift="shared"))),
    "time-specific": Case(replace(GRAPH, normalization=Normalization(
        statistics="shared", scale_shift="time-specific"))),
    "brief": Case(shown="brief"),
    "sequence": Case(shown="sequence"),
}


def learn(mine: Processes, cases: dict[str, Case]) -> dict[str, Tensor]:
    """Train, calibrate and evaluate; return all numbers that come of it."""
    return {f"{name} {key}": value for name, case in cases.items()
            for key, value in _learn(mine, case).items()}


def _learn(mine: Processes, case: Case) -> dict[str, Tensor]:
    task = SequenceTask(3, 2, "previous") if case.shown == "sequence" else None
    graph = replace(case.graph, readout_time=task.end) if task else case.graph
    device = torch.device(mine.device(case.device))
    network = Network(graph, seed=1).to(device, case.dtype).to(memory_format=torch.channels_last)
    network.processes = mine
    learner = Learner(network.train(), recipes.get(case.recipe), precision=case.precision)
    own, found = mine.share(ROWS), {}
    times = task.times() if task else [graph.readout_time - 1, graph.readout_time]
    for step in range(case.steps):
        random = generator("test", step)
        pictures = torch.randn(3, ROWS, *graph.image, generator=random, dtype=case.dtype)
        labels = torch.randint(10, (3, ROWS), generator=random).to(device)
        parts = [x[own].to(device).contiguous(memory_format=torch.channels_last) for x in pictures]
        frames = parts[0]
        if task:
            frames = task.frames(parts, graph.input, times[-1])
        if case.shown == "brief":
            frames = exposed(parts[0], 0.5, 3, random, batch=ROWS, rows=own)
        asked = {t: labels[task.asked(t) if task else 0][own] for t in times}
        found[f"loss {step}"] = torch.tensor(mine.totals(*learner.step(frames, asked, 0.05, ROWS)))
    found |= {f"momentum {name}": value for name, value in learner.momentum().items()}
    found |= {name: p.detach().clone() for name, p in network.named_parameters()}
    found |= {f"no gradient {name}": torch.tensor(p.grad is None)
              for name, p in network.named_parameters()}
    whole = (task.frames(list(pictures), graph.input, 5) if task
             else Brief(pictures[0], torch.arange(ROWS) + 1) if case.shown == "brief"
             else pictures[0])
    assert calibrate(network, whole, graph.readout_time, batch=3) == graph.readout_time
    found |= {name: value.clone() for name, value in network.named_buffers()}
    values = np.random.default_rng(0).integers(0, 256, (ROWS, *graph.image), np.uint8)
    images = Dataset(values, np.arange(ROWS), [str(i) for i in range(ROWS)], tuple("0123456789"),
                     "noise", "test")
    accuracy = evaluate(network.float(), images, times, task=task, batch=3)
    found |= {f"accuracy {t}": torch.tensor(value) for t, value in accuracy.items()}
    return {key: value.cpu() for key, value in found.items()}


def same(found: list[dict[str, Tensor]], alone: dict[str, Tensor], most: float) -> None:
    """Compare each process's numbers with those of one process, relative to the largest."""
    for each in found:
        assert each.keys() == alone.keys()
        for key, value in alone.items():
            expected = value.double().nan_to_num()
            difference = (each[key].double().nan_to_num() - expected).abs().max()
            assert difference <= most * expected.abs().max().clamp_min(1), (key, difference)


def test_two_processes_learn_what_one_does(tmp_path):
    cases = {name: CASES[name] for name in ("shared", "per-step", "brief")}
    alone = learn(ALONE, cases)
    # weights of steps that no readout reaches have no gradient, and do not decay
    unused = [key for key, value in alone.items() if "no gradient" in key and value]
    assert any(key.startswith("per-step") for key in unused)
    same(together(tmp_path, 2, learn, cases), alone, 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("name", CASES)
def test_fifty_steps_in_float64(name, count, tmp_path):
    cases = {name: replace(CASES[name], steps=50)}
    same(together(tmp_path, count, learn, cases), learn(ALONE, cases), 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
def test_two_steps_in_float32(count, tmp_path):
    cases = {name: replace(case, steps=2, dtype=torch.float32) for name, case in CASES.items()}
    same(together(tmp_path, count, learn, cases), learn(ALONE, cases), 1e-5)


@pytest.mark.slow
def test_bf16_is_as_far_from_one_process_as_it_is_from_float32(tmp_path):
    exact = {name: replace(case, steps=2, dtype=torch.float32) for name, case in CASES.items()}
    cases = {name: replace(case, precision="bf16") for name, case in exact.items()}
    float32, bf16, two = (
        torch.cat([value.flatten() for key, value in found.items() if "momentum" in key])
        for found in (learn(ALONE, exact), learn(ALONE, cases),
                      together(tmp_path, 2, learn, cases)[0]))
    assert (two - bf16).norm() < 1.5 * (bf16 - float32).norm() < 0.4 * float32.norm()


# --- the parts of which it is made


def normalized(mine: Processes) -> dict[str, Tensor]:
    """Normalize rows of whole batches, and go back; return this process's rows and sums."""
    found = {}
    for kind in ("few channels", "many channels", "channels outermost", "one pixel", "float32"):
        shape = {"many channels": (7, 64, 3, 2), "one pixel": (2, 5, 1, 1)}.get(kind, (7, 5, 4, 6))
        dtype = torch.float32 if kind == "float32" else torch.float64
        random = generator("test", kind)
        x, direction = torch.randn(2, *shape, generator=random, dtype=torch.float64)
        # far from 0, where a variance as a difference of squares loses its digits
        x, direction = (100 + x).to(dtype), direction.to(dtype)
        weight, bias = torch.randn(2, shape[1], generator=random, dtype=torch.float64).to(dtype)
        own = mine.share(len(x))
        rows = x[own]
        if kind != "channels outermost":
            rows = rows.contiguous(memory_format=torch.channels_last)
        for learned in (False, True):
            inputs = [x.detach().requires_grad_() for x in (rows, weight, bias)[:1 + 2 * learned]]
            y = narrow.batch_norm(inputs[0], *(inputs[1:] or (None, None)), 1e-5, mine)
            gradients = torch.autograd.grad(y, inputs, direction[own])
            key = f"{kind} {'learned' if learned else 'alone'}"
            found |= {f"{key} rows {i}": value.detach() for i, value in enumerate((
                y, gradients[0]))}
            found |= {f"{key} sum {i}": value for i, value in enumerate(gradients[1:])}
    return found


def test_rows_of_several_processes_are_normalized_as_one_batch(tmp_path):
    """As torch normalizes the whole batch; 7 rows in parts of 3 and 4, or 2 of one each."""
    parts = together(tmp_path, 2, normalized)
    alone = normalized(ALONE)
    assert any("sum" in key for key in alone)
    for key, expected in alone.items():
        found = [part[key] for part in parts]
        value = torch.cat(found) if "rows" in key else sum(found)
        most = 1e-4 if key.startswith("float32") else 1e-9
        torch.testing.assert_close(value, expected, rtol=most, atol=most)


def test_the_gradient_of_a_normalization():
    x = 3 + torch.randn(3, 2, 2, 2, dtype=torch.float64, generator=generator("test"))
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    learned = [torch.rand(2, dtype=torch.float64, requires_grad=True) for _ in "ab"]
    for count in (1, 4):  # pixels that are taken together
        torch.autograd.gradcheck(
            lambda *inputs, count=count: narrow._BatchNorm.apply(*inputs, count, 1e-5, ALONE),
            (x, *learned))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("last", [True, False])
def test_a_gpu_normalizes_as_torch_does(last, dtype):
    x, direction = torch.randn(2, 6, 12, 5, 7, generator=generator("test")).to("cuda", dtype)
    # a part of the channels, as of a wider convolution
    form = torch.channels_last if last else torch.contiguous_format
    x = x.contiguous(memory_format=form)[:, 2:10].requires_grad_()
    learned = [torch.randn(8, generator=generator(name)).to(
        "cuda", torch.promote_types(dtype, torch.float32)).requires_grad_() for name in "ab"]
    for inputs in ([x], [x, *learned]):
        values = [torch.nn.functional.batch_norm(x, None, None, *inputs[1:], training=True)]
        values.append(narrow._BatchNorm.apply(x, *(inputs[1:] or (None, None)), 1, 1e-5, ALONE))
        most = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 5e-2}[dtype]
        torch.testing.assert_close(*values, rtol=most, atol=most)
        for one, other in zip(*(torch.autograd.grad(value, inputs, direction[:, :8])
                                for value in values), strict=True):
            torch.testing.assert_close(one, other, rtol=most, atol=10 * most)


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there are no two CUDA devices here")
def test_two_gpus_learn_what_one_does(tmp_path):
    cases = {name: replace(case, device="cuda") for name, case in CASES.items()}
    same(together(tmp_path, 2, learn, cases), learn(ALONE, cases), 1e-9)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_shares_are_all_rows_once(count):
    rows = list(range(10))
    shares = [rows[Processes(rank, count).share(10)] for rank in range(count)]
    assert sum(shares, []) == rows and {len(share) for share in shares} <= {10 // count,
                                                                           -(-10 // count)}


@pytest.mark.parametrize("augment", [
    Augmentation(shift=2, flip=True), Augmentation(shift=1, rotate=10, scale=0.1, background=128),
    Augmentation(flip=True, background=(1, 2, 3))])
def test_each_image_is_augmented_as_in_one_process(augment):
    pixels = torch.randint(256, (10, 3, 9, 9), generator=generator("test"), dtype=torch.uint8)
    whole = augment(pixels, generator("chance"))
    for count in (2, 3):
        parts = [augment(pixels, generator("chance"), Processes(rank, count).share(10))
                 for rank in range(count)]
        assert torch.equal(torch.cat(parts), whole)


def test_sequences_and_brief_images_are_as_in_one_process():
    data = Dataset(np.arange(6 * 64 * 3, dtype=np.uint8).reshape(6, 3, 8, 8), np.arange(6),
                   list("abcdef"), tuple("abcdef"), "cifar10", "train")
    images = TrainingImages(data, SequenceTask(2, 1), 0, 0, torch.device("cpu"))
    pixels, _ = images.epoch(0)
    assert pixels.shape[:2] == (3, 2)
    whole = images.batch(pixels, 0, 1)
    shares = [Processes(rank, 2).share(3) for rank in (0, 1)]
    parts = [images.batch(pixels, 0, 1, share) for share in shares]
    for place, expected in enumerate(whole):
        assert torch.equal(torch.cat([part[place] for part in parts]), expected)
    steps = exposed(whole[0], 0.5, 4, generator("x")).steps
    assert torch.equal(steps, torch.cat([
        exposed(part[0], 0.5, 4, generator("x"), batch=3, rows=share).steps
        for part, share in zip(parts, shares, strict=True)]))


def test_what_torchrun_says(monkeypatch):
    def say(**names: str) -> Processes:
        for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR",
                     "MASTER_PORT"):
            monkeypatch.delenv(name, raising=False)
        for name, value in names.items():
            monkeypatch.setenv(name, value)
        return processes.started()

    where = {"MASTER_ADDR": "node1", "MASTER_PORT": "29500"}
    assert say() is ALONE and say(RANK="0", WORLD_SIZE="1") is ALONE
    two = say(RANK="1", WORLD_SIZE="2", LOCAL_RANK="1", LOCAL_WORLD_SIZE="2", **where)
    assert two == Processes(1, 2, 1, 2) and not two.first
    assert two.program == "torchrun --nproc-per-node 2 -m cortexsim"
    nodes = say(RANK="2", WORLD_SIZE="4", LOCAL_RANK="0", LOCAL_WORLD_SIZE="2", **where)
    assert nodes == Processes(2, 4, 0, 2) and "--nnodes 2" in nodes.program
    for wrong in ({"RANK": "2"}, {"RANK": "x"}, {"LOCAL_RANK": "2"}, {"MASTER_PORT": ""}):
        names = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
        with pytest.raises(SimulationError, match="start them with torchrun, or unset"):
            say(**names | where | wrong)


def test_each_process_has_a_device_of_its_own(monkeypatch):
    third = Processes(2, 4, 2, 4)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert [third.device(name) for name in (None, "cuda", "cpu", "tpu")] == [
        "cuda:2", "cuda:2", "cpu", "tpu"]
    with pytest.raises(SimulationError, match="4 processes on one device, 'cuda:0'"):
        third.device("cuda:0")
    assert ALONE.device("cuda:1") == "cuda:1" and ALONE.device(None) is None
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name in (None, "cuda"):  # each says the same, so that it is said once
        with pytest.raises(SimulationError, match="^4 processes, and 2 GPUs on this machine"):
            third.device(name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert third.device(None) == "cpu"
