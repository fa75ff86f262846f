"""What the benchmarks share: the two networks, runs in turn, ratios, results as JSON."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cortexsim import devices, load_dataset, presets
from cortexsim.graph import AreaGraph, Connection
from cortexsim.models import Network, calibrate, load
from cortexsim.simulation.batches import Batches, running
from cortexsim.simulation.plan import Plan, prepare
from cortexsim.simulation.record import Record
from cortexsim.stimuli.datasets import Dataset, to_input
from cortexsim.stimuli.protocol import Protocol

#: The last index to which the large network is calibrated.
CALIBRATED = 10
#: Images it is calibrated on.
IMAGES = 64


def parser(description: str | None, rounds: int) -> argparse.ArgumentParser:
    """Return a parser of the options that all benchmarks have."""
    made = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    made.add_argument("--rounds", type=int, default=rounds, help="default %(default)s")
    made.add_argument("--threads", type=int, default=None, help="default: torch's own")
    made.add_argument("--out", type=Path, default=None, help="write the results, as JSON")
    return made


def begin(options: argparse.Namespace) -> dict[str, object]:
    """Set the number of threads; print and return what the benchmark runs on."""
    if options.threads:
        torch.set_num_threads(options.threads)
    hardware = devices.hardware(torch.device("cpu"))
    print(f"{hardware}, torch {torch.__version__}, {options.rounds} rounds\n")
    return {"hardware": hardware, "torch": torch.__version__, "rounds": options.rounds}


def finish(options: argparse.Namespace, results: dict[str, object]) -> None:
    """Write the results, if asked to."""
    if options.out:
        options.out.write_text(json.dumps(results, indent=1) + "\n")


def seconds(call: Callable[[], object]) -> float:
    """Time one call."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def in_turn(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Time calls in turn, so that what else the machine does falls on all of them alike."""
    for call in calls.values():
        call()  # not counted: memory is taken for the first time
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(seconds(call))
    return times


def ratios(times: dict[str, list[float]], base: str, title: str,
           targets: dict[str, float] | None = None) -> dict[str, object]:
    """Print, and return, how many times as fast as the base the others are, round by round."""
    found: dict[str, object] = {f"{base} ms": round(1e3 * statistics.median(times[base]), 2)}
    for name, taken in times.items():
        if name == base:
            continue
        each = sorted(slow / fast for slow, fast in zip(times[base], taken, strict=True))
        median = statistics.median(each)
        target = (targets or {}).get(name)
        print(f"{title:44s} {name:9s} {median:6.2f} [{each[0]:.2f}, {each[-1]:.2f}]"
              + (f"   wanted {target:g}" if target else ""), flush=True)
        found[name] = {"median": round(median, 3), "lowest": round(each[0], 3),
                       "highest": round(each[-1], 3), "wanted": target}
    return found


def small() -> tuple[Network, Dataset]:
    """Return the shipped network of four areas, and the images it is tested on."""
    return load("digits-leaky").network.eval(), load_dataset("digits", "test")


def large(name: str = "fig9-3state-full") -> tuple[Network, Dataset]:
    """Return the paper's largest network, with images of noise."""
    return untrained(presets.get(name))


def untrained(graph: AreaGraph, images: int = IMAGES) -> tuple[Network, Dataset]:
    """Return a network that is calibrated but not trained, and so many images of noise.

    What the images show, and what weights have learned, changes no time.
    """
    network = Network(graph, seed=0)
    values = np.random.default_rng(0).integers(0, 256, (images, *network.graph.image), np.uint8)
    shown = Dataset(values, np.arange(images) % 10, [f"noise-{i}" for i in range(images)],
                    tuple("0123456789"), "noise", "test")
    calibrate(network, torch.from_numpy(to_input(values)), CALIBRATED)
    return network.eval(), shown


def planned(network: Network, images: Dataset, protocol: Protocol, *, precision: str = "float32",
            stimuli: int = 64, microbatch: int = 32, areas: tuple[str, ...] | None = None) -> Plan:
    """Plan a run that keeps spatial means of areas, all by default, and all scores."""
    return prepare(network, protocol, images, record=Record(areas), seed=0,
                   trials=stimuli * len(protocol.conditions), device="cpu", precision=precision,
                   microbatch=microbatch)


def chunks(plan: Plan) -> Iterator[dict[str, NDArray[Any]]]:
    """Compute a plan as `simulate` does, up to the disk; buffers are used again."""
    with running(plan):
        batches = Batches(plan)
        for chunk in range(plan.layout.chunks):
            buffers = batches.compute(chunk)
            buffers.wait()
            yield buffers.values


def simulate(plan: Plan) -> Callable[[], None]:
    """Return a call that runs a plan, preparation of the network included."""
    def call() -> None:
        for _ in chunks(dataclasses.replace(plan)):  # a copy, for which nothing is prepared yet
            pass
    return call


def macs(graph: AreaGraph, s: int) -> int:
    """Count the multiply-adds of all convolutions for one image at a step, all areas populated."""
    return sum(multiply_adds(graph, c) for c in graph.firing(s, graph.names, graph.names))


def multiply_adds(graph: AreaGraph, c: Connection) -> int:
    """Count the multiply-adds of a connection's convolutions for one image."""
    total = 0
    source, target = (math.prod(graph.area(name).shape[1:]) for name in (c.source, c.target))
    size = source
    for layer in range(1, c.layers + 1):
        first, second, height, width = graph.kernel_shape(c, layer)
        grows = layer == 1 and graph.grows(c)
        # a deconvolution multiplies at each of its inputs, a convolution at each output
        size = target if layer >= c.stride_layer and not grows else size
        total += (source if grows else size) * first * second * height * width
        size = target if grows else size
    return total


def shown_for(steps: int) -> Protocol:
    """Return a protocol that shows one picture for so many steps, read at each."""
    return Protocol.from_text(
        "name: one_condition\nms_per_step: 12.5\n"
        f"duration: {{steps: {steps}}}\n"
        "timeline: [{show: target, at_ms: 0, until: end}]\n"
        "record: {areas: all, reduce: mean}\n")
