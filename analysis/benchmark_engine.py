"""How much faster the engine is than a plain loop over connections, as ratios.

    python analysis/benchmark_engine.py [NETWORK]

Both sides run in turn in one process, on the same network and images; printed are
the median and the range of the ratios plain/engine over the rounds.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import torch

from cortexsim.models import load, plain


def seconds(call: Callable[[], object]) -> float:
    """Time one call."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def compare(name: str, slow: Callable[[], object], fast: Callable[[], object],
            rounds: int = 9) -> None:
    """Print the ratio of two calls' times, taken in turn."""
    slow(), fast()  # not counted: memory is taken for the first time
    ratios = sorted(seconds(slow) / seconds(fast) for _ in range(rounds))
    print(f"{name:42s} {statistics.median(ratios):.2f}  [{ratios[0]:.2f}, {ratios[-1]:.2f}]")


def main(name: str = "digits-leaky", batch: int = 64, steps: int = 20) -> None:
    """Compare simulation and training of one network."""
    network, own = load(name).network, load(name).network
    graph, last = network.graph, network.graph.last.name
    steps = min(steps, network.statistics_limit)
    images = torch.randn(batch, *graph.image)
    # as the simulator and the fast recipe lay it out
    own.to(memory_format=torch.channels_last)
    rows = images.contiguous(memory_format=torch.channels_last)
    needed = graph.needed([set(graph.names)] * (steps + 1))
    t = graph.readout_time

    def plain_readout() -> torch.Tensor:
        return network.readout(plain.run(network, images, t)[-1], t)

    def plain_recorded() -> None:
        for index, state in enumerate(plain.run(network, images, steps)):
            network.readout(state, index) if last in state else None

    def engine_recorded() -> None:
        drive = own.drive(rows)
        state = {graph.first.name: drive}
        for s in range(1, steps + 1):
            state = own.step(state, s, drive=drive, areas=needed[s])
            own.readout(state, s) if last in state else None

    def train(call: Callable[[], torch.Tensor], which: torch.nn.Module) -> None:
        which.train()
        call().sum().backward()
        which.zero_grad()
        which.eval()

    print(f"{name}: batch {batch}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print("time of the plain loop / time of the engine    median [range]")
    with torch.inference_mode():
        compare(f"simulation, {steps} steps, all recorded", plain_recorded, engine_recorded)
        compare(f"simulation, readout at t = {t}", plain_readout, lambda: own(rows))
    compare(f"training, readout at t = {t}", lambda: train(plain_readout, network),
            lambda: train(lambda: own(rows), own))


if __name__ == "__main__":
    main(*sys.argv[1:])
