"""What several processes bring to training: images per second over those of one process.

    torchrun --nproc-per-node 2 analysis/benchmarks/processes.py [--graph GRAPH] [--rounds N]

In each round, in turn: the first process alone with a batch of N images, while the others
wait; all processes with the same batch divided among them (strong scaling); all with N images
each (weak scaling). What is timed is what a training does with a batch: images in the
shape of CIFAR-10 are augmented, and a step is taken. Printed are medians and ranges, over the
rounds, of images per second and of their ratio to those of one process in the same round;
and first, how far losses of the divided batch are from those of the whole one.
"""

from __future__ import annotations

import statistics
import time
from argparse import Namespace

import common
import numpy as np
import torch

from cortexsim import devices, job, presets
from cortexsim.models import Network
from cortexsim.processes import ALONE, Processes
from cortexsim.stimuli.datasets import Dataset
from cortexsim.stimuli.sequences import SequenceTask
from cortexsim.training import recipes
from cortexsim.training.batches import TrainingImages
from cortexsim.training.learning import Learner

#: More than this between the losses of a divided and of a whole batch is no rounding.
TOLERANCE = {"float32": 1e-5, "bf16": 1e-2}


class Side:
    """One way to train: so many images at a time, by some processes."""

    def __init__(self, mine: Processes, batch: int, options: Namespace) -> None:
        self.mine, self.batch = mine, batch
        device = devices.device(mine.device(options.device))
        graph, recipe = presets.get(options.graph), recipes.get("fast")
        network = Network(graph).to(device).to(memory_format=torch.channels_last)
        network.processes = mine
        self.learner = Learner(network.train(), recipe, precision=options.precision,
                               compiled=options.compile)
        pixels = np.random.default_rng(0).integers(0, 256, (batch, *graph.image), np.uint8)
        noise = Dataset(pixels, np.arange(batch) % 10, [str(i) for i in range(batch)],
                        tuple("0123456789"), "cifar10", "train")
        self.images = TrainingImages(noise, SequenceTask.one_image(graph.readout_time), 0, 0,
                                     device)
        self.pixels, self.labels = self.images.epoch(0)
        end = graph.readout_time
        self.times = [t for t in graph.readout_times(end) if t > end - recipe.readouts]

    def step(self, number: int) -> float:
        """Train on a batch, and return the loss."""
        own = self.mine.share(self.batch)
        [shown] = self.images.batch(self.pixels, 0, number, own)
        shown = shown.contiguous(memory_format=torch.channels_last)
        asked = dict.fromkeys(self.times, self.labels[own, 0])
        return self.mine.totals(*self.learner.step(shown, asked, 1e-3, self.batch))[0]

    def rate(self, steps: int) -> float:
        """Return images per second."""
        begun = time.perf_counter()
        for number in range(steps):
            self.step(number)  # ends with a number on the processor, so a GPU is waited for
        return steps * self.batch / (time.perf_counter() - begun)


def measure(mine: Processes, options: Namespace) -> dict[str, object]:
    """Let the sides take turns; print and return what the first process finds."""
    sides = {"strong": Side(mine, options.batch, options),
             "weak": Side(mine, options.batch * mine.count, options)}
    if mine.first:
        sides = {"alone": Side(ALONE, options.batch, options)} | sides
    losses = {name: side.step(0) for name, side in sides.items()}
    apart = abs(losses["strong"] - losses["alone"]) if mine.first else 0.0
    if apart > TOLERANCE[options.precision]:
        raise SystemExit(f"the divided batch has another loss, by {apart:.1e}: no ratio")
    rates: dict[str, list[float]] = {name: [] for name in ("alone", "strong", "weak")}
    for _ in range(options.rounds):
        for name, found in rates.items():
            mine.totals(0)  # nobody begins before all are there
            if name in sides:
                found.append(sides[name].rate(options.steps))
    return report(rates, apart, mine, options) if mine.first else {}


def report(rates: dict[str, list[float]], apart: float, mine: Processes,
           options: Namespace) -> dict[str, object]:
    """Print and return medians and ranges."""
    print(f"{options.graph}, batch {options.batch}, {options.precision}, {mine.count} processes of "
          f"{torch.get_num_threads()} thread(s); losses of the divided batch differ by {apart:.0e}")
    print(f"{'':8s} {'images/s':>9s}   times one process [range]")
    found: dict[str, object] = {"processes": mine.count, "graph": options.graph,
                                "batch": options.batch, "precision": options.precision,
                                "loss differs by": apart}
    for name, values in rates.items():
        ratios = sorted(many / one for many, one in zip(values, rates["alone"], strict=True))
        median = statistics.median(ratios)
        print(f"{name:8s} {statistics.median(values):9.1f}   {median:.2f} "
              f"[{ratios[0]:.2f}, {ratios[-1]:.2f}]")
        found[name] = {"images per second": round(statistics.median(values), 1),
                       "ratio": round(median, 3), "lowest": round(ratios[0], 3),
                       "highest": round(ratios[-1], 3)}
    return found


def main() -> None:
    """Measure, as one of the processes that torchrun starts."""
    parser = common.parser(__doc__, rounds=7)
    parser.add_argument("--graph", default="ventral-adjacent-leaky", help="a preset")
    parser.add_argument("--batch", type=int, default=128, help="images of one process")
    parser.add_argument("--steps", type=int, default=4, help="training steps in each round")
    parser.add_argument("--precision", choices=devices.PRECISIONS, default="float32")
    parser.add_argument("--device", default=None)
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    with job.running() as mine:
        if mine.count == 1:
            raise SystemExit("start several: torchrun --nproc-per-node 2 " + __file__)
        if options.threads:
            torch.set_num_threads(options.threads)
        results = common.begin(options) if mine.first else {}
        with devices.exact(devices.device(mine.device(options.device))):
            results |= measure(mine, options)
        if mine.first:
            common.finish(options, results)


if __name__ == "__main__":
    main()
